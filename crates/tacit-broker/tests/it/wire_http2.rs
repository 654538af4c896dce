//! HTTP/2 upstreams: who shares a connection, and that nothing else differs from HTTP/1.1.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedIssuer, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tacit_broker::wire::{
    Blocked, Naming, OutboundRequest, PoolKey, Received, ResponseRule, StreamLimits, Wire, WireError,
};
use tacit_model::Target;
use tokio::{net::TcpListener, sync::Barrier};
use tokio_rustls::TlsAcceptor;

use crate::{
    wire::{Act, KEY, LIMITS, LONG, MARKER, S, SHORT, Upstream, scan},
    wire_stream::{IDLE, rest},
    wire_tls::{VALID, authority, leaf, wire_trusting},
    wire_upload::{Feed, data, fed},
};

type Answer = UnsyncBoxBody<Bytes, &'static str>;
type Root = CertifiedIssuer<'static, KeyPair>;

fn whole(bytes: impl Into<Bytes>) -> Answer {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of an answer that the test feeds.
fn fed_answer() -> (Feed, Answer) {
    let (feed, mut pieces) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, &'static str>>(1);
    struct Fed<F>(F);
    impl<F> http_body::Body for Fed<F>
    where
        F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Result<Frame<Bytes>, &'static str>>>
            + Unpin,
    {
        type Data = Bytes;
        type Error = &'static str;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            (self.0)(cx)
        }
    }
    (feed, Fed(move |cx: &mut std::task::Context<'_>| pieces.poll_recv(cx)).boxed_unsync())
}

/// The TLS side of an upstream that speaks HTTP/2 only.
pub(crate) fn acceptor(root: &Root) -> TlsAcceptor {
    let leaf = leaf(&["good.test", "other.test", "127.0.0.1"], Some(root), VALID);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(leaf.key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(leaf.chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

struct H2 {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// How many of them are open.
    open: Arc<AtomicUsize>,
}

impl H2 {
    async fn start<F, R>(root: &Root, streams_max: u32, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
        R: Future<Output = Response<Answer>> + Send + 'static,
    {
        let acceptor = acceptor(root);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counter, gauge) = (connections.clone(), open.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answer, gauge) = (acceptor.clone(), answer.clone(), gauge.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    gauge.fetch_add(1, Ordering::SeqCst);
                    let service = service_fn(move |request| {
                        let answering = answer(request);
                        async move { Ok::<_, Infallible>(answering.await) }
                    });
                    let mut builder = http2::Builder::new(TokioExecutor::new());
                    builder.max_concurrent_streams(streams_max);
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                    gauge.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, connections, open }
    }

    fn target(&self, host: &str) -> Target {
        Target::parse_url(&format!("https://{host}:{}/", self.address.port())).unwrap().0
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many of its connections are open.
    async fn wait_for_open(&self, open: usize) {
        let waiting = async {
            while self.open.load(Ordering::SeqCst) != open {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, waiting).await.unwrap();
    }
}

async fn send_to(
    wire: &Wire,
    key: PoolKey,
    target: &Target,
    request: OutboundRequest,
) -> Result<Received, WireError> {
    wire.connect(key, target, Naming::Named, LONG).await?.send(request, LONG).await
}

async fn body_of(received: Received) -> String {
    let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
    String::from_utf8(scrubbed.body).unwrap()
}

fn get(path: &str) -> OutboundRequest {
    OutboundRequest::new(Method::GET, path)
}

/// The whole way once, over HTTP/2.
#[tokio::test]
async fn life_of_a_request_over_http2() {
    let root = authority();
    let upstream = H2::start(&root, 100, |request| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.uri().authority().unwrap().host(), "good.test");
        assert_eq!(request.uri().scheme_str(), Some("https"));
        let mut names: Vec<_> = request.headers().keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "authorization", "content-length", "user-agent"]);
        let head = format!("{} {} ", request.method(), request.uri().path_and_query().unwrap());
        let value = request.headers()["authorization"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let answer = [head.as_bytes(), &body].concat();
        Response::builder().header("x-echo", value).header("set-cookie", "a=b").body(whole(answer)).unwrap()
    })
    .await;
    let wire = wire_trusting(Some(&root)).await;
    let target = upstream.target("good.test");
    for is_reused in [false, true] {
        let mut request = OutboundRequest::new(Method::POST, "/v1/charges?a=b%20c");
        let mut value = HeaderValue::from_str(&format!("Bearer {S}")).unwrap();
        value.set_sensitive(true);
        request.headers.insert("authorization", value);
        request.headers.insert("te", HeaderValue::from_static("trailers"));
        request.headers.insert("connection", HeaderValue::from_static("x-hop"));
        request.headers.insert("x-hop", HeaderValue::from_static("1"));
        request.body = Bytes::from(format!("amount=1&{S}")).into();
        let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
        assert_eq!((connection.is_reused(), connection.address()), (is_reused, upstream.address));
        assert!(connection.certificate_der().is_some());
        let received = connection.send(request, LONG).await.unwrap();
        let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
        assert_eq!(scrubbed.status, 200);
        assert_eq!(scrubbed.headers[0], ("x-echo".to_owned(), format!("Bearer {MARKER}")));
        assert!(scrubbed.headers.iter().all(|(name, _)| ["x-echo", "date"].contains(&name.as_str())));
        let expected = format!("POST /v1/charges?a=b%20c amount=1&{MARKER}");
        assert_eq!(String::from_utf8(scrubbed.body).unwrap(), expected);
        assert_eq!((upstream.connections(), wire.idle_connections()), (1, 1));
    }
    // A connection that a destination allowed is not there for a request without one.
    let connected = wire.connect(KEY, &target, Naming::NotNamed, LONG).await;
    assert_eq!(connected.unwrap_err(), WireError::AddressBlocked(Blocked::Loopback));
}

/// F2: requests of one key to one target share a connection, at the same time. Nobody else joins them, neither under
/// another key nor for another name that the certificate is good for.
#[tokio::test]
async fn f2_who_shares_a_connection() {
    let root = authority();
    let together = Arc::new(Barrier::new(5));
    let upstream = H2::start(&root, 100, move |request| {
        let together = together.clone();
        async move {
            if request.uri().path() == "/together" {
                together.wait().await;
            }
            Response::new(whole("ok"))
        }
    })
    .await;
    let wire = wire_trusting(Some(&root)).await;
    let target = upstream.target("good.test");
    assert_eq!(body_of(send_to(&wire, KEY, &target, get("/")).await.unwrap()).await, "ok");
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let (wire, target) = (wire.clone(), target.clone());
            tokio::spawn(async move {
                body_of(send_to(&wire, KEY, &target, get("/together")).await.unwrap()).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "ok");
    }
    assert_eq!(upstream.connections(), 1);
    let other = PoolKey([8; 32]);
    for (key, host, connections) in
        [(other, "good.test", 2), (KEY, "other.test", 3), (KEY, "127.0.0.1", 4), (other, "good.test", 4)]
    {
        body_of(send_to(&wire, key, &upstream.target(host), get("/")).await.unwrap()).await;
        assert_eq!(upstream.connections(), connections, "{host}");
    }
}

/// An upstream that takes one request at a time gets a connection for each, instead of a queue behind one that may never
/// end.
#[tokio::test]
async fn a_full_connection_is_not_queued_at() {
    let root = authority();
    let upstream = H2::start(&root, 1, |request| async move {
        if request.uri().path() == "/" {
            return Response::new(whole("ok"));
        }
        let (feed, answer) = fed_answer();
        tokio::spawn(async move {
            let _ = feed.send(data("begun")).await;
            feed.closed().await;
        });
        Response::new(answer)
    })
    .await;
    let wire = wire_trusting(Some(&root)).await;
    let target = upstream.target("good.test");
    body_of(send_to(&wire, KEY, &target, get("/")).await.unwrap()).await;
    // The limit is noted soon after the first answer.
    tokio::time::sleep(SHORT).await;
    let endless = send_to(&wire, KEY, &target, get("/endless")).await.unwrap();
    assert_eq!(body_of(send_to(&wire, KEY, &target, get("/")).await.unwrap()).await, "ok");
    assert_eq!(upstream.connections(), 2);
    drop(endless);
}

/// What is parked and shared can be closed, and a connection ends with the last request that uses it.
#[tokio::test]
async fn g9_shared_connections_can_be_closed() {
    let root = authority();
    let (feeds, mut fed) = tokio::sync::mpsc::unbounded_channel();
    let upstream = H2::start(&root, 100, move |_| {
        let (feed, answer) = fed_answer();
        feeds.send(feed).unwrap();
        async { Response::new(answer) }
    })
    .await;
    let wire = wire_trusting(Some(&root)).await;
    let target = upstream.target("good.test");
    let received = send_to(&wire, KEY, &target, get("/")).await.unwrap();
    let mut stream = received.stream(&scan(), ResponseRule::Scrub, IDLE).await.unwrap();
    wire.close_idle();
    // It goes on, but nobody joins it.
    let second = send_to(&wire, KEY, &target, get("/")).await.unwrap();
    assert_eq!(upstream.connections(), 2);
    let feed = fed.recv().await.unwrap();
    feed.send(data("done")).await.unwrap();
    drop(feed);
    assert_eq!(rest(&mut stream).await, ("done".to_owned(), Ok(())));
    drop(stream);
    upstream.wait_for_open(1).await;
    // A request that is given up is reset; the other end notices.
    let feed = fed.recv().await.unwrap();
    drop(second);
    tokio::time::timeout(LONG, feed.closed()).await.unwrap();
    drop(wire);
    upstream.wait_for_open(0).await;
}

/// A request that got no answer may have met a dead connection: the next one does not wait there too.
#[tokio::test]
async fn a_connection_in_doubt_is_not_used_again() {
    let root = authority();
    let upstream = H2::start(&root, 100, |request| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        Response::new(whole("ok"))
    })
    .await;
    let wire = wire_trusting(Some(&root)).await;
    let target = upstream.target("good.test");
    for connections in 1..3 {
        assert_eq!(body_of(send_to(&wire, KEY, &target, get("/")).await.unwrap()).await, "ok");
        assert_eq!(upstream.connections(), connections);
        let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
        assert!(connection.is_reused());
        assert!(connection.send(get("/never"), SHORT).await.is_err());
        assert_eq!(wire.idle_connections(), 0);
    }
}

/// E7: a stream that breaks off in the middle of a value drops what was held back, and takes no other stream with it.
#[tokio::test]
async fn e7_a_stream_that_is_reset() {
    let root = authority();
    let upstream = H2::start(&root, 100, |request| async move {
        let (feed, answer) = fed_answer();
        tokio::spawn(async move {
            let _ = feed.send(data("a".repeat(2000))).await;
            let _ = feed.send(data(&S.as_bytes()[..25])).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if request.uri().path() == "/breaks" {
                let _ = feed.send(Err("broken")).await;
            }
        });
        Response::new(answer)
    })
    .await;
    let wire = wire_trusting(Some(&root)).await;
    let target = upstream.target("good.test");
    let (broken, sound) = tokio::join!(
        async {
            let received = send_to(&wire, KEY, &target, get("/breaks")).await.unwrap();
            rest(&mut received.stream(&scan(), ResponseRule::Scrub, IDLE).await.unwrap()).await
        },
        async {
            let received = send_to(&wire, KEY, &target, get("/")).await.unwrap();
            rest(&mut received.stream(&scan(), ResponseRule::Scrub, IDLE).await.unwrap()).await
        }
    );
    assert_eq!(broken.1, Err(WireError::UpstreamFailed));
    assert!(broken.0.bytes().all(|byte| byte == b'a') && broken.0.len() < 2000);
    // 25 characters of a value that ended there: its beginning is a public prefix, the rest is a finding.
    assert_eq!(sound, ("a".repeat(2000) + MARKER, Ok(())));
}

/// E1: cut at any byte, over either protocol, what comes out is the same.
#[tokio::test]
async fn e1_chunks_do_not_matter_over_either_protocol() {
    let root = authority();
    let text = format!("{} and {S}{} {S}.", &S[8..30], "-".repeat(3000));
    let bytes = Bytes::from(text);
    let sent = bytes.clone();
    let h2 = H2::start(&root, 100, move |request| {
        let size: usize = request.uri().path()[1..].parse().unwrap();
        let pieces: Vec<Bytes> = sent.chunks(size).map(Bytes::copy_from_slice).collect();
        async move {
            let (feed, answer) = fed_answer();
            tokio::spawn(async move {
                for piece in pieces {
                    if feed.send(data(piece)).await.is_err() {
                        return;
                    }
                }
            });
            Response::new(answer)
        }
    })
    .await;
    let sent = bytes.clone();
    let h1 = Upstream::start(move |seen| {
        let size: usize = seen.head[5..].split(' ').next().unwrap().parse().unwrap();
        let mut acts = vec![Act::Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec())];
        acts.extend(sent.chunks(size).map(|piece| {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            Act::Write(chunk)
        }));
        acts.push(Act::Write(b"0\r\n\r\n".to_vec()));
        acts
    })
    .await;
    let expected = String::from_utf8(tacit_redact::scrub(&scan(), &bytes).0).unwrap();
    let wire = wire_trusting(Some(&root)).await;
    for size in [1, 2, 3, 7, 16, 39, 40, 41, 1000, 5000] {
        for target in [h1.target(), h2.target("127.0.0.1")] {
            let received = send_to(&wire, KEY, &target, get(&format!("/{size}"))).await.unwrap();
            let mut stream = received.stream(&scan(), ResponseRule::Scrub, IDLE).await.unwrap();
            assert_eq!(rest(&mut stream).await, (expected.clone(), Ok(())), "{size} {target}");
        }
    }
    assert_eq!((h1.connections(), h2.connections()), (1, 1));
}

/// Bodies that are streamed, in both directions at the same time; and one that breaks off resets its stream alone.
#[tokio::test]
async fn e8_uploads_over_http2() {
    let root = authority();
    let upstream = H2::start(&root, 100, |request| async move {
        let (feed, answer) = fed_answer();
        let mut body = request.into_body();
        tokio::spawn(async move {
            loop {
                let echoed = match body.frame().await {
                    Some(Ok(frame)) if frame.is_trailers() => data("trailers?"),
                    Some(Ok(frame)) => Ok(frame),
                    Some(Err(_)) => Err("the request broke"),
                    None => return,
                };
                let is_over = echoed.is_err();
                if feed.send(echoed).await.is_err() || is_over {
                    return;
                }
            }
        });
        Response::new(answer)
    })
    .await;
    let wire = wire_trusting(Some(&root)).await;
    let target = upstream.target("good.test");
    for (length, breaks) in [(Some(50), false), (None, false), (Some(50), true), (None, true)] {
        let (feed, body) = fed(length);
        let request = OutboundRequest { body, ..OutboundRequest::new(Method::POST, "/") };
        let received = send_to(&wire, KEY, &target, request).await.unwrap();
        let limits = StreamLimits { idle: LONG };
        let mut stream =
            received.stream(&tacit_redact::ScanSet::empty(), ResponseRule::Scrub, limits).await.unwrap();
        for _ in 0..4 {
            feed.send(data("0123456789")).await.unwrap();
            assert_eq!(stream.chunk().await, Ok(Some(Bytes::from_static(b"0123456789"))));
        }
        if breaks {
            feed.send(Err("broken")).await.unwrap();
            assert_eq!(rest(&mut stream).await, (String::new(), Err(WireError::BodyBroken)));
        } else {
            feed.send(data("0123456789")).await.unwrap();
            drop(feed);
            assert_eq!(rest(&mut stream).await, ("0123456789".to_owned(), Ok(())));
        }
    }
    assert_eq!(upstream.connections(), 1);
}

/// gRPC needs a header that is otherwise not sent, and must not be told that it may compress.
#[tokio::test]
async fn grpc_over_http2() {
    let root = authority();
    let upstream = H2::start(&root, 100, |request| async move {
        assert_eq!(request.headers()["te"], "trailers");
        assert!(!request.headers().contains_key("grpc-accept-encoding"));
        let (feed, answer) = fed_answer();
        tokio::spawn(async move {
            let _ = feed.send(data(&b"\0\0\0\0\x02hi"[..])).await;
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            trailers.insert("x-other", HeaderValue::from_static("1"));
            let _ = feed.send(Ok(Frame::trailers(trailers))).await;
        });
        Response::builder().header("content-type", "application/grpc").body(answer).unwrap()
    })
    .await;
    let wire = wire_trusting(Some(&root)).await;
    let mut request = OutboundRequest::new(Method::POST, "/echo.Echo/Say");
    request.headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    request.headers.insert("grpc-accept-encoding", HeaderValue::from_static("gzip"));
    request.body = Bytes::from_static(b"\0\0\0\0\x02hi").into();
    let received = send_to(&wire, KEY, &upstream.target("good.test"), request).await.unwrap();
    let stream = received.stream(&scan(), ResponseRule::Scrub, IDLE).await.unwrap();
    let collected = stream.collect().await.unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!((trailers.len(), &trailers["grpc-status"]), (1, &HeaderValue::from_static("0")));
    assert_eq!(collected.to_bytes(), &b"\0\0\0\0\x02hi"[..]);
}
