//! Agents' sessions. Only the hash of a session's token is stored.

use tacit_model::{AgentSessionId, SecretName, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// An agent's session.
#[derive(Clone, Debug)]
pub struct AgentSession {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The id.
    pub id: AgentSessionId,
    /// SHA-256 of its token.
    pub token: [u8; 32],
    /// SHA-256 of the token that asked for it.
    pub creator: [u8; 32],
    /// The id of whom that token belongs to.
    pub principal: [u8; 16],
    /// As the record names its creator.
    pub created_by: String,
    /// What the agent is called.
    pub name: SecretName,
    /// Requests it is limited to.
    pub requests_max: i64,
    /// When made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

fn session(mut row: Row) -> Result<AgentSession, ReadError> {
    Ok(AgentSession {
        workspace: row.take()?,
        id: row.take()?,
        token: row.take()?,
        creator: row.take()?,
        principal: row.take()?,
        created_by: row.take()?,
        name: row.parse()?,
        requests_max: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
        ended_at: row.take()?,
    })
}

impl Store {
    /// The session with this token's hash, ended ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn agent_session_of_token(&self, token: &[u8; 32]) -> Result<Option<AgentSession>, ReadError> {
        const SQL: &str = "SELECT workspace, id, token, creator, principal, created_by, name, requests_max, created_at, expires_at, ended_at
             FROM agent_sessions WHERE token = ?1";
        self.row(SQL, &args![*token]).await?.map(session).transpose()
    }

    /// A session, ended ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn agent_session(
        &self,
        workspace: WorkspaceId,
        id: AgentSessionId,
    ) -> Result<Option<AgentSession>, ReadError> {
        const SQL: &str = "SELECT workspace, id, token, creator, principal, created_by, name, requests_max, created_at, expires_at, ended_at
             FROM agent_sessions WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(session).transpose()
    }

    /// Sessions, open ones first and newest first: those that one principal made, or everybody's.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn agent_sessions(
        &self,
        workspace: WorkspaceId,
        of: Option<&[u8; 16]>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<AgentSession>, ReadError> {
        const SQL: &str = "SELECT workspace, id, token, creator, principal, created_by, name, requests_max, created_at, expires_at, ended_at
             FROM agent_sessions WHERE workspace = ?1 AND (?2 IS NULL OR principal = ?2)
             ORDER BY (ended_at IS NOT NULL OR expires_at <= ?3), id DESC LIMIT ?4";
        let args = args![workspace, of.copied(), now, limit as i64];
        self.rows(SQL, &args).await?.into_iter().map(session).collect()
    }

    /// The sessions of a workspace that nobody ended and whose time is not over; only those that one principal made, if
    /// one is named.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn open_agent_sessions(
        &self,
        workspace: WorkspaceId,
        of: Option<&[u8; 16]>,
        now: Timestamp,
    ) -> Result<Vec<AgentSession>, ReadError> {
        const SQL: &str = "SELECT workspace, id, token, creator, principal, created_by, name, requests_max, created_at, expires_at, ended_at
             FROM agent_sessions WHERE workspace = ?1 AND (?2 IS NULL OR principal = ?2) AND ended_at IS NULL AND expires_at > ?3
             ORDER BY id";
        self.rows(SQL, &args![workspace, of.copied(), now]).await?.into_iter().map(session).collect()
    }

    /// How many sessions ended before a time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn agent_sessions_ended_before(
        &self,
        workspace: WorkspaceId,
        time: Timestamp,
    ) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM agent_sessions WHERE workspace = ?1 AND coalesce(ended_at, expires_at) < ?2";
        self.row(SQL, &args![workspace, time]).await?.map_or(Ok(0), |mut row| row.take())
    }
}

/// Makes a session.
pub fn insert(session: &AgentSession) -> Statement {
    Statement::new(
        "INSERT INTO agent_sessions (workspace, id, token, creator, principal, created_by, name, requests_max, created_at, expires_at, ended_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        args![
            session.workspace,
            session.id,
            session.token,
            session.creator,
            session.principal,
            session.created_by.as_str(),
            session.name.as_str(),
            session.requests_max,
            session.created_at,
            session.expires_at,
            session.ended_at
        ],
    )
}

/// Ends a session that nobody ended yet.
pub fn end(workspace: WorkspaceId, id: AgentSessionId, now: Timestamp) -> Statement {
    Statement::exactly_one(
        "UPDATE agent_sessions SET ended_at = ?3 WHERE workspace = ?1 AND id = ?2 AND ended_at IS NULL",
        args![workspace, id, now],
    )
}

/// Forgets the sessions that ended before a time.
pub fn delete_ended_before(workspace: WorkspaceId, time: Timestamp) -> Statement {
    Statement::new(
        "DELETE FROM agent_sessions WHERE workspace = ?1 AND coalesce(ended_at, expires_at) < ?2",
        args![workspace, time],
    )
}
