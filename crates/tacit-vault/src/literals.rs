//! What a definition says literally and should rather name: credentials that somebody wrote down.
//!
//! Told from their looks alone: names of fields, prefixes that vendors use, and how unpredictable they are. They are never
//! compared with what is stored: a warning that came only for the right value would be a way to try values. A warning
//! names the field and never what stands there.

use serde_json::Value;
use tacit_model::Automation;
use tacit_redact::{strength, vendor_prefix};
use tacit_template::{Part, Template};

use crate::http::{is_credential_name, percent_decoded};

/// Warnings of one definition; whoever has more begins with these.
const WARNINGS_MAX: usize = 20;
/// Unpredictable characters behind a vendor's prefix.
const BEHIND_PREFIX_MIN: u32 = 12;
/// Prefixes shorter than this begin many words that are no tokens.
const PREFIX_MIN: usize = 4;
/// Characters of a word that looks random.
const RANDOM_MIN: usize = 24;
/// Fields that hold names, fingerprints and the like, by the last part of their path.
const NAMES: &[&str] =
    &["id", "secret", "name", "host_key", "cron", "timezone", "method", "bucket", "region"];
/// Headers whose values are meant to look random.
const RANDOM_HEADERS: &[&str] = &[
    "idempotency-key",
    "x-request-id",
    "x-correlation-id",
    "if-match",
    "if-none-match",
    "etag",
    "traceparent",
    "tracestate",
    "digest",
    "content-md5",
    "content-digest",
];

/// A warning for each field in which a credential seems to be written out.
pub(crate) fn literal_warnings(definition: &Automation) -> Vec<String> {
    let mut warnings = Vec::new();
    let steps = serde_json::to_value(&definition.steps).unwrap_or_default();
    walk(&steps, "steps", "", &mut warnings);
    if let Some(why) = suspicion(&definition.description, "") {
        warnings.push(warning("description", why));
    }
    warnings.truncate(WARNINGS_MAX);
    warnings
}

fn warning(field: &str, why: &str) -> String {
    format!(
        "`{field}` holds a literal that looks like a credential ({why}): whoever may list can read it. \
         Store it as a secret and name that instead"
    )
}

fn walk(value: &Value, path: &str, name: &str, warnings: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let shown: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
                walk(member, &format!("{path}.{shown}"), key, warnings);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{at}]"), name, warnings);
            }
        }
        Value::String(text) if !NAMES.contains(&name) => {
            // What a storage step calls a key is an object's name.
            let is_object = name == "key" && path.contains("].storage.");
            if let Some(why) = suspicion(text, if is_object { "" } else { name }) {
                warnings.push(warning(path, why));
            }
        }
        _ => {}
    }
}

/// Why the literal parts of a field look like a credential.
fn suspicion(text: &str, name: &str) -> Option<&'static str> {
    // References are no literals. What does not parse is refused elsewhere, or is no template.
    let template = Template::parse(text).ok();
    let literal = match &template {
        Some(template) => {
            let words = template.parts().map(|part| if let Part::Text(text) = part { text } else { " " });
            words.collect::<String>()
        }
        None => text.to_owned(),
    };
    let has_reference = template.is_some_and(|template| template.references().next().is_some());
    if is_credential_name(name) && !has_reference && !literal.trim().is_empty() {
        return Some("by the field's name");
    }
    if in_query(&literal) {
        return Some("by the parameter's name");
    }
    if literal.contains("-----BEGIN ") && literal.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let is_random_by_nature = RANDOM_HEADERS.contains(&name.to_ascii_lowercase().as_str());
    let is_end = |c: char| c.is_whitespace() || "\"'`=,;:&?/(){}<>[]|".contains(c);
    literal.split(is_end).find_map(|word| {
        if has_vendor_prefix(word) {
            Some("by its prefix")
        } else if is_jwt(word) {
            Some("a signed token")
        } else if !is_random_by_nature && looks_random(word) {
            Some("it looks random")
        } else {
            None
        }
    })
}

/// `?api_key=…` in a URL, with something behind it.
fn in_query(literal: &str) -> bool {
    let Some((_, query)) = literal.split_once('?') else { return false };
    if !literal.contains("://") && !literal.starts_with(['/', ' ']) {
        return false;
    }
    query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        !value.split(['#', ' ']).next().unwrap_or_default().is_empty()
            && is_credential_name(&percent_decoded(name))
    })
}

fn has_vendor_prefix(word: &str) -> bool {
    vendor_prefix(word).is_some_and(|prefix| {
        let rest = &word[prefix.len()..];
        prefix.len() >= PREFIX_MIN
            && rest.bytes().any(|byte| byte.is_ascii_digit())
            && strength(rest.as_bytes()).unpredictable_chars() >= BEHIND_PREFIX_MIN
    })
}

fn is_jwt(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() > 40 && word.matches('.').count() == 2
}

/// A word that nobody would think of: long, of mixed characters, without repetition.
fn looks_random(word: &str) -> bool {
    let bytes = word.as_bytes();
    let is_key = bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"+-_.~".contains(b));
    if word.len() < RANDOM_MIN || !is_key || is_uuid(word) {
        return false;
    }
    let has = |kind: fn(&u8) -> bool| bytes.iter().any(kind);
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let is_hex = word.len() >= 32 && bytes.iter().all(u8::is_ascii_hexdigit);
    // Words that people join have few digits, and their dots and dashes close together.
    let longest = word.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max().unwrap_or(0);
    digits >= 3
        && longest >= 16
        && (is_mixed || is_hex)
        && strength(bytes).unpredictable_chars() as usize >= RANDOM_MIN - 4
}

fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(http: Value) -> Vec<String> {
        let definition = json!({"name": "a", "steps": [{"id": "s", "http": http}]});
        let warnings = literal_warnings(&serde_json::from_value(definition).unwrap());
        let field = |warning: &String| warning.split('`').nth(1).unwrap().replace("steps[0].http.", "");
        warnings.iter().map(field).collect()
    }

    /// Each way in which a credential is written down is seen, wherever it stands.
    #[test]
    fn literals_that_look_like_credentials() {
        for (http, field) in [
            (
                json!({"url": "https://x.test/", "headers": {"Authorization": "Bearer abc"}}),
                "headers.Authorization",
            ),
            (json!({"url": "https://x.test/", "headers": {"X-Api-Key": "hunter2"}}), "headers.X-Api-Key"),
            (json!({"url": "https://x.test/", "query": {"access_token": "mine"}}), "query.access_token"),
            (json!({"url": "https://x.test/a?api%5Fkey=abc&b=1"}), "url"),
            (json!({"url": "https://hooks.test/services/T0/B0/Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6"}), "url"),
            (
                json!({"url": "https://x.test/", "body": {"text": "use sk_live_4eC39HqLyjWDarjtT1zdp7dc please"}}),
                "body.text",
            ),
            (
                json!({"url": "https://x.test/", "body": {"json": {"a": [{"note": "ghp_4eC39HqLyjWDarjtT1zdp7dcAbQ2"}]}}}),
                "body.json.a[0].note",
            ),
            (
                json!({"url": "https://x.test/", "body": {"form": {"k": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"}}}),
                "body.form.k",
            ),
            (
                json!({"url": "https://x.test/", "body": {"form": {"k": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r"}}}),
                "body.form.k",
            ),
            (
                json!({"url": "https://x.test/", "body": {"text": "-----BEGIN EC PRIVATE KEY-----\nMHc\n"}}),
                "body.text",
            ),
        ] {
            assert_eq!(fields(http.clone()), [field], "{http}");
        }
    }

    /// References, identifiers and ordinary words are left alone.
    #[test]
    fn literals_that_are_none() {
        for http in [
            json!({"url": "https://x.test/v1/charges/3f2c7a58-91be-4d06-8f1a-c27d5e60b943"}),
            json!({"url": "https://x.test/?token={{secrets.T}}&page=2"}),
            json!({"url": "https://x.test/", "headers": {"Authorization": "Bearer {{secrets.T}}"}}),
            json!({"url": "https://x.test/", "headers": {"Idempotency-Key": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu"}}),
            json!({"url": "https://x.test/", "body": {"json": {"note": "application/vnd.openxmlformats-officedocument.wordprocessingml.document"}}}),
            json!({"url": "https://api-gateway-production-eu-central-1.example.com/really-long-path-with-words-2024-11-21"}),
            json!({"url": "https://x.test/", "body": {"text": "re_invoice secret_santa key-account sk-learn"}}),
            json!({"url": "https://x.test/", "query": {"access_token": ""}}),
            json!({"url": "https://x.test/", "auth": {"secret": "sk_live_4eC39HqLyjWDarjtT1zdp7dc"}}),
        ] {
            assert_eq!(fields(http.clone()), Vec::<String>::new(), "{http}");
        }
    }

    /// What a storage step calls a key is no key.
    #[test]
    fn names_of_objects() {
        let warned = |key: &str| {
            let storage = json!({"endpoint": "https://s3.test", "bucket": "b", "auth": {"secret": "K"}, "get": {"key": key}});
            let definition = json!({"name": "a", "steps": [{"id": "s", "storage": storage}]});
            literal_warnings(&serde_json::from_value(definition).unwrap()).len()
        };
        assert_eq!((warned("reports/today.json"), warned("sk_live_4eC39HqLyjWDarjtT1zdp7dc")), (0, 1));
    }

    /// A warning never says what stands there.
    #[test]
    fn a_warning_repeats_nothing() {
        let definition = json!({"name": "a", "description": "key: sk_live_4eC39HqLyjWDarjtT1zdp7dc", "steps": [{"id": "s", "http": {"url": "https://x.test/"}}]});
        let warnings = literal_warnings(&serde_json::from_value(definition).unwrap());
        assert!(warnings.len() == 1 && warnings[0].starts_with("`description`"), "{warnings:?}");
        assert!(!warnings[0].contains("4eC39"));
    }
}
