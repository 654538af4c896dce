//! Triggers: what starts automations by itself, and where.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An automation's triggers in an environment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Triggers {
    /// The environment.
    pub environment: String,
    /// Whether they are enabled there.
    pub enabled: bool,
    /// Whether they fire: they are enabled, and whoever did that may still run the automation.
    pub fires: bool,
    /// On whose authority they are enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_by: Option<String>,
    /// Since when, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub enabled_at: Option<String>,
    /// The schedules of what is published there.
    pub schedules: Vec<ScheduleState>,
    /// Whether what is published there has a webhook.
    pub webhook: bool,
    /// Whether the webhook has an address. One that was published anew after its address had ended has none until the triggers
    /// are enabled again.
    pub webhook_has_address: bool,
}

/// A schedule and its times.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScheduleState {
    /// Five fields.
    #[schema(example = "0 6 * * MON-FRI")]
    pub cron: String,
    /// Whose clock.
    #[schema(example = "Europe/Berlin")]
    pub timezone: String,
    /// When it fires next, RFC 3339; absent until that is worked out, and where it is not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub next_at: Option<String>,
    /// When it fired last, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub last_at: Option<String>,
}

/// Triggers that were enabled. The webhook's token is here and nowhere else: no `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TriggersEnabled {
    /// The triggers as they are now.
    #[serde(flatten)]
    pub triggers: Triggers,
    /// The webhook's new address, shown once: whoever has it can start runs. Absent where it keeps the one it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
}

/// A webhook's new address, shown once. No `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct WebhookRotated {
    /// The address: whoever has it can start runs.
    pub webhook_url: String,
}

/// The run that a webhook started.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HookCalled {
    /// Its id, `run_…`.
    pub run: String,
}
