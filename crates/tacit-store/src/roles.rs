//! Custom roles.

use tacit_model::{Rights, RoleId, RoleRef, SecretName, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// A set of rights under a name of the workspace's own.
#[derive(Clone, Debug)]
pub struct Role {
    /// The id.
    pub id: RoleId,
    /// The name, unique in the workspace.
    pub name: SecretName,
    /// What it lets one do.
    pub rights: Rights,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

fn role(mut row: Row) -> Result<Role, ReadError> {
    Ok(Role {
        id: row.take()?,
        name: row.parse()?,
        rights: row.parse()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    })
}

impl Store {
    /// The custom roles of a workspace, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn roles(&self, workspace: WorkspaceId) -> Result<Vec<Role>, ReadError> {
        const SQL: &str = "SELECT id, name, rights, created_at, updated_at FROM roles WHERE workspace = ?1 ORDER BY name_key";
        self.rows(SQL, &args![workspace]).await?.into_iter().map(role).collect()
    }

    /// How many members, service accounts, invitations and grants have a role.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn role_holders_count(&self, workspace: WorkspaceId, role: RoleId) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT (SELECT count(*) FROM members WHERE workspace = ?1 AND role = ?2)
                 + (SELECT count(*) FROM service_accounts WHERE workspace = ?1 AND role = ?2)
                 + (SELECT count(*) FROM invitations WHERE workspace = ?1 AND role = ?2)
                 + (SELECT count(*) FROM grants WHERE workspace = ?1 AND role = ?2)";
        let found = self.row(SQL, &args![workspace, RoleRef::Custom(role).to_string()]).await?;
        found.map_or(Ok(0), |mut row| row.take())
    }
}

/// Makes a role.
pub fn insert(workspace: WorkspaceId, role: &Role) -> Statement {
    Statement::new(
        "INSERT INTO roles (workspace, id, name, name_key, rights, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        args![
            workspace,
            role.id,
            role.name.as_str(),
            role.name.key(),
            role.rights.to_string(),
            role.created_at,
            role.updated_at
        ],
    )
}

/// Gives a role other rights.
pub fn update(workspace: WorkspaceId, role: &Role) -> Statement {
    Statement::exactly_one(
        "UPDATE roles SET rights = ?3, updated_at = ?4 WHERE workspace = ?1 AND id = ?2",
        args![workspace, role.id, role.rights.to_string(), role.updated_at],
    )
}

/// Removes a role that nobody has.
pub fn delete(workspace: WorkspaceId, id: RoleId) -> Statement {
    Statement::exactly_one("DELETE FROM roles WHERE workspace = ?1 AND id = ?2", args![workspace, id])
}
