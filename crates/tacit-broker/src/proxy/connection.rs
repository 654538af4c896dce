//! One connection of a client: whose lease it is, and where each request on it goes.
//!
//! A request names its target in one of three ways: `CONNECT host:port`, `GET http://host/…` (or `https://…`), and
//! `GET /to/LEASE-TOKEN/host/…` for programs that can be given a base URL. There is no fourth: what `Host` says is
//! compared and never followed (attacks A3, A6).

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header, uri::PathAndQuery};
use hyper::body::Incoming;
use tacit_model::{Code, Host, OtherHosts, Problem, Scheme, Target, target::RequestPath};
use tacit_vault::{Lease, TokenHash, TokenKind, parse_token};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use super::{
    Entry, Proxy,
    authority::RequestTarget,
    forward::{self, Asked, ClientBody, RequestId},
    head::Inside,
    http1,
    live::{Live, Way},
    refusal::Refusal,
    reply::{Cut, Reply},
    tunnel::{self, Tunnel},
};
use crate::permit::now;

/// Serves a connection, and the tunnel that it may turn into.
pub(super) async fn serve<I>(proxy: &Proxy, io: I, entry: Entry)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let client = match entry {
        Entry::Open { source } => Client::new(proxy, Some(source), None),
        Entry::Lease(lease) => match proxy.live(lease.id) {
            Some(live) => Client::new(proxy, None, Some(live)),
            None => return,
        },
    };
    let client = Arc::new(client);
    let serving = http1::serve(proxy, io, Inside::Nothing, {
        let client = Arc::clone(&client);
        move |request| respond(Arc::clone(&client), request)
    });
    let served = tokio::select! {
        served = serving => served,
        // Whatever is in flight on it is cut.
        () = client.lease_ended() => None,
    };
    let Some(io) = served else { return };
    let tunnel = client.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take();
    match tunnel {
        Some(tunnel) => tunnel::run(proxy, io, tunnel).await,
        None => http1::close(io).await,
    }
}

/// A client of the proxy, for as long as its connection lasts.
struct Client {
    proxy: Proxy,
    /// The address, if each request has to say whose lease it is.
    source: Option<IpAddr>,
    /// The lease of the last request: when that one ends, so does the connection.
    lease: watch::Sender<Option<Arc<Live>>>,
    /// The token of the last request, if it said one.
    token: Mutex<Option<TokenHash>>,
    /// What the connection turns into after a `CONNECT`.
    tunnel: Mutex<Option<Tunnel>>,
}

impl Client {
    fn new(proxy: &Proxy, source: Option<IpAddr>, live: Option<Arc<Live>>) -> Self {
        Self {
            proxy: proxy.clone(),
            source,
            lease: watch::Sender::new(live),
            token: Mutex::default(),
            tunnel: Mutex::default(),
        }
    }

    async fn lease_ended(&self) {
        let mut leases = self.lease.subscribe();
        loop {
            let live = leases.borrow_and_update().clone();
            let ended = async {
                match live {
                    Some(live) => live.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ended => return,
                changed = leases.changed() => if changed.is_err() { return },
            }
        }
    }

    /// The lease that a request is made under; `None` if there is none that is in force.
    async fn identify(&self, token: Option<&str>, id: RequestId) -> Result<Option<Leaseholder>, Problem> {
        let vault = &self.proxy.0.broker.vault;
        let hash = match (self.source, token.map(parse_token)) {
            (None, _) => None,
            (Some(_), Some(Ok((TokenKind::Lease, hash)))) => Some(hash),
            (Some(_), _) => return Ok(None),
        };
        let last = *self.token.lock().unwrap_or_else(PoisonError::into_inner);
        // The relay's connections, and a token that was looked up for this connection already.
        if hash == last {
            let Some(live) = self.lease.borrow().clone() else { return Ok(None) };
            let lease = vault.current_lease(&live.lease, now()).await?;
            return Ok(lease.map(|lease| Leaseholder { live, lease }));
        }
        let (Some(token), Some(source)) = (hash, self.source) else { return Ok(None) };
        let lease = match vault.lease_of_token(token, source, id.0, now()).await {
            Ok(lease) => lease,
            Err(problem) if problem.code == Code::Unauthenticated => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let Some(live) = self.proxy.live(lease.id) else { return Ok(None) };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = hash;
        self.lease.send_if_modified(|current| {
            let is_new = current.as_ref().is_none_or(|current| !Arc::ptr_eq(current, &live));
            if is_new {
                *current = Some(Arc::clone(&live));
            }
            is_new
        });
        Ok(Some(Leaseholder { live, lease }))
    }

    /// Where a request is meant to go that came through a relay and names the relay itself: a program that sends
    /// everything through its proxy sends its base URL there too, as `GET http://127.0.0.1:PORT/to/-/HOST/…`. On such a
    /// connection `GET /to/-/HOST/…` says the same.
    fn base_url_of_relay(
        &self,
        Leaseholder { live, lease }: &Leaseholder,
        target: &Target,
        path: &RequestPath,
    ) -> Option<(Target, RequestPath)> {
        let is_relay = self.source.is_none()
            && target.scheme() == Scheme::Http
            && matches!(target.host(), Host::Ip(address) if address.is_loopback())
            && !matches!(live.way_of_url(lease, target.clone()), Way::Bound(_));
        if !is_relay {
            return None;
        }
        let query = path.query().map(|query| format!("?{query}")).unwrap_or_default();
        match RequestTarget::parse("GET", &format!("{}{query}", path.path())) {
            Ok(RequestTarget::BaseUrl { token: "-", target, path }) => Some((target, path)),
            _ => None,
        }
    }

    async fn identify_by_header(&self, headers: &HeaderMap, id: RequestId) -> Result<Leaseholder, Refusal> {
        let found = self.identify(proxy_token(headers).as_deref(), id).await?;
        found.ok_or_else(Refusal::proxy_unauthenticated)
    }
}

/// Whose request it is: a lease as it is now, and what is kept of it while it is in force.
pub(super) struct Leaseholder {
    pub(super) live: Arc<Live>,
    pub(super) lease: Arc<Lease>,
}

/// Answers one request that did not come over a connection of the proxy's own: a base URL over HTTP/2, on a connection of
/// the API. What is still streaming when the lease ends is cut.
pub(super) async fn answer<B: ClientBody>(
    proxy: &Proxy,
    request: Request<B>,
    source: IpAddr,
) -> Response<Cut> {
    let client = Arc::new(Client::new(proxy, Some(source), None));
    let id = RequestId::new();
    // There the URI has scheme and authority too, and they are Tacit's own.
    let path = request.uri().path_and_query().map_or("", PathAndQuery::as_str).to_owned();
    let response = tokio::select! {
        response = route(&client, &path, request, id) => response,
        () = client.lease_ended() => Err(Refusal::unauthenticated()),
    };
    let response = response.unwrap_or_else(|refusal| forward::refused(refusal, id));
    response.map(|reply| Cut::new(reply, async move { client.lease_ended().await }))
}

async fn respond(client: Arc<Client>, request: Request<Incoming>) -> Response<Reply> {
    let id = RequestId::new();
    let target = request.uri().to_string();
    route(&client, &target, request, id).await.unwrap_or_else(|refusal| forward::refused(refusal, id))
}

/// By the form of a request's target.
async fn route<B: ClientBody>(
    client: &Client,
    target: &str,
    request: Request<B>,
    id: RequestId,
) -> Result<Response<Reply>, Refusal> {
    let target = RequestTarget::parse(request.method().as_str(), target).map_err(Refusal::of_target)?;
    match target {
        RequestTarget::Tunnel(target) => {
            host_of_connect_is(request.headers(), &target)?;
            let holder = client.identify_by_header(request.headers(), id).await?;
            connect(client, holder, target, id).await
        }
        RequestTarget::Url { target, path } => {
            host_is(request.headers(), &target)?;
            let holder = client.identify_by_header(request.headers(), id).await?;
            let (target, path) = match client.base_url_of_relay(&holder, &target, &path) {
                Some(meant) => meant,
                None => (target, path),
            };
            to_url(client, holder, target, path, request, id).await
        }
        RequestTarget::BaseUrl { token, target, path } => {
            let holder = client.identify(Some(token), id).await?.ok_or_else(Refusal::unauthenticated)?;
            to_url(client, holder, target, path, request, id).await
        }
        RequestTarget::Path => Err(Problem::not_found("route on a connection to the proxy")
            .suggest("open another connection for the API")
            .into()),
    }
}

/// A request that names its target in full.
async fn to_url<B: ClientBody>(
    client: &Client,
    Leaseholder { live, lease }: Leaseholder,
    target: Target,
    path: RequestPath,
    request: Request<B>,
    id: RequestId,
) -> Result<Response<Reply>, Refusal> {
    let broker = &client.proxy.0.broker;
    let target = match live.way_of_url(&lease, target) {
        Way::Bound(target) => target,
        // Decided like any other: what carries a placeholder is refused, with the destination that is missing; what
        // carries none goes where a sealed request without a secret may go.
        Way::Other(target) if lease.other_hosts == OtherHosts::Tunnel => target,
        Way::Other(target) | Way::NotThisPort(target) => {
            return Err(forward::refuse_target(broker, &lease, &target, request.method().as_str(), id).await);
        }
    };
    forward::forward(broker, Asked { live, lease, target, path, id }, request).await
}

/// A `CONNECT`: decides what the connection turns into.
async fn connect(
    client: &Client,
    holder: Leaseholder,
    target: Target,
    id: RequestId,
) -> Result<Response<Reply>, Refusal> {
    let tunnel = tunnel::open(&client.proxy.0.broker, holder, target, id).await?;
    *client.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    Ok(Response::new(Reply::Whole(Bytes::new())))
}

/// Whether the one `Host` there is says the same as the target.
fn host_is(headers: &HeaderMap, target: &Target) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::bad_request("there must be one Host"));
    };
    let named = host.to_str().ok().and_then(|host| Target::parse_authority(target.scheme(), host).ok());
    if named.as_ref() == Some(target) { Ok(()) } else { Err(Refusal::misdirected()) }
}

/// The same for a `CONNECT`, with which older clients say no `Host`, or one without the port.
fn host_of_connect_is(headers: &HeaderMap, target: &Target) -> Result<(), Refusal> {
    if !headers.contains_key(header::HOST) {
        return Ok(());
    }
    let without_port = Target::new(target.scheme(), target.host().clone(), target.scheme().default_port());
    host_is(headers, target).or_else(|_| host_is(headers, &without_port))
}

/// The lease's token in `Proxy-Authorization`, as a bearer or as the password of a Basic pair.
fn proxy_token(headers: &HeaderMap) -> Option<String> {
    let presented = headers.get(header::PROXY_AUTHORIZATION)?.to_str().ok()?;
    let (scheme, text) = presented.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(text.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    pair.split_once(':').map(|(_, token)| token.to_owned())
}
