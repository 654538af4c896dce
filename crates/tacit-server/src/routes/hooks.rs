//! Webhooks: runs that whoever has an address starts.
//!
//! The address is the credential. What is sent becomes the run's input, which never forms a host, a name or a reference.

use axum::{
    Json as Out,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};
use serde_json::Value;
use tacit_api::{HookCalled, Problem as ProblemOut};
use tacit_crypto::token::{self, TokenKind};
use tacit_model::{Code, Problem, limits};

use super::Answer;
use crate::{
    app::App,
    extract::{Path, RequestedBy, bad_json},
};

/// Calls a webhook: its body becomes the input of a run, as JSON if it says that it is, else as text. The answer does not
/// wait for the run.
#[utoipa::path(post, path = "/v1/hooks/{token}", tag = "automations", security(()), params(("token" = String, Path)), request_body = Object, responses((status = 202, body = HookCalled), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn call(
    State(app): State<App>,
    RequestedBy(by): RequestedBy,
    Path(token): Path<String>,
    request: Request,
) -> Answer<(StatusCode, Out<HookCalled>)> {
    let Ok((TokenKind::Hook, hook)) = token::parse(&token) else {
        return Err(Problem::not_found("webhook").into());
    };
    // Of whoever has no address nothing is read.
    app.vault.check_hook(hook).await?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, limits::RUN_INPUT_BYTES_MAX).await.map_err(|_| {
        let message = format!("the body is over {} bytes", limits::RUN_INPUT_BYTES_MAX);
        Problem::new(Code::PayloadTooLarge, message).suggest("send less")
    })?;
    let input = input(&parts.headers, &body)?;
    let running = app.runner.fire_hook(hook, input, by.request_id).await?;
    Ok((StatusCode::ACCEPTED, Out(HookCalled { run: running.record.id.to_string() })))
}

fn input(headers: &HeaderMap, body: &[u8]) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || kind.ends_with("+json") {
        return serde_json::from_slice(body).map_err(|error| bad_json(&error));
    }
    let text = std::str::from_utf8(body).map_err(|_| Problem::invalid("body", "is not UTF-8"))?;
    Ok(Value::String(text.to_owned()))
}
