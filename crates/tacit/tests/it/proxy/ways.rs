//! The ways in: a tunnel, an absolute URL, a base URL, a relay, over HTTP/1.1 and HTTP/2, with TLS and without.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    KEY, PASSWORD, Scene, VENDOR_KEY, bearer,
    client::{self, Answer, whole},
    upstream::{Certificates, Upstream},
};
use crate::harness::{Options, Server};

/// The reason for all of it: a program sends a placeholder, the service gets the value, the program never sees it.
#[tokio::test]
async fn bearer_basic_and_api_key_through_a_tunnel() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let answer = lease.send(&scene.good(), "/echo/x?a=b", &[("authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(scene.good.last().header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(scene.good.last().line, "GET /echo/x?a=b");
    assert!(answer.text.contains("[sealed:STRIPE_KEY]"), "{}", answer.text);
    assert_eq!(answer.headers["x-upstream"], "yes");
    scene.is_clean(&answer.text);

    for user in ["", "ada"] {
        let pair = STANDARD.encode(format!("{user}:{}", lease.placeholder("LOGIN")));
        let answer = lease.send(&scene.good(), "/echo", &[("authorization", &format!("Basic {pair}"))]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let stored = STANDARD.encode(format!("ada:{PASSWORD}"));
        assert_eq!(scene.good.last().header("authorization"), format!("Basic {stored}"));
        scene.is_clean(&answer.text);
        assert!(!answer.text.contains(&stored[8..]), "{}", answer.text);
    }
    // Git services take a token as the user name too, beside a word of theirs.
    for (pair, sent) in [
        ("x-access-token:{}", format!("x-access-token:{KEY}")),
        ("{}:x-oauth-basic", format!("{KEY}:x-oauth-basic")),
        ("{}:", format!("{KEY}:")),
    ] {
        let pair = STANDARD.encode(pair.replace("{}", lease.placeholder("STRIPE_KEY")));
        let answer = lease.send(&scene.good(), "/echo", &[("authorization", &format!("Basic {pair}"))]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(scene.good.last().header("authorization"), format!("Basic {}", STANDARD.encode(sent)));
        scene.is_clean(&answer.text);
    }
    // Another user name beside a stored pair would try the password on another account.
    let heard = scene.good.got().len();
    for pair in ["mallory:{}", "{}:x-oauth-basic", "{}:mine"] {
        let pair = STANDARD.encode(pair.replace("{}", lease.placeholder("LOGIN")));
        let answer = lease.send(&scene.good(), "/echo", &[("authorization", &format!("Basic {pair}"))]).await;
        answer.refused(403, "placement_not_allowed");
    }
    assert_eq!(scene.good.got().len(), heard);
    // Other types have no user name of their own.
    let pair = STANDARD.encode(format!("x:{}", lease.placeholder("STRIPE_KEY")));
    lease.send(&scene.good(), "/echo", &[("authorization", &format!("Basic {pair}"))]).await;
    let sent = STANDARD.encode(format!("x:{KEY}"));
    assert_eq!(scene.good.last().header("authorization"), format!("Basic {sent}"));

    let answer = lease.send(&scene.good(), "/echo", &[("x-vendor-id", lease.placeholder("VENDOR"))]).await;
    assert_eq!(scene.good.last().header("x-vendor-id"), VENDOR_KEY);
    scene.is_clean(&answer.text);

    let event = scene.server.owner.event_soon("verb=secret.use&object=secret:VENDOR&outcome=succeeded").await;
    assert_eq!((&event["actor"], &event["lease"]), (&json!(scene.editor.name), &json!(lease.id)), "{event}");
}

/// The same over HTTP/2, where each stream says for itself where it goes (attack A5).
#[tokio::test]
async fn http2_through_a_tunnel() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let mut sender = lease.http2(&scene.good()).await;
    let request = |authority: &str| {
        Request::builder()
            .uri(format!("https://{authority}/echo"))
            .header("authorization", bearer(&lease))
            .body(whole(""))
            .unwrap()
    };
    let (one, spoofed, three) = tokio::join!(
        sender.clone().send_request(request(&scene.good())),
        sender.clone().send_request(request("evil.test")),
        sender.send_request(request(&scene.good())),
    );
    let one = Answer::of(one.unwrap()).await;
    assert_eq!(one.status, 200, "{}", one.text);
    scene.is_clean(&one.text);
    assert_eq!(Answer::of(three.unwrap()).await.status, 200);
    assert_eq!(Answer::of(spoofed.unwrap()).await.status, 421);
    assert_eq!(scene.good.got().len(), 2);
    assert_eq!(scene.good.last().header("authorization"), format!("Bearer {KEY}"));
}

/// An absolute URL and a base URL: `http` stays so where a destination says so, and is upgraded where one says `https`.
#[tokio::test]
async fn absolute_and_base_urls() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let credentials = lease.credentials();
    let headers = [("proxy-authorization", credentials.as_str()), ("authorization", &bearer(&lease))];
    let plain = format!("127.0.0.1:{}", scene.plain.port);
    let answer = lease.send_plain(&format!("http://{plain}/echo"), &plain, &headers).await;
    assert_eq!(
        (answer.status, scene.plain.last().header("authorization")),
        (200, format!("Bearer {KEY}").as_str())
    );
    assert_eq!(scene.plain.last().header("proxy-authorization"), "");
    scene.is_clean(&answer.text);
    let answer = lease.send_plain(&format!("http://{}/echo", scene.good()), &scene.good(), &headers).await;
    assert_eq!(
        (answer.status, scene.good.last().header("authorization")),
        (200, format!("Bearer {KEY}").as_str())
    );

    // With a base URL the token is in the path, and `Host` is the server's own.
    let path = format!("/to/{}/{}/echo/base?x=1", lease.token, scene.good());
    // Programs say where they were before, which would tell the service the token.
    let before = format!("http://{}{path}", lease.address);
    let headers_of_a_page = [("authorization", bearer(&lease)), ("referer", before)];
    let headers_of_a_page = headers_of_a_page.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = lease.send_plain(&path, &lease.address, &headers_of_a_page).await;
    assert_eq!((answer.status, scene.good.last().line.as_str()), (200, "GET /echo/base?x=1"));
    assert_eq!(scene.good.last().header("referer"), "");
    scene.is_clean(&answer.text);
    assert!(!scene.server.log().contains(&lease.token), "the log holds a token");

    // A Host that says something else is somebody's trick (attack A3).
    let url = format!("http://{plain}/echo");
    lease.send_plain(&url, "evil.test", &headers).await.refused(421, "validation_failed");
    // Nobody's token, and none, are one answer.
    for token in ["tct_ls_x".to_owned(), scene.editor.token.clone()] {
        let bad = format!("Bearer {token}");
        lease
            .send_plain(&url, &plain, &[("proxy-authorization", &bad)])
            .await
            .refused(407, "unauthenticated");
    }
    let none = lease.send_plain(&url, &plain, &[]).await;
    none.refused(407, "unauthenticated");
    assert_eq!(none.headers["proxy-authenticate"], "Basic realm=\"tacit\"");
}

/// A base URL over HTTP/2 shares a connection with the API, and ends with its lease like everything else.
#[tokio::test]
async fn base_urls_over_http2() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let stream = tokio::net::TcpStream::connect(&lease.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = |path: &str| {
        let uri = format!("http://{}/to/{}/{}{path}", lease.address, lease.token, scene.good());
        Request::get(uri).header("authorization", bearer(&lease)).body(whole("")).unwrap()
    };
    let answer = Answer::of(sender.send_request(request("/echo?x=1")).await.unwrap()).await;
    assert_eq!((answer.status, scene.good.last().line.as_str()), (200, "GET /echo?x=1"), "{}", answer.text);
    assert_eq!(scene.good.last().header("authorization"), format!("Bearer {KEY}"));
    scene.is_clean(&answer.text);
    let mut body = sender.send_request(request("/endless")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    scene.editor.delete(&format!("/leases/{}", lease.id)).await.expect(204);
    let ended = Instant::now();
    while let Some(Ok(_)) = body.frame().await {}
    // Uncut it would go on for twenty seconds.
    assert!(ended.elapsed() < Duration::from_secs(15), "{:?}", ended.elapsed());
    let refused = Answer::of(sender.send_request(request("/echo")).await.unwrap()).await;
    refused.refused(401, "unauthenticated");
    // Over HTTP/1.1 a connection is the API's or the proxy's.
    let mixed = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /to/{}/{}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        lease.token,
        scene.good()
    );
    assert!(lease.raw(&mixed).await.contains("HTTP/1.1 421 "));
}

/// A listener with TLS is a proxy with TLS: a tunnel in a tunnel for the client.
#[tokio::test]
async fn a_proxy_behind_tls() {
    let certificates = Certificates::new();
    let good = Upstream::start(&certificates).await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (chain, key) = certificates.pem();
    for (name, text) in [("ca.pem", &certificates.ca_pem), ("chain.pem", &chain), ("key.pem", &key)] {
        std::fs::write(path(name), text).unwrap();
    }
    let arguments = ["--allow-private", "127.0.0.0/8,::1/128"].map(str::to_owned).into_iter();
    let files = [("--upstream-ca", "ca.pem"), ("--tls-cert", "chain.pem"), ("--tls-key", "key.pem")];
    let files = files.into_iter().flat_map(|(flag, name)| [flag.to_owned(), path(name)]);
    let options = Options { arguments: arguments.chain(files).collect(), ..Options::default() };
    let server = Server::start_with(options).await;
    let address = server.url.trim_start_matches("https://").to_owned();
    let connect = async || {
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        client::handshake(stream, "127.0.0.1", &certificates.ca_pem, "http/1.1").await.unwrap()
    };
    let post = async |path: &str, body: Value| {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(connect().await)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("/v1/workspaces/default{path}"))
            .header("host", &address)
            .header("authorization", format!("Bearer {}", server.owner.token))
            .header("content-type", "application/json");
        let answer = sender.send_request(request.body(whole(body.to_string())).unwrap()).await.unwrap();
        let answer = Answer::of(answer).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        serde_json::from_str::<Value>(&answer.text).unwrap()
    };
    let secret = json!({"name": "K", "type": "bearer_token", "destinations": [{"host": "good.localhost", "port": good.port}], "values": {"test": {"token": KEY}}});
    post("/secrets", secret).await;
    let given = post("/leases", json!({"environment": "test", "secrets": [{"name": "K"}]})).await;
    let text = |name: &str| given[name].as_str().unwrap();
    assert_eq!(text("proxy_url"), format!("https://tacit:{}@{address}", text("token")));
    let mut stream = connect().await;
    let connect = format!(
        "CONNECT good.localhost:{0} HTTP/1.1\r\nHost: good.localhost:{0}\r\nProxy-Authorization: Bearer {1}\r\n\r\n",
        good.port,
        text("token")
    );
    stream.write_all(connect.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
    let stream = client::handshake(stream, "good.localhost", text("ca_pem"), "http/1.1").await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/echo")
        .header("host", format!("good.localhost:{}", good.port))
        .header("authorization", format!("Bearer {}", given["secrets"]["K"].as_str().unwrap()));
    let answer = sender.send_request(request.body(whole("")).unwrap()).await.unwrap();
    assert_eq!(Answer::of(answer).await.status, 200);
    assert_eq!(good.last().header("authorization"), format!("Bearer {KEY}"));
}

/// The relay: a connection of the API that becomes one of the proxy, which asks for no token any more.
#[tokio::test]
async fn the_relay() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let relay = |id: &str, token: &str| {
        format!(
            "GET /v1/workspaces/default/leases/{id}/relay HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: tacit-proxy\r\n\r\n"
        )
    };
    let open = async || {
        let mut stream = tokio::net::TcpStream::connect(&lease.address).await.unwrap();
        stream.write_all(relay(&lease.id, &lease.token).as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        stream
    };
    let mut stream = open().await;
    let connect = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", scene.good());
    stream.write_all(connect.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
    let mut stream = client::handshake(stream, "good.localhost", &lease.ca_pem, "http/1.1").await.unwrap();
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        scene.good(),
        bearer(&lease)
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(scene.good.last().header("authorization"), format!("Bearer {KEY}"));
    scene.is_clean(&answer);
    // A base URL, and the same from a program that sends its base URL to its proxy; the relay has any port there is.
    let base = format!("/to/-/{}/echo?x=1", scene.good());
    for (target, host, status) in [
        (base.clone(), "127.0.0.1:4321", "200"),
        (format!("http://127.0.0.1:4321{base}"), "127.0.0.1:4321", "200"),
        (format!("http://127.0.0.1:4321{base}"), "127.0.0.1:4322", "421"),
        (format!("http://127.0.0.1:4321/to/{}/{}/echo", lease.token, scene.good()), "127.0.0.1:4321", "403"),
        (format!("http://elsewhere.test{base}"), "elsewhere.test", "403"),
        (format!("http://127.0.0.1:4321/to/-/127.0.0.1:4321{base}"), "127.0.0.1:4321", "403"),
    ] {
        let heard = scene.good.got().len();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
            bearer(&lease)
        );
        let mut stream = open().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
        assert_eq!(scene.good.got().len() - heard, usize::from(status == "200"), "{target}");
        scene.is_clean(&answer);
    }
    assert_eq!(scene.good.last().line, "GET /echo?x=1");
    // Without a relay there is no `-`: the token says whose request it is.
    let outside = format!("GET {base} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", lease.address);
    assert!(lease.raw(&outside).await.starts_with("HTTP/1.1 401 "));
    let another = scene.lease(json!({})).await;
    for (id, token) in [(&another.id, &lease.token), (&lease.id, &scene.editor.token)] {
        assert!(lease.raw(&relay(id, token)).await.starts_with("HTTP/1.1 401 "));
    }
}
