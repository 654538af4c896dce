//! The wire itself: from a target to a connection, from a request to the head of its response.

use std::{fmt, future::poll_fn, net::SocketAddr, pin::pin, sync::Arc, task::Poll, time::Duration};

use http::{Method, Response};
use hyper::body::Incoming;
use tacit_model::{Host, Scheme, Target};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use super::{
    body::Upload,
    egress::{EgressPolicy, Naming},
    error::{Phase, WireError, WireSetupError},
    headers,
    link::{Link, Transport},
    pool::{Place, Pool, PoolKey},
    read::Received,
    request::OutboundRequest,
    resolve::Resolve,
    tail::Tail,
    tls::Tls,
};

/// Addresses of one name that are tried.
const DIALS_MAX: usize = 6;

/// What a [`Wire`] is made from.
#[derive(Clone, Debug, Default)]
pub struct WireConfig {
    /// Which addresses may be dialled.
    pub policy: EgressPolicy,
    /// Certificates that are trusted beside the platform's roots (`--upstream-ca`).
    pub extra_roots_pem: Option<Vec<u8>>,
    /// Name servers instead of the machine's own. They may be on any address: the operator names them.
    pub nameservers: Option<Vec<SocketAddr>>,
}

/// Sends requests to upstreams. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Wire {
    inner: Arc<Inner>,
}

struct Inner {
    policy: EgressPolicy,
    resolve: Resolve,
    tls: Tls,
    pool: Arc<Pool>,
}

impl Wire {
    /// Loads the roots and reads the resolver's configuration. Must run inside a Tokio runtime.
    pub fn new(config: WireConfig) -> Result<Self, WireSetupError> {
        let WireConfig { policy, extra_roots_pem, nameservers } = config;
        let inner = Inner {
            policy,
            resolve: Resolve::new(nameservers.as_deref())?,
            tls: Tls::new(extra_roots_pem.as_deref())?,
            pool: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A connection to a target, vetted and verified: parked under the same key, or a new one.
    ///
    /// `limit` is for resolving, dialling and the TLS handshake together. An error means that nothing was sent, so a
    /// caller opens a secret after this returned and not before.
    pub async fn connect(
        &self,
        key: PoolKey,
        target: &Target,
        naming: Naming,
        limit: Duration,
    ) -> Result<Connection, WireError> {
        let place = Place { key, target: target.clone() };
        while let Some(mut link) = self.inner.pool.take(&place) {
            // The same key may have been used for a host that a destination named then and does not now.
            let address = link.address().ip();
            self.inner.policy.vet(target, address, naming).map_err(WireError::AddressBlocked)?;
            let is_usable = match &mut link {
                Link::Http1(parked) => poll_fn(|cx| Poll::Ready(parked.poll_reusable(cx))).await,
                Link::Http2(_) => true,
            };
            if is_usable {
                return Ok(Connection { wire: self.clone(), place, naming, limit, link, is_reused: true });
            }
        }
        let link = self.inner.dial(&place, naming, limit).await?;
        Ok(Connection { wire: self.clone(), place, naming, limit, link, is_reused: false })
    }

    /// A bare connection, for bytes that are none of our business.
    ///
    /// The same rules hold as for a request, but what is spoken inside is not looked at, and so is plain http no matter
    /// here: the name is resolved once, every answer must pass, and only these addresses are dialled. With
    /// [`Naming::Other`] that means public ones. `limit` is for everything together.
    pub async fn tunnel(
        &self,
        host: &Host,
        port: u16,
        naming: Naming,
        limit: Duration,
    ) -> Result<TcpStream, WireError> {
        let target = Target::new(Scheme::Https, host.clone(), port);
        Ok(self.dial(&target, naming, limit).await?.0)
    }

    /// A bare connection to a target that speaks something other than HTTP, and the address that was dialled. The same
    /// rules hold; who answers there is for the caller to find out.
    pub async fn dial(
        &self,
        target: &Target,
        naming: Naming,
        limit: Duration,
    ) -> Result<(TcpStream, SocketAddr), WireError> {
        let dialled = timeout(limit, self.inner.dial_tcp(target, naming, limit)).await;
        dialled.unwrap_or(Err(WireError::Timeout(Phase::Connect)))
    }

    /// Closes all parked connections, and no new request joins one that is in use: after a grant was taken away, or
    /// before stopping.
    pub fn close_idle(&self) {
        self.inner.pool.clear();
    }

    /// How many connections are parked.
    pub fn idle_connections(&self) -> usize {
        self.inner.pool.len()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("policy", &self.inner.policy).finish_non_exhaustive()
    }
}

impl Inner {
    /// A new connection to a place. One that requests can share is shared from now on.
    async fn dial(&self, place: &Place, naming: Naming, limit: Duration) -> Result<Link, WireError> {
        // On the heap, because it is large and most requests find a connection.
        let link = timeout(limit, Box::pin(self.dial_within(&place.target, naming, limit)))
            .await
            .unwrap_or(Err(WireError::Timeout(Phase::Connect)))?;
        if let Link::Http2(link) = &link {
            self.pool.share(place.clone(), link.shared().clone());
        }
        Ok(link)
    }

    async fn dial_within(&self, target: &Target, naming: Naming, limit: Duration) -> Result<Link, WireError> {
        let (stream, address) = self.dial_tcp(target, naming, limit).await?;
        let transport = match target.scheme() {
            Scheme::Http => Transport::Plain(stream),
            // Nobody asks for HTTP from an SFTP server.
            Scheme::Sftp => return Err(WireError::ConnectFailed),
            // No second address after a failed handshake: what answered is not the target, and says so.
            Scheme::Https => Transport::Tls(Box::new(self.tls.handshake(target, stream).await?)),
        };
        Link::open(transport, address).await
    }

    async fn dial_tcp(
        &self,
        target: &Target,
        naming: Naming,
        limit: Duration,
    ) -> Result<(TcpStream, SocketAddr), WireError> {
        let end = Instant::now().checked_add(limit);
        let addresses = self.resolve.vetted(target, &self.policy, naming).await?;
        let (stream, address) = dial_in_order(&addresses, end).await?;
        // Requests are written whole; waiting to fill a packet only adds latency.
        stream.set_nodelay(true).map_err(|_| WireError::ConnectFailed)?;
        Ok((stream, address))
    }
}

/// Connects to the first address that answers. Each gets its share of the time that is left, so that one that
/// swallows packets does not take it all.
async fn dial_in_order(
    addresses: &[SocketAddr],
    end: Option<Instant>,
) -> Result<(TcpStream, SocketAddr), WireError> {
    let tried = addresses.len().min(DIALS_MAX);
    let mut failure = WireError::ConnectFailed;
    for (at, address) in addresses.iter().take(tried).enumerate() {
        let connecting = TcpStream::connect(*address);
        let connected = match end {
            None => connecting.await,
            Some(end) => {
                let share = (end - Instant::now()) / (tried - at) as u32;
                match timeout(share, connecting).await {
                    Ok(connected) => connected,
                    Err(_) => {
                        failure = WireError::Timeout(Phase::Connect);
                        continue;
                    }
                }
            }
        };
        match connected {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => tracing::debug!(%address, kind = ?error.kind(), "upstream address did not answer"),
        }
    }
    Err(failure)
}

/// A verified connection, good for one request.
pub struct Connection {
    wire: Wire,
    place: Place,
    naming: Naming,
    /// The connect limit, once more for a second attempt.
    limit: Duration,
    link: Link,
    is_reused: bool,
}

impl Connection {
    /// The address that was dialled.
    pub fn address(&self) -> SocketAddr {
        self.link.address()
    }

    /// The upstream's leaf certificate (DER); `None` for plain http.
    pub fn certificate_der(&self) -> Option<&[u8]> {
        self.link.certificate().map(|der| &**der)
    }

    /// Whether it carried a request before.
    pub fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Sends a request and waits, at most `limit`, for the head of the response. While a streamed body is still on its
    /// way, the limit is for each piece of it instead.
    ///
    /// A parked connection may have been closed by the upstream at the very moment it was taken. So on a reused one,
    /// an idempotent request that fails before the first byte of a response is sent once more, over a connection that
    /// was resolved, vetted and verified anew. A streamed body cannot be sent twice and is not.
    pub async fn send(mut self, request: OutboundRequest, limit: Duration) -> Result<Received, WireError> {
        let is_range = request.asks_for_range();
        let method = request.method.clone();
        // Nothing was sent yet, so this is no second attempt.
        if self.link.is_closed() {
            self.dial_again().await?;
        }
        let second = if self.is_reused { request.again() } else { None };
        let end = Instant::now().checked_add(limit);
        let first = self.attempt(request, end, limit).await;
        let response = match (first, second) {
            (Err(Failure::Unanswered), Some(request)) => {
                self.dial_again().await?;
                self.attempt(request, end, limit).await
            }
            (first, _) => first,
        };
        let (response, upload) = response.map_err(|failure| match failure {
            Failure::Unanswered => WireError::UpstreamFailed,
            Failure::Wire(error) => error,
        })?;
        self.received(response, upload, &method, is_range)
    }

    async fn dial_again(&mut self) -> Result<(), WireError> {
        self.link = self.wire.inner.dial(&self.place, self.naming, self.limit).await?;
        self.is_reused = false;
        Ok(())
    }

    async fn attempt(
        &mut self,
        request: OutboundRequest,
        end: Option<Instant>,
        limit: Duration,
    ) -> Result<(Response<Incoming>, Option<Upload>), Failure> {
        let (request, upload) =
            request.build(&self.place.target, self.link.protocol()).map_err(Failure::Wire)?;
        let answered = {
            let mut sending = pin!(self.link.send(request));
            let mut end = end;
            loop {
                let Some(until) = end else { break sending.await };
                if let Ok(answered) = timeout_at(until, sending.as_mut()).await {
                    break answered;
                }
                let prolonged = upload.as_ref().and_then(|upload| upload.last_progress().checked_add(limit));
                match prolonged {
                    Some(later) if later > until => end = Some(later),
                    _ => return Err(Failure::Wire(WireError::Timeout(Phase::FirstByte))),
                }
            }
        };
        match answered {
            Ok(response) => Ok((response, upload)),
            Err(error) => {
                tracing::debug!(target = %self.place.target, %error, "upstream failed");
                if upload.is_some_and(|upload| upload.is_broken()) {
                    Err(Failure::Wire(WireError::BodyBroken))
                } else if self.link.has_answered() {
                    Err(Failure::Wire(WireError::UpstreamFailed))
                } else {
                    Err(Failure::Unanswered)
                }
            }
        }
    }

    fn received(
        self,
        response: Response<Incoming>,
        upload: Option<Upload>,
        method: &Method,
        is_range: bool,
    ) -> Result<Received, WireError> {
        // Only status, headers and body are taken over. The extensions hold hyper's copy of the reason phrase, which
        // is a place to reflect a value in (attack C4).
        let (parts, body) = response.into_parts();
        headers::check_head(&parts.headers)?;
        let status = parts.status.as_u16();
        // Nothing was asked to be upgraded. A 101 is not a response and turns the connection into something else.
        if parts.status.is_informational() {
            return Err(WireError::UpstreamFailed);
        }
        // A part that was not asked for may be cut where it suits the upstream (attack C15).
        if status == 206 && !is_range {
            return Err(WireError::Unscannable);
        }
        let parking = (self.wire.inner.pool.clone(), self.place);
        let is_bodiless = *method == Method::HEAD;
        let tail = Tail::new(body, self.link, upload, parking);
        Ok(Received::new(status, parts.headers, tail, is_bodiless))
    }
}

/// Target and address.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("target", &self.place.target)
            .field("address", &self.address())
            .field("is_reused", &self.is_reused)
            .finish_non_exhaustive()
    }
}

/// A failed attempt.
enum Failure {
    /// The connection ended without a byte of a response.
    Unanswered,
    /// Anything that trying again does not help.
    Wire(WireError),
}
