//! Storage steps against a real service that verifies signatures.
//!
//! `scripts/test` installs it. What is not there is a failure and never a skip.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    disguise::Detector,
    harness::{Client, Server},
};

/// A server, a storage service, and an editor without `reveal`.
struct Scene {
    server: Server,
    editor: Client,
    service: Child,
    port: u16,
    id: String,
    secret: String,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

impl Scene {
    async fn new() -> Self {
        let python =
            std::env::var("TACIT_TEST_S3_PYTHON").expect("set TACIT_TEST_S3_PYTHON; scripts/test does");
        let mut service = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/s3_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(service.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let made: Value = serde_json::from_str(&line).expect("the storage service started");
        let server = Server::start().await;
        let editor = server.client("editor").await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let port = u16::try_from(made["port"].as_u64().unwrap()).unwrap();
        let scene = Self { server, editor, service, port, id: text("id"), secret: text("secret") };
        scene.secret("BUCKET", &scene.secret, &json!(["/receipts/**"])).await;
        scene
    }

    async fn secret(&self, name: &str, key: &str, paths: &Value) {
        let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": self.port, "places": ["signature"], "paths": paths});
        let fields = json!({"access_key_id": self.id, "secret_access_key": key});
        let secret = json!({"name": name, "type": "access_key", "destinations": [destination], "values": {"test": fields}});
        self.server.owner.post("/secrets", secret).await.expect(201);
    }

    /// Runs one step as the editor and gives back what became of it.
    async fn step(&self, secret: &str, step: Value) -> Value {
        self.step_in("receipts", secret, step).await
    }

    async fn step_in(&self, bucket: &str, secret: &str, mut step: Value) -> Value {
        step["endpoint"] = json!(format!("http://127.0.0.1:{}", self.port));
        step["bucket"] = json!(bucket);
        step["auth"] = json!({"secret": secret});
        let saved =
            self.editor.put("/automations/store", json!({"steps": [{"id": "s", "storage": step}]})).await;
        assert!(matches!(saved.status, 200 | 201), "{}", saved.text);
        let run = self.editor.post("/automations/store/runs?wait=60", json!({"environment": "test"})).await;
        run.expect(201)["steps"][0].clone()
    }
}

/// Everything that can be done, done with text and with bytes, under keys that need encoding.
#[tokio::test]
async fn put_get_list_delete() {
    let scene = Scene::new().await;
    for (key, content) in [("a.json", "{\"a\":1}"), ("folder/b c+ü.txt", "grüße"), ("empty", "")] {
        let put = scene
            .step("BUCKET", json!({"put": {"key": key, "content": content, "content_type": "text/plain"}}))
            .await;
        assert_eq!(put["output"]["bytes"], content.len(), "{key}: {put}");
        let get = scene.step("BUCKET", json!({"get": {"key": key}})).await;
        assert_eq!(
            (&get["output"]["content"], &get["output"]["bytes"]),
            (&json!(content), &json!(content.len())),
            "{key}: {get}"
        );
        assert!(get["output"]["content_type"].as_str().unwrap().starts_with("text/plain"), "{get}");
    }
    let bytes = STANDARD.encode([0u8, 255, 254, 10]);
    let put = json!({"put": {"key": "bin", "content": bytes, "content_encoding": "base64"}});
    assert_eq!(scene.step("BUCKET", put).await["output"]["bytes"], 4);
    let get = scene.step("BUCKET", json!({"get": {"key": "bin"}})).await;
    assert_eq!(
        (&get["output"]["content"], &get["output"]["content_encoding"]),
        (&json!(bytes), &json!("base64"))
    );
    let keys = |list: &Value| -> Vec<String> {
        let entries = list["output"]["entries"].as_array().unwrap_or_else(|| panic!("{list}"));
        entries.iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect()
    };
    let list = scene.step("BUCKET", json!({"list": {}})).await;
    assert_eq!(keys(&list), ["a.json", "bin", "empty", "folder/b c+ü.txt"]);
    assert_eq!(list["output"]["entries"][1]["size"], 4);
    assert_eq!(
        keys(&scene.step("BUCKET", json!({"list": {"prefix": "folder/"}})).await),
        ["folder/b c+ü.txt"]
    );
    assert_eq!(scene.step("BUCKET", json!({"delete": {"key": "bin"}})).await["status"], "succeeded");
    let gone = scene.step("BUCKET", json!({"get": {"key": "bin"}})).await;
    assert_eq!(gone["error"]["code"], "unexpected_status", "{gone}");
    assert!(gone["error"]["detail"].as_str().unwrap().contains("has no such bucket or object"));
}

/// More objects than one answer names.
#[tokio::test]
async fn long_lists() {
    let scene = Scene::new().await;
    let made = Command::new(std::env::var("TACIT_TEST_S3_PYTHON").unwrap())
        .args(["-c", "import boto3, sys\nport, id, secret = sys.argv[1:]\n\
            s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:' + port, region_name='us-east-1', aws_access_key_id=id, aws_secret_access_key=secret)\n\
            for n in range(1100): s3.put_object(Bucket='receipts', Key='%04d' % n, Body=b'')"])
        .args([&scene.port.to_string(), &scene.id, &scene.secret])
        .status();
    assert!(made.unwrap().success());
    let list = scene.step("BUCKET", json!({"list": {}, "timeout_secs": 60})).await;
    let entries = list["output"]["entries"].as_array().unwrap_or_else(|| panic!("{list}"));
    assert_eq!(
        (entries.len(), &entries[1099]["key"], list["output"].get("truncated")),
        (1100, &json!("1099"), None)
    );
}

/// The service checks signatures, and a refusal is told in our words.
#[tokio::test]
async fn wrong_keys() {
    let scene = Scene::new().await;
    let wrong = "Wr8Zq3Kx6Vt1Lp9Jd4Hs7Nf2Gb5Mc0TyQa3Ue8Io";
    scene.secret("WRONG", wrong, &json!(["/receipts/**"])).await;
    let refused = scene.step("WRONG", json!({"list": {}})).await;
    assert_eq!(refused["error"]["code"], "unexpected_status", "{refused}");
    assert!(refused["error"]["detail"].as_str().unwrap().contains("(status 403)"), "{refused}");
    assert_eq!(scene.step("BUCKET", json!({"list": {}})).await["status"], "succeeded");
}

/// Bucket and key are the destination's to allow; the key itself stands nowhere, and a file that holds it is scrubbed.
#[tokio::test]
async fn destinations_decide_and_nothing_is_kept() {
    let scene = Scene::new().await;
    scene.secret("NARROW", &scene.secret, &json!(["/receipts/in/**"])).await;
    for key in ["a", "in2/a"] {
        let refused = scene.step("NARROW", json!({"put": {"key": key, "content": "x"}})).await;
        assert_eq!(refused["error"]["code"], "destination_not_allowed", "{key}");
    }
    let refused = scene.step_in("others", "BUCKET", json!({"get": {"key": "a"}})).await;
    assert_eq!(refused["error"]["code"], "destination_not_allowed");
    let climbing = scene.step("NARROW", json!({"get": {"key": "in/../a"}})).await;
    assert_eq!(climbing["error"]["code"], "validation_failed");
    // Somebody put the key into an object by another way.
    let made = Command::new(std::env::var("TACIT_TEST_S3_PYTHON").unwrap())
        .args(["-c", "import boto3, sys\nport, id, secret = sys.argv[1:]\n\
            s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:' + port, region_name='us-east-1', aws_access_key_id=id, aws_secret_access_key=secret)\n\
            s3.put_object(Bucket='receipts', Key='in/echo', Body=('key=' + secret + ';').encode())\n\
            s3.put_object(Bucket='receipts', Key='in/' + secret[::-1], Body=b'')"])
        .args([&scene.port.to_string(), &scene.id, &scene.secret])
        .status();
    assert!(made.unwrap().success());
    let get = scene.step("NARROW", json!({"get": {"key": "in/echo"}})).await;
    // Another secret has the same value, and whose name would be told is not clear.
    assert_eq!(get["output"]["content"], "key=[sealed];", "{get}");
    let list = scene.step("BUCKET", json!({"list": {"prefix": "in/"}})).await;
    assert!(list.to_string().contains("[sealed:"), "{list}");
    let intent = scene.server.owner.event_soon("verb=secret.use&outcome=allowed").await;
    assert_eq!((&intent["places"], &intent["method"]), (&json!(["signature"]), &json!("GET")), "{intent}");
    let detector = Detector::new([scene.secret.as_str()]);
    detector.assert_clean(scene.server.log(), "the log");
    for path in ["/runs", "/events", "/metrics"] {
        detector.assert_clean(&scene.server.owner.get(path).await.text, path);
    }
    for (path, bytes) in scene.server.files() {
        assert!(detector.find(&bytes, 1).is_none(), "{} holds a value", path.display());
    }
}

/// A key of another type does not sign, and a type that signs is not sent.
#[tokio::test]
async fn types() {
    let scene = Scene::new().await;
    let token = json!({"name": "TOKEN", "type": "bearer_token", "values": {"test": {"token": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6"}}});
    scene.server.owner.post("/secrets", token).await.expect(201);
    let step = json!({"endpoint": "https://s3.test", "bucket": "b", "auth": {"secret": "TOKEN"}, "list": {}});
    let reply =
        scene.editor.put("/automations/wrong-type", json!({"steps": [{"id": "s", "storage": step}]})).await;
    assert_eq!(reply.refused(422, "validation_failed")["errors"][0]["field"], "steps[0].storage.auth");
    let url = format!("http://127.0.0.1:{}/receipts/a", scene.port);
    let request = json!({"environment": "test", "url": url, "auth": {"secret": "BUCKET"}});
    scene.editor.post("/requests", request).await.refused(403, "placement_not_allowed");
}
