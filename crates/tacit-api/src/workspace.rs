//! Workspaces and their environments.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A workspace with its settings.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    /// `[a-z0-9-]{1,63}`.
    #[schema(example = "default")]
    pub name: String,
    /// For how many days an earlier version of a value is kept.
    pub version_keep_days: i64,
    /// How many versions of a value are kept.
    pub version_keep_count: i64,
    /// For how many days a deleted secret can be restored.
    pub deletion_window_days: i64,
    /// Whether values in protected environments may be deleted.
    pub allow_protected_delete: bool,
    /// Whether looking at a value needs a reason.
    #[serde(default)]
    pub reveal_needs_reason: bool,
    /// For how many seconds a client should show a value that was looked at.
    #[serde(default)]
    pub hide_after_secs: i64,
    /// For how many days a run's history is kept.
    #[serde(default)]
    pub run_keep_days: i64,
    /// When it was created, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// In the answer to a change that makes a window for versions smaller: how many earlier versions are beyond it, and are
    /// destroyed; with `dry_run`, would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroys_versions: Option<i64>,
}

/// A workspace to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkspace {
    /// `[a-z0-9-]{1,63}`.
    #[schema(example = "default")]
    pub name: String,
}

/// Settings to change. What is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWorkspace {
    /// For how many days an earlier version of a value is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub version_keep_days: Option<i64>,
    /// How many versions of a value are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub version_keep_count: Option<i64>,
    /// For how many days a deleted secret can be restored; 0 for not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub deletion_window_days: Option<i64>,
    /// Whether values in protected environments may be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_protected_delete: Option<bool>,
    /// Whether looking at a value needs a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reveal_needs_reason: Option<bool>,
    /// For how many seconds a client should show a value that was looked at, 5 to 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 300)]
    pub hide_after_secs: Option<i64>,
    /// For how many days a run's history is kept, 1 to 3650.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3650)]
    pub run_keep_days: Option<i64>,
}

/// An environment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    /// `[a-z0-9-]{1,63}`.
    #[schema(example = "test")]
    pub name: String,
    /// Whether it keeps its values and is always named explicitly.
    pub protected: bool,
    /// When it was created, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// An environment to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEnvironment {
    /// `[a-z0-9-]{1,63}`.
    #[schema(example = "staging")]
    pub name: String,
    /// Whether it keeps its values; `false` unless said.
    #[serde(default)]
    pub protected: bool,
}
