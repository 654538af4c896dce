//! One connection to an upstream, HTTP/1.1 or HTTP/2.

mod http1;
mod http2;

use std::{
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(super) use self::{
    http1::Http1,
    http2::{Http2, Shared},
};
use super::{body::Outgoing, error::WireError};

/// The head of a response and hyper's read buffer may be this long.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The only one without TLS.
    Http1,
    /// If both sides said so in the TLS handshake.
    Http2,
}

/// Plain or TLS.
pub(super) enum Transport {
    /// Only where plain http is allowed.
    Plain(TcpStream),
    /// Verified.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Whom a connection goes to, and since when.
pub(super) struct Peer {
    address: SocketAddr,
    /// The leaf (DER), for https.
    certificate: Option<Arc<[u8]>>,
    opened: Instant,
}

/// A connection, as one request uses it.
#[expect(
    clippy::large_enum_variant,
    reason = "moved a few times; a box would be an allocation for every request"
)]
pub(super) enum Link {
    /// Has it alone.
    Http1(Http1),
    /// May share it.
    Http2(Http2),
}

impl Link {
    /// Speaks what was agreed on over a connected and, for https, verified stream.
    pub(super) async fn open(transport: Transport, address: SocketAddr) -> Result<Self, WireError> {
        let session = match &transport {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => Some(stream.get_ref().1),
        };
        let leaf = session.and_then(|session| session.peer_certificates()?.first());
        let certificate = leaf.map(|leaf| Arc::<[u8]>::from(leaf.as_ref()));
        let is_http2 = session.and_then(|session| session.alpn_protocol()) == Some(b"h2");
        let peer = Peer { address, certificate, opened: Instant::now() };
        match transport {
            Transport::Tls(stream) if is_http2 => Http2::open(stream, peer).await.map(Self::Http2),
            transport => Http1::open(transport, peer).await.map(Self::Http1),
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Self::Http1(_) => Protocol::Http1,
            Self::Http2(_) => Protocol::Http2,
        }
    }

    fn peer(&self) -> &Peer {
        match self {
            Self::Http1(link) => &link.peer,
            Self::Http2(link) => link.peer(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.peer().address
    }

    /// The upstream's leaf certificate (DER), for https.
    pub(super) fn certificate(&self) -> Option<&Arc<[u8]>> {
        self.peer().certificate.as_ref()
    }

    /// Whether a byte of the response may have been seen. A response over HTTP/2 begins with its head.
    pub(super) fn has_answered(&self) -> bool {
        match self {
            Self::Http1(link) => link.has_answered(),
            Self::Http2(_) => false,
        }
    }

    /// Whether it was closed while nobody looked, as far as that can be told without waiting.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            // Noticed by whoever drives it, which is nobody before a request is sent.
            Self::Http1(_) => false,
            Self::Http2(link) => !link.is_open(),
        }
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            Self::Http1(link) => link.send(request).await,
            Self::Http2(link) => link.send(request).await,
        }
    }

    /// The next frame of a response's body; `None` at its proper end.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let frame = match self {
            Self::Http1(link) => link.poll_frame(body, cx),
            Self::Http2(link) => link.poll_frame(body, cx),
        };
        frame.map(|frame| match frame {
            // A stream that is reset "without error" may end before its length is reached.
            None if body.size_hint().exact().unwrap_or(0) > 0 && !body.is_end_stream() => {
                Some(Err(WireError::UpstreamFailed))
            }
            None => None,
            Some(frame) => Some(frame.map_err(|error| {
                tracing::debug!(%error, "upstream failed in the middle of a body");
                WireError::UpstreamFailed
            })),
        })
    }
}
