//! Problems as the API answers them: documents of RFC 9457. The statuses are in `tacit-model/src/status.rs`.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tacit_api::{FieldIssue, Problem as Document};
use tacit_model::{Code, Problem};

/// A problem on its way out. The middleware puts the request's id in and writes the cause to the log.
#[derive(Clone)]
pub(crate) struct ApiError {
    pub(crate) problem: Problem,
    status: StatusCode,
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self { status: status(problem.code), problem }
    }
}

impl ApiError {
    /// A problem that HTTP has a status of its own for.
    pub(crate) fn with_status(problem: Problem, status: StatusCode) -> Self {
        Self { problem, status }
    }

    /// A problem of something that is written down rather than sent: there, a misplaced secret is a broken rule.
    pub(crate) fn when_saved(problem: Problem) -> Self {
        let status = if problem.code == Code::PlacementNotAllowed {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            status(problem.code)
        };
        Self { status, problem }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The status of a code.
pub(crate) fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The document of a problem.
pub(crate) fn respond(problem: &Problem, status: StatusCode, request_id: &str) -> Response {
    let document = Document {
        kind: format!("urn:tacit:problem:{}", problem.code),
        title: problem.code.as_str().replace('_', " "),
        status: status.as_u16(),
        code: problem.code.to_string(),
        detail: problem.detail.clone(),
        request_id: request_id.to_owned(),
        suggestion: problem.suggestion.clone(),
        destination: problem
            .destination
            .as_ref()
            .and_then(|d| serde_json::to_value(d).ok())
            .and_then(|d| serde_json::from_value(d).ok()),
        errors: problem
            .issues
            .iter()
            .map(|issue| FieldIssue { field: issue.field.clone(), message: issue.message.clone() })
            .collect(),
        dependents: problem.dependents.clone(),
    };
    let mut response = (status, axum::Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(problem.retry_after_secs.unwrap_or(1)));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
