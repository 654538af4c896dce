//! Setting up an instance, and opening one that is set up.

use std::path::Path;

use tacit_crypto::{
    RootKey, key_check_seal, key_check_verify,
    token::{self, TokenKind, TokenText},
};
use tacit_model::{Code, InstanceId, Problem, SecretName, Timestamp, TokenId, UserId, WorkspaceName};
use tacit_store::{
    Identity, Store, identity,
    principals::{self, Token, TokenOwner, User},
};

use crate::{Vault, new_id, workspaces::Blueprint};

/// The first owner of an instance, and the token that is shown once.
pub struct FirstOwner {
    /// The workspace.
    pub workspace: WorkspaceName,
    /// The owner's name.
    pub owner: SecretName,
    /// The token.
    pub token: TokenText,
}

/// Opens the instance in a data directory, or sets one up if there is none.
///
/// The root key is checked against the instance before anything is opened for writing: with the wrong key not a byte
/// changes. Returns the first owner when the instance is new.
///
/// # Errors
/// A sentence and what to do.
pub async fn open_instance(
    directory: &Path,
    root: RootKey,
    now: Timestamp,
) -> Result<(Vault, Option<FirstOwner>), Problem> {
    let known = identity::peek(directory).map_err(cannot_open)?;
    check_root_key(known.as_ref(), &root)?;
    let store = Store::open_embedded(directory).map_err(cannot_open)?;
    let known = match known {
        // A kill right after set-up leaves the identity in the journal, which opening has just put into the file.
        None if store.is_initialised().await.map_err(Problem::internal)? => {
            let identity = identity::peek(directory).map_err(cannot_open)?;
            check_root_key(identity.as_ref(), &root)?;
            identity
        }
        known => known,
    };
    if let Some(identity) = known {
        return Ok((Vault::new(store, identity.instance, root), None));
    }
    let instance = new_id!(InstanceId, now);
    let identity = Identity { instance, key_check: key_check_seal(&root, *instance.as_bytes()) };
    let vault = Vault::new(store, instance, root);
    let owner = vault.set_up(&identity, now).await?;
    Ok((vault, Some(owner)))
}

fn check_root_key(identity: Option<&Identity>, root: &RootKey) -> Result<(), Problem> {
    let Some(identity) = identity else { return Ok(()) };
    key_check_verify(root, *identity.instance.as_bytes(), &identity.key_check).map_err(|_| {
        Problem::new(Code::Internal, "the root key does not belong to this data directory; nothing was changed")
            .suggest("start with the root key that this data directory was initialised with (--root-key); without it nobody can open the values")
    })
}

fn cannot_open(error: tacit_store::StoreError) -> Problem {
    use tacit_store::StoreError;
    let hint = match &error {
        StoreError::InUse => "stop the other process, or choose another data directory",
        StoreError::Newer { .. } => "run the newer version of tacit; nothing was changed",
        StoreError::LooseMode(_) => {
            "chmod 600 the file and 700 its directory, and find out who could read it"
        }
        StoreError::Io(_) => "check that the directory exists, is yours and has free space",
        StoreError::Engine(_) => "check the disk; if the file is damaged, restore a backup",
    };
    Problem::new(Code::Internal, error.to_string()).suggest(hint)
}

impl Vault {
    /// Everything a new instance needs, in one transaction: a kill leaves either nothing or all of it.
    async fn set_up(&self, identity: &Identity, now: Timestamp) -> Result<FirstOwner, Problem> {
        let workspace: WorkspaceName = "default".parse().map_err(Problem::internal)?;
        let name: SecretName = "owner".parse().map_err(Problem::internal)?;
        let user =
            User { id: new_id!(UserId, now), name: name.clone(), instance_admin: true, created_at: now };
        let (text, hash) = token::generate(TokenKind::User);
        let stored = Token {
            id: new_id!(TokenId, now),
            hash: *hash.as_bytes(),
            owner: TokenOwner::User(user.id),
            created_at: now,
            expires_at: None,
        };
        let blueprint = Blueprint::new(workspace.clone(), now);
        let change = tacit_store::Change::new(blueprint.workspace.id)
            .settle()
            .and_all(identity::insert(identity))
            .and(principals::insert_user(&user))
            .and(principals::insert_token(&stored))
            .and_all_of(blueprint.change(self, user.id, name.as_str())?);
        self.0.store.write(change).await.map_err(Problem::audit_unavailable)?;
        Ok(FirstOwner { workspace, owner: name, token: text })
    }
}
