//! Agents' sessions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::lease::SessionState;

/// A session to make, for an agent that acts for the caller.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAgentSession {
    /// What the agent is called on the record.
    #[schema(example = "triage")]
    pub name: String,
    /// Seconds until it ends: 28800 unless said, 60 to 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 86400)]
    pub ttl_secs: Option<u64>,
    /// How many requests the agent may send: 500 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub requests_max: Option<u64>,
}

/// A session that was made. Its token is there only in this answer.
// No `Debug`: the token is a credential.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct GivenAgentSession {
    /// Its id, `ags_…`: how to end it.
    pub id: String,
    /// The agent's token, `tct_ag_…`, shown once.
    pub token: String,
    /// What the agent is called.
    pub name: String,
    /// When it ends, RFC 3339.
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// How many requests the agent may send.
    pub requests_max: u64,
}

/// A session as it is listed: without its token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentSession {
    /// Its id, `ags_…`.
    pub id: String,
    /// What the agent is called.
    pub name: String,
    /// Whether it can be used.
    pub state: SessionState,
    /// For whom the agent acts, such as `user:owner`.
    pub created_by: String,
    /// How many requests the agent may send.
    pub requests_max: u64,
    /// How many of them it sent.
    pub requests: u64,
    /// When it was made, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// When it ends, RFC 3339.
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// When it was ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub ended_at: Option<String>,
}
