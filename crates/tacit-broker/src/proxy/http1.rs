//! HTTP/1.1 towards a client, on a bare connection and inside a tunnel.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::timeout,
};

use super::{
    Proxy,
    head::{Inside, StrictIo},
    prefixed::Prefixed,
    refusal::Refusal,
    reply::Reply,
};

/// How long a connection may be silent between two requests, and a later request's head may take.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(90);
/// How long the first head on a connection may take, which anybody may begin to send. Clients that are refused are closed,
/// so for a second one a token is needed.
const FIRST_HEAD_MAX: Duration = Duration::from_secs(30);
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
    serve_until(proxy.0.stopping.subscribe(), FIRST_HEAD_MAX, io, inside, respond).await
}

async fn serve_until<I, F, R>(
    mut stopping: watch::Receiver<bool>,
    first_head_max: Duration,
    io: I,
    inside: Inside,
    respond: F,
) -> Option<Prefixed<I>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> R + Unpin,
    R: Future<Output = Response<Reply>> + Send + 'static,
{
    let has_begun = AtomicBool::new(false);
    let service = service_fn(|request| {
        has_begun.store(true, Ordering::Relaxed);
        let response = respond(request);
        Box::pin(async move { Ok::<_, Infallible>(response.await) })
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE_MAX);
    let mut connection = builder.serve_connection(TokioIo::new(StrictIo::new(io, inside)), service);
    let (mut is_stopping, mut is_first) = (false, true);
    let mut first = std::pin::pin!(tokio::time::sleep(first_head_max));
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            _ = stopping.wait_for(|stopping| *stopping), if !is_stopping => {
                is_stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            () = &mut first, if is_first => {
                is_first = false;
                if !has_begun.load(Ordering::Relaxed) {
                    return None;
                }
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// A first head that comes drop by drop is waited for so long; a connection that had a request is not cut by that.
    #[tokio::test]
    async fn slow_heads() {
        let (_stop, stopping) = watch::channel(false);
        let open = || {
            let (ours, theirs) = tokio::io::duplex(1024);
            let respond = |_| async { Response::new(Reply::Whole(Bytes::new())) };
            let limit = Duration::from_millis(100);
            let serving = serve_until(stopping.clone(), limit, theirs, Inside::Tunnel, respond);
            (ours, async move { serving.await.is_some() })
        };
        let (mut slow, serving) = open();
        tokio::spawn(serving);
        let dripping = async {
            while slow.write_all(b"G").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(5), dripping).await.expect("it was held open");

        let (mut good, serving) = open();
        tokio::spawn(serving);
        let mut answer = [0; 15];
        for _ in 0..2 {
            good.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            good.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            let rest = async { while good.read_u8().await.is_ok() {} };
            assert!(timeout(Duration::from_millis(200), rest).await.is_err(), "it was cut");
        }
    }
}
