//! `run_automation` and `get_run`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tacit_api::{Run, RunStatus, StartRun, StepError, StepResult};

use super::{Describes, Hints, LOOKS};
use crate::{
    Refusal,
    agent::Agent,
    limit::{self, Cut, OUTPUT_BYTES_MAX, PART_BYTES_MIN},
};

/// Seconds to wait for a run's end unless a client says.
const WAIT_SECS_DEFAULT: u64 = 20;
/// Seconds to wait at most: clients give up on a call after a while.
const WAIT_SECS_MAX: u64 = 300;

pub(super) struct RunAutomation;
pub(super) struct GetRun;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The automation's name.
    name: String,
    /// What its steps see as {{input}}: any JSON.
    #[serde(default)]
    input: Option<Value>,
    /// In which environment, such as `test`. A protected one (`live`) has to be named in each call.
    #[serde(default)]
    environment: Option<String>,
    /// Seconds to wait for its end; 20 unless said, 300 at most. When they are over the run goes on: ask with get_run.
    #[serde(default, alias = "wait")]
    #[schemars(range(max = 300))]
    wait_secs: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// The run's id, `run_…`.
    id: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The run's id.
    id: String,
    /// The automation's name.
    automation: String,
    /// In which environment.
    environment: String,
    /// `running`, `succeeded` or `failed`.
    status: &'static str,
    /// Its steps so far, in order.
    steps: Vec<Step>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
    /// When it started, RFC 3339.
    started_at: String,
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One step.
#[derive(Serialize, JsonSchema)]
struct Step {
    /// Its id.
    id: String,
    /// `succeeded`, `failed` or `skipped`.
    status: &'static str,
    /// What it brought: of an http step {status, headers, body}. Secrets were taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// Present if the output was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
    /// How many times a secret was taken out of what came back.
    redactions: u64,
    /// Milliseconds it took.
    duration_ms: u64,
}

/// Why something failed.
#[derive(Serialize, JsonSchema)]
struct Reason {
    /// The stable code; explain_refusal knows it.
    code: String,
    /// What happened.
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
}

impl Describes for RunAutomation {
    const NAME: &'static str = "run_automation";
    const TITLE: &'static str = "Run an automation";
    const DESCRIPTION: &'static str = "Starts a saved automation in an environment and waits for its end. Answers its \
        steps with what they brought; credentials were taken out. A run that failed is an answer with the step's code. If \
        it still runs when the wait is over, ask with get_run.";
    const HINTS: Hints = Hints { reads_only: false, destructive: true, idempotent: false, open_world: true };
    type Input = Start;
    type Output = Output;

    async fn run(agent: &Agent, input: Start) -> Result<Output, Refusal> {
        let wait_secs = input.wait_secs.unwrap_or(WAIT_SECS_DEFAULT);
        if wait_secs > WAIT_SECS_MAX {
            return Err(Refusal::arguments(format_args!("`wait_secs` must be at most {WAIT_SECS_MAX}")));
        }
        let environment = agent.environment(input.environment).await?;
        let start = StartRun { environment, input: input.input };
        Ok(output(agent.start_run(&input.name, &start, wait_secs).await?))
    }
}

impl Describes for GetRun {
    const NAME: &'static str = "get_run";
    const TITLE: &'static str = "Look at a run";
    const DESCRIPTION: &'static str = "Shows a run of an automation: whether it goes on, what each step brought, and why \
        one failed. Credentials were taken out before anything was kept.";
    const HINTS: Hints = LOOKS;
    type Input = Which;
    type Output = Output;

    async fn run(agent: &Agent, input: Which) -> Result<Output, Refusal> {
        Ok(output(agent.run(&input.id).await?))
    }
}

fn output(run: Run) -> Output {
    let each = (OUTPUT_BYTES_MAX / run.steps.len().max(1)).max(PART_BYTES_MIN);
    let next = match run.status {
        RunStatus::Queued | RunStatus::Running => {
            Some(format!("it goes on: ask again with get_run and the id {}", run.id))
        }
        _ => None,
    };
    Output {
        status: run.status.as_str(),
        steps: run.steps.into_iter().map(|result| step(result, each)).collect(),
        error: run.error.map(|error| Reason { code: error.code, detail: error.detail, suggestion: None }),
        id: run.id,
        automation: run.automation,
        environment: run.environment,
        started_at: run.started_at,
        finished_at: run.finished_at,
        next,
    }
}

fn step(result: StepResult, bytes_max: usize) -> Step {
    let (output, cut) = match result.output {
        // Of an answer the body is what is long; what stands around it stays readable.
        Some(Value::Object(mut fields)) if fields.contains_key("body") => {
            let body = fields.get_mut("body").map(Value::take).unwrap_or_default();
            let around = Value::Object(fields.clone()).to_string().len();
            let (body, cut) = limit::shorten(body, bytes_max.saturating_sub(around).max(PART_BYTES_MIN));
            fields.insert("body".to_owned(), body);
            let (output, cut_around) = limit::shorten(Value::Object(fields), bytes_max * 2);
            (Some(output), cut_around.or(cut))
        }
        Some(other) => {
            let (output, cut) = limit::shorten(other, bytes_max);
            (Some(output), cut)
        }
        None => (None, None),
    };
    Step {
        id: result.id,
        status: result.status.as_str(),
        output,
        cut,
        error: result.error.map(|StepError { code, detail, suggestion, .. }| Reason {
            code,
            detail,
            suggestion,
        }),
        redactions: result.redactions,
        duration_ms: result.duration_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A long body is cut, and what stands around it stays.
    #[test]
    fn long_steps() {
        let result = json!({"id": "a", "status": "succeeded", "redactions": 1, "duration_ms": 2,
            "output": {"status": 200, "headers": {"x": "y"}, "body": {"long": "z".repeat(5000)}}});
        let step = step(serde_json::from_value(result).ok().unwrap(), 2000);
        let output = step.output.unwrap();
        assert_eq!((&output["status"], &output["headers"]["x"]), (&json!(200), &json!("y")));
        assert!(
            output["body"]
                .as_str()
                .is_some_and(|body| body.starts_with("{\"long\":\"zz") && body.len() < 2000)
        );
        assert!(step.cut.is_some());
    }
}
