//! What people said about what they did. Beside the record, which names a reason by its id.

use tacit_model::{Timestamp, WorkspaceId};

use crate::{ReadError, Statement, Store, value::args};

impl Store {
    /// A reason's text.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn reason(&self, workspace: WorkspaceId, id: &[u8; 16]) -> Result<Option<String>, ReadError> {
        const SQL: &str = "SELECT text FROM reasons WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, *id]).await?.map(|mut row| row.take()).transpose()
    }
}

/// Keeps a reason. Its text was scrubbed.
pub fn insert(workspace: WorkspaceId, id: &[u8; 16], text: &str, now: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO reasons (workspace, id, text, created_at) VALUES (?1, ?2, ?3, ?4)",
        args![workspace, *id, text, now],
    )
}
