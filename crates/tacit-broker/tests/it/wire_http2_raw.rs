//! HTTP/2 frame by frame: what is on the wire, and frames that no decent server sends.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Method};
use tacit_broker::wire::{Naming, OutboundRequest, ResponseRule, Wire, WireError};
use tacit_model::Target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::server::TlsStream;

use crate::{
    wire::{KEY, LIMITS, LONG, S, assert_no_leak, scan},
    wire_http2::acceptor,
    wire_stream::{IDLE, rest},
    wire_tls::{authority, wire_trusting},
    wire_upload::{data, fed},
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: [u8; 4] = [0; 4];
const INTERNAL_ERROR: [u8; 4] = [0, 0, 0, 2];
/// `:status 200`.
const OK: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal header that is not indexed, with an indexed name.
fn literal(prefix: &[u8], value: &str) -> Vec<u8> {
    [prefix, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}

/// `content-length`.
fn content_length(length: &str) -> Vec<u8> {
    literal(&[0x0f, 0x0d], length)
}

struct Raw {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The header blocks of the requests.
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    wire: Wire,
}

impl Raw {
    /// Answers each request, numbered from 0, with these frames for its stream.
    async fn start(settings: &[u8], script: impl Fn(usize, u32) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let root = authority();
        let acceptor = acceptor(&root);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counter, log, script) = (connections.clone(), seen.clone(), Arc::new(script));
        let settings = settings.to_vec();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, settings) = (acceptor.clone(), settings.clone());
                let (counter, log, script) = (counter.clone(), log.clone(), script.clone());
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    counter.fetch_add(1, Ordering::SeqCst);
                    let _ = converse(stream, &settings, &log, &*script).await;
                    counter.fetch_add(1000, Ordering::SeqCst);
                });
            }
        });
        Self { address, connections, seen, wire: wire_trusting(Some(&root)).await }
    }

    fn target(&self) -> Target {
        Target::parse_url(&format!("https://{}/", self.address)).unwrap().0
    }

    /// Connections that were opened, and those of them that were closed.
    fn connections(&self) -> (usize, usize) {
        let count = self.connections.load(Ordering::SeqCst);
        (count % 1000, count / 1000)
    }

    async fn send(&self, request: OutboundRequest) -> Result<(String, Result<(), WireError>), WireError> {
        let connection = self.wire.connect(KEY, &self.target(), Naming::Named, LONG).await?;
        let received = connection.send(request, LONG).await?;
        Ok(rest(&mut received.stream(&scan(), ResponseRule::Scrub, IDLE).await?).await)
    }
}

async fn converse(
    mut stream: TlsStream<TcpStream>,
    settings: &[u8],
    log: &Mutex<Vec<Vec<u8>>>,
    script: &(dyn Fn(usize, u32) -> Vec<u8> + Send + Sync),
) -> std::io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        if head[3] == HEADERS {
            assert_eq!(head[4] & END_HEADERS, END_HEADERS);
            let nth = {
                let mut log = log.lock().unwrap();
                log.push(payload);
                log.len() - 1
            };
            stream.write_all(&script(nth, id)).await?;
        }
    }
}

fn get() -> OutboundRequest {
    OutboundRequest::new(Method::GET, "/x")
}

fn ok(stream: u32) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, END_STREAM, stream, b"ok")].concat()
}

/// F6: a header that carries a value is a literal that nobody may put into a table, each time anew. Others are indexed.
#[tokio::test]
async fn f6_values_are_never_indexed() {
    let upstream = Raw::start(&[], |_, id| ok(id)).await;
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let mut request = get();
        for (name, text) in
            [("authorization", format!("Bearer {S}")), ("x-api-key", S.to_owned()), ("cookie", S.to_owned())]
        {
            let mut value = HeaderValue::from_str(&text).unwrap();
            value.set_sensitive(true);
            request.headers.insert(name, value);
        }
        assert_eq!(upstream.send(request).await.unwrap(), ("ok".to_owned(), Ok(())));
        let block = upstream.seen.lock().unwrap().last().unwrap().clone();
        let has = |bytes: &[u8]| block.windows(bytes.len()).any(|window| window == bytes);
        // Names from the static table: 23 is `authorization`, 32 is `cookie`.
        assert!(has(&[0x1f, 23 - 15]), "{block:02x?}");
        assert!(has(&[0x1f, 32 - 15]), "{block:02x?}");
        assert!(has(&[0x10]), "a name that is in no table");
        lengths.push(block.len());
    }
    // The user agent moved into the table; the values did not get shorter.
    let value_bytes = 3 * S.len() * 5 / 8;
    assert!(lengths[0] > lengths[1] && lengths[1] == lengths[2] && lengths[2] > value_bytes, "{lengths:?}");
}

/// E7: "no error" is one when there should be more.
#[tokio::test]
async fn e7_reset_before_the_length_is_reached() {
    let text = "a".repeat(2000) + &S[..25];
    for (reason, length, ends_well) in [
        (NO_ERROR, Some("5000"), false),
        (INTERNAL_ERROR, Some("5000"), false),
        (INTERNAL_ERROR, None, false),
        // An upstream that has said all it wants to say.
        (NO_ERROR, Some("2025"), true),
    ] {
        let text = text.clone();
        let upstream = Raw::start(&[], move |_, id| {
            let headers = [OK, &length.map(content_length).unwrap_or_default()].concat();
            [
                frame(HEADERS, END_HEADERS, id, &headers),
                frame(DATA, 0, id, text.as_bytes()),
                frame(RST_STREAM, 0, id, &reason),
            ]
            .concat()
        })
        .await;
        // The whole of it may be known to have failed before its head is looked at.
        match upstream.send(get()).await {
            Ok((body, end)) if ends_well => {
                assert_eq!((end, body.len()), (Ok(()), 2000 + "[sealed:S]".len()));
            }
            Ok((body, end)) => {
                assert_eq!(end, Err(WireError::UpstreamFailed));
                assert!(body.bytes().all(|byte| byte == b'a'));
            }
            Err(error) => assert_eq!((error, ends_well), (WireError::UpstreamFailed, false)),
        }
    }
}

/// C5, C6, F1: interim answers and trailers are not shown, and framing that two readers could read differently is none.
#[tokio::test]
async fn hostile_frames() {
    let status = |text: &str| literal(&[0x08], text);
    // A literal with a new name.
    let field = |name: &str, value: &str| [&literal(&[0], name)[..], &literal(&[], value)].concat();
    type Script = Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>;
    let with = |headers: Vec<u8>| -> Script {
        Box::new(move |id| {
            let block = [OK, &headers].concat();
            [frame(HEADERS, END_HEADERS, id, &block), frame(DATA, END_STREAM, id, b"ok")].concat()
        })
    };
    let interim = [status("103"), field("link", S)].concat();
    let trailer = field("x-t", S);
    let fine: [Script; 2] = [
        Box::new(move |id| [frame(HEADERS, END_HEADERS, id, &interim), ok(id)].concat()),
        Box::new(move |id| {
            [
                frame(HEADERS, END_HEADERS, id, OK),
                frame(DATA, 0, id, b"ok"),
                frame(HEADERS, END_HEADERS | END_STREAM, id, &trailer),
            ]
            .concat()
        }),
    ];
    for script in fine {
        let upstream = Raw::start(&[], move |_, id| script(id)).await;
        let connection = upstream.wire.connect(KEY, &upstream.target(), Naming::Named, LONG).await.unwrap();
        let received = connection.send(get(), LONG).await.unwrap();
        let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
        assert_no_leak(&format!("{scrubbed:?}"));
        assert_eq!((scrubbed.status, scrubbed.headers.len(), &*scrubbed.body), (200, 0, &b"ok"[..]));
    }
    let many: Vec<u8> = (0..101).flat_map(|n| field(&format!("x-{n}"), "a")).collect();
    for script in [
        with(field("connection", "close")),
        with(field("transfer-encoding", "chunked")),
        with(field("X-Upper", "a")),
        with(content_length("3")),
        with(content_length("1")),
        with([content_length("2"), content_length("3")].concat()),
        with(many),
        with(vec![0x80]),
        Box::new(|id| frame(HEADERS, END_HEADERS | END_STREAM, id, &literal(&[0x08], "101"))) as Script,
        Box::new(|id| frame(DATA, END_STREAM, id, b"no head")) as Script,
        Box::new(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()) as Script,
    ] {
        let upstream = Raw::start(&[], move |_, id| script(id)).await;
        let end = match upstream.send(get()).await {
            Ok((body, end)) => {
                assert!("ok".starts_with(&body));
                end.unwrap_err()
            }
            Err(error) => error,
        };
        assert_eq!(end, WireError::UpstreamFailed);
    }
}

/// An upstream that says goodbye is left alone: what it has begun it may finish, the next request goes elsewhere.
#[tokio::test]
async fn a_connection_that_says_goodbye_is_replaced() {
    let goaway = |last: u32| frame(GOAWAY, 0, 0, &[last.to_be_bytes(), NO_ERROR].concat());
    let upstream = Raw::start(&[], move |_, id| {
        [frame(HEADERS, END_HEADERS, id, OK), goaway(id), frame(DATA, END_STREAM, id, b"ok")].concat()
    })
    .await;
    for connections in 1..4 {
        assert_eq!(upstream.send(get()).await.unwrap(), ("ok".to_owned(), Ok(())));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((upstream.connections().0, upstream.wire.idle_connections()), (connections, 0));
    }
    // In the very moment of a request: sent again if that does no harm, and only then.
    for (method, requests) in [(Method::GET, 3), (Method::POST, 2)] {
        let upstream = Raw::start(&[], move |nth, id| if nth == 1 { goaway(id - 2) } else { ok(id) }).await;
        upstream.send(get()).await.unwrap().1.unwrap();
        let sent = upstream.send(OutboundRequest::new(method.clone(), "/")).await;
        assert_eq!(sent.is_ok(), method == Method::GET, "{sent:?}");
        assert_eq!(upstream.seen.lock().unwrap().len(), requests);
    }
}

/// An upstream that takes nothing keeps nothing: whoever gives up a request gives up its connection, if it was the last.
#[tokio::test]
async fn a_stalled_upload_holds_no_connection() {
    // SETTINGS_INITIAL_WINDOW_SIZE of 0.
    let upstream = Raw::start(&[0, 4, 0, 0, 0, 0], |_, _| Vec::new()).await;
    let (feed, body) = fed(None);
    feed.send(data("waits for ever")).await.unwrap();
    let request = OutboundRequest { body, ..OutboundRequest::new(Method::POST, "/") };
    let connection = upstream.wire.connect(KEY, &upstream.target(), Naming::Named, LONG).await.unwrap();
    let sending = tokio::spawn(connection.send(request, LONG));
    while upstream.seen.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    upstream.wire.close_idle();
    while upstream.connections() != (1, 1) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(feed.is_closed());
}
