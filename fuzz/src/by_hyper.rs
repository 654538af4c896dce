//! What hyper reads.

use std::{cell::RefCell, convert::Infallible};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// A request as a parser saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// As they were sent, but for the case of the names.
    pub fields: Vec<(String, Vec<u8>)>,
    /// `None` if it broke off.
    pub body: Option<Vec<u8>>,
}

/// The requests that hyper finds on a connection.
pub async fn requests(io: impl AsyncRead + AsyncWrite + Unpin) -> Vec<Seen> {
    let seen = RefCell::new(Vec::new());
    let service = service_fn(async |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let fields = parts.headers.iter();
        let fields = fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        let body = body.collect().await.ok().map(|body| body.to_bytes().to_vec());
        let (method, target) = (parts.method.to_string(), parts.uri.to_string());
        seen.borrow_mut().push(Seen { method, target, fields, body });
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    // The end of the bytes behind a request is no reason not to answer it, here.
    let connection = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(io), service);
    let _ = connection.await;
    seen.into_inner()
}
