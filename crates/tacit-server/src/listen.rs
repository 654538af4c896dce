//! The accept loop: TLS, limits and an orderly end.
//!
//! Written here rather than taken from the web framework because that one sets no timer, and without one hyper's limit on
//! how long a request's head may take does nothing.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::start::{ServeOptions, StartError};

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// How long a request's head may take.
const HEADER_SECS_MAX: u64 = 15;
/// How long a TLS handshake may take.
const HANDSHAKE_SECS_MAX: u64 = 10;
/// How long what is in flight may take after the signal to stop.
const DRAIN_SECS_MAX: u64 = 30;

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
    pub(crate) async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
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
            let Some((stream, slot)) = accepted else { continue };
            let service = TowerToHyperService::new(router.clone());
            let watcher = graceful.watcher();
            let (builder, tls) = (Arc::clone(&builder), self.tls.clone());
            tokio::spawn(async move {
                let ended = match tls {
                    None => {
                        watcher
                            .watch(builder.serve_connection(TokioIo::new(stream), service).into_owned())
                            .await
                    }
                    Some(tls) => match tokio::time::timeout(
                        Duration::from_secs(HANDSHAKE_SECS_MAX),
                        tls.accept(stream),
                    )
                    .await
                    {
                        Ok(Ok(stream)) => {
                            watcher
                                .watch(builder.serve_connection(TokioIo::new(stream), service).into_owned())
                                .await
                        }
                        _ => return,
                    },
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(slot);
            });
        }
        drop(self.tcp);
        if tokio::time::timeout(Duration::from_secs(DRAIN_SECS_MAX), graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests were still going after {DRAIN_SECS_MAX} seconds");
        }
    }
}

type Accepted = (tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit);

async fn accept(tcp: &TcpListener, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match tcp.accept().await {
        Ok((stream, _)) => {
            // Answers are small and somebody waits for each.
            let _ = stream.set_nodelay(true);
            Some((stream, slot))
        }
        Err(error) => {
            // Out of file descriptors, usually: trying again at once would only burn the processor.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
