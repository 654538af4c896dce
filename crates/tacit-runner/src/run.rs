//! One run, from where it stands to its end.
//!
//! That a step begins is written together with the intent of what it sends; its result is written before the next one
//! begins. So whoever finds the run later knows what was done, and which step may have been.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Map, Value, json};
use tacit_model::{Code, OnError, Problem, Step, StepKind, limits};
use tacit_template::Reference;
use tacit_vault::{Caller, RunRecord, RunStarted, RunTicket, StepTemplate, Using, condition};
use tokio::sync::watch;

use crate::{
    Data, Runner, StepDone, now,
    retry::{self, Moment},
};

/// A step's end: its result, and why it failed.
struct Ended {
    result: Value,
    problem: Option<Problem>,
    /// Whether it would have been sent once more if nobody had stopped the run.
    is_stopped: bool,
}

impl Runner {
    /// Runs what is left of a run. `None` if another node has it by now, or if its end could not be written.
    pub(crate) async fn run(
        &self,
        started: RunStarted,
        mut cancelled: watch::Receiver<bool>,
    ) -> Option<RunRecord> {
        let RunStarted { ticket, caller, definition, input, mut record } = started;
        let deadline = Instant::now() + Duration::from_secs(limits::RUN_SECS_MAX);
        let mut data = Data::new(input, ticket.environment().as_str(), &ticket.run.to_string());
        let done: Result<Vec<Value>, _> = serde_json::from_str(&record.steps);
        // Where what was done cannot be read, nothing is done that may have been done already.
        let (mut status, mut code) = match &done {
            Ok(_) => ("succeeded", None),
            Err(_) => ("failed", Some(Code::Internal)),
        };
        let mut results = done.unwrap_or_default();
        results.iter().for_each(|result| keep(&mut data, result));
        let mut kept_bytes = record.steps.len();
        let goes_on_at = results.len();
        for (at, step) in definition.steps.iter().enumerate().skip(goes_on_at) {
            if code.is_none() && *cancelled.borrow_and_update() {
                (status, code) = ("cancelled", Some(Code::Cancelled));
            }
            if code.is_some() {
                results.push(skipped(step));
                continue;
            }
            let ended = if Instant::now() > deadline {
                Some(failed_without_a_try(step, too_long()))
            } else {
                self.one(&caller, &ticket, step, &mut data, (&mut cancelled, deadline)).await
            };
            let Some(mut ended) = ended else {
                results.push(skipped(step));
                continue;
            };
            let bytes = ended.result.to_string().len();
            if kept_bytes + bytes > limits::RUN_RESULTS_BYTES_MAX {
                // It was done; only what it brought is too much to keep.
                ended = failed_without_a_try(step, too_much());
            } else {
                kept_bytes += bytes;
            }
            if let Some(problem) = &ended.problem {
                if let Some(cause) = problem.cause() {
                    tracing::error!(run = %ticket.run, step = step.id, code = %problem.code, cause, "a step failed");
                }
                if step.on_error == OnError::Stop {
                    (status, code) = ("failed", Some(problem.code));
                }
            }
            if ended.is_stopped {
                (status, code) = ("cancelled", Some(Code::Cancelled));
            }
            keep(&mut data, &ended.result);
            results.push(ended.result);
            if at + 1 < definition.steps.len() && code.is_none() {
                let steps = Value::Array(results.clone()).to_string();
                match self.vault.keep_steps(&ticket, &steps).await {
                    Ok(true) => self.changed(ticket.run),
                    Ok(false) => return lost(&ticket),
                    Err(problem) => {
                        tracing::error!(run = %ticket.run, cause = problem.cause(), "a step's result could not be written");
                        // What was done is not known durably, so nothing that relies on it is begun.
                        (status, code) = ("failed", Some(problem.code));
                    }
                }
            }
        }
        record.status = status.to_owned();
        record.code = code.map(|code| code.as_str().to_owned());
        record.steps = Value::Array(results).to_string();
        record.begun = None;
        let end = now();
        record.finished_at = Some(end);
        match self.vault.finish_run(&ticket, &record, end).await {
            Ok(true) => {
                metrics::counter!("tacit_runs_total", "status" => status).increment(1);
                Some(record)
            }
            Ok(false) => lost(&ticket),
            Err(problem) => {
                tracing::error!(run = %ticket.run, cause = problem.cause(), "a run's end could not be recorded; it is marked interrupted later");
                None
            }
        }
    }

    /// One step, as often as it may be sent; `None` if its condition does not hold.
    async fn one(
        &self,
        caller: &Caller,
        ticket: &RunTicket,
        step: &Step,
        data: &mut Data,
        (cancelled, deadline): (&mut watch::Receiver<bool>, Instant),
    ) -> Option<Ended> {
        let begun = Instant::now();
        match self.is_wanted(caller, ticket, step, data).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(problem) => return Some(failed_without_a_try(step, problem)),
        }
        let (mut attempt, mut is_stopped) = (1, false);
        let result = loop {
            // Each attempt is judged at its own time: a token that ended or a right that was withdrawn stops the run here.
            let caller = Caller { now: now(), ..caller.clone() };
            let result = self.step(&caller, ticket, step, data).await;
            let chance = f64::from(u16::from_be_bytes(tacit_vault::random_bytes())) / f64::from(u16::MAX);
            let wait = match &step.kind {
                StepKind::Http(http) => {
                    let at = Moment {
                        has_key: retry::has_key(http, data),
                        now: SystemTime::now(),
                        left: deadline.saturating_duration_since(Instant::now()),
                        chance,
                    };
                    retry::wait(http, &result, attempt, at)
                }
                StepKind::Sftp(_) | StepKind::Storage(_) => None,
            };
            let Some(wait) = wait else { break result };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // What was sent last is the step's result; what follows it is skipped.
                _ = cancelled.wait_for(|cancelled| *cancelled) => {
                    is_stopped = true;
                    break result;
                }
            }
            attempt += 1;
        };
        let mut ended = Ended { is_stopped, ..ended(step, result, attempt, begun) };
        let uses = secrets_of(step);
        if !uses.is_empty() {
            ended.result["uses"] = uses.into();
        }
        Some(ended)
    }

    async fn is_wanted(
        &self,
        caller: &Caller,
        ticket: &RunTicket,
        step: &Step,
        data: &mut Data,
    ) -> Result<bool, Problem> {
        let Some(condition) = condition(step, "")? else { return Ok(true) };
        let names: Vec<String> = condition
            .references()
            .into_iter()
            .filter_map(
                |reference| if let Reference::Var(name) = reference { Some(name.clone()) } else { None },
            )
            .collect();
        let caller = Caller { now: now(), ..caller.clone() };
        let using = Using::Run { ticket, step: &step.id };
        data.set_variables(self.vault.variables_for(&caller, using, ticket.environment(), &names).await?);
        Ok(condition.holds(data))
    }
}

/// Another node has the run: whatever happened here is not its history.
fn lost(ticket: &RunTicket) -> Option<RunRecord> {
    tracing::warn!(run = %ticket.run, "this node was away for too long: another one has the run");
    None
}

/// What later steps see of a step: its output, and the code with which it failed.
fn keep(data: &mut Data, result: &Value) {
    let Some(id) = result["id"].as_str() else { return };
    let mut seen = match &result["output"] {
        Value::Object(output) => output.clone(),
        _ => Map::new(),
    };
    if let Some(code) = result["error"]["code"].as_str() {
        seen.insert("error".to_owned(), json!({ "code": code }));
    }
    if !seen.is_empty() {
        data.keep(id, Value::Object(seen));
    }
}

/// The names of the secrets that a step uses, each once.
fn secrets_of(step: &Step) -> Vec<String> {
    let template = StepTemplate::compile(&step.kind, "");
    let names = template.iter().flat_map(StepTemplate::slots).map(|slot| slot.name.to_string());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn skipped(step: &Step) -> Value {
    json!({ "id": step.id, "status": "skipped", "redactions": 0, "duration_ms": 0 })
}

fn too_long() -> Problem {
    let message = format!("the run has taken {} seconds, which is as long as one may", limits::RUN_SECS_MAX);
    Problem::new(Code::UpstreamTimeout, message).suggest("do less in one run")
}

fn too_much() -> Problem {
    let message = format!("the results of a run together are over {} bytes", limits::RUN_RESULTS_BYTES_MAX);
    Problem::new(Code::PayloadTooLarge, message).suggest("keep less of each answer, with `fields`")
}

fn failed_without_a_try(step: &Step, problem: Problem) -> Ended {
    ended(step, Err(problem), 1, Instant::now())
}

fn ended(step: &Step, result: Result<StepDone, Problem>, attempts: u32, begun: Instant) -> Ended {
    let (output, redactions, problem) = match result {
        Ok(StepDone { output, redactions, problem }) => (Some(output), redactions, problem),
        Err(problem) => (None, 0, Some(problem)),
    };
    let mut result = Map::new();
    result.insert("id".to_owned(), step.id.clone().into());
    result.insert("status".to_owned(), if problem.is_some() { "failed" } else { "succeeded" }.into());
    if let Some(output) = output {
        result.insert("output".to_owned(), output);
    }
    if let Some(problem) = &problem {
        result.insert("error".to_owned(), error(problem));
    }
    if attempts > 1 {
        result.insert("attempts".to_owned(), attempts.into());
    }
    result.insert("redactions".to_owned(), redactions.into());
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    result.insert("duration_ms".to_owned(), duration_ms.into());
    Ended { result: Value::Object(result), problem, is_stopped: false }
}

fn error(problem: &Problem) -> Value {
    let mut error = Map::new();
    error.insert("code".to_owned(), problem.code.as_str().into());
    error.insert("detail".to_owned(), problem.detail.clone().into());
    if let Some(suggestion) = &problem.suggestion {
        error.insert("suggestion".to_owned(), suggestion.clone().into());
    }
    if let Some(destination) = &problem.destination {
        error.insert("destination".to_owned(), serde_json::to_value(destination).unwrap_or_default());
    }
    Value::Object(error)
}
