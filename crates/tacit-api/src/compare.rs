//! Comparison of values without a look at them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which environments to compare.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CompareQuery {
    /// One environment.
    pub from: String,
    /// The other one.
    pub to: String,
    /// Items per page; 100 unless said, 500 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How two values relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// They are the same.
    Same,
    /// They are not.
    Different,
    /// At least one of them is not there.
    Missing,
    /// One of them has fewer than 16 unpredictable characters, so nothing is said: an answer would help to guess it.
    Unknown,
}

impl Likeness {
    /// `same`, `different`, `missing` or `unknown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// What a comparison says about one secret.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// The secret.
    pub name: String,
    /// How its values in the two environments relate.
    pub result: Likeness,
    /// Where of the two it has no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_in: Vec<String>,
    /// Other secrets with the same value in some environment, 20 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reused_with: Vec<String>,
}
