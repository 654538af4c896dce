//! Base URLs of the proxy (`/to/…`) on connections of the API: only over HTTP/2.
//!
//! The first request of a connection decides whether it is the API's or the proxy's. A client that asks for HTTP/2 has no
//! such first line, so its base URLs arrive here. With HTTP/1.1 they must not: the proxy reads that protocol more
//! strictly than the API does, and a connection has one reader.

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Version},
    response::{IntoResponse, Response},
};
use tacit_model::{Code, Problem};

use crate::{app::App, listen::Peer, problem::ApiError};

pub(crate) async fn forward(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    if request.version() == Version::HTTP_2 {
        return app.proxy.answer(request, peer.address.ip().to_canonical()).await.map(Body::new);
    }
    let problem = Problem::new(Code::ValidationFailed, "this connection is one to the API already")
        .suggest("open another connection for base URLs");
    ApiError::with_status(problem, StatusCode::MISDIRECTED_REQUEST).into_response()
}
