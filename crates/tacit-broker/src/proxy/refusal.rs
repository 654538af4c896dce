//! Refusals of the proxy: a problem and a status, as the response that a client of a proxy understands.
//!
//! Everything that is refused closes an HTTP/1.1 connection: what a client sent right behind it was sent in the belief
//! that it would be taken (attack F4).

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{self, HeaderName},
};
use serde_json::{Map, Value};
use tacit_model::{Code, Problem};

use super::{authority::RequestTargetError, forward::RequestId, head::Violation, reply::Reply};

/// Why a request was not made, and with which status that is said.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) problem: Problem,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.code.http_status());
        Self { status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), problem }
    }
}

impl Refusal {
    fn new(status: StatusCode, what: &str, hint: &str) -> Self {
        Self { status, problem: Problem::new(Code::ValidationFailed, what).suggest(hint) }
    }

    /// Not a request that can be read in one way only.
    pub(super) fn bad_request(what: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what, "send the request as RFC 9112 writes it")
    }

    /// A request that does not say in one way only where it goes.
    pub(super) fn of_target(error: RequestTargetError) -> Self {
        Self::of_violation(error.into())
    }

    /// A request whose head is not what it must be.
    pub(super) fn of_violation(violation: Violation) -> Self {
        let status = StatusCode::from_u16(violation.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, &violation.to_string(), "send the request as RFC 9112 writes it")
    }

    /// The whole answer as it is written on the wire, where no request was read that could be answered.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let id = RequestId::new().text();
        let body = document(&self.problem, self.status, &id);
        let (status, length) = (self.status, body.len());
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\nx-request-id: {id}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        [head.as_bytes(), &body[..]].concat()
    }

    /// Not a request for where the connection leads.
    pub(super) fn misdirected() -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "the request's host is not the one that the connection was opened for",
            "open a connection for each host",
        )
    }

    /// `TRACE`, `CONNECT` inside a tunnel, and what is no method.
    pub(super) fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this method is not passed on",
            "use a method that asks the service for something",
        )
    }

    /// A protocol that cannot be looked into.
    pub(super) fn upgrade() -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "a connection to a host with secrets is not turned into another protocol (WebSocket, h2c)",
            "use the service's plain HTTP interface",
        )
    }

    /// More header than goes upstream (attack B19).
    pub(super) fn headers_too_large() -> Self {
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the headers are over 8 KiB in one field or 16 KiB together",
            "send less in headers",
        )
    }

    /// A body that would have to be looked into and is too long for it.
    pub(super) fn body_too_large() -> Self {
        Problem::new(
            Code::PayloadTooLarge,
            "the body is over 1 MiB, and the destination names a field of it, so it would have to be read whole",
        )
        .suggest("send less, or have the secret's place changed to a header")
        .into()
    }

    /// Nobody's lease, or one that has ended, or one that is not for this address: one answer for all.
    pub(super) fn unauthenticated() -> Self {
        Problem::new(Code::Unauthenticated, "no valid lease token was presented")
            .suggest("take a lease, and give its token to the proxy as the password, or run the command with `tacit run`")
            .into()
    }

    /// The same, in the words of a proxy.
    pub(super) fn proxy_unauthenticated() -> Self {
        Self { status: StatusCode::PROXY_AUTHENTICATION_REQUIRED, ..Self::unauthenticated() }
    }

    /// The document (RFC 9457).
    pub(super) fn into_response(self, request_id: &str) -> Response<Reply> {
        let Self { status, problem } = self;
        if problem.cause().is_some() || problem.code == Code::Internal {
            tracing::error!(request_id, code = %problem.code, cause = problem.cause(), "a proxied request failed");
        }
        let mut response = Response::new(Reply::Whole(document(&problem, status, request_id)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            headers.insert(header::PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"tacit\""));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn document(problem: &Problem, status: StatusCode, request_id: &str) -> Bytes {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("type", format!("urn:tacit:problem:{}", problem.code).into());
    put("title", problem.code.as_str().replace('_', " ").into());
    put("status", status.as_u16().into());
    put("code", problem.code.as_str().into());
    put("detail", problem.detail.as_str().into());
    put("request_id", request_id.into());
    if let Some(suggestion) = &problem.suggestion {
        put("suggestion", suggestion.as_str().into());
    }
    if let Some(destination) = problem.destination.as_ref().and_then(|d| serde_json::to_value(d).ok()) {
        put("destination", destination);
    }
    if !problem.issues.is_empty() {
        let issue =
            |issue: &tacit_model::Issue| serde_json::json!({"field": issue.field, "message": issue.message});
        put("errors", problem.issues.iter().map(issue).collect());
    }
    Value::Object(document).to_string().into()
}
