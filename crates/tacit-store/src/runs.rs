//! Runs: the queue of what is to be done, how it went, and the scrubbed outputs of the steps.
//!
//! A node claims a run for a while and renews that. Whatever it writes about the run is on condition that it still has it.

use tacit_model::{AutomationId, RunId, Timestamp, WorkspaceId, WorkspaceName};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// Bytes of the steps of a run in a list.
pub const LISTED_STEPS_BYTES_MAX: i64 = 16 * 1024;

/// A run, as its history shows it.
#[derive(Clone, Debug)]
pub struct Run {
    /// The id.
    pub id: RunId,
    /// The automation's name.
    pub automation: String,
    /// The environment's name.
    pub environment: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
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
    /// What started it: `schedule` or `webhook`; somebody did if it is nothing.
    pub trigger: Option<String>,
    /// The step that has begun and of which there is no result yet.
    pub begun: Option<String>,
    /// Who wants it to stop.
    pub cancelled_by: Option<String>,
}

/// A run with what it needs to go, or to go on.
#[derive(Clone, Debug)]
pub struct Task {
    /// The run.
    pub run: Run,
    /// The automation.
    pub automation: AutomationId,
    /// SHA-256 of the definition that runs.
    pub hash: [u8; 32],
    /// How many runs of the automation may go at once in its environment, where its definition says so.
    pub at_once: Option<i64>,
    /// The hash of the credential on whose authority it goes.
    pub creator: [u8; 32],
    /// The id of whom that belongs to.
    pub starter: [u8; 16],
    /// What it was started with, as JSON; gone when it has ended.
    pub input: Option<String>,
    /// The node that has it.
    pub lease: Option<[u8; 16]>,
    /// Until when.
    pub lease_until: Option<Timestamp>,
}

/// A node's claim on a run, and how much may go at once.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The node.
    pub node: [u8; 16],
    /// Until when.
    pub until: Timestamp,
    /// Runs that may go at once of the instance, of a workspace and of an automation in an environment.
    pub at_once: [i64; 3],
}

/// A run without its results: what tells whether there is something new of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMark {
    /// The environment's name.
    pub environment: String,
    /// As of [`Run`].
    pub status: String,
    /// Bytes of the steps' results.
    pub steps_bytes: i64,
    /// The step that has begun.
    pub begun: Option<String>,
    /// Who wants it to stop.
    pub cancelled_by: Option<String>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this automation.
    pub automation: Option<String>,
    /// In this environment.
    pub environment: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// Started by this: as of [`Run::trigger`], or [`MANUAL`](Self::MANUAL).
    pub trigger: Option<String>,
}

impl RunFilter {
    /// Stands for runs that somebody started.
    pub const MANUAL: &str = "manual";
}

fn run(row: &mut Row) -> Result<Run, ReadError> {
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
        trigger: row.take()?,
        begun: row.take()?,
        cancelled_by: row.take()?,
    })
}

fn task(row: &mut Row) -> Result<Task, ReadError> {
    Ok(Task {
        run: run(row)?,
        automation: row.take()?,
        hash: row.take()?,
        at_once: row.take()?,
        creator: row.take()?,
        starter: row.take()?,
        input: row.take()?,
        lease: row.take()?,
        lease_until: row.take()?,
    })
}

impl Store {
    /// A run.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn run(&self, workspace: WorkspaceId, id: RunId) -> Result<Option<Run>, ReadError> {
        const SQL: &str = "SELECT id, automation, environment, status, code, steps, started_by, started_at, finished_at, trigger, begun, cancelled_by
             FROM runs WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(|mut row| run(&mut row)).transpose()
    }

    /// What of a run changes whenever there is something new to see of it, and its environment. Its results may be large, and
    /// whoever watches it looks twice a second.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn run_mark(&self, workspace: WorkspaceId, id: RunId) -> Result<Option<RunMark>, ReadError> {
        const SQL: &str = "SELECT environment, status, octet_length(steps), begun, cancelled_by, finished_at
             FROM runs WHERE workspace = ?1 AND id = ?2";
        let Some(mut row) = self.row(SQL, &args![workspace, id]).await? else { return Ok(None) };
        Ok(Some(RunMark {
            environment: row.take()?,
            status: row.take()?,
            steps_bytes: row.take()?,
            begun: row.take()?,
            cancelled_by: row.take()?,
            finished_at: row.take()?,
        }))
    }

    /// Runs, newest first, before an id. Steps of more than [`LISTED_STEPS_BYTES_MAX`] are left out, as null: hundreds of them
    /// do not fit into memory.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn runs(
        &self,
        workspace: WorkspaceId,
        filter: &RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<Run>, ReadError> {
        const SQL: &str = "SELECT id, automation, environment, status, code,
               CASE WHEN octet_length(steps) <= ?7 THEN steps ELSE 'null' END,
               started_by, started_at, finished_at, trigger, begun, cancelled_by
             FROM runs WHERE workspace = ?1 AND (?2 IS NULL OR id < ?2) AND (?4 IS NULL OR automation = ?4)
               AND (?5 IS NULL OR environment = ?5) AND (?6 IS NULL OR status = ?6)
               AND (?8 IS NULL OR coalesce(trigger, ?9) = ?8)
             ORDER BY id DESC LIMIT ?3";
        let args = args![
            workspace,
            before,
            limit as i64,
            filter.automation.as_deref(),
            filter.environment.as_deref(),
            filter.status.as_deref(),
            LISTED_STEPS_BYTES_MAX,
            filter.trigger.as_deref(),
            RunFilter::MANUAL
        ];
        self.rows(SQL, &args).await?.into_iter().map(|mut row| run(&mut row)).collect()
    }

    /// A run with what it needs to go.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn run_task(&self, workspace: WorkspaceId, id: RunId) -> Result<Option<Task>, ReadError> {
        const SQL: &str = "SELECT id, automation, environment, status, code, steps, started_by, started_at, finished_at, trigger, begun, cancelled_by,
               automation_id, hash, at_once, creator, starter, input, lease, lease_until
             FROM runs WHERE workspace = ?1 AND id = ?2 AND automation_id IS NOT NULL";
        self.row(SQL, &args![workspace, id]).await?.map(|mut row| task(&mut row)).transpose()
    }

    /// Whether a node has a run.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn run_is_held(
        &self,
        workspace: WorkspaceId,
        id: RunId,
        node: &[u8; 16],
    ) -> Result<bool, ReadError> {
        const SQL: &str =
            "SELECT 1 FROM runs WHERE workspace = ?1 AND id = ?2 AND lease = ?3 AND status = 'running'";
        Ok(self.row(SQL, &args![workspace, id, *node]).await?.is_some())
    }

    /// How many runs of a workspace wait.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn queued_runs_count(&self, workspace: WorkspaceId) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM runs WHERE workspace = ?1 AND status = 'queued'";
        self.row(SQL, &args![workspace]).await?.map_or(Ok(0), |mut row| row.take())
    }

    /// The runs that may be claimed next: of each automation in an environment the one that waits longest, if there is room for
    /// one more; longest first. What has no room is left out, so that it does not hide what has.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn claimable_runs(
        &self,
        claim: &Claim,
        limit: usize,
    ) -> Result<Vec<(WorkspaceName, WorkspaceId, RunId)>, ReadError> {
        const SQL: &str = "SELECT w.name, w.id, min(r.id) FROM runs r JOIN workspaces w ON w.id = r.workspace
             WHERE r.status = 'queued' AND (SELECT count(*) FROM runs WHERE status = 'running') < ?1
             GROUP BY r.workspace, r.automation_id, r.environment
             HAVING (SELECT count(*) FROM runs g WHERE g.status = 'running' AND g.workspace = r.workspace) < ?2
               AND (SELECT count(*) FROM runs g WHERE g.status = 'running' AND g.workspace = r.workspace
                      AND g.automation_id = r.automation_id AND g.environment = r.environment) < coalesce(min(r.at_once), ?3)
             ORDER BY 3 LIMIT ?4";
        let [of_instance, of_workspace, of_automation] = claim.at_once;
        let rows = self.rows(SQL, &args![of_instance, of_workspace, of_automation, limit as i64]).await?;
        rows.into_iter().map(|mut row| Ok((row.parse()?, row.take()?, row.take()?))).collect()
    }

    /// The runs of all workspaces whose node has not renewed its claim: those until then, or all of them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn abandoned_runs(
        &self,
        until: Timestamp,
    ) -> Result<Vec<(WorkspaceName, WorkspaceId, RunId)>, ReadError> {
        const SQL: &str = "SELECT w.name, w.id, r.id FROM runs r JOIN workspaces w ON w.id = r.workspace
             WHERE r.status = 'running' AND (r.lease_until IS NULL OR r.lease_until <= ?1) ORDER BY r.id";
        let rows = self.rows(SQL, &args![until]).await?;
        rows.into_iter().map(|mut row| Ok((row.parse()?, row.take()?, row.take()?))).collect()
    }

    /// The runs of a workspace that a node has and somebody wants to stop.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn cancelled_runs(
        &self,
        workspace: WorkspaceId,
        node: &[u8; 16],
    ) -> Result<Vec<RunId>, ReadError> {
        const SQL: &str = "SELECT id FROM runs WHERE workspace = ?1 AND lease = ?2 AND status = 'running' AND cancelled_by IS NOT NULL";
        self.rows(SQL, &args![workspace, *node]).await?.into_iter().map(|mut row| row.take()).collect()
    }

    /// How many runs of a workspace ended before a time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn runs_finished_before(
        &self,
        workspace: WorkspaceId,
        time: Timestamp,
    ) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM runs WHERE workspace = ?1 AND finished_at < ?2";
        self.row(SQL, &args![workspace, time]).await?.map_or(Ok(0), |mut row| row.take())
    }
}

/// Puts a run into the queue.
pub fn insert(workspace: WorkspaceId, task: &Task) -> Statement {
    let run = &task.run;
    Statement::new(
        "INSERT INTO runs (workspace, id, automation, environment, status, code, steps, started_by, started_at, finished_at, trigger,
           automation_id, hash, at_once, creator, starter, input)
         VALUES (?1, ?2, ?3, ?4, 'queued', NULL, ?5, ?6, ?7, NULL, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        args![
            workspace,
            run.id,
            run.automation.as_str(),
            run.environment.as_str(),
            run.steps.as_str(),
            run.started_by.as_str(),
            run.started_at,
            run.trigger.as_deref(),
            task.automation,
            task.hash,
            task.at_once,
            task.creator,
            task.starter,
            task.input.as_deref()
        ],
    )
}

/// Claims a run that waits, if there is room for it; whether there was is read afterwards.
pub fn claim(workspace: WorkspaceId, id: RunId, claim: &Claim) -> Statement {
    let [of_instance, of_workspace, of_automation] = claim.at_once;
    Statement::new(
        "UPDATE runs SET status = 'running', lease = ?3, lease_until = ?4
         WHERE workspace = ?1 AND id = ?2 AND status = 'queued'
           AND (SELECT count(*) FROM runs WHERE status = 'running') < ?5
           AND (SELECT count(*) FROM runs WHERE status = 'running' AND workspace = ?1) < ?6
           AND (SELECT count(*) FROM runs g WHERE g.status = 'running' AND g.workspace = ?1
                  AND g.automation_id = runs.automation_id AND g.environment = runs.environment) < coalesce(runs.at_once, ?7)",
        args![workspace, id, claim.node, claim.until, of_instance, of_workspace, of_automation],
    )
}

/// Keeps a node's claim on a run that goes there. Only the node itself knows which do: one that nobody runs must not be kept.
pub fn renew(workspace: WorkspaceId, id: RunId, node: [u8; 16], until: Timestamp) -> Statement {
    Statement::new(
        "UPDATE runs SET lease_until = ?4 WHERE workspace = ?1 AND id = ?2 AND lease = ?3 AND status = 'running'",
        args![workspace, id, node, until],
    )
}

/// Puts a run back whose node is gone, and of which no step has begun that has no result: it goes on where it was.
pub fn put_back(workspace: WorkspaceId, task: &Task) -> Statement {
    Statement::exactly_one(
        "UPDATE runs SET status = 'queued', lease = NULL, lease_until = NULL
         WHERE workspace = ?1 AND id = ?2 AND status = 'running' AND begun IS NULL AND lease IS ?3 AND lease_until IS ?4",
        args![workspace, task.run.id, task.lease, task.lease_until],
    )
}

/// Says that a step begins, together with the intent of what it sends: only by the node that has the run.
pub fn begin_step(workspace: WorkspaceId, id: RunId, node: [u8; 16], step: &str) -> Statement {
    Statement::exactly_one(
        "UPDATE runs SET begun = ?4 WHERE workspace = ?1 AND id = ?2 AND lease = ?3 AND status = 'running'",
        args![workspace, id, node, step],
    )
}

/// Keeps the results so far: only by the node that has the run.
pub fn keep_steps(workspace: WorkspaceId, id: RunId, node: [u8; 16], steps: &str) -> Statement {
    Statement::exactly_one(
        "UPDATE runs SET steps = ?4, begun = NULL WHERE workspace = ?1 AND id = ?2 AND lease = ?3 AND status = 'running'",
        args![workspace, id, node, steps],
    )
}

/// Ends a run that has not ended: only by whoever has it, which is nobody while it waits.
pub fn finish(workspace: WorkspaceId, run: &Run, lease: Option<[u8; 16]>) -> Statement {
    Statement::exactly_one(
        "UPDATE runs SET status = ?3, code = ?4, steps = ?5, finished_at = ?6, input = NULL, begun = NULL, lease = NULL, lease_until = NULL
         WHERE workspace = ?1 AND id = ?2 AND status IN ('queued', 'running') AND lease IS ?7",
        args![
            workspace,
            run.id,
            run.status.as_str(),
            run.code.as_deref(),
            run.steps.as_str(),
            run.finished_at,
            lease
        ],
    )
}

/// Says that a run should stop.
pub fn request_cancel(workspace: WorkspaceId, id: RunId, by: &str) -> Statement {
    Statement::exactly_one(
        "UPDATE runs SET cancelled_by = coalesce(cancelled_by, ?3) WHERE workspace = ?1 AND id = ?2 AND status IN ('queued', 'running')",
        args![workspace, id, by],
    )
}

/// Forgets runs that ended before a time, some at once.
pub fn delete_finished_before(workspace: WorkspaceId, time: Timestamp, limit: usize) -> Statement {
    Statement::new(
        "DELETE FROM runs WHERE workspace = ?1 AND id IN
         (SELECT id FROM runs WHERE workspace = ?1 AND finished_at < ?2 LIMIT ?3)",
        args![workspace, time, limit as i64],
    )
}
