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
    /// Its steps so far, in order.
    pub steps: Vec<StepResult>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// Who started it, such as `service-account:ci`.
    pub started_by: String,
    /// When it started, RFC 3339.
    #[schema(format = "date-time")]
    pub started_at: String,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub finished_at: Option<String>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It goes on.
    Running,
    /// Every step did what it should.
    Succeeded,
    /// A step failed.
    Failed,
}

impl RunStatus {
    /// `running`, `succeeded` or `failed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
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
    /// What it brought, scrubbed: of an http step `{status, headers, body, body_encoding?}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// How many times something was taken out of what came back.
    pub redactions: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// It was not its turn: an earlier step failed.
    Skipped,
}

impl StepStatus {
    /// `succeeded`, `failed` or `skipped`.
    pub const fn as_str(self) -> &'static str {
        match self {
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
