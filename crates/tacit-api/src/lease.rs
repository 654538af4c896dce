//! Leases: placeholders that a program sends instead of values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A lease to take.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLease {
    /// For which environment; fixed.
    #[schema(example = "test")]
    pub environment: String,
    /// For which secrets, 64 at most.
    pub secrets: Vec<LeaseSecret>,
    /// Seconds until it ends unless it is renewed: 900 unless said, 10 to 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 10, maximum = 3600)]
    pub ttl_secs: Option<u64>,
    /// What becomes of requests to hosts that none of the secrets is bound to: `tunnel` (they pass, unread) unless said, or
    /// `block`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "tunnel")]
    pub other_hosts: Option<String>,
    /// Address ranges in CIDR form from which it may be used; the address that asks for it unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["10.1.0.0/16"]))]
    pub allow_from: Vec<String>,
    /// How many requests may be sent with it; without limit unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub requests_max: Option<u64>,
}

/// A secret of a lease.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseSecret {
    /// The secret's name.
    #[schema(example = "stripe-api-key")]
    pub name: String,
    /// Under which name the program finds the placeholder: the secret's name in upper case, `_` for every other character,
    /// unless said.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    #[schema(example = "STRIPE_API_KEY")]
    pub alias: Option<String>,
    /// What the placeholder looks like, for programs that check it: `generic` unless said, `sk_live`, `ghp`, `sk` or
    /// `xoxb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "generic")]
    pub shape: Option<String>,
}

impl LeaseSecret {
    /// A secret under its default alias.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), alias: None, shape: None }
    }
}

/// A lease that was taken. Token and placeholders are there only in this answer.
// No `Debug`: the token is a credential.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct GivenLease {
    /// Its id, `lea_…`: how to renew and end it.
    pub id: String,
    /// The token that the proxy takes, `tct_ls_…`, shown once.
    pub token: String,
    /// Placeholders by alias, shown once.
    #[schema(example = json!({"STRIPE_API_KEY": "tct_ph_…"}))]
    pub secrets: BTreeMap<String, String>,
    /// What to set as `HTTP_PROXY` and `HTTPS_PROXY`: it holds the token.
    #[schema(example = "http://tacit:tct_ls_…@127.0.0.1:8200")]
    pub proxy_url: String,
    /// The certificate (PEM) that programs must trust to reach the bound hosts through the proxy. It can sign for no other.
    pub ca_pem: String,
    /// For programs with a base URL to set: by bound host, an address that leads there. It holds the token.
    #[schema(example = json!({"api.stripe.com": "http://127.0.0.1:8200/to/tct_ls_…/api.stripe.com"}))]
    pub base_urls: BTreeMap<String, String>,
    /// When it ends unless it is renewed, RFC 3339.
    #[schema(format = "date-time")]
    pub expires_at: String,
}

/// A lease as it is listed: without token and placeholders.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// Its id, `lea_…`.
    pub id: String,
    /// Whether it can be used.
    pub state: SessionState,
    /// For which environment.
    pub environment: String,
    /// Secrets by alias.
    #[schema(example = json!({"STRIPE_API_KEY": "stripe-api-key"}))]
    pub secrets: BTreeMap<String, String>,
    /// `tunnel` or `block`.
    pub other_hosts: String,
    /// Address ranges from which it may be used.
    pub allow_from: Vec<String>,
    /// How many requests may be sent with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_max: Option<u64>,
    /// How many of them were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Who took it, such as `agent:triage`.
    pub created_by: String,
    /// When, RFC 3339.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// When it ends unless it is renewed, RFC 3339.
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// When it ends however often it is renewed, RFC 3339.
    #[schema(format = "date-time")]
    pub ends_at_latest: String,
    /// When it was ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub ended_at: Option<String>,
}

/// Whether a lease or an agent's session can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// It can.
    Open,
    /// Its time is over.
    Expired,
    /// It was ended.
    Ended,
}

impl SessionState {
    /// `open`, `expired` or `ended`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

/// Which leases or sessions to list.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Whether to list those too that are over; `false` unless said. They are kept for 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// What became of a renewal.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RenewedLease {
    /// When the lease ends now, RFC 3339.
    #[schema(format = "date-time")]
    pub expires_at: String,
}
