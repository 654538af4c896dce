//! Who may do what: roles and grants.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A set of rights under a name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Role {
    /// Unique in the workspace, ignoring case.
    #[schema(example = "rotator")]
    pub name: String,
    /// What it lets one do.
    #[schema(example = json!(["secret.list", "secret.write"]))]
    pub rights: Vec<String>,
    /// Whether it comes with Tacit and stays as it is.
    pub built_in: bool,
}

/// A role to make. Its rights must be yours, in the whole workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRole {
    /// Unique in the workspace, ignoring case; none of the built-in ones.
    #[schema(example = "rotator")]
    pub name: String,
    /// What it lets one do; none of them brings another with it.
    #[schema(example = json!(["secret.list", "secret.write"]))]
    pub rights: Vec<String>,
}

/// Other rights for a role. Everybody who has it gets or loses them at once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRole {
    /// All of its rights from now on.
    pub rights: Vec<String>,
}

/// A part of a workspace. What is left out does not narrow it; nothing at all is the whole workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Only in this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "test")]
    pub environment: Option<String>,
    /// Only in this folder and those below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "payments/eu")]
    pub folder: Option<String>,
    /// Only for this secret. Another one made under its name later is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A role that somebody has in a part of the workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// Its id, `grt_…`.
    pub id: String,
    /// The role.
    #[schema(example = "editor")]
    pub role: String,
    /// Who has it: `user:NAME`, `service-account:NAME` or `automation:NAME`.
    #[schema(example = "user:anna@example.com")]
    pub to: String,
    /// Where it counts.
    pub scope: Scope,
    /// Until when, RFC 3339; without end if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub until: Option<String>,
    /// Whether it counts no more: its time is over, or its automation was published anew.
    pub ended: bool,
    /// When it was made, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// By whom.
    pub created_by: String,
}

/// A grant to make. Nobody grants what they do not hold there for as long, or to themselves.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGrant {
    /// A built-in or custom role.
    #[schema(example = "editor")]
    pub role: String,
    /// `user:NAME`, `service-account:NAME` or `automation:NAME`. An automation gets one secret at a time, for the definition
    /// that is published now.
    #[schema(example = "user:anna@example.com")]
    pub to: String,
    /// Where it counts; the whole workspace if nothing is said.
    #[serde(default)]
    #[schema(default = json!({}))]
    pub scope: Scope,
    /// Until when, RFC 3339; without end unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub until: Option<String>,
}
