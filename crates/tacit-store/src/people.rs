//! What belongs to people rather than to a workspace: passwords, sessions, second factors; and invitations to a workspace.

use tacit_model::{
    InvitationId, RoleRef, SecretName, SessionId, Timestamp, UserId, WorkspaceId, WorkspaceName,
};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// How a session is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A browser's cookie.
    Cookie,
    /// A token.
    Token,
}

impl SessionKind {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Token => "token",
        }
    }
}

/// Where a person is signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// SHA-256 of the cookie or token.
    pub hash: [u8; 32],
    /// The id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// How it is presented.
    pub kind: SessionKind,
    /// From which address it was begun.
    pub address: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A person's second factor.
#[derive(Clone, Debug)]
pub struct SecondFactor {
    /// Its key, wrapped.
    pub wrapped: Vec<u8>,
    /// Since when it counts; none while it waits for its first code.
    pub confirmed_at: Option<Timestamp>,
    /// The newest step of which a code was taken.
    pub last_step: i64,
}

/// An invitation to a workspace.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The id.
    pub id: InvitationId,
    /// SHA-256 of its token.
    pub token: [u8; 32],
    /// Who is invited.
    pub name: SecretName,
    /// The role that waits.
    pub role: RoleRef,
    /// Until when the membership will last.
    pub until: Option<Timestamp>,
    /// The 16 bytes of who invites.
    pub inviter: [u8; 16],
    /// The same in words.
    pub created_by: String,
    /// When made.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

fn session(mut row: Row) -> Result<Session, ReadError> {
    Ok(Session {
        hash: row.take()?,
        id: row.take()?,
        user: row.take()?,
        kind: if row.take::<String>()? == "cookie" { SessionKind::Cookie } else { SessionKind::Token },
        address: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
    })
}

fn invitation(mut row: Row) -> Result<Invitation, ReadError> {
    Ok(Invitation {
        id: row.take()?,
        token: row.take()?,
        name: row.parse()?,
        role: row.parse()?,
        until: row.take()?,
        inviter: row.take()?,
        created_by: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
    })
}

impl Store {
    /// How a person's password is stored, if there is one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn password(&self, user: UserId) -> Result<Option<String>, ReadError> {
        let found = self.row("SELECT hash FROM passwords WHERE user_id = ?1", &args![user]).await?;
        found.map(|mut row| row.take()).transpose()
    }

    /// The session with this hash.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn session(&self, hash: &[u8; 32]) -> Result<Option<Session>, ReadError> {
        const SQL: &str =
            "SELECT hash, id, user_id, kind, address, created_at, expires_at FROM sessions WHERE hash = ?1";
        self.row(SQL, &args![&hash[..]]).await?.map(session).transpose()
    }

    /// A person's sessions, newest first; those that have ended, too.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn sessions_of(&self, user: UserId) -> Result<Vec<Session>, ReadError> {
        const SQL: &str = "SELECT hash, id, user_id, kind, address, created_at, expires_at FROM sessions
             WHERE user_id = ?1 ORDER BY created_at DESC, id DESC";
        self.rows(SQL, &args![user]).await?.into_iter().map(session).collect()
    }

    /// A person's second factor.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, ReadError> {
        const SQL: &str = "SELECT sealed, confirmed_at, last_step FROM second_factors WHERE user_id = ?1";
        let factor = |mut row: Row| {
            Ok(SecondFactor { wrapped: row.take()?, confirmed_at: row.take()?, last_step: row.take()? })
        };
        self.row(SQL, &args![user]).await?.map(factor).transpose()
    }

    /// The hashes of a person's recovery codes that were not used.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn recovery_codes(&self, user: UserId) -> Result<Vec<[u8; 32]>, ReadError> {
        const SQL: &str = "SELECT hash FROM recovery_codes WHERE user_id = ?1";
        self.rows(SQL, &args![user]).await?.into_iter().map(|mut row| row.take()).collect()
    }

    /// The invitations of a workspace, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn invitations(&self, workspace: WorkspaceId) -> Result<Vec<Invitation>, ReadError> {
        const SQL: &str = "SELECT id, token, name, role, until, inviter, created_by, created_at, expires_at
             FROM invitations WHERE workspace = ?1 ORDER BY created_at, id";
        self.rows(SQL, &args![workspace]).await?.into_iter().map(invitation).collect()
    }

    /// To which workspace an invitation's token belongs. There is one token in the instance, so this is found without the
    /// workspace, and nothing else is.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workspace_of_invitation(
        &self,
        token: &[u8; 32],
    ) -> Result<Option<WorkspaceName>, ReadError> {
        const SQL: &str =
            "SELECT w.name FROM invitations i JOIN workspaces w ON w.id = i.workspace WHERE i.token = ?1";
        self.row(SQL, &args![&token[..]]).await?.map(|mut row| row.parse()).transpose()
    }
}

/// Keeps a password's hash instead of the one before.
pub fn set_password(user: UserId, hash: &str, now: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO passwords (user_id, hash, changed_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
        args![user, hash, now],
    )
}

/// Forgets a person's password: nobody signs in with one until there is another.
pub fn delete_password(user: UserId) -> Statement {
    Statement::new("DELETE FROM passwords WHERE user_id = ?1", args![user])
}

/// Fails the change if the password is another one by now, or is not enough any more: whoever proved it proved nothing.
pub fn password_is_still(user: UserId, hash: &str, was_enough: bool) -> Statement {
    Statement::exactly_one(
        "UPDATE passwords SET changed_at = changed_at WHERE user_id = ?1 AND hash = ?2
         AND NOT (?3 AND EXISTS (SELECT 1 FROM second_factors WHERE user_id = ?1 AND confirmed_at IS NOT NULL))",
        args![user, hash, was_enough],
    )
}

/// Keeps a session.
pub fn insert_session(session: &Session) -> Statement {
    Statement::new(
        "INSERT INTO sessions (hash, id, user_id, kind, address, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        args![
            &session.hash[..],
            session.id,
            session.user,
            session.kind.as_str(),
            session.address.as_str(),
            session.created_at,
            session.expires_at
        ],
    )
}

/// Ends a session.
pub fn delete_session(user: UserId, id: SessionId) -> Statement {
    Statement::exactly_one("DELETE FROM sessions WHERE user_id = ?1 AND id = ?2", args![user, id])
}

/// Ends a person's sessions but one.
pub fn delete_sessions_but(user: UserId, kept: Option<&[u8; 32]>) -> Statement {
    let kept: &[u8] = kept.map_or(&[], |hash| &hash[..]);
    Statement::new("DELETE FROM sessions WHERE user_id = ?1 AND hash <> ?2", args![user, kept])
}

/// Forgets a person's sessions that have ended by themselves.
pub fn delete_ended_sessions(user: UserId, now: Timestamp) -> Statement {
    Statement::new("DELETE FROM sessions WHERE user_id = ?1 AND expires_at <= ?2", args![user, now])
}

/// Ends the tokens that belong to a person without a session: the one of set-up.
pub fn delete_tokens_of_user(user: UserId) -> Statement {
    Statement::new("DELETE FROM tokens WHERE user_id = ?1", args![user])
}

/// Keeps a second factor that waits for its first code, instead of another one that waits.
pub fn enrol_second_factor(user: UserId, wrapped: &[u8]) -> Statement {
    Statement::exactly_one(
        "INSERT INTO second_factors (user_id, sealed, confirmed_at, last_step) VALUES (?1, ?2, NULL, 0)
         ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, last_step = 0
         WHERE second_factors.confirmed_at IS NULL",
        args![user, wrapped],
    )
}

/// Lets a second factor count from now on.
pub fn confirm_second_factor(user: UserId, step: i64, now: Timestamp) -> Statement {
    Statement::exactly_one(
        "UPDATE second_factors SET confirmed_at = ?3, last_step = ?2 WHERE user_id = ?1 AND confirmed_at IS NULL",
        args![user, step, now],
    )
}

/// Takes the code of a step, unless that of this step or a later one was taken.
pub fn take_code(user: UserId, step: i64) -> Statement {
    Statement::exactly_one(
        "UPDATE second_factors SET last_step = ?2 WHERE user_id = ?1 AND last_step < ?2 AND confirmed_at IS NOT NULL",
        args![user, step],
    )
}

/// Takes a recovery code.
pub fn take_recovery_code(user: UserId, hash: &[u8; 32]) -> Statement {
    Statement::exactly_one(
        "DELETE FROM recovery_codes WHERE user_id = ?1 AND hash = ?2",
        args![user, &hash[..]],
    )
}

/// Removes a second factor with its recovery codes.
pub fn delete_second_factor(user: UserId) -> [Statement; 2] {
    [
        Statement::new("DELETE FROM recovery_codes WHERE user_id = ?1", args![user]),
        Statement::exactly_one("DELETE FROM second_factors WHERE user_id = ?1", args![user]),
    ]
}

/// The same whether there is one or not, also one that waits for its first code.
pub fn clear_second_factor(user: UserId) -> [Statement; 2] {
    [
        Statement::new("DELETE FROM recovery_codes WHERE user_id = ?1", args![user]),
        Statement::new("DELETE FROM second_factors WHERE user_id = ?1", args![user]),
    ]
}

/// Keeps recovery codes instead of those before.
pub fn set_recovery_codes(user: UserId, hashes: &[[u8; 32]]) -> Vec<Statement> {
    let mut statements = vec![Statement::new("DELETE FROM recovery_codes WHERE user_id = ?1", args![user])];
    statements.extend(hashes.iter().map(|hash| {
        Statement::new("INSERT INTO recovery_codes (user_id, hash) VALUES (?1, ?2)", args![user, &hash[..]])
    }));
    statements
}

/// Makes an invitation.
pub fn insert_invitation(workspace: WorkspaceId, invitation: &Invitation) -> Statement {
    Statement::new(
        "INSERT INTO invitations (workspace, id, token, name, name_key, role, until, inviter, created_by, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        args![
            workspace,
            invitation.id,
            &invitation.token[..],
            invitation.name.as_str(),
            invitation.name.key(),
            invitation.role.to_string(),
            invitation.until,
            &invitation.inviter[..],
            invitation.created_by.as_str(),
            invitation.created_at,
            invitation.expires_at
        ],
    )
}

/// Takes an invitation back, or takes it as accepted: each counts once.
pub fn delete_invitation(workspace: WorkspaceId, id: InvitationId) -> Statement {
    Statement::exactly_one("DELETE FROM invitations WHERE workspace = ?1 AND id = ?2", args![workspace, id])
}
