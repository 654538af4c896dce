//! What surrounds every request: its id, its log line, its metrics, its problem document.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tacit_model::{Code, Problem};

use crate::problem::{ApiError, respond};

/// A request's id: in the answer, in the log, on the record.
#[derive(Clone, Copy)]
pub(crate) struct RequestId(pub(crate) [u8; 16]);

impl RequestId {
    fn text(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The outermost middleware.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let id = RequestId(tacit_crypto::random_bytes());
    request.extensions_mut().insert(id);
    let method = known_method(request.method());
    // The template, never the path: a path holds names, a metric's label must not.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let started = Instant::now();
    let mut response = next.run(request).await;
    if let Some(ApiError { problem, .. }) = response.extensions_mut().remove::<ApiError>() {
        if problem.cause().is_some() || problem.code == Code::Internal {
            tracing::error!(request_id = id.text(), code = %problem.code, cause = problem.cause(), "a request failed");
        }
        response = respond(&problem, response.status(), &id.text());
    } else if matches!(response.status(), StatusCode::METHOD_NOT_ALLOWED) {
        let problem = Problem::not_found("route for this method").suggest("the routes are in /openapi.json");
        response = respond(&problem, StatusCode::METHOD_NOT_ALLOWED, &id.text());
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.text()) {
        headers.insert("x-request-id", value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    metrics::counter!("tacit_http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string()).increment(1);
    metrics::histogram!("tacit_http_request_seconds", "route" => route.clone()).record(elapsed.as_secs_f64());
    tracing::debug!(
        request_id = id.text(),
        method,
        route,
        status,
        micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    response
}

/// A label has few values: what a client makes up is not one.
fn known_method(method: &axum::http::Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// What a panic in a handler becomes: a 500 without its message, which may hold anything.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::from(Problem::internal("a handler panicked")).into_response()
}

/// Structured logs on standard error. `TACIT_LOG` sets the level; the default is `info`.
pub(crate) fn start_logging() {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_from_env("TACIT_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("info,hickory_proto=error,hickory_resolver=error")
    });
    // They write down whole messages, or what an upstream says of itself or when it hangs up, and no level may make them.
    let silent =
        ["rmcp=off", "h2=off", "russh=off"].into_iter().filter_map(|directive| directive.parse().ok());
    let filter = silent.fold(filter, tracing_subscriber::EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Said about a line that cannot be written, it would be one more line that cannot, and `eprintln!` panics.
        .log_internal_errors(false);
    // A second start in one process (tests) keeps the first one's.
    let _ = if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
}

/// A panic says where, never what: its message may hold a value.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}
