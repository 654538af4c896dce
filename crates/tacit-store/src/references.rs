//! Where secrets are named, and where they were used.

use tacit_model::{AutomationId, EnvironmentId, SecretId, SecretName, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// Uses of one secret that are told of.
const OBSERVED_MAX: i64 = 200;

/// A field of a published definition that names a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The automation.
    pub automation: SecretName,
    /// Where it is published.
    pub environment: EnvironmentId,
    /// The step; none for what was published before references were kept.
    pub step: Option<String>,
    /// The field.
    pub field: Option<String>,
}

/// A field that names a secret, as it is published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewReference {
    /// The secret.
    pub secret: SecretId,
    /// The step's id.
    pub step: String,
    /// The field.
    pub field: String,
}

/// That somebody used a secret somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedUse {
    /// Who, as the record names them.
    pub actor: String,
    /// In which environment.
    pub environment: String,
    /// Scheme, host and port it went to.
    pub target: String,
    /// For the first time.
    pub first_at: Timestamp,
    /// For the last time, to the minute.
    pub last_at: Timestamp,
}

impl Store {
    /// The fields that name a secret, by automation.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn references(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
    ) -> Result<Vec<Reference>, ReadError> {
        // By the grants, which are as old as automations are.
        const SQL: &str = "SELECT a.name, g.environment, r.step, r.field FROM automation_grants g
             JOIN automations a ON a.workspace = g.workspace AND a.id = g.automation
             LEFT JOIN automation_references r ON r.workspace = g.workspace AND r.automation = g.automation
               AND r.environment = g.environment AND r.secret = g.secret
             WHERE g.workspace = ?1 AND g.secret = ?2 ORDER BY a.name_key, g.environment, r.step, r.field";
        let reference = |mut row: Row| {
            Ok(Reference {
                automation: row.parse()?,
                environment: row.take()?,
                step: row.take()?,
                field: row.take()?,
            })
        };
        self.rows(SQL, &args![workspace, secret]).await?.into_iter().map(reference).collect()
    }

    /// Who used a secret where, the latest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn observed_uses(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
    ) -> Result<Vec<ObservedUse>, ReadError> {
        const SQL: &str = "SELECT actor, environment, target, first_at, last_at FROM observed_uses
             WHERE workspace = ?1 AND secret = ?2 ORDER BY last_at DESC, actor, target LIMIT ?3";
        let observed = |mut row: Row| {
            Ok(ObservedUse {
                actor: row.take()?,
                environment: row.take()?,
                target: row.take()?,
                first_at: row.take()?,
                last_at: row.take()?,
            })
        };
        self.rows(SQL, &args![workspace, secret, OBSERVED_MAX]).await?.into_iter().map(observed).collect()
    }

    /// How many uses of a workspace were last seen before a time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn observed_before(&self, workspace: WorkspaceId, time: Timestamp) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM observed_uses WHERE workspace = ?1 AND last_at < ?2";
        self.row(SQL, &args![workspace, time]).await?.map_or(Ok(0), |mut row| row.take())
    }
}

/// What a definition that is published names, instead of what the one before it named.
pub fn replace(
    workspace: WorkspaceId,
    automation: AutomationId,
    environment: EnvironmentId,
    references: &[NewReference],
) -> Vec<Statement> {
    let row = |reference: &NewReference| {
        Statement::new(
            "INSERT INTO automation_references (workspace, automation, environment, secret, step, field)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            args![
                workspace,
                automation,
                environment,
                reference.secret,
                reference.step.as_str(),
                reference.field.as_str()
            ],
        )
    };
    std::iter::once(Statement::new(
        "DELETE FROM automation_references WHERE workspace = ?1 AND automation = ?2 AND environment = ?3",
        args![workspace, automation, environment],
    ))
    .chain(references.iter().map(row))
    .collect()
}

/// Forgets what an automation names; it is about to be deleted.
pub(crate) fn delete_of_automation(workspace: WorkspaceId, automation: AutomationId) -> Statement {
    Statement::new(
        "DELETE FROM automation_references WHERE workspace = ?1 AND automation = ?2",
        args![workspace, automation],
    )
}

/// Forgets where a secret is named; it is about to be purged.
pub(crate) fn delete_of_secret(workspace: WorkspaceId, secret: SecretId) -> Statement {
    Statement::new(
        "DELETE FROM automation_references WHERE workspace = ?1 AND secret = ?2",
        args![workspace, secret],
    )
}

/// Remembers that a secret was used, if it is still there.
pub fn observe(workspace: WorkspaceId, secret: SecretId, seen: &ObservedUse) -> Statement {
    Statement::new(
        "INSERT INTO observed_uses (workspace, secret, actor, environment, target, first_at, last_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM secrets WHERE workspace = ?1 AND id = ?2)
         ON CONFLICT (workspace, secret, actor, environment, target) DO UPDATE SET last_at = max(last_at, excluded.last_at)",
        args![
            workspace,
            secret,
            seen.actor.as_str(),
            seen.environment.as_str(),
            seen.target.as_str(),
            seen.first_at,
            seen.last_at
        ],
    )
}

/// Forgets where a secret was used; it is about to be purged.
pub(crate) fn forget_uses_of(workspace: WorkspaceId, secret: SecretId) -> Statement {
    Statement::new("DELETE FROM observed_uses WHERE workspace = ?1 AND secret = ?2", args![workspace, secret])
}

/// Forgets uses that were last seen before a time. The record still has them.
pub fn forget_uses_before(workspace: WorkspaceId, time: Timestamp) -> Statement {
    Statement::new("DELETE FROM observed_uses WHERE workspace = ?1 AND last_at < ?2", args![workspace, time])
}
