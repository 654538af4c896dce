//! A18: the upstream must be who it should be, before the first byte of a request.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tacit_broker::wire::{
    Naming, Phase, ResponseRule, TlsFault, Wire, WireConfig, WireError, WireSetupError,
};
use tacit_model::Target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    wire::{Act, KEY, LIMITS, LONG, S, SHORT, Upstream, loopback_policy, request, response, scan},
    wire_dns::{ips, name_server},
};

pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

pub(crate) fn leaf(
    names: &[&str],
    issuer: Option<&CertifiedIssuer<'static, KeyPair>>,
    years: (i32, i32),
) -> Leaf {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Leaf { chain: vec![certificate.der().clone()], key }
}

struct TlsUpstream {
    address: SocketAddr,
    /// Bytes of plain text that arrived.
    received: Arc<AtomicUsize>,
}

async fn serve(leaf: Leaf, change: impl FnOnce(&mut ServerConfig)) -> TlsUpstream {
    serve_versions(leaf, rustls::ALL_VERSIONS, change).await
}

async fn serve_versions(
    leaf: Leaf,
    versions: &[&'static rustls::SupportedProtocolVersion],
    change: impl FnOnce(&mut ServerConfig),
) -> TlsUpstream {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(leaf.key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(leaf.chain, key)
        .unwrap();
    change(&mut config);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(AtomicUsize::new(0));
    let counter = received.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, counter) = (acceptor.clone(), counter.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut bytes = Vec::new();
                while let Ok(read @ 1..) = stream.read_buf(&mut bytes).await {
                    counter.fetch_add(read, Ordering::SeqCst);
                    if bytes.ends_with(b"\r\n\r\n") {
                        bytes.clear();
                        let body = format!("over tls {S}");
                        stream.write_all(&response("X-Ok: 1\r\n", body.as_bytes())).await.unwrap();
                    }
                }
            });
        }
    });
    TlsUpstream { address, received }
}

/// A wire that trusts `root` and resolves every name to loopback.
pub(crate) async fn wire_trusting(root: Option<&CertifiedIssuer<'static, KeyPair>>) -> Wire {
    let server = name_server(|_, _, _| ips(&["127.0.0.1"])).await;
    let extra_roots_pem = root.map(|root| root.pem().into_bytes());
    let config = WireConfig { policy: loopback_policy(), extra_roots_pem, nameservers: Some(vec![server]) };
    Wire::new(config).unwrap()
}

async fn connect(wire: &Wire, host: &str, upstream: &TlsUpstream) -> Result<(), WireError> {
    let url = format!("https://{host}:{}/", upstream.address.port());
    let (target, _) = Target::parse_url(&url).unwrap();
    wire.connect(KEY, &target, Naming::Named, LONG).await.map(drop)
}

pub(crate) const VALID: (i32, i32) = (2020, 2090);

#[tokio::test]
async fn a_good_certificate_with_an_extra_root() {
    let root = authority();
    for alpn in [&[][..], &[b"http/1.1".to_vec()], &[b"http/1.1".to_vec(), b"h2".to_vec()]] {
        for versions in [rustls::ALL_VERSIONS, &[&rustls::version::TLS12]] {
            let good = leaf(&["good.test", "127.0.0.1"], Some(&root), VALID);
            let der = good.chain[0].to_vec();
            let upstream =
                serve_versions(good, versions, |config| config.alpn_protocols = alpn.to_vec()).await;
            let wire = wire_trusting(Some(&root)).await;
            for host in ["good.test", "127.0.0.1"] {
                for is_reused in [false, true] {
                    let url = format!("https://{host}:{}/", upstream.address.port());
                    let (target, _) = Target::parse_url(&url).unwrap();
                    let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
                    assert_eq!(connection.is_reused(), is_reused);
                    assert_eq!(connection.certificate_der(), Some(&*der));
                    let received = connection.send(request(), LONG).await.unwrap();
                    let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
                    assert_eq!(scrubbed.body, b"over tls [sealed:S]");
                }
            }
        }
    }
}

#[tokio::test]
async fn a18_certificates_that_are_refused() {
    let (root, other) = (authority(), authority());
    for (name, bad, fault) in [
        ("self-signed", leaf(&["good.test"], None, VALID), TlsFault::Untrusted),
        ("unknown authority", leaf(&["good.test"], Some(&other), VALID), TlsFault::Untrusted),
        ("another name", leaf(&["evil.test"], Some(&root), VALID), TlsFault::WrongName),
        ("a name's beginning", leaf(&["good.test.evil.test"], Some(&root), VALID), TlsFault::WrongName),
        ("wildcard below", leaf(&["*.good.test"], Some(&root), VALID), TlsFault::WrongName),
        ("address for name", leaf(&["127.0.0.1"], Some(&root), VALID), TlsFault::WrongName),
        ("expired", leaf(&["good.test"], Some(&root), (2020, 2021)), TlsFault::Expired),
        ("not yet valid", leaf(&["good.test"], Some(&root), (2080, 2090)), TlsFault::Expired),
    ] {
        let upstream = serve(bad, |_| {}).await;
        let wire = wire_trusting(Some(&root)).await;
        let connected = connect(&wire, "good.test", &upstream).await;
        assert_eq!(connected, Err(WireError::TlsFailed(fault)), "{name}");
        assert_eq!(upstream.received.load(Ordering::SeqCst), 0, "{name}");
    }
    // A name in the certificate does not stand for an address.
    let upstream = serve(leaf(&["good.test"], Some(&root), VALID), |_| {}).await;
    let connected = connect(&wire_trusting(Some(&root)).await, "127.0.0.1", &upstream).await;
    assert_eq!(connected, Err(WireError::TlsFailed(TlsFault::WrongName)));
    // And without the root nobody vouches for it.
    let connected = connect(&wire_trusting(None).await, "good.test", &upstream).await;
    assert_eq!(connected, Err(WireError::TlsFailed(TlsFault::Untrusted)));
}

/// A4: no name is sent for an address, and the one that is sent is the target's.
#[tokio::test]
async fn a4_the_name_in_the_handshake() {
    #[derive(Debug)]
    struct Seen(std::sync::Mutex<Vec<Option<String>>>, Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Seen {
        fn resolve(&self, hello: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            self.0.lock().unwrap().push(hello.server_name().map(str::to_owned));
            Some(self.1.clone())
        }
    }
    let root = authority();
    let names = leaf(&["good.test", "127.0.0.1"], Some(&root), VALID);
    let key = PrivateKeyDer::Pkcs8(names.key.serialize_der().into());
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certified = Arc::new(rustls::sign::CertifiedKey::new(names.chain.clone(), key));
    let seen = Arc::new(Seen(Default::default(), certified));
    let resolver = seen.clone();
    let upstream = serve(names, move |config| config.cert_resolver = resolver).await;
    let wire = wire_trusting(Some(&root)).await;
    connect(&wire, "good.test", &upstream).await.unwrap();
    connect(&wire, "127.0.0.1", &upstream).await.unwrap();
    assert_eq!(*seen.0.lock().unwrap(), [Some("good.test".to_owned()), None]);
}

#[tokio::test]
async fn a18_nothing_but_http_is_spoken() {
    let root = authority();
    let good = leaf(&["good.test"], Some(&root), VALID);
    let upstream = serve(good, |config| config.alpn_protocols = vec![b"h3".to_vec(), b"ftp".to_vec()]).await;
    let connected = connect(&wire_trusting(Some(&root)).await, "good.test", &upstream).await;
    assert_eq!(connected, Err(WireError::TlsFailed(TlsFault::Handshake)));
}

/// A21: what is not TLS is not spoken to.
#[tokio::test]
async fn a21_not_tls() {
    let wire = wire_trusting(None).await;
    let talkative = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = talkative.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = talkative.accept().await.unwrap();
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        }
    });
    let (target, _) = Target::parse_url(&format!("https://{address}/")).unwrap();
    let connected = wire.connect(KEY, &target, Naming::Named, LONG).await.map(drop);
    assert_eq!(connected, Err(WireError::TlsFailed(TlsFault::Handshake)));
    // One that says nothing runs into the limit.
    let silent = Upstream::start(|_| vec![Act::Wait(LONG)]).await;
    let (target, _) = Target::parse_url(&format!("https://{}/", silent.address)).unwrap();
    let connected = wire.connect(KEY, &target, Naming::Named, SHORT).await.map(drop);
    assert_eq!(connected, Err(WireError::Timeout(Phase::Connect)));
    assert_eq!(silent.requests(), 0);
}

#[tokio::test]
async fn a18_extra_roots_that_are_none() {
    let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let key = KeyPair::generate().unwrap().serialize_pem();
    for pem in ["", "hello", broken, &key] {
        let config = WireConfig { extra_roots_pem: Some(pem.into()), ..WireConfig::default() };
        assert!(matches!(Wire::new(config), Err(WireSetupError::ExtraRoots)), "{pem}");
    }
}
