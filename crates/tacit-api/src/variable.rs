//! Variables: the plain kind, readable by everyone who may list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::patch::present;

/// A variable with its value in each environment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Variable {
    /// Unique in the workspace, among secrets too; fixed.
    #[schema(example = "BASE_URL")]
    pub name: String,
    /// Free text.
    pub description: String,
    /// Where it is filed; empty for nowhere.
    pub folder: String,
    /// Per environment, its value.
    pub values: BTreeMap<String, String>,
    /// When it was created, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// When anything about it last changed, RFC 3339.
    #[schema(format = "date-time")]
    pub updated_at: String,
}

/// A variable to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVariable {
    /// Unique in the workspace, among secrets too, ignoring case; fixed.
    #[schema(example = "BASE_URL")]
    pub name: String,
    /// Per environment, its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to file it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// What to change about a variable. What is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateVariable {
    /// Refused (`immutable_field`) whatever it holds: present so that the refusal says why.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub name: Option<Value>,
    /// Free text; `null` for none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Where to file it; `null` or empty for nowhere.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub folder: Option<Option<String>>,
}

/// A variable's value in one environment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutVariable {
    /// The value.
    pub value: String,
}
