//! One sealed request: the broker puts the secret in, sends it, and takes it out of what comes back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A request to send: the fields of an `http` step, and the environment.
// No `Debug`: headers and bodies may hold anything.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// In which environment secrets and variables are looked up.
    #[schema(example = "test")]
    pub environment: String,
    /// `GET` unless said.
    #[serde(default = "get")]
    #[schema(default = "GET")]
    pub method: String,
    /// The URL; a template.
    #[schema(example = "https://api.stripe.com/v1/charges")]
    pub url: String,
    /// The secret that authenticates the request; its type decides how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<RequestAuth>,
    /// Headers: literal names, templates as values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, example = json!({"X-Key": "{{secrets.NAME}}"}))]
    pub headers: Map<String, Value>,
    /// Query parameters: literal names, templates as values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub query: Map<String, Value>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<RequestBody>,
    /// The statuses that count as success. Here the status is data, so this is checked and otherwise without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_status: Option<Vec<u16>>,
    /// JSON pointers: keep only these of a JSON answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["/id"]))]
    pub fields: Option<Vec<String>>,
    /// How many redirects to follow, each judged anew; with 0 the redirect is the answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redirects: u32,
    /// Seconds to wait for the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u64>,
}

impl SendRequest {
    /// A request with nothing but a method and a URL.
    pub fn new(environment: impl Into<String>, method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            environment: environment.into(),
            method: method.into(),
            url: url.into(),
            auth: None,
            headers: Map::new(),
            query: Map::new(),
            body: None,
            expect_status: None,
            fields: None,
            redirects: 0,
            timeout_secs: None,
        }
    }
}

/// Which secret authenticates a request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestAuth {
    /// Its name, literally.
    #[schema(example = "STRIPE_KEY")]
    pub secret: String,
}

/// A request's body: exactly one of the forms.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum RequestBody {
    /// JSON whose strings are templates.
    Json(Value),
    /// A form: literal names, templates as values.
    #[schema(value_type = Object)]
    Form(Map<String, Value>),
    /// Text; a template without secrets.
    Text(String),
}

/// What came back, scrubbed. Whatever the upstream answered is data, not an error.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SentResponse {
    /// The upstream's status.
    pub status: u16,
    /// The upstream's headers by lower-case name; several of one name are joined with a comma.
    pub headers: BTreeMap<String, String>,
    /// JSON parsed, else text, else base64.
    pub body: Value,
    /// `base64` where the body is neither JSON nor text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_encoding: Option<String>,
    /// How many times something was taken out.
    pub redactions: u64,
    /// Whether the body is a container (an archive, an image) that was scanned as it is but cannot be looked into.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opaque: bool,
    /// Why only the status is shown: `status_only`, because a destination says so or because a value that may be in the answer
    /// is too short to be recognised; `block`, because the answer held a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The fields of an http step are taken, two bodies and unknown fields are not.
    #[test]
    fn send_request() {
        let parse = |value| serde_json::from_value::<SendRequest>(value).ok();
        let written = json!({"environment": "test", "method": "POST", "url": "https://x.test/", "auth": {"secret": "K"}, "body": {"form": {"a": "b"}}, "redirects": 1});
        assert_eq!(serde_json::to_value(parse(written.clone()).unwrap()).unwrap(), written);
        assert!(parse(json!({"environment": "test", "url": "u", "body": {"json": 1, "text": ""}})).is_none());
        assert!(parse(json!({"environment": "test", "url": "u", "retry": {}})).is_none());
        assert!(parse(json!({"url": "u"})).is_none());
    }
}
