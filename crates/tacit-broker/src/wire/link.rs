//! One HTTP/1.1 connection and what drives it.
//!
//! hyper's connection is a future that somebody must poll. It is polled here, by whoever waits for its response,
//! instead of by a task of its own: that saves a spawn per connection and two thread hops per request, and dropping a
//! request drops its socket. An idle connection is polled once when it is taken again, which notices that the
//! upstream closed it or said something without being asked.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::error::WireError;

/// The head of a response and hyper's read buffer may be this long.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

type Io = TokioIo<Stream>;

/// A connection that can carry one request at a time.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it ended; its future must not be polled again.
    connection: Option<http1::Connection<Io, Full<Bytes>>>,
    answered: Arc<AtomicBool>,
    address: SocketAddr,
    certificate: Option<Arc<[u8]>>,
    opened: Instant,
}

impl Link {
    /// Wraps a connected and, for https, verified stream.
    pub(super) async fn open(
        stream: Transport,
        address: SocketAddr,
        certificate: Option<Arc<[u8]>>,
    ) -> Result<Self, WireError> {
        let answered = Arc::new(AtomicBool::new(false));
        let io = TokioIo::new(Stream { transport: stream, answered: answered.clone() });
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
        Ok(Self {
            sender,
            connection: Some(connection),
            answered,
            address,
            certificate,
            opened: Instant::now(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The upstream's leaf certificate (DER), for https.
    pub(super) fn certificate(&self) -> Option<&Arc<[u8]>> {
        self.certificate.as_ref()
    }

    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Whether any byte of a response arrived since the last request was written.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
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

    /// The next piece of a body's data; `None` at its proper end. Trailers are dropped.
    pub(super) async fn next_data(&mut self, body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
        std::future::poll_fn(|cx| {
            loop {
                let mut frame = Pin::new(&mut *body).poll_frame(cx);
                if frame.is_pending() {
                    drive(&mut self.connection, cx);
                    frame = Pin::new(&mut *body).poll_frame(cx);
                }
                match frame {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => return Poll::Ready(Some(Ok(data))),
                        Err(_trailers) => continue,
                    },
                }
            }
        })
        .await
    }

    /// Whether the connection is clean and can take another request: still open, nothing left over, nothing unasked.
    pub(super) async fn is_reusable(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            let open = drive(&mut self.connection, cx);
            Poll::Ready(open && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(()))))
        })
        .await
    }
}

/// Polls the connection; `false` once it ended.
fn drive(connection: &mut Option<http1::Connection<Io, Full<Bytes>>>, cx: &mut Context<'_>) -> bool {
    let Some(running) = connection else { return false };
    if Pin::new(running).poll(cx).is_pending() {
        return true;
    }
    *connection = None;
    false
}

/// Plain or TLS.
pub(super) enum Transport {
    /// Only to private addresses that a destination names.
    Plain(TcpStream),
    /// Verified.
    Tls(Box<TlsStream<TcpStream>>),
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
