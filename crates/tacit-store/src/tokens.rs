//! Access tokens that were fetched with client credentials. They are sealed before they get here.

use tacit_model::{EnvironmentId, SecretId, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// Tokens of one value that are kept. Short-lived ones would otherwise become more than an answer can be searched for.
const KEPT_MAX: i64 = 16;

/// A fetched token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// Its number: later ones are greater.
    pub serial: i64,
    /// With which version of the value it was fetched.
    pub version: i64,
    /// The sealed record.
    pub sealed: Vec<u8>,
    /// Until when it is sent.
    pub usable_until: Timestamp,
    /// Until when answers are searched for it.
    pub kept_until: Timestamp,
    /// Whether it is not sent any more, whatever its time.
    pub ended: bool,
}

impl Store {
    /// The kept tokens of a value, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn access_tokens(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
        environment: EnvironmentId,
    ) -> Result<Vec<AccessToken>, ReadError> {
        const SQL: &str = "SELECT serial, version, sealed, usable_until, kept_until, ended FROM access_tokens
             WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 ORDER BY serial DESC";
        let token = |mut row: Row| {
            Ok(AccessToken {
                serial: row.take()?,
                version: row.take()?,
                sealed: row.take()?,
                usable_until: row.take()?,
                kept_until: row.take()?,
                ended: row.take()?,
            })
        };
        self.rows(SQL, &args![workspace, secret, environment]).await?.into_iter().map(token).collect()
    }

    /// How many tokens of a workspace are kept past their time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn access_tokens_past(&self, workspace: WorkspaceId, now: Timestamp) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM access_tokens WHERE workspace = ?1 AND kept_until < ?2";
        self.row(SQL, &args![workspace, now]).await?.map_or(Ok(0), |mut row| row.take())
    }
}

/// Keeps a token, unless the version it was fetched with is gone; and forgets those of the value that are past their time
/// or too many. Where another process was faster with the same number, its token stays.
pub fn insert(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    token: &AccessToken,
    now: Timestamp,
) -> [Statement; 2] {
    [
        Statement::new(
            "DELETE FROM access_tokens WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND (kept_until < ?4
               OR serial <= (SELECT serial FROM access_tokens WHERE workspace = ?1 AND secret = ?2 AND environment = ?3
                   ORDER BY serial DESC LIMIT 1 OFFSET ?5))",
            args![workspace, secret, environment, now, KEPT_MAX - 1],
        ),
        Statement::new(
            "INSERT INTO access_tokens (workspace, secret, environment, serial, version, sealed, usable_until, kept_until, ended)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM secret_versions
               WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND version = ?5 AND destroyed_at IS NULL)
             ON CONFLICT DO NOTHING",
            args![
                workspace,
                secret,
                environment,
                token.serial,
                token.version,
                &token.sealed[..],
                token.usable_until,
                token.kept_until,
                token.ended
            ],
        ),
    ]
}

/// From now on no token of a secret is sent that was fetched before; of one environment, or of all. Answers are still
/// searched for them.
pub fn end(workspace: WorkspaceId, secret: SecretId, environment: Option<EnvironmentId>) -> Statement {
    Statement::new(
        "UPDATE access_tokens SET ended = 1 WHERE workspace = ?1 AND secret = ?2 AND (?3 IS NULL OR environment = ?3)",
        args![workspace, secret, environment],
    )
}

/// Replaces the sealed record of a token (its policy or key changed, it did not).
pub fn reseal(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    serial: i64,
    sealed: &[u8],
) -> Statement {
    Statement::new(
        "UPDATE access_tokens SET sealed = ?5 WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND serial = ?4",
        args![workspace, secret, environment, serial, sealed],
    )
}

/// Forgets the tokens of a secret; of one environment, or of all.
pub fn delete(workspace: WorkspaceId, secret: SecretId, environment: Option<EnvironmentId>) -> Statement {
    Statement::new(
        "DELETE FROM access_tokens WHERE workspace = ?1 AND secret = ?2 AND (?3 IS NULL OR environment = ?3)",
        args![workspace, secret, environment],
    )
}

/// Forgets what is past its time.
pub fn delete_past(workspace: WorkspaceId, now: Timestamp) -> Statement {
    Statement::new(
        "DELETE FROM access_tokens WHERE workspace = ?1 AND kept_until < ?2",
        args![workspace, now],
    )
}
