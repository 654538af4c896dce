//! Against a real OAuth2 server: oidc-provider, which `scripts/test` installs and starts, and a service beside it that takes
//! its tokens and shows what it was sent (`scripts/oauth-server.mjs`). Each test has a client of its own there.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    disguise::Detector,
    harness::{Client, Server},
};

struct Scene {
    server: Server,
    editor: Client,
    origin: String,
    client: String,
    secret: String,
}

impl Scene {
    async fn new(number: u32) -> Self {
        let origin = std::env::var("TACIT_TEST_OAUTH")
            .expect("set TACIT_TEST_OAUTH to the OAuth2 server's address; scripts/test does");
        let port: u16 =
            origin.rsplit(':').next().and_then(|port| port.parse().ok()).expect("the address ends in a port");
        let server = Server::start().await;
        let (client, secret) = (format!("app-{number}"), format!("Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0G{number}"));
        let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": port, "paths": ["/api/**"]});
        let scene = Self { editor: server.client("editor").await, server, origin, client, secret };
        let app = json!({"name": "APP", "type": "oauth2_client_credentials", "destinations": [destination], "values": {"test": scene.fields(&scene.secret)}});
        scene.server.owner.post("/secrets", app).await.expect(201);
        scene
    }

    fn fields(&self, secret: &str) -> Value {
        json!({"client_id": self.client, "client_secret": secret, "token_url": format!("{}/token", self.origin), "scopes": "read"})
    }

    async fn send(&self, path: &str) -> crate::harness::Reply {
        let url = format!("{}{path}", self.origin);
        let step = json!({"environment": "test", "url": url, "auth": {"secret": "APP"}});
        let reply = self.editor.post("/requests", step).await;
        Detector::new([self.secret.as_str()]).assert_clean(&reply.text, "an answer");
        reply
    }

    async fn accepted(&self) -> Value {
        let answer = self.send("/api/things").await.expect(200);
        assert_eq!(
            (&answer["status"], &answer["body"]["client"], &answer["body"]["scope"]),
            (&json!(200), &json!(self.client), &json!("read")),
            "{answer}"
        );
        answer
    }

    async fn ask(&self, method: &str, what: &str) -> Value {
        let url = format!("{}/test/{what}?client={}", self.origin, self.client);
        let response = reqwest::Client::new().request(method.parse().unwrap(), url).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn grants(&self) -> u64 {
        self.ask("GET", "grants").await["count"].as_u64().unwrap()
    }
}

/// The service takes the token, and what it shows of it is a marker. Whether the client says who it is in a header or in
/// the form is the server's choice.
#[tokio::test]
async fn tokens_are_accepted() {
    for number in [1, 2] {
        let scene = Scene::new(number).await;
        for _ in 0..3 {
            let answer = scene.accepted().await;
            assert_eq!(answer["body"]["token"], "[sealed:APP]", "{answer}");
            assert_eq!(answer["body"]["headers"]["authorization"], "Bearer [sealed:APP]", "{answer}");
        }
        assert_eq!(scene.grants().await, 1);
    }
}

/// A hundred callers, one token.
#[tokio::test]
async fn one_fetch_for_a_hundred() {
    let scene = std::sync::Arc::new(Scene::new(3).await);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let scene = std::sync::Arc::clone(&scene);
        all.spawn(async move { scene.accepted().await });
    }
    assert_eq!(all.join_all().await.len(), 100);
    assert_eq!(scene.grants().await, 1);
}

/// Tokens that the server revoked are replaced, once.
#[tokio::test]
async fn revoked_tokens_are_replaced() {
    let scene = Scene::new(5).await;
    for round in 1..=3 {
        scene.accepted().await;
        assert_eq!(scene.grants().await, round);
        scene.ask("POST", "revoke").await;
    }
}

/// A token that lives for three seconds is replaced before its end.
#[tokio::test]
async fn short_lives() {
    let scene = Scene::new(9).await;
    scene.accepted().await;
    scene.accepted().await;
    assert_eq!(scene.grants().await, 1);
    tokio::time::sleep(Duration::from_millis(3_200)).await;
    scene.accepted().await;
    assert_eq!(scene.grants().await, 2);
}

/// A client that the server does not know, or no longer: an error that says where to look, and nothing of the server's.
#[tokio::test]
async fn a_secret_that_is_wrong() {
    let scene = Scene::new(7).await;
    scene.accepted().await;
    let wrong = json!({"fields": scene.fields("Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gwrong")});
    scene.server.owner.put("/secrets/APP/values/test", wrong).await.expect(201);
    let refused = scene.send("/api/things").await;
    let problem = refused.refused(502, "upstream_failed");
    assert!(problem["detail"].as_str().unwrap().contains("refused the client (401)"), "{problem}");
    assert!(!refused.text.contains("invalid_client"), "{problem}");
    let right = json!({"fields": scene.fields(&scene.secret)});
    scene.server.owner.put("/secrets/APP/values/test", right).await.expect(201);
    scene.accepted().await;
    assert_eq!(scene.grants().await, 2);
}
