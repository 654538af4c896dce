//! Writes that were asked for with an `Idempotency-Key`, for as long as they are remembered. Of a request only a keyed
//! fingerprint is here, of an answer only what may be shown again.

use tacit_model::{Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// Under what a write is remembered: whose it was, on which route, with which key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WriteKey {
    /// The principal's id.
    pub principal: [u8; 16],
    /// Method and template of the route.
    pub route: String,
    /// The hash of the key.
    pub key: [u8; 32],
}

/// A write that was asked for.
#[derive(Clone, Debug)]
pub struct KeptWrite {
    /// A keyed fingerprint of the whole request.
    pub request: [u8; 32],
    /// The answer's status; none while it is going on, or if nobody knows how it ended.
    pub status: Option<i64>,
    /// The answer's `ETag`.
    pub etag: Option<String>,
    /// The answer's body, where it may be shown again.
    pub body: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl Store {
    /// What is remembered under a key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn kept_write(
        &self,
        workspace: WorkspaceId,
        key: &WriteKey,
    ) -> Result<Option<KeptWrite>, ReadError> {
        const SQL: &str = "SELECT request, status, etag, body, created_at FROM idempotency_keys
             WHERE workspace = ?1 AND principal = ?2 AND route = ?3 AND key = ?4";
        let kept = |mut row: Row| {
            Ok(KeptWrite {
                request: row.take()?,
                status: row.take()?,
                etag: row.take()?,
                body: row.take()?,
                created_at: row.take()?,
            })
        };
        let args = args![workspace, key.principal, key.route.as_str(), key.key];
        self.row(SQL, &args).await?.map(kept).transpose()
    }

    /// How many writes of before a time are remembered.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn kept_writes_before(
        &self,
        workspace: WorkspaceId,
        time: Timestamp,
    ) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM idempotency_keys WHERE workspace = ?1 AND created_at < ?2";
        self.row(SQL, &args![workspace, time]).await?.map_or(Ok(0), |mut row| row.take())
    }
}

/// Remembers that a write begins.
pub fn begin(workspace: WorkspaceId, key: &WriteKey, request: &[u8; 32], now: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO idempotency_keys (workspace, principal, route, key, request, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        args![workspace, key.principal, key.route.as_str(), key.key, *request, now],
    )
}

/// Remembers how a write ended.
pub fn finish(
    workspace: WorkspaceId,
    key: &WriteKey,
    status: u16,
    etag: Option<&str>,
    body: Option<&str>,
) -> Statement {
    Statement::new(
        "UPDATE idempotency_keys SET status = ?5, etag = ?6, body = ?7
         WHERE workspace = ?1 AND principal = ?2 AND route = ?3 AND key = ?4",
        args![workspace, key.principal, key.route.as_str(), key.key, i64::from(status), etag, body],
    )
}

/// Forgets a write: nothing was done, or it is long ago.
pub fn forget(workspace: WorkspaceId, key: &WriteKey) -> Statement {
    Statement::new(
        "DELETE FROM idempotency_keys WHERE workspace = ?1 AND principal = ?2 AND route = ?3 AND key = ?4",
        args![workspace, key.principal, key.route.as_str(), key.key],
    )
}

/// Forgets what was asked for before a time.
pub fn forget_before(workspace: WorkspaceId, time: Timestamp) -> Statement {
    Statement::new(
        "DELETE FROM idempotency_keys WHERE workspace = ?1 AND created_at < ?2",
        args![workspace, time],
    )
}
