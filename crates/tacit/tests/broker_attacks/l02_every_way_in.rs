//! L2: one way to the proxy on which less is checked than on the others. The same requests by CONNECT, absolute
//! URL, base URL, HTTP/2 and relay have the same outcomes.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};

use crate::{
    client::{Conn, request},
    ensure,
    lease::{Lease, Way},
    scene::{Scene, Verdict},
    world::World,
};

/// A connection to the proxy that needs no more credentials.
async fn relay(scene: &Scene, lease: &Lease) -> Conn {
    let mut conn = Conn::open(lease.proxy).await;
    let path = format!("/v1/workspaces/{}/leases/{}/relay", scene.workspace, lease.id);
    let token = format!("Bearer {}", lease.token);
    let headers = [("Authorization", token.as_str()), ("Connection", "Upgrade"), ("Upgrade", "tacit-proxy")];
    conn.write(request("GET", &path, &lease.proxy.to_string(), &headers, b"")).await;
    let answer = conn.answer().await;
    assert_eq!(answer.status, 101, "{}", answer.text());
    conn
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let more = serde_json::json!({"methods": ["GET", "POST"], "paths": ["/v1/**"]});
    let scene = Scene::with(world, "L2", more).await;
    scene.text_secret("OTHER", serde_json::json!({"paths": ["/other"]})).await;
    let lease = scene.lease_for(&scene.p, &["KEY", "OTHER"]).await;
    let foreign = scene.lease_for(&scene.p2, &["KEY"]).await;
    let (bearer, ph) = (lease.bearer("KEY"), lease.ph("KEY"));
    let authority = scene.authority();
    for (what, method, path, headers, status, code) in [
        ("allowed", "GET", "/v1/x", vec![("authorization", bearer.clone())], 200, ""),
        ("without anything", "GET", "/v1/x", vec![], 200, ""),
        (
            "another path",
            "GET",
            "/v2",
            vec![("authorization", bearer.clone())],
            403,
            "destination_not_allowed",
        ),
        (
            "another method",
            "DELETE",
            "/v1/x",
            vec![("authorization", bearer.clone())],
            403,
            "destination_not_allowed",
        ),
        (
            "another's secret",
            "GET",
            "/v1/x",
            vec![("authorization", lease.bearer("OTHER"))],
            403,
            "destination_not_allowed",
        ),
        (
            "another's placeholder",
            "GET",
            "/v1/x",
            vec![("authorization", foreign.bearer("KEY"))],
            422,
            "unknown_reference",
        ),
        (
            "a foreign credential",
            "GET",
            "/v1/x",
            vec![("authorization", "Bearer x".to_owned())],
            403,
            "foreign_credential",
        ),
        ("a cookie", "GET", "/v1/x", vec![("cookie", "a=b".to_owned())], 403, "foreign_credential"),
        ("a wrong place", "GET", "/v1/x", vec![("cookie", ph.to_owned())], 403, "placement_not_allowed"),
        (
            "concatenated",
            "GET",
            "/v1/x",
            vec![("authorization", format!("{bearer}x"))],
            403,
            "placement_not_allowed",
        ),
        ("a dot", "GET", "/v1/../v2", vec![("authorization", bearer.clone())], 400, "validation_failed"),
        ("TRACE", "TRACE", "/v1/x", vec![("authorization", bearer.clone())], 405, "validation_failed"),
        ("a large header", "GET", "/v1/x", vec![("x-large", "x".repeat(9 << 10))], 431, "validation_failed"),
    ] {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut outcomes = Vec::new();
        for way in Way::ALL {
            let answer = scene.via(way, &lease, method, path, &headers, b"").await;
            scene.noleak(what, &answer.raw)?;
            outcomes.push((way.name(), answer.status, answer.code()));
        }
        let mut conn = relay(&scene, &lease).await;
        conn.write(request(method, &format!("http://{authority}{path}"), &authority, &headers, b"")).await;
        let answer = conn.answer().await;
        outcomes.push(("a relay", answer.status, answer.code()));
        scene.noleak(what, &answer.raw)?;
        let mut sender = lease.http2(&authority).await;
        let mut request = Request::builder().method(method).uri(format!("https://{authority}{path}"));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await;
        let response = response.map_err(|error| format!("{what} over HTTP/2: {error}"))?;
        let told = response.status().as_u16();
        let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        scene.noleak(what, &body)?;
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        outcomes.push(("HTTP/2", told, problem["code"].as_str().unwrap_or_default().to_owned()));
        let is_right = outcomes.iter().all(|(_, got, told)| *got == status && told == code);
        ensure!(is_right, "{what} should be {status} {code} everywhere: {outcomes:?}");
    }
    Ok(())
}
