//! Wrapped keys. They are useless without the root key.

use tacit_model::{EnvironmentId, WorkspaceId};

use crate::{ReadError, Statement, Store, value::args};

/// A key wrapped under its parent.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    /// Which of the key's generations this is, from 1.
    pub generation: u32,
    /// The generation of the key it is wrapped under; 0 for the root key.
    pub parent: u32,
    /// The wrapped bytes.
    pub wrapped: Vec<u8>,
}

pub(crate) fn narrow(number: i64) -> Result<u32, ReadError> {
    u32::try_from(number).map_err(|_| ReadError("a key's generation is out of range".to_owned()))
}

impl Store {
    /// A workspace's keys, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workspace_keys(&self, workspace: WorkspaceId) -> Result<Vec<WrappedKey>, ReadError> {
        const SQL: &str =
            "SELECT generation, wrapped FROM workspace_keys WHERE workspace = ?1 ORDER BY generation DESC";
        let rows = self.rows(SQL, &args![workspace]).await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(WrappedKey { generation: narrow(row.take()?)?, parent: 0, wrapped: row.take()? })
            })
            .collect()
    }

    /// An environment's data keys, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn data_keys(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
    ) -> Result<Vec<WrappedKey>, ReadError> {
        const SQL: &str = "SELECT generation, parent, wrapped FROM data_keys WHERE workspace = ?1 AND environment = ?2 ORDER BY generation DESC";
        let rows = self.rows(SQL, &args![workspace, environment]).await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(WrappedKey {
                    generation: narrow(row.take()?)?,
                    parent: narrow(row.take()?)?,
                    wrapped: row.take()?,
                })
            })
            .collect()
    }
}

/// Keeps a workspace's key.
pub fn insert_workspace_key(workspace: WorkspaceId, key: &WrappedKey) -> Statement {
    Statement::new(
        "INSERT INTO workspace_keys (workspace, generation, wrapped) VALUES (?1, ?2, ?3)",
        args![workspace, i64::from(key.generation), &key.wrapped[..]],
    )
}

/// Keeps an environment's data key.
pub fn insert_data_key(workspace: WorkspaceId, environment: EnvironmentId, key: &WrappedKey) -> Statement {
    Statement::new(
        "INSERT INTO data_keys (workspace, environment, generation, parent, wrapped) VALUES (?1, ?2, ?3, ?4, ?5)",
        args![workspace, environment, i64::from(key.generation), i64::from(key.parent), &key.wrapped[..]],
    )
}
