//! A new beginning for somebody who cannot sign in any more: who lost the password, the app with its codes, or the token
//! of set-up.
//!
//! Everything that was a way in ends, in one transaction and on the record of each of their workspaces: else whoever has
//! found the old token, or sits at the old session, would stay in beside them.

use tacit_audit::{Actor, Object, ObjectKind, Verb};
use tacit_crypto::token::{self, TokenKind, TokenText};
use tacit_model::{Problem, SecretName, Timestamp, TokenId};
use tacit_store::{
    Statement, people as rows,
    principals::{self, Token, TokenOwner, User},
};

use crate::{By, Vault, new_id};

/// Somebody who can sign in again, and the token that is shown once.
pub struct Recovered {
    /// The name.
    pub name: SecretName,
    /// The token: as good as that of set-up.
    pub token: TokenText,
}

impl Vault {
    /// Lets somebody in again: the person of this name, or who administers the instance. For whoever has the data directory
    /// and the root key; they could read everything anyway.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn recover(&self, name: Option<&SecretName>, now: Timestamp) -> Result<Recovered, Problem> {
        let store = &self.0.store;
        let found = match name {
            Some(name) => store.user_named(&name.key()).await,
            None => store.instance_admin().await,
        };
        let user = found.map_err(Problem::internal)?.ok_or_else(|| {
            Problem::not_found("person").suggest("name somebody who has an account here with --user")
        })?;
        let (token, statements) = new_beginning(&user, now);
        let object = Object::new(ObjectKind::Member, *user.id.as_bytes(), user.name.as_str());
        let by = By { now, request_id: [0; 16] };
        let actor = Actor::system();
        self.change_person_as(&actor, &user, statements, Verb::MemberReset, &object, by).await?;
        Ok(Recovered { name: user.name, token })
    }
}

/// No password, no second factor, no session and no token, but for a new one.
fn new_beginning(user: &User, now: Timestamp) -> (TokenText, Vec<Statement>) {
    let (text, hash) = token::generate(TokenKind::User);
    let stored = Token {
        id: new_id!(TokenId, now),
        hash: *hash.as_bytes(),
        owner: TokenOwner::User(user.id),
        created_at: now,
        expires_at: None,
    };
    let mut statements = vec![
        rows::delete_password(user.id),
        rows::delete_sessions_but(user.id, None),
        rows::delete_tokens_of_user(user.id),
    ];
    statements.extend(rows::clear_second_factor(user.id));
    statements.push(principals::insert_token(&stored));
    (text, statements)
}
