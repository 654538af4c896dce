//! Automations. Their definition is the model's and travels as it was written; here is what surrounds it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An automation in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AutomationInfo {
    /// Unique in the workspace, fixed.
    #[schema(example = "settle-invoices")]
    pub name: String,
    /// Free text.
    pub description: String,
    /// Where it is published.
    pub environments: Vec<String>,
    /// When it was last published anywhere, RFC 3339.
    #[schema(format = "date-time")]
    pub published_at: String,
}

/// What publishing did, or would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// The automation's name.
    pub name: String,
    /// Where it is published.
    pub environment: String,
    /// What that made of it.
    pub result: Saved,
    /// SHA-256 of the definition, hexadecimal. What it may use is granted to exactly this content.
    pub hash: String,
    /// The secrets it names.
    pub secrets: Vec<String>,
    /// The variables it names.
    pub variables: Vec<String>,
    /// What to know about it.
    pub warnings: Vec<String>,
}

/// What publishing a definition makes of an automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Saved {
    /// It is new.
    Created,
    /// Another definition was published there before, or none.
    Changed,
    /// The same definition was published there before.
    Unchanged,
}

impl Saved {
    /// `created`, `changed` or `unchanged`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Which environment's definition.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AutomationQuery {
    /// The first unprotected environment unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// Whether to do it or only to say what would be done.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DryRunQuery {
    /// Only check and say, change nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}
