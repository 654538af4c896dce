//! For those who run the server: health, readiness, metrics, the document of all routes.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::Answer;
use crate::{app::App, extract::Bearer, router};

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()), responses((status = 200, body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests can be served: the database answers.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()), responses((status = 200, body = String), (status = 503)))]
pub(crate) async fn readyz(State(app): State<App>) -> Answer<&'static str> {
    app.vault.store().is_initialised().await.map_err(tacit_model::Problem::audit_unavailable)?;
    Ok("ready\n")
}

/// Counters and histograms in Prometheus' text format. No name of a secret is on it.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String)))]
pub(crate) async fn metrics(State(app): State<App>, who: Bearer) -> Answer<Response> {
    app.vault.who_am_i(who.token, who.now).await?;
    let mut response = app.metrics.render().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    Ok(response)
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", responses((status = 200, body = Object)))]
pub(crate) async fn openapi(State(app): State<App>, who: Bearer) -> Answer<Response> {
    app.vault.who_am_i(who.token, who.now).await?;
    let mut response = router::openapi_json().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
