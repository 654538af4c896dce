//! The other side: the server's HTTP library on the server's kind of accept loop, and nothing behind it.
//!
//! Its options are those of `tacit-server`'s listener, timers included, so that a difference is what Tacit does.

use std::{
    net::Ipv4Addr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::header,
    response::IntoResponse,
    routing::any,
};
use http_body::Frame;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What it answers, to everything: 200 bytes of JSON.
const ANSWER: &[u8; 200] = br#"{"id":"obj_0123456789abcdef","status":"ok","items":[{"n":1,"text":"lorem ipsum dolor sit amet"},{"n":2,"text":"consectetur adipiscing elit sed do"},{"n":3,"text":"eiusmod tempor"}],"total":3,"page":1}"#;

/// A line of the large body: what a service's log looks like.
const LINE: &str = "2026-11-21T06:00:00.123Z INFO  gateway request_id=7f3c9a path=/v1/items/4711 status=200 bytes=1834 took=12.7ms user=\"someone@example.com\"\n";

/// Serves until it is killed. Says where on standard output.
pub(crate) fn serve(port: u16, tls: Option<TlsAcceptor>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(accept(port, tls))
}

/// TLS with a certificate, for HTTP/1.1.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[expect(clippy::print_stdout, reason = "whoever started it reads where it listens")]
async fn accept(port: u16, tls: Option<TlsAcceptor>) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("bare: ready on {scheme}://{}", listener.local_addr()?);
    let router = Router::new().route("/bulk/{bytes}", any(bulk)).route("/{*path}", any(answer));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(15));
    builder.http2().timer(TokioTimer::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (builder, service) = (builder.clone(), TowerToHyperService::new(router.clone()));
        let tls = tls.clone();
        tokio::spawn(async move {
            // A client that goes away is no news.
            let _ = match tls {
                None => builder.serve_connection(TokioIo::new(stream), service).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => return,
                },
            };
        });
    }
}

async fn answer(_body: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], Bytes::from_static(ANSWER))
}

/// So many bytes of log lines, in pieces of 64 KiB.
async fn bulk(axum::extract::Path(bytes): axum::extract::Path<u64>) -> impl IntoResponse {
    let piece = Bytes::from(LINE.repeat(64 * 1024 / LINE.len() + 1));
    let body = Bulk { piece, left: bytes };
    ([(header::CONTENT_TYPE, "text/plain"), (header::CONTENT_LENGTH, &*bytes.to_string())], Body::new(body))
        .into_response()
}

struct Bulk {
    piece: Bytes,
    left: u64,
}

impl http_body::Body for Bulk {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let length = self.left.min(self.piece.len() as u64);
        self.left -= length;
        Poll::Ready((length > 0).then(|| Ok(Frame::data(self.piece.slice(..length as usize)))))
    }
}
