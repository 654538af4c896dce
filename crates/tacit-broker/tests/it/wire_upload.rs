//! E8: bodies of requests that are streamed.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body::{Body, Frame, SizeHint};
use tacit_broker::wire::{
    Naming, OutboundBody, OutboundRequest, Phase, ResponseRule, StreamLimits, Wire, WireError,
};
use tacit_model::Target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::wire::{Act, KEY, LIMITS, LONG, S, Upstream, request, response, scan, send, wire, write};

/// A body that a test feeds piece by piece.
pub(crate) struct Fed {
    pieces: mpsc::Receiver<Result<Frame<Bytes>, &'static str>>,
    length: Option<u64>,
}

pub(crate) type Feed = mpsc::Sender<Result<Frame<Bytes>, &'static str>>;

pub(crate) fn fed(length: Option<u64>) -> (Feed, OutboundBody) {
    let (feed, pieces) = mpsc::channel(1);
    (feed, OutboundBody::stream(Fed { pieces, length }))
}

pub(crate) fn data(bytes: impl Into<Bytes>) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(bytes.into()))
}

impl Body for Fed {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.pieces.poll_recv(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}

fn post(body: OutboundBody) -> OutboundRequest {
    OutboundRequest { body, ..OutboundRequest::new(Method::POST, "/upload") }
}

/// An upstream that takes one connection and lets the test do the rest.
async fn one_connection() -> (Target, tokio::task::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move { listener.accept().await.unwrap().0 });
    (Target::parse_url(&format!("http://{address}/")).unwrap().0, accepting)
}

async fn read_head(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return (String::from_utf8(bytes).unwrap(), rest);
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    }
}

/// E8: the credential is in the head, and the head is out before the body is there.
#[tokio::test]
async fn e8_a_large_upload_has_its_credential() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 1024;
    for length in [Some((PIECE * PIECES) as u64), None] {
        let (target, accepting) = one_connection().await;
        let (feed, body) = fed(length);
        let mut request = post(body);
        let mut value = HeaderValue::from_str(&format!("Bearer {S}")).unwrap();
        value.set_sensitive(true);
        request.headers.insert("authorization", value);
        let connection = wire().connect(KEY, &target, Naming::Named, LONG).await.unwrap();
        let sending = tokio::spawn(connection.send(request, LONG));
        let mut stream = accepting.await.unwrap();
        // Not one byte of the body exists yet.
        let (head, rest) = read_head(&mut stream).await;
        assert!(rest.is_empty());
        assert!(head.contains(&format!("authorization: Bearer {S}\r\n")), "{head}");
        assert_eq!(head.contains(&format!("content-length: {}\r\n", PIECE * PIECES)), length.is_some());
        assert_eq!(head.contains("transfer-encoding: chunked\r\n"), length.is_none());
        let feeding = tokio::spawn(async move {
            for _ in 0..PIECES {
                feed.send(data(vec![b'u'; PIECE])).await.unwrap();
            }
        });
        let mut bytes = 0;
        let mut buffer = vec![0; PIECE];
        while bytes < PIECE * PIECES {
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0);
            bytes += buffer[..read].iter().filter(|byte| **byte == b'u').count();
        }
        feeding.await.unwrap();
        stream.write_all(&response("", b"thanks")).await.unwrap();
        let received = sending.await.unwrap().unwrap();
        assert_eq!(received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap().body, b"thanks");
    }
}

/// Framing is generated whatever the method, and what has no body gets none.
#[tokio::test]
async fn f5_a_streamed_body_is_framed() {
    for method in [Method::POST, Method::PUT, Method::GET, Method::DELETE, Method::PATCH] {
        let (target, accepting) = one_connection().await;
        let (feed, body) = fed(None);
        let request = OutboundRequest { body, ..OutboundRequest::new(method.clone(), "/") };
        let connection = wire().connect(KEY, &target, Naming::Named, LONG).await.unwrap();
        let sending = tokio::spawn(connection.send(request, LONG));
        feed.send(data("abc")).await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-trailer", HeaderValue::from_static("evil"));
        feed.send(Ok(Frame::trailers(trailers))).await.unwrap();
        drop(feed);
        let mut stream = accepting.await.unwrap();
        let (head, mut rest) = read_head(&mut stream).await;
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{method} {head}");
        while !rest.ends_with(b"0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut rest).await.unwrap(), 0);
        }
        assert_eq!(rest, b"3\r\nabc\r\n0\r\n\r\n", "no trailers");
        stream.write_all(&response("", b"")).await.unwrap();
        sending.await.unwrap().unwrap();
    }
    let upstream = Upstream::start(|_| vec![write(response("", b""))]).await;
    let empty = OutboundBody::stream(http_body_util::Empty::<Bytes>::new());
    assert_eq!(empty.length(), Some(0));
    send(&wire(), &upstream, post(empty)).await.unwrap();
    assert!(upstream.log.lock().unwrap()[0].0.contains("content-length: 0\r\n"));
}

/// Half a body is not a body: the upstream sees the connection break, and it carries nothing else.
#[tokio::test]
async fn a_body_that_breaks_off_takes_the_connection_with_it() {
    type Break = fn(Feed) -> tokio::task::JoinHandle<()>;
    let cases: [(Option<u64>, Break); 4] = [
        (None, |feed| tokio::spawn(async move { feed.send(Err("gone")).await.unwrap() })),
        (Some(100), |feed| tokio::spawn(async move { feed.send(Err("gone")).await.unwrap() })),
        // Shorter and longer than it said.
        (Some(100), |feed| tokio::spawn(async move { drop(feed) })),
        (Some(4), |feed| tokio::spawn(async move { feed.send(data("more")).await.unwrap() })),
    ];
    for (length, break_off) in cases {
        let (target, accepting) = one_connection().await;
        let (feed, body) = fed(length);
        let wire = wire();
        let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
        let sending = tokio::spawn(connection.send(post(body), LONG));
        let mut stream = accepting.await.unwrap();
        feed.send(data("abc")).await.unwrap();
        let (_, mut rest) = read_head(&mut stream).await;
        break_off(feed).await.unwrap();
        assert_eq!(sending.await.unwrap().unwrap_err(), WireError::BodyBroken, "{length:?}");
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "an end was pretended");
        assert_eq!(wire.idle_connections(), 0);
    }
}

/// I8: what was streamed cannot be sent twice, whatever its method.
#[tokio::test]
async fn i8_a_streamed_body_is_sent_once() {
    let upstream = Upstream::start(|seen| match seen.nth {
        0 => vec![write(response("", b"first"))],
        _ => vec![Act::Close],
    })
    .await;
    let wire = wire();
    let first = send(&wire, &upstream, request()).await.unwrap();
    first.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
    let (feed, body) = fed(Some(3));
    feed.send(data("abc")).await.unwrap();
    let put = OutboundRequest { body, ..OutboundRequest::new(Method::PUT, "/") };
    assert_eq!(send(&wire, &upstream, put).await.unwrap_err(), WireError::UpstreamFailed);
    assert_eq!((upstream.connections(), upstream.requests()), (1, 2));
}

/// An upload may take longer than an answer may, as long as it goes on; one that stalls may not.
#[tokio::test]
async fn an_upload_is_waited_for_while_it_moves() {
    let limit = Duration::from_millis(300);
    for stalls in [false, true] {
        let (target, accepting) = one_connection().await;
        let (feed, body) = fed(None);
        let connection = wire().connect(KEY, &target, Naming::Named, LONG).await.unwrap();
        let sending = tokio::spawn(connection.send(post(body), limit));
        let mut stream = accepting.await.unwrap();
        read_head(&mut stream).await;
        if stalls {
            feed.send(data("a")).await.unwrap();
            assert_eq!(sending.await.unwrap().unwrap_err(), WireError::Timeout(Phase::FirstByte));
            continue;
        }
        for _ in 0..10 {
            feed.send(data("a")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(feed);
        stream.write_all(&response("", b"ok")).await.unwrap();
        assert_eq!(sending.await.unwrap().unwrap().status(), 200);
    }
}

/// An upstream that answers while it still reads: both directions go on, and the connection is not used again before
/// both are over.
#[tokio::test]
async fn an_answer_may_begin_before_the_upload_ends() {
    for rule in [ResponseRule::Scrub, ResponseRule::StatusOnly] {
        let (target, accepting) = one_connection().await;
        let (feed, body) = fed(None);
        let wire = wire();
        let connection = wire.connect(KEY, &target, Naming::Named, LONG).await.unwrap();
        let sending = tokio::spawn(connection.send(post(body), LONG));
        let mut stream = accepting.await.unwrap();
        let (_, mut rest) = read_head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let received = sending.await.unwrap().unwrap();
        let reading = tokio::spawn(async move {
            let mut stream = received.stream(&scan(), rule, StreamLimits { idle: LONG }).await.unwrap();
            let mut body = Vec::new();
            while let Some(chunk) = stream.chunk().await.unwrap() {
                body.extend_from_slice(&chunk);
            }
            body
        });
        for _ in 0..20 {
            feed.send(data("up")).await.unwrap();
            stream.write_all(b"4\r\ndown\r\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(feed);
        while !rest.ends_with(b"0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut rest).await.unwrap(), 0, "cut off");
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let expected = if rule == ResponseRule::Scrub { "down".repeat(20) } else { String::new() };
        assert_eq!(reading.await.unwrap(), expected.as_bytes());
        assert_eq!(wire.idle_connections(), 1);
    }
    // Over before the upload is: whatever is left of it, the connection is not clean.
    let upstream = Upstream::start(|_| vec![write(response("", b"enough"))]).await;
    let wire: Wire = wire();
    let (feed, body) = fed(None);
    let received = send(&wire, &upstream, post(body)).await.unwrap();
    assert_eq!(received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap().body, b"enough");
    assert_eq!(wire.idle_connections(), 0);
    assert!(feed.is_closed(), "nobody reads the rest");
}
