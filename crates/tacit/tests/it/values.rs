//! What was added to the life of a value: reasons, tags, keys, destroyed versions, dates, search, comparison, manifests.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, Server};

const STRONG: &str = "7hG2kQ9zXv4LpW8sRt1YbN6mC3dF5gJ0";
const OTHER: &str = "Xq4Zt8Lw2Vb6Nc1Rk9Jm3Hf7Gs5Pd0Ya";

fn text(value: &str) -> Value {
    json!({"value": value})
}

/// A request with headers of its own.
pub(crate) async fn send(
    client: &Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> Reply {
    let mut request = client
        .http
        .request(method.parse().unwrap(), format!("{}/v1/workspaces/{}{path}", client.url, client.workspace))
        .bearer_auth(&client.token)
        .json(&body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers): (u16, HeaderMap) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}

pub(crate) fn tag(reply: &Reply) -> String {
    reply.headers["etag"].to_str().unwrap().to_owned()
}

/// Every type takes its fields and shows what is not hidden; what breaks a rule is named by its field and not repeated.
#[tokio::test]
async fn types() {
    let server = Server::start().await;
    let key = include_str!("../../../tacit-crypto/tests/keys/ed25519");
    let encrypted = include_str!("../../../tacit-crypto/tests/keys/ed25519-encrypted");
    let token = json!({"client_id": "c", "client_secret": STRONG, "token_url": "https://auth.example.com/token", "scopes": ["a", "b"]});
    for (kind, fields, shown) in [
        ("sftp_password", json!({"username": "u", "password": STRONG}), json!({"username": "u"})),
        ("sftp_private_key", json!({"username": "u", "private_key": key}), json!({"username": "u"})),
        (
            "sftp_private_key",
            json!({"username": "u", "private_key": encrypted, "passphrase": "correct horse"}),
            json!({"username": "u"}),
        ),
        (
            "oauth2_client_credentials",
            token,
            json!({"client_id": "c", "token_url": "https://auth.example.com/token", "scopes": "a b"}),
        ),
        (
            "access_key",
            json!({"access_key_id": "AKIAX", "secret_access_key": STRONG, "region": "eu-central-1"}),
            json!({"access_key_id": "AKIAX", "region": "eu-central-1"}),
        ),
    ] {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let name = format!("{kind}-{}", NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let body = json!({"name": name, "type": kind, "visibility": "masked", "values": {"test": fields}});
        let made = server.owner.post("/secrets", body).await.expect(201);
        assert_eq!(made["environments"]["test"]["fields"], shown, "{kind}");
        let revealed =
            server.owner.post(&format!("/secrets/{name}/values/test/reveal"), json!({})).await.expect(200);
        let mut expected = fields.clone();
        if kind == "oauth2_client_credentials" {
            expected["scopes"] = json!("a b");
        }
        assert_eq!(revealed["fields"], expected);
    }
    for (kind, fields, field) in [
        ("sftp_private_key", json!({"username": "u", "private_key": "hunter2"}), "private_key"),
        ("sftp_private_key", json!({"username": "u", "private_key": encrypted}), "passphrase"),
        (
            "sftp_private_key",
            json!({"username": "u", "private_key": encrypted, "passphrase": "hunter2"}),
            "passphrase",
        ),
        (
            "sftp_private_key",
            json!({"username": "u", "private_key": key, "passphrase": "hunter2"}),
            "passphrase",
        ),
        (
            "oauth2_client_credentials",
            json!({"client_id": "c", "client_secret": "s", "token_url": "http://hunter2.example"}),
            "token_url",
        ),
        ("access_key", json!({"access_key_id": "a b", "secret_access_key": "hunter2"}), "access_key_id"),
        ("sftp_password", json!({"username": "u"}), "password"),
    ] {
        let body = json!({"name": "BAD", "type": kind, "values": {"test": fields}});
        let refused = server.owner.post("/secrets", body).await;
        let problem = refused.refused(422, "validation_failed");
        assert!(problem["errors"][0]["field"].as_str().unwrap().ends_with(field), "{problem}");
        assert!(!refused.text.contains("hunter2"), "{problem}");
    }
}

/// A reason is shown to auditors, beside the event, without any value; it is kept with the version it is about.
#[tokio::test]
async fn reasons() {
    let server = Server::start().await;
    let owner = &server.owner;
    owner
        .post("/secrets", json!({"name": "KEY", "visibility": "masked", "values": {"test": text(STRONG)}}))
        .await
        .expect(201);
    let leak = format!("{STRONG} leaked, now {OTHER}");
    let put = json!({"fields": text(OTHER), "reason": leak});
    owner.put("/secrets/KEY/values/test", put).await.expect(201);
    let event = owner.newest_event("verb=secret.rotate").await;
    assert_eq!(event["reason"], "[value] leaked, now [value]");
    assert_eq!(event["reason_id"].as_str().unwrap().len(), 32);
    let versions = owner.get("/secrets/KEY/values/test/versions").await.expect(200);
    assert_eq!(versions["items"][0]["reason"], "[value] leaked, now [value]");
    owner
        .post("/secrets/KEY/values/test/reveal", json!({"reason": "ticket 4711\nsecond line"}))
        .await
        .expect(200);
    assert_eq!(owner.newest_event("verb=secret.reveal").await["reason"], "ticket 4711 second line");
    owner
        .post("/secrets/KEY/values/test/rollback", json!({"version": 1, "reason": "too early"}))
        .await
        .expect(201);
    assert_eq!(owner.newest_event("verb=secret.rollback").await["reason"], "too early");
    let long = json!({"fields": text(OTHER), "reason": "x".repeat(201)});
    owner.put("/secrets/KEY/values/test", long).await.refused(422, "validation_failed");
    // A weak value is taken out of the words of whoever set it.
    let put = json!({"fields": text("hunter2"), "reason": "it is hunter2 now"});
    owner.put("/secrets/KEY/values/test", put).await.expect(201);
    assert_eq!(owner.newest_event("verb=secret.rotate").await["reason"], "it is [value] now");
    for (_, bytes) in server.files() {
        assert!(!String::from_utf8_lossy(&bytes).contains(STRONG));
    }
    server.client("editor").await.get("/events").await.refused(403, "forbidden");
}

/// A write with `If-Match` is done to what was seen, or not at all.
#[tokio::test]
async fn tags() {
    let server = Server::start().await;
    let owner = &server.owner;
    let made = owner.post("/secrets", json!({"name": "KEY", "values": {"test": text(STRONG)}})).await;
    let first = tag(&made);
    assert_eq!(tag(&owner.get("/secrets/KEY").await), first);
    let changed =
        send(owner, "PATCH", "/secrets/KEY", &[("if-match", &first)], json!({"description": "d"})).await;
    assert_eq!(changed.status, 200);
    let second = tag(&changed);
    assert_ne!(first, second);
    let fields = json!({"fields": text(OTHER)});
    for (method, path, body) in [
        ("PATCH", "/secrets/KEY", json!({"description": "e"})),
        ("PUT", "/secrets/KEY/values/test", fields.clone()),
        ("POST", "/secrets/KEY/values/test/rollback", json!({"version": 1})),
        ("POST", "/secrets/KEY/disable", json!({})),
        ("POST", "/secrets/KEY/values/test/disable", json!({})),
        ("DELETE", "/secrets/KEY/values/test", json!({})),
        ("DELETE", "/secrets/KEY", json!({})),
    ] {
        for stale in [first.as_str(), "\"0\"", &format!("W/{second}")] {
            let reply = send(owner, method, path, &[("if-match", stale)], body.clone()).await;
            reply.refused(412, "version_conflict");
        }
    }
    send(owner, "PUT", "/secrets/KEY/values/test", &[("if-match", "nonsense")], fields.clone())
        .await
        .refused(422, "validation_failed");
    // A rotation changes the tag; `*` and a list are enough.
    send(owner, "PUT", "/secrets/KEY/values/test", &[("if-match", &second)], fields.clone())
        .await
        .expect(201);
    send(owner, "PUT", "/secrets/KEY/values/test", &[("if-match", &second)], fields.clone())
        .await
        .refused(412, "version_conflict");
    let now = tag(&owner.get("/secrets/KEY").await);
    let list = format!("\"x\", {now}");
    send(owner, "PUT", "/secrets/KEY/values/test", &[("if-match", &list)], fields.clone()).await.expect(201);
    send(owner, "PUT", "/secrets/KEY/values/test", &[("if-match", "*")], fields).await.expect(201);

    let variable = owner.post("/variables", json!({"name": "V", "values": {"test": "1"}})).await;
    let seen = tag(&variable);
    send(owner, "PUT", "/variables/V/values/test", &[("if-match", &seen)], json!({"value": "2"}))
        .await
        .expect(204);
    for (method, path, body) in [
        ("PUT", "/variables/V/values/test", json!({"value": "3"})),
        ("PATCH", "/variables/V", json!({"description": "d"})),
        ("DELETE", "/variables/V", json!({})),
    ] {
        send(owner, method, path, &[("if-match", &seen)], body).await.refused(412, "version_conflict");
    }
    let settings = tag(&owner.get("").await);
    let change = json!({"version_keep_count": 5});
    send(owner, "PATCH", "", &[("if-match", &settings)], change.clone()).await.expect(200);
    send(owner, "PATCH", "", &[("if-match", &settings)], change).await.refused(412, "version_conflict");

    let step = |path: &str| json!({"steps": [{"id": "a", "http": {"url": format!("https://api.example.com{path}")}}]});
    let made = send(owner, "PUT", "/automations/one", &[], step("/a")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let seen = tag(&made);
    assert_eq!(tag(&owner.get("/automations/one").await), seen);
    send(owner, "PUT", "/automations/one", &[("if-match", &seen)], step("/b")).await.expect(200);
    send(owner, "PUT", "/automations/one", &[("if-match", &seen)], step("/c"))
        .await
        .refused(412, "version_conflict");
    send(owner, "DELETE", "/automations/one", &[("if-match", &seen)], json!({}))
        .await
        .refused(412, "version_conflict");
}

/// Of many writers with one tag, one writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_writers_wins() {
    let server = Server::start().await;
    let made = server.owner.post("/secrets", json!({"name": "KEY", "values": {"test": text(STRONG)}})).await;
    let seen = tag(&made);
    let mut writers = Vec::new();
    for _ in 0..20 {
        let (owner, seen) = (server.owner.clone(), seen.clone());
        writers.push(tokio::spawn(async move {
            let body = json!({"fields": text(OTHER)});
            send(&owner, "PUT", "/secrets/KEY/values/test", &[("if-match", &seen)], body).await.status
        }));
    }
    let mut done = 0;
    for writer in writers {
        match writer.await.unwrap() {
            201 => done += 1,
            status => assert_eq!(status, 412),
        }
    }
    assert_eq!(done, 1);
}

/// A write with a key is done once; a second asking gets the first answer, or a clear no where that held something shown once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys() {
    let server = Server::start().await;
    let owner = &server.owner;
    let key = [("idempotency-key", "b0a1")];
    let body = json!({"name": "KEY", "visibility": "masked", "values": {"test": text(STRONG)}});
    let first = send(owner, "POST", "/secrets", &key, body.clone()).await;
    let again = send(owner, "POST", "/secrets", &key, body.clone()).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((first.json(), tag(&first)), (again.json(), tag(&again)));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    // Another request under the same key is a mistake, another route or person is another key.
    let other = json!({"name": "OTHER", "values": {"test": text(OTHER)}});
    send(owner, "POST", "/secrets", &key, other).await.refused(422, "validation_failed");
    let put = json!({"fields": text(OTHER)});
    for version in [2, 2] {
        let reply = send(owner, "PUT", "/secrets/KEY/values/test", &key, put.clone()).await;
        assert_eq!(reply.expect(201)["version"], version);
    }
    let admin = server.client("admin").await;
    assert_eq!(
        send(&admin, "PUT", "/secrets/KEY/values/test", &key, put.clone()).await.expect(201)["version"],
        3
    );
    // What is shown once is not shown twice.
    let revealed = send(owner, "POST", "/secrets/KEY/values/test/reveal", &key, json!({})).await;
    assert_eq!(revealed.expect(200)["fields"]["value"], OTHER);
    send(owner, "POST", "/secrets/KEY/values/test/reveal", &key, json!({}))
        .await
        .refused(409, "already_done");
    owner.post("/service-accounts", json!({"name": "ci", "role": "member"})).await.expect(201);
    let token =
        send(owner, "POST", "/service-accounts/ci/tokens", &key, json!({})).await.expect(201)["token"]
            .clone();
    let again = send(owner, "POST", "/service-accounts/ci/tokens", &key, json!({})).await;
    again.refused(409, "already_done");
    // What was refused was not done, and may be tried again.
    let retry = [("idempotency-key", "b0a2")];
    send(owner, "PUT", "/secrets/LATER/values/test", &retry, put.clone()).await.refused(404, "not_found");
    owner.post("/secrets", json!({"name": "LATER"})).await.expect(201);
    send(owner, "PUT", "/secrets/LATER/values/test", &retry, put.clone()).await.expect(201);
    send(owner, "POST", "/secrets/KEY/disable", &retry, json!({})).await.expect(204);
    send(owner, "POST", "/secrets/KEY/disable", &retry, json!({})).await.expect(204);
    for bad in ["", "with space", &"x".repeat(256)] {
        send(owner, "POST", "/secrets/KEY/enable", &[("idempotency-key", bad)], json!({}))
            .await
            .refused(422, "validation_failed");
    }
    // Twenty at once are one.
    let mut many = Vec::new();
    for _ in 0..20 {
        let (owner, put) = (owner.clone(), put.clone());
        many.push(tokio::spawn(async move {
            send(&owner, "PUT", "/secrets/LATER/values/test", &[("idempotency-key", "b0a3")], put).await
        }));
    }
    for one in many {
        let reply = one.await.unwrap();
        assert!(reply.status == 409 || reply.json()["version"] == 2, "{}", reply.text);
    }
    let versions = owner.get("/secrets/LATER/values/test/versions").await.expect(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);
    // Nothing of it on disk is a value, a token or a guess at one.
    for (path, bytes) in server.files() {
        let text = String::from_utf8_lossy(&bytes);
        for secret in [STRONG, OTHER, token.as_str().unwrap()] {
            assert!(!text.contains(secret), "{}", path.display());
        }
    }
}

/// Versions beyond the window are destroyed and say so; a value that is taken away is gone, and its numbers stay taken.
#[tokio::test]
async fn windows() {
    let server = Server::start().await;
    let owner = &server.owner;
    owner
        .post("/secrets", json!({"name": "KEY", "visibility": "masked", "values": {"test": text("v1")}}))
        .await
        .expect(201);
    for number in 2..=6 {
        owner
            .put("/secrets/KEY/values/test", json!({"fields": text(&format!("v{number}"))}))
            .await
            .expect(201);
    }
    let states = |listed: Value| -> Vec<(i64, String)> {
        let item = |v: &Value| (v["version"].as_i64().unwrap(), v["state"].as_str().unwrap().to_owned());
        listed["items"].as_array().unwrap().iter().map(item).collect()
    };
    let listed = || async { states(owner.get("/secrets/KEY/values/test/versions").await.expect(200)) };
    assert_eq!(listed().await.iter().filter(|(_, state)| state == "kept").count(), 5);
    // A smaller window takes effect by itself, soon.
    owner.patch("", json!({"version_keep_count": 2})).await.expect(200);
    let mut found = Vec::new();
    for _ in 0..100 {
        found = listed().await;
        if found.iter().filter(|(_, state)| state == "destroyed").count() == 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let expected =
        [(6, "current"), (5, "kept"), (4, "destroyed"), (3, "destroyed"), (2, "destroyed"), (1, "destroyed")];
    assert_eq!(found, expected.map(|(version, state)| (version, state.to_owned())));
    let event = owner.event_soon("verb=secret.destroy").await;
    assert_eq!(
        (&event["actor"], &event["object"], &event["environment"]),
        (&json!("system:tacit"), &json!("secret:KEY"), &json!("test"))
    );
    owner.post("/secrets/KEY/values/test/rollback", json!({"version": 3})).await.refused(404, "not_found");
    assert_eq!(
        owner.post("/secrets/KEY/values/test/rollback", json!({"version": 5})).await.expect(201)["version"],
        7
    );
    let revealed = owner.post("/secrets/KEY/values/test/reveal", json!({})).await.expect(200);
    assert_eq!(revealed["fields"]["value"], "v5");

    owner.delete("/secrets/KEY/values/test").await.expect(204);
    owner.delete("/secrets/KEY/values/test").await.refused(409, "no_value_in_environment");
    owner.post("/secrets/KEY/values/test/reveal", json!({})).await.refused(409, "no_value_in_environment");
    assert!(listed().await.iter().all(|(_, state)| state == "destroyed"));
    assert!(owner.get("/secrets/KEY").await.expect(200)["environments"].as_object().unwrap().is_empty());
    let put = owner.put("/secrets/KEY/values/test", json!({"fields": text("new")})).await.expect(201);
    assert_eq!(put["version"], 8);
    // Protected values stay, but where the workspace says otherwise.
    owner.put("/secrets/KEY/values/live", json!({"fields": text("live")})).await.expect(201);
    owner.delete("/secrets/KEY/values/live").await.refused(409, "protected_environment");
    owner.patch("", json!({"allow_protected_delete": true})).await.expect(200);
    server.client("editor").await.delete("/secrets/KEY/values/live").await.refused(403, "forbidden");
    owner.delete("/secrets/KEY/values/live").await.expect(204);
}

/// Dates are states, in lists and in filters.
#[tokio::test]
async fn reminders() {
    let server = Server::start().await;
    let owner = &server.owner;
    for (name, expires_at) in [("ended", "2020-01-01T00:00:00Z"), ("far", "2100-01-01T00:00:00Z")] {
        owner.post("/secrets", json!({"name": name, "expires_at": expires_at})).await.expect(201);
    }
    let rotating = json!({"name": "rotating", "rotate_every_days": 3, "values": {"test": text(STRONG)}});
    let made = owner.post("/secrets", rotating).await.expect(201);
    assert_eq!(made["state"], "due", "{made}");
    assert!(made["rotate_at"].as_str().unwrap() > made["created_at"].as_str().unwrap());
    for (state, names) in
        [("due", vec!["rotating"]), ("overdue", vec![]), ("expired", vec!["ended"]), ("active", vec!["far"])]
    {
        let listed = owner.get(&format!("/secrets?state={state}")).await.expect(200);
        let found: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{state}");
        assert!(listed["items"].as_array().unwrap().iter().all(|secret| secret["state"] == state));
    }
}

/// Values are compared without a look, and nothing that could be guessed is.
#[tokio::test]
async fn comparison() {
    let server = Server::start().await;
    let owner = &server.owner;
    let weak = "summer-2024-production";
    for (name, values) in [
        ("DIFFERENT", json!({"test": text(STRONG), "live": text("q7Lm2Zx9Kp4Vt8Rw1Nc6Bf3Hj5Gd0Sy")})),
        ("SAME", json!({"test": text(OTHER), "live": text(OTHER)})),
        ("WEAK", json!({"test": text(weak), "live": text(weak)})),
        ("HALF-WEAK", json!({"test": text(STRONG), "live": text(weak)})),
        ("ONLY-TEST", json!({"test": text(OTHER)})),
        ("EMPTY", json!({})),
    ] {
        owner.post("/secrets", json!({"name": name, "values": values})).await.expect(201);
    }
    let compared = owner.get("/compare?from=test&to=live").await.expect(200);
    let of = |name: &str| {
        let item =
            compared["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap().clone();
        (item["result"].clone(), item["missing_in"].clone(), item["reused_with"].clone())
    };
    assert_eq!(of("DIFFERENT"), (json!("different"), Value::Null, json!(["HALF-WEAK"])));
    assert_eq!(of("SAME"), (json!("same"), Value::Null, json!(["ONLY-TEST"])));
    assert_eq!(of("WEAK"), (json!("unknown"), Value::Null, Value::Null));
    assert_eq!(of("HALF-WEAK"), (json!("unknown"), Value::Null, json!(["DIFFERENT"])));
    assert_eq!(of("ONLY-TEST"), (json!("missing"), json!(["live"]), json!(["SAME"])));
    assert_eq!(of("EMPTY"), (json!("missing"), json!(["test", "live"]), Value::Null));
    assert_eq!(owner.newest_event("verb=secret.compare").await["actor"], "user:owner");
    owner.get("/compare?from=test&to=test").await.refused(422, "validation_failed");
    owner.get("/compare?from=test&to=nowhere").await.refused(404, "not_found");
    // A rotated value is compared as it is now, and a restored version as it was.
    owner.put("/secrets/SAME/values/live", json!({"fields": text(STRONG)})).await.expect(201);
    let again = owner.get("/compare?from=test&to=live&limit=500").await.expect(200);
    let same = again["items"].as_array().unwrap().iter().find(|item| item["name"] == "SAME").unwrap();
    assert_eq!(same["result"], "different");
    owner.post("/secrets/SAME/values/live/rollback", json!({"version": 1})).await.expect(201);
    let again = owner.get("/compare?from=test&to=live").await.expect(200);
    let same = again["items"].as_array().unwrap().iter().find(|item| item["name"] == "SAME").unwrap();
    assert_eq!(same["result"], "same");
    // Often is too often.
    let mut limited = 0;
    for _ in 0..70 {
        limited += usize::from(owner.get("/compare?from=test&to=live&limit=1").await.status == 429);
    }
    assert!(limited > 0, "comparisons are not limited");
}

/// Configuration moves without values, and says what is missing where it arrives.
#[tokio::test]
async fn manifests() {
    let server = Server::start().await;
    let owner = &server.owner;
    let destination = json!([{"host": "api.example.com"}]);
    let secret = json!({"name": "KEY", "description": "d", "folder": "a/b", "destinations": destination, "rotate_every_days": 90,
        "values": {"test": text(STRONG), "live": text(OTHER)}});
    owner.post("/secrets", secret).await.expect(201);
    owner
        .post("/variables", json!({"name": "BASE", "values": {"test": "https://api.example.com"}}))
        .await
        .expect(201);
    let step = json!({"id": "a", "http": {"url": "{{vars.BASE}}/x", "auth": {"secret": "KEY"}}});
    owner.put("/automations/send", json!({"steps": [step]})).await.expect(201);
    let exported = owner.get("/export").await;
    assert!(!exported.text.contains(STRONG) && !exported.text.contains(OTHER));
    let manifest = exported.expect(200);
    assert_eq!(manifest["secrets"][0]["environments"], json!(["test", "live"]));
    assert_eq!(owner.newest_event("verb=configuration.export").await["outcome"], "succeeded");

    owner.post("/v1/workspaces", json!({"name": "production"})).await.expect(201);
    let there = owner.in_workspace("production");
    let preview = there.post("/import?dry_run=true", manifest.clone()).await.expect(200);
    assert_eq!(preview["secrets"][0]["result"], "created");
    assert_eq!(preview["automations"][0]["result"], "published", "{preview}");
    assert!(
        there.get("/secrets").await.expect(200)["items"].as_array().unwrap().is_empty(),
        "a preview changes nothing"
    );
    let report = there.post("/import", manifest.clone()).await.expect(200);
    assert_eq!(report["secrets"][0]["missing_in"], json!(["test", "live"]));
    assert_eq!(report["variables"][0]["missing_in"], json!(["test"]));
    let arrived = there.get("/secrets/KEY").await.expect(200);
    for field in ["description", "folder", "rotate_every_days", "type", "visibility"] {
        assert_eq!(arrived[field], owner.get("/secrets/KEY").await.expect(200)[field], "{field}");
    }
    assert_eq!(arrived["destinations"][0]["host"], "api.example.com");
    there.get("/automations/send").await.expect(200);
    // What a preview says of things that are there is what is done with them: configuration stays, automations are published.
    for path in ["/import?dry_run=true", "/import"] {
        let again = there.post(path, manifest.clone()).await.expect(200);
        assert_eq!(again["secrets"][0]["result"], "exists", "{path}");
        assert_eq!(again["automations"][0]["result"], "published", "{path}");
    }
    let runs_only = server.client("operator").await;
    let automation = json!({"version": 1, "automations": manifest["automations"]});
    runs_only.post("/import?dry_run=true", automation).await.refused(403, "forbidden");
    // What is missing is named, and what is something else is left alone.
    owner.post("/v1/workspaces", json!({"name": "third"})).await.expect(201);
    let third = owner.in_workspace("third");
    third.post("/variables", json!({"name": "KEY"})).await.expect(201);
    let report = third.post("/import", manifest).await.expect(200);
    assert_eq!(report["secrets"][0]["result"], "differs");
    assert_eq!(report["automations"][0]["missing"], json!(["secret:KEY"]));
    let bad = json!({"version": 2});
    third.post("/import", bad).await.refused(422, "validation_failed");
    let with_value = json!({"version": 1, "secrets": [{"name": "X", "values": {"test": text("hunter2")}}]});
    let refused = third.post("/import", with_value).await;
    refused.refused(422, "validation_failed");
    assert!(!refused.text.contains("hunter2"));
    let production = server.client("editor").await;
    production
        .post("/import", json!({"version": 1, "secrets": [{"name": "NEW"}]}))
        .await
        .refused(403, "forbidden");
}
