//! N2: HTTP/2 carries bytes in fields and frames that HTTP/1.1 would read as line ends, as a second request or as
//! another length. What the upstream reads is the one request that was judged, or nothing.

use crate::{
    ensure,
    frames::Frames,
    scene::{Scene, Verdict},
    world::World,
};

type Fields = Vec<(&'static str, String)>;

/// Requests with a body that looks like a second request.
const BODIES: usize = 7;

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N2").await;
    let lease = scene.lease().await;
    let (host, evil, bearer) = (scene.authority(), scene.evil_authority(), lease.bearer("KEY"));
    let base = |changes: &[(&'static str, &str)], more: &[(&'static str, &str)]| -> Fields {
        let mut fields: Fields = vec![
            (":method", "POST".to_owned()),
            (":scheme", "https".to_owned()),
            (":authority", host.clone()),
            (":path", "/x".to_owned()),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            if !value.is_empty() {
                fields.push((name, (*value).to_owned()));
            }
        }
        fields.push(("authorization", bearer.clone()));
        fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        fields
    };
    let second = format!("GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let in_line = format!("/x HTTP/1.1\r\nHost: {evil}\r\n\r\nGET /smuggled");
    let in_value = format!("1\r\nHost: {evil}\r\n\r\n{second}");
    let as_method = format!("GET /smuggled HTTP/1.1\r\nHost: {evil}\r\n\r\nGET");
    let evil_url = format!("https://{evil}/x");
    let user = format!("good@{evil}");

    let with_body: [(&str, Fields); BODIES] = [
        ("no length", base(&[(":path", "/body")], &[])),
        ("a length of nothing", base(&[(":path", "/body")], &[("content-length", "0")])),
        ("a shorter length", base(&[(":path", "/body")], &[("content-length", "5")])),
        ("a longer length", base(&[(":path", "/body")], &[("content-length", "5000")])),
        ("two lengths", base(&[(":path", "/body")], &[("content-length", "0"), ("content-length", "52")])),
        ("chunks", base(&[(":path", "/body")], &[("transfer-encoding", "chunked")])),
        (
            "chunks in another spelling",
            base(&[(":path", "/body")], &[("transfer-encoding", "Chunked, identity")]),
        ),
    ];
    let with_fields: [(&str, Fields); 25] = [
        ("a line break in a value", base(&[], &[("x-a", &in_value)])),
        ("a bare line feed in a value", base(&[], &[("x-a", "1\nx-evil: 1")])),
        ("a bare carriage return in a value", base(&[], &[("x-a", "1\rx-evil: 1")])),
        ("a zero in a value", base(&[], &[("x-a", "1\0x-evil: 1")])),
        ("a line break in a name", base(&[], &[("x-a: 1\r\nx-evil", "1")])),
        ("a colon in a name", base(&[], &[("x-evil:", "1")])),
        ("a blank in a name", base(&[], &[("x-evil ", "1")])),
        ("capitals in a name", base(&[], &[("X-Evil", "1")])),
        ("no name", base(&[], &[("", "x-evil")])),
        ("a request line as the method", base(&[(":method", &as_method)], &[])),
        ("a blank in the method", base(&[(":method", "GET /smuggled")], &[])),
        ("a request line in the path", base(&[(":path", &in_line)], &[])),
        ("a blank in the path", base(&[(":path", "/x /smuggled")], &[])),
        ("a URL as the path", base(&[(":path", &evil_url)], &[])),
        ("an asterisk", base(&[(":path", "*")], &[])),
        ("no slash", base(&[(":path", "x")], &[])),
        ("no path", base(&[(":path", "")], &[])),
        ("two paths", base(&[], &[(":path", "/smuggled")])),
        ("two authorities", base(&[], &[(":authority", &evil)])),
        ("a user in the authority", base(&[(":authority", &user)], &[])),
        ("no authority", base(&[(":authority", "")], &[])),
        ("a URL as the scheme", base(&[(":scheme", &evil_url)], &[])),
        ("plain http", base(&[(":scheme", "http")], &[])),
        ("a connection's header", base(&[], &[("connection", "authorization")])),
        ("a socket", base(&[(":method", "CONNECT"), (":protocol", "websocket")], &[])),
    ];
    let cases = with_body.into_iter().map(|(what, fields)| (what, fields, second.as_bytes()));
    let cases: Vec<_> =
        cases.chain(with_fields.into_iter().map(|(what, fields)| (what, fields, &b""[..]))).collect();
    for (what, fields, body) in &cases {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut frames = Frames::open(lease.tunnel_alpn(&host, &[b"h2"]).await).await;
        let outcome = frames.ask(&fields, body, &[]).await;
        ensure!(outcome.is_answered || outcome.is_reset, "{what}: there was no answer");
        scene.noleak(what, &outcome.body)?;
        // One after it, to see that nothing was left on the way.
        let works = scene.get(&lease, "/works").await;
        ensure!(works.status == 200, "{what}: the next request was refused: {}", works.text());
    }
    // A reset may come before the upstream has read what was sent on by then, so all of it is judged together.
    let (works, others): (Vec<_>, Vec<_>) =
        scene.seen().into_iter().partition(|seen| seen.line() == "GET /works HTTP/1.1");
    ensure!(works.len() == cases.len(), "{} of {} arrived", works.len(), cases.len());
    ensure!(!others.is_empty(), "nothing arrived, not even what is right");
    ensure!(others.len() <= BODIES, "{} requests became {}", BODIES, others.len());
    for seen in others {
        ensure!(
            seen.line() == "POST /body HTTP/1.1" && seen.headers("host") == [host.as_str()],
            "this arrived: {}",
            seen.text()
        );
        let is_framed = seen.headers("content-length").len() + seen.headers("transfer-encoding").len() == 1;
        ensure!(is_framed, "framed twice or not at all: {}", seen.text());
    }
    ensure!(scene.evil_count() == 0, "the evil host was called");
    scene.nosend()
}
