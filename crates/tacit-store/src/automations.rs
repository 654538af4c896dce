//! Automations: what is published where, and what each published definition may use.

use tacit_model::{AutomationId, EnvironmentId, SecretId, SecretName, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store, references, triggers,
    value::{Row, args},
};

/// An automation.
#[derive(Clone, Debug)]
pub struct Automation {
    /// The id.
    pub id: AutomationId,
    /// The name.
    pub name: SecretName,
    /// When made.
    pub created_at: Timestamp,
}

/// A definition published in an environment.
#[derive(Clone, Debug)]
pub struct Published {
    /// The environment.
    pub environment: EnvironmentId,
    /// The definition as canonical JSON.
    pub definition: String,
    /// SHA-256 of `definition`: what the grants are bound to.
    pub hash: [u8; 32],
    /// When.
    pub published_at: Timestamp,
    /// Who wrote it, wherever it was deployed from.
    pub published_by: String,
}

/// What a published definition may use.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The secret.
    pub secret: SecretId,
    /// The definition's hash.
    pub hash: [u8; 32],
    /// For a secret without destinations: the one origin it may go to.
    pub pinned: Option<String>,
    /// The publisher.
    pub granted_by: String,
    /// The steps and fields that name the secret. Only written: they are read with [`Store::references`].
    pub fields: Vec<(String, String)>,
}

fn automation(mut row: Row) -> Result<Automation, ReadError> {
    Ok(Automation { id: row.take()?, name: row.parse()?, created_at: row.take()? })
}

impl Store {
    /// An automation by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn automation(
        &self,
        workspace: WorkspaceId,
        name_key: &str,
    ) -> Result<Option<Automation>, ReadError> {
        const SQL: &str =
            "SELECT id, name, created_at FROM automations WHERE workspace = ?1 AND name_key = ?2";
        self.row(SQL, &args![workspace, name_key]).await?.map(automation).transpose()
    }

    /// An automation by id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn automation_by_id(
        &self,
        workspace: WorkspaceId,
        id: AutomationId,
    ) -> Result<Option<Automation>, ReadError> {
        const SQL: &str = "SELECT id, name, created_at FROM automations WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(automation).transpose()
    }

    /// Automations by name, after a name key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn automations(
        &self,
        workspace: WorkspaceId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Automation>, ReadError> {
        const SQL: &str = "SELECT id, name, created_at FROM automations WHERE workspace = ?1 AND name_key > ?2 ORDER BY name_key LIMIT ?3";
        self.rows(SQL, &args![workspace, after, limit as i64]).await?.into_iter().map(automation).collect()
    }

    /// What is published of an automation, in every environment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn published(
        &self,
        workspace: WorkspaceId,
        automation: AutomationId,
    ) -> Result<Vec<Published>, ReadError> {
        const SQL: &str =
            "SELECT environment, definition, hash, published_at, published_by FROM automation_definitions
             WHERE workspace = ?1 AND automation = ?2";
        let published = |mut row: Row| {
            Ok(Published {
                environment: row.take()?,
                definition: row.take()?,
                hash: row.take()?,
                published_at: row.take()?,
                published_by: row.take()?,
            })
        };
        self.rows(SQL, &args![workspace, automation]).await?.into_iter().map(published).collect()
    }

    /// The grants of an automation in an environment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn automation_grants(
        &self,
        workspace: WorkspaceId,
        automation: AutomationId,
        environment: EnvironmentId,
    ) -> Result<Vec<Grant>, ReadError> {
        const SQL: &str = "SELECT secret, hash, pinned, granted_by FROM automation_grants
             WHERE workspace = ?1 AND automation = ?2 AND environment = ?3";
        let grant = |mut row: Row| {
            Ok(Grant {
                secret: row.take()?,
                hash: row.take()?,
                pinned: row.take()?,
                granted_by: row.take()?,
                fields: Vec::new(),
            })
        };
        self.rows(SQL, &args![workspace, automation, environment]).await?.into_iter().map(grant).collect()
    }

    /// Where automations may take a secret that has no destinations: the origin, and the environment where it counts.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn pinned_origins(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
    ) -> Result<Vec<(EnvironmentId, String)>, ReadError> {
        const SQL: &str = "SELECT DISTINCT environment, pinned FROM automation_grants
             WHERE workspace = ?1 AND secret = ?2 AND pinned IS NOT NULL";
        let rows = self.rows(SQL, &args![workspace, secret]).await?;
        rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
    }

    /// The automations that reference a secret, with the environment each is published in.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn automations_using(
        &self,
        workspace: WorkspaceId,
        secret: SecretId,
    ) -> Result<Vec<(SecretName, EnvironmentId)>, ReadError> {
        const SQL: &str = "SELECT a.name, g.environment FROM automation_grants g JOIN automations a
               ON a.workspace = g.workspace AND a.id = g.automation
             WHERE g.workspace = ?1 AND g.secret = ?2 ORDER BY a.name_key";
        let rows = self.rows(SQL, &args![workspace, secret]).await?;
        rows.into_iter().map(|mut row| Ok((row.parse()?, row.take()?))).collect()
    }
}

/// Makes an automation, unless it is there.
pub fn insert(workspace: WorkspaceId, automation: &Automation) -> Statement {
    Statement::new(
        "INSERT INTO automations (workspace, id, name, name_key, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        args![
            workspace,
            automation.id,
            automation.name.as_str(),
            automation.name.key(),
            automation.created_at
        ],
    )
}

/// Publishes a definition in an environment, with exactly these grants.
pub fn publish(
    workspace: WorkspaceId,
    automation: AutomationId,
    published: &Published,
    grants: &[Grant],
) -> Vec<Statement> {
    let mut statements = vec![
        Statement::new(
            "DELETE FROM automation_grants WHERE workspace = ?1 AND automation = ?2 AND environment = ?3",
            args![workspace, automation, published.environment],
        ),
        Statement::new(
            "INSERT INTO automation_definitions (workspace, automation, environment, definition, hash, published_at, published_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (workspace, automation, environment) DO UPDATE SET definition = excluded.definition, hash = excluded.hash,
               published_at = excluded.published_at, published_by = excluded.published_by",
            args![
                workspace,
                automation,
                published.environment,
                published.definition.as_str(),
                &published.hash[..],
                published.published_at,
                published.published_by.as_str()
            ],
        ),
    ];
    let named = grants.iter().flat_map(|grant| {
        grant.fields.iter().map(|(step, field)| references::NewReference {
            secret: grant.secret,
            step: step.clone(),
            field: field.clone(),
        })
    });
    let named: Vec<_> = named.collect();
    statements.extend(references::replace(workspace, automation, published.environment, &named));
    statements.extend(grants.iter().map(|grant| {
        Statement::new(
            "INSERT INTO automation_grants (workspace, automation, environment, secret, hash, pinned, granted_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            args![
                workspace,
                automation,
                published.environment,
                grant.secret,
                &grant.hash[..],
                grant.pinned.as_deref(),
                grant.granted_by.as_str()
            ],
        )
    }));
    statements
}

/// Takes a definition out of an environment.
pub fn unpublish(
    workspace: WorkspaceId,
    automation: AutomationId,
    environment: EnvironmentId,
) -> Vec<Statement> {
    let key = || args![workspace, automation, environment];
    let mut statements = references::replace(workspace, automation, environment, &[]);
    statements.extend([
        Statement::new(
            "DELETE FROM automation_grants WHERE workspace = ?1 AND automation = ?2 AND environment = ?3",
            key(),
        ),
        Statement::exactly_one(
            "DELETE FROM automation_definitions WHERE workspace = ?1 AND automation = ?2 AND environment = ?3",
            key(),
        ),
    ]);
    statements
}

/// Removes an automation everywhere.
pub fn delete(workspace: WorkspaceId, automation: AutomationId) -> [Statement; 7] {
    let key = || args![workspace, automation];
    let [schedules, triggers] = triggers::disable_everywhere(workspace, automation);
    [
        schedules,
        triggers,
        references::delete_of_automation(workspace, automation),
        Statement::new("DELETE FROM automation_grants WHERE workspace = ?1 AND automation = ?2", key()),
        Statement::new("DELETE FROM automation_definitions WHERE workspace = ?1 AND automation = ?2", key()),
        crate::grants::delete_of(workspace, automation.as_bytes()),
        Statement::exactly_one("DELETE FROM automations WHERE workspace = ?1 AND id = ?2", key()),
    ]
}

/// Takes a secret out of every grant; it is about to be purged.
pub fn delete_grants_of(workspace: WorkspaceId, secret: SecretId) -> Statement {
    Statement::new(
        "DELETE FROM automation_grants WHERE workspace = ?1 AND secret = ?2",
        args![workspace, secret],
    )
}
