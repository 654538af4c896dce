//! Groups C, E and F: what a hostile upstream puts into status line, headers, framing and timing.

use std::time::Duration;

use http::Method;
use tacit_broker::wire::{
    Naming, OutboundRequest, Phase, ReadLimits, ResponseRule, ScrubbedStream, StreamLimits, WireError,
};

use crate::wire::{
    Act, KEY, LIMITS, LONG, MARKER, S, SHORT, Upstream, assert_clean, assert_no_leak, get, received, request,
    response, scan, send, wire, write,
};

#[tokio::test]
async fn c1_body_echo() {
    let upstream = Upstream::answering(response("", format!("you sent {S}.").as_bytes())).await;
    let scrubbed = get(&upstream).await.unwrap();
    assert_eq!(String::from_utf8(scrubbed.body).unwrap(), format!("you sent {MARKER}."));
    assert_eq!(scrubbed.findings.total(), 1);
}

#[tokio::test]
async fn c2_header_values() {
    let hex: String = S.bytes().map(|b| format!("{b:02x}")).collect();
    let percent: String = S.bytes().map(|b| format!("%{b:02X}")).collect();
    let reversed: String = S.chars().rev().collect();
    let mut headers = String::new();
    for name in [
        "Location",
        "WWW-Authenticate",
        "Link",
        "X-Echo",
        "ETag",
        "Server",
        "Via",
        "Content-Type",
        "Warning",
        "Content-Disposition",
        "Access-Control-Allow-Origin",
        "Vary",
        "Retry-After",
        "X-Request-Id",
        "P3P",
    ] {
        headers.push_str(&format!("{name}: before {S} after\r\n"));
    }
    headers.push_str(&format!("X-Hex: {hex}\r\nX-Percent: {percent}\r\nX-Reversed: {reversed}\r\n"));
    headers.push_str(&format!("X-Upper: {}\r\nX-Part: {}\r\n", S.to_uppercase(), &S[10..30]));
    let upstream = Upstream::answering(response(&headers, b"")).await;
    let scrubbed = get(&upstream).await.unwrap();
    assert_clean(&scrubbed);
    assert_eq!(scrubbed.headers.len(), 20);
    assert_eq!(scrubbed.headers[0], ("location".to_owned(), format!("before {MARKER} after")));
    assert_eq!(scrubbed.findings.total(), 20);
}

/// Bytes that are not UTF-8 do not break up a value before it is recognised.
#[tokio::test]
async fn c2_header_values_that_are_not_text() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nX-Raw: \xff".to_vec();
    bytes.extend_from_slice(S.as_bytes());
    bytes.extend_from_slice(b"\xfe\r\ncontent-length: 0\r\n\r\n");
    let scrubbed = get(&Upstream::answering(bytes).await).await.unwrap();
    assert_eq!(scrubbed.headers[0].1, format!("\u{fffd}{MARKER}\u{fffd}"));
}

#[tokio::test]
async fn c2_headers_that_never_come_back() {
    let dropped = "Set-Cookie: a=b\r\nAlt-Svc: h3=\":443\"\r\nRefresh: 0;url=x\r\nReport-To: x\r\nNEL: x\r\n\
        SourceMap: x\r\nX-SourceMap: x\r\nAuthentication-Info: x\r\nProxy-Authenticate: x\r\nProxy-Status: x\r\n\
        Keep-Alive: timeout=5\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTrailer: X-T\r\nUpgrade: h2c\r\n\
        Reporting-Endpoints: x\r\nContent-Encoding: identity\r\nDigest: x\r\nSet-Cookie2: x\r\nX-Ok: 1\r\n";
    let upstream = Upstream::answering(response(dropped, b"")).await;
    let scrubbed = get(&upstream).await.unwrap();
    assert_eq!(scrubbed.headers, [("x-ok".to_owned(), "1".to_owned())]);
}

#[tokio::test]
async fn c3_header_names() {
    let headers = format!("X-{S}: 1\r\n{}: 1\r\nX-Ok: 1\r\n", S[8..].to_uppercase());
    let scrubbed = get(&Upstream::answering(response(&headers, b"")).await).await.unwrap();
    assert_eq!(scrubbed.headers, [("x-ok".to_owned(), "1".to_owned())]);
    assert_eq!(scrubbed.findings.total(), 2);
}

#[tokio::test]
async fn c4_reason_phrase() {
    let upstream = Upstream::answering(format!("HTTP/1.1 200 {S}\r\ncontent-length: 2\r\n\r\nok")).await;
    let received = received(&upstream).await.unwrap();
    assert_no_leak(&format!("{received:?}"));
    let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
    assert_no_leak(&format!("{scrubbed:?}"));
    assert_eq!((scrubbed.status, scrubbed.body), (200, b"ok".to_vec()));
}

#[tokio::test]
async fn c5_interim_responses() {
    let mut bytes = format!(
        "HTTP/1.1 100 {S}\r\n\r\nHTTP/1.1 103 Early\r\nLink: <{S}>\r\n\r\nHTTP/1.1 102 P\r\nX-A: {S}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend(response("X-Ok: 1\r\n", b"ok"));
    let upstream = Upstream::start(move |_| vec![Act::Drip(bytes.clone()), Act::Close]).await;
    let scrubbed = get(&upstream).await.unwrap();
    assert_eq!(scrubbed.headers, [("x-ok".to_owned(), "1".to_owned())]);
    assert_eq!(scrubbed.body, b"ok");
}

#[tokio::test]
async fn c5_interim_responses_without_end() {
    let upstream =
        Upstream::start(|_| vec![Act::Forever(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n".into())]).await;
    let connection = wire().connect(KEY, &upstream.target(), Naming::Named, LONG).await.unwrap();
    let failed = connection.send(request(), SHORT).await;
    assert_eq!(failed.unwrap_err(), WireError::Timeout(Phase::FirstByte));
}

/// A22, C5: nobody asked for another protocol.
#[tokio::test]
async fn a22_unasked_upgrade() {
    let bytes = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0";
    assert_eq!(get(&Upstream::answering(bytes).await).await.unwrap_err(), WireError::UpstreamFailed);
}

#[tokio::test]
async fn c6_trailers() {
    let bytes = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: {S}\r\n{S}: 1\r\n\r\n"
    );
    let scrubbed = get(&Upstream::answering(bytes).await).await.unwrap();
    assert_clean(&scrubbed);
    assert_eq!((scrubbed.headers.len(), &*scrubbed.body), (0, &b"ok"[..]));
}

#[tokio::test]
async fn c7_chunk_extensions() {
    let bytes = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x={S}\r\nok\r\n0;{S}=\"{S}\"\r\n\r\n"
    );
    let scrubbed = get(&Upstream::answering(bytes).await).await.unwrap();
    assert_clean(&scrubbed);
    assert_eq!(scrubbed.body, b"ok");
}

#[tokio::test]
async fn c8_fragments() {
    for length in [16, 20, 31] {
        let body = format!("{{\"error\":\"bad key {}...\"}}", &S[8..8 + length]);
        let scrubbed = get(&Upstream::answering(response("", body.as_bytes())).await).await.unwrap();
        assert_clean(&scrubbed);
        assert_eq!(scrubbed.findings.total(), 1, "{length}");
    }
}

#[tokio::test]
async fn c15_a_part_that_was_not_asked_for() {
    let bytes = "HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/9\r\ncontent-length: 2\r\n\r\nab";
    let upstream = Upstream::answering(bytes).await;
    assert_eq!(get(&upstream).await.unwrap_err(), WireError::Unscannable);
    let ranged = |allow_range| {
        let mut request = OutboundRequest { allow_range, ..request() };
        request.headers.insert("range", http::HeaderValue::from_static("bytes=0-1"));
        request
    };
    assert_eq!(send(&wire(), &upstream, ranged(false)).await.unwrap_err(), WireError::Unscannable);
    assert_eq!(send(&wire(), &upstream, ranged(true)).await.unwrap().status(), 206);
}

#[tokio::test]
async fn c17_opaque_bodies_are_flagged() {
    for (body, opaque) in
        [(&b"PK\x03\x04rest"[..], true), (b"\x1f\x8b\x08\x00", true), (b"%PDF-1.7", true), (b"PKzip", false)]
    {
        let bytes = response("", body);
        let upstream = Upstream::start(move |_| vec![Act::Drip(bytes.clone()), Act::Close]).await;
        assert_eq!(get(&upstream).await.unwrap().is_opaque, opaque, "{body:?}");
    }
}

/// E1: every byte its own packet, every byte its own chunk.
#[tokio::test]
async fn e1_split_at_every_byte() {
    let plain = response("X-Echo: a\r\n", format!("one {S} two {S}").as_bytes());
    let mut chunked = b"HTTP/1.1 200 OK\r\nX-Echo: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for byte in format!("one {S} two {S}").bytes() {
        chunked.extend_from_slice(b"1\r\n");
        chunked.push(byte);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for bytes in [plain, chunked] {
        let upstream = Upstream::start(move |_| vec![Act::Drip(bytes.clone()), Act::Close]).await;
        let scrubbed = get(&upstream).await.unwrap();
        assert_eq!(String::from_utf8(scrubbed.body).unwrap(), format!("one {MARKER} two {MARKER}"));
    }
}

async fn stream(upstream: &Upstream) -> ScrubbedStream {
    let received = received(upstream).await.unwrap();
    received.stream(&scan(), ResponseRule::Scrub, StreamLimits { idle: LONG }).await.unwrap()
}

/// E3: no pause makes the scrubber let go of what it holds back.
#[tokio::test]
async fn e3_slow_drip() {
    let (first, second) = S.split_at(20);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", S.len());
    let acts = [head + first, second.to_owned()];
    let upstream = Upstream::start(move |_| {
        vec![write(&acts[0]), Act::Wait(Duration::from_millis(300)), write(&acts[1]), Act::Close]
    })
    .await;
    let mut stream = stream(&upstream).await;
    let mut body = Vec::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    assert_eq!(body, MARKER.as_bytes());
    assert_eq!(stream.findings().total(), 1);
    assert_eq!(stream.body_bytes_received(), S.len() as u64);
}

/// E7: reset, early close and a broken chunk in the middle of a value. Nothing of the tail comes out.
#[tokio::test]
async fn e7_cut_in_the_middle() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_owned() + &"a".repeat(2000) + &S[..25];
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    let cases = [
        (head.clone(), (|| Act::Reset) as fn() -> Act),
        (head, || Act::Close),
        (chunked.clone() + "100\r\n" + &S[..25], || Act::Close),
        (chunked.clone() + "19\r\n" + &S[..25], || Act::Reset),
        (chunked.clone() + "19\r\n" + &S[..25] + "XX", || Act::Close),
        (chunked + "19\r\n" + &S[..25] + "\r\nzz\r\n", || Act::Close),
    ];
    for (bytes, end) in cases {
        let upstream = {
            let bytes = bytes.clone();
            Upstream::start(move |_| vec![write(&bytes), Act::Wait(Duration::from_millis(50)), end()]).await
        };
        assert_eq!(get(&upstream).await.unwrap_err(), WireError::UpstreamFailed);
        let mut stream = stream(&upstream).await;
        let mut body = Vec::new();
        let error = loop {
            match stream.chunk().await {
                Ok(chunk) => body.extend_from_slice(&chunk.expect("ends with an error")),
                Err(error) => break error,
            }
        };
        assert_eq!(error, WireError::UpstreamFailed);
        assert!(body.iter().all(|b| *b == b'a'), "{}", String::from_utf8_lossy(&body));
        assert_eq!(stream.chunk().await, Ok(None));
    }
}

/// E6: no length is too long to be scanned when it is streamed.
#[tokio::test]
async fn e6_padding_before_the_value() {
    const PADDING: usize = 24 << 20;
    let upstream = Upstream::start(|_| {
        let length = PADDING + S.len();
        let mut acts = vec![write(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"))];
        acts.extend((0..PADDING >> 16).map(|_| Act::Write(vec![b'.'; 1 << 16])));
        acts.push(write(S));
        acts
    })
    .await;
    let mut stream = stream(&upstream).await;
    let (mut total, mut last, mut longest) = (0, Vec::new(), 0);
    while let Some(chunk) = stream.chunk().await.unwrap() {
        total += chunk.len();
        longest = longest.max(chunk.len());
        last.extend_from_slice(&chunk);
        last.drain(..last.len().saturating_sub(64));
    }
    assert_eq!(total, PADDING + MARKER.len());
    assert!(last.ends_with(MARKER.as_bytes()));
    assert!(longest <= 128 * 1024, "pieces are bounded: {longest}");
}

#[tokio::test]
async fn d10_endless_body() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let upstream = Upstream::start(move |_| vec![write(head), Act::Forever(vec![b'a'; 4096])]).await;
    assert_eq!(get(&upstream).await.unwrap_err(), WireError::TooLarge);
}

/// A body that announces more than is taken is refused as well, and one that fits exactly is not.
#[tokio::test]
async fn the_body_limit_is_exact() {
    let upstream = Upstream::answering(response("", &[b'a'; 1000])).await;
    for (body_bytes_max, fits) in [(1000, true), (999, false)] {
        let limits = ReadLimits { body_bytes_max, ..LIMITS };
        let read = received(&upstream).await.unwrap().read(&scan(), ResponseRule::Scrub, limits).await;
        assert_eq!(read.map(|scrubbed| scrubbed.body.len()).ok(), fits.then_some(1000));
    }
}

#[tokio::test]
async fn time_limits() {
    let silent = Upstream::start(|_| vec![Act::Wait(LONG)]).await;
    let connection = wire().connect(KEY, &silent.target(), Naming::Named, LONG).await.unwrap();
    assert_eq!(connection.send(request(), SHORT).await.unwrap_err(), WireError::Timeout(Phase::FirstByte));

    let half = Upstream::start(|_| vec![write("HTTP/1.1 200 OK\r\nX-A"), Act::Wait(LONG)]).await;
    let connection = wire().connect(KEY, &half.target(), Naming::Named, LONG).await.unwrap();
    assert_eq!(connection.send(request(), SHORT).await.unwrap_err(), WireError::Timeout(Phase::FirstByte));

    let stuck = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    let stuck = Upstream::start(move |_| vec![write(stuck), Act::Wait(LONG)]).await;
    let limits = ReadLimits { timeout: SHORT, ..LIMITS };
    let read = received(&stuck).await.unwrap().read(&scan(), ResponseRule::Scrub, limits).await;
    assert_eq!(read.unwrap_err(), WireError::Timeout(Phase::Body));
}

/// F1, F2: framing that two readers could read differently.
#[tokio::test]
async fn f1_ambiguous_framing() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-A: b\0c\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-A: b\rX-B: c\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\nok",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "<html>hello</html>",
        "",
    ] {
        let upstream = Upstream::answering(bytes).await;
        assert_eq!(get(&upstream).await.unwrap_err(), WireError::UpstreamFailed, "{bytes:?}");
    }
}

#[tokio::test]
async fn f1_heads_that_are_too_large() {
    let many: String = (0..101).map(|n| format!("X-{n}: a\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(70 * 1024));
    for headers in [many, long] {
        let upstream = Upstream::answering(response(&headers, b"")).await;
        assert_eq!(get(&upstream).await.unwrap_err(), WireError::UpstreamFailed);
    }
    let endless =
        Upstream::start(|_| vec![write("HTTP/1.1 200 OK\r\nX: "), Act::Forever(vec![b'a'; 4096])]).await;
    assert_eq!(get(&endless).await.unwrap_err(), WireError::UpstreamFailed);
}

/// HTTP/1.0 and a body that ends with the connection are old, not wrong.
#[tokio::test]
async fn f5_body_until_close() {
    for version in ["1.0", "1.1"] {
        let upstream = Upstream::answering(format!("HTTP/{version} 200 OK\r\nX-Ok: 1\r\n\r\nall {S}")).await;
        let scrubbed = get(&upstream).await.unwrap();
        assert_eq!(scrubbed.body, format!("all {MARKER}").into_bytes());
    }
}

#[tokio::test]
async fn f5_responses_without_body() {
    let head = "content-encoding: gzip\r\ncontent-length: 100\r\n\r\n";
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 304), (Method::GET, 204)] {
        let upstream = Upstream::answering(format!("HTTP/1.1 {status} X\r\n{head}")).await;
        let received = send(&wire(), &upstream, OutboundRequest::new(method, "/")).await.unwrap();
        let scrubbed = received.read(&scan(), ResponseRule::Scrub, LIMITS).await.unwrap();
        assert_eq!((scrubbed.status, scrubbed.body.len()), (status, 0));
    }
}

#[tokio::test]
async fn status_only_shows_nothing_else() {
    let small = Upstream::start(|_| vec![write(response(&format!("X-A: {S}\r\n"), S.as_bytes()))]).await;
    let wire = wire();
    let received = send(&wire, &small, request()).await.unwrap();
    let scrubbed = received.read(&scan(), ResponseRule::StatusOnly, LIMITS).await.unwrap();
    assert_eq!((scrubbed.status, scrubbed.headers.len(), scrubbed.body.len()), (200, 0, 0));
    assert_eq!(wire.idle_connections(), 1, "a small body is read away");

    // Even one that never ends, or that cannot be decoded.
    let head = "HTTP/1.1 201 OK\r\ncontent-encoding: foo\r\n\r\n";
    let endless = Upstream::start(move |_| vec![write(head), Act::Forever(vec![b'a'; 4096])]).await;
    let received = send(&wire, &endless, request()).await.unwrap();
    let scrubbed = received.read(&scan(), ResponseRule::StatusOnly, LIMITS).await.unwrap();
    assert_eq!((scrubbed.status, scrubbed.body.len()), (201, 0));
    assert_eq!(wire.idle_connections(), 1);
}

#[tokio::test]
async fn block_withholds_everything_at_a_finding() {
    for (headers, body, found) in [
        ("X-A: b\r\n".to_owned(), "clean".to_owned(), false),
        (format!("X-A: {S}\r\n"), "clean".to_owned(), true),
        (format!("X-{S}: b\r\n"), "clean".to_owned(), true),
        ("X-A: b\r\n".to_owned(), format!("{}{S}", "x".repeat(100_000)), true),
    ] {
        let upstream = Upstream::answering(response(&headers, body.as_bytes())).await;
        let received = received(&upstream).await.unwrap();
        let scrubbed = received.read(&scan(), ResponseRule::Block, LIMITS).await.unwrap();
        assert_eq!((scrubbed.withheld, scrubbed.status), (found, 200));
        assert_eq!(scrubbed.headers.is_empty(), found);
        assert_eq!(scrubbed.body.is_empty(), found);
        assert_eq!(scrubbed.findings.total() > 0, found);
    }
}

#[tokio::test]
async fn a2_where_a_redirect_points() {
    for (status, headers, location) in [
        (302, "Location: https://evil.test/x?y\r\n", Some("https://evil.test/x?y")),
        (307, "Location: /y\r\n", Some("/y")),
        (308, "Location: /y\r\nLocation: /z\r\n", None),
        (301, "", None),
        (303, "Location: \u{e4}\r\n", None),
        (200, "Location: /y\r\n", None),
        (201, "Location: /y\r\n", None),
        (300, "Location: /y\r\n", None),
        (304, "Location: /y\r\n", None),
    ] {
        let bytes = format!("HTTP/1.1 {status} X\r\n{headers}content-length: 0\r\n\r\n");
        let received = received(&Upstream::answering(bytes).await).await.unwrap();
        assert_eq!(received.redirect_location().as_deref(), location, "{status} {headers}");
    }
}
