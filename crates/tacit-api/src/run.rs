//! Runs of automations. What a run holds was scrubbed before it was kept, but is still somebody's data: no `Debug`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Destination;

/// A run to start.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// In which environment; always said.
    #[schema(example = "test")]
    pub environment: String,
    /// What steps see as `{{input}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    /// Of this automation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automation: Option<String>,
    /// In this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Started by a `schedule` or a `webhook`, or by somebody: `manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Items per page; 100 unless said, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How long to wait for a run's end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// Seconds; the answer is `running` when they are over. 0 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// One run.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id, `run_…`.
    pub id: String,
    /// The automation's name.
    pub automation: String,
    /// In which environment.
    pub environment: String,
    /// How it stands.
    pub status: RunStatus,
    /// What started it by itself, `schedule` or `webhook`; nothing if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Whether somebody wants it to stop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelling: bool,
    /// Its steps so far, in order.
    pub steps: Vec<StepResult>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// Who started it, such as `service-account:ci`; of a schedule or webhook, who enabled it.
    pub started_by: String,
    /// When it started, RFC 3339.
    #[schema(format = "date-time")]
    pub started_at: String,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub finished_at: Option<String>,
    /// Milliseconds from its start to its end, waiting for its turn included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

impl Run {
    /// What [`stopped_by`] says of it.
    pub fn stopped_by(&self) -> Option<&StepResult> {
        stopped_by(&self.steps, &self.error.as_ref()?.code)
    }
}

/// The step whose failure ended a run, of its steps and the code with which it ended. None begins after it, so it is the last
/// one that failed; those that failed before it let the run go on. Nothing if the run ended of something else than a step.
pub fn stopped_by<'a>(steps: &'a [StepResult], code: &str) -> Option<&'a StepResult> {
    let last = steps.iter().rfind(|step| step.error.is_some())?;
    last.error.as_ref().filter(|error| error.code == code).map(|_| last)
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It waits for its turn.
    Queued,
    /// It goes on.
    Running,
    /// Every step did what it should.
    Succeeded,
    /// A step failed.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Whether it is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a run failed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunError {
    /// The stable code.
    pub code: String,
    /// What happened, in a sentence.
    pub detail: String,
}

/// What a step did.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct StepResult {
    /// The step's id.
    pub id: String,
    /// How it ended.
    pub status: StepStatus,
    /// The names of the secrets that it uses, of a step that was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
    /// What it brought, scrubbed: of an http step `{status, headers, body, body_encoding?}`. Not in a list of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// How often it was sent, if more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// How many times something was taken out of what came back.
    pub redactions: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It has begun.
    Running,
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// It was not its turn: an earlier step failed, its condition did not hold, or the run was stopped.
    Skipped,
}

impl StepStatus {
    /// `running`, `succeeded`, `failed` or `skipped`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Why a step failed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StepError {
    /// The stable code, the same as from the API.
    pub code: String,
    /// What happened, in a sentence.
    pub detail: String,
    /// What to do next, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The destination that would allow what was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step that failed and let the run go on did not end it, whether with the same code or not.
    #[test]
    fn the_last_failure_ends_a_run() {
        let step = |id: &str, code: Option<&str>| StepResult {
            id: id.to_owned(),
            status: if code.is_some() { StepStatus::Failed } else { StepStatus::Skipped },
            uses: Vec::new(),
            output: None,
            error: code.map(|code| StepError {
                code: code.to_owned(),
                detail: String::new(),
                suggestion: None,
                destination: None,
            }),
            attempts: None,
            redactions: 0,
            duration_ms: 0,
        };
        let steps = [step("a", Some("x")), step("b", Some("y")), step("c", Some("x")), step("d", None)];
        let stopped = |steps: &[StepResult], code: &str| stopped_by(steps, code).map(|step| step.id.clone());
        assert_eq!(stopped(&steps, "x").as_deref(), Some("c"));
        assert_eq!(stopped(&steps[..2], "y").as_deref(), Some("b"));
        assert_eq!(stopped(&steps, "cancelled"), None);
        assert_eq!(stopped(&steps[3..], "x"), None);
    }
}
