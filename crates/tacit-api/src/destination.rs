//! Where a secret may go, as it is written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A destination of a secret. Only `host` is required; in answers everything is filled in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Destination {
    /// A host, `*.` and a host for exactly one more label, or an IP address that only matches itself.
    #[schema(example = "api.stripe.com")]
    pub host: String,
    /// `https` unless said; `http` only where private addresses are allowed; `sftp` with a `host_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https")]
    pub scheme: Option<String>,
    /// The scheme's own port unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 443, minimum = 1)]
    pub port: Option<u16>,
    /// The fingerprint of an SFTP server's key, as `ssh-keygen -lf` shows it; required with `sftp`, for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDmZ2aQ7LGpCh2PLLI")]
    pub host_key: Option<String>,
    /// Which methods (for SFTP `PUT`, `GET`, `LIST`, `RENAME`, `DELETE`); any unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["GET", "POST"]))]
    pub methods: Vec<String>,
    /// Which paths, `*` for one segment and `/**` for the rest; any unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["/v1/charges/**"]))]
    pub paths: Vec<String>,
    /// Where in the request: `auth` (the default), `header:NAME`, `query:NAME`, `path`, `json:/pointer`, `form:FIELD`,
    /// and `signature` for what signs requests to storage services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["auth"]))]
    pub places: Option<Vec<String>>,
    /// In which environments; any unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["live"]))]
    pub environments: Vec<String>,
    /// Whether a request there may carry no credential but stored ones; `true` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<bool>,
    /// What may come back: `scrub` (the default), `status_only` or `block`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "scrub")]
    pub response: Option<String>,
    /// `false` is the owner's word that this destination does not send back what it gets; `true` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echoes: Option<bool>,
    /// Fields this version does not know, kept as they are: a client that reads a policy and writes it back must not
    /// widen it by dropping what it does not understand. A server refuses the ones it does not know, by name.
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

impl Destination {
    /// A destination with nothing but a host.
    pub fn host(host: impl Into<String>) -> Self {
        Self { host: host.into(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Only what was written is written, and what is unknown survives.
    #[test]
    fn destinations_keep_what_was_written() {
        for written in [
            json!({"host": "api.stripe.com"}),
            json!({"host": "x.test", "places": []}),
            json!({"host": "x.test", "scheme": "http", "port": 8081, "methods": ["GET"], "exclusive": false, "echoes": false}),
            json!({"host": "files.bank.example", "host_key": "SHA256:x"}),
            json!({"host": "files.bank.example", "something_newer": "x"}),
        ] {
            let parsed: Destination = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&parsed).unwrap(), written);
        }
    }
}
