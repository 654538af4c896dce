//! Grants: a role that a principal has in a part of the workspace.

use tacit_model::{EnvironmentId, GrantId, RoleRef, Scope, SecretId, Timestamp, WorkspaceId, name::Folder};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// A grant.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The id.
    pub id: GrantId,
    /// The 16 bytes of the principal's id.
    pub principal: [u8; 16],
    /// What kind of principal: `user`, `service-account` or `automation`.
    pub kind: String,
    /// The role.
    pub role: RoleRef,
    /// Where it counts.
    pub scope: Scope,
    /// When it ends.
    pub until: Option<Timestamp>,
    /// Of an automation's: SHA-256 of the definition it counts for.
    pub hash: Option<[u8; 32]>,
    /// When made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

fn grant(mut row: Row) -> Result<Grant, ReadError> {
    Ok(Grant {
        id: row.take()?,
        principal: row.take()?,
        kind: row.take()?,
        role: row.parse()?,
        scope: Scope {
            environment: row.take::<Option<EnvironmentId>>()?,
            folder: row
                .take::<Option<String>>()?
                .map(|text| text.parse::<Folder>())
                .transpose()
                .map_err(|_| ReadError("a grant's folder does not parse".to_owned()))?,
            secret: row.take::<Option<SecretId>>()?,
        },
        until: row.take()?,
        hash: row.take()?,
        created_at: row.take()?,
        created_by: row.take()?,
    })
}

impl Store {
    /// The grants of a workspace, oldest first; those that have ended, too.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn grants(&self, workspace: WorkspaceId) -> Result<Vec<Grant>, ReadError> {
        const SQL: &str =
            "SELECT id, principal, kind, role, environment, folder, secret, until, hash, created_at, created_by
             FROM grants WHERE workspace = ?1 ORDER BY created_at, id";
        self.rows(SQL, &args![workspace]).await?.into_iter().map(grant).collect()
    }

    /// The grants of one principal.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn grants_of(
        &self,
        workspace: WorkspaceId,
        principal: &[u8; 16],
    ) -> Result<Vec<Grant>, ReadError> {
        const SQL: &str =
            "SELECT id, principal, kind, role, environment, folder, secret, until, hash, created_at, created_by
             FROM grants WHERE workspace = ?1 AND principal = ?2 ORDER BY created_at, id";
        self.rows(SQL, &args![workspace, &principal[..]]).await?.into_iter().map(grant).collect()
    }

    /// A grant.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn grant(&self, workspace: WorkspaceId, id: GrantId) -> Result<Option<Grant>, ReadError> {
        const SQL: &str =
            "SELECT id, principal, kind, role, environment, folder, secret, until, hash, created_at, created_by
             FROM grants WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(grant).transpose()
    }
}

/// Makes a grant.
pub fn insert(workspace: WorkspaceId, grant: &Grant) -> Statement {
    Statement::new(
        "INSERT INTO grants (workspace, id, principal, kind, role, environment, folder, secret, until, hash, created_at, created_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        args![
            workspace,
            grant.id,
            &grant.principal[..],
            grant.kind.as_str(),
            grant.role.to_string(),
            grant.scope.environment,
            grant.scope.folder.as_ref().map(|folder| folder.as_str()),
            grant.scope.secret,
            grant.until,
            grant.hash,
            grant.created_at,
            grant.created_by.as_str()
        ],
    )
}

/// Withdraws a grant.
pub fn delete(workspace: WorkspaceId, id: GrantId) -> Statement {
    Statement::exactly_one("DELETE FROM grants WHERE workspace = ?1 AND id = ?2", args![workspace, id])
}

/// Withdraws every grant of a principal that leaves.
pub fn delete_of(workspace: WorkspaceId, principal: &[u8; 16]) -> Statement {
    Statement::new(
        "DELETE FROM grants WHERE workspace = ?1 AND principal = ?2",
        args![workspace, &principal[..]],
    )
}

/// Withdraws every grant of a secret that is gone for good.
pub fn delete_of_secret(workspace: WorkspaceId, secret: SecretId) -> Statement {
    Statement::new("DELETE FROM grants WHERE workspace = ?1 AND secret = ?2", args![workspace, secret])
}
