//! Two walls stand between workspaces: every statement asks for one workspace, and every value is sealed for its own.
//!
//! Here each is taken away in turn, which only a test build can do, and the other one has to hold alone. Each test first
//! shows that the wall is really gone.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::cell::Cell;

use serde_json::json;
use tacit_crypto::{RootKey, token};
use tacit_model::{Code, EnvironmentName, Fields, SecretName, SecretType, Timestamp, Visibility};
use tacit_store::{Change, WriteError, dangerous, secrets as rows};

use crate::{
    Caller, NewSecret, Precondition, Vault,
    access::{Access, Snapshot},
    authorize::{self, Use},
    open_instance,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const VALUE: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

thread_local! {
    static SEALS_FOR_NOBODY: Cell<bool> = const { Cell::new(false) };
}

/// Whether values of this thread are sealed with one key, whatever workspace and environment they are of.
pub(crate) fn seals_for_nobody() -> bool {
    SEALS_FOR_NOBODY.get()
}

struct Ground {
    vault: Vault,
    mine: Caller,
    theirs: Caller,
    _directory: tempfile::TempDir,
}

/// Two workspaces: `theirs` with a secret, `mine` without one; and an owner in each who is nothing in the other.
async fn ground() -> Ground {
    let directory = tempfile::tempdir().unwrap();
    let (vault, owner) = open_instance(directory.path(), RootKey::generate(), NOW).await.unwrap();
    let token = token::hash_of(owner.unwrap().token.dangerous_expose()).unwrap();
    let caller = |workspace: &str| Caller {
        workspace: workspace.parse().unwrap(),
        token,
        now: NOW,
        request_id: [1; 16],
        precondition: Precondition::NONE,
    };
    vault.create_workspace(token, NOW, &"mine".parse().unwrap()).await.unwrap();
    let theirs = caller("default");
    let new = NewSecret {
        name: "PRIZE".parse().unwrap(),
        kind: SecretType::Text,
        visibility: Visibility::Masked,
        description: String::new(),
        folder: "".parse().unwrap(),
        destinations: Default::default(),
        values: vec![("test".parse().unwrap(), fields())],
        rotate_every_days: None,
        expires_at: None,
        reason: None,
    };
    vault.create_secret(&theirs, &new, false).await.unwrap();
    let name: SecretName = "me".parse().unwrap();
    vault.create_service_account(&caller("mine"), &name, "owner").await.unwrap();
    let text = vault.create_token(&caller("mine"), &name, None).await.unwrap().text;
    let mine = Caller { token: token::hash_of(text.dangerous_expose()).unwrap(), ..caller("mine") };
    Ground { vault, mine, theirs, _directory: directory }
}

fn fields() -> Fields {
    let serde_json::Value::Object(map) = json!({"value": VALUE}) else { unreachable!() };
    Fields::parse(SecretType::Text, &map).unwrap_or_else(|(field, error)| panic!("{field}: {error}"))
}

fn prize() -> SecretName {
    "PRIZE".parse().unwrap()
}

/// The value of a snapshot as the one decrypt path would open it for a workspace, past all decisions.
async fn forced(vault: &Vault, access: &Access, snapshot: &Snapshot) -> Option<String> {
    let environment = snapshot.values.first()?.environment;
    let versions = vault.sealed_versions(&access.view, snapshot.secret.id, environment).await.ok()?;
    let proof = authorize::scan(snapshot, environment, access.view.revision);
    let proof = vault.covered_by::<Use>(&[], proof);
    let value = vault.open(access.view.workspace.id, &proof, snapshot, versions.first()?).await.ok()?;
    let opened = Fields::decode(snapshot.secret.kind, value.dangerous_expose())?;
    Some(opened.iter().map(|(_, text)| text).collect())
}

/// Everything that ends in a value, asked for in one's own workspace by the name of what is in the other.
async fn tries(ground: &Ground) -> Vec<Result<String, Code>> {
    let environment: EnvironmentName = "test".parse().unwrap();
    let revealed = ground.vault.reveal(&ground.mine, &prize(), &environment, None).await;
    let read = revealed.map(|shown| shown.fields.values().map(|text| text.to_string()).collect());
    let named = Caller { workspace: "default".parse().unwrap(), ..ground.mine.clone() };
    let there = ground.vault.reveal(&named, &prize(), &environment, None).await;
    let there = there.map(|shown| shown.fields.values().map(|text| text.to_string()).collect());
    [read, there].map(|result| result.map_err(|problem| problem.code)).into()
}

/// The store forgets the tenant: rows of another workspace are found, and none of them opens.
#[tokio::test]
async fn keys_hold_without_the_store() {
    let ground = ground().await;
    let theirs = ground.vault.access(&ground.theirs).await.unwrap();
    let snapshot = ground.vault.snapshot(&theirs, &prize()).await.ok().unwrap();
    assert_eq!(forced(&ground.vault, &theirs, &snapshot).await.as_deref(), Some(VALUE));
    dangerous::ignore_workspace(true);
    let mine = ground.vault.access(&ground.mine).await.unwrap();
    let found = ground.vault.snapshot(&mine, &prize()).await.ok().unwrap();
    assert_eq!(found.secret.id, snapshot.secret.id, "the wall is gone");
    let environment = found.values[0].environment;
    let versions = ground.vault.sealed_versions(&mine.view, found.secret.id, environment).await.ok().unwrap();
    assert_eq!(versions.len(), 1, "and its ciphertext is found");
    assert_eq!(forced(&ground.vault, &mine, &found).await, None, "but does not open");
    for result in tries(&ground).await {
        assert!(result.is_err(), "{result:?}");
    }
    dangerous::ignore_workspace(false);
}

/// Values are sealed for nobody in particular: they open anywhere, and are found nowhere but where they belong.
#[tokio::test]
async fn the_store_holds_without_keys() {
    SEALS_FOR_NOBODY.set(true);
    let ground = ground().await;
    let theirs = ground.vault.access(&ground.theirs).await.unwrap();
    let mine = ground.vault.access(&ground.mine).await.unwrap();
    let snapshot = ground.vault.snapshot(&theirs, &prize()).await.ok().unwrap();
    let environment = snapshot.values[0].environment;
    let versions =
        ground.vault.sealed_versions(&theirs.view, snapshot.secret.id, environment).await.ok().unwrap();
    let proof = authorize::scan(&snapshot, environment, mine.view.revision);
    let proof = ground.vault.covered_by::<Use>(&[], proof);
    let opened = ground.vault.open(mine.view.workspace.id, &proof, &snapshot, &versions[0]).await;
    assert!(opened.is_ok(), "the wall is gone");
    assert_eq!(forced(&ground.vault, &mine, &snapshot).await, None, "but nothing is found");
    assert_eq!(tries(&ground).await, [Err(Code::NotFound), Err(Code::NotFound)]);
    // Nor by ids, nor can a row of one workspace be hung onto another's.
    let (store, here) = (&ground.vault.0.store, mine.view.workspace.id);
    assert!(store.secret(here, "prize").await.unwrap().is_none());
    assert!(store.secret_by_id(here, snapshot.secret.id).await.unwrap().is_none());
    assert!(store.values(here, snapshot.secret.id).await.unwrap().is_empty());
    assert!(store.versions(here, snapshot.secret.id, environment).await.unwrap().is_empty());
    let planted = rows::insert_version(
        here,
        snapshot.secret.id,
        environment,
        &rows::Version { version: 2, ..versions[0].clone() },
    );
    let planted = store.write(Change::new(here).and_all(planted)).await;
    assert!(matches!(planted, Err(WriteError::Conflict)), "composite keys");
    let renamed = rows::update(here, &snapshot.secret);
    assert!(store.write(Change::new(here).and_all(renamed)).await.is_err());
    SEALS_FOR_NOBODY.set(false);
}
