//! Runs: starting one, claiming one that waits, ending one, and their history.
//!
//! A run is put into the queue and, if there is room, claimed in the same transaction. What a node writes about it later is
//! on condition that it still has it: a node that was away for too long finds that it has not, and writes nothing.

mod history;
mod recover;

use std::sync::PoisonError;

use serde_json::Value;
use tacit_audit::{Actor, ActorKind, Code as RecordedCode, Detail, Event, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::token::TokenHash;
use tacit_model::{
    Automation, AutomationId, Code, EnvironmentName, EventId, Problem, Right, RunId, SecretName, Timestamp,
    WorkspaceId, WorkspaceName, limits,
};
use tacit_store::{Change, Statement, WriteError, automations::Automation as AutomationRow, runs as rows};

use crate::{
    Caller, Precondition, Stop, Vault, access::Access, authorize::require, automations::not_deployed, busy,
    new_id, settle,
};

pub use recover::RecoveredRuns;
pub use rows::{Run as RunRecord, RunFilter, RunMark};

/// What a run acts on: made when it is claimed, demanded by every use in it.
#[derive(Clone, Debug)]
pub struct RunTicket {
    pub(crate) workspace: WorkspaceId,
    pub(crate) automation: AutomationId,
    pub(crate) automation_name: SecretName,
    pub(crate) hash: [u8; 32],
    pub(crate) environment: EnvironmentName,
    pub(crate) started_by: Actor,
    /// The node that has the run.
    pub(crate) node: [u8; 16],
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

    /// The workspace of the run.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }
}

/// A run that this node has claimed.
pub struct RunStarted {
    /// What its steps need.
    pub ticket: RunTicket,
    /// On whose authority it goes.
    pub caller: Caller,
    /// What is to be done.
    pub definition: Automation,
    /// What it was started with.
    pub input: Value,
    /// The run as it stands in the history.
    pub record: RunRecord,
}

/// A run that was put into the queue.
pub struct RunQueued {
    /// The run as it stands in the history.
    pub record: RunRecord,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// What is needed to go, if this node claimed it at once.
    pub started: Option<RunStarted>,
}

/// What starts a run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// A schedule.
    Schedule,
    /// A webhook.
    Webhook,
}

impl Fired {
    /// `schedule` or `webhook`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Webhook => "webhook",
        }
    }
}

/// A run to start.
pub struct NewRun {
    /// What its steps see as `{{input}}`.
    pub input: Value,
    /// What starts it, if not the caller.
    pub fired: Option<Fired>,
}

/// A node and until when it claims.
#[derive(Clone, Copy, Debug)]
pub struct Node(pub [u8; 16]);

impl Node {
    fn claim(self, now: Timestamp) -> rows::Claim {
        rows::Claim {
            node: self.0,
            until: now.plus_secs(limits::RUN_LEASE_SECS),
            at_once: [
                limits::RUNS_AT_ONCE_MAX,
                limits::RUNS_AT_ONCE_OF_WORKSPACE_MAX,
                limits::RUNS_AT_ONCE_OF_AUTOMATION_MAX,
            ],
        }
    }
}

impl Vault {
    /// Puts a run of what is published in an environment into the queue, and claims it if there is room.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`, `payload_too_large`, `rate_limited`.
    pub async fn start_run(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
        new: &NewRun,
        node: Node,
    ) -> Result<RunQueued, Problem> {
        if let Err(stop) = self.spend_on_run(caller, name).await {
            return Err(match stop {
                Stop::Problem(problem) => problem,
                Stop::Stale => busy(),
            });
        }
        let input = input_text(&new.input)?;
        settle!(self, caller, |access| async {
            let automation = self.automation(&access, name).await?;
            self.queue_run(&access, caller, automation, environment, (&input, new.fired), node, None).await
        })
    }

    /// A run that an agent starts is one of its requests, however many its steps send.
    async fn spend_on_run(&self, caller: &Caller, name: &SecretName) -> Result<(), Stop> {
        let access = self.access(caller).await?;
        let object = Object::new(ObjectKind::Automation, [0; 16], name.as_str());
        self.spend_of_agent(&access, Verb::RunStart, object).await
    }

    /// Judges whether a run may start, and writes it together with its event, and with whatever must be so that it starts.
    #[expect(
        clippy::too_many_arguments,
        reason = "a run is what it is started by, with, where and by which node"
    )]
    pub(crate) async fn queue_run(
        &self,
        access: &Access,
        caller: &Caller,
        automation: AutomationRow,
        environment: &EnvironmentName,
        (input, fired): (&str, Option<Fired>),
        node: Node,
        beside: Option<Statement>,
    ) -> Result<RunQueued, Stop> {
        let environment = access.environment(environment)?.clone();
        let workspace = access.view.workspace.id;
        let run = new_id!(RunId, access.now);
        let object = Object::new(ObjectKind::Automation, *automation.id.as_bytes(), automation.name.as_str());
        let detail = Detail { run: Some(run), ..Detail::default() };
        let mut event = self.event(access, Verb::RunStart, object, Outcome::Allowed, detail);
        event.environment = Some(environment.name.clone());
        if fired.is_some() {
            // Whoever enabled the trigger did not press a button now.
            event.on_behalf_of = Some(event.actor);
            let (id, name) = (*automation.id.as_bytes(), automation.name.as_str());
            event.actor = Actor::new(ActorKind::Automation, id, name);
        }
        if let Err(problem) = require(access.rights_in(environment.id), Right::AutomationRun) {
            return Err(self.refuse_event(access, event, problem).await);
        }
        let published = self.0.store.published(workspace, automation.id).await?;
        let Some(published) = published.into_iter().find(|p| p.environment == environment.id) else {
            return Err(self.refuse_event(access, event, not_deployed(&automation.name)).await);
        };
        if self.waiting_count(workspace, access.now).await? >= limits::RUNS_QUEUED_MAX {
            return Err(self.refuse_event(access, event, too_many_waiting()).await);
        }
        event.detail.definition_hash = Some(published.hash);
        let definition: Automation =
            serde_json::from_str(&published.definition).map_err(Problem::internal)?;
        let task = rows::Task {
            run: RunRecord {
                id: run,
                automation: automation.name.to_string(),
                environment: environment.name.to_string(),
                status: "queued".to_owned(),
                code: None,
                steps: "[]".to_owned(),
                started_by: access.principal.actor.to_string(),
                started_at: access.now,
                finished_at: None,
                trigger: fired.map(|fired| fired.as_str().to_owned()),
                begun: None,
                cancelled_by: None,
            },
            automation: automation.id,
            hash: published.hash,
            at_once: definition.concurrency.map(i64::from),
            creator: *caller.token.as_bytes(),
            starter: access.principal.actor.id,
            input: Some(input.to_owned()),
            lease: None,
            lease_until: None,
        };
        let claim = node.claim(access.now);
        let change = self
            .change(access)
            .and_all(beside)
            .and(rows::insert(workspace, &task))
            .and(rows::claim(workspace, run, &claim))
            .record(&event);
        self.0.store.write(change).await?;
        let task = self.0.store.run_task(workspace, run).await?;
        let task = task.ok_or_else(|| Problem::internal("a run vanished"))?;
        let record = task.run.clone();
        if !is_held(&task, &claim) {
            return Ok(RunQueued { record, workspace, started: None });
        }
        let caller = Caller { precondition: Precondition::NONE, ..caller.clone() };
        let started = started(workspace, caller, task, node, definition)?;
        Ok(RunQueued { record, workspace, started: Some(started) })
    }

    /// How many runs of a workspace wait, as of this second: counting thousands for each of thousands takes too long.
    async fn waiting_count(&self, workspace: WorkspaceId, now: Timestamp) -> Result<i64, Stop> {
        let known = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&workspace).copied();
        if let Some((at, count)) = known
            && (0..1000).contains(&(now.as_millis() - at.as_millis()))
        {
            return Ok(count);
        }
        let count = self.0.store.queued_runs_count(workspace).await?;
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(workspace, (now, count));
        Ok(count)
    }

    /// Claims one of the runs that wait, if there is room for one; those that wait longest first. `None` if there is nothing
    /// to do here. What cannot be run any more is ended.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn claim_run(&self, node: Node, now: Timestamp) -> Result<Option<RunStarted>, Problem> {
        let claim = node.claim(now);
        let waiting = self.0.store.claimable_runs(&claim, CLAIMABLE_MAX).await.map_err(Problem::internal)?;
        for (name, workspace, id) in waiting {
            let change = Change::new(workspace).and(rows::claim(workspace, id, &claim));
            self.0.store.write(change).await.map_err(Problem::audit_unavailable)?;
            let Some(task) = self.0.store.run_task(workspace, id).await.map_err(Problem::internal)? else {
                continue;
            };
            if is_held(&task, &claim)
                && let Some(started) = self.claimed(&name, workspace, task, node, now).await?
            {
                return Ok(Some(started));
            }
        }
        Ok(None)
    }

    async fn claimed(
        &self,
        name: &WorkspaceName,
        workspace: WorkspaceId,
        task: rows::Task,
        node: Node,
        now: Timestamp,
    ) -> Result<Option<RunStarted>, Problem> {
        let definition = self.definition_of(workspace, &task).await?;
        let caller = Caller {
            workspace: name.clone(),
            token: TokenHash::from_bytes(task.creator),
            now,
            request_id: [0; 16],
            precondition: Precondition::NONE,
        };
        let is_gone = definition.is_none();
        let definition = serde_json::from_str(definition.as_deref().unwrap_or(EMPTY_DEFINITION));
        let run = started(workspace, caller, task, node, definition.map_err(Problem::internal)?)?;
        if !is_gone {
            return Ok(Some(run));
        }
        let mut record = run.record;
        record.status = "failed".to_owned();
        record.code = Some(Code::NotDeployed.as_str().to_owned());
        record.finished_at = Some(now);
        self.finish_run(&run.ticket, &record, now).await?;
        Ok(None)
    }

    /// The definition that a run was started with, if it is still the one that is published.
    pub(crate) async fn definition_of(
        &self,
        workspace: WorkspaceId,
        task: &rows::Task,
    ) -> Result<Option<String>, Problem> {
        let published =
            self.0.store.published(workspace, task.automation).await.map_err(Problem::internal)?;
        let environments = self.0.store.environments(workspace).await.map_err(Problem::internal)?;
        let environment = environments.iter().find(|found| found.name.as_str() == task.run.environment);
        Ok(published
            .into_iter()
            .find(|found| {
                environment.is_some_and(|environment| environment.id == found.environment)
                    && found.hash == task.hash
            })
            .map(|found| found.definition))
    }

    /// Keeps this node's claim on the runs of a workspace that go here, and says which of them somebody wants to stop.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn renew_runs(
        &self,
        workspace: WorkspaceId,
        runs: &[RunId],
        node: Node,
        now: Timestamp,
    ) -> Result<Vec<RunId>, Problem> {
        let until = node.claim(now).until;
        let renewals = runs.iter().map(|run| rows::renew(workspace, *run, node.0, until));
        let change = Change::new(workspace).and_all(renewals);
        self.0.store.write(change).await.map_err(Problem::audit_unavailable)?;
        self.0.store.cancelled_runs(workspace, &node.0).await.map_err(Problem::internal)
    }

    /// Keeps the results of the steps so far. False if this node does not have the run any more.
    ///
    /// # Errors
    /// `audit_unavailable`.
    pub async fn keep_steps(&self, ticket: &RunTicket, steps: &str) -> Result<bool, Problem> {
        let change = Change::new(ticket.workspace).and(rows::keep_steps(
            ticket.workspace,
            ticket.run,
            ticket.node,
            steps,
        ));
        match self.0.store.write(change).await {
            Ok(_) => Ok(true),
            Err(WriteError::Conflict) => Ok(false),
            Err(error) => Err(Problem::audit_unavailable(error)),
        }
    }

    /// Ends a run: its steps, scrubbed by whoever ran them, go into the history together with the event. False if this node
    /// does not have the run any more.
    ///
    /// # Errors
    /// `audit_unavailable`.
    pub async fn finish_run(
        &self,
        ticket: &RunTicket,
        record: &RunRecord,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        let event = Event {
            id: new_id!(EventId, now),
            at: now,
            workspace: ticket.workspace,
            actor: ticket.actor(),
            on_behalf_of: Some(ticket.started_by.clone()),
            verb: Verb::RunFinish,
            object: Object::new(ObjectKind::Run, *ticket.run.as_bytes(), ticket.automation_name.as_str()),
            outcome: outcome(record),
            environment: Some(ticket.environment.clone()),
            detail: Detail { run: Some(ticket.run), ..Detail::default() },
        };
        let change = Change::new(ticket.workspace)
            .and(rows::finish(ticket.workspace, record, Some(ticket.node)))
            .record(&event);
        match self.0.store.write(change).await {
            Ok(_) => Ok(true),
            Err(WriteError::Conflict) => Ok(false),
            Err(error) => Err(Problem::audit_unavailable(error)),
        }
    }
}

/// Runs that one look at the queue finds; the first that can be claimed is.
const CLAIMABLE_MAX: usize = 16;

/// What stands for a definition that is not published any more: nothing of it is run.
const EMPTY_DEFINITION: &str = r#"{"name":"gone","steps":[]}"#;

/// Whether this node has it. It may be by another claim of this node, of the same moment: the runner lets a run go once.
fn is_held(task: &rows::Task, claim: &rows::Claim) -> bool {
    task.run.status == "running" && task.lease == Some(claim.node)
}

pub(crate) fn input_text(input: &Value) -> Result<String, Problem> {
    let text = input.to_string();
    if text.len() <= limits::RUN_INPUT_BYTES_MAX {
        return Ok(text);
    }
    let message = format!("the input is over {} bytes", limits::RUN_INPUT_BYTES_MAX);
    Err(Problem::new(Code::PayloadTooLarge, message).suggest("send less, or where a step can fetch it"))
}

fn too_many_waiting() -> Problem {
    let message = format!("{} runs of this workspace wait already", limits::RUNS_QUEUED_MAX);
    let mut problem =
        Problem::new(Code::RateLimited, message).suggest("wait until some have ended, or cancel some");
    problem.retry_after_secs = Some(10);
    problem
}

fn started(
    workspace: WorkspaceId,
    caller: Caller,
    task: rows::Task,
    node: Node,
    definition: Automation,
) -> Result<RunStarted, Problem> {
    let ticket = RunTicket {
        workspace,
        automation: task.automation,
        automation_name: task.run.automation.parse().map_err(Problem::internal)?,
        hash: task.hash,
        environment: task.run.environment.parse().map_err(Problem::internal)?,
        started_by: starter(&task),
        node: node.0,
        run: task.run.id,
    };
    let input = task.input.as_deref().map(serde_json::from_str).transpose().map_err(Problem::internal)?;
    Ok(RunStarted { ticket, caller, definition, input: input.unwrap_or_default(), record: task.run })
}

/// Whoever started a run, as the record named them.
fn starter(task: &rows::Task) -> Actor {
    let (kind, name) = task.run.started_by.split_once(':').unwrap_or(("system", "tacit"));
    Actor::new(kind.parse().unwrap_or(ActorKind::System), task.starter, name)
}

fn outcome(record: &RunRecord) -> Outcome {
    let known = |code: &str| Code::ALL.iter().find(|known| known.as_str() == code).copied();
    match record.code.as_deref().and_then(known) {
        Some(code) => Outcome::Failed(RecordedCode::new(code.as_str())),
        None => Outcome::Succeeded,
    }
}
