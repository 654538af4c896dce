//! N7: the API and the proxy share a listener, and a connection belongs to one of them. A request for the proxy on a
//! connection of the API (or the other way round) would be read by the more lenient of two readers.

use crate::{
    client::{Conn, request},
    ensure,
    frames::Frames,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "N7", serde_json::json!({"paths": ["/v1/**"]})).await;
    let lease = scene.lease().await;
    let foreign = scene.lease_for(&scene.p2, &["KEY"]).await;
    let (host, bearer, credentials) = (scene.authority(), lease.bearer("KEY"), lease.credentials());
    let own = lease.proxy.to_string();
    let headers = [("Authorization", bearer.as_str()), ("Proxy-Authorization", credentials.as_str())];
    let base = format!("/to/{}/{host}/v1/x", lease.token);
    let url = format!("http://{host}/v1/x");
    let api = request("GET", "/healthz", &own, &[], b"");

    // First the API, then, on the same connection, what the strict reader never saw.
    for (what, second) in [
        ("a base URL", request("GET", &base, &own, &headers, b"")),
        ("an absolute URL", request("GET", &url, &host, &headers, b"")),
        ("a tunnel", request("CONNECT", &host, &host, &headers, b"")),
        ("two lengths", format!("POST {base} HTTP/1.1\r\nHost: {own}\r\nAuthorization: {bearer}\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").into_bytes()),
        ("a folded line", format!("GET {base} HTTP/1.1\r\nHost: {own}\r\nAuthorization: {bearer}\r\nX: a\r\n b\r\n\r\n").into_bytes()),
        ("HTTP/1.0", format!("GET {base} HTTP/1.0\r\nAuthorization: {bearer}\r\n\r\n").into_bytes()),
    ] {
        for is_at_once in [false, true] {
            let mut conn = Conn::open(lease.proxy).await;
            if is_at_once {
                conn.write([api.clone(), second.clone()].concat()).await;
                ensure!(conn.answer().await.status == 200, "the API did not answer");
            } else {
                conn.write(&api).await;
                ensure!(conn.answer().await.status == 200, "the API did not answer");
                conn.write(&second).await;
            }
            let answer = conn.head().await;
            ensure!(answer.status == 0 || answer.status >= 400, "{what}: {}", answer.status_line());
        }
    }
    // First the proxy, then the API, with somebody's token.
    let token = format!("Bearer {}", scene.owner.token);
    let secrets = format!("/v1/workspaces/{}/secrets", scene.workspace);
    let mut conn = Conn::open(lease.proxy).await;
    conn.write(request("GET", &base, &own, &headers[..1], b"")).await;
    ensure!(conn.answer().await.status == 200, "a base URL does not work at all");
    conn.write(request("GET", &secrets, &own, &[("Authorization", &token)], b"")).await;
    let answer = conn.answer().await;
    ensure!(answer.status == 404, "the API answered on a connection of the proxy: {}", answer.status_line());
    let heard = scene.seen().len();
    ensure!(heard == 1, "{heard} requests arrived");

    // A base URL over HTTP/2 comes by the API's door: there it is judged as everywhere else.
    let other = foreign.bearer("KEY");
    let with_user = format!("/to/{}/user@{host}/v1/x", lease.token);
    let dots = format!("/to/{}/{host}/v1/../v2", lease.token);
    let elsewhere = format!("/to/{}/{}/v1/x", lease.token, scene.evil_authority());
    let untold = format!("/to/{}x/{host}/v1/x", lease.token);
    for (what, method, path, authorization, code) in [
        ("as it should be", "GET", base.as_str(), bearer.as_str(), ""),
        ("another's placeholder", "GET", &base, &other, "unknown_reference"),
        ("a foreign credential", "GET", &base, "Bearer mine", "foreign_credential"),
        ("another path", "GET", &base.replace("/v1/", "/v2/"), &bearer, "destination_not_allowed"),
        ("dots", "GET", &dots, &bearer, "validation_failed"),
        ("a user", "GET", &with_user, &bearer, "validation_failed"),
        ("another host", "GET", &elsewhere, &bearer, "destination_not_allowed"),
        ("TRACE", "TRACE", &base, &bearer, "not_found"),
        ("no token", "GET", &untold, &bearer, "unauthenticated"),
    ] {
        let heard = scene.seen().len();
        let fields = [
            (":method", method),
            (":scheme", "http"),
            (":authority", own.as_str()),
            (":path", path),
            ("authorization", authorization),
            ("referer", base.as_str()),
        ];
        let mut frames = Frames::open(Conn::open(lease.proxy).await).await;
        let outcome = frames.ask(&fields, b"", &[]).await;
        scene.noleak(what, &outcome.body)?;
        let problem: serde_json::Value = serde_json::from_slice(&outcome.body).unwrap_or_default();
        let told = problem["code"].as_str().unwrap_or_default();
        let arrived = scene.seen().len() - heard;
        ensure!(told == code, "{what} should be {code:?}: {}", outcome.text());
        ensure!(arrived == usize::from(code.is_empty()), "{what}: {arrived} requests arrived");
        if code.is_empty() {
            let seen = scene.last();
            ensure!(seen.headers("host") == [host.as_str()], "it went out as {}", seen.text());
            ensure!(!seen.text().contains(&lease.token), "the lease's token was sent on: {}", seen.text());
        }
    }
    // What only one connection means, and what is no request for a base URL at all.
    for fields in [
        vec![(":method", "CONNECT"), (":authority", host.as_str()), ("proxy-authorization", &credentials)],
        vec![
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", &own),
            (":path", &base),
        ],
        vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", &host),
            (":path", "/v1/x"),
            ("authorization", &bearer),
        ],
        vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", &own),
            (":path", &url),
            ("authorization", &bearer),
        ],
    ] {
        let heard = scene.seen().len();
        let mut frames = Frames::open(Conn::open(lease.proxy).await).await;
        let outcome = frames.ask(&fields, b"", &[]).await;
        scene.noleak("an odd request", &outcome.body)?;
        ensure!(scene.seen().len() == heard, "{fields:?} was sent on: {}", outcome.text());
    }
    let answer = scene.via(Way::Base, &lease, "GET", "/v1/x", &headers[..1], b"").await;
    ensure!(answer.status == 200 && scene.evil_count() == 0, "{}", answer.text());
    scene.nosend()
}
