//! The parts of a request that several tools take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tacit_api::{RequestAuth, RequestBody};

/// The name of the secret that authenticates a request. Its type decides how: bearer, basic, or its own header.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Auth {
    /// The name alone.
    Name(String),
    /// As in a step.
    Step(Named),
}

/// A secret by name.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// The secret's name.
    pub(super) secret: String,
}

impl From<Auth> for RequestAuth {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::Name(secret) | Auth::Step(Named { secret }) => Self { secret },
        }
    }
}

/// Exactly one of `json`, `form` and `text`.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Body {
    /// A JSON body. Its strings may hold references.
    Json(Value),
    /// A form, field by field. Values may hold references.
    Form(Map<String, Value>),
    /// A text body. It may hold variables, no secrets.
    Text(String),
}

impl From<Body> for RequestBody {
    fn from(body: Body) -> Self {
        match body {
            Body::Json(value) => Self::Json(value),
            Body::Form(fields) => Self::Form(fields),
            Body::Text(text) => Self::Text(text),
        }
    }
}
