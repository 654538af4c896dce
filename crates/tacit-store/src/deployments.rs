//! Deployments: what was moved from one environment into another, and what stood there before.

use tacit_model::{DeploymentId, EnvironmentId, SecretId, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// A deployment.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The id.
    pub id: DeploymentId,
    /// Where things came from.
    pub from: EnvironmentId,
    /// Where they went.
    pub to: EnvironmentId,
    /// What was said to be done, as JSON.
    pub plan: String,
    /// What stood there before, as JSON.
    pub undo: String,
    /// When.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was taken back.
    pub rolled_back_at: Option<Timestamp>,
    /// By whom it was taken back.
    pub rolled_back_by: Option<String>,
}

fn deployment(mut row: Row) -> Result<Deployment, ReadError> {
    Ok(Deployment {
        id: row.take()?,
        from: row.take()?,
        to: row.take()?,
        plan: row.take()?,
        undo: row.take()?,
        created_at: row.take()?,
        created_by: row.take()?,
        rolled_back_at: row.take()?,
        rolled_back_by: row.take()?,
    })
}

impl Store {
    /// A deployment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn deployment(
        &self,
        workspace: WorkspaceId,
        id: DeploymentId,
    ) -> Result<Option<Deployment>, ReadError> {
        const SQL: &str = "SELECT id, from_environment, to_environment, plan, undo, created_at, created_by, rolled_back_at, rolled_back_by
             FROM deployments WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(deployment).transpose()
    }

    /// Deployments, newest first, before an id; without what stood there before.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn deployments(
        &self,
        workspace: WorkspaceId,
        before: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, ReadError> {
        const SQL: &str = "SELECT id, from_environment, to_environment, plan, '', created_at, created_by, rolled_back_at, rolled_back_by
             FROM deployments WHERE workspace = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3";
        self.rows(SQL, &args![workspace, before, limit as i64]).await?.into_iter().map(deployment).collect()
    }

    /// Whether a version of a secret's value is another one again, by rollbacks of deployments alone.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn restores(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
        environment: EnvironmentId,
        version: i64,
        other: i64,
    ) -> Result<bool, ReadError> {
        // A version restores an earlier one, so this ends.
        const SQL: &str = "WITH RECURSIVE again (version) AS (
                 SELECT ?4
                 UNION
                 SELECT r.restores FROM deployment_restores r JOIN again a ON r.version = a.version
                 WHERE r.workspace = ?1 AND r.secret = ?2 AND r.environment = ?3
             )
             SELECT 1 FROM again WHERE version = ?5";
        Ok(self.row(SQL, &args![workspace, secret, environment, version, other]).await?.is_some())
    }
}

/// Remembers that a rollback made a version of an earlier one.
pub fn insert_restore(
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
    version: i64,
    restores: i64,
) -> Statement {
    Statement::new(
        "INSERT INTO deployment_restores (workspace, secret, environment, version, restores) VALUES (?1, ?2, ?3, ?4, ?5)",
        args![workspace, secret, environment, version, restores],
    )
}

/// Forgets them with the secret.
pub fn delete_restores(workspace: WorkspaceId, secret: SecretId) -> Statement {
    Statement::new(
        "DELETE FROM deployment_restores WHERE workspace = ?1 AND secret = ?2",
        args![workspace, secret],
    )
}

/// Keeps a deployment.
pub fn insert(workspace: WorkspaceId, deployment: &Deployment) -> Statement {
    Statement::new(
        "INSERT INTO deployments (workspace, id, from_environment, to_environment, plan, undo, created_at, created_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        args![
            workspace,
            deployment.id,
            deployment.from,
            deployment.to,
            deployment.plan.as_str(),
            deployment.undo.as_str(),
            deployment.created_at,
            deployment.created_by.as_str()
        ],
    )
}

/// Marks a deployment as taken back, once.
pub fn roll_back(workspace: WorkspaceId, id: DeploymentId, now: Timestamp, by: &str) -> Statement {
    Statement::exactly_one(
        "UPDATE deployments SET rolled_back_at = ?3, rolled_back_by = ?4
         WHERE workspace = ?1 AND id = ?2 AND rolled_back_at IS NULL",
        args![workspace, id, now, by],
    )
}
