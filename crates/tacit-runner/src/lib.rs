//! Automations: their steps, one after the other, through the broker.
//!
//! Runs wait in a queue in the database. A node claims what it has room for and renews its claim while it works; whoever
//! started a run may wait for it or not. What a step yields has passed the broker's scrubber before it gets here, so that a
//! history cannot hold what was never handed over.
#![forbid(unsafe_code)]

mod http;
mod queue;
mod retry;
mod run;
pub mod schedule;
mod scope;
mod sftp;
mod storage;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tacit_broker::Broker;
use tacit_model::{EnvironmentName, Problem, RunId, SecretName, Step, StepKind, Timestamp, WorkspaceId};
use tacit_template::Reference;
use tacit_vault::{
    Caller, NewRun, Node, RunQueued, RunRecord, RunStarted, RunTicket, StepTemplate, TokenHash, Using, Vault,
};
use tokio::sync::{Notify, RwLock, broadcast, oneshot, watch};

pub use scope::Data;

/// Runs automations. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    vault: Vault,
    broker: Broker,
    shared: Arc<Shared>,
}

/// What all clones of a runner know.
struct Shared {
    /// This process among those that share a database.
    node: LazyLock<Node>,
    /// Read by every run while it goes; taken for writing by whoever waits for all of them.
    idle: Arc<RwLock<()>>,
    /// The runs that go here.
    going: Mutex<HashMap<RunId, Going>>,
    /// Who waits for the end of which run.
    waiters: Mutex<HashMap<RunId, Vec<oneshot::Sender<RunRecord>>>>,
    /// Something may wait in the queue, or there is room again.
    wake: Notify,
    /// Schedules changed.
    replan: Notify,
    /// Runs of which something changed, for those who watch.
    changes: broadcast::Sender<RunId>,
    /// True when the process is about to stop.
    closing: watch::Sender<bool>,
}

/// A run that goes here.
struct Going {
    workspace: WorkspaceId,
    /// True when it should stop.
    cancel: watch::Sender<bool>,
}

/// Changes that somebody who watches may fall behind.
const CHANGES_KEPT: usize = 1024;

/// How often whoever waits for a run looks whether it ended elsewhere.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A run that was started, and a way to wait for its end.
pub struct Running {
    /// As it stood when it was put into the queue.
    pub record: RunRecord,
    workspace: WorkspaceId,
    runner: Runner,
    end: oneshot::Receiver<RunRecord>,
}

impl Running {
    /// The run when it is over. If the process stops first, the run as it began.
    pub async fn end(mut self) -> RunRecord {
        loop {
            tokio::select! {
                end = &mut self.end => return end.unwrap_or(self.record),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            // Another node may have it.
            let vault = &self.runner.vault;
            if let Ok(true) = vault.run_is_over(self.workspace, self.record.id).await
                && let Ok(Some(record)) = vault.run_of(self.workspace, self.record.id).await
            {
                return record;
            }
        }
    }

    /// The run at some time: over, or as it stands then.
    pub async fn within(self, limit: Duration) -> RunRecord {
        let (runner, workspace, record) = (self.runner.clone(), self.workspace, self.record.clone());
        match tokio::time::timeout(limit, self.end()).await {
            Ok(record) => record,
            Err(_) => runner.vault.run_of(workspace, record.id).await.ok().flatten().unwrap_or(record),
        }
    }
}

impl Runner {
    /// A runner over a vault and a broker.
    pub fn new(vault: Vault, broker: Broker) -> Self {
        let shared = Shared {
            // Later than the start: the first random numbers of a process take longer than all the rest of it.
            node: LazyLock::new(|| Node(tacit_vault::random_bytes())),
            idle: Arc::default(),
            going: Mutex::default(),
            waiters: Mutex::default(),
            wake: Notify::new(),
            replan: Notify::new(),
            changes: broadcast::channel(CHANGES_KEPT).0,
            closing: watch::channel(false).0,
        };
        Self { vault, broker, shared: Arc::new(shared) }
    }

    /// Starts a run. It goes on when the caller goes away.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`, `payload_too_large`, `rate_limited`.
    pub async fn start(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
        input: Value,
    ) -> Result<Running, Problem> {
        let new = NewRun { input, fired: None };
        let (runner, caller) = (self.clone(), caller.clone());
        let (name, environment) = (name.clone(), environment.clone());
        wholly(async move {
            let node = *runner.shared.node;
            let queued = runner.vault.start_run(&caller, &name, &environment, &new, node).await?;
            Ok(runner.queued(queued).await)
        })
        .await
    }

    /// Starts the run that a webhook is for.
    ///
    /// # Errors
    /// `not_found`, `rate_limited`, `payload_too_large`, and what starting a run refuses.
    pub async fn fire_hook(
        &self,
        hook: TokenHash,
        input: Value,
        request_id: [u8; 16],
    ) -> Result<Running, Problem> {
        let runner = self.clone();
        wholly(async move {
            let at = (now(), request_id);
            let queued = runner.vault.fire_hook(hook, &input, *runner.shared.node, at).await?;
            Ok(runner.queued(queued).await)
        })
        .await
    }

    /// Says that a run should stop.
    ///
    /// # Errors
    /// `not_found`, `forbidden`.
    pub async fn cancel(&self, caller: &Caller, id: RunId) -> Result<RunRecord, Problem> {
        let record = self.vault.cancel_run(caller, id).await?;
        self.stop(id);
        if record.finished_at.is_some() {
            self.ended(&record);
        }
        Ok(record)
    }

    /// Hears of runs of which something changed here.
    pub fn changes(&self) -> broadcast::Receiver<RunId> {
        self.shared.changes.subscribe()
    }

    /// Says that the process is about to stop: to those who watch runs, to the queue and to the schedules.
    pub fn close(&self) {
        self.shared.closing.send_replace(true);
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.shared.closing.borrow()
    }

    /// Waits until the process is about to stop.
    pub async fn closing(&self) {
        let mut closing = self.shared.closing.subscribe();
        let _ = closing.wait_for(|closing| *closing).await;
    }

    /// Waits until no run is going.
    pub async fn idle(&self) {
        let _all = self.shared.idle.write().await;
    }

    /// Goes at once if this node has it; else the queue's turn comes.
    async fn queued(&self, queued: RunQueued) -> Running {
        let RunQueued { record, workspace, started } = queued;
        let (done, end) = oneshot::channel();
        lock(&self.shared.waiters).entry(record.id).or_default().push(done);
        match started {
            Some(started) => self.go(started).await,
            None => self.shared.wake.notify_one(),
        }
        Running { record, workspace, runner: self.clone(), end }
    }

    /// Runs what this node has claimed, in a task of its own.
    async fn go(&self, started: RunStarted) {
        let (cancel, cancelled) = watch::channel(started.record.cancelled_by.is_some());
        let (id, workspace) = (started.ticket.run, started.ticket.workspace());
        {
            let mut going = lock(&self.shared.going);
            // A run that found no room may have been claimed by the queue's turn before whoever started it looked: it goes
            // once. Should it be over already, nothing can begin in it any more.
            if going.contains_key(&id) {
                return;
            }
            going.insert(id, Going { workspace, cancel });
        }
        let runner = self.clone();
        let idle = Arc::clone(&self.shared.idle).read_owned().await;
        tokio::spawn(async move {
            let record = runner.run(started, cancelled).await;
            lock(&runner.shared.going).remove(&id);
            if let Some(record) = record {
                runner.ended(&record);
            }
            // There is room for one more.
            runner.shared.wake.notify_one();
            drop(idle);
        });
    }

    /// Tells those who wait that a run is over.
    fn ended(&self, record: &RunRecord) {
        for waiter in lock(&self.shared.waiters).remove(&record.id).unwrap_or_default() {
            // Nobody waits any more: the history has it.
            let _ = waiter.send(record.clone());
        }
        self.changed(record.id);
    }

    /// Tells those who watch that there is something to see.
    fn changed(&self, id: RunId) {
        let _ = self.shared.changes.send(id);
    }

    /// Tells a run that goes here to stop.
    fn stop(&self, id: RunId) {
        if let Some(going) = lock(&self.shared.going).get(&id) {
            let _ = going.cancel.send(true);
        }
        self.changed(id);
    }

    /// Does what a step says, once.
    async fn step(
        &self,
        caller: &Caller,
        ticket: &RunTicket,
        step: &Step,
        data: &mut Data,
    ) -> Result<StepDone, Problem> {
        let template = StepTemplate::compile(&step.kind, "")?;
        let variables: Vec<String> = template
            .data_references()
            .into_iter()
            .filter_map(|r| if let Reference::Var(name) = r { Some(name.clone()) } else { None })
            .collect();
        let using = Using::Run { ticket, step: &step.id };
        data.set_variables(self.vault.variables_for(caller, using, ticket.environment(), &variables).await?);
        match (&step.kind, &template) {
            (StepKind::Http(http), StepTemplate::Http(template)) => {
                http::run(self, caller, ticket, &step.id, http, template, data).await
            }
            (StepKind::Sftp(sftp), StepTemplate::Sftp(template)) => {
                sftp::run(self, caller, ticket, &step.id, sftp, template, data).await
            }
            (StepKind::Storage(storage), StepTemplate::Storage(template)) => {
                storage::run(self, caller, ticket, &step.id, storage, template, data).await
            }
            // Compiling refused it above.
            _ => Err(Problem::internal("a step was compiled as another kind")),
        }
    }
}

/// Starts a run in a task of its own. Whoever asked may hang up in the middle, and a run that is claimed and that nobody runs
/// would hold a place until its claim is over.
async fn wholly<T: Send + 'static>(
    start: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(start).await.unwrap_or_else(|error| Err(Problem::internal(error)))
}

/// What a step brought. With a problem it failed although something came back.
pub(crate) struct StepDone {
    /// The result, scrubbed.
    pub(crate) output: Value,
    /// How many times something was taken out of it.
    pub(crate) redactions: u64,
    /// Why it counts as failed.
    pub(crate) problem: Option<Problem>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
