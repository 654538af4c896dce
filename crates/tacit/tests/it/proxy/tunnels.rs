//! Tunnels: what they carry, and to where they lead unread.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    KEY, Scene,
    client::{self},
};

/// Other hosts: a tunnel that nobody looks into, or none.
#[tokio::test]
async fn other_hosts() {
    let scene = Scene::new().await;
    let other = format!("other.localhost:{}", scene.other.port);
    let lease = scene.lease(json!({})).await;
    let stream = lease.connect(&other).await.unwrap();
    // The service's own certificate, not one of the lease's.
    assert!(client::handshake(stream, "other.localhost", &lease.ca_pem, "http/1.1").await.is_err());
    let stream = lease.connect(&other).await.unwrap();
    client::handshake(stream, "other.localhost", &scene.certificates.ca_pem, "http/1.1").await.unwrap();
    let event = scene.server.owner.event_soon("verb=request.send&outcome=succeeded").await;
    assert_eq!(event["object"], "request:CONNECT", "{event}");
    let blocked = scene.lease(json!({"other_hosts": "block"})).await;
    blocked.connect(&other).await.unwrap_err().refused(403, "destination_not_allowed");
    blocked.connect(&scene.good()).await.unwrap();
    // Tacit itself, under whatever address (attack A14), and metadata services.
    for own in [
        lease.address.replace("127.0.0.1", "127.0.0.2"),
        lease.address.replace("127.0.0.1", "localhost"),
        "169.254.169.254:80".to_owned(),
    ] {
        lease.connect(&own).await.unwrap_err().refused(403, "address_blocked");
    }
}

/// A private host that is reached through us alone: no tunnel is the way round what its destinations say.
#[tokio::test]
async fn private_hosts_with_rules_are_not_tunnelled_to() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({"secrets": [{"name": "LOGIN"}]})).await;
    let authority = format!("127.0.0.1:{}", scene.other.port);
    for (name, rule) in [
        ("EXCLUSIVE", json!({"exclusive": true})),
        ("SHOWS_STATUS", json!({"exclusive": false, "response": "status_only"})),
        ("BLOCKS", json!({"exclusive": false, "response": "block"})),
        ("STORES", json!({"exclusive": false, "places": ["auth", "json:/note"]})),
    ] {
        let mut destination = json!({"host": "127.0.0.1", "port": scene.other.port});
        destination.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        let values = json!({"test": {"value": format!("{name}-Hd1Js0GuZq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6")}});
        let secret = json!({"name": name, "destinations": [destination], "values": values});
        scene.server.owner.post("/secrets", secret).await.expect(201);
        lease.connect(&authority).await.unwrap_err().refused(403, "address_blocked");
        scene.server.owner.delete(&format!("/secrets/{name}?force=true")).await.expect(200);
    }
    let open = json!({"host": "127.0.0.1", "port": scene.other.port, "exclusive": false});
    let secret = json!({"name": "OPEN", "destinations": [open], "values": {"test": {"value": KEY}}});
    scene.server.owner.post("/secrets", secret).await.expect(201);
    lease.connect(&authority).await.unwrap();
    scene.server.owner.event_soon("verb=request.send&outcome=denied").await;
    assert!(scene.other.got().is_empty());
}

/// What a tunnel does not carry: another name, no TLS, another tunnel, another protocol (attacks A3, A4, A21, A22, C10).
#[tokio::test]
async fn inside_a_tunnel() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let stream = lease.connect(&scene.good()).await.unwrap();
    assert!(client::handshake(stream, "evil.test", &lease.ca_pem, "http/1.1").await.is_err());
    let mut stream = lease.connect(&scene.good()).await.unwrap();
    stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"SSH"), "{answer:?}");
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n".to_owned(), "421"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (format!("CONNECT evil.test:443 HTTP/1.1\r\nHost: {}\r\n\r\n", scene.good()), "405"),
        (format!("TRACE / HTTP/1.1\r\nHost: {}\r\n\r\n", scene.good()), "405"),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                scene.good()
            ),
            "501",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: {}\r\nConnection: authorization\r\nAuthorization: x\r\n\r\n",
                scene.good()
            ),
            "400",
        ),
        (format!("GET /a/../b HTTP/1.1\r\nHost: {}\r\n\r\n", scene.good()), "400"),
        (format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Long: {}\r\n\r\n", scene.good(), "x".repeat(9000)), "431"),
    ] {
        let mut stream = lease.tls(&scene.good(), "http/1.1").await.unwrap();
        // A second request right behind a refusal is not answered (attack F4).
        let behind = format!("{head}GET /behind HTTP/1.1\r\nHost: {}\r\n\r\n", scene.good());
        stream.write_all(behind.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    assert!(scene.good.got().is_empty(), "{:?}", scene.good.got());
}
