//! Who may come in: people, service accounts and their tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccessReason, patch::present};

/// A person in a workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The person's name.
    pub name: String,
    /// The role, such as `owner`.
    #[schema(example = "editor")]
    pub role: String,
    /// Since when, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// Until when, RFC 3339; without end if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub until: Option<String>,
    /// Whether its time is over: who was a member is none any more.
    #[serde(default)]
    pub ended: bool,
}

/// Somebody with an account to make a member.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// The person's name.
    #[schema(example = "anna@example.com")]
    pub name: String,
    /// `member` unless said. Nobody gives rights they do not hold.
    #[serde(default = "member")]
    #[schema(default = "member")]
    pub role: String,
    /// Until when, RFC 3339; without end unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub until: Option<String>,
}

/// What to change of a membership; what is not there stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMember {
    /// Another role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Another end, RFC 3339; `null` for none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub until: Option<Option<String>>,
}

/// A machine's account in one workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ServiceAccount {
    /// Its id, `sac_…`.
    pub id: String,
    /// Unique in the workspace.
    #[schema(example = "ci")]
    pub name: String,
    /// The role, such as `member`.
    #[schema(example = "member")]
    pub role: String,
    /// When it was created, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// A service account to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateServiceAccount {
    /// Unique in the workspace.
    #[schema(example = "ci")]
    pub name: String,
    /// `member` unless said. Nobody gives rights they do not hold.
    #[serde(default = "member")]
    #[schema(default = "member")]
    pub role: String,
}

/// A token to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Until when it works, RFC 3339; without end unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub expires_at: Option<String>,
}

/// An access token. Its text is there only in the answer that created it.
// No `Debug`: the text is a credential.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id, `tok_…`: how to name it without showing it.
    pub id: String,
    /// The token itself, `tct_…`, shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When it was created, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// Until when it works, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub expires_at: Option<String>,
    /// Whether its time is over.
    #[serde(default)]
    pub ended: bool,
}

/// Whose token this is and what it may do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// `user`, `service-account` or `agent`.
    #[schema(example = "user")]
    pub kind: String,
    /// The name of the person, account or agent.
    pub name: String,
    /// Whether workspaces may be created.
    pub instance_admin: bool,
    /// The workspaces it belongs to.
    pub workspaces: Vec<Membership>,
}

/// A role in one workspace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Membership {
    /// The workspace's name.
    pub name: String,
    /// The role there; of an agent, `agent`.
    pub role: String,
    /// What one may do in the whole workspace, by the role and by grants.
    #[schema(example = json!(["secret.list", "automation.run"]))]
    pub rights: Vec<String>,
    /// Everything that one holds there, and where: by membership, and by each grant.
    #[serde(default)]
    pub because: Vec<AccessReason>,
}

fn member() -> String {
    "member".to_owned()
}
