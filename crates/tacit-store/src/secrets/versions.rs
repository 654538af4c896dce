//! Values of secrets and their versions. Everything that is secret in them is sealed before it gets here.

use tacit_model::{EnvironmentId, SecretId, SecretName, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store, tokens,
    value::{Row, args},
};

/// A secret's value in one environment: which version is current.
#[derive(Clone, Debug)]
pub struct Value {
    /// The environment.
    pub environment: EnvironmentId,
    /// The version in force.
    pub current: i64,
    /// The highest version there ever was.
    pub latest: i64,
    /// Whether it is switched off here.
    pub disabled: bool,
    /// When the current version was written.
    pub set_at: Timestamp,
    /// The current version's fields that are not hidden, as JSON.
    pub shown: String,
}

/// One version of a value.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its number, from 1.
    pub version: i64,
    /// The sealed record.
    pub sealed: Vec<u8>,
    /// The fields that are not hidden, as JSON.
    pub shown: String,
    /// When written.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// The id of the reason its author gave.
    pub reason: Option<[u8; 16]>,
    /// The keyed fingerprint, of a value that nobody can guess.
    pub fingerprint: Option<[u8; 32]>,
}

/// What is known of a version for as long as its secret is there.
#[derive(Clone, Debug)]
pub struct VersionHistory {
    /// Its number, from 1.
    pub version: i64,
    /// When written.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Why, as its author said.
    pub reason: Option<String>,
    /// When its ciphertext was destroyed.
    pub destroyed_at: Option<Timestamp>,
}

/// A version that is to be destroyed.
#[derive(Clone, Debug)]
pub struct PastVersion {
    /// Its secret.
    pub secret: SecretId,
    /// The secret's name.
    pub name: SecretName,
    /// Its environment.
    pub environment: EnvironmentId,
    /// Its number.
    pub version: i64,
}

impl Store {
    /// In which environments a secret has a value.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn values(&self, workspace: WorkspaceId, secret: SecretId) -> Result<Vec<Value>, ReadError> {
        const SQL: &str = "SELECT v.environment, v.current, v.latest, v.disabled, r.created_at, r.shown
             FROM secret_values v JOIN secret_versions r
               ON r.workspace = v.workspace AND r.secret = v.secret AND r.environment = v.environment AND r.version = v.current
             WHERE v.workspace = ?1 AND v.secret = ?2 AND v.current > 0";
        let value = |mut row: Row| {
            Ok(Value {
                environment: row.take()?,
                current: row.take()?,
                latest: row.take()?,
                disabled: row.take()?,
                set_at: row.take()?,
                shown: row.take()?,
            })
        };
        self.rows(SQL, &args![workspace, secret]).await?.into_iter().map(value).collect()
    }

    /// The highest version number ever used in an environment; 0 for none. It outlives the value itself.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn latest_version(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
        environment: EnvironmentId,
    ) -> Result<i64, ReadError> {
        const SQL: &str =
            "SELECT latest FROM secret_values WHERE workspace = ?1 AND secret = ?2 AND environment = ?3";
        self.row(SQL, &args![workspace, secret, environment]).await?.map_or(Ok(0), |mut row| row.take())
    }

    /// The kept versions of a value, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn versions(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
        environment: EnvironmentId,
    ) -> Result<Vec<Version>, ReadError> {
        const SQL: &str = "SELECT version, sealed, shown, created_at, created_by, reason, fingerprint FROM secret_versions
             WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND destroyed_at IS NULL ORDER BY version DESC";
        let version = |mut row: Row| {
            Ok(Version {
                version: row.take()?,
                sealed: row.take()?,
                shown: row.take()?,
                created_at: row.take()?,
                created_by: row.take()?,
                reason: row.take()?,
                fingerprint: row.take()?,
            })
        };
        self.rows(SQL, &args![workspace, secret, environment]).await?.into_iter().map(version).collect()
    }

    /// The newest versions there ever were of a value, destroyed ones included, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn version_history(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
        environment: EnvironmentId,
        limit: usize,
    ) -> Result<Vec<VersionHistory>, ReadError> {
        const SQL: &str = "SELECT v.version, v.created_at, v.created_by, r.text, v.destroyed_at
             FROM secret_versions v LEFT JOIN reasons r ON r.workspace = v.workspace AND r.id = v.reason
             WHERE v.workspace = ?1 AND v.secret = ?2 AND v.environment = ?3 ORDER BY v.version DESC LIMIT ?4";
        let version = |mut row: Row| {
            Ok(VersionHistory {
                version: row.take()?,
                created_at: row.take()?,
                created_by: row.take()?,
                reason: row.take()?,
                destroyed_at: row.take()?,
            })
        };
        let rows = self.rows(SQL, &args![workspace, secret, environment, limit as i64]).await?;
        rows.into_iter().map(version).collect()
    }

    /// Earlier versions that are past their window: replaced before a time, or, if `count` is given, with that many newer
    /// ones. At most `limit`, each with its secret's name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn versions_past_window(
        &self,
        workspace: WorkspaceId,
        replaced_before: Timestamp,
        count: Option<i64>,
        limit: usize,
    ) -> Result<Vec<PastVersion>, ReadError> {
        const BY_AGE: &str = "SELECT v.secret, s.name, v.environment, v.version FROM secret_versions v
             JOIN secrets s ON s.workspace = v.workspace AND s.id = v.secret
             WHERE v.workspace = ?1 AND v.destroyed_at IS NULL AND v.replaced_at IS NOT NULL AND v.replaced_at < ?2
             ORDER BY v.replaced_at LIMIT ?3";
        const BY_COUNT: &str = "SELECT v.secret, s.name, v.environment, v.version FROM secret_versions v
             JOIN secrets s ON s.workspace = v.workspace AND s.id = v.secret
             JOIN secret_values c ON c.workspace = v.workspace AND c.secret = v.secret AND c.environment = v.environment
             WHERE v.workspace = ?1 AND v.destroyed_at IS NULL AND v.replaced_at IS NOT NULL AND v.version <= c.latest - ?2
             LIMIT ?3";
        let past = |mut row: Row| {
            Ok(PastVersion {
                secret: row.take()?,
                name: row.parse()?,
                environment: row.take()?,
                version: row.take()?,
            })
        };
        let rows = match count {
            None => self.rows(BY_AGE, &args![workspace, replaced_before, limit as i64]).await?,
            Some(count) => self.rows(BY_COUNT, &args![workspace, count, limit as i64]).await?,
        };
        rows.into_iter().map(past).collect()
    }

    /// How many earlier versions a window would destroy: those replaced before a time or with `count` newer ones; of all
    /// environments, or only of protected ones.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn versions_beyond(
        &self,
        workspace: WorkspaceId,
        replaced_before: Timestamp,
        count: i64,
        only_protected: bool,
    ) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM secret_versions v
             JOIN secret_values c ON c.workspace = v.workspace AND c.secret = v.secret AND c.environment = v.environment
             JOIN environments e ON e.workspace = v.workspace AND e.id = v.environment
             WHERE v.workspace = ?1 AND v.destroyed_at IS NULL AND v.replaced_at IS NOT NULL
               AND (v.replaced_at < ?2 OR v.version <= c.latest - ?3) AND e.protected >= ?4";
        let row = self.row(SQL, &args![workspace, replaced_before, count, only_protected]).await?;
        row.map_or(Ok(0), |mut row| row.take())
    }
}

/// Adds a version and makes it current; what was current is replaced from then on.
pub fn insert_version(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    version: &Version,
) -> [Statement; 4] {
    [
        Statement::new(
            "UPDATE secret_versions SET replaced_at = ?4 WHERE workspace = ?1 AND secret = ?2 AND environment = ?3
             AND version = (SELECT current FROM secret_values WHERE workspace = ?1 AND secret = ?2 AND environment = ?3)",
            args![workspace, secret, environment, version.created_at],
        ),
        Statement::new(
            "INSERT INTO secret_versions (workspace, secret, environment, version, sealed, shown, created_at, created_by, reason, fingerprint)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            args![
                workspace,
                secret,
                environment,
                version.version,
                &version.sealed[..],
                version.shown.as_str(),
                version.created_at,
                version.created_by.as_str(),
                version.reason,
                version.fingerprint
            ],
        ),
        Statement::new(
            "INSERT INTO secret_values (workspace, secret, environment, current, latest, disabled) VALUES (?1, ?2, ?3, ?4, ?4, 0)
             ON CONFLICT (workspace, secret, environment) DO UPDATE SET current = excluded.current, latest = excluded.latest",
            args![workspace, secret, environment, version.version],
        ),
        refresh_dates(workspace, secret),
    ]
}

/// Works out anew when a secret is due to be rotated: from the oldest of its values in force.
pub(super) fn refresh_dates(workspace: WorkspaceId, secret: SecretId) -> Statement {
    Statement::new(
        "UPDATE secrets SET rotate_at = rotate_every_days * 86400000 + (
             SELECT min(r.created_at) FROM secret_values v JOIN secret_versions r
               ON r.workspace = v.workspace AND r.secret = v.secret AND r.environment = v.environment AND r.version = v.current
             WHERE v.workspace = ?1 AND v.secret = ?2 AND v.current > 0)
         WHERE workspace = ?1 AND id = ?2",
        args![workspace, secret],
    )
}

/// Replaces the sealed record of one version (its policy or key changed, its value did not).
pub fn reseal_version(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    version: i64,
    sealed: &[u8],
) -> Statement {
    Statement::exactly_one(
        "UPDATE secret_versions SET sealed = ?5 WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND version = ?4
         AND destroyed_at IS NULL",
        args![workspace, secret, environment, version, sealed],
    )
}

/// Destroys one version: its ciphertext and what was shown of it. Its number, its author and its dates stay.
pub fn destroy_version(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    version: i64,
    now: Timestamp,
) -> Statement {
    Statement::exactly_one(
        "UPDATE secret_versions SET sealed = x'', shown = '{}', fingerprint = NULL, destroyed_at = ?5, replaced_at = coalesce(replaced_at, ?5)
         WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND version = ?4 AND destroyed_at IS NULL",
        args![workspace, secret, environment, version, now],
    )
}

/// Takes a value away in one environment, and the tokens that were fetched with it. Its versions are for
/// [`destroy_version`]; their numbers are not given again.
pub fn delete_value(workspace: WorkspaceId, secret: SecretId, environment: EnvironmentId) -> [Statement; 3] {
    [
        tokens::delete(workspace, secret, Some(environment)),
        Statement::exactly_one(
            "UPDATE secret_values SET current = 0, disabled = 0 WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND current > 0",
            args![workspace, secret, environment],
        ),
        refresh_dates(workspace, secret),
    ]
}

/// Switches a value off or on in one environment.
pub fn set_value_disabled(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    disabled: bool,
) -> Statement {
    Statement::exactly_one(
        "UPDATE secret_values SET disabled = ?4 WHERE workspace = ?1 AND secret = ?2 AND environment = ?3",
        args![workspace, secret, environment, disabled],
    )
}
