//! Runs: starting one, ending one, and their history.

use tacit_audit::{Actor, ActorKind, Code as RecordedCode, Detail, Event, Object, ObjectKind, Outcome, Verb};
use tacit_model::{
    Automation, AutomationId, Code, EnvironmentName, EventId, Problem, Right, RunId, SecretName, Timestamp,
    WorkspaceId,
};
use tacit_store::{Change, runs as rows};

use crate::{
    Caller, Stop, Vault, access::Access, authorize::require, automations::not_deployed, busy, new_id, settle,
};

pub use rows::Run as RunRecord;

/// What a run acts on: made by [`Vault::start_run`], demanded by every use in it.
#[derive(Clone, Debug)]
pub struct RunTicket {
    pub(crate) workspace: WorkspaceId,
    pub(crate) automation: AutomationId,
    pub(crate) automation_name: SecretName,
    pub(crate) hash: [u8; 32],
    pub(crate) environment: EnvironmentName,
    pub(crate) started_by: Actor,
    /// The run.
    pub run: RunId,
}

impl RunTicket {
    /// The automation as the record names it.
    pub(crate) fn actor(&self) -> Actor {
        Actor::new(ActorKind::Automation, *self.automation.as_bytes(), self.automation_name.as_str())
    }

    /// The environment of the run.
    pub fn environment(&self) -> &EnvironmentName {
        &self.environment
    }
}

/// A run that has begun.
pub struct RunStarted {
    /// What its steps need.
    pub ticket: RunTicket,
    /// What is to be done.
    pub definition: Automation,
    /// The run as it stands in the history.
    pub record: RunRecord,
}

impl Vault {
    /// Begins a run of what is published in an environment.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`.
    pub async fn start_run(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<RunStarted, Problem> {
        if let Err(stop) = self.spend_on_run(caller, name).await {
            return Err(match stop {
                Stop::Problem(problem) => problem,
                Stop::Stale => busy(),
            });
        }
        settle!(self, caller, |access| self.start_run_once(&access, name, environment))
    }

    /// A run that an agent starts is one of its requests, however many its steps send.
    async fn spend_on_run(&self, caller: &Caller, name: &SecretName) -> Result<(), Stop> {
        let access = self.access(caller).await?;
        let object = Object::new(ObjectKind::Automation, [0; 16], name.as_str());
        self.spend_of_agent(&access, Verb::RunStart, object).await
    }

    async fn start_run_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<RunStarted, Stop> {
        let automation = self.automation(access, name).await?;
        let environment = access.environment(environment)?.clone();
        let workspace = access.view.workspace.id;
        let run = new_id!(RunId, access.now);
        let object = Object::new(ObjectKind::Automation, *automation.id.as_bytes(), automation.name.as_str());
        let mut event = self.event(
            access,
            Verb::RunStart,
            object,
            Outcome::Allowed,
            Detail { run: Some(run), ..Detail::default() },
        );
        event.environment = Some(environment.name.clone());
        if let Err(problem) = require(access.rights_in(environment.id), Right::AutomationRun) {
            return Err(self.refuse_event(access, event, problem).await);
        }
        let published = self
            .0
            .store
            .published(workspace, automation.id)
            .await?
            .into_iter()
            .find(|p| p.environment == environment.id);
        let Some(published) = published else {
            return Err(self.refuse_event(access, event, not_deployed(name)).await);
        };
        let definition: Automation =
            serde_json::from_str(&published.definition).map_err(Problem::internal)?;
        event.detail.definition_hash = Some(published.hash);
        let record = RunRecord {
            id: run,
            automation: automation.name.to_string(),
            environment: environment.name.to_string(),
            status: "running".to_owned(),
            code: None,
            steps: "[]".to_owned(),
            started_by: access.principal.actor.to_string(),
            started_at: access.now,
            finished_at: None,
        };
        self.0.store.write(self.change(access).and(rows::insert(workspace, &record)).record(&event)).await?;
        let ticket = RunTicket {
            workspace,
            automation: automation.id,
            automation_name: automation.name,
            hash: published.hash,
            environment: environment.name,
            started_by: access.principal.actor.clone(),
            run,
        };
        Ok(RunStarted { ticket, definition, record })
    }

    /// Ends a run: its steps, scrubbed by whoever ran them, go into the history together with the event.
    ///
    /// # Errors
    /// `audit_unavailable`.
    pub async fn finish_run(
        &self,
        ticket: &RunTicket,
        record: &RunRecord,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let outcome = match record
            .code
            .as_deref()
            .and_then(|code| Code::ALL.iter().find(|known| known.as_str() == code))
        {
            Some(code) => Outcome::Failed(RecordedCode::new(code.as_str())),
            None => Outcome::Succeeded,
        };
        let event = Event {
            id: new_id!(EventId, now),
            at: now,
            workspace: ticket.workspace,
            actor: ticket.actor(),
            on_behalf_of: Some(ticket.started_by.clone()),
            verb: Verb::RunFinish,
            object: Object::new(ObjectKind::Run, *ticket.run.as_bytes(), ticket.automation_name.as_str()),
            outcome,
            environment: Some(ticket.environment.clone()),
            detail: Detail { run: Some(ticket.run), ..Detail::default() },
        };
        let change = Change::new(ticket.workspace).and(rows::finish(ticket.workspace, record)).record(&event);
        self.0.store.write(change).await.map(drop).map_err(Problem::audit_unavailable)
    }

    /// Marks what was running when the process stopped. Nothing is repeated: a step may have sent.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn fail_interrupted_runs(&self, now: Timestamp) -> Result<usize, Problem> {
        let unfinished = self.0.store.unfinished_runs().await.map_err(Problem::internal)?;
        let count = unfinished.len();
        for (workspace, mut run) in unfinished {
            run.status = "failed".to_owned();
            run.code = Some(Code::Interrupted.as_str().to_owned());
            run.finished_at = Some(now);
            let object = Object::new(ObjectKind::Run, *run.id.as_bytes(), &run.automation);
            let mut event = self.system_event(workspace, now, Verb::RunFinish, object);
            event.outcome = Outcome::Failed(RecordedCode::new(Code::Interrupted.as_str()));
            self.0
                .store
                .write(Change::new(workspace).and(rows::finish(workspace, &run)).record(&event))
                .await
                .map_err(Problem::audit_unavailable)?;
        }
        Ok(count)
    }

    /// A run.
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

    /// Runs, newest first.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_runs(
        &self,
        caller: &Caller,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, Problem> {
        settle!(self, caller, |access| async {
            require_list(&access)?;
            let mut visible = Vec::new();
            let mut before = before;
            loop {
                let found = self.0.store.runs(access.view.workspace.id, before, limit).await?;
                let is_last = found.len() < limit;
                before = found.last().map(|run| run.id);
                visible.extend(found.into_iter().filter(|run| may_see(&access, run)));
                visible.truncate(limit);
                if is_last || visible.len() == limit {
                    return Ok(visible);
                }
            }
        })
    }
}

/// A run shows what its automation does: it is for those who may list all of its environment.
fn may_see(access: &Access, run: &RunRecord) -> bool {
    let environment = access.view.environments.iter().find(|found| found.name.as_str() == run.environment);
    let rights = environment.map_or(access.principal.rights, |environment| access.rights_in(environment.id));
    rights.has(Right::SecretList)
}

fn require_list(access: &Access) -> Result<(), Problem> {
    access.may_list("runs")
}
