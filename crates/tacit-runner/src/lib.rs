//! Automations: their steps, one after the other, through the broker.
//!
//! A run is a task of its own: whoever started it may wait for it or not. What a step yields has passed the broker's
//! scrubber before it gets here, so that a history cannot hold what was never handed over.
#![forbid(unsafe_code)]

mod scope;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use serde_json::{Map, Value};
use tacit_broker::{Broker, SendRequest};
use tacit_model::{Code, EnvironmentName, Problem, SecretName, Step, Timestamp};
use tacit_template::Reference;
use tacit_vault::{Caller, HttpTemplate, RunRecord, RunStarted, RunTicket, Using, Vault};
use tokio::sync::{RwLock, oneshot};

pub use scope::Data;

/// Runs automations. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    vault: Vault,
    broker: Broker,
    /// Read by every run while it goes; taken for writing by whoever waits for all of them.
    going: Arc<RwLock<()>>,
}

/// A run that was started, and a way to wait for its end.
pub struct Running {
    /// As it stood when it began.
    pub record: RunRecord,
    end: oneshot::Receiver<RunRecord>,
}

impl Running {
    /// The run when it is over. If the process stops first, the run as it began.
    pub async fn end(self) -> RunRecord {
        self.end.await.unwrap_or(self.record)
    }
}

impl Runner {
    /// A runner over a vault and a broker.
    pub fn new(vault: Vault, broker: Broker) -> Self {
        Self { vault, broker, going: Arc::default() }
    }

    /// Starts a run. It goes on when the caller goes away.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`.
    pub async fn start(
        &self,
        caller: Caller,
        name: &SecretName,
        environment: &EnvironmentName,
        input: Value,
    ) -> Result<Running, Problem> {
        let started = self.vault.start_run(&caller, name, environment).await?;
        let record = started.record.clone();
        let (done, end) = oneshot::channel();
        let runner = self.clone();
        let going = Arc::clone(&self.going).read_owned().await;
        tokio::spawn(async move {
            let record = runner.run(&caller, started, input).await;
            // Nobody waits: the history has it.
            let _ = done.send(record);
            drop(going);
        });
        Ok(Running { record, end })
    }

    /// Waits until no run is going.
    pub async fn idle(&self) {
        let _all = self.going.write().await;
    }

    async fn run(&self, caller: &Caller, started: RunStarted, input: Value) -> RunRecord {
        let RunStarted { ticket, definition, mut record } = started;
        let mut data = Data::new(input, ticket.environment().as_str(), &ticket.run.to_string());
        let mut results = Vec::with_capacity(definition.steps.len());
        let mut failure: Option<Code> = None;
        for step in &definition.steps {
            if failure.is_some() {
                results.push(skipped(step));
                continue;
            }
            let begun = Instant::now();
            // Each step is judged at its own time: a token that ended or a right that was withdrawn stops the run here.
            let caller = Caller { now: now(), ..caller.clone() };
            let (result, problem) = match self.step(&caller, &ticket, step, &mut data).await {
                Ok((output, redactions))
                    if output["status"]
                        .as_u64()
                        .is_some_and(|status| step.http.expects(u16::try_from(status).unwrap_or(0))) =>
                {
                    data.keep(&step.id, output.clone());
                    (finished(step, Some(output), redactions, None, begun), None)
                }
                Ok((output, redactions)) => {
                    let problem = unexpected_status(&output);
                    (finished(step, Some(output), redactions, Some(&problem), begun), Some(problem))
                }
                Err(problem) => (finished(step, None, 0, Some(&problem), begun), Some(problem)),
            };
            if let Some(problem) = problem {
                if let Some(cause) = problem.cause() {
                    tracing::error!(run = %ticket.run, step = step.id, code = %problem.code, cause, "a step failed");
                }
                failure = Some(problem.code);
            }
            results.push(result);
        }
        record.status = if failure.is_some() { "failed" } else { "succeeded" }.to_owned();
        record.code = failure.map(|code| code.as_str().to_owned());
        record.steps = Value::Array(results).to_string();
        let end = now();
        record.finished_at = Some(end);
        metrics(&record.status);
        if let Err(problem) = self.vault.finish_run(&ticket, &record, end).await {
            tracing::error!(run = %ticket.run, cause = problem.cause(), "a run's end could not be recorded; the next start marks it interrupted");
        }
        record
    }

    async fn step(
        &self,
        caller: &Caller,
        ticket: &RunTicket,
        step: &Step,
        data: &mut Data,
    ) -> Result<(Value, u64), Problem> {
        let template = HttpTemplate::compile(&step.http, "http.")?;
        let variables: Vec<String> = template
            .data_references()
            .into_iter()
            .filter_map(|r| if let Reference::Var(name) = r { Some(name.clone()) } else { None })
            .collect();
        let using = Using::Run { ticket, step: &step.id };
        data.set_variables(self.vault.variables_for(caller, using, ticket.environment(), &variables).await?);
        let request = SendRequest {
            caller,
            using,
            environment: ticket.environment(),
            step: &step.http,
            template: &template,
            scope: data,
        };
        let answer = self.broker.send(request).await?;
        Ok((answer.to_value(), answer.redactions))
    }
}

fn skipped(step: &Step) -> Value {
    serde_json::json!({ "id": step.id, "status": "skipped", "redactions": 0, "duration_ms": 0 })
}

fn finished(
    step: &Step,
    output: Option<Value>,
    redactions: u64,
    problem: Option<&Problem>,
    begun: Instant,
) -> Value {
    let mut result = Map::new();
    result.insert("id".to_owned(), step.id.clone().into());
    result.insert("status".to_owned(), if problem.is_some() { "failed" } else { "succeeded" }.into());
    if let Some(output) = output {
        result.insert("output".to_owned(), output);
    }
    if let Some(problem) = problem {
        let mut error = Map::new();
        error.insert("code".to_owned(), problem.code.as_str().into());
        error.insert("detail".to_owned(), problem.detail.clone().into());
        if let Some(suggestion) = &problem.suggestion {
            error.insert("suggestion".to_owned(), suggestion.clone().into());
        }
        if let Some(destination) = &problem.destination {
            error.insert("destination".to_owned(), serde_json::to_value(destination).unwrap_or_default());
        }
        result.insert("error".to_owned(), Value::Object(error));
    }
    result.insert("redactions".to_owned(), redactions.into());
    result.insert(
        "duration_ms".to_owned(),
        u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).into(),
    );
    Value::Object(result)
}

fn unexpected_status(output: &Value) -> Problem {
    Problem::new(
        Code::UnexpectedStatus,
        format!("the service answered {}, which this step does not expect", output["status"]),
    )
    .suggest("look at the step's output, or list the status in `expect_status`")
}

fn metrics(status: &str) {
    metrics::counter!("tacit_runs_total", "status" => status.to_owned()).increment(1);
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
