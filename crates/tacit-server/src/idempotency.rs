//! `Idempotency-Key` on the wire: around the routes of a workspace, before anything is done.

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tacit_model::{Code, Problem, limits};
use tacit_vault::{FirstTime, Once, Replay, Vault};

use crate::{app::App, extract::Member, problem::ApiError};

/// The header.
const KEY: &str = "idempotency-key";

/// Writes whose answer may be kept and given again: none holds a value, a token, a placeholder or what a service answered.
/// Whatever else has a body is answered once.
const REPEATABLE: &[(&str, &str)] = &[
    ("PATCH", ""),
    ("POST", "/environments"),
    ("POST", "/secrets"),
    ("PATCH", "/secrets/{name}"),
    ("DELETE", "/secrets/{name}"),
    ("POST", "/secrets/{name}/restore"),
    ("PUT", "/secrets/{name}/values/{environment}"),
    ("POST", "/secrets/{name}/values/{environment}/rollback"),
    ("POST", "/variables"),
    ("PATCH", "/variables/{name}"),
    ("PUT", "/automations/{name}"),
    ("POST", "/proposals"),
    ("POST", "/import"),
    ("POST", "/deployments/{id}/rollback"),
    ("POST", "/roles"),
    ("PATCH", "/roles/{name}"),
    ("POST", "/grants"),
    ("POST", "/service-accounts"),
];

const WORKSPACE: &str = "/v1/workspaces/{workspace}";

/// The middleware.
pub(crate) async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let inside = route.as_deref().and_then(|route| route.strip_prefix(WORKSPACE)).map(str::to_owned);
    let is_write = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    match (inside, request.headers().contains_key(KEY)) {
        (Some(inside), true) if is_write => {
            keyed(app, request, next, &inside).await.unwrap_or_else(IntoResponse::into_response)
        }
        _ => next.run(request).await,
    }
}

async fn keyed(app: App, request: Request, next: Next, route: &str) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let key = parts.headers.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    // Whoever is nobody here learns nothing of keys, and has no body read.
    let Member(caller) = Member::from_request_parts(&mut parts, &app).await?;
    let body = to_bytes(body, limits::REQUEST_BODY_BYTES_MAX).await.map_err(|_| {
        Problem::new(
            Code::PayloadTooLarge,
            format!("the request's body is over {} bytes", limits::REQUEST_BODY_BYTES_MAX),
        )
    })?;
    let method = parts.method.clone();
    let mut print = Vec::with_capacity(body.len() + 256);
    let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
    let if_match = parts.headers.get(header::IF_MATCH).map_or(&b""[..], HeaderValue::as_bytes);
    for part in [method.as_str().as_bytes(), uri.as_bytes(), if_match, &body] {
        print.extend_from_slice(&(part.len() as u64).to_be_bytes());
        print.extend_from_slice(part);
    }
    let named = format!("{method} {route}");
    match app.vault.begin_write(&caller, &named, &key, print).await? {
        Once::Again(replay) => Ok(again(replay)),
        Once::First(first) => {
            let is_repeatable =
                REPEATABLE.iter().any(|(known, path)| *known == method.as_str() && *path == route);
            let vault = app.vault.clone();
            // In a task of its own: whoever hangs up does not leave behind a write that nobody knows the end of.
            let write = tokio::spawn(async move {
                let response = next.run(Request::from_parts(parts, Body::from(body))).await;
                finish(&vault, first, response, is_repeatable).await
            });
            write.await.map_err(|_| Problem::internal("a write did not end").into())
        }
    }
}

async fn finish(vault: &Vault, first: FirstTime, response: Response, is_repeatable: bool) -> Response {
    let status = response.status();
    let kept = if status.is_success() {
        let etag =
            response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let (parts, body) = response.into_parts();
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            return ApiError::from(Problem::internal("an answer could not be read")).into_response();
        };
        let text = std::str::from_utf8(&body).ok().filter(|text| is_repeatable || text.is_empty());
        let kept = vault.finish_write(first, Some(status.as_u16()), etag.as_deref(), text).await;
        (kept, Response::from_parts(parts, Body::from(body)))
    } else if status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE {
        (vault.finish_write(first, None, None, None).await, response)
    } else {
        // Nobody knows what was done, and a second asking is told so.
        (Ok(()), response)
    };
    if let (Err(problem), _) = &kept {
        tracing::error!(cause = problem.cause(), "how a write ended could not be remembered");
    }
    kept.1
}

fn again(replay: Replay) -> Response {
    let mut response = Response::new(Body::from(replay.body.clone()));
    *response.status_mut() = StatusCode::from_u16(replay.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    if !replay.body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(etag) = replay.etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}
