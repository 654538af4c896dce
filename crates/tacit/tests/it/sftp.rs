//! SFTP steps against a real OpenSSH server.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    disguise::Detector,
    harness::{Client, Server},
    sshd::{self, Sshd},
};

/// A server, an SSH server, and an editor without `reveal`.
struct Scene {
    server: Server,
    editor: Client,
    sshd: Sshd,
}

impl Scene {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(config: &str) -> Self {
        let server = Server::start().await;
        let editor = server.client("editor").await;
        Self { server, editor, sshd: Sshd::start(config) }
    }

    fn destination(&self) -> Value {
        json!({"host": "127.0.0.1", "scheme": "sftp", "port": self.sshd.port, "host_key": self.sshd.host_key("ed25519")})
    }

    async fn secret(&self, name: &str, kind: &str, fields: Value, destination: Value) {
        let secret =
            json!({"name": name, "type": kind, "destinations": [destination], "values": {"test": fields}});
        self.server.owner.post("/secrets", secret).await.expect(201);
    }

    async fn password(&self, name: &str, destination: Value) {
        let fields = json!({"username": sshd::user(), "password": sshd::password()});
        self.secret(name, "sftp_password", fields, destination).await;
    }

    /// Runs one step as the editor and gives back what became of it.
    async fn step(&self, secret: &str, step: Value) -> Value {
        self.step_at(self.sshd.port, secret, step, json!({})).await
    }

    async fn step_at(&self, port: u16, secret: &str, mut step: Value, input: Value) -> Value {
        step["host"] = json!("127.0.0.1");
        step["port"] = json!(port);
        step["auth"] = json!({"secret": secret});
        let definition = json!({"steps": [{"id": "s", "sftp": step}]});
        let saved = self.editor.put("/automations/transfer", definition).await;
        assert!(matches!(saved.status, 200 | 201), "{}", saved.text);
        let body = json!({"environment": "test", "input": input});
        let run = self.editor.post("/automations/transfer/runs?wait=60", body).await.expect(201);
        run["steps"][0].clone()
    }

    fn path(&self, name: &str) -> String {
        self.sshd.files().join(name).display().to_string()
    }
}

/// Everything that can be done, done with text and with bytes.
#[tokio::test]
async fn put_get_list_rename_delete() {
    let scene = Scene::new().await;
    scene.password("BANK", scene.destination()).await;
    let put = scene.step("BANK", json!({"put": {"path": scene.path("a b.txt"), "content": "grüße"}})).await;
    assert_eq!(put["output"], json!({"bytes": 7}), "{put}\n{}", scene.sshd.log());
    assert_eq!(std::fs::read_to_string(scene.path("a b.txt")).unwrap(), "grüße");
    let shorter = scene.step("BANK", json!({"put": {"path": scene.path("a b.txt"), "content": "x"}})).await;
    assert_eq!(
        (&shorter["output"]["bytes"], std::fs::read(scene.path("a b.txt")).unwrap()),
        (&json!(1), b"x".to_vec())
    );
    let get = scene.step("BANK", json!({"get": {"path": scene.path("a b.txt")}})).await;
    assert_eq!(get["output"], json!({"bytes": 1, "content": "x"}), "{get}");
    let bytes = STANDARD.encode([0u8, 255, 254, 10]);
    let put = json!({"put": {"path": scene.path("bin"), "content": bytes, "content_encoding": "base64"}});
    assert_eq!(scene.step("BANK", put).await["output"]["bytes"], 4);
    let get = scene.step("BANK", json!({"get": {"path": scene.path("bin")}})).await;
    assert_eq!(get["output"], json!({"bytes": 4, "content": bytes, "content_encoding": "base64"}));
    let rename = json!({"rename": {"from": scene.path("bin"), "to": scene.path("bin2")}});
    assert_eq!(scene.step("BANK", rename).await["status"], "succeeded");
    std::fs::create_dir(scene.path("folder")).unwrap();
    let list =
        scene.step("BANK", json!({"list": {"path": scene.path("")[..scene.path("").len() - 1]}})).await;
    let entries = list["output"]["entries"].as_array().unwrap_or_else(|| panic!("{list}"));
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| (entry["name"].as_str().unwrap(), entry["type"].as_str().unwrap()))
        .collect();
    assert_eq!(shown, [("a b.txt", "file"), ("bin2", "file"), ("folder", "folder")]);
    assert_eq!(entries[1]["size"], 4);
    assert!(entries[1]["modified"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        scene.step("BANK", json!({"delete": {"path": scene.path("bin2")}})).await["status"],
        "succeeded"
    );
    assert!(!std::path::Path::new(&scene.path("bin2")).exists());
    let gone = scene.step("BANK", json!({"get": {"path": scene.path("bin2")}})).await;
    assert_eq!(gone["error"]["code"], "upstream_failed");
    assert!(gone["error"]["detail"].as_str().unwrap().ends_with("has no such file or folder"), "{gone}");
}

/// Keys of every kind, in every format, with and without a passphrase; a passphrase that is wrong is noticed when saving.
#[tokio::test]
async fn private_keys() {
    let scene = Scene::new().await;
    std::fs::write(scene.path("a"), "hello").unwrap();
    let user = sshd::user();
    for (kind, passphrase) in [("ed25519", ""), ("rsa", ""), ("ecdsa", ""), ("ed25519", "correct horse")] {
        let name = format!("KEY_{kind}_{}", passphrase.len());
        let key = scene.sshd.new_key(kind, passphrase);
        let mut fields = json!({"username": user, "private_key": key});
        if !passphrase.is_empty() {
            fields["passphrase"] = json!(passphrase);
        }
        scene.secret(&name, "sftp_private_key", fields, scene.destination()).await;
        let get = scene.step(&name, json!({"get": {"path": scene.path("a")}})).await;
        assert_eq!(get["output"]["content"], "hello", "{name}: {get}\n{}", scene.sshd.log());
    }
    // SHA-1 is not used for RSA.
    assert!(!scene.sshd.log().contains("Accepted publickey") || !scene.sshd.log().contains("ssh-rsa SHA1"));
    let stranger = json!({"username": user, "private_key": std::fs::read_to_string("../tacit-crypto/tests/keys/p256-sec1.pem").unwrap()});
    scene.secret("STRANGER", "sftp_private_key", stranger, scene.destination()).await;
    let refused = scene.step("STRANGER", json!({"get": {"path": scene.path("a")}})).await;
    assert_eq!(refused["error"]["code"], "upstream_failed");
    assert!(
        refused["error"]["detail"].as_str().unwrap().contains("did not accept the credential"),
        "{refused}"
    );
}

/// M5: a server with another key gets nothing: no user name, no password, no signature. Any of its own keys is the right one.
#[tokio::test]
async fn m5_wrong_host_keys() {
    let scene = Scene::new().await;
    std::fs::write(scene.path("a"), "hello").unwrap();
    let mut wrong = scene.destination();
    wrong["host_key"] = json!("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    scene.password("WRONG", wrong).await;
    let refused = scene.step("WRONG", json!({"get": {"path": scene.path("a")}})).await;
    assert_eq!(refused["error"]["code"], "host_key_mismatch", "{refused}");
    assert!(!refused.to_string().contains(&scene.sshd.host_key("ed25519")));
    let log = scene.sshd.log();
    assert!(!log.contains("userauth-request") && !log.contains(&sshd::user()), "{log}");
    let event = scene.server.owner.event_soon("verb=secret.use&outcome=failed").await;
    assert_eq!(event["code"], "host_key_mismatch", "{event}");
    for kind in ["ecdsa", "rsa"] {
        let mut destination = scene.destination();
        destination["host_key"] = json!(scene.sshd.host_key(kind));
        scene.password(&format!("BY_{kind}"), destination).await;
        let get = scene.step(&format!("BY_{kind}"), json!({"get": {"path": scene.path("a")}})).await;
        assert_eq!(get["output"]["content"], "hello", "{kind}: {get}");
    }
}

/// A wrong password is told in our words; nothing of it, nor of what the server says, is anywhere.
#[tokio::test]
async fn wrong_passwords() {
    let scene = Scene::with("Banner /etc/hostname").await;
    const WRONG: &str = "Wr8Zq3Kx6Vt1Lp9Jd4Hs7Nf2Gb5Mc0Ty";
    let fields = json!({"username": sshd::user(), "password": WRONG});
    scene.secret("BANK", "sftp_password", fields, scene.destination()).await;
    let refused = scene.step("BANK", json!({"list": {"path": "/"}})).await;
    assert_eq!(refused["error"]["code"], "upstream_failed");
    assert!(refused["error"]["detail"].as_str().unwrap().contains("did not accept the credential"));
    let detector = Detector::new([WRONG]);
    detector.assert_clean(scene.server.log(), "the log");
    for path in ["/runs", "/events", "/metrics"] {
        detector.assert_clean(&scene.server.owner.get(path).await.text, path);
    }
    for (path, bytes) in scene.server.files() {
        assert!(detector.find(&bytes, 1).is_none(), "{} holds a value", path.display());
    }
}

/// A connection that ends in the middle is an error soon, not at the end of the step's time.
#[tokio::test]
async fn cut_connections() {
    let scene = Scene::new().await;
    std::fs::write(scene.path("large"), vec![b'x'; 2 << 20]).unwrap();
    for bytes in [10, 1500, 3000, 200_000] {
        let port = sshd::cut_after(scene.sshd.port, bytes);
        let mut destination = scene.destination();
        destination["port"] = json!(port);
        let name = format!("CUT_{bytes}");
        scene.password(&name, destination).await;
        let begun = std::time::Instant::now();
        let cut = scene.step_at(port, &name, json!({"get": {"path": scene.path("large")}}), json!({})).await;
        assert_eq!(cut["error"]["code"], "upstream_failed", "{bytes}: {cut}");
        assert!(cut.get("output").is_none());
        assert!(begun.elapsed().as_secs() < 15, "{bytes}: {:?}", begun.elapsed());
    }
}

/// Megabytes in both directions while the server wants new keys all the time.
#[tokio::test]
async fn rekeying() {
    let scene = Scene::with("RekeyLimit 512K").await;
    scene.password("BANK", scene.destination()).await;
    let mut state = 1u64;
    let part: String = (0..700_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + (state >> 56) as u8 % 90)
        })
        .collect();
    let whole = part.repeat(6);
    let put = json!({"put": {"path": scene.path("large"), "content": "{{input.part}}".repeat(6)}, "timeout_secs": 60});
    let put = scene.step_at(scene.sshd.port, "BANK", put, json!({"part": part})).await;
    assert_eq!(put["output"]["bytes"], whole.len(), "{put}");
    assert!(std::fs::read(scene.path("large")).unwrap() == whole.as_bytes());
    let get = scene.step("BANK", json!({"get": {"path": scene.path("large")}, "timeout_secs": 60})).await;
    assert_eq!(get["output"]["bytes"], whole.len());
    assert!(get["output"]["content"] == whole);
    let exchanges = scene.sshd.log().matches("SSH2_MSG_NEWKEYS received").count();
    assert!(exchanges > 10, "{exchanges} key exchanges");
}

/// What a file or a file's name holds of the value is taken out, in whatever form.
#[tokio::test]
async fn contents_and_names_are_scrubbed() {
    let scene = Scene::new().await;
    scene.password("BANK", scene.destination()).await;
    let password = sshd::password();
    let reversed: String = password.chars().rev().collect();
    let forms = [password.clone(), reversed, STANDARD.encode(&password), password.to_uppercase()];
    std::fs::create_dir(scene.path("names")).unwrap();
    for (at, form) in forms.iter().enumerate() {
        std::fs::write(scene.path("echo"), format!("before {form} behind")).unwrap();
        let get = scene.step("BANK", json!({"get": {"path": scene.path("echo")}})).await;
        assert_eq!(get["output"]["content"], "before [sealed:BANK] behind", "{form}");
        assert_eq!(get["redactions"], 1);
        std::fs::write(scene.path(&format!("names/{at}-{form}")), "").unwrap();
    }
    let list = scene.step("BANK", json!({"list": {"path": scene.path("names")}})).await;
    let names: Vec<_> =
        list["output"]["entries"].as_array().unwrap().iter().map(|entry| entry["name"].clone()).collect();
    assert_eq!(names, ["0-[sealed:BANK]", "1-[sealed:BANK]", "2-[sealed:BANK]", "3-[sealed:BANK]"], "{list}");
    // In none of these names alone.
    std::fs::create_dir(scene.path("spread")).unwrap();
    for (at, part) in password.as_bytes().chunks(9).enumerate() {
        std::fs::write(scene.path(&format!("spread/{}", String::from_utf8_lossy(part))), at.to_string())
            .unwrap();
    }
    let detector = Detector::new([password.as_str()]);
    detector.assert_clean(scene.server.owner.every_run().await, "the runs");
    detector.assert_clean(&scene.server.owner.get("/events").await.text, "the record");
}

/// Host, operation and path are the destination's; the record says what was done where.
#[tokio::test]
async fn destinations_decide() {
    let scene = Scene::new().await;
    let mut destination = scene.destination();
    destination["methods"] = json!(["GET", "RENAME"]);
    destination["paths"] = json!([format!("{}/in/**", scene.sshd.files().display())]);
    scene.password("BANK", destination).await;
    std::fs::create_dir(scene.path("in")).unwrap();
    std::fs::write(scene.path("in/a"), "hello").unwrap();
    std::fs::write(scene.path("b"), "secret").unwrap();
    let get = scene.step("BANK", json!({"get": {"path": scene.path("in/a")}})).await;
    assert_eq!(get["output"]["content"], "hello", "{get}");
    let intent = scene.server.owner.event_soon("verb=secret.use&outcome=allowed").await;
    assert_eq!(intent["target"], format!("sftp://127.0.0.1:{}", scene.sshd.port), "{intent}");
    assert_eq!((&intent["method"], &intent["places"]), (&json!("GET"), &json!(["auth"])), "{intent}");
    let outcome = scene.server.owner.event_soon("verb=secret.use&outcome=succeeded").await;
    assert_eq!((&outcome["intent"], &outcome["body_bytes"]), (&intent["id"], &json!(5)), "{outcome}");
    for step in [
        json!({"put": {"path": scene.path("in/b"), "content": "x"}}),
        json!({"get": {"path": scene.path("b")}}),
        json!({"delete": {"path": scene.path("in/a")}}),
        json!({"rename": {"from": scene.path("in/a"), "to": scene.path("out")}}),
        json!({"rename": {"from": scene.path("b"), "to": scene.path("in/b")}}),
    ] {
        assert_eq!(
            scene.step("BANK", step.clone()).await["error"]["code"],
            "destination_not_allowed",
            "{step}"
        );
    }
    let climbing = json!({"get": {"path": "{{input.path}}"}});
    for path in [scene.path("in/../b"), "in/a".to_owned(), scene.path("in//a"), scene.path("in\\..\\b")] {
        let refused = scene.step_at(scene.sshd.port, "BANK", climbing.clone(), json!({"path": path})).await;
        assert_eq!(refused["error"]["code"], "validation_failed", "{path}");
    }
    // Another port is another server, and a name is not an address.
    let elsewhere = scene.step_at(1, "BANK", json!({"get": {"path": scene.path("in/a")}}), json!({})).await;
    assert_eq!(elsewhere["error"]["code"], "destination_not_allowed");
}

/// A secret without a destination, one of another type, and an address that may not be dialled are each refused.
#[tokio::test]
async fn other_refusals() {
    let scene = Scene::new().await;
    let fields = json!({"username": sshd::user(), "password": sshd::password()});
    let loose =
        json!({"name": "LOOSE", "type": "sftp_password", "visibility": "masked", "values": {"test": fields}});
    scene.server.owner.post("/secrets", loose).await.expect(201);
    let refused = scene.step("LOOSE", json!({"list": {"path": "/"}})).await;
    assert_eq!(refused["error"]["code"], "destination_required", "{refused}");
    scene
        .secret("TOKEN", "bearer_token", json!({"token": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6"}), scene.destination())
        .await;
    let step = json!({"host": "127.0.0.1", "port": scene.sshd.port, "auth": {"secret": "TOKEN"}, "list": {"path": "/"}});
    let definition = json!({"steps": [{"id": "s", "sftp": step}]});
    let reply = scene.editor.put("/automations/wrong-type", definition).await;
    assert_eq!(
        reply.refused(422, "validation_failed")["errors"][0]["field"],
        "steps[0].sftp.auth",
        "{}",
        reply.text
    );
    let private = json!({"host": "10.0.0.1", "scheme": "sftp", "host_key": scene.sshd.host_key("rsa")});
    scene.password("PRIVATE", private).await;
    let step = json!({"host": "10.0.0.1", "auth": {"secret": "PRIVATE"}, "list": {"path": "/"}});
    scene.editor.put("/automations/private", json!({"steps": [{"id": "s", "sftp": step}]})).await.expect(201);
    let run = scene
        .editor
        .post("/automations/private/runs?wait=30", json!({"environment": "test"}))
        .await
        .expect(201);
    assert_eq!(run["steps"][0]["error"]["code"], "address_blocked", "{run}");
}
