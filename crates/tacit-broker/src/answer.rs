//! What a caller gets of an upstream's answer, after the scrubber.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::wire::{ResponseRule, Scrubbed};

/// How deep lists and objects of an answer may stand within one another to be kept as JSON. A result stands within a run,
/// within a list or a tool's answer, and readers give up at 128: deeper ones stay text, so that no service can make a
/// run that nobody can read.
const JSON_DEPTH_MAX: usize = 100;

/// What is kept of what a step did that is not an HTTP request.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The step's result, scrubbed.
    pub output: Value,
    /// How many places were taken out.
    pub redactions: u64,
}

/// The answer to a sealed request, or the result of an HTTP step.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The upstream's status.
    pub status: u16,
    /// Headers that were let through, by lower-case name; several of one name are joined by `, `.
    pub headers: Map<String, Value>,
    /// Parsed JSON, else text, else base64.
    pub body: Value,
    /// `base64` where the body is neither JSON nor text.
    pub body_encoding: Option<&'static str>,
    /// How many places were taken out.
    pub redactions: u64,
    /// Whether the body is a container (an archive, an image) that the scrubber cannot look into.
    pub opaque: bool,
    /// Why only the status is shown: `status_only` (a destination's rule, or a value too short to be recognised) or `block`
    /// (the answer held a value).
    pub withheld: Option<&'static str>,
}

impl Answer {
    pub(crate) fn new(scrubbed: Scrubbed, rule: ResponseRule, fields: Option<&[String]>) -> Self {
        let withheld = match rule {
            ResponseRule::StatusOnly => Some("status_only"),
            ResponseRule::Block if scrubbed.withheld => Some("block"),
            ResponseRule::Block | ResponseRule::Scrub => None,
        };
        let (redactions, opaque) = (scrubbed.findings.total(), scrubbed.is_opaque);
        let is_json =
            scrubbed.headers.iter().any(|(name, value)| name == "content-type" && is_json_type(value));
        let mut headers = Map::new();
        for (name, value) in scrubbed.headers {
            match headers.get_mut(&name) {
                Some(Value::String(joined)) => {
                    joined.push_str(", ");
                    joined.push_str(&value);
                }
                _ => {
                    headers.insert(name, Value::String(value));
                }
            }
        }
        let (body, body_encoding) = body(scrubbed.body, is_json);
        let body = match fields {
            Some(pointers) => keep(&body, pointers),
            None => body,
        };
        Self { status: scrubbed.status, headers, body, body_encoding, redactions, opaque, withheld }
    }

    /// The step's result: `{status, headers, body, body_encoding?}`.
    pub fn to_value(&self) -> Value {
        let mut result = Map::new();
        result.insert("status".to_owned(), self.status.into());
        result.insert("headers".to_owned(), Value::Object(self.headers.clone()));
        result.insert("body".to_owned(), self.body.clone());
        if let Some(encoding) = self.body_encoding {
            result.insert("body_encoding".to_owned(), encoding.into());
        }
        if self.opaque {
            result.insert("opaque".to_owned(), true.into());
        }
        if let Some(withheld) = self.withheld {
            result.insert("withheld".to_owned(), withheld.into());
        }
        Value::Object(result)
    }
}

fn is_json_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// Content as text, or as base64 where it is none.
pub(crate) fn content(bytes: Vec<u8>) -> (Value, Option<&'static str>) {
    if bytes.is_empty() { (Value::String(String::new()), None) } else { body(bytes, false) }
}

fn body(bytes: Vec<u8>, is_json: bool) -> (Value, Option<&'static str>) {
    if bytes.is_empty() {
        return (Value::Null, None);
    }
    if is_json
        && let Ok(value) = serde_json::from_slice(&bytes)
        && is_nested_within(&value, JSON_DEPTH_MAX)
    {
        return (value, None);
    }
    match String::from_utf8(bytes) {
        Ok(text) => (Value::String(text), None),
        Err(error) => (Value::String(STANDARD.encode(error.as_bytes())), Some("base64")),
    }
}

/// Whether lists and objects stand within one another at most so deep.
fn is_nested_within(value: &Value, depth: usize) -> bool {
    let is_within = |item: &Value| depth > 0 && is_nested_within(item, depth - 1);
    match value {
        Value::Array(items) => items.iter().all(is_within),
        Value::Object(members) => members.values().all(is_within),
        _ => true,
    }
}

/// Only what the pointers name, in its old place; an array keeps its positions, with `null` where nothing was kept.
fn keep(body: &Value, pointers: &[String]) -> Value {
    let tokens: Vec<Vec<String>> = pointers
        .iter()
        .filter(|pointer| body.pointer(pointer).is_some())
        .map(|pointer| {
            pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
        })
        .collect();
    keep_tokens(body, &tokens.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn keep_tokens(value: &Value, wanted: &[&[String]]) -> Value {
    if wanted.iter().any(|tokens| tokens.is_empty()) {
        return value.clone();
    }
    let below = |key: &str| {
        wanted.iter().filter(|tokens| tokens[0] == key).map(|tokens| &tokens[1..]).collect::<Vec<_>>()
    };
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter_map(|(key, member)| {
                let below = below(key);
                (!below.is_empty()).then(|| (key.clone(), keep_tokens(member, &below)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let kept = items.iter().enumerate().map(|(at, item)| {
                let below = below(&at.to_string());
                if below.is_empty() { Value::Null } else { keep_tokens(item, &below) }
            });
            Value::Array(kept.collect())
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// I9: what was not declared is not there.
    #[test]
    fn i9_projection_keeps_only_what_is_named() {
        let body = json!({"id": 1, "secret": "x", "data": [{"a": 1, "b": 2}, {"a": 3}], "a/b": {"~": 1}});
        let kept =
            |pointers: &[&str]| keep(&body, &pointers.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(kept(&["/id"]), json!({"id": 1}));
        assert_eq!(kept(&["/data/1/a", "/id"]), json!({"id": 1, "data": [null, {"a": 3}]}));
        assert_eq!(kept(&["/a~1b/~0"]), json!({"a/b": {"~": 1}}));
        assert_eq!(kept(&["/nope"]), json!({}));
        assert_eq!(keep(&json!("text"), &["/id".to_owned()]), Value::Null);
    }

    /// JSON is parsed where it says so, text stays text, the rest is base64.
    #[test]
    fn bodies() {
        assert_eq!(body(b"{\"a\":1}".to_vec(), true), (json!({"a": 1}), None));
        assert_eq!(body(b"{\"a\":1}".to_vec(), false), (json!("{\"a\":1}"), None));
        assert_eq!(body(b"{broken".to_vec(), true), (json!("{broken"), None));
        assert_eq!(body(vec![0xff, 0xfe], false), (json!("//4="), Some("base64")));
        assert_eq!(body(Vec::new(), true), (Value::Null, None));
    }

    /// What is nested so deep that its run could not be read again is a text.
    #[test]
    fn deep_bodies() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(body(nested(JSON_DEPTH_MAX).into(), true).0.is_array());
        for depth in [JSON_DEPTH_MAX + 2, 127, 100_000] {
            assert_eq!(body(nested(depth).into(), true), (nested(depth).into(), None));
        }
    }
}
