//! Variables: the readable kind.

use tacit_model::{EnvironmentId, SecretName, Timestamp, VariableId, WorkspaceId, name::Folder};

use crate::{
    ReadError, Statement, Store, secrets,
    value::{Row, args},
};

/// A variable without its values.
#[derive(Clone, Debug)]
pub struct Variable {
    /// The id.
    pub id: VariableId,
    /// The name.
    pub name: SecretName,
    /// Free text.
    pub description: String,
    /// The folder.
    pub folder: Folder,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

fn variable(mut row: Row) -> Result<Variable, ReadError> {
    Ok(Variable {
        id: row.take()?,
        name: row.parse()?,
        description: row.take()?,
        folder: row.parse()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    })
}

impl Store {
    /// A variable by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn variable(
        &self,
        workspace: WorkspaceId,
        name_key: &str,
    ) -> Result<Option<Variable>, ReadError> {
        const SQL: &str = "SELECT id, name, description, folder, created_at, updated_at FROM variables WHERE workspace = ?1 AND name_key = ?2";
        self.row(SQL, &args![workspace, name_key]).await?.map(variable).transpose()
    }

    /// Variables by name, after a name key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn variables(
        &self,
        workspace: WorkspaceId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Variable>, ReadError> {
        const SQL: &str = "SELECT id, name, description, folder, created_at, updated_at FROM variables
             WHERE workspace = ?1 AND name_key > ?2 ORDER BY name_key LIMIT ?3";
        self.rows(SQL, &args![workspace, after, limit as i64]).await?.into_iter().map(variable).collect()
    }

    /// A variable's values by environment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn variable_values(
        &self,
        workspace: WorkspaceId,
        variable: VariableId,
    ) -> Result<Vec<(EnvironmentId, String)>, ReadError> {
        const SQL: &str =
            "SELECT environment, value FROM variable_values WHERE workspace = ?1 AND variable = ?2";
        let rows = self.rows(SQL, &args![workspace, variable]).await?;
        rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
    }

    /// The value of a variable in an environment, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn variable_value(
        &self,
        workspace: WorkspaceId,
        name_key: &str,
        environment: EnvironmentId,
    ) -> Result<Option<String>, ReadError> {
        const SQL: &str = "SELECT x.value FROM variables v JOIN variable_values x ON x.workspace = v.workspace AND x.variable = v.id
             WHERE v.workspace = ?1 AND v.name_key = ?2 AND x.environment = ?3";
        self.row(SQL, &args![workspace, name_key, environment]).await?.map(|mut row| row.take()).transpose()
    }
}

/// Makes a variable and reserves its name.
pub fn insert(workspace: WorkspaceId, variable: &Variable) -> [Statement; 2] {
    [
        secrets::insert_name(workspace, &variable.name, variable.id.as_bytes()),
        Statement::new(
            "INSERT INTO variables (workspace, id, name, name_key, description, folder, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            args![
                workspace,
                variable.id,
                variable.name.as_str(),
                variable.name.key(),
                variable.description.as_str(),
                variable.folder.as_str(),
                variable.created_at,
                variable.updated_at
            ],
        ),
    ]
}

/// Writes what may be changed of a variable.
pub fn update(workspace: WorkspaceId, variable: &Variable) -> Statement {
    Statement::exactly_one(
        "UPDATE variables SET description = ?3, folder = ?4, updated_at = ?5 WHERE workspace = ?1 AND id = ?2",
        args![
            workspace,
            variable.id,
            variable.description.as_str(),
            variable.folder.as_str(),
            variable.updated_at
        ],
    )
}

/// Sets a variable's value in an environment.
pub fn set_value(
    workspace: WorkspaceId,
    variable: VariableId,
    environment: EnvironmentId,
    value: &str,
    now: Timestamp,
) -> Statement {
    Statement::new(
        "INSERT INTO variable_values (workspace, variable, environment, value, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (workspace, variable, environment) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        args![workspace, variable, environment, value, now],
    )
}

/// Takes a variable's value away in an environment.
pub fn delete_value(workspace: WorkspaceId, variable: VariableId, environment: EnvironmentId) -> Statement {
    Statement::exactly_one(
        "DELETE FROM variable_values WHERE workspace = ?1 AND variable = ?2 AND environment = ?3",
        args![workspace, variable, environment],
    )
}

/// Removes a variable and frees its name.
pub fn delete(workspace: WorkspaceId, variable: &Variable) -> [Statement; 3] {
    [
        Statement::new(
            "DELETE FROM variable_values WHERE workspace = ?1 AND variable = ?2",
            args![workspace, variable.id],
        ),
        secrets::delete_name(workspace, &variable.name),
        Statement::exactly_one(
            "DELETE FROM variables WHERE workspace = ?1 AND id = ?2",
            args![workspace, variable.id],
        ),
    ]
}
