//! What there was of runs and what there is: showing, listing, stopping.

use serde_json::Value;
use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{Code, Problem, Right, RunId, WorkspaceId};
use tacit_store::runs as rows;

use super::{RunFilter, RunMark, RunRecord};
use crate::{Caller, Stop, Vault, access::Access, authorize::require, settle};

impl Vault {
    /// Says that a run should stop. One that waits ends at once; one that goes ends before its next step.
    ///
    /// # Errors
    /// `not_found`, `forbidden`.
    pub async fn cancel_run(&self, caller: &Caller, id: RunId) -> Result<RunRecord, Problem> {
        settle!(self, caller, |access| self.cancel_run_once(&access, id))
    }

    async fn cancel_run_once(&self, access: &Access, id: RunId) -> Result<RunRecord, Stop> {
        let workspace = access.view.workspace.id;
        let found = self.0.store.run(workspace, id).await?.filter(|run| may_see(access, run));
        let mut run = found.ok_or_else(|| Problem::not_found("run"))?;
        let object = Object::new(ObjectKind::Run, *id.as_bytes(), &run.automation);
        let detail = Detail { run: Some(id), ..Detail::default() };
        let mut event = self.event(access, Verb::RunCancel, object, Outcome::Succeeded, detail);
        event.environment = run.environment.parse().ok();
        let environment =
            access.view.environments.iter().find(|found| found.name.as_str() == run.environment);
        let rights =
            environment.map_or(access.principal.rights, |environment| access.rights_in(environment.id));
        if let Err(problem) = require(rights, Right::AutomationRun) {
            return Err(self.refuse_event(access, event, problem).await);
        }
        let by = access.principal.actor.to_string();
        let statement = match run.status.as_str() {
            "queued" => {
                run.status = "cancelled".to_owned();
                run.code = Some(Code::Cancelled.as_str().to_owned());
                run.finished_at = Some(access.now);
                rows::finish(workspace, &run, None)
            }
            "running" if run.cancelled_by.is_none() => {
                run.cancelled_by = Some(by.clone());
                rows::request_cancel(workspace, id, &by)
            }
            // It is over, or somebody was first.
            _ => return Ok(run),
        };
        self.0.store.write(self.change(access).and(statement).record(&event)).await?;
        Ok(run)
    }

    /// A run, for those who may see it.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn show_run(&self, caller: &Caller, id: RunId) -> Result<RunRecord, Problem> {
        settle!(self, caller, |access| async {
            let found = self.0.store.run(access.view.workspace.id, id).await?;
            let found = found.filter(|run| may_see(&access, run));
            found.ok_or_else(|| Problem::not_found("run").into())
        })
    }

    /// What of a run changes when there is something new to see of it, for those who may see it.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn run_mark(&self, caller: &Caller, id: RunId) -> Result<RunMark, Problem> {
        settle!(self, caller, |access| async {
            let found = self.0.store.run_mark(access.view.workspace.id, id).await?;
            let found = found.filter(|mark| may_see_in(&access, &mark.environment));
            found.ok_or_else(|| Problem::not_found("run").into())
        })
    }

    /// Whether a run is over, for whoever started it and waits.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn run_is_over(&self, workspace: WorkspaceId, id: RunId) -> Result<bool, Problem> {
        let mark = self.0.store.run_mark(workspace, id).await.map_err(Problem::internal)?;
        Ok(mark.is_none_or(|mark| mark.finished_at.is_some()))
    }

    /// A run as it stands, for whoever started it and waits.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn run_of(&self, workspace: WorkspaceId, id: RunId) -> Result<Option<RunRecord>, Problem> {
        self.0.store.run(workspace, id).await.map_err(Problem::internal)
    }

    /// Runs, newest first, without what their steps brought: a page of those could be gigabytes.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_runs(
        &self,
        caller: &Caller,
        filter: &RunFilter,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, Problem> {
        settle!(self, caller, |access| async {
            require_list(&access)?;
            let workspace = access.view.workspace.id;
            let mut visible: Vec<RunRecord> = Vec::new();
            let mut before = before;
            loop {
                let found = self.0.store.runs(workspace, filter, before, limit).await?;
                let is_last = found.len() < limit;
                before = found.last().map(|run| run.id);
                visible.extend(found.into_iter().filter(|run| may_see(&access, run)));
                visible.truncate(limit);
                if is_last || visible.len() == limit {
                    break;
                }
            }
            for run in &mut visible {
                let steps = match run.steps.as_str() {
                    // Too large to be read together with the others.
                    "null" => self.0.store.run(workspace, run.id).await?.map(|run| run.steps),
                    _ => Some(std::mem::take(&mut run.steps)),
                };
                run.steps = without_outputs(&steps.unwrap_or_default());
            }
            Ok(visible)
        })
    }
}

/// A run shows what its automation does: it is for those who may list all of its environment.
fn may_see(access: &Access, run: &RunRecord) -> bool {
    may_see_in(access, &run.environment)
}

fn may_see_in(access: &Access, name: &str) -> bool {
    let environment = access.view.environments.iter().find(|found| found.name.as_str() == name);
    let rights = environment.map_or(access.principal.rights, |environment| access.rights_in(environment.id));
    rights.has(Right::SecretList)
}

/// The steps' results, but for what they brought.
fn without_outputs(steps: &str) -> String {
    let mut steps: Vec<Value> = serde_json::from_str(steps).unwrap_or_default();
    for step in steps.iter_mut().filter_map(Value::as_object_mut) {
        step.remove("output");
    }
    Value::Array(steps).to_string()
}

fn require_list(access: &Access) -> Result<(), Problem> {
    access.may_list("runs")
}
