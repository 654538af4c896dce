//! HTTP/1.1 towards a client, on a bare connection and inside a tunnel.

use std::{convert::Infallible, future::poll_fn, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    Proxy,
    head::{Inside, StrictIo},
    prefixed::Prefixed,
    refusal::Refusal,
    reply::Reply,
};

/// How long a connection may be silent between two requests, and a request's head may take.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(90);
/// What a client still sends after it was refused is read and thrown away, for so long and up to so much: it would not
/// see the refusal if the connection were reset under it.
const LINGER_MAX: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// Serves requests until the client or a refusal closes, or a response turned the connection into a tunnel. Gives the
/// connection back as it is then; `None` if it is broken.
pub(super) async fn serve<I, F, R>(proxy: &Proxy, io: I, inside: Inside, respond: F) -> Option<Prefixed<I>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> R + Unpin,
    R: Future<Output = Response<Reply>> + Send + 'static,
{
    let mut stopping = proxy.0.stopping.subscribe();
    let service = service_fn(move |request| {
        let response = respond(request);
        Box::pin(async move { Ok::<_, Infallible>(response.await) })
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE_MAX);
    let mut connection = builder.serve_connection(TokioIo::new(StrictIo::new(io, inside)), service);
    let mut is_stopping = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            _ = stopping.wait_for(|stopping| *stopping), if !is_stopping => {
                is_stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended");
        return None;
    }
    let parts = connection.into_parts();
    let (mut io, unread, violation) = parts.io.into_inner().into_parts();
    if let Some(violation) = violation {
        // Written by hand, because there is no request that hyper could answer.
        let _ = io.write_all(&Refusal::of_violation(violation).into_bytes()).await;
        close(io).await;
        return None;
    }
    let start = [&parts.read_buf[..], &unread[..]].concat();
    Some(Prefixed::new(start.into(), io))
}

/// Closes a connection so that the last answer arrives.
pub(super) async fn close<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) {
    let closing = async {
        io.shutdown().await?;
        let mut left = LINGER_BYTES_MAX;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = io.read(&mut buffer).await?;
            left = left.saturating_sub(read);
            if read == 0 || left == 0 {
                return std::io::Result::Ok(());
            }
        }
    };
    let _ = timeout(LINGER_MAX, closing).await;
}
