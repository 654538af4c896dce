//! Against a real HTTP service that echoes: httpbin, which `scripts/test` installs and starts.
//!
//! A missing address is a failure and never a skip: a suite that quietly leaves out its acceptance proves nothing.

use serde_json::{Value, json};

use crate::{
    disguise::Detector,
    harness::{Client, Server},
};

const TOKEN: &str = "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
const PASSWORD: &str = "Vt4Kq9Zr2Xw7Ls5Np8Jd3Hf6Gb1Mc0Ty9Ue4Ia7Q";

struct Scene {
    server: Server,
    editor: Client,
    origin: String,
    detector: Detector,
}

impl Scene {
    async fn new() -> Self {
        let origin = std::env::var("TACIT_TEST_HTTPBIN")
            .expect("set TACIT_TEST_HTTPBIN to httpbin's address; scripts/test does");
        let port: u16 =
            origin.rsplit(':').next().and_then(|port| port.parse().ok()).expect("the address ends in a port");
        let server = Server::start().await;
        let places = ["auth", "header:X-Custom", "query:k", "query:url", "path", "json:/k", "form:k"];
        let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": port, "places": places});
        for (name, kind, fields) in [
            ("TOKEN", "bearer_token", json!({"token": TOKEN})),
            ("LOGIN", "basic_auth", json!({"username": "app-user", "password": PASSWORD})),
            ("BASE64", "text", json!({"value": base64_of(PASSWORD)})),
        ] {
            let secret = json!({"name": name, "type": kind, "destinations": [destination], "values": {"test": fields}});
            server.owner.post("/secrets", secret).await.expect(201);
        }
        let editor = server.client("editor").await;
        let pair = base64_of(&format!("app-user:{PASSWORD}"));
        let detector = Detector::new([&TOKEN[8..], PASSWORD, &pair[16..]]);
        Self { server, editor, origin, detector }
    }

    /// Sends a step, looks for values in all of the answer, and returns it.
    async fn send(&self, mut step: Value) -> Value {
        step["environment"] = json!("test");
        step["url"] = json!(format!("{}{}", self.origin, step["url"].as_str().unwrap()));
        let reply = self.editor.post("/requests", step).await;
        self.detector.assert_clean(&reply.text, "an answer");
        reply.expect(200)
    }
}

fn base64_of(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

/// `/anything` and `/headers` show a request as it arrived: the value is in its place there, and the marker here.
#[tokio::test]
async fn echoes() {
    let scene = Scene::new().await;
    for (step, pointer) in [
        (json!({"url": "/anything", "auth": {"secret": "TOKEN"}}), "/body/headers/Authorization"),
        (json!({"url": "/headers", "auth": {"secret": "LOGIN"}}), "/body/headers/Authorization"),
        (json!({"url": "/anything", "headers": {"X-Custom": "{{secrets.TOKEN}}"}}), "/body/headers/X-Custom"),
        (json!({"url": "/anything", "query": {"k": "{{secrets.TOKEN}}"}}), "/body/args/k"),
        (
            json!({"url": "/anything", "method": "POST", "body": {"json": {"k": "{{secrets.TOKEN}}"}}}),
            "/body/json/k",
        ),
        (
            json!({"url": "/anything", "method": "POST", "body": {"form": {"k": "{{secrets.TOKEN}}"}}}),
            "/body/form/k",
        ),
        (json!({"url": "/anything/{{secrets.TOKEN}}", "method": "PUT"}), "/body/url"),
        (json!({"url": "/bearer", "auth": {"secret": "TOKEN"}}), "/body/token"),
    ] {
        let answer = scene.send(step.clone()).await;
        let marked =
            answer.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{step}: {answer}"));
        assert!(marked.contains("[sealed:"), "{step}: {marked}");
        assert!(answer["redactions"].as_u64().unwrap() >= 1);
    }
}

/// The service itself says that the credential is right.
#[tokio::test]
async fn credentials_are_accepted() {
    let scene = Scene::new().await;
    let login = scene
        .send(json!({"url": format!("/basic-auth/app-user/{PASSWORD}"), "auth": {"secret": "LOGIN"}}))
        .await;
    assert_eq!((&login["status"], &login["body"]["authenticated"]), (&json!(200), &json!(true)), "{login}");
    let wrong = scene.send(json!({"url": "/basic-auth/app-user/another", "auth": {"secret": "LOGIN"}})).await;
    assert_eq!(wrong["status"], 401);
    let bearer = scene.send(json!({"url": "/bearer", "auth": {"secret": "TOKEN"}})).await;
    assert_eq!((&bearer["status"], &bearer["body"]["authenticated"]), (&json!(200), &json!(true)));
    assert_eq!(scene.send(json!({"url": "/bearer"})).await["status"], 401);
}

/// Compressed answers are decoded, scrubbed and delivered plain.
#[tokio::test]
async fn codings() {
    let scene = Scene::new().await;
    for path in ["/gzip", "/deflate", "/brotli"] {
        let answer = scene.send(json!({"url": path, "headers": {"X-Custom": "{{secrets.TOKEN}}"}})).await;
        assert_eq!(answer["body"]["headers"]["X-Custom"], "[sealed:TOKEN]", "{path}: {answer}");
        assert!(answer["headers"].get("content-encoding").is_none());
    }
}

/// Values in header values and bodies of the service's making, in base64 and piece by piece.
#[tokio::test]
async fn other_ways_back() {
    let scene = Scene::new().await;
    let headers = scene.send(json!({"url": "/response-headers", "query": {"k": "{{secrets.TOKEN}}"}})).await;
    assert_eq!(headers["headers"]["k"], "[sealed:TOKEN]", "{headers}");
    let decoded = scene.send(json!({"url": "/base64/{{secrets.BASE64}}"})).await;
    assert!(decoded["body"].as_str().is_some_and(|body| body.contains("[sealed")), "{decoded}");
    let stream = scene.send(json!({"url": "/stream/5", "headers": {"X-Custom": "{{secrets.TOKEN}}"}})).await;
    assert_eq!(stream["redactions"], 5, "{stream}");
    let drip = scene
        .send(json!({"url": "/drip?duration=1&numbytes=5&code=200&delay=0", "auth": {"secret": "TOKEN"}}))
        .await;
    assert_eq!(drip["body"], "*****");
}

/// A redirect within the service is followed with the credential; one to elsewhere is refused; one that carries the
/// value itself is not followed anywhere.
#[tokio::test]
async fn redirects() {
    let scene = Scene::new().await;
    for code in [301, 302, 303, 307, 308] {
        let url = format!("/redirect-to?status_code={code}&url=%2Fbearer");
        let followed = scene.send(json!({"url": url, "auth": {"secret": "TOKEN"}, "redirects": 1})).await;
        assert_eq!(
            (&followed["status"], &followed["body"]["authenticated"]),
            (&json!(200), &json!(true)),
            "{code}"
        );
        let elsewhere =
            format!("{}/redirect-to?status_code={code}&url=https%3A%2F%2Fevil.test%2F", scene.origin);
        let step =
            json!({"environment": "test", "url": elsewhere, "auth": {"secret": "TOKEN"}, "redirects": 1});
        scene.editor.post("/requests", step).await.refused(502, "redirect_refused");
    }
    let carried = json!({"environment": "test", "url": format!("{}/redirect-to", scene.origin), "query": {"url": "{{secrets.TOKEN}}"}, "redirects": 1});
    let reply = scene.editor.post("/requests", carried).await;
    reply.refused(502, "redirect_refused");
    scene.detector.assert_clean(&reply.text, "a refused redirect");
    let shown = scene.send(json!({"url": "/redirect-to", "query": {"url": "{{secrets.TOKEN}}"}})).await;
    assert_eq!(shown["headers"]["location"], "[sealed:TOKEN]", "{shown}");
}

/// An automation over all of it leaves nothing behind.
#[tokio::test]
async fn nothing_is_kept() {
    let scene = Scene::new().await;
    let step = |id: &str, path: &str| json!({"id": id, "http": {"url": format!("{}{path}", scene.origin), "auth": {"secret": "TOKEN"}, "headers": {"X-Note": "{{env}}"}}});
    let steps = json!({"steps": [step("a", "/anything"), step("b", "/gzip"), step("c", "/stream/3")]});
    scene.editor.put("/automations/all", steps).await.expect(201);
    let run = scene.editor.post("/automations/all/runs?wait=30", json!({"environment": "test"})).await;
    assert_eq!(run.expect(201)["status"], "succeeded", "{}", run.text);
    for path in ["/runs", "/events", "/metrics"] {
        scene.detector.assert_clean(scene.server.owner.get(path).await.text, path);
    }
    for (path, bytes) in scene.server.files() {
        assert!(scene.detector.find(&bytes, 1).is_none(), "{} holds a value", path.display());
    }
}
