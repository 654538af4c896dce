//! A workspace's configuration as one document: references, never values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Destination,
    secret::{restricted, text},
};

/// What there is and what it needs. Without any value.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format: 1.
    pub version: u32,
    /// Secrets by name.
    #[serde(default)]
    pub secrets: Vec<ManifestSecret>,
    /// Variables by name.
    #[serde(default)]
    pub variables: Vec<ManifestVariable>,
    /// Automations, as they are published in the first environment that is not protected.
    #[serde(default, deserialize_with = "crate::exact::distinct")]
    #[schema(value_type = Vec<Object>)]
    pub automations: Vec<Value>,
    /// Of an export: fields of definitions that seem to hold a credential. An import does not look at them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// For an import: other names for secrets and variables, by the names that the document has. What is called so is looked
    /// for, and made, under the other name; references to it too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, String>,
}

/// A secret without its values.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestSecret {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type", default = "text")]
    pub kind: String,
    /// `restricted` or `masked`.
    #[serde(default = "restricted")]
    pub visibility: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Where it is filed.
    #[serde(default)]
    pub folder: String,
    /// Where it may go.
    #[serde(default)]
    pub destinations: Vec<Destination>,
    /// How often it should be rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every_days: Option<i64>,
    /// When it stops to be of use, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub expires_at: Option<String>,
    /// The environments it has a value in.
    #[serde(default)]
    pub environments: Vec<String>,
}

/// A variable without its values.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestVariable {
    /// Its name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Where it is filed.
    #[serde(default)]
    pub folder: String,
    /// The environments it has a value in.
    #[serde(default)]
    pub environments: Vec<String>,
}

/// Whether to change anything.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Only say what an import would do and what would be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// What an import did with one thing, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Imported {
    /// It is there already and stays as it is.
    Exists,
    /// The name is taken by something else, of another type or visibility, and nothing was done.
    Differs,
    /// It was made, without a value.
    Created,
    /// It was published.
    Published,
    /// It was left alone, because of what is missing.
    Skipped,
}

impl Imported {
    /// The word as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Differs => "differs",
            Self::Created => "created",
            Self::Published => "published",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing of an import.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportedItem {
    /// Its name.
    pub name: String,
    /// Its name in the document, where that was mapped to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What was done with it.
    pub result: Imported,
    /// Environments where it needs a value and has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_in: Vec<String>,
    /// What it names that is not there, such as `secret:STRIPE_KEY`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What an import did, or would do, and what is missing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Secrets.
    pub secrets: Vec<ImportedItem>,
    /// Variables.
    pub variables: Vec<ImportedItem>,
    /// Automations.
    pub automations: Vec<ImportedItem>,
    /// Environments that the manifest names and this workspace does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_environments: Vec<String>,
}
