//! The other side: the server's HTTP library on the server's kind of accept loop, and nothing behind it.
//!
//! Its options are those of `tacit-server`'s listener, timers included, so that a difference is what Tacit does.

use std::{net::Ipv4Addr, time::Duration};

use axum::{Router, body::Bytes, http::header, response::IntoResponse, routing::any};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

/// What it answers, to everything: 200 bytes of JSON.
const ANSWER: &[u8; 200] = br#"{"id":"obj_0123456789abcdef","status":"ok","items":[{"n":1,"text":"lorem ipsum dolor sit amet"},{"n":2,"text":"consectetur adipiscing elit sed do"},{"n":3,"text":"eiusmod tempor"}],"total":3,"page":1}"#;

/// Serves until it is killed. Says where on standard output.
pub(crate) fn serve(port: u16) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(accept(port))
}

#[expect(clippy::print_stdout, reason = "whoever started it reads where it listens")]
async fn accept(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("bare: ready on http://{}", listener.local_addr()?);
    let router = Router::new().route("/{*path}", any(answer));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(15));
    builder.http2().timer(TokioTimer::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (builder, service) = (builder.clone(), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            // A client that goes away is no news.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(_body: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], Bytes::from_static(ANSWER))
}
