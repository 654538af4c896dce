//! Answers that are streamed: under every rule, as one text, as events and as messages.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::Body;
use http_body_util::BodyExt;
use tacit_broker::wire::{OutboundRequest, Phase, ResponseRule, ScrubbedStream, StreamLimits, WireError};
use tacit_redact::ScanSet;

use crate::wire::{
    Act, LONG, MARKER, S, SHORT, Upstream, assert_no_leak, received, response, scan, send, wire, write,
};

pub(crate) const IDLE: StreamLimits = StreamLimits { idle: LONG };
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\r\n";

/// Two parts of the value that are next to each other, each too short to be recognised.
const PARTS: (&str, &str) = (S.split_at(23).0, S.split_at(38).0.split_at(23).1);

async fn stream(upstream: &Upstream) -> ScrubbedStream {
    received(upstream).await.unwrap().stream(&scan(), ResponseRule::Scrub, IDLE).await.unwrap()
}

/// Everything up to the end, and how it ended.
pub(crate) async fn rest(stream: &mut ScrubbedStream) -> (String, Result<(), WireError>) {
    let mut body = Vec::new();
    loop {
        match stream.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (String::from_utf8(body).unwrap(), Ok(())),
            Err(error) => return (String::from_utf8(body).unwrap(), Err(error)),
        }
    }
}

/// The next chunk, which must be there at once although the stream stays open.
async fn prompt(stream: &mut ScrubbedStream) -> String {
    let start = Instant::now();
    let chunk = stream.chunk().await.unwrap().unwrap();
    assert!(start.elapsed() < LONG / 2, "held back");
    String::from_utf8(chunk.to_vec()).unwrap()
}

/// E5: an event is there when it is complete, however long the next one takes, and nothing of a value is in it.
#[tokio::test]
async fn e5_events_are_delivered_at_once() {
    let value = format!("data: the key is {S}\nid: {S}\n\n");
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let acts = move || {
        vec![
            write(EVENTS),
            write("data: one\n\n"),
            Act::Wait(SHORT),
            Act::Drip(value.clone().into_bytes()),
            Act::Wait(SHORT),
            write("data: half an ev"),
            Act::Wait(LONG),
        ]
    };
    let upstream = Upstream::start(move |_| acts()).await;
    let mut stream = stream(&upstream).await;
    assert_eq!(stream.headers()[0].1, "Text/Event-Stream; charset=utf-8");
    assert_eq!(prompt(&mut stream).await, "data: one\n\n");
    assert_eq!(prompt(&mut stream).await, format!("data: the key is {MARKER}\nid: {MARKER}\n\n"));
    assert_eq!(stream.findings().total(), 2);
    // What is not complete is not shown.
    assert!(tokio::time::timeout(SHORT * 2, stream.chunk()).await.is_err());

    let upstream =
        Upstream::start(move |_| vec![write(chunked), write("b\r\ndata: two\n\n\r\n"), Act::Wait(LONG)])
            .await;
    assert_eq!(prompt(&mut self::stream(&upstream).await).await, "data: two\n\n");
}

/// E5: a value that is spread across events ends the stream before its end is out.
#[tokio::test]
async fn e5_a_value_across_events_ends_the_stream() {
    let (first, second) = PARTS;
    for (bytes, seen) in [
        (format!("data: ok\n\ndata: {first}\n\ndata: {second}\n\n"), &["data: ok\n\n"][..]),
        (format!("data: ok\n\ndata: {first}\ndata: {second}\n\n"), &["data: ok\n\n"]),
        (format!("data: ok\n\nid: {S}\ndata: {first}\ndata: {second}\n\n"), &["data: ok\n\n"]),
        // Outside of all fields, where only a careless client looks.
        (format!("{first}\n\n{second}\n\n"), &[]),
        (format!("data: {first}\r\n\r\n: ping\r\n\r\ndata:{second}\r\n\r\n"), &[]),
    ] {
        let upstream =
            Upstream::start(move |_| vec![write(EVENTS), Act::Drip(bytes.clone().into_bytes())]).await;
        let mut stream = stream(&upstream).await;
        let (body, end) = rest(&mut stream).await;
        assert_eq!(end, Err(WireError::Unscannable));
        assert!(seen.iter().all(|event| body.contains(event)), "{body}");
        assert!(!body.contains(second), "{body}");
        assert_eq!(stream.chunk().await, Ok(None), "nothing more comes");
    }
}

/// Cut in any way, the events that come out are the same.
#[tokio::test]
async fn e1_events_do_not_depend_on_chunks() {
    let text = format!("\u{feff}data: a {S}\r\rid: 7\r\ndata: b\r\n\r\n: {S}\n\ndata: last");
    let expected = text.replace(S, MARKER);
    for drips in [false, true] {
        let bytes = text.clone().into_bytes();
        let upstream = Upstream::start(move |_| {
            let body = if drips { Act::Drip(bytes.clone()) } else { Act::Write(bytes.clone()) };
            vec![write(EVENTS), body, Act::Close]
        })
        .await;
        let (body, end) = rest(&mut stream(&upstream).await).await;
        assert_eq!((body, end), (expected.clone(), Ok(())));
    }
}

/// E7 for events: what is not complete when the upstream breaks off is dropped, and what is longer than an event may be
/// ends the stream.
#[tokio::test]
async fn e7_events_that_break_off() {
    for end in [(|| Act::Reset) as fn() -> Act, || Act::Close] {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\ncontent-length: 900\r\n\r\n";
        let bytes = format!("{head}data: one\n\ndata: {}", &S[..25]);
        let upstream =
            Upstream::start(move |_| vec![write(&bytes), Act::Wait(Duration::from_millis(50)), end()]).await;
        let (body, end) = rest(&mut stream(&upstream).await).await;
        assert_eq!((&*body, end), ("data: one\n\n", Err(WireError::UpstreamFailed)));
    }
    let upstream = Upstream::start(|_| vec![write(EVENTS), Act::Forever(vec![b'x'; 4096])]).await;
    assert_eq!(rest(&mut stream(&upstream).await).await.1, Err(WireError::TooLarge));
}

/// Under `block` a stream is delivered whole or not at all, and under `status_only` it is not.
#[tokio::test]
async fn rules_for_streams() {
    let echo = format!("data: one\n\ndata: {S}\n\n");
    let (first, second) = PARTS;
    let spread = format!("data: {first}\n\ndata: {second}\n\n");
    for (body, rule, expected) in [
        ("data: one\n\n".to_owned(), ResponseRule::Block, Ok(("data: one\n\n", false, 1))),
        (echo.clone(), ResponseRule::Block, Ok(("", true, 0))),
        (spread, ResponseRule::Block, Err(WireError::Unscannable)),
        (echo, ResponseRule::StatusOnly, Ok(("", false, 0))),
    ] {
        let bytes = response("Content-Type: text/event-stream\r\n", body.as_bytes());
        let upstream = Upstream::start(move |_| vec![write(&bytes)]).await;
        let wire = wire();
        let received = send(&wire, &upstream, crate::wire::request()).await.unwrap();
        match (received.stream(&scan(), rule, IDLE).await, expected) {
            (Ok(mut stream), Ok((body, is_withheld, headers))) => {
                assert_eq!(stream.status(), 200);
                assert_eq!((stream.is_withheld(), stream.headers().len()), (is_withheld, headers));
                assert_eq!(stream.findings().total() > 0, is_withheld);
                assert_eq!(stream.content_length(), (!body.is_empty()).then_some(body.len() as u64));
                assert_eq!(stream.size_hint().exact(), Some(body.len() as u64));
                assert_eq!(rest(&mut stream).await, (body.to_owned(), Ok(())));
                assert_eq!(wire.idle_connections(), 1);
            }
            (streamed, expected) => {
                assert_eq!(streamed.map(drop).unwrap_err(), expected.unwrap_err());
                assert_eq!(wire.idle_connections(), 0);
            }
        }
    }
    // What is blocked until it was read has a size that can be read.
    let endless =
        Upstream::start(|_| vec![write("HTTP/1.1 200 OK\r\n\r\n"), Act::Forever(vec![b'a'; 65536])]);
    let streamed = received(&endless.await).await.unwrap().stream(&scan(), ResponseRule::Block, IDLE).await;
    assert_eq!(streamed.map(drop).unwrap_err(), WireError::TooLarge);
}

/// Only silence is limited, not the whole. While nobody asks for the next piece, nobody waits for it either.
#[tokio::test]
async fn a_stream_may_take_its_time() {
    let limits = StreamLimits { idle: Duration::from_millis(400) };
    let upstream = Upstream::start(|_| {
        let mut acts = vec![write("HTTP/1.1 200 OK\r\n\r\n")];
        acts.extend((0..8).flat_map(|_| [write("."), Act::Wait(Duration::from_millis(100))]));
        acts.push(Act::Wait(LONG));
        acts
    })
    .await;
    let start = Instant::now();
    let received = received(&upstream).await.unwrap();
    let mut stream = received.stream(&scan(), ResponseRule::Scrub, limits).await.unwrap();
    assert_eq!(rest(&mut stream).await.1, Err(WireError::Timeout(Phase::Body)));
    assert!(start.elapsed() > Duration::from_millis(1000));

    let upstream = Upstream::start(|_| {
        vec![write("HTTP/1.1 200 OK\r\n\r\n"), write("one"), Act::Wait(SHORT), write("two"), Act::Close]
    })
    .await;
    let received = crate::wire::received(&upstream).await.unwrap();
    let mut stream = received.stream(&ScanSet::empty(), ResponseRule::Scrub, limits).await.unwrap();
    assert_eq!(stream.chunk().await, Ok(Some(Bytes::from_static(b"one"))));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(rest(&mut stream).await, ("two".to_owned(), Ok(())));
}

/// A length is announced only where nothing can change it.
#[tokio::test]
async fn a_length_is_kept_where_it_holds() {
    let gzip = "1f8b0800000000000003cb48cdc9c95728cf2fca490100852f1f4a0b000000";
    let gzip: Vec<u8> = (0..gzip.len() / 2)
        .map(|at| u8::from_str_radix(&gzip[at * 2..at * 2 + 2], 16).unwrap())
        .take(4)
        .collect();
    for (method, headers, body, scan, length) in [
        (Method::GET, "", &b"hello"[..], ScanSet::empty(), Some(5)),
        (Method::GET, "", b"hello", scan(), None),
        (Method::HEAD, "", b"hello", ScanSet::empty(), Some(5)),
        (Method::HEAD, "", b"hello", scan(), None),
        (Method::GET, "content-encoding: gzip\r\n", &*gzip, ScanSet::empty(), None),
    ] {
        let mut bytes = response(headers, body);
        if method == Method::HEAD {
            bytes.truncate(bytes.len() - body.len());
        }
        let upstream = Upstream::start(move |_| vec![write(&bytes)]).await;
        let received = send(&wire(), &upstream, OutboundRequest::new(method.clone(), "/")).await.unwrap();
        let stream = received.stream(&scan, ResponseRule::Scrub, IDLE).await.unwrap();
        assert_eq!(stream.content_length(), length, "{method} {headers}");
        let exact = (length.is_some() && method != Method::HEAD).then_some(5);
        assert_eq!(stream.size_hint().exact().filter(|exact| *exact > 0), exact);
    }
    for status in [204, 304] {
        let upstream = Upstream::answering(format!("HTTP/1.1 {status} X\r\nx-a: b\r\n\r\n")).await;
        let received = received(&upstream).await.unwrap();
        let mut stream = received.stream(&ScanSet::empty(), ResponseRule::Scrub, IDLE).await.unwrap();
        assert_eq!(stream.content_length(), None);
        assert_eq!(rest(&mut stream).await, (String::new(), Ok(())));
    }
}

fn message(content: &str) -> Vec<u8> {
    [&[0][..], &(content.len() as u32).to_be_bytes(), content.as_bytes()].concat()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// gRPC's messages are scrubbed one by one, and of its trailers the outcome is left.
#[tokio::test]
async fn e5_grpc_messages_and_trailers() {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc+proto\r\ntransfer-encoding: chunked\r\n\r\n";
    let trailers =
        format!("0\r\ngrpc-status: 16\r\ngrpc-message: bad key {S}\r\nx-echo: {S}\r\n{S}: x\r\n\r\n");
    let all = [message("one"), message(&format!("key {S}!"))].concat();
    let bytes = [head.as_bytes(), &chunk(&all[..7]), &chunk(&all[7..]), trailers.as_bytes()].concat();
    let upstream = Upstream::start(move |_| vec![Act::Drip(bytes.clone())]).await;
    let stream = stream(&upstream).await;
    let collected = stream.collect().await.unwrap();
    let mut expected = HeaderMap::new();
    expected.insert("grpc-status", "16".parse().unwrap());
    expected.insert("grpc-message", format!("bad key {MARKER}").parse().unwrap());
    assert_eq!(collected.trailers(), Some(&expected));
    let scrubbed = [message("one"), message(&format!("key {MARKER}!"))].concat();
    assert_eq!(collected.to_bytes(), scrubbed);
    assert_no_leak(&format!("{expected:?}"));

    // A number that is no status is not passed on.
    let trailers = b"0\r\ngrpc-status: 1234567890123456\r\n\r\n";
    let bytes = [head.as_bytes(), &chunk(&message("one")), trailers].concat();
    let upstream = Upstream::start(move |_| vec![write(&bytes)]).await;
    assert_eq!(self::stream(&upstream).await.collect().await.unwrap().trailers(), None);

    // One is there before the next, and what only the two ends can read is not passed on.
    let bytes = [head.as_bytes(), &chunk(&message("one"))].concat();
    let upstream = Upstream::start(move |_| vec![write(&bytes), Act::Wait(LONG)]).await;
    assert_eq!(prompt(&mut self::stream(&upstream).await).await.as_bytes(), message("one"));
    let compressed = [head.as_bytes(), &chunk(b"\x01\0\0\0\x03abc")].concat();
    let (first, second) = PARTS;
    let spread = [head.as_bytes(), &chunk(&message(first)), &chunk(&message(second))].concat();
    for bytes in [compressed, spread] {
        let upstream = Upstream::start(move |_| vec![write(&bytes), Act::Wait(LONG)]).await;
        let (body, end) = rest(&mut self::stream(&upstream).await).await;
        assert_eq!(end, Err(WireError::Unscannable));
        assert!(!body.contains(second));
    }
}

/// C6: nobody else's trailers pass, whatever they are called.
#[tokio::test]
async fn c6_trailers_of_others() {
    let bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\nx-t: 1\r\n\r\n";
    let upstream = Upstream::answering(bytes).await;
    let collected = stream(&upstream).await.collect().await.unwrap();
    assert_eq!(collected.trailers(), None);
    assert_eq!(collected.to_bytes(), "ok");
}
