//! Runs: what was started, how it went, and the scrubbed outputs of its steps.

use tacit_model::{RunId, Timestamp, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The id.
    pub id: RunId,
    /// The automation's name.
    pub automation: String,
    /// The environment's name.
    pub environment: String,
    /// `running`, `succeeded` or `failed`.
    pub status: String,
    /// Why it failed.
    pub code: Option<String>,
    /// The steps' results as JSON, scrubbed.
    pub steps: String,
    /// Who started it.
    pub started_by: String,
    /// When.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

fn run(mut row: Row) -> Result<Run, ReadError> {
    Ok(Run {
        id: row.take()?,
        automation: row.take()?,
        environment: row.take()?,
        status: row.take()?,
        code: row.take()?,
        steps: row.take()?,
        started_by: row.take()?,
        started_at: row.take()?,
        finished_at: row.take()?,
    })
}

impl Store {
    /// A run.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn run(&self, workspace: WorkspaceId, id: RunId) -> Result<Option<Run>, ReadError> {
        const SQL: &str = "SELECT id, automation, environment, status, code, steps, started_by, started_at, finished_at FROM runs
             WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(run).transpose()
    }

    /// Runs, newest first, before an id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn runs(
        &self,
        workspace: WorkspaceId,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<Run>, ReadError> {
        const SQL: &str = "SELECT id, automation, environment, status, code, steps, started_by, started_at, finished_at FROM runs
             WHERE workspace = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3";
        self.rows(SQL, &args![workspace, before, limit as i64]).await?.into_iter().map(run).collect()
    }

    /// The runs that were going when the process stopped.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unfinished_runs(&self) -> Result<Vec<(WorkspaceId, Run)>, ReadError> {
        const SQL: &str = "SELECT workspace, id, automation, environment, status, code, steps, started_by, started_at, finished_at FROM runs
             WHERE status = 'running'";
        self.rows(SQL, &[]).await?.into_iter().map(|mut row| Ok((row.take()?, run(row)?))).collect()
    }
}

/// Begins a run.
pub fn insert(workspace: WorkspaceId, run: &Run) -> Statement {
    Statement::new(
        "INSERT INTO runs (workspace, id, automation, environment, status, code, steps, started_by, started_at, finished_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        args![
            workspace,
            run.id,
            run.automation.as_str(),
            run.environment.as_str(),
            run.status.as_str(),
            run.code.as_deref(),
            run.steps.as_str(),
            run.started_by.as_str(),
            run.started_at,
            run.finished_at
        ],
    )
}

/// Ends a run that is still going; one that ended already stays as it is.
pub fn finish(workspace: WorkspaceId, run: &Run) -> Statement {
    Statement::exactly_one(
        "UPDATE runs SET status = ?3, code = ?4, steps = ?5, finished_at = ?6 WHERE workspace = ?1 AND id = ?2 AND status = 'running'",
        args![
            workspace,
            run.id,
            run.status.as_str(),
            run.code.as_deref(),
            run.steps.as_str(),
            run.finished_at
        ],
    )
}
