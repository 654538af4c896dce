//! HTTP/1.1: one request at a time, driven by whoever waits for its response.
//!
//! hyper's connection is a future that somebody must poll. It is polled here, by whoever waits for its response,
//! instead of by a task of its own: that saves a spawn per connection and two thread hops per request, and dropping a
//! request drops its socket. An idle connection is polled once when it is taken again, which notices that the
//! upstream closed it or said something without being asked.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{HEAD_BYTES_MAX, Peer, Transport};
use crate::wire::{body::Outgoing, error::WireError};

type Io = TokioIo<Stream>;

/// A connection that can carry one request at a time.
pub(in crate::wire) struct Http1 {
    sender: SendRequest<Outgoing>,
    /// `None` once it ended; its future must not be polled again.
    connection: Option<http1::Connection<Io, Outgoing>>,
    answered: Arc<AtomicBool>,
    pub(super) peer: Peer,
}

impl Http1 {
    /// Wraps a connected and, for https, verified stream.
    pub(super) async fn open(transport: Transport, peer: Peer) -> Result<Self, WireError> {
        let answered = Arc::new(AtomicBool::new(false));
        let io = TokioIo::new(Stream { transport, answered: answered.clone() });
        let mut builder = http1::Builder::new();
        // The number of headers is hyper's default, 100, which it keeps on the stack.
        builder
            .title_case_headers(false)
            .preserve_header_case(false)
            .http09_responses(false)
            .ignore_invalid_headers_in_responses(false)
            .allow_spaces_after_header_name_in_responses(false)
            .allow_obsolete_multiline_headers_in_responses(false)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(HEAD_BYTES_MAX);
        let (sender, connection) = builder.handshake(io).await.map_err(|_| WireError::ConnectFailed)?;
        Ok(Self { sender, connection: Some(connection), answered, peer })
    }

    pub(in crate::wire) fn age(&self) -> Duration {
        self.peer.opened.elapsed()
    }

    /// Whether any byte of a response arrived since the last request was written.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        self.answered.store(false, Ordering::Relaxed);
        let response = self.sender.send_request(request);
        let mut response = std::pin::pin!(response);
        let connection = &mut self.connection;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(response) = response.as_mut().poll(cx) {
                return Poll::Ready(response);
            }
            // Driving the connection, or its end, is what makes the response ready.
            drive(connection, cx);
            response.as_mut().poll(cx)
        })
        .await
    }

    /// The next frame of a response's body.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut *body).poll_frame(cx);
        if frame.is_ready() {
            return frame;
        }
        drive(&mut self.connection, cx);
        Pin::new(body).poll_frame(cx)
    }

    /// Whether the connection is clean and can take another request: still open, nothing left over, nothing unasked.
    pub(in crate::wire) fn poll_reusable(&mut self, cx: &mut Context<'_>) -> bool {
        drive(&mut self.connection, cx) && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }
}

/// Polls the connection; `false` once it ended.
fn drive(connection: &mut Option<http1::Connection<Io, Outgoing>>, cx: &mut Context<'_>) -> bool {
    let Some(running) = connection else { return false };
    if Pin::new(running).poll(cx).is_pending() {
        return true;
    }
    *connection = None;
    false
}

/// A transport that notes when something arrives, which decides whether a request may be sent again.
struct Stream {
    transport: Transport,
    answered: Arc<AtomicBool>,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.answered.store(true, Ordering::Relaxed);
        }
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
