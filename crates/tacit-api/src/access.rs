//! Who may do what, and why.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Scope;

/// Why somebody has rights.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AccessReason {
    /// The role they come from; of what an automation was published with, `published`.
    #[schema(example = "editor")]
    pub role: String,
    /// The rights.
    #[schema(example = json!(["secret.use"]))]
    pub rights: Vec<String>,
    /// The grant, `grt_…`; not there for those of membership and of publishing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// Where they count.
    pub scope: Scope,
    /// Until when, RFC 3339; without end if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub until: Option<String>,
}

/// Somebody who may use a secret or look at it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Accessor {
    /// `user:NAME`, `service-account:NAME` or `automation:NAME`.
    pub principal: String,
    /// The environments in which they may use it.
    pub uses_in: Vec<String>,
    /// The environments in which they may look at it; none of a restricted secret.
    pub reveals_in: Vec<String>,
    /// Why.
    pub because: Vec<AccessReason>,
}

/// What a principal may do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// `user:NAME`, `service-account:NAME` or `automation:NAME`.
    pub principal: String,
    /// What it may do in the whole workspace.
    pub rights: Vec<String>,
    /// Everything it holds, and where.
    pub because: Vec<AccessReason>,
}
