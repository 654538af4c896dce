//! The proxy: programs that hold placeholders, and a service that gets the values.

mod client;
mod upstream;

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{
    client::{Answer, Lease, whole},
    upstream::{Certificates, Upstream},
};
use crate::harness::{Client, Options, Server};

const KEY: &str = "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
const PASSWORD: &str = "Rk2Sl7Tm4Un9Vo1Wp6Xq3Yr8Zs5At0Bu";
const VENDOR_KEY: &str = "Bx6Cy1Dz9Ea4Fb7Gc2Hd5Ie8Jf3Kg0Lh";

/// A server, a service that three secrets may go to, another one that a secret outside the lease may go to, and a plain one.
struct Scene {
    server: Server,
    good: Upstream,
    other: Upstream,
    plain: Upstream,
    certificates: Certificates,
    editor: Client,
    _directory: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let certificates = Certificates::new();
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, &certificates.ca_pem).unwrap();
        let (good, other) = (Upstream::start(&certificates).await, Upstream::start(&certificates).await);
        let plain = Upstream::start_plain().await;
        let arguments = ["--allow-private", "127.0.0.0/8,::1/128", "--upstream-ca", ca.to_str().unwrap()];
        let arguments = arguments.map(str::to_owned).to_vec();
        let server = Server::start_with(Options { arguments, ..Options::default() }).await;
        let editor = server.client("editor").await;
        let at_good = json!({"host": "good.localhost", "port": good.port, "places": ["auth", "query:key", "json:/client/secret"]});
        let by_address =
            json!({"host": "127.0.0.1", "port": good.port, "methods": ["GET"], "paths": ["/echo/**"]});
        let at_plain = json!({"host": "127.0.0.1", "scheme": "http", "port": plain.port});
        for secret in [
            json!({"name": "STRIPE_KEY", "type": "bearer_token", "destinations": [at_good, by_address, at_plain], "values": {"test": {"token": KEY}}}),
            json!({"name": "LOGIN", "type": "basic_auth", "destinations": [at_good], "values": {"test": {"username": "ada", "password": PASSWORD}}}),
            json!({"name": "VENDOR", "type": "api_key", "destinations": [at_good], "values": {"test": {"header": "X-Vendor-Id", "key": VENDOR_KEY}}}),
            json!({"name": "ELSEWHERE", "destinations": [{"host": "other.localhost", "port": other.port, "exclusive": false}], "values": {"test": {"value": "Dw9Ex4Fy7Gz2Ha5Ib8Jc3Kd6Le1Mf0Ng"}}}),
        ] {
            server.owner.post("/secrets", secret).await.expect(201);
        }
        Self { server, good, other, plain, certificates, editor, _directory: directory }
    }

    /// A lease of the editor's on the three secrets.
    async fn lease(&self, more: Value) -> Lease {
        let mut body = json!({"environment": "test", "secrets": [{"name": "STRIPE_KEY"}, {"name": "LOGIN"}, {"name": "VENDOR"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let given = self.editor.post("/leases", body).await.expect(201);
        let text = |name: &str| given[name].as_str().unwrap().to_owned();
        assert!(text("proxy_url").starts_with("http://tacit:tct_ls_"), "{given}");
        Lease {
            id: text("id"),
            token: text("token"),
            placeholders: given["secrets"].clone(),
            ca_pem: text("ca_pem"),
            address: self.server.url.trim_start_matches("http://").to_owned(),
        }
    }

    fn good(&self) -> String {
        format!("good.localhost:{}", self.good.port)
    }

    /// Nothing of any value, in whatever form a person would notice.
    #[track_caller]
    fn is_clean(&self, text: &str) {
        for value in [KEY, PASSWORD, VENDOR_KEY] {
            assert!(!text.contains(&value[8..24]), "{text}");
        }
    }
}

fn bearer(lease: &Lease) -> String {
    format!("Bearer {}", lease.placeholder("STRIPE_KEY"))
}

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
    // Another user name beside a stored pair would try the password on another account.
    let heard = scene.good.got().len();
    let pair = STANDARD.encode(format!("mallory:{}", lease.placeholder("LOGIN")));
    let answer = lease.send(&scene.good(), "/echo", &[("authorization", &format!("Basic {pair}"))]).await;
    answer.refused(403, "placement_not_allowed");
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
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
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

/// A1, A17: a placeholder goes to its destinations, and everywhere else nothing is sent.
#[tokio::test]
async fn refusals() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let auth = bearer(&lease);
    let by_address = format!("127.0.0.1:{}", scene.good.port);
    let denied = |code| scene.server.owner.event_soon(code);
    // Another path than the destination by address allows.
    lease
        .send(&by_address, "/v1/x", &[("authorization", &auth)])
        .await
        .refused(403, "destination_not_allowed");
    denied("verb=secret.use&object=secret:STRIPE_KEY&outcome=denied").await;
    lease.send(&by_address, "/echo/x", &[("authorization", &auth)]).await;
    assert_eq!(scene.good.got().len(), 1);
    // A bound host by another port.
    let answer = lease.connect(&format!("good.localhost:{}", scene.other.port)).await.unwrap_err();
    answer.refused(403, "destination_not_allowed");
    denied("verb=request.send&outcome=denied").await;
    // Placeholders that are nobody's, of another lease, or in the wrong place.
    let another = scene.lease(json!({})).await;
    let foreign = bearer(&another);
    let made_up = format!("Bearer {}", another.placeholder("VENDOR"));
    let mut told = Vec::new();
    for value in [&foreign, &made_up] {
        let answer = lease.send(&scene.good(), "/echo", &[("authorization", value)]).await;
        answer.refused(422, "unknown_reference");
        let mut problem: Value = serde_json::from_str(&answer.text).unwrap();
        problem["request_id"].take();
        told.push(problem);
    }
    assert_eq!(told[0], told[1]);
    let doubled = format!("{auth}x");
    for (name, value) in
        [("authorization", doubled.as_str()), ("cookie", &auth), ("x-auth-key", lease.placeholder("LOGIN"))]
    {
        lease.send(&scene.good(), "/echo", &[(name, value)]).await.refused(403, "placement_not_allowed");
    }
    // Somebody's own credential on a host that wants none but stored ones.
    lease
        .send(&scene.good(), "/echo", &[("authorization", "Bearer mine")])
        .await
        .refused(403, "foreign_credential");
    assert_eq!(scene.good.got().len(), 1);
    // Everywhere else a placeholder is text.
    let text = lease.placeholder("STRIPE_KEY");
    lease.send(&scene.good(), &format!("/echo?q={text}"), &[("x-note", text), ("user-agent", text)]).await;
    let got = scene.good.last();
    assert_eq!((got.header("x-note"), got.header("user-agent")), (text, text));
    assert!(got.line.ends_with(text));
}

/// Declared places: a query parameter and a field of a JSON body.
#[tokio::test]
async fn declared_places() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let text = lease.placeholder("STRIPE_KEY");
    let answer = lease.send(&scene.good(), &format!("/echo?key={text}&b=1"), &[]).await;
    assert_eq!(scene.good.last().line, format!("GET /echo?key={KEY}&b=1"));
    scene.is_clean(&answer.text);
    let post = async |body: String, content_type: &str| {
        let mut sender = lease.http1(&scene.good()).await;
        let request =
            Request::post("/echo").header("host", scene.good()).header("content-type", content_type);
        Answer::of(sender.send_request(request.body(whole(body)).unwrap()).await.unwrap()).await
    };
    let body = json!({"client": {"secret": text}, "note": text});
    let answer = post(body.to_string(), "application/json").await;
    let got: Value = serde_json::from_slice(&scene.good.last().body).unwrap();
    assert_eq!(got, json!({"client": {"secret": KEY}, "note": text}));
    scene.is_clean(&answer.text);
    // Elsewhere in a body it is text, to the byte (attack B13).
    let body = format!("{{ \"note\":  \"{text}\" }}");
    post(body.clone(), "application/json").await;
    assert_eq!(scene.good.last().body, body.as_bytes());
    // What can be read in two ways is refused, and so is what is too long to be looked into.
    let twice = format!("{{\"client\": {{\"secret\": \"x\", \"secret\": \"{text}\"}}}}");
    post(twice, "application/json").await.refused(400, "validation_failed");
    let long = json!({"client": {"secret": text}, "filler": "x".repeat(1024 * 1024)}).to_string();
    post(long, "application/json").await.refused(413, "payload_too_large");
}

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

/// A redirect is the answer, without the value that it would carry away.
#[tokio::test]
async fn redirects_are_not_followed() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let answer = lease.send(&scene.good(), "/redirect", &[("authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 302);
    scene.is_clean(answer.headers["location"].to_str().unwrap());
    assert_eq!(scene.good.got().len(), 1);
}

/// H2: when a lease ends, requests, tunnels and downloads under it end within a second.
#[tokio::test]
async fn the_end_of_a_lease() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let auth = bearer(&lease);
    let mut sender = lease.http1(&scene.good()).await;
    let request = Request::get("/endless").header("host", scene.good()).header("authorization", &auth);
    let mut body = sender.send_request(request.body(whole("")).unwrap()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    let other = format!("other.localhost:{}", scene.other.port);
    let mut blind = lease.connect(&other).await.unwrap();
    let mut idle = lease.http1(&scene.good()).await;
    scene.editor.delete(&format!("/leases/{}", lease.id)).await.expect(204);
    let ended = Instant::now();
    while let Some(Ok(_)) = body.frame().await {}
    assert_eq!(blind.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
    let request = Request::get("/echo").header("host", scene.good()).header("authorization", &auth);
    // It is cut, or was quick enough to be told why.
    if let Ok(answer) = idle.send_request(request.body(whole("")).unwrap()).await {
        Answer::of(answer).await.refused(401, "unauthenticated");
    }
    lease.connect(&scene.good()).await.unwrap_err().refused(407, "unauthenticated");
    assert_eq!(scene.good.got().len(), 1);
}

/// A narrower destination, or a disabled secret, counts for the next request of a tunnel that is open.
#[tokio::test]
async fn the_policy_of_this_moment() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let auth = bearer(&lease);
    let mut sender = lease.http1(&scene.good()).await;
    let request = || {
        Request::get("/echo")
            .header("host", scene.good())
            .header("authorization", &auth)
            .body(whole(""))
            .unwrap()
    };
    assert_eq!(Answer::of(sender.send_request(request()).await.unwrap()).await.status, 200);
    scene.server.owner.post("/secrets/STRIPE_KEY/disable", json!({})).await;
    Answer::of(sender.send_request(request()).await.unwrap()).await.refused(409, "secret_disabled");
    assert_eq!(scene.good.got().len(), 1);
}

/// E8: bodies stream in both directions; the credential is there before an upload has ended.
#[tokio::test]
async fn uploads_and_downloads_stream() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let mut stream = lease.tls(&scene.good(), "http/1.1").await.unwrap();
    let total = 3 * 1024 * 1024;
    let head = format!(
        "PUT /upload HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Length: {total}\r\n\r\n",
        scene.good(),
        bearer(&lease)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; total / 2]).await.unwrap();
    let started = Instant::now();
    while scene.good.uploaded() < total / 4 {
        assert!(started.elapsed() < Duration::from_secs(5), "nothing of the upload arrived before its end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stream.write_all(&vec![b'x'; total - total / 2]).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let got = scene.good.last();
    assert_eq!((got.body.len(), got.header("content-length")), (total, total.to_string().as_str()));
    assert_eq!(got.header("authorization"), format!("Bearer {KEY}"));

    let answer = lease.send(&scene.good(), "/download", &[("authorization", &bearer(&lease))]).await;
    assert_eq!(answer.text.len(), 64 * 64 * 1024);
    // What trickles arrives while it trickles, but for what the scrubber holds back.
    let mut sender = lease.http1(&scene.good()).await;
    let request =
        Request::get("/endless").header("host", scene.good()).header("authorization", bearer(&lease));
    let mut body = sender.send_request(request.body(whole("")).unwrap()).await.unwrap().into_body();
    let started = Instant::now();
    for _ in 0..5 {
        body.frame().await.unwrap().unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    // Whoever hangs up does not keep the outcome off the record.
    drop((body, sender));
    let event = scene.server.owner.event_soon("verb=secret.use&outcome=succeeded").await;
    assert_eq!(event["status"], 200, "{event}");
}

/// Server-sent events arrive one by one, each scrubbed and whole.
#[tokio::test]
async fn server_sent_events() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let mut sender = lease.http1(&scene.good()).await;
    let request =
        Request::get("/events").header("host", scene.good()).header("authorization", bearer(&lease));
    let response = sender.send_request(request.body(whole("")).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let started = Instant::now();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"data: one\n\n");
    assert!(started.elapsed() < Duration::from_millis(150), "{:?}", started.elapsed());
    let rest = body.collect().await.unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("[sealed:STRIPE_KEY]") && rest.ends_with("data: three\n\n"), "{rest}");
    scene.is_clean(&rest);
}

/// A value that is written, or bound to the host, while an answer streams is not in that answer: it is searched for what was
/// known when it began, and ends when there is more.
#[tokio::test]
async fn values_that_are_newer_than_an_answer() {
    const NEWER: &str = "Lp0Oo9Ii8Uu7Yy6Tt5Rr4Ee3Ww2Qq1Aa";
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let post = async |lease: &Lease, alias: &str| {
        let mut sender = lease.http1(&scene.good()).await;
        let body = json!({"client": {"secret": lease.placeholder(alias)}}).to_string();
        let request =
            Request::post("/post").header("host", scene.good()).header("content-type", "application/json");
        let answer = sender.send_request(request.body(whole(body)).unwrap()).await.unwrap();
        assert_eq!(Answer::of(answer).await.status, 200);
    };
    let feed = async || {
        let mut sender = lease.http1(&scene.good()).await;
        let request =
            Request::get("/feed").header("host", scene.good()).header("authorization", bearer(&lease));
        sender.send_request(request.body(whole("")).unwrap()).await.unwrap().into_body()
    };
    let mut rotated = feed().await;
    post(&lease, "STRIPE_KEY").await;
    let event = rotated.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&event).contains("[sealed:STRIPE_KEY]"));
    // What has nothing to do with what is looked for changes nothing.
    scene.server.owner.post("/secrets", json!({"name": "UNRELATED"})).await.expect(201);
    post(&lease, "STRIPE_KEY").await;
    rotated.frame().await.unwrap().unwrap();
    let fields = json!({"fields": {"token": NEWER}});
    scene.server.owner.put("/secrets/STRIPE_KEY/values/test", fields).await.expect(201);
    post(&lease, "STRIPE_KEY").await;
    assert!(rotated.frame().await.is_none_or(|frame| frame.is_err()), "it went on");

    let mut joined = feed().await;
    let places =
        json!({"host": "good.localhost", "port": scene.good.port, "places": ["json:/client/secret"]});
    let late = json!({"name": "LATE", "destinations": [places], "values": {"test": {"value": &NEWER[4..]}}});
    scene.server.owner.post("/secrets", late).await.expect(201);
    post(&scene.lease(json!({"secrets": [{"name": "LATE"}]})).await, "LATE").await;
    while let Some(Ok(frame)) = joined.frame().await {
        let text = String::from_utf8_lossy(&frame.into_data().unwrap_or_default()).into_owned();
        assert!(!text.contains(&NEWER[4..]), "{text}");
    }
    scene.server.owner.event_soon("verb=secret.use&outcome=failed").await;
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
    let mut stream = tokio::net::TcpStream::connect(&lease.address).await.unwrap();
    stream.write_all(relay(&lease.id, &lease.token).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
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
    let another = scene.lease(json!({})).await;
    for (id, token) in [(&another.id, &lease.token), (&lease.id, &scene.editor.token)] {
        assert!(lease.raw(&relay(id, token)).await.starts_with("HTTP/1.1 401 "));
    }
}

/// The server stops in order, with a tunnel open and a request in flight.
#[tokio::test]
async fn stopping() {
    let mut scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let _idle = lease.http1(&scene.good()).await;
    let mut sender = lease.http1(&scene.good()).await;
    let request =
        Request::get("/events").header("host", scene.good()).header("authorization", bearer(&lease));
    let response = sender.send_request(request.body(whole("")).unwrap()).await.unwrap();
    let reading = tokio::spawn(response.into_body().collect());
    let stopped = tokio::task::spawn_blocking(move || (scene.server.stop(), scene));
    let body = reading.await.unwrap().unwrap().to_bytes();
    assert!(body.ends_with(b"data: three\n\n"));
    assert!(stopped.await.unwrap().0.success());
}
