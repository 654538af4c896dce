//! Secrets. Their values and versions are in `secrets/versions.rs`.

mod versions;

use tacit_model::{
    Destinations, EnvironmentId, SecretId, SecretName, SecretType, Timestamp, Visibility, WorkspaceId,
    destination::HostPattern, name::Folder,
};

use crate::{
    ReadError, Statement, Store, references,
    reminders::{NO_REMINDER, Reminder},
    search, tokens,
    value::{Row, Val, args},
};

pub use versions::{
    PastVersion, Value, Version, VersionHistory, delete_value, destroy_version, insert_version,
    reseal_version, set_value_disabled,
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
    /// When the oldest value in force is due to be replaced. Kept by the store, from the dates of the values.
    pub rotate_at: Option<Timestamp>,
    /// Until when a deleted one can be restored, as it was said when it was deleted. A window that became longer since then
    /// holds, too; one that became shorter does not.
    pub purge_at: Option<Timestamp>,
}

pub(crate) fn secret(mut row: Row) -> Result<Secret, ReadError> {
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
        rotate_at: row.take()?,
        purge_at: row.take()?,
    })
}

fn destinations(text: &str) -> Result<Destinations, ReadError> {
    serde_json::from_str(text).map_err(|_| ReadError("a secret's destinations do not parse".to_owned()))
}

/// Serials are below; above them a row's number has its workspace's.
const SERIALS_END: i64 = 1 << 32;

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
    /// Only with this reminder at a time; `None` within for those without one.
    pub reminder: Option<(Option<Reminder>, Timestamp)>,
    /// Only after this name key; of a search, where the page before ended.
    pub after: Option<String>,
    /// Rows at most.
    pub limit: usize,
}

/// A secret as a list has it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The secret.
    pub secret: Secret,
    /// What the next page begins after, if this is the last of its page.
    pub key: String,
}

impl Store {
    /// A secret by name, deleted ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secret(&self, workspace: WorkspaceId, name_key: &str) -> Result<Option<Secret>, ReadError> {
        const SQL: &str = "SELECT id, name, kind, visibility, description, folder, destinations, rotate_every_days, expires_at, disabled,
             deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations, rotate_at, purge_at FROM secrets WHERE workspace = ?1 AND name_key = ?2";
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
             deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations, rotate_at, purge_at FROM secrets WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(secret).transpose()
    }

    /// Secrets by name; of a search, the newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn secrets(&self, workspace: WorkspaceId, filter: &Filter) -> Result<Vec<Listed>, ReadError> {
        const BY_NAME: &str = "SELECT name_key, id, name, kind, visibility, description, folder, destinations, rotate_every_days,
             expires_at, disabled, deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations, rotate_at, purge_at
             FROM secrets s
             WHERE workspace = ?1 AND (deleted_at IS NOT NULL) = ?2 AND name_key > ?10
               AND (?3 IS NULL OR kind = ?3)
               AND (?4 IS NULL OR folder = ?4 OR substr(folder, 1, length(?4) + 1) = ?4 || '/')
               AND (?5 IS NULL OR EXISTS (SELECT 1 FROM secret_values v
                    WHERE v.workspace = ?1 AND v.secret = s.id AND v.environment = ?5 AND v.current > 0))
               AND (?6 IS NULL OR disabled = ?6) AND (?7 IS NULL OR proposed = ?7)
               AND (?8 IS NULL OR ?8 = CASE WHEN expires_at <= ?9 THEN 'expired' WHEN rotate_at <= ?9 THEN 'overdue'
                    WHEN min(coalesce(expires_at, rotate_at), coalesce(rotate_at, expires_at)) <= ?9 + 604800000 THEN 'due'
                    ELSE 'none' END)
             ORDER BY name_key LIMIT ?11";
        const SEARCH: &str = "SELECT s.serial, s.id, s.name, s.kind, s.visibility, s.description, s.folder, s.destinations,
             s.rotate_every_days, s.expires_at, s.disabled, s.deleted_at, s.created_at, s.created_by, s.updated_at, s.proposed,
             s.suggested_destinations, s.rotate_at, s.purge_at
             FROM secret_grams g CROSS JOIN secrets s ON s.workspace = ?1 AND s.serial = (g.rowid & 4294967295)
             WHERE g.secret_grams MATCH ?12
               AND g.rowid > (SELECT number << 32 FROM workspaces WHERE id = ?1)
               AND g.rowid < (SELECT number << 32 FROM workspaces WHERE id = ?1) + ?10
               AND instr(s.search_text, ?13) > 0
               AND (s.deleted_at IS NOT NULL) = ?2
               AND (?3 IS NULL OR s.kind = ?3)
               AND (?4 IS NULL OR s.folder = ?4 OR substr(s.folder, 1, length(?4) + 1) = ?4 || '/')
               AND (?5 IS NULL OR EXISTS (SELECT 1 FROM secret_values v
                    WHERE v.workspace = ?1 AND v.secret = s.id AND v.environment = ?5 AND v.current > 0))
               AND (?6 IS NULL OR s.disabled = ?6) AND (?7 IS NULL OR s.proposed = ?7)
               AND (?8 IS NULL OR ?8 = CASE WHEN s.expires_at <= ?9 THEN 'expired' WHEN s.rotate_at <= ?9 THEN 'overdue'
                    WHEN min(coalesce(s.expires_at, s.rotate_at), coalesce(s.rotate_at, s.expires_at)) <= ?9 + 604800000 THEN 'due'
                    ELSE 'none' END)
             ORDER BY g.rowid DESC LIMIT ?11";
        let needle = filter.search.as_deref().map(search::needle).unwrap_or_default();
        let query = search::query(&needle);
        let reminder = filter.reminder.map(|(reminder, _)| reminder.map_or(NO_REMINDER, Reminder::as_str));
        let now = filter.reminder.map(|(_, now)| now);
        let after = match (&query, &filter.after) {
            (None, after) => Val::Text(after.clone().unwrap_or_default()),
            (Some(_), None) => Val::I64(SERIALS_END),
            (Some(_), Some(after)) if after.is_empty() => Val::I64(SERIALS_END),
            // What is no serial is not from here, and nothing comes after it. A greater number would lead into the rows of the
            // next workspace.
            (Some(_), Some(after)) => {
                let serial = after.parse().ok().filter(|serial| (0..SERIALS_END).contains(serial));
                Val::I64(serial.unwrap_or(0))
            }
        };
        let mut args = vec![
            workspace.into(),
            filter.deleted.into(),
            filter.kind.map(SecretType::as_str).into(),
            filter.folder.as_deref().into(),
            filter.environment.into(),
            filter.disabled.into(),
            filter.proposed.into(),
            reminder.into(),
            now.into(),
            after,
            (filter.limit as i64).into(),
        ];
        let Some(query) = query else {
            let rows = self.rows(BY_NAME, &args).await?;
            return rows
                .into_iter()
                .map(|mut row| Ok(Listed { key: row.take()?, secret: secret(row)? }))
                .collect();
        };
        args.extend([query.into(), needle.into()]);
        let rows = self.rows(SEARCH, &args).await?;
        let listed = |mut row: Row| Ok(Listed { key: row.take::<i64>()?.to_string(), secret: secret(row)? });
        rows.into_iter().map(listed).collect()
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
             s.proposed, s.suggested_destinations, s.rotate_at, s.purge_at
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

    /// Secrets that were deleted before a time, and of which it was not said that they are kept for longer than `now`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn deleted_before(
        &self,
        workspace: WorkspaceId,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Secret>, ReadError> {
        const SQL: &str = "SELECT id, name, kind, visibility, description, folder, destinations, rotate_every_days, expires_at, disabled,
             deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations, rotate_at, purge_at FROM secrets WHERE workspace = ?1 AND deleted_at <= ?2
             AND (purge_at IS NULL OR purge_at <= ?3)";
        self.rows(SQL, &args![workspace, time, now]).await?.into_iter().map(secret).collect()
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
             expires_at, disabled, deleted_at, created_at, created_by, updated_at, proposed, suggested_destinations, search_text, serial)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
             (SELECT coalesce(max(serial), 0) + 1 FROM secrets WHERE workspace = ?1))",
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
                policy_text(&secret.suggested_destinations),
                search::search_text(secret)
            ],
        ),
        search::insert(workspace, secret),
    ];
    statements.extend(host_rows(workspace, secret));
    statements
}

/// Writes what may be changed of a secret: description, folder, destinations, dates, state.
pub fn update(workspace: WorkspaceId, secret: &Secret) -> Vec<Statement> {
    let mut statements = vec![
        search::update(workspace, secret),
        Statement::exactly_one(
            "UPDATE secrets SET description = ?3, folder = ?4, destinations = ?5, rotate_every_days = ?6, expires_at = ?7, disabled = ?8,
             deleted_at = ?9, updated_at = ?10, proposed = ?11, suggested_destinations = ?12,
             search_text = ?13, purge_at = ?14 WHERE workspace = ?1 AND id = ?2",
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
                policy_text(&secret.suggested_destinations),
                search::search_text(secret),
                secret.purge_at
            ],
        ),
        versions::refresh_dates(workspace, secret.id),
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
pub fn purge(workspace: WorkspaceId, secret: &Secret) -> [Statement; 12] {
    let key = || args![workspace, secret.id];
    [
        search::delete(workspace, secret.id),
        tokens::delete(workspace, secret.id, None),
        references::delete_of_secret(workspace, secret.id),
        references::forget_uses_of(workspace, secret.id),
        crate::deployments::delete_restores(workspace, secret.id),
        Statement::new("DELETE FROM secret_sent WHERE workspace = ?1 AND secret = ?2", key()),
        Statement::new("DELETE FROM secret_hosts WHERE workspace = ?1 AND secret = ?2", key()),
        Statement::new("DELETE FROM secret_versions WHERE workspace = ?1 AND secret = ?2", key()),
        Statement::new("DELETE FROM secret_values WHERE workspace = ?1 AND secret = ?2", key()),
        delete_name(workspace, &secret.name),
        crate::grants::delete_of_secret(workspace, secret.id),
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
