//! OAuth2 client credentials: one fetch for many, a new one when it is time, and nothing of secret or token ever seen.

mod fake;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    disguise::Detector,
    harness::{Client, Options, Server},
};
use fake::Fake;

const SECRET: &str = "Wq7Zn2Lk9Rt4Yp6Xc1Vb8Mf3Hd5Js0GuTe";

struct Scene {
    server: Server,
    editor: Client,
    fake: Fake,
}

impl Scene {
    /// `APP` gets its tokens in one of the fake's moods and may go to its service.
    async fn new(mood: &str) -> Self {
        let scene =
            Self { server: Server::start().await, editor: Client::new("", ""), fake: Fake::start().await };
        let editor = scene.server.client("editor").await;
        let scene = Self { editor, ..scene };
        scene.app("APP", mood).await;
        scene
    }

    fn fields(&self, mood: &str) -> Value {
        json!({"client_id": "app", "client_secret": SECRET, "token_url": self.fake.url(&format!("/token/{mood}")), "scopes": "read"})
    }

    async fn app(&self, name: &str, mood: &str) {
        let places = ["auth", "header:x-token"];
        let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": self.fake.port, "places": places, "paths": ["/api/**"]});
        let secret = json!({"name": name, "type": "oauth2_client_credentials", "destinations": [destination], "values": {"test": self.fields(mood)}});
        self.server.owner.post("/secrets", secret).await.expect(201);
    }

    async fn send(&self, name: &str, path: &str) -> crate::harness::Reply {
        let step = json!({"environment": "test", "url": self.fake.url(path), "auth": {"secret": name}});
        self.editor.post("/requests", step).await
    }

    async fn status(&self, name: &str, path: &str) -> Value {
        self.send(name, path).await.expect(200)["status"].clone()
    }

    /// Nothing of the client secret or of any token is in a text.
    fn is_clean(&self, text: impl AsRef<[u8]>, what: &str) {
        let issued = self.fake.issued();
        let values = issued.iter().map(String::as_str).chain([SECRET]);
        Detector::new(values).assert_clean(text, what);
    }

    /// Nothing of them is anywhere.
    async fn is_clean_everywhere(&self) {
        for path in
            ["/events?limit=500", "/runs", "/metrics", "/secrets", "/secrets/APP/usages", "/automations"]
        {
            self.is_clean(self.server.owner.get(path).await.text, path);
        }
        for (path, bytes) in self.server.files() {
            self.is_clean(bytes, &path.display().to_string());
        }
    }
}

/// The service gets the token, the caller a marker, the client secret only the token endpoint; once for all requests.
#[tokio::test]
async fn a_token_is_fetched_once_and_never_seen() {
    let scene = Scene::new("plain").await;
    for _ in 0..3 {
        let answer = scene.send("APP", "/api/echo").await;
        scene.is_clean(&answer.text, "an answer");
        let answer = answer.expect(200);
        assert_eq!(
            (&answer["status"], &answer["body"]["token"]),
            (&json!(200), &json!("[sealed:APP]")),
            "{answer}"
        );
    }
    let by_hand = json!({"environment": "test", "url": scene.fake.url("/api/echo"), "headers": {"Authorization": "Bearer {{secrets.APP}}"}});
    assert_eq!(scene.editor.post("/requests", by_hand).await.expect(200)["status"], 200);
    assert_eq!(scene.fake.fetches(), 1);
    let asked = scene.fake.requests("/token/plain").remove(0);
    assert!(
        asked.starts_with("POST ") && asked.ends_with("\r\n\r\ngrant_type=client_credentials&scope=read"),
        "{asked}"
    );
    assert!(scene.fake.requests("/api/").iter().all(|request| !request.contains(SECRET)));

    // In a run, and in a program that holds a placeholder.
    let steps = json!({"steps": [{"id": "a", "http": {"url": scene.fake.url("/api/echo"), "auth": {"secret": "APP"}}}]});
    scene.editor.put("/automations/app", steps).await.expect(201);
    let run = scene.editor.post("/automations/app/runs?wait=20", json!({"environment": "test"})).await;
    scene.is_clean(&run.text, "a run");
    assert_eq!(run.expect(201)["status"], "succeeded", "{}", run.text);
    let answer = through_the_proxy(&scene, "/api/echo", None).await;
    assert_eq!(answer.0, 200, "{}", answer.1);
    assert!(answer.1.contains("[sealed:APP]"), "{}", answer.1);
    assert_eq!(scene.fake.fetches(), 1);

    // The fetch is on the record, for whoever it was made for, and so are the uses.
    let target = format!("http://127.0.0.1:{}", scene.fake.port);
    let events = scene.server.owner.get("/events?verb=secret.use&limit=500").await.expect(200);
    let fetch: Vec<&Value> =
        events["items"].as_array().unwrap().iter().filter(|event| event["method"] == "POST").collect();
    assert_eq!(fetch.len(), 2, "intent and outcome: {fetch:?}");
    for event in &fetch {
        assert_eq!(
            (&event["actor"], &event["target"]),
            (&json!(scene.editor.name), &json!(target)),
            "{event}"
        );
    }
    let usages = scene.server.owner.get("/secrets/APP/usages").await.expect(200);
    assert_eq!(
        usages["automations"],
        json!([{"name": "app", "environment": "test", "fields": [{"step": "a", "field": "auth"}]}])
    );
    let by: Vec<&str> =
        usages["observed"].as_array().unwrap().iter().map(|seen| seen["by"].as_str().unwrap()).collect();
    assert!(by.contains(&"automation:app") && by.contains(&scene.editor.name.as_str()), "{usages}");
    let seen = scene.editor.get("/secrets/APP/usages").await.expect(200);
    assert_eq!(seen["observed"], usages["observed"], "its own, and those of what it may see");
    let member = scene.server.client("member").await;
    let seen = member.get("/secrets/APP/usages").await.expect(200);
    assert!(seen["observed"].as_array().unwrap().iter().all(|seen| seen["by"] == "automation:app"), "{seen}");
    scene.is_clean_everywhere().await;
}

/// A request with `APP`'s placeholder through the proxy, with a body if one is given.
async fn through_the_proxy(scene: &Scene, path: &str, body: Option<String>) -> (u16, String) {
    let lease = json!({"environment": "test", "secrets": [{"name": "APP"}]});
    let lease = scene.editor.post("/leases", lease).await.expect(201);
    let proxy = reqwest::Proxy::all(lease["proxy_url"].as_str().unwrap()).unwrap();
    let client = reqwest::Client::builder().proxy(proxy).build().unwrap();
    let placeholder = lease["secrets"]["APP"].as_str().unwrap();
    let mut request = client.post(scene.fake.url(path)).bearer_auth(placeholder);
    if let Some(body) = body {
        request = request.body(body);
    }
    let response = request.send().await.unwrap();
    let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
    scene.is_clean(&text, "a proxied answer");
    (status, text)
}

/// A hundred requests that miss a token wait for one fetch; so do they for one that fails.
#[tokio::test]
async fn many_wait_for_one_fetch() {
    let scene = Scene::new("slow").await;
    let all = (0..100).map(|_| scene.send("APP", "/api/echo"));
    for answer in futures_of(all).await {
        assert_eq!(answer.expect(200)["status"], 200);
    }
    assert_eq!(scene.fake.fetches(), 1);
    scene.app("BROKEN", "slow-down").await;
    let all = (0..30).map(|_| scene.send("BROKEN", "/api/echo"));
    for answer in futures_of(all).await {
        answer.refused(502, "upstream_failed");
    }
    assert_eq!(scene.fake.requests("/token/slow-down").len(), 1);
}

async fn futures_of<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in pinned.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// A token that the service refuses is replaced once, and the request sent once more, with its body.
#[tokio::test]
async fn a_refused_token_is_replaced() {
    let scene = Scene::new("plain").await;
    assert_eq!(scene.status("APP", "/api/echo").await, 200);
    scene.fake.revoke_all();
    let step = json!({"environment": "test", "method": "POST", "url": scene.fake.url("/api/echo"), "auth": {"secret": "APP"}, "body": {"json": {"a": 1}}});
    assert_eq!(scene.editor.post("/requests", step).await.expect(200)["status"], 200);
    assert_eq!(scene.fake.fetches(), 2);
    let tries = scene.fake.requests("/api/echo");
    assert_eq!(tries.len(), 3);
    assert!(tries[1].ends_with("{\"a\":1}") && tries[2].ends_with("{\"a\":1}"));
    scene.fake.revoke_all();
    assert_eq!(through_the_proxy(&scene, "/api/echo", None).await.0, 200);
    assert_eq!(scene.fake.fetches(), 3);
    // All that come back with the same dead token wait for the same new one.
    scene.fake.revoke_all();
    for answer in futures_of((0..20).map(|_| scene.send("APP", "/api/echo"))).await {
        assert_eq!(answer.expect(200)["status"], 200);
    }
    assert_eq!(scene.fake.fetches(), 4);

    // A service that takes no token at all gets its 401 through, and does not make us fetch each time.
    scene.app("NEVER", "plain").await;
    let before = scene.fake.fetches();
    for _ in 0..5 {
        assert_eq!(scene.status("NEVER", "/api/never").await, 401);
    }
    assert_eq!(scene.fake.fetches(), before + 2, "the first, and one new try");
    scene.is_clean_everywhere().await;
}

/// Whoever can have a service say 401 gets so many new tokens and no more: each one that may still work is looked for.
#[tokio::test]
async fn no_token_is_pushed_out_of_sight() {
    let scene = Scene::new("plain").await;
    for _ in 0..20 {
        assert_eq!(scene.status("APP", "/api/echo").await, 200);
        assert_eq!(scene.status("APP", "/api/never").await, 401);
    }
    assert_eq!(scene.fake.fetches(), 9, "the first, and eight that were replaced early");
    let known = scene.send("APP", "/api/echo").await;
    scene.is_clean(&known.text, "an answer");
    let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": scene.fake.port});
    let other = json!({"name": "OTHER", "type": "bearer_token", "destinations": [destination], "values": {"test": {"token": "Kd8Vw3Nq6Tz1Rb9Lx4Hc7Pm2Js5Gf0Ya"}}});
    scene.server.owner.post("/secrets", other).await.expect(201);
    let answer = scene.send("OTHER", "/open/tokens").await;
    scene.is_clean(&answer.text, "what the service knows");
    assert_eq!(answer.expect(200)["redactions"], 9, "{}", answer.text);
}

/// A request waits for a fetch no longer than it may take itself; the fetch goes on for the others.
#[tokio::test]
async fn a_fetch_counts_towards_the_timeout() {
    let scene = Scene::new("very-slow").await;
    let hurried = json!({"environment": "test", "url": scene.fake.url("/api/echo"), "auth": {"secret": "APP"}, "timeout_secs": 1});
    scene.editor.post("/requests", hurried).await.refused(504, "upstream_timeout");
    assert!(scene.fake.requests("/api/").is_empty());
    assert_eq!(scene.status("APP", "/api/echo").await, 200);
    assert_eq!(scene.fake.fetches(), 1);
}

/// A token is not sent when its time is over, nor after its credentials were replaced, switched off or deleted.
#[tokio::test]
async fn tokens_end() {
    let scene = Scene::new("short").await;
    let owner = &scene.server.owner;
    assert_eq!(scene.status("APP", "/api/echo").await, 200);
    assert_eq!(scene.fake.fetches(), 1);
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    assert_eq!(scene.status("APP", "/api/echo").await, 200);
    assert_eq!(scene.fake.fetches(), 2, "it was over");

    owner.put("/secrets/APP/values/test", json!({"fields": scene.fields("plain")})).await.expect(201);
    assert_eq!(scene.status("APP", "/api/echo").await, 200);
    assert_eq!(scene.fake.fetches(), 3, "other credentials, another token");
    owner.post("/secrets/APP/disable", json!({})).await.expect(204);
    scene.send("APP", "/api/echo").await.refused(409, "secret_disabled");
    owner.post("/secrets/APP/enable", json!({})).await.expect(204);
    assert_eq!(scene.status("APP", "/api/echo").await, 200);
    assert_eq!(scene.fake.fetches(), 4, "what was fetched before it was switched off is not sent again");
    owner.post("/secrets/APP/values/test/disable", json!({})).await.expect(204);
    scene.send("APP", "/api/echo").await.refused(409, "secret_disabled");
    owner.post("/secrets/APP/values/test/enable", json!({})).await.expect(204);
    owner.delete("/secrets/APP").await.expect(200);
    assert_ne!(scene.send("APP", "/api/echo").await.status, 200);
    owner.post("/secrets/APP/restore", json!({})).await.expect(200);
    assert_eq!(scene.status("APP", "/api/echo").await, 200);
    assert_eq!(scene.fake.fetches(), 5);
    // A policy that changes takes the token along: it is neither lost nor good for more than before.
    let narrower =
        json!([{"host": "127.0.0.1", "scheme": "http", "port": scene.fake.port, "paths": ["/api/echo"]}]);
    owner.patch("/secrets/APP", json!({"destinations": narrower})).await.expect(200);
    assert_eq!(scene.status("APP", "/api/echo").await, 200);
    scene.send("APP", "/api/other").await.refused(403, "destination_not_allowed");
    assert_eq!(scene.fake.fetches(), 5);
}

/// What a token endpoint does wrong is told by a code and nothing of what it said; nothing goes where it points.
#[tokio::test]
async fn endpoints_that_misbehave() {
    let scene = Scene::new("plain").await;
    for (mood, code) in [
        ("redirect", "redirect_refused"),
        ("redirect-get", "redirect_refused"),
        ("echo", "upstream_failed"),
        ("echo-base64", "upstream_failed"),
        ("says", "upstream_failed"),
        ("down", "upstream_failed"),
        ("garbage", "upstream_failed"),
        ("mac", "upstream_failed"),
        ("endless", "response_unscannable"),
    ] {
        let name = format!("APP-{mood}");
        scene.app(&name, mood).await;
        let reply = scene.send(&name, "/api/echo").await;
        reply.refused(502, code);
        scene.is_clean(&reply.text, mood);
        assert!(!reply.text.contains("Cannot say"), "{}", reply.text);
        let outcome = if code == "redirect_refused" { "denied" } else { "failed" };
        let event = scene.server.owner.event_soon(&format!("object=secret:{name}&outcome={outcome}")).await;
        assert_eq!(event["code"], code, "{mood}: {event}");
    }
    assert!(scene.fake.requests("/stolen").is_empty());
    assert!(scene.fake.requests("/api/").is_empty(), "without a token nothing is sent");
    // One that wants its client in the form gets it there, and from then on at once.
    scene.app("FORM", "form").await;
    assert_eq!(scene.status("FORM", "/api/echo").await, 200);
    scene.fake.revoke_all();
    assert_eq!(scene.status("FORM", "/api/echo").await, 200);
    assert_eq!(scene.fake.requests("/token/form").len(), 3);

    // Our own address is no token endpoint, and neither is what nobody may dial.
    let own = scene.server.url.clone() + "/token";
    for url in [own.as_str(), "http://169.254.169.254/token", "http://10.1.2.3/token"] {
        let fields = json!({"client_id": "app", "client_secret": SECRET, "token_url": url});
        let reply = scene.server.owner.put("/secrets/APP/values/test", json!({"fields": fields})).await;
        if reply.status == 422 {
            continue;
        }
        reply.expect(201);
        scene.send("APP", "/api/echo").await.refused(403, "address_blocked");
    }
    scene.is_clean_everywhere().await;
}

/// What the service remembers of tokens is taken out of later answers: without one in the request, after a restart, and of
/// every token that lives.
#[tokio::test]
async fn tokens_are_known_as_long_as_they_live() {
    let mut scene = Scene::new("plain").await;
    for _ in 0..2 {
        assert_eq!(scene.status("APP", "/api/echo").await, 200);
        scene.fake.revoke_all();
    }
    assert_eq!(scene.fake.fetches(), 2);
    let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": scene.fake.port});
    let other = json!({"name": "OTHER", "type": "bearer_token", "destinations": [destination], "values": {"test": {"token": "Kd8Vw3Nq6Tz1Rb9Lx4Hc7Pm2Js5Gf0Ya"}}});
    scene.server.owner.post("/secrets", other).await.expect(201);
    for _ in 0..2 {
        let answer = scene.send("OTHER", "/open/tokens").await;
        scene.is_clean(&answer.text, "an answer to another secret");
        assert_eq!(answer.expect(200)["redactions"], 2, "{}", answer.text);
        let token = scene.server.owner.token.clone();
        scene.server.stop();
        let data = scene.server.data.clone();
        let again = Server::on(&data, &token, &Options::default());
        scene.editor.url.clone_from(&again.url);
        let before = std::mem::replace(&mut scene.server, again);
        std::mem::forget(before);
    }
}

/// The client secret goes to its token endpoint alone.
#[tokio::test]
async fn the_client_secret_stands_nowhere_else() {
    let scene = Scene::new("plain").await;
    let field = json!({"environment": "test", "url": scene.fake.url("/api/echo"), "headers": {"X-Token": "{{secrets.APP.client_secret}}"}});
    scene.editor.post("/requests", field).await.refused(403, "placement_not_allowed");
    assert!(scene.fake.requests("/api/").is_empty());
    for path in ["/automations/app?dry_run=true", "/automations/app"] {
        let steps = json!({"steps": [{"id": "a", "http": {"url": scene.fake.url("/api/echo"), "headers": {"X-Token": "{{secrets.APP.client_secret}}"}}}]});
        scene.editor.put(path, steps).await.refused(422, "placement_not_allowed");
    }
    let shown = json!({"environment": "test", "url": scene.fake.url("/api/echo"), "headers": {"X-Token": "{{secrets.APP.client_id}}"}});
    scene.editor.post("/requests", shown).await.expect(200);
    assert!(scene.fake.requests("/api/")[0].contains("x-token: app\r\n"));
    scene
        .server
        .owner
        .post("/secrets/APP/values/test/reveal", json!({}))
        .await
        .refused(403, "restricted_secret");
}
