//! Raw requests, as a client may write them, in every delivery.

use std::{convert::Infallible, sync::Mutex};

use http::Version;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use tacit_model::{Scheme, Target};

use super::{super::authority::RequestTargetError, *};

/// What came through, and what was refused.
fn pass(bytes: &[u8], inside: Inside, piece: usize) -> (Vec<u8>, Option<Violation>, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(64);
        let bytes = bytes.to_vec();
        let sending = tokio::spawn(async move {
            for piece in bytes.chunks(piece) {
                if client.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let mut strict = StrictIo::new(server, inside);
        let mut passed = Vec::new();
        let mut is_broken = false;
        loop {
            let mut buffer = [0; 100];
            // After a CONNECT nothing comes any more, and nothing wakes the reader.
            if matches!(strict.state, State::Connected) && strict.checked == 0 {
                break;
            }
            match strict.read(&mut buffer).await {
                Ok(0) => break,
                Ok(read) => passed.extend_from_slice(&buffer[..read]),
                Err(_) => {
                    is_broken = true;
                    break;
                }
            }
        }
        let (_, _, violation) = strict.into_parts();
        sending.abort();
        (passed, violation, is_broken)
    })
}

/// The same outcome, however the bytes arrive.
#[track_caller]
fn outcome(text: &str, inside: Inside) -> (Vec<u8>, Option<Violation>, bool) {
    let whole = pass(text.as_bytes(), inside, 1 << 20);
    for piece in [1, 7] {
        let (passed, violation, is_broken) = pass(text.as_bytes(), inside, piece);
        assert_eq!((violation, is_broken), (whole.1, whole.2), "{text:?} in pieces of {piece}");
        // How much of a broken body passes before it breaks depends on the pieces, and is nobody's request.
        assert!(passed == whole.0 || is_broken, "{text:?} in pieces of {piece}");
    }
    whole
}

#[track_caller]
fn violates(text: &str, violation: Violation) {
    let (passed, found, _) = outcome(text, Inside::Tunnel);
    assert_eq!(found, Some(violation), "{text:?}");
    assert!(passed.is_empty(), "{text:?}");
}

#[track_caller]
fn passes(text: &str) {
    let (passed, found, is_broken) = outcome(text, Inside::Tunnel);
    assert_eq!((found, is_broken), (None, false), "{text:?}");
    assert_eq!(String::from_utf8_lossy(&passed), text);
}

#[test]
fn ordinary_requests_pass_unchanged() {
    passes("GET / HTTP/1.1\r\nHost: good.test\r\n\r\n");
    passes("POST /x HTTP/1.1\r\nHost: good.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    passes("POST /x HTTP/1.1\r\nhost:good.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    passes(
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!GET /c HTTP/1.1\r\nHost: x\r\nX-Utf8: \u{e4}\r\nX-Tab: a\tb\r\n\r\n",
    );
}

#[test]
fn f1_line_ends() {
    violates("GET / HTTP/1.1\nHost: x\n\n", Violation::Line);
    violates("GET / HTTP/1.1\r\nHost: x\n\r\n\r\n", Violation::Line);
    violates("GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", Violation::Line);
    violates("GET / HTTP/1.1\r\nHost: x\0\r\n\r\n", Violation::Line);
    violates("GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", Violation::Line);
    violates("GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n", Violation::Line);
    violates("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", Violation::Line);
    violates("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", Violation::Line);
    violates("GET / HTTP/1.1\r\nHost: x\r\nX: \u{7f}\r\n\r\n", Violation::Line);
    violates("GET / HTTP/1.1\r\nHost: x\r\n", Violation::Line);
}

#[test]
fn f1_request_lines() {
    violates("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", Violation::RequestLine);
    violates("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", Violation::RequestLine);
    violates("GET / a HTTP/1.1\r\nHost: x\r\n\r\n", Violation::RequestLine);
    violates("GET /\u{e4} HTTP/1.1\r\nHost: x\r\n\r\n", Violation::RequestLine);
    violates("G@T / HTTP/1.1\r\nHost: x\r\n\r\n", Violation::RequestLine);
    violates("GET /\r\nHost: x\r\n\r\n", Violation::RequestLine);
    violates("GET / HTTP/1.0\r\nHost: x\r\n\r\n", Violation::Version);
    violates("GET / HTTP/2.0\r\nHost: x\r\n\r\n", Violation::Version);
    violates("GET / HTTP/1.1x\r\nHost: x\r\n\r\n", Violation::Version);
    violates("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", Violation::Method);
    violates("Trace / HTTP/1.1\r\nHost: x\r\n\r\n", Violation::Method);
    violates("CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", Violation::Method);
}

#[test]
fn f1_fields() {
    violates("GET / HTTP/1.1\r\nHost : x\r\n\r\n", Violation::FieldName);
    violates("GET / HTTP/1.1\r\nHost: x\r\nX y: z\r\n\r\n", Violation::FieldName);
    violates("GET / HTTP/1.1\r\nHost: x\r\n: z\r\n\r\n", Violation::FieldName);
    violates("GET / HTTP/1.1\r\nHost: x\r\nX\r\n\r\n", Violation::FieldName);
    violates("GET / HTTP/1.1\r\nHost: x\r\nX\u{e4}: z\r\n\r\n", Violation::FieldName);
    violates("GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", Violation::Expectation);
}

#[test]
fn a6_hosts() {
    violates("GET / HTTP/1.1\r\n\r\n", Violation::Host);
    violates("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", Violation::Host);
    violates("GET / HTTP/1.1\r\nHost: x\r\nhost: evil.test\r\n\r\n", Violation::Host);
}

#[test]
fn f1_framing() {
    for framing in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 3",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 0x3",
        "Content-Length: 3 4",
        "Content-Length:",
        "Content-Length: 9999999999999999999999",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:",
    ] {
        violates(&format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\nabc"), Violation::Framing);
    }
}

/// A request with headers of these lengths, line ends included.
fn head_of(lengths: &[usize]) -> String {
    let mut head = "GET / HTTP/1.1\r\nHost: x\r\n".to_owned();
    for length in lengths {
        head += &format!("X: {}\r\n", "a".repeat(length - "X: \r\n".len()));
    }
    head + "\r\n"
}

#[test]
fn b19_sizes() {
    violates(&head_of(&[60 * 1024]), Violation::TooLarge);
    passes(&head_of(&[8 * 1024 + 2]));
    violates(&head_of(&[8 * 1024 + 3]), Violation::TooLarge);
    let left = HEAD_BYTES_MAX - head_of(&[8 * 1024]).len();
    passes(&head_of(&[8 * 1024, left]));
    violates(&head_of(&[8 * 1024, left + 1]), Violation::TooLarge);
    passes(&format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(99)));
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(100));
    violates(&head, Violation::TooLarge);
}

/// A body that goes wrong breaks the stream, and no later request is read out of it.
#[test]
fn f1_a_broken_body_ends_everything() {
    for body in ["5;x=y\r\nhello\r\n0\r\n\r\n", "5\r\nhelloGET / HTTP/1.1\r\nHost: x\r\n\r\n", "zz\r\n"] {
        let text = format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let (passed, violation, is_broken) = outcome(&text, Inside::Tunnel);
        assert!(is_broken && violation.is_none(), "{body:?}");
        assert!(!String::from_utf8_lossy(&passed).contains("GET"), "{body:?}");
    }
}

/// Whatever is wrong first is what is found, though a head that arrives whole could be searched for other things first.
#[test]
fn f1_the_first_fault_counts() {
    violates("G@T / HTTP/1.1\r\nHost: x\n\r\n\r\n", Violation::Line);
    violates("GET / HTTP/1.0\r\nX y: z\r\n\r\n\rGET", Violation::Version);
    violates(&format!("GET / HTTP/1.1\n{}", head_of(&[60 * 1024])), Violation::Line);
    violates(&format!("{}\n", "x".repeat(HEAD_BYTES_MAX)), Violation::TooLarge);
}

/// In a tunnel only paths, elsewhere whatever says where it goes in one way.
#[test]
fn a6_forms_of_targets() {
    let form = Violation::Target(RequestTargetError::Form);
    for target in ["https://good.test/", "http://good.test:443/", "good.test", "good.test:443", "*", "?x"] {
        violates(&format!("GET {target} HTTP/1.1\r\nHost: good.test\r\n\r\n"), form);
    }
    for target in ["/#x", "/<x>", "/`", "/a\\b", ""] {
        violates(&format!("GET {target} HTTP/1.1\r\nHost: good.test\r\n\r\n"), Violation::RequestLine);
    }
    for (line, is_good) in [
        ("CONNECT good.test:443", true),
        ("GET http://good.test/", true),
        ("GET HTTPS://good.test?x", true),
        ("GET /to/token/good.test/x", true),
        ("GET /v1/workspaces", true),
        ("CONNECT good.test", false),
        ("CONNECT https://good.test:443", false),
        ("CONNECT /to/token/good.test", false),
        ("GET http://a@good.test/", false),
        ("GET ftp://good.test/", false),
        ("GET good.test:443", false),
        ("OPTIONS *", false),
    ] {
        let head = format!("{line} HTTP/1.1\r\nHost: good.test\r\n\r\n");
        let (passed, violation, _) = outcome(&head, Inside::Nothing);
        assert_eq!((passed.is_empty(), violation.is_none()), (!is_good, is_good), "{line}");
    }
}

fn in_tunnel(request: http::request::Builder) -> Result<(), Violation> {
    let tunnel = Target::parse_authority(Scheme::Https, "good.test:8443").unwrap();
    check_in_tunnel(&request.body(()).unwrap(), &tunnel)
}

/// Each request in a tunnel, and each stream, says again where it goes, and says the same.
#[test]
fn a3_a5_requests_in_a_tunnel() {
    let http1 = |host: &str| in_tunnel(Request::get("/x").header("host", host));
    for host in ["good.test:8443", "GOOD.test:8443", "good.test.:8443"] {
        assert_eq!(http1(host), Ok(()), "{host}");
    }
    for host in ["good.test", "good.test:443", "evil.test:8443", "a@good.test:8443", "good.test:8443, x", ""]
    {
        assert_eq!(http1(host), Err(Violation::Misdirected), "{host}");
    }
    let http2 = |uri: &str| Request::get(uri).version(Version::HTTP_2);
    let good = "https://good.test:8443/x";
    assert_eq!(in_tunnel(http2(good)), Ok(()));
    assert_eq!(in_tunnel(http2(good).header("host", "good.test:8443").header("te", "trailers")), Ok(()));
    for misdirected in [
        http2("https://evil.test:8443/"),
        http2("https://good.test/"),
        http2("http://good.test:8443/"),
        http2(good).header("host", "evil.test:8443"),
    ] {
        assert_eq!(in_tunnel(misdirected), Err(Violation::Misdirected));
    }
    assert_eq!(in_tunnel(http2("/x")), Err(Violation::Host));
    let two = http2(good).header("host", "good.test:8443").header("host", "good.test:8443");
    assert_eq!(in_tunnel(two), Err(Violation::Host));
}

/// What HTTP/1.1 must not say in text, HTTP/2 must not say either.
#[test]
fn f1_http2() {
    let stream = || Request::post("https://good.test:8443/x").version(Version::HTTP_2);
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        assert_eq!(in_tunnel(stream().header(name, "x")), Err(Violation::Connection), "{name}");
    }
    assert_eq!(in_tunnel(stream().header("te", "gzip")), Err(Violation::Connection));
    assert_eq!(in_tunnel(stream().header("content-length", "3")), Ok(()));
    assert_eq!(in_tunnel(stream().header("content-length", "+3")), Err(Violation::Framing));
    let two = stream().header("content-length", "3").header("content-length", "4");
    assert_eq!(in_tunnel(two), Err(Violation::Framing));
    assert_eq!(in_tunnel(stream().header("expect", "200-ok")), Err(Violation::Expectation));
    for method in ["TRACE", "CONNECT"] {
        assert_eq!(in_tunnel(stream().method(method)), Err(Violation::Method), "{method}");
    }
    let star = Request::options("*").version(Version::HTTP_2).header("host", "good.test:8443");
    assert_eq!(in_tunnel(star), Err(Violation::Target(RequestTargetError::Form)));
}

/// What is in front of a bad head was good and passes; the bad one and all behind it do not.
#[test]
fn f4_nothing_passes_a_violation() {
    let good = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    let text = format!("{good}GET /b HTTP/1.0\r\nHost: x\r\n\r\n{good}");
    let (passed, violation, _) = outcome(&text, Inside::Tunnel);
    assert_eq!((passed, violation), (good.as_bytes().to_vec(), Some(Violation::Version)));
}

/// Older Pythons say no Host and HTTP/1.0 when they ask for a tunnel. What follows is not read as a request.
#[test]
fn connect_may_be_old_fashioned() {
    for head in ["CONNECT x:443 HTTP/1.0\r\n\r\n", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"] {
        let (passed, violation, _) = outcome(&format!("{head}\x16\x03\x01"), Inside::Nothing);
        assert_eq!((passed, violation), (head.as_bytes().to_vec(), None));
    }
    let (_, violation, _) =
        outcome("CONNECT x:443 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", Inside::Nothing);
    assert_eq!(violation, Some(Violation::Framing));
}

/// One request as a parser saw it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    host: String,
    body: Vec<u8>,
}

/// What hyper reads out of bytes that passed.
async fn read_by_hyper(bytes: Vec<u8>) -> Vec<Seen> {
    let seen = Mutex::new(Vec::new());
    let (mut client, server) = tokio::io::duplex(1 << 20);
    client.write_all(&bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let service = service_fn(async |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let text =
            |name: &str| parts.headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        let body = body
            .collect()
            .await
            .map(|body| body.to_bytes().to_vec())
            .unwrap_or_else(|_| b"(broken)".to_vec());
        seen.lock().unwrap().push(Seen {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            host: text("host").unwrap_or_default(),
            body,
        });
        Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
    });
    // The end of the bytes behind a request is no reason not to answer it, here.
    let mut builder = hyper::server::conn::http1::Builder::new();
    let connection = builder.half_close(true).serve_connection(TokioIo::new(server), service);
    let reading = async {
        let mut answers = Vec::new();
        let _ = client.read_to_end(&mut answers).await;
    };
    let _ = tokio::join!(connection, reading);
    seen.into_inner().unwrap()
}

/// A request, what it says, and whether it says so in one way only.
fn requests() -> impl Strategy<Value = (Vec<u8>, Seen, bool)> {
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let good = vec!["", "X: y\r\n", "X: \ty \r\n", "X:\r\n", "X: a:b\r\n", "Expect: 100-continue\r\n"];
    let bad = vec![
        "X : y\r\n",
        " x\r\n",
        "Content-Length: 0\r\n",
        "Host: z\r\n",
        "X: a\nb\r\n",
        "X: a\rb\r\n",
        "\r",
    ];
    let odd = prop_oneof![
        4 => prop::sample::select(good).prop_map(|field| (field, true)),
        1 => prop::sample::select(bad).prop_map(|field| (field, false)),
    ];
    (prop::sample::select(vec!["GET", "POST", "PUT"]), "[a-z0-9/]{0,8}", body, any::<bool>(), odd).prop_map(
        |(method, path, body, is_chunked, (odd, is_good))| {
            let mut bytes = format!("{method} /{path} HTTP/1.1\r\nHost: h{path}\r\n{odd}").into_bytes();
            if is_chunked {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(7) {
                    bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(b"0\r\n\r\n");
            } else {
                bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                bytes.extend(&body);
            }
            let seen =
                Seen { method: method.into(), target: format!("/{path}"), host: format!("h{path}"), body };
            (bytes, seen, is_good)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// hyper reads out of what passes exactly the requests that were written, in their order, up to the first bad one.
    #[test]
    fn f1_hyper_reads_what_was_meant(written in prop::collection::vec(requests(), 1..5), piece in 1_usize..40) {
        let bytes: Vec<u8> = written.iter().flat_map(|(bytes, ..)| bytes.clone()).collect();
        let (passed, violation, _) = pass(&bytes, Inside::Tunnel, piece);
        prop_assert_eq!(violation.is_none(), written.iter().all(|(.., is_good)| *is_good));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let seen = runtime.block_on(read_by_hyper(passed));
        let meant: Vec<Seen> = written.into_iter().take_while(|(.., is_good)| *is_good).map(|(_, seen, _)| seen).collect();
        prop_assert_eq!(seen, meant);
    }
}
