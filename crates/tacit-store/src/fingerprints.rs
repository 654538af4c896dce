//! Which values are alike. A fingerprint is keyed, is only of values that nobody can guess, and never leaves the server.

use tacit_model::{EnvironmentId, SecretId, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    keys::{WrappedKey, narrow},
    secrets::{Secret, secret},
    value::{Row, args},
};

/// A value in force, as far as a comparison needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// The fingerprint; none of a value that somebody could guess.
    pub fingerprint: Option<[u8; 32]>,
    /// The fields that are not hidden, as JSON.
    pub shown: String,
}

/// A secret with its values in two environments.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The secret.
    pub secret: Secret,
    /// The value in the first environment.
    pub from: Option<Print>,
    /// The value in the second.
    pub to: Option<Print>,
}

fn print(row: &mut Row) -> Result<Option<Print>, ReadError> {
    let (fingerprint, shown): (_, Option<String>) = (row.take()?, row.take()?);
    Ok(shown.map(|shown| Print { fingerprint, shown }))
}

impl Store {
    /// Secrets by name, with their values in two environments.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn pairs(
        &self,
        workspace: WorkspaceId,
        from: EnvironmentId,
        to: EnvironmentId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Pair>, ReadError> {
        const SQL: &str = "SELECT ra.fingerprint, ra.shown, rb.fingerprint, rb.shown,
             s.id, s.name, s.kind, s.visibility, s.description, s.folder, s.destinations, s.rotate_every_days, s.expires_at,
             s.disabled, s.deleted_at, s.created_at, s.created_by, s.updated_at, s.proposed, s.suggested_destinations, s.rotate_at, s.purge_at
             FROM secrets s
             LEFT JOIN secret_values a ON a.workspace = ?1 AND a.secret = s.id AND a.environment = ?2
             LEFT JOIN secret_versions ra ON ra.workspace = ?1 AND ra.secret = s.id AND ra.environment = ?2 AND ra.version = a.current
             LEFT JOIN secret_values b ON b.workspace = ?1 AND b.secret = s.id AND b.environment = ?3
             LEFT JOIN secret_versions rb ON rb.workspace = ?1 AND rb.secret = s.id AND rb.environment = ?3 AND rb.version = b.current
             WHERE s.workspace = ?1 AND s.deleted_at IS NULL AND s.name_key > ?4 ORDER BY s.name_key LIMIT ?5";
        let rows = self.rows(SQL, &args![workspace, from, to, after, limit as i64]).await?;
        let pair = |mut row: Row| {
            let (from, to) = (print(&mut row)?, print(&mut row)?);
            Ok(Pair { from, to, secret: secret(row)? })
        };
        rows.into_iter().map(pair).collect()
    }

    /// Other secrets with a value in force of this fingerprint, in any environment, by name, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secrets_alike(
        &self,
        workspace: WorkspaceId,
        fingerprint: &[u8; 32],
        but: SecretId,
        limit: usize,
    ) -> Result<Vec<Secret>, ReadError> {
        const SQL: &str = "SELECT DISTINCT s.id, s.name, s.kind, s.visibility, s.description, s.folder, s.destinations, s.rotate_every_days,
             s.expires_at, s.disabled, s.deleted_at, s.created_at, s.created_by, s.updated_at, s.proposed, s.suggested_destinations, s.rotate_at, s.purge_at
             FROM secret_versions r JOIN secrets s ON s.workspace = r.workspace AND s.id = r.secret
             WHERE r.workspace = ?1 AND r.fingerprint = ?2 AND r.fingerprint IS NOT NULL AND r.replaced_at IS NULL
               AND r.secret <> ?3 AND s.deleted_at IS NULL
             ORDER BY s.name_key LIMIT ?4";
        let rows = self.rows(SQL, &args![workspace, *fingerprint, but, limit as i64]).await?;
        rows.into_iter().map(secret).collect()
    }

    /// A workspace's fingerprint keys, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn fingerprint_keys(&self, workspace: WorkspaceId) -> Result<Vec<WrappedKey>, ReadError> {
        const SQL: &str = "SELECT generation, parent, wrapped FROM fingerprint_keys WHERE workspace = ?1 ORDER BY generation DESC";
        let key = |mut row: Row| {
            Ok(WrappedKey {
                generation: narrow(row.take()?)?,
                parent: narrow(row.take()?)?,
                wrapped: row.take()?,
            })
        };
        self.rows(SQL, &args![workspace]).await?.into_iter().map(key).collect()
    }
}

/// Keeps a workspace's fingerprint key, unless there is one of this generation already.
pub fn insert_key(workspace: WorkspaceId, key: &WrappedKey) -> Statement {
    Statement::new(
        "INSERT INTO fingerprint_keys (workspace, generation, parent, wrapped) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        args![workspace, i64::from(key.generation), i64::from(key.parent), &key.wrapped[..]],
    )
}
