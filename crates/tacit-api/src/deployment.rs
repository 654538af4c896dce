//! Deployments: automations, and values if wanted, from one environment into another. No value is in any of this.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

fn yes() -> bool {
    true
}

/// What to deploy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDeployment {
    /// Where things come from.
    #[schema(example = "test")]
    pub from: String,
    /// Where they go.
    #[schema(example = "live")]
    pub to: String,
    /// Automations, as they are published in `from`.
    #[serde(default)]
    pub automations: Vec<String>,
    /// Secrets whose values are copied along. Where there is a value, the copy is its next version.
    #[serde(default)]
    pub copy_secrets: Vec<String>,
    /// Variables whose values are copied along.
    #[serde(default)]
    pub copy_variables: Vec<String>,
    /// Whether the automations' triggers fire in `to` from then on; they do unless said.
    #[serde(default = "yes")]
    pub enable_triggers: bool,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// How a deployment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    /// A dry run said what would be done.
    Planned,
    /// It was done.
    Deployed,
    /// It was taken back.
    RolledBack,
}

impl DeploymentStatus {
    /// The word as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Deployed => "deployed",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// How something in `from` relates to what was in `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// There was none in `to`, and now there is.
    New,
    /// It is the same in both.
    Same,
    /// It is not the same.
    Different,
    /// There is none in `to`, and none comes.
    Missing,
    /// There is one in both; whether they are the same is not said.
    Unknown,
}

impl Relation {
    /// The word as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "same",
            Self::Different => "different",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// One place where two definitions are different.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Where, such as `steps[charge].http.url`.
    pub path: String,
    /// What stood in `to`; left out if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What stands there now; left out if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

/// An automation of a deployment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeployedAutomation {
    /// Its name.
    pub name: String,
    /// How its definition relates to the one that was in `to`.
    pub result: Relation,
    /// SHA-256 of the definition, hexadecimal.
    pub hash: String,
    /// What changes in `to`. Lists leave it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<Difference>,
    /// How many triggers it has.
    pub triggers: usize,
}

/// A secret that an automation of the deployment names, or whose value is copied.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeployedSecret {
    /// Its name.
    pub name: String,
    /// Its type; left out if there is no such secret.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How its values related, as far as a comparison may say.
    pub result: Relation,
    /// Whether an automation of the deployment names it.
    pub needed: bool,
    /// Whether its value is copied.
    pub copied: bool,
    /// Whether the copy takes the place of a value.
    pub replaces: bool,
    /// The copy's version in `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

/// A variable that an automation of the deployment names, or whose value is copied.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeployedVariable {
    /// Its name.
    pub name: String,
    /// How its values related.
    pub result: Relation,
    /// Whether an automation of the deployment names it.
    pub needed: bool,
    /// Whether its value is copied.
    pub copied: bool,
    /// Whether the copy takes the place of a value.
    pub replaces: bool,
}

/// A webhook that fires from now on.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct DeployedHook {
    /// The automation's name.
    pub automation: String,
    /// What is called: `POST /v1/hooks/{token}`. Shown only now.
    pub token: String,
}

/// A deployment, or of a dry run its plan. It may hold a webhook's token: no `Debug`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its id, `dep_…`; a plan has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How it stands.
    pub status: DeploymentStatus,
    /// Where things came from.
    pub from: String,
    /// Where they went.
    pub to: String,
    /// Automations.
    pub automations: Vec<DeployedAutomation>,
    /// Secrets by name.
    pub secrets: Vec<DeployedSecret>,
    /// Variables by name.
    pub variables: Vec<DeployedVariable>,
    /// What is needed and missing in `to`, such as `secret:STRIPE_KEY`. Unless it is empty, nothing is deployed.
    pub missing: Vec<String>,
    /// What to know about it.
    pub warnings: Vec<String>,
    /// Whether triggers fire in `to` from then on.
    pub enable_triggers: bool,
    /// The webhooks that fire by it, in the answer of whoever deployed and nowhere else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<DeployedHook>,
    /// When, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// By whom.
    pub created_by: String,
    /// When it was taken back, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub rolled_back_at: Option<String>,
    /// By whom it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_by: Option<String>,
}
