//! The accept loop: TLS, limits, API or proxy, and an orderly end.
//!
//! Written here rather than taken from the web framework because that one sets no timer, and without one hyper's limit on
//! how long a request's head may take does nothing.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::Router;
use bytes::BytesMut;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tacit_broker::proxy::{Door, Entry, Prefixed, Proxy};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::start::{ServeOptions, StartError};

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// How long a request's head may take.
const HEADER_SECS_MAX: u64 = 15;
/// How long a TLS handshake may take.
const HANDSHAKE_SECS_MAX: u64 = 10;
/// How long what is in flight may take after the signal to stop.
const DRAIN_SECS_MAX: u64 = 30;
/// Bytes that are read at once to see what a connection is.
const START_BYTES: usize = 4096;

/// A bound listener.
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// Binds, after refusing what would put tokens on the wire in plain text.
pub(crate) async fn bind(options: &ServeOptions) -> Result<Listener, StartError> {
    if !options.listen.ip().is_loopback() && options.tls.is_none() && !options.plain_http {
        return Err(StartError::new(
            format!(
                "{} is not a loopback address, and tokens would cross the network in plain text",
                options.listen
            ),
            "give --tls-cert FILE and --tls-key FILE, listen on 127.0.0.1, or say --plain-http if something in front of tacit does TLS",
        ));
    }
    let tls = options.tls.as_ref().map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    let tcp = TcpListener::bind(options.listen).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::new(
            format!("{} is in use by another process", options.listen),
            "choose another port with --listen, or stop the other process",
        ),
        _ => StartError::new(
            format!("cannot listen on {}: {error}", options.listen),
            "choose another address with --listen",
        ),
    })?;
    let address = tcp
        .local_addr()
        .map_err(|error| StartError::new(error.to_string(), "choose another address with --listen"))?;
    Ok(Listener { tcp, address, tls })
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, StartError> {
    let bad = |what: String| {
        StartError::new(what, "both files must be PEM, and the key must belong to the first certificate")
    };
    let chain =
        CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad(format!("{} is not a certificate chain: {error}", certificate.display())))?;
    let key_der = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| bad(format!("{} is not a private key: {error}", key.display())))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| bad(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|error| bad(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Listener {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Accepts until `stop`, then lets what is in flight finish.
    pub(crate) async fn serve(self, router: Router, proxy: Proxy, stop: impl Future<Output = ()>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // Everything that serves a connection holds a receiver: when the last one is gone, all is finished.
        let (stopping, _) = watch::channel(false);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEADER_SECS_MAX));
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .max_concurrent_streams(256);
        let builder = Arc::new(builder);
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.tcp, &slots) => accepted,
                () = &mut stop => break,
            };
            let Some((stream, peer)) = accepted else { continue };
            let guest = Guest {
                builder: Arc::clone(&builder),
                router: router.clone(),
                proxy: proxy.clone(),
                peer,
                stopping: stopping.subscribe(),
            };
            let tls = self.tls.clone();
            tokio::spawn(async move {
                let Some(tls) = tls else { return guest.serve(stream).await };
                let handshake = tls.accept(stream);
                let limit = Duration::from_secs(HANDSHAKE_SECS_MAX);
                if let Ok(Ok(stream)) = tokio::time::timeout(limit, handshake).await {
                    guest.serve(stream).await;
                }
            });
        }
        drop(self.tcp);
        stopping.send_replace(true);
        let finished = async { tokio::join!(stopping.closed(), proxy.stop()) };
        if tokio::time::timeout(Duration::from_secs(DRAIN_SECS_MAX), finished).await.is_err() {
            tracing::warn!("some requests were still going after {DRAIN_SECS_MAX} seconds");
        }
    }
}

/// The other end of a connection: which address it has, and its place among the connections that there may be. Whoever
/// takes the connection over (the relay) takes the place along.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    _slot: Arc<OwnedSemaphorePermit>,
}

/// One accepted connection and what serves it.
struct Guest {
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    proxy: Proxy,
    peer: Peer,
    stopping: watch::Receiver<bool>,
}

impl Guest {
    /// API or proxy: the first bytes say which.
    async fn serve<I>(mut self, mut io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut start = BytesMut::new();
        let door = tokio::select! {
            door = tokio::time::timeout(Duration::from_secs(HEADER_SECS_MAX), door_of(&mut io, &mut start)) => door,
            _ = self.stopping.wait_for(|stopping| *stopping) => return,
        };
        let Ok(Some(door)) = door else { return };
        let io = Prefixed::new(start.freeze(), io);
        match door {
            Door::Proxy => {
                let source = self.peer.address.ip().to_canonical();
                self.proxy.serve(io, Entry::Open { source }).await;
            }
            Door::Api => self.serve_api(io).await,
        }
    }

    async fn serve_api<I>(self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { builder, router, peer, mut stopping, .. } = self;
        let service = router.map_request(move |mut request: axum::http::Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            request
        });
        // With upgrades: the relay of `tacit run` is one.
        let connection =
            builder.serve_connection_with_upgrades(TokioIo::new(io), TowerToHyperService::new(service));
        let mut connection = std::pin::pin!(connection);
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
            tracing::debug!(%error, "a connection ended");
        }
    }
}

/// Reads as much of a connection's start as tells which door it wants; `None` if it ends before.
async fn door_of<I: AsyncRead + Unpin>(io: &mut I, start: &mut BytesMut) -> Option<Door> {
    // Usually the whole first request: it is given back as it is.
    start.reserve(START_BYTES);
    loop {
        if let Some(door) = Door::of(start) {
            return Some(door);
        }
        // What decides is short, so this ends; the buffer is never grown.
        if start.len() >= START_BYTES || io.read_buf(start).await.ok()? == 0 {
            return None;
        }
    }
}

type Accepted = (tokio::net::TcpStream, Peer);

async fn accept(tcp: &TcpListener, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match tcp.accept().await {
        Ok((stream, address)) => {
            // Answers are small and somebody waits for each.
            let _ = stream.set_nodelay(true);
            Some((stream, Peer { address, _slot: Arc::new(slot) }))
        }
        Err(error) => {
            // Out of file descriptors, usually: trying again at once would only burn the processor.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
