//! H3: the lease's token, taken elsewhere. It works from where the lease was asked for, for a quarter of an hour,
//! and is never sent on.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    client::{Conn, request},
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H3").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let (host, bearer, credentials) = (scene.authority(), lease.bearer("KEY"), lease.credentials());
    let elsewhere = "127.0.0.2".parse().unwrap();
    let headers = [("Proxy-Authorization", credentials.as_str()), ("Authorization", bearer.as_str())];
    let base = format!("/to/{}/{host}/", lease.token);
    for (what, bytes, status) in [
        ("CONNECT", request("CONNECT", &host, &host, &headers[..1], b""), 407),
        ("absolute", request("GET", &format!("http://{host}/"), &host, &headers, b""), 407),
        ("base URL", request("GET", &base, &lease.proxy.to_string(), &headers[1..], b""), 401),
    ] {
        let mut conn = Conn::open_from(elsewhere, lease.proxy).await;
        conn.write(&bytes).await;
        let answer = conn.head().await;
        ensure!(
            (answer.status, answer.code().as_str()) == (status, "unauthenticated"),
            "{what}: {}",
            answer.text()
        );
        let has_challenge = answer.header("proxy-authenticate").is_some();
        ensure!(has_challenge == (status == 407), "{what}: {}", answer.head);
    }
    let relay = format!("/v1/workspaces/h3/leases/{}/relay", lease.id);
    let token = format!("Bearer {}", lease.token);
    let upgrade = [("Authorization", token.as_str()), ("Connection", "Upgrade"), ("Upgrade", "tacit-proxy")];
    let mut conn = Conn::open_from(elsewhere, lease.proxy).await;
    conn.write(request("GET", &relay, &lease.proxy.to_string(), &upgrade, b"")).await;
    ensure!(conn.answer().await.status == 401, "a relay from elsewhere");
    // No token, one that is none, one of another kind: the same answer.
    let mut told = Vec::new();
    for credentials in [
        "Basic eDp5".to_owned(),
        format!("Bearer {}x", lease.token),
        format!("Bearer {}", scene.p.token),
        format!("Basic {}", STANDARD.encode(&lease.token)),
        format!("Basic {}", STANDARD.encode(format!("tacit:{}", scene.p.token))),
        "Digest x".to_owned(),
        String::new(),
    ] {
        let mut conn = Conn::open(lease.proxy).await;
        conn.write(request("CONNECT", &host, &host, &[("Proxy-Authorization", &credentials)], b"")).await;
        let answer = conn.head().await;
        ensure!(answer.status == 407, "{credentials}: {}", answer.status_line());
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        told.push(body);
    }
    ensure!(told.iter().all(|body| *body == told[0]), "answers differ: {told:?}");
    // It is no token for the API, and the API's is none for it.
    let mut api = scene.p.clone();
    api.token = lease.token.clone();
    api.get("/secrets").await.refused(401, "unauthenticated");
    // An address may be named, and then only that one.
    let body = json!({"environment": "test", "secrets": [{"name": "KEY"}], "allow_from": ["127.0.0.2/32"]});
    let bound = scene.lease_with(&scene.p, body).await;
    ensure!(bound.connect(&host).await.1.status == 407, "from an address that is not allowed");
    let mut conn = Conn::open_from(elsewhere, lease.proxy).await;
    conn.write(request("CONNECT", &host, &host, &[("Proxy-Authorization", &bound.credentials())], b"")).await;
    ensure!(conn.head().await.status == 200, "from the address that is allowed");
    // Neither token nor credentials ever leave, and programs do say where they were before.
    let before = format!("http://{}{base}page", lease.proxy);
    for way in Way::ALL {
        for referer in [before.as_str(), "https://elsewhere.test/", &base] {
            let headers = [("Authorization", bearer.as_str()), ("Referer", referer)];
            let answer = scene.via(way, &lease, "GET", "/x", &headers, b"").await;
            ensure!(answer.status == 200, "{way:?}: {}", answer.text());
        }
    }
    for seen in scene.seen() {
        let text = seen.text();
        ensure!(
            !text.contains(&lease.token) && !text.to_lowercase().contains("proxy-"),
            "the token was sent on: {text}"
        );
    }
    Ok(())
}
