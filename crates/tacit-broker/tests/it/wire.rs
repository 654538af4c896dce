//! An upstream that does whatever a test says, byte by byte, and the wire pointed at it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use tacit_broker::wire::{
    EgressPolicy, Naming, OutboundRequest, PoolKey, ReadLimits, Received, ResponseRule, Scrubbed, Wire,
    WireConfig, WireError,
};
use tacit_model::Target;
use tacit_redact::ScanSet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The value that must not come out.
pub(crate) const S: &str = "sk_live_7hG2kQ9zXv4LpW8sRt1YbN6mD3fJ5cEo";
/// What stands in its place.
pub(crate) const MARKER: &str = "[sealed:S]";
pub(crate) const KEY: PoolKey = PoolKey([7; 32]);
/// Generous: no test passes because of it.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// For tests that want to run into it.
pub(crate) const SHORT: Duration = Duration::from_millis(150);
pub(crate) const LIMITS: ReadLimits = ReadLimits { body_bytes_max: 4 << 20, timeout: LONG };

/// One thing that an upstream does.
pub(crate) enum Act {
    Write(Vec<u8>),
    /// One byte per packet.
    Drip(Vec<u8>),
    /// Keep writing this until the other side goes away.
    Forever(Vec<u8>),
    Wait(Duration),
    /// Close with FIN.
    Close,
    /// Close with RST.
    Reset,
}

pub(crate) fn write(bytes: impl AsRef<[u8]>) -> Act {
    Act::Write(bytes.as_ref().to_vec())
}

/// A request as the upstream saw it.
pub(crate) struct Seen {
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    /// Which request on any connection it was, from 0.
    pub(crate) nth: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Heads and bodies as they came.
type Log = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    pub(crate) log: Log,
}

impl Upstream {
    pub(crate) async fn start(script: impl Fn(Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (script, counter, requests) =
            (Arc::new(script), connections.clone(), Arc::new(AtomicUsize::new(0)));
        let written = log.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let connection = counter.fetch_add(1, Ordering::SeqCst);
                let (script, requests, log) = (script.clone(), requests.clone(), written.clone());
                tokio::spawn(async move {
                    let _ = converse(stream, connection, &*script, &requests, &log).await;
                });
            }
        });
        Self { address, connections, log }
    }

    /// Answers every request with these bytes and closes.
    pub(crate) async fn answering(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        Self::start(move |_| vec![Act::Write(bytes.clone()), Act::Close]).await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    pub(crate) fn target(&self) -> Target {
        Target::parse_url(&format!("http://{}/", self.address)).unwrap().0
    }
}

async fn converse(
    mut stream: TcpStream,
    connection: usize,
    script: &(dyn Fn(Seen) -> Vec<Act> + Send + Sync),
    requests: &AtomicUsize,
    log: &Mutex<Vec<(String, Vec<u8>)>>,
) -> std::io::Result<()> {
    loop {
        let Some((head, body)) = read_request(&mut stream).await? else { return Ok(()) };
        log.lock().unwrap().push((head.clone(), body.clone()));
        let nth = requests.fetch_add(1, Ordering::SeqCst);
        for act in script(Seen { connection, nth, head, body }) {
            match act {
                Act::Write(bytes) => stream.write_all(&bytes).await?,
                Act::Drip(bytes) => {
                    for byte in bytes {
                        stream.write_all(&[byte]).await?;
                        tokio::task::yield_now().await;
                    }
                }
                Act::Forever(bytes) => loop {
                    stream.write_all(&bytes).await?;
                },
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Close => return stream.shutdown().await,
                Act::Reset => return stream.set_zero_linger(),
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse::<usize>().unwrap());
    let mut body = bytes.split_off(head_end);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((head, body)))
}

/// A wire that may dial loopback literals.
pub(crate) fn wire() -> Wire {
    wire_with(WireConfig::default())
}

pub(crate) fn wire_with(mut config: WireConfig) -> Wire {
    config.policy.loopback_literals = true;
    Wire::new(config).unwrap()
}

/// Policy that allows all of loopback, also by name.
pub(crate) fn loopback_policy() -> EgressPolicy {
    EgressPolicy {
        allow_private: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        ..EgressPolicy::default()
    }
}

pub(crate) fn scan() -> ScanSet {
    let mut builder = ScanSet::builder();
    builder.add(MARKER, S.as_bytes());
    builder.build()
}

pub(crate) fn request() -> OutboundRequest {
    OutboundRequest::new(Method::GET, "/x")
}

/// One `GET` with a fresh wire.
pub(crate) async fn get(upstream: &Upstream) -> Result<Scrubbed, WireError> {
    received(upstream).await?.read(&scan(), ResponseRule::Scrub, LIMITS).await
}

pub(crate) async fn received(upstream: &Upstream) -> Result<Received, WireError> {
    send(&wire(), upstream, request()).await
}

pub(crate) async fn send(
    wire: &Wire,
    upstream: &Upstream,
    request: OutboundRequest,
) -> Result<Received, WireError> {
    wire.connect(KEY, &upstream.target(), Naming::Named, LONG).await?.send(request, LONG).await
}

/// A response with these headers and this body.
pub(crate) fn response(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Asserts that no part of the value beyond its public prefix is in there, in the plain or reversed.
#[track_caller]
pub(crate) fn assert_no_leak(what: &str) {
    let lower = what.to_lowercase();
    let body = S.trim_start_matches("sk_live_").to_lowercase();
    let reversed: String = body.chars().rev().collect();
    for text in [body, reversed] {
        for start in 0..=text.len() - 16 {
            assert!(!lower.contains(&text[start..start + 16]), "leaked at {start}");
        }
    }
}

#[track_caller]
pub(crate) fn assert_clean(scrubbed: &Scrubbed) {
    assert_no_leak(&format!("{:?} {}", scrubbed.headers, String::from_utf8_lossy(&scrubbed.body)));
}

/// The whole way once: what is written, what comes back, and that the connection is kept.
#[tokio::test]
async fn life_of_a_request() {
    let upstream =
        Upstream::start(|seen| vec![write(response("X-Ok: 1\r\nContent-Type: text/plain\r\n", &seen.body))])
            .await;
    let wire = wire();
    let mut request = OutboundRequest::new(Method::POST, "/v1/charges?a=b%20c");
    let mut value = http::HeaderValue::from_str(&format!("Bearer {S}")).unwrap();
    value.set_sensitive(true);
    request.headers.insert("authorization", value);
    request.body = Bytes::from_static(b"amount=1").into();
    let connection = wire.connect(KEY, &upstream.target(), Naming::Named, LONG).await.unwrap();
    assert_eq!(connection.address(), upstream.address);
    assert!(!connection.is_reused());
    let received = connection.send(request, LONG).await.unwrap();
    assert_eq!(received.status(), 200);
    let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
    assert_eq!(scrubbed.status, 200);
    assert_eq!(scrubbed.body, b"amount=1");
    assert_eq!(scrubbed.body_bytes_received, 8);
    assert_eq!(scrubbed.findings.total(), 0);
    let headers: Vec<_> = scrubbed.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("x-ok", "1"), ("content-type", "text/plain")]);
    assert_eq!(wire.idle_connections(), 1);

    let (head, body) = upstream.log.lock().unwrap()[0].clone();
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /v1/charges?a=b%20c HTTP/1.1");
    lines.sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        lines,
        [
            "accept-encoding: identity".to_owned(),
            format!("authorization: Bearer {S}"),
            "content-length: 8".to_owned(),
            format!("host: {}", upstream.address),
            format!("user-agent: tacit/{version}"),
        ]
    );
    assert_eq!(body, b"amount=1");
}

#[tokio::test]
async fn f5_an_empty_body_is_framed() {
    let upstream = Upstream::start(|_| vec![write(response("", b""))]).await;
    for (method, framed) in
        [(Method::POST, true), (Method::PUT, true), (Method::GET, false), (Method::DELETE, false)]
    {
        send(&wire(), &upstream, OutboundRequest::new(method, "/")).await.unwrap();
        let (head, _) = upstream.log.lock().unwrap().pop().unwrap();
        assert_eq!(head.contains("content-length: 0\r\n"), framed, "{head}");
        assert!(!head.contains("transfer-encoding"));
    }
}

#[tokio::test]
async fn a_get_may_have_a_body() {
    let upstream = Upstream::start(|seen| vec![write(response("", &seen.body))]).await;
    let mut request = request();
    request.body = Bytes::from_static(b"{}").into();
    let received = send(&wire(), &upstream, request).await.unwrap();
    assert_eq!(received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap().body, b"{}");
}

/// A request that is refused here leaves no byte on the wire.
#[tokio::test]
async fn a_refused_request_sends_nothing() {
    let upstream = Upstream::answering(response("", b"")).await;
    let refused = send(&wire(), &upstream, OutboundRequest::new(Method::GET, "/a#b")).await;
    assert!(matches!(refused, Err(WireError::RequestRefused(_))));
    assert_eq!(upstream.requests(), 0);
}

/// The inner half of `a19`: runs in a process whose proxy variables point at a trap.
#[tokio::test]
#[ignore = "started by a19_proxy_variables_are_ignored"]
async fn a19_inner() {
    let upstream = Upstream::answering(response("", b"direct")).await;
    assert_eq!(get(&upstream).await.unwrap().body, b"direct");
}

#[tokio::test]
async fn a19_proxy_variables_are_ignored() {
    let trap = Upstream::answering(response("", b"trapped")).await;
    let url = format!("http://{}", trap.address);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "wire::a19_inner", "--ignored"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, &url);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert_eq!(trap.connections(), 0);
}

/// Not a test: prints what a request over a warm connection costs, against a bare write and read of the same bytes.
/// `cargo test --release -p tacit-broker warm_request -- --ignored --nocapture`
#[tokio::test]
#[ignore = "a measurement"]
async fn warm_request_costs() {
    const ROUNDS: u32 = 20_000;
    let upstream = Upstream::start(|_| vec![write(response("Content-Type: text/plain\r\n", b"ok"))]).await;
    let wire = wire();
    let target = upstream.target();
    for (name, scan) in [("empty scan set", ScanSet::empty()), ("one value", scan())] {
        let start = std::time::Instant::now();
        for _ in 0..ROUNDS {
            let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
            let received = connection.send(request(), LONG).await.unwrap();
            received.read(&scan, ResponseRule::Scrub, LIMITS).await.unwrap();
        }
        println!("{name}: {:?} per request", start.elapsed() / ROUNDS);
    }
    let mut stream = TcpStream::connect(upstream.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    let start = std::time::Instant::now();
    for _ in 0..ROUNDS {
        stream.write_all(b"GET /x HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut buffer).await.unwrap();
    }
    println!("bare socket: {:?} per request", start.elapsed() / ROUNDS);
    assert_eq!(upstream.connections(), 2);
}
