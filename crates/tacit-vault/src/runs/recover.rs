//! Runs whose node is gone: those that can go on go back into the queue, the others end.
//!
//! A step has begun once the intent of what it sends is durable. From then on it may have sent, and nobody can know: such a
//! run fails and says which step it was. It is never sent again.

use serde_json::{Value, json};
use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{Automation, Code, Problem, RunId, Timestamp, WorkspaceId};
use tacit_store::{Change, WriteError, runs as rows};

use super::{RunRecord, outcome};
use crate::Vault;

/// What became of the runs of nodes that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveredRuns {
    /// They go on.
    pub put_back: usize,
    /// They have failed: a step of theirs may have sent.
    pub interrupted: usize,
}

impl Vault {
    /// Looks after the runs whose node did not renew its claim. At a start that is every run that was going: nobody else has
    /// the data directory.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn recover_runs(&self, now: Timestamp, at_start: bool) -> Result<RecoveredRuns, Problem> {
        let until = if at_start { Timestamp::from_millis(i64::MAX) } else { now };
        let mut recovered = RecoveredRuns::default();
        for (_, workspace, id) in self.0.store.abandoned_runs(until).await.map_err(Problem::internal)? {
            let task = self.0.store.run_task(workspace, id).await.map_err(Problem::internal)?;
            let change = match &task {
                Some(task) if task.run.begun.is_none() => {
                    recovered.put_back += 1;
                    Change::new(workspace).and(rows::put_back(workspace, task))
                }
                _ => {
                    recovered.interrupted += 1;
                    self.interrupted(workspace, id, task, now).await?
                }
            };
            match self.0.store.write(change).await {
                // Another node was first, or its own node is back.
                Ok(_) | Err(WriteError::Conflict) => {}
                Err(error) => return Err(Problem::audit_unavailable(error)),
            }
        }
        Ok(recovered)
    }

    async fn interrupted(
        &self,
        workspace: WorkspaceId,
        id: RunId,
        task: Option<rows::Task>,
        now: Timestamp,
    ) -> Result<Change, Problem> {
        let definition = match &task {
            Some(task) => self.definition_of(workspace, task).await?,
            None => None,
        };
        let lease = task.as_ref().and_then(|task| task.lease);
        let run = match task {
            Some(task) => Some(task.run),
            None => self.0.store.run(workspace, id).await.map_err(Problem::internal)?,
        };
        let Some(mut run) = run else { return Ok(Change::new(workspace)) };
        run.status = "failed".to_owned();
        run.code = Some(Code::Interrupted.as_str().to_owned());
        run.finished_at = Some(now);
        run.steps = steps_of(&run, definition.as_deref());
        let object = Object::new(ObjectKind::Run, *id.as_bytes(), &run.automation);
        let mut event = self.system_event(workspace, now, Verb::RunFinish, object);
        event.outcome = outcome(&run);
        debug_assert!(event.outcome != Outcome::Succeeded, "an interrupted run has a code");
        event.environment = run.environment.parse().ok();
        event.detail = Detail { run: Some(id), ..Detail::default() };
        Ok(Change::new(workspace).and(rows::finish(workspace, &run, lease)).record(&event))
    }
}

/// The results there are, then the step that may have sent, then those whose turn it never was.
fn steps_of(run: &RunRecord, definition: Option<&str>) -> String {
    let Some(begun) = &run.begun else { return run.steps.clone() };
    let mut steps: Vec<Value> = serde_json::from_str(&run.steps).unwrap_or_default();
    steps.push(json!({
        "id": begun, "status": "failed", "redactions": 0, "duration_ms": 0,
        "error": {
            "code": Code::Interrupted.as_str(),
            "detail": "the server stopped while this step ran; whether it was sent, and what came of it, is not known",
            "suggestion": "look at the service what has happened, then start a new run if it is needed",
        },
    }));
    let definition: Option<Automation> = definition.and_then(|text| serde_json::from_str(text).ok());
    let later = definition.iter().flat_map(|definition| definition.steps.iter().skip(steps.len()));
    let skipped: Vec<Value> = later
        .map(|step| json!({"id": step.id, "status": "skipped", "redactions": 0, "duration_ms": 0}))
        .collect();
    steps.extend(skipped);
    Value::Array(steps).to_string()
}
