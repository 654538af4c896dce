//! Secrets, their values and versions. Everything that is secret in them is sealed before it gets here.

use tacit_model::{
    Destinations, EnvironmentId, SecretId, SecretName, SecretType, Timestamp, Visibility, WorkspaceId,
    destination::HostPattern, name::Folder,
};

use crate::{
    ReadError, Statement, Store,
    value::{Row, Val, args},
};

/// A secret without its values.
#[derive(Clone, Debug)]
pub struct Secret {
    /// The id.
    pub id: SecretId,
    /// The name.
    pub name: SecretName,
    /// The type.
    pub kind: SecretType,
    /// Who may ever look.
    pub visibility: Visibility,
    /// Free text.
    pub description: String,
    /// The folder.
    pub folder: Folder,
    /// Where values may go.
    pub destinations: Destinations,
    /// After how many days a rotation is due.
    pub rotate_every_days: Option<i64>,
    /// When the credential ends.
    pub expires_at: Option<Timestamp>,
    /// Whether it is switched off in every environment.
    pub disabled: bool,
    /// When it was deleted, if it still can be restored.
    pub deleted_at: Option<Timestamp>,
    /// When made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When last changed.
    pub updated_at: Timestamp,
    /// Whether it is an empty slot that somebody proposed and nobody filled yet.
    pub proposed: bool,
    /// Where its proposer would have it go. Not in force.
    pub suggested_destinations: Destinations,
}

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
}

fn secret(mut row: Row) -> Result<Secret, ReadError> {
    let bad = |_| ReadError("a secret's row does not parse".to_owned());
    Ok(Secret {
        id: row.take()?,
        name: row.parse()?,
        kind: row.take::<String>()?.parse().map_err(bad)?,
        visibility: row.take::<String>()?.parse().map_err(bad)?,
        description: row.take()?,
        folder: row.parse()?,
        destinations: destinations(&row.take::<String>()?)?,
        rotate_every_days: row.take()?,
        expires_at: row.take()?,
        disabled: row.take()?,
        deleted_at: row.take()?,
        created_at: row.take()?,
        created_by: row.take()?,
        updated_at: row.take()?,
        proposed: row.take()?,
        suggested_destinations: destinations(&row.take::<String>()?)?,
    })
}

fn destinations(text: &str) -> Result<Destinations, ReadError> {
    serde_json::from_str(text).map_err(|_| ReadError("a secret's destinations do not parse".to_owned()))
}

/// What a list of secrets may be narrowed by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name, the description or the folder, ignoring ASCII case.
    pub search: Option<String>,
    /// Only this type.
    pub kind: Option<SecretType>,
    /// Only this folder and those below.
    pub folder: Option<String>,
    /// Only with a value in this environment.
    pub environment: Option<EnvironmentId>,
    /// Only switched off, or only not.
    pub disabled: Option<bool>,
    /// Only proposals, or only others.
    pub proposed: Option<bool>,
    /// Deleted ones instead of the others.
    pub deleted: bool,
    /// Only after this name key.
    pub after: Option<String>,
    /// Rows at most.
    pub limit: usize,
}

impl Store {
    /// A secret by name, deleted ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secret(&self, workspace: WorkspaceId, name_key: &str) -> Result<Option<Secret>, ReadError> {
        const SQL: &str = "SELECT id, name, kind, visibility, description, folder, destinations, rotate_every_days, expires_at, disabled,
             deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations FROM secrets WHERE workspace = ?1 AND name_key = ?2";
        self.row(SQL, &args![workspace, name_key]).await?.map(secret).transpose()
    }

    /// A secret by id, deleted ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secret_by_id(
        &self,
        workspace: WorkspaceId,
        id: SecretId,
    ) -> Result<Option<Secret>, ReadError> {
        const SQL: &str = "SELECT id, name, kind, visibility, description, folder, destinations, rotate_every_days, expires_at, disabled,
             deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations FROM secrets WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(secret).transpose()
    }

    /// Secrets by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secrets(&self, workspace: WorkspaceId, filter: &Filter) -> Result<Vec<Secret>, ReadError> {
        const SQL: &str = "SELECT id, name, kind, visibility, description, folder, destinations, rotate_every_days, expires_at, disabled,
             deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations FROM secrets s
             WHERE workspace = ?1 AND (deleted_at IS NOT NULL) = ?9 AND name_key > ?2
               AND (?3 IS NULL OR kind = ?3)
               AND (?4 IS NULL OR folder = ?4 OR substr(folder, 1, length(?4) + 1) = ?4 || '/')
               AND (?5 IS NULL OR EXISTS (SELECT 1 FROM secret_values v WHERE v.workspace = ?1 AND v.secret = s.id AND v.environment = ?5))
               AND (?6 IS NULL OR instr(name_key, ?6) > 0 OR instr(lower(description), ?6) > 0 OR instr(lower(folder), ?6) > 0)
               AND (?7 IS NULL OR disabled = ?7) AND (?10 IS NULL OR proposed = ?10)
             ORDER BY name_key LIMIT ?8";
        let args = args![
            workspace,
            filter.after.clone().unwrap_or_default(),
            filter.kind.map(SecretType::as_str),
            filter.folder.as_deref(),
            filter.environment,
            filter.search.as_ref().map(|text| text.to_lowercase()),
            filter.disabled,
            filter.limit as i64,
            filter.deleted,
            filter.proposed,
        ];
        self.rows(SQL, &args).await?.into_iter().map(secret).collect()
    }

    /// How many secrets a workspace has, deleted ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secrets_count(&self, workspace: WorkspaceId) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM secrets WHERE workspace = ?1";
        self.row(SQL, &args![workspace]).await?.map_or(Ok(0), |mut row| row.take())
    }

    /// The secrets bound to a host or ever sent to it, deleted ones included (what was sent can still come back), at
    /// most `limit`; with each, whether it was sent there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secrets_at_host(
        &self,
        workspace: WorkspaceId,
        host_keys: &[String],
        limit: usize,
    ) -> Result<Vec<(Secret, bool)>, ReadError> {
        const SQL: &str = "SELECT max(h.sent), s.id, s.name, s.kind, s.visibility, s.description, s.folder, s.destinations,
             s.rotate_every_days, s.expires_at, s.disabled, s.deleted_at, s.created_at, s.created_by, s.updated_at,
             s.proposed, s.suggested_destinations
             FROM (SELECT secret, 0 AS sent FROM secret_hosts WHERE workspace = ?1 AND host_key IN (?2, ?3)
                   UNION ALL SELECT secret, 1 AS sent FROM secret_sent WHERE workspace = ?1 AND host_key = ?2) h
             JOIN secrets s ON s.workspace = ?1 AND s.id = h.secret GROUP BY s.id ORDER BY s.id LIMIT ?4";
        let key = |at: usize| host_keys.get(at).cloned().map_or(Val::Null, Val::Text);
        let rows = self.rows(SQL, &[workspace.into(), key(0), key(1), (limit as i64).into()]).await?;
        rows.into_iter()
            .map(|mut row| {
                let sent = row.take()?;
                Ok((secret(row)?, sent))
            })
            .collect()
    }

    /// How many proposals of a workspace wait for a value.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn proposals_count(&self, workspace: WorkspaceId) -> Result<i64, ReadError> {
        const SQL: &str =
            "SELECT count(*) FROM secrets WHERE workspace = ?1 AND proposed = 1 AND deleted_at IS NULL";
        self.row(SQL, &args![workspace]).await?.map_or(Ok(0), |mut row| row.take())
    }

    /// Secrets that were deleted before a time and are still kept.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn deleted_before(
        &self,
        workspace: WorkspaceId,
        time: Timestamp,
    ) -> Result<Vec<Secret>, ReadError> {
        const SQL: &str = "SELECT id, name, kind, visibility, description, folder, destinations, rotate_every_days, expires_at, disabled,
             deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations FROM secrets WHERE workspace = ?1 AND deleted_at < ?2";
        self.rows(SQL, &args![workspace, time]).await?.into_iter().map(secret).collect()
    }

    /// In which environments a secret has a value.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn values(&self, workspace: WorkspaceId, secret: SecretId) -> Result<Vec<Value>, ReadError> {
        const SQL: &str = "SELECT v.environment, v.current, v.latest, v.disabled, r.created_at, r.shown
             FROM secret_values v JOIN secret_versions r
               ON r.workspace = v.workspace AND r.secret = v.secret AND r.environment = v.environment AND r.version = v.current
             WHERE v.workspace = ?1 AND v.secret = ?2";
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
        const SQL: &str = "SELECT version, sealed, shown, created_at, created_by FROM secret_versions
             WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 ORDER BY version DESC";
        let version = |mut row: Row| {
            Ok(Version {
                version: row.take()?,
                sealed: row.take()?,
                shown: row.take()?,
                created_at: row.take()?,
                created_by: row.take()?,
            })
        };
        self.rows(SQL, &args![workspace, secret, environment]).await?.into_iter().map(version).collect()
    }
}

/// Reserves a name for a secret or a variable.
pub(crate) fn insert_name(workspace: WorkspaceId, name: &SecretName, owner: &[u8; 16]) -> Statement {
    Statement::new(
        "INSERT INTO names (workspace, name_key, owner) VALUES (?1, ?2, ?3)",
        args![workspace, name.key(), &owner[..]],
    )
}

/// Frees a name.
pub(crate) fn delete_name(workspace: WorkspaceId, name: &SecretName) -> Statement {
    Statement::new("DELETE FROM names WHERE workspace = ?1 AND name_key = ?2", args![workspace, name.key()])
}

/// Makes a secret and reserves its name.
pub fn insert(workspace: WorkspaceId, secret: &Secret) -> Vec<Statement> {
    let mut statements = vec![
        insert_name(workspace, &secret.name, secret.id.as_bytes()),
        Statement::new(
            "INSERT INTO secrets (workspace, id, name, name_key, kind, visibility, description, folder, destinations, rotate_every_days,
             expires_at, disabled, deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
            args![
                workspace,
                secret.id,
                secret.name.as_str(),
                secret.name.key(),
                secret.kind.as_str(),
                secret.visibility.as_str(),
                secret.description.as_str(),
                secret.folder.as_str(),
                policy_text(&secret.destinations),
                secret.rotate_every_days,
                secret.expires_at,
                secret.disabled,
                secret.deleted_at,
                secret.created_at,
                secret.created_by.as_str(),
                secret.updated_at,
                secret.proposed,
                policy_text(&secret.suggested_destinations)
            ],
        ),
    ];
    statements.extend(host_rows(workspace, secret));
    statements
}

/// Writes what may be changed of a secret: description, folder, destinations, dates, state.
pub fn update(workspace: WorkspaceId, secret: &Secret) -> Vec<Statement> {
    let mut statements = vec![
        Statement::exactly_one(
            "UPDATE secrets SET description = ?3, folder = ?4, destinations = ?5, rotate_every_days = ?6, expires_at = ?7, disabled = ?8,
             deleted_at = ?9, updated_at = ?10, proposed = ?11, suggested_destinations = ?12 WHERE workspace = ?1 AND id = ?2",
            args![
                workspace,
                secret.id,
                secret.description.as_str(),
                secret.folder.as_str(),
                policy_text(&secret.destinations),
                secret.rotate_every_days,
                secret.expires_at,
                secret.disabled,
                secret.deleted_at,
                secret.updated_at,
                secret.proposed,
                policy_text(&secret.suggested_destinations)
            ],
        ),
        Statement::new("DELETE FROM secret_hosts WHERE workspace = ?1 AND secret = ?2", args![workspace, secret.id]),
    ];
    statements.extend(host_rows(workspace, secret));
    statements
}

/// A proposal got a value: it is a secret like any other, and what was suggested for it is forgotten.
pub fn accept_proposal(workspace: WorkspaceId, secret: SecretId) -> Statement {
    Statement::exactly_one(
        "UPDATE secrets SET proposed = 0, suggested_destinations = '[]' WHERE workspace = ?1 AND id = ?2",
        args![workspace, secret],
    )
}

/// Remembers that a value was sent to a host.
pub fn insert_sent(workspace: WorkspaceId, secret: SecretId, host_key: &str) -> Statement {
    Statement::new(
        "INSERT INTO secret_sent (workspace, host_key, secret) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        args![workspace, host_key, secret],
    )
}

/// Removes a secret with all its values and frees its name.
pub fn purge(workspace: WorkspaceId, secret: &Secret) -> [Statement; 6] {
    let key = || args![workspace, secret.id];
    [
        Statement::new("DELETE FROM secret_sent WHERE workspace = ?1 AND secret = ?2", key()),
        Statement::new("DELETE FROM secret_hosts WHERE workspace = ?1 AND secret = ?2", key()),
        Statement::new("DELETE FROM secret_versions WHERE workspace = ?1 AND secret = ?2", key()),
        Statement::new("DELETE FROM secret_values WHERE workspace = ?1 AND secret = ?2", key()),
        delete_name(workspace, &secret.name),
        Statement::exactly_one("DELETE FROM secrets WHERE workspace = ?1 AND id = ?2", key()),
    ]
}

fn policy_text(destinations: &Destinations) -> String {
    String::from_utf8(destinations.canonical_bytes()).expect("JSON is UTF-8")
}

fn host_rows(workspace: WorkspaceId, secret: &Secret) -> Vec<Statement> {
    let keys: std::collections::BTreeSet<String> =
        secret.destinations.0.iter().map(|d| HostPattern::index_key(&d.host)).collect();
    let row = |key| {
        Statement::new(
            "INSERT INTO secret_hosts (workspace, host_key, secret) VALUES (?1, ?2, ?3)",
            args![workspace, key, secret.id],
        )
    };
    keys.into_iter().map(row).collect()
}

/// Adds a version and makes it current.
pub fn insert_version(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    version: &Version,
) -> [Statement; 2] {
    [
        Statement::new(
            "INSERT INTO secret_versions (workspace, secret, environment, version, sealed, shown, created_at, created_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            args![
                workspace,
                secret,
                environment,
                version.version,
                &version.sealed[..],
                version.shown.as_str(),
                version.created_at,
                version.created_by.as_str()
            ],
        ),
        Statement::new(
            "INSERT INTO secret_values (workspace, secret, environment, current, latest, disabled) VALUES (?1, ?2, ?3, ?4, ?4, 0)
             ON CONFLICT (workspace, secret, environment) DO UPDATE SET current = excluded.current, latest = excluded.latest",
            args![workspace, secret, environment, version.version],
        ),
    ]
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
        "UPDATE secret_versions SET sealed = ?5 WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND version = ?4",
        args![workspace, secret, environment, version, sealed],
    )
}

/// Destroys one version.
pub fn delete_version(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    version: i64,
) -> Statement {
    Statement::exactly_one(
        "DELETE FROM secret_versions WHERE workspace = ?1 AND secret = ?2 AND environment = ?3 AND version = ?4",
        args![workspace, secret, environment, version],
    )
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
