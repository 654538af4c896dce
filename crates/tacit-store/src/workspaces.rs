//! Workspaces, their settings and their environments.

use tacit_model::{EnvironmentId, EnvironmentName, Timestamp, WorkspaceId, WorkspaceName, limits};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// What a workspace's managers may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Days an earlier version of a value is kept.
    pub version_keep_days: i64,
    /// Versions of a value that are kept.
    pub version_keep_count: i64,
    /// Days a deleted secret can be restored.
    pub deletion_window_days: i64,
    /// Whether values in protected environments may be deleted.
    pub allow_protected_delete: bool,
    /// Whether looking at a value needs a reason.
    pub reveal_needs_reason: bool,
    /// Seconds after which a client should hide a value that was looked at.
    pub hide_after_secs: i64,
    /// Days for which a run's history is kept.
    pub run_keep_days: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version_keep_days: limits::VERSION_KEEP_DAYS_DEFAULT,
            version_keep_count: limits::VERSION_KEEP_COUNT_DEFAULT,
            deletion_window_days: limits::DELETION_WINDOW_DAYS_DEFAULT,
            allow_protected_delete: false,
            reveal_needs_reason: false,
            hide_after_secs: limits::HIDE_AFTER_SECS_DEFAULT,
            run_keep_days: limits::RUN_KEEP_DAYS_DEFAULT,
        }
    }
}

/// A workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: WorkspaceName,
    /// Its settings.
    pub settings: Settings,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An environment.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Its name.
    pub name: EnvironmentName,
    /// Whether values in it are kept from deletion, and it is always named explicitly.
    pub protected: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

fn workspace(mut row: Row) -> Result<Workspace, ReadError> {
    Ok(Workspace {
        id: row.take()?,
        name: row.parse()?,
        settings: Settings {
            version_keep_days: row.take()?,
            version_keep_count: row.take()?,
            deletion_window_days: row.take()?,
            allow_protected_delete: row.take()?,
            reveal_needs_reason: row.take()?,
            hide_after_secs: row.take()?,
            run_keep_days: row.take()?,
        },
        created_at: row.take()?,
    })
}

impl Store {
    /// A workspace by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workspace(&self, name: &WorkspaceName) -> Result<Option<Workspace>, ReadError> {
        const SQL: &str = "SELECT id, name, version_keep_days, version_keep_count, deletion_window_days, allow_protected_delete,
             reveal_needs_reason, hide_after_secs, run_keep_days, created_at
             FROM workspaces WHERE name = ?1";
        self.row(SQL, &args![name.as_str()]).await?.map(workspace).transpose()
    }

    /// A workspace's name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workspace_name(&self, id: WorkspaceId) -> Result<Option<WorkspaceName>, ReadError> {
        const SQL: &str = "SELECT name FROM workspaces WHERE id = ?1";
        self.row(SQL, &args![id]).await?.map(|mut row| row.parse()).transpose()
    }

    /// Every workspace, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, ReadError> {
        const SQL: &str = "SELECT id, name, version_keep_days, version_keep_count, deletion_window_days, allow_protected_delete,
             reveal_needs_reason, hide_after_secs, run_keep_days, created_at
             FROM workspaces ORDER BY name";
        self.rows(SQL, &[]).await?.into_iter().map(workspace).collect()
    }

    /// The environments of a workspace, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn environments(&self, workspace: WorkspaceId) -> Result<Vec<Environment>, ReadError> {
        const SQL: &str = "SELECT id, name, protected, created_at FROM environments WHERE workspace = ?1 ORDER BY created_at, id";
        let rows = self.rows(SQL, &args![workspace]).await?;
        let environment = |mut row: Row| {
            Ok(Environment {
                id: row.take()?,
                name: row.parse()?,
                protected: row.take()?,
                created_at: row.take()?,
            })
        };
        rows.into_iter().map(environment).collect()
    }
}

/// Makes a workspace, at revision 1.
pub fn insert(workspace: &Workspace) -> Statement {
    Statement::new(
        "INSERT INTO workspaces (id, name, revision, version_keep_days, version_keep_count, deletion_window_days, allow_protected_delete, created_at, number)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, (SELECT coalesce(max(number), 0) + 1 FROM workspaces))",
        args![
            workspace.id,
            workspace.name.as_str(),
            workspace.settings.version_keep_days,
            workspace.settings.version_keep_count,
            workspace.settings.deletion_window_days,
            workspace.settings.allow_protected_delete,
            workspace.created_at
        ],
    )
}

/// Changes a workspace's settings.
pub fn update_settings(workspace: WorkspaceId, settings: &Settings) -> Statement {
    Statement::exactly_one(
        "UPDATE workspaces SET version_keep_days = ?2, version_keep_count = ?3, deletion_window_days = ?4, allow_protected_delete = ?5,
             reveal_needs_reason = ?6, hide_after_secs = ?7, run_keep_days = ?8 WHERE id = ?1",
        args![
            workspace,
            settings.version_keep_days,
            settings.version_keep_count,
            settings.deletion_window_days,
            settings.allow_protected_delete,
            settings.reveal_needs_reason,
            settings.hide_after_secs,
            settings.run_keep_days
        ],
    )
}

/// Makes an environment.
pub fn insert_environment(workspace: WorkspaceId, environment: &Environment) -> Statement {
    Statement::new(
        "INSERT INTO environments (workspace, id, name, protected, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        args![
            workspace,
            environment.id,
            environment.name.as_str(),
            environment.protected,
            environment.created_at
        ],
    )
}
