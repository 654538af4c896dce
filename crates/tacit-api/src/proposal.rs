//! Proposals: empty slots for somebody else to fill.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Destination,
    secret::{restricted, text},
};

/// A secret to propose: what it should be called and where it should go, without a value.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeSecret {
    /// Unique in the workspace, fixed.
    #[schema(example = "STRIPE_KEY")]
    pub name: String,
    /// `text` unless said; fixed.
    #[serde(default = "text", rename = "type")]
    #[schema(default = "text")]
    pub kind: String,
    /// `restricted` unless said, or `masked`; fixed.
    #[serde(default = "restricted")]
    #[schema(default = "restricted")]
    pub visibility: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to file it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Where it should go. A suggestion: nothing of it is in force until somebody who may aim secrets says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
}
