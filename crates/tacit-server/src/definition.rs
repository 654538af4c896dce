//! Definitions and requests as people write them, and where they are not what they should be.
//!
//! An error names the place and what belongs there. What stands there is not repeated: it may be anything, also a
//! credential that somebody wrote out.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use tacit_api::exact::Distinct;
use tacit_model::{Automation, Problem, SecretName, limits};

use crate::{
    extract::{bad_json, is_plain},
    yaml,
};

/// An automation's definition, in JSON or YAML, under the name that the path says.
pub(crate) fn parse(body: &[u8], is_yaml: bool, name: &SecretName) -> Result<Automation, Problem> {
    if body.len() > limits::DEFINITION_BYTES_MAX {
        return Err(Problem::invalid("body", format!("is over {} bytes", limits::DEFINITION_BYTES_MAX)));
    }
    let mut value: Value = if is_yaml {
        let text = std::str::from_utf8(body).map_err(|_| Problem::invalid("body", "is not UTF-8"))?;
        yaml::parse(text)?
    } else {
        let Distinct(value) = serde_json::from_slice(body).map_err(|error| bad_json(&error))?;
        value
    };
    if let Value::Object(fields) = &mut value {
        match fields.get("name") {
            None => {
                fields.insert("name".to_owned(), name.as_str().into());
            }
            Some(Value::String(written)) if written.to_lowercase() == name.as_str().to_lowercase() => {}
            Some(_) => return Err(Problem::invalid("name", "must be the name in the path, or left out")),
        }
    }
    shaped(value)
}

/// JSON as one of our types; for what holds no values.
///
/// # Errors
/// `validation_failed` with the place as a path, such as `steps[0].http.url`.
pub(crate) fn shaped<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let message = error.inner().to_string();
        // The last part of the path is then what is unknown, and the message has it.
        let is_unknown = message.starts_with("unknown field");
        let parts: Vec<&Segment> = error.path().iter().collect();
        let place = place(if is_unknown { &parts[..parts.len().saturating_sub(1)] } else { &parts });
        Problem::invalid(if place.is_empty() { "body" } else { &place }, expected(&message))
    })
}

/// A path such as `steps[0].http.url`.
fn place(parts: &[&Segment]) -> String {
    let mut path = String::new();
    for part in parts {
        match part {
            Segment::Seq { index } => path.push_str(&format!("[{index}]")),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(if is_plain(name) { name } else { "…" });
            }
            Segment::Unknown => {}
        }
    }
    path
}

/// What belongs there, from serde's message, which may quote what stands there instead.
fn expected(message: &str) -> String {
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned).unwrap_or_default();
    // What was sent stands before it, so the last one is ours.
    let wanted = message.rsplit_once(", expected ").map(|(_, wanted)| wanted);
    let choices = wanted.map(|wanted| wanted.trim_start_matches("one of ").replace('`', ""));
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let name = Some(quoted(rest)).filter(|name| is_plain(name)).unwrap_or_else(|| "…".to_owned());
        return match choices {
            Some(choices) => format!("has an unknown field `{name}`; there are {choices}"),
            None => format!("has an unknown field `{name}`; there are none"),
        };
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return format!("lacks the field `{}`", quoted(rest));
    }
    if message.starts_with("unknown variant ") {
        return format!("must be one of {}", choices.unwrap_or_default());
    }
    match wanted {
        Some(wanted) if message.starts_with("invalid ") => format!("must be {}", in_words(wanted)),
        // Of our own types, which say what must be and not what is.
        _ => message.to_owned(),
    }
}

fn in_words(wanted: &str) -> &str {
    match wanted {
        "a string" | "a borrowed string" | "str" => "a text; perhaps it needs quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number, without quotes",
        "string or map" => "a name, or one name with what belongs to it",
        "map with a single key" => "one of its forms, not several",
        wanted if wanted.starts_with("struct ") || wanted == "a map" || wanted == "unit struct" => {
            "an object with fields"
        }
        wanted => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each place has its path, what belongs there is said, and what stands there is not.
    #[test]
    fn places() {
        let step = |step: &str| format!("steps:\n  - id: a\n    http: {{ url: https://x.test/ }}\n{step}");
        for (yaml, field, message) in [
            (step("    on_error: hunter2"), "steps[0].on_error", "must be one of stop or continue"),
            (step("  - { id: b }"), "steps[1]", "a step is exactly one of `http`, `sftp` and `storage`"),
            (step("    if: hunter2"), "steps[0]", "has an unknown field `if`; there are id, when,"),
            (step("    when: true"), "steps[0].when", "must be a text; perhaps it needs quotes"),
            (
                step("  - { id: b, http: { url: 'https://x.test/', timeout_secs: 'hunter2' } }"),
                "steps[1].http.timeout_secs",
                "must be a whole number, without quotes",
            ),
            (step("  - { id: b, http: {} }"), "steps[1].http", "lacks the field `url`"),
            (
                step("  - { id: b, http: { url: u, auth: hunter2 } }"),
                "steps[1].http.auth",
                "must be an object with fields",
            ),
            (
                step("  - { id: b, http: { url: u, expect_status: 201 } }"),
                "steps[1].http.expect_status",
                "must be a list",
            ),
            (
                step("  - { id: b, http: { url: u, auth: { secret: 'a/hunter2' } } }"),
                "steps[1].http.auth.secret",
                "must not hold control characters",
            ),
            (
                step("  - { id: b, http: { url: u, body: { hunter2: {} } } }"),
                "steps[1].http.body",
                "must be one of json, form, text",
            ),
            (
                step("triggers: [{ schedule: { crno: 'hunter2' } }]"),
                "triggers[0].schedule",
                "has an unknown field `crno`; there are cron or timezone",
            ),
            ("hunter2".to_owned(), "body", "must be an object with fields"),
            (step("  - id: b\n\thttp: hunter2"), "body", "is not YAML that can be read, at line 4 column"),
            (step("  - { id: b, id: hunter2 }"), "body", "is not YAML that can be read, at line 4 column"),
        ] {
            let problem = parse(yaml.as_bytes(), true, &"a".parse().unwrap()).err().unwrap();
            let issue = &problem.issues[0];
            assert_eq!(issue.field, field, "{yaml}: {}", issue.message);
            assert!(issue.message.starts_with(message), "{yaml}: {}", issue.message);
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
    }

    /// In JSON, too, nothing is swallowed that stands beside what is done.
    #[test]
    fn names_that_stand_twice() {
        let parsed = |url: &str| {
            let step =
                format!(r#"{{"id": "a", "http": {{"url": "https://x.test/", {url}: "https://y.test/"}}}}"#);
            parse(format!(r#"{{"steps": [{step}]}}"#).as_bytes(), false, &"a".parse().unwrap())
        };
        assert!(parsed(r#""headers": {}, "method""#).is_ok());
        let problem = parsed(r#""url""#).err().unwrap();
        assert!(problem.issues[0].message.contains("twice"), "{problem:?}");
    }
}
