//! Destinations in words, and how a request that fits one is written.

use serde_json::{Map, Value, json};
use tacit_api::{Destination, Secret};
use tacit_template::SecretRef;

/// A destination in one line: `GET, POST https://api.stripe.com/v1/charges/** as auth`.
pub(crate) fn summary(destination: &Destination) -> String {
    let methods = or_any(&destination.methods, "any method");
    let paths = or_any(&destination.paths, "/**");
    let mut line =
        format!("{methods} {}{paths} as {}", origin(destination), places(destination).join(" or "));
    if !destination.environments.is_empty() {
        line.push_str(&format!(", only in {}", destination.environments.join(" and ")));
    }
    match destination.response.as_deref() {
        Some("status_only") => line.push_str("; of the answer only the status comes back"),
        Some("block") => line.push_str("; an answer that holds the value is withheld"),
        _ => {}
    }
    line
}

fn or_any(items: &[String], any: &str) -> String {
    if items.is_empty() { any.to_owned() } else { items.join(", ") }
}

fn scheme(destination: &Destination) -> &str {
    destination.scheme.as_deref().unwrap_or("https")
}

/// `https://api.stripe.com`, with the port if it is not the scheme's own.
fn origin(destination: &Destination) -> String {
    let scheme = scheme(destination);
    let own = match scheme {
        "http" => 80,
        "sftp" => 22,
        _ => 443,
    };
    let host = if destination.host.contains(':') {
        format!("[{}]", destination.host)
    } else {
        destination.host.clone()
    };
    match destination.port {
        Some(port) if port != own => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}

/// The places of a destination, filled in.
pub(crate) fn places(destination: &Destination) -> Vec<String> {
    destination.places.clone().unwrap_or_else(|| vec!["auth".to_owned()])
}

/// `{{secrets.NAME}}`, in the spelling that the name needs.
pub(crate) fn reference(name: &str) -> String {
    format!("{{{{{}}}}}", SecretRef { name: name.to_owned(), field: None })
}

/// The arguments of `send_request` for a request that this destination allows, as far as it says. `…` is to be filled in.
pub(crate) fn example(secret: &Secret, destination: &Destination) -> Map<String, Value> {
    let reference = reference(&secret.name);
    let mut arguments = Map::new();
    let mut path = destination.paths.first().map_or_else(|| "/…".to_owned(), |path| concrete(path));
    let place = places(destination).into_iter().next().unwrap_or_default();
    let (kind, argument) = place.split_once(':').unwrap_or((&place, ""));
    let mut put = |field: &str, value: Value| {
        arguments.insert(field.to_owned(), value);
    };
    let mut needs_body = false;
    match kind {
        "header" => put("headers", json!({argument: reference})),
        "query" => put("query", json!({argument: reference})),
        "path" => path = format!("{}/{reference}", path.trim_end_matches("/…")),
        "form" => {
            needs_body = true;
            put("body", json!({"form": {argument: reference}}));
        }
        "json" => {
            needs_body = true;
            put("body", json!({"json": at_pointer(argument, &reference)}));
        }
        _ => put("auth", json!(secret.name)),
    }
    let method = destination.methods.first().cloned();
    let method = method.unwrap_or_else(|| if needs_body { "POST" } else { "GET" }.to_owned());
    put("method", json!(method));
    let host = destination.host.replacen("*.", "….", 1);
    put("url", json!(format!("{}{path}", origin(&Destination { host, ..destination.clone() }))));
    if let [environment] = destination.environments.as_slice() {
        put("environment", json!(environment));
    }
    arguments
}

/// A path template with something to fill in where it is open.
fn concrete(pattern: &str) -> String {
    let parts = pattern.split('/').map(|part| if part.starts_with('*') { "…" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// JSON in which the text stands at the pointer; indexes are taken for names.
fn at_pointer(pointer: &str, text: &str) -> Value {
    let mut value = Value::String(text.to_owned());
    for key in pointer.split('/').skip(1).collect::<Vec<_>>().into_iter().rev() {
        let key = key.replace("~1", "/").replace("~0", "~");
        value = Value::Object(Map::from_iter([(key, value)]));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(value: Value) -> Destination {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn summaries() {
        let plain = destination(json!({"host": "api.stripe.com"}));
        assert_eq!(summary(&plain), "any method https://api.stripe.com/** as auth");
        let narrow = destination(
            json!({"host": "::1", "scheme": "http", "port": 81, "methods": ["GET", "PUT"],
            "paths": ["/v1/*"], "places": ["auth", "query:key"], "environments": ["live"], "response": "status_only"}),
        );
        assert_eq!(
            summary(&narrow),
            "GET, PUT http://[::1]:81/v1/* as auth or query:key, only in live; of the answer only the status comes back"
        );
    }

    /// For every place an example that puts the reference there.
    #[test]
    fn examples() {
        let secret: Secret = serde_json::from_value(json!({"name": "Any name", "type": "text", "visibility": "restricted",
            "description": "", "folder": "", "state": "active", "system": false, "destinations": [], "environments": {},
            "created_at": "t", "created_by": "user:owner", "updated_at": "t"}))
        .unwrap();
        let with = |place: &str| {
            let at = destination(json!({"host": "*.x.test", "paths": ["/v1/*/a/**"], "places": [place]}));
            Value::Object(example(&secret, &at))
        };
        let reference = "{{secrets[\"Any name\"]}}";
        assert_eq!(
            with("auth"),
            json!({"auth": "Any name", "method": "GET", "url": "https://….x.test/v1/…/a/…"})
        );
        assert_eq!(with("header:x-key")["headers"]["x-key"], reference);
        assert_eq!(with("query:k")["query"]["k"], reference);
        assert_eq!(with("path")["url"], format!("https://….x.test/v1/…/a/{reference}"));
        assert_eq!(
            (&with("form:k")["body"]["form"]["k"], &with("form:k")["method"]),
            (&json!(reference), &json!("POST"))
        );
        assert_eq!(with("json:/a/b~1c")["body"]["json"]["a"]["b/c"], reference);
    }
}
