//! One file per noun; in each, one function per route.

pub(crate) mod access;
pub(crate) mod accounts;
pub(crate) mod agents;
pub(crate) mod automations;
pub(crate) mod base_url;
pub(crate) mod compare;
pub(crate) mod deployments;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod hooks;
pub(crate) mod invitations;
pub(crate) mod leases;
pub(crate) mod manifest;
pub(crate) mod members;
pub(crate) mod operations;
pub(crate) mod proposals;
pub(crate) mod relay;
pub(crate) mod requests;
pub(crate) mod run_events;
pub(crate) mod runs;
pub(crate) mod secrets;
pub(crate) mod sessions;
pub(crate) mod triggers;
pub(crate) mod values;
pub(crate) mod variables;
pub(crate) mod workspaces;

use axum::http::{HeaderName, HeaderValue};
use tacit_model::{Destinations, EnvironmentName, Problem, SecretName, limits, name::Folder};

use crate::problem::ApiError;

/// What a handler gives back.
pub(crate) type Answer<T> = Result<T, ApiError>;

/// An answer with the tag of what it shows.
pub(crate) type Tagged<T> = ([(HeaderName, HeaderValue); 1], axum::Json<T>);

/// A name in a path: what is not a name names nothing.
fn named(text: &str, what: &str) -> Result<SecretName, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

/// An environment in a path.
fn environment(text: &str) -> Result<EnvironmentName, Problem> {
    text.parse().map_err(|_| Problem::not_found("environment"))
}

/// A name in a body: what is not a name breaks a rule.
fn new_name(field: &str, text: &str) -> Result<SecretName, Problem> {
    text.parse().map_err(|error: tacit_model::NameError| Problem::invalid(field, error.to_string()))
}

/// An environment in a body.
fn environment_in(field: &str, text: &str) -> Result<EnvironmentName, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid(field, "must be the name of an environment, such as test or live"))
}

fn folder(text: &str) -> Result<Folder, Problem> {
    text.parse().map_err(|error: tacit_model::NameError| Problem::invalid("folder", error.to_string()))
}

fn destinations(written: &[tacit_api::Destination]) -> Result<Destinations, Problem> {
    let mut parsed = Vec::with_capacity(written.len());
    for (at, destination) in written.iter().enumerate() {
        let value = serde_json::to_value(destination).map_err(Problem::internal)?;
        let destination =
            serde_json::from_value(value).map_err(|error| bad_destination(at, &error.to_string()))?;
        parsed.push(destination);
    }
    Ok(Destinations(parsed))
}

/// What is wrong with a destination: our own words about a field, never the parser's, which repeat what was written.
fn bad_destination(at: usize, message: &str) -> Problem {
    let ours = message
        .split_once(": ")
        .filter(|(field, _)| ["host", "port", "host_key", "methods", "paths", "places"].contains(field));
    match ours {
        Some((field, what)) => Problem::invalid(format!("destinations[{at}].{field}"), what),
        None => Problem::invalid(
            format!("destinations[{at}]"),
            "does not have the shape of a destination: `host`, and if wanted `scheme`, `port`, `host_key`, `methods`, `paths`, \
             `places`, `environments`, `exclusive`, `response` (scrub, block or status_only) and `echoes`",
        ),
    }
}

fn limit(asked: Option<u32>) -> Result<usize, Problem> {
    match asked.map(|limit| limit as usize) {
        None => Ok(limits::PAGE_ROWS_DEFAULT),
        Some(limit) if (1..=limits::PAGE_ROWS_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::invalid("limit", format!("must be 1 to {}", limits::PAGE_ROWS_MAX))),
    }
}

/// A cursor is opaque to clients: what it holds may change.
fn cursor(key: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key)
}

fn from_cursor(cursor: Option<&str>) -> Result<Option<String>, Problem> {
    use base64::Engine;
    let Some(cursor) = cursor else { return Ok(None) };
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key.map(Some).ok_or_else(|| Problem::invalid("cursor", "is not one that a list gave; begin without it"))
}
