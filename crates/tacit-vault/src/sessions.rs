//! Signing in and out.
//!
//! Whatever is wrong with a name, a password or a code, the answer is one and the same and takes as long: the same work is
//! done for an account that is not there. Tries are limited by account, whether there is one or not, and by address.

use std::{fmt, net::IpAddr, str::FromStr};

use tacit_audit::{Actor, ActorKind, Code as RecordedCode, Detail, Event, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::{
    password,
    token::{self, TokenHash, TokenKind, TokenText},
};
use tacit_model::{
    Code, EventId, Problem, SecretName, SessionId, Timestamp, TokenId, UserId, WorkspaceId, limits,
};
use tacit_store::{
    Change, Statement,
    people::{self as rows, Session, SessionKind},
    principals::{self, Token, TokenOwner, User},
};

use crate::{Vault, access::Owner, access::unauthenticated, new_id, second_factor::Code as FactorCode};

/// Who signs in, how, and from where.
pub struct SignIn<'a> {
    /// The name, as it was typed.
    pub name: &'a str,
    /// The password.
    pub password: &'a str,
    /// The code of a second factor, or a recovery code.
    pub code: Option<&'a str>,
    /// For a browser or for a program.
    pub kind: SessionKind,
    /// Where it comes from.
    pub address: IpAddr,
    /// When.
    pub now: Timestamp,
    /// The request's id, for the record.
    pub request_id: [u8; 16],
}

/// A new session: the only time its text is seen.
pub struct SignedIn {
    /// The id.
    pub id: SessionId,
    /// The cookie or token.
    pub text: TokenText,
    /// Who signed in.
    pub name: SecretName,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A session as its owner sees it, or a token of set-up, which is as good as one.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// By what it is ended.
    pub id: SignedInBy,
    /// How it is presented; none for a token of set-up.
    pub kind: Option<SessionKind>,
    /// From which address it was begun.
    pub address: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// By what a person may be signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedInBy {
    /// A session.
    Session(SessionId),
    /// A token of set-up.
    Token(TokenId),
}

impl fmt::Display for SignedInBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => id.fmt(f),
            Self::Token(id) => id.fmt(f),
        }
    }
}

impl FromStr for SignedInBy {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let session = text.parse().map(Self::Session);
        session.or_else(|_| text.parse().map(Self::Token)).map_err(|_| Problem::not_found("session"))
    }
}

/// The one answer to every sign-in that fails.
pub(crate) fn wrong() -> Problem {
    Problem::new(Code::Unauthenticated, "name, password or code is wrong")
        .suggest("try again; if there is a second factor, its code is needed as well")
}

/// By what tries are counted: an address, and of IPv6 the network that one customer has.
pub(crate) fn pace_key(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}

fn object(name: &str, id: SessionId) -> Object {
    Object::new(ObjectKind::Session, *id.as_bytes(), name)
}

impl Vault {
    /// Signs somebody in.
    ///
    /// # Errors
    /// `unauthenticated`, whatever was wrong; `rate_limited`.
    pub async fn sign_in(&self, asked: &SignIn<'_>) -> Result<SignedIn, Problem> {
        let user = self.verified(asked.name, asked.password, asked.code, asked.address, asked.now).await?;
        let (user, used) = match user {
            Ok(found) => found,
            Err(known) => {
                let by = By { now: asked.now, request_id: asked.request_id };
                self.record_wrong(known.as_ref(), Verb::SessionCreate, asked.address, by).await;
                return Err(wrong());
            }
        };
        let (kind, ttl_secs) = match asked.kind {
            SessionKind::Cookie => (TokenKind::Session, limits::COOKIE_SESSION_SECS),
            SessionKind::Token => (TokenKind::User, limits::TOKEN_SESSION_SECS),
        };
        let (text, hash) = token::generate(kind);
        let session = Session {
            hash: *hash.as_bytes(),
            id: new_id!(SessionId, asked.now),
            user: user.id,
            kind: asked.kind,
            address: asked.address.to_canonical().to_string(),
            created_at: asked.now,
            expires_at: asked.now.plus_secs(ttl_secs),
        };
        let mut statements = used;
        statements.push(rows::delete_ended_sessions(user.id, asked.now));
        // Somebody who signs in without end and never out loses the oldest, not the newest.
        let kept = self.0.store.sessions_of(user.id).await.map_err(Problem::internal)?;
        let live = kept.iter().filter(|session| session.expires_at > asked.now);
        for old in live.skip(limits::SESSIONS_PER_PERSON_MAX - 1) {
            statements.push(rows::delete_session(user.id, old.id));
        }
        statements.push(rows::insert_session(&session));
        let object = object(user.name.as_str(), session.id);
        let by = By { now: asked.now, request_id: asked.request_id };
        self.change_person(&user, statements, Verb::SessionCreate, &object, by).await.map_err(|problem| {
            // The code was taken by somebody else a moment ago: then it is as wrong as any.
            if problem.code == Code::VersionConflict { wrong() } else { problem }
        })?;
        Ok(SignedIn { id: session.id, text, name: user.name, expires_at: session.expires_at })
    }

    /// Whether name, password and code belong together: the person, and what takes the code. The inner error is for the
    /// record: whose account was meant, if there is one.
    pub(crate) async fn verified(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Result<(User, Vec<Statement>), Option<User>>, Problem> {
        // Names that cannot be are counted as they are, or guessing would be free under some of them.
        let key = name.parse::<SecretName>().map_or_else(|_| name.to_owned(), |name| name.key());
        self.0.sign_in_by_address.take(&pace_key(address), now)?;
        let store = &self.0.store;
        let user = store.user_named(&key).await.map_err(Problem::internal)?;
        let account = self.take_try(key, user.as_ref(), address, now).await?;
        // Nobody has this id, and looking for it takes as long.
        let id = user.as_ref().map_or(UserId::from_bytes([0; 16]), |user| user.id);
        let stored = store.password(id).await.map_err(Problem::internal)?;
        let is_right = self.verify_password(password, stored.clone()).await?;
        let code = code.map(str::trim).filter(|code| !code.is_empty());
        let taken = self.check_factor(id, code.map(FactorCode::parse), now).await?;
        let (Some(user), true, Some(stored), Some(taken)) = (user.clone(), is_right, stored, taken) else {
            return Ok(Err(user));
        };
        self.0.sign_in_by_account.reset(&account);
        // Hashing takes a while, and in it somebody may have set another password because they lost this one, or begun to
        // want a second factor.
        let was_enough = taken.is_empty();
        let mut statements = vec![rows::password_is_still(user.id, &stored, was_enough)];
        statements.extend(taken);
        if password::is_outdated(&stored) {
            statements.push(rows::set_password(user.id, &self.hash_password(password).await?, now));
        }
        Ok(Ok((user, statements)))
    }

    /// Takes a try of an account, and says by what it was counted. When others have used them up by guessing, somebody has
    /// tries of their own where they are signed in: else whoever knows a name could keep its owner out.
    async fn take_try(
        &self,
        key: String,
        user: Option<&User>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let Err(problem) = self.0.sign_in_by_account.take(&key, now) else { return Ok(key) };
        let id = user.map_or(UserId::from_bytes([0; 16]), |user| user.id);
        let sessions = self.0.store.sessions_of(id).await.map_err(Problem::internal)?;
        let here = pace_key(address);
        let is_here = |session: &Session| session.address.parse().is_ok_and(|at| pace_key(at) == here);
        if !sessions.iter().any(is_here) {
            return Err(problem);
        }
        // A name holds no line break.
        let key = format!("{key}\n{here}");
        self.0.sign_in_by_account.take(&key, now)?;
        Ok(key)
    }

    /// Somebody who did not have the password or code for what they wanted: on the records of the workspaces of the account
    /// that was meant. Nobody waits for it, so that nobody can tell by the time it takes whether there is one.
    pub(crate) async fn record_wrong(&self, known: Option<&User>, verb: Verb, address: IpAddr, by: By) {
        let id = known.map_or(UserId::from_bytes([0; 16]), |user| user.id);
        let Ok(workspaces) = self.0.store.workspaces_of(id).await else { return };
        for workspace in workspaces {
            let object =
                Object::new(ObjectKind::Member, *id.as_bytes(), known.map_or("", |user| user.name.as_str()));
            let mut event = self.system_event(workspace, by.now, verb, object);
            event.outcome = Outcome::Denied(RecordedCode::new(Code::Unauthenticated.as_str()));
            event.detail.address = Some(address.to_canonical());
            event.detail.request_id = Some(by.request_id);
            self.0.store.write_soon(Change::new(workspace).record(&event));
        }
    }

    /// Hashing takes memory and a core for a while: a few at a time, beside everything else.
    pub(crate) async fn verify_password(&self, given: &str, stored: Option<String>) -> Result<bool, Problem> {
        // Longer than any that was ever set: not worth the work, and no different in what is said.
        let given = if given.len() > limits::PASSWORD_BYTES_MAX { String::new() } else { given.to_owned() };
        let given = zeroize::Zeroizing::new(given);
        self.hashing(move || password::verify(&given, stored.as_deref())).await
    }

    pub(crate) async fn hash_password(&self, given: &str) -> Result<String, Problem> {
        let given = zeroize::Zeroizing::new(given.to_owned());
        self.hashing(move || password::hash(&given)).await
    }

    async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, tacit_crypto::CryptoError> + Send + 'static,
    ) -> Result<T, Problem> {
        let _permit = self.0.hashing.acquire().await.map_err(Problem::internal)?;
        let done = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?;
        done.map_err(Problem::internal)
    }

    /// A change of a person, effective on the next request in every workspace they belong to, and on the record of each.
    pub(crate) async fn change_person(
        &self,
        user: &User,
        statements: Vec<Statement>,
        verb: Verb,
        object: &Object,
        by: By,
    ) -> Result<(), Problem> {
        let actor = Actor::new(ActorKind::User, *user.id.as_bytes(), user.name.as_str());
        self.change_person_as(&actor, user, statements, verb, object, by).await
    }

    /// The same when somebody else does it.
    pub(crate) async fn change_person_as(
        &self,
        actor: &Actor,
        user: &User,
        statements: Vec<Statement>,
        verb: Verb,
        object: &Object,
        by: By,
    ) -> Result<(), Problem> {
        let workspaces = self.0.store.workspaces_of(user.id).await.map_err(Problem::internal)?;
        let told = |workspace| {
            let event = Event {
                id: new_id!(EventId, by.now),
                at: by.now,
                workspace,
                actor: actor.clone(),
                on_behalf_of: None,
                verb,
                object: object.clone(),
                outcome: Outcome::Succeeded,
                environment: None,
                detail: Detail { request_id: by.in_request(), ..Detail::default() },
            };
            Change::new(workspace).bump().record(&event)
        };
        let mut workspaces = workspaces.into_iter();
        // Somebody without a workspace has no record to be on.
        let first = workspaces.next().map_or_else(|| Change::new(WorkspaceId::from_bytes([0; 16])), told);
        let change = workspaces.map(told).fold(first.and_all(statements), Change::and_elsewhere);
        self.0.store.write(change).await.map(drop).map_err(|error| match error {
            tacit_store::WriteError::Unavailable(cause) => Problem::audit_unavailable(cause),
            _ => crate::busy(),
        })
    }

    /// The person a token or cookie belongs to. Machines and agents are none.
    pub(crate) async fn person(&self, token: TokenHash, now: Timestamp) -> Result<User, Problem> {
        let (owner, _) = self.token_owner(token, now).await?;
        let Owner::Account(TokenOwner::User(id)) = owner else {
            return Err(Problem::new(
                Code::Forbidden,
                "this is for people: machines and agents have no account of this kind",
            )
            .suggest("sign in as a person: tacit login --user NAME"));
        };
        self.0.store.user(id).await.map_err(Problem::internal)?.ok_or_else(unauthenticated)
    }

    /// One's sessions, newest first, and then the tokens of set-up.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden` for machines and agents.
    pub async fn list_sessions(&self, token: TokenHash, now: Timestamp) -> Result<Vec<SessionInfo>, Problem> {
        let user = self.person(token, now).await?;
        let found = self.0.store.sessions_of(user.id).await.map_err(Problem::internal)?;
        let tokens = self.0.store.tokens_of_user(user.id).await.map_err(Problem::internal)?;
        let session = |session: Session| SessionInfo {
            id: SignedInBy::Session(session.id),
            kind: Some(session.kind),
            address: Some(session.address),
            created_at: session.created_at,
            expires_at: Some(session.expires_at),
            current: session.hash == *token.as_bytes(),
        };
        let of_set_up = |stored: Token| SessionInfo {
            id: SignedInBy::Token(stored.id),
            kind: None,
            address: None,
            created_at: stored.created_at,
            expires_at: stored.expires_at,
            current: stored.hash == *token.as_bytes(),
        };
        let listed = found.into_iter().map(session).chain(tokens.into_iter().map(of_set_up));
        Ok(listed.filter(|listed| listed.expires_at.is_none_or(|end| end > now)).collect())
    }

    /// Ends one of one's sessions, at once: the one that asks if none is named.
    ///
    /// # Errors
    /// `unauthenticated`, `not_found`; `forbidden` for a token of set-up while there is no password.
    pub async fn sign_out(&self, token: TokenHash, id: Option<SignedInBy>, by: By) -> Result<(), Problem> {
        let user = self.person(token, by.now).await?;
        let id = match id {
            Some(SignedInBy::Token(id)) => return self.end_token_of_set_up(&user, id, by).await,
            Some(SignedInBy::Session(id)) => Some(id),
            None => None,
        };
        let found = self.0.store.sessions_of(user.id).await.map_err(Problem::internal)?;
        let session = found.into_iter().find(|session| match id {
            Some(id) => session.id == id,
            None => session.hash == *token.as_bytes(),
        });
        let session = session.ok_or_else(|| {
            Problem::not_found("session")
                .suggest("`tacit account sessions` lists them; a token of set-up ends by its id there")
        })?;
        let object = object(user.name.as_str(), session.id);
        let statements = vec![rows::delete_session(user.id, session.id)];
        self.change_person(&user, statements, Verb::SessionDelete, &object, by).await
    }

    /// Ends a token of set-up, if there is a password to come back with: else nobody could.
    async fn end_token_of_set_up(&self, user: &User, id: TokenId, by: By) -> Result<(), Problem> {
        let store = &self.0.store;
        let found = store.tokens_of_user(user.id).await.map_err(Problem::internal)?;
        if !found.iter().any(|token| token.id == id) {
            return Err(Problem::not_found("session"));
        }
        if store.password(user.id).await.map_err(Problem::internal)?.is_none() {
            return Err(Problem::new(
                Code::Forbidden,
                "without a password this token is the only way to sign in as you, so it does not end",
            )
            .suggest("set a password first: tacit account password"));
        }
        let object = Object::new(ObjectKind::Token, *id.as_bytes(), user.name.as_str());
        let statements = vec![principals::delete_token_of_user(user.id, id)];
        self.change_person(user, statements, Verb::TokenRevoke, &object, by).await
    }

    /// Ends all of one's sessions, and the token of set-up if there is a password to come back with.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub async fn sign_out_everywhere(&self, token: TokenHash, by: By) -> Result<(), Problem> {
        let user = self.person(token, by.now).await?;
        let mut statements = vec![rows::delete_sessions_but(user.id, None)];
        if self.0.store.password(user.id).await.map_err(Problem::internal)?.is_some() {
            statements.push(rows::delete_tokens_of_user(user.id));
        }
        let object = Object::new(ObjectKind::Session, [0; 16], user.name.as_str());
        self.change_person(&user, statements, Verb::SessionDelete, &object, by).await
    }
}

/// When, and in which request, somebody does something to their own account.
#[derive(Clone, Copy, Debug)]
pub struct By {
    /// The time of the request.
    pub now: Timestamp,
    /// The request's id, for the record; all zero where there is none.
    pub request_id: [u8; 16],
}

impl By {
    fn in_request(self) -> Option<[u8; 16]> {
        (self.request_id != [0; 16]).then_some(self.request_id)
    }
}
