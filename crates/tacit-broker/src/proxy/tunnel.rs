//! After a `CONNECT`: a tunnel whose TLS ends here, or one that nobody looks into.
//!
//! A host that a secret is bound to is spoken to in TLS with a certificate of the lease's own authority, made for the host
//! of the `CONNECT` and no other (attack A4), and what is no TLS is closed (attack A21). To every other host bytes are
//! passed as they are, to a vetted address: there is nothing in them for the broker.

use std::{sync::Arc, time::Duration};

use http::{Request, Response, Version, header, uri::PathAndQuery};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tacit_model::{OtherHosts, Scheme, Target, target::RequestPath};
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Proxy,
    connection::Leaseholder,
    forward::{self, Asked, RequestId},
    head::{Inside, check_in_tunnel},
    http1,
    live::{Live, Way},
    refusal::Refusal,
    reply::Reply,
};
use crate::{
    Broker,
    permit::{PendingOutcome, now},
};

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a tunnel that nobody looks into lives on when the server stops.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How much of a tunnel that nobody looks into is copied at once.
const COPIED_BYTES: usize = 32 * 1024;

/// A tunnel that was granted.
pub(super) struct Tunnel {
    live: Arc<Live>,
    target: Target,
    /// The other end, of a tunnel that nobody looks into.
    blind: Option<(TcpStream, PendingOutcome)>,
}

/// Decides on a tunnel, and connects its other end if it is one that nobody looks into.
pub(super) async fn open(
    broker: &Broker,
    Leaseholder { live, lease }: Leaseholder,
    target: Target,
    id: RequestId,
) -> Result<Tunnel, Refusal> {
    match live.way_of_tunnel(&lease, target) {
        Way::Bound(target) => Ok(Tunnel { live, target, blind: None }),
        Way::Other(target) if lease.other_hosts == OtherHosts::Tunnel => {
            let blind = forward::connect_blindly(broker, &live, lease, &target, id).await?;
            Ok(Tunnel { live, target, blind: Some(blind) })
        }
        Way::Other(target) | Way::NotThisPort(target) => {
            Err(forward::refuse_target(broker, &lease, &target, "CONNECT", id).await)
        }
    }
}

/// Runs a tunnel until one side, or the lease, ends it.
pub(super) async fn run<I>(proxy: &Proxy, io: I, tunnel: Tunnel)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Tunnel { live, target, blind } = tunnel;
    let kind = if blind.is_some() { "blind" } else { "intercepted" };
    let _counted = Counted::new(kind);
    let running = async {
        match blind {
            Some((upstream, outcome)) => pass_through(proxy, io, upstream, outcome).await,
            None if target.scheme() == Scheme::Https => intercept(proxy, io, &live, target).await,
            None => serve_http1(proxy, io, &live, target).await,
        }
    };
    tokio::select! {
        () = running => {}
        () = live.ended() => {}
    }
}

/// Counts a tunnel for as long as it is open.
struct Counted(&'static str);

impl Counted {
    fn new(kind: &'static str) -> Self {
        metrics::gauge!("tacit_proxy_tunnels", "kind" => kind).increment(1);
        Self(kind)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("tacit_proxy_tunnels", "kind" => self.0).decrement(1);
    }
}

async fn pass_through<I>(proxy: &Proxy, mut io: I, mut upstream: TcpStream, mut outcome: PendingOutcome)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    // How a tunnel ends is nobody's failure.
    outcome.code = None;
    let mut stopping = proxy.0.stopping.subscribe();
    let stopped = async {
        let _ = stopping.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(STOP_MAX).await;
    };
    tokio::select! {
        passed = copy_bidirectional_with_sizes(&mut io, &mut upstream, COPIED_BYTES, COPIED_BYTES) => {
            outcome.body_bytes = passed.ok().map(|(_, down)| down);
        }
        () = stopped => {}
    }
}

async fn intercept<I>(proxy: &Proxy, io: I, live: &Arc<Live>, target: Target)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = match live.server_config(target.host()) {
        Ok(config) => config,
        Err(problem) => {
            tracing::error!(cause = problem.cause(), "a certificate could not be made");
            return;
        }
    };
    let accepted = timeout(HANDSHAKE_MAX, TlsAcceptor::from(config).accept(io)).await;
    let Ok(Ok(stream)) = accepted else {
        tracing::debug!("a TLS handshake in a tunnel failed");
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        serve_http2(proxy, stream, live, target).await;
    } else {
        serve_http1(proxy, stream, live, target).await;
    }
}

async fn serve_http1<I>(proxy: &Proxy, io: I, live: &Arc<Live>, target: Target)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let inside = InTunnel { broker: proxy.0.broker.clone(), live: Arc::clone(live), target };
    let inside = Arc::new(inside);
    if let Some(io) =
        http1::serve(proxy, io, Inside::Tunnel, move |request| respond(Arc::clone(&inside), request)).await
    {
        http1::close(io).await;
    }
}

async fn serve_http2<I>(proxy: &Proxy, io: I, live: &Arc<Live>, target: Target)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let inside = InTunnel { broker: proxy.0.broker.clone(), live: Arc::clone(live), target };
    let inside = Arc::new(inside);
    let mut stopping = proxy.0.stopping.subscribe();
    let service = hyper::service::service_fn(move |request| {
        let response = respond(Arc::clone(&inside), request);
        async move { Ok::<_, std::convert::Infallible>(response.await) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .max_concurrent_streams(128)
        .max_header_list_size(64 * 1024);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut is_stopping = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            _ = stopping.wait_for(|stopping| *stopping), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended");
    }
}

/// What every request in one tunnel shares.
struct InTunnel {
    broker: Broker,
    live: Arc<Live>,
    target: Target,
}

async fn respond(inside: Arc<InTunnel>, request: Request<Incoming>) -> Response<Reply> {
    let id = RequestId::new();
    let is_http2 = request.version() == Version::HTTP_2;
    let mut response = forward_inside(&inside, request, id).await.unwrap_or_else(|r| forward::refused(r, id));
    if is_http2 {
        // Streams have no connection to close; the next one is judged by itself.
        response.headers_mut().remove(header::CONNECTION);
    }
    response
}

async fn forward_inside(
    inside: &InTunnel,
    request: Request<Incoming>,
    id: RequestId,
) -> Result<Response<Reply>, Refusal> {
    check_in_tunnel(&request, &inside.target).map_err(Refusal::of_violation)?;
    let path = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let path = RequestPath::parse(path)
        .map_err(|error| Refusal::bad_request(&format!("the request's target {error}")))?;
    // As it is now: another request of the same tunnel may find other destinations, or no lease any more.
    let lease = inside.broker.vault.current_lease(&inside.live.lease, now()).await?;
    let lease = lease.ok_or_else(Refusal::unauthenticated)?;
    let asked = Asked { live: Arc::clone(&inside.live), lease, target: inside.target.clone(), path, id };
    forward::forward(&inside.broker, asked, request).await
}
