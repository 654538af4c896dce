//! What somebody tries who may list and write, and not look: side doors by which an answer would say whether a guess at a value
//! was right, or what is where they may not list.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    people::person,
    values::{send, tag},
};

const STRONG: &str = "7hG2kQ9zXv4LpW8sRt1YbN6mC3dF5gJ0";
/// Long enough to be looked for in answers, and in the list of whoever guesses.
const PHRASE: &str = "ThisIsMyVeryLongPasswordForProduction2024!";

fn text(value: &str) -> Value {
    json!({"value": value})
}

/// A person with these rights in one environment, or everywhere.
async fn with(server: &Server, rights: &[&str], scope: Value) -> Client {
    let owner = &server.owner;
    owner.post("/roles", json!({"name": "nothing", "rights": []})).await.expect(201);
    owner.post("/roles", json!({"name": "some", "rights": rights})).await.expect(201);
    let anna = person(server, owner, "anna@example.com", "nothing").await;
    let grant = json!({"role": "some", "to": "user:anna@example.com", "scope": scope});
    owner.post("/grants", grant).await.expect(201);
    anna
}

/// A guess in a reason comes back as it was written, right or wrong: a value that can be guessed is taken out only of the words
/// of whoever has just set it. One that cannot is taken out, in one line, too.
#[tokio::test]
async fn reasons_confirm_no_guess() {
    let server = Server::start().await;
    let anna = with(&server, &["secret.list", "secret.write"], json!({})).await;
    server.owner.post("/secrets", json!({"name": "KEY", "values": {"test": text(PHRASE)}})).await.expect(201);
    let account = json!({"account": STRONG, "password": PHRASE});
    let body = json!({"name": "ACCOUNT", "type": "json", "values": {"test": {"content": account}}});
    server.owner.post("/secrets", body).await.expect(201);
    for name in ["KEY", "ACCOUNT"] {
        let path = format!("/secrets/{name}/values/test");
        for guess in [PHRASE, "ThisIsMyVeryLongPasswordForProduction2025!"] {
            let again = json!({"version": 1, "reason": format!("is it {guess}?")});
            anna.post(&format!("{path}/rollback"), again).await.expect(201);
            let versions = anna.get(&format!("{path}/versions")).await.expect(200);
            assert_eq!(versions["items"][0]["reason"], format!("is it {guess}?"), "{name}");
        }
    }
    let mentioned = json!({"version": 1, "reason": format!("of {STRONG}")});
    anna.post("/secrets/ACCOUNT/values/test/rollback", mentioned).await.expect(201);
    let versions = anna.get("/secrets/ACCOUNT/values/test/versions").await.expect(200);
    assert_eq!(versions["items"][0]["reason"], "of [value]");
    let lines = format!("{}\n{}", &STRONG[..16], &STRONG[16..]);
    for reason in [lines.clone(), lines.replace('\n', " ")] {
        let put = json!({"fields": text(&lines), "reason": format!("now {reason}.")});
        anna.put("/secrets/KEY/values/test", put).await.expect(201);
        let versions = anna.get("/secrets/KEY/values/test/versions").await.expect(200);
        assert_eq!(versions["items"][0]["reason"], "now [value].");
    }
}

/// Of JSON whose one part is known, the others are not found by comparing guesses.
#[tokio::test]
async fn half_known_json_is_not_compared() {
    let server = Server::start().await;
    let owner = &server.owner;
    let of = |password: &str| json!({"content": {"account": STRONG, "password": password}});
    for (name, password) in [("TRUE", "summer-2024"), ("GUESS", "summer-2024"), ("OTHER", "winter-2024")] {
        let values = json!({"test": of(password), "live": of("summer-2024")});
        owner.post("/secrets", json!({"name": name, "type": "json", "values": values})).await.expect(201);
    }
    let compared = owner.get("/compare?from=test&to=live").await.expect(200);
    for item in compared["items"].as_array().unwrap() {
        assert_eq!((&item["result"], &item["reused_with"]), (&json!("unknown"), &Value::Null), "{item}");
    }
    for _ in 0..60 {
        let reply = owner.get("/compare?from=test&to=live").await;
        if reply.status == 429 {
            let secs: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&secs), "{secs}");
            return;
        }
    }
    panic!("comparing is not limited");
}

/// A tag tells of what its reader may list, and of nothing else.
#[tokio::test]
async fn tags_tell_of_what_is_listed() {
    let server = Server::start().await;
    let owner = &server.owner;
    let rights = ["secret.list", "secret.write", "variable.write"];
    let anna = with(&server, &rights, json!({"environment": "test"})).await;
    let values = json!({"test": text("one"), "live": text("one")});
    owner.post("/secrets", json!({"name": "KEY", "values": values})).await.expect(201);
    owner.post("/variables", json!({"name": "V", "values": {"test": "1", "live": "1"}})).await.expect(201);
    for (path, body) in
        [("/secrets/KEY", json!({"fields": text("two")})), ("/variables/V", json!({"value": "2"}))]
    {
        let seen = tag(&anna.get(path).await);
        let whole = tag(&owner.get(path).await);
        owner.put(&format!("{path}/values/live"), body.clone()).await;
        assert_ne!(tag(&owner.get(path).await), whole, "{path}");
        assert_eq!(tag(&anna.get(path).await), seen, "{path}");
        // It is still the tag of what she sees, and no longer once that has changed.
        let put = format!("{path}/values/test");
        let done = send(&anna, "PUT", &put, &[("if-match", &seen)], body.clone()).await;
        assert!(done.status < 300, "{}", done.text);
        send(&anna, "PUT", &put, &[("if-match", &seen)], body).await.refused(412, "version_conflict");
    }
}

/// A preview of an import says no more than the import would: whoever may not make a thing does not learn which names are taken.
#[tokio::test]
async fn previews_tell_no_names() {
    let server = Server::start().await;
    let owner = &server.owner;
    for name in ["taken", "also-taken"] {
        owner.post("/secrets", json!({"name": name, "folder": "hidden"})).await.expect(201);
    }
    let rights = ["secret.list", "secret.write", "variable.write"];
    let anna = with(&server, &rights, json!({"folder": "hers"})).await;
    for name in ["taken", "free"] {
        for what in ["secrets", "variables"] {
            let elsewhere = json!({"version": 1, what: [{"name": name, "folder": "hidden"}]});
            anna.post("/import?dry_run=true", elsewhere).await.refused(403, "forbidden");
        }
        let aimed = json!([{"name": name, "folder": "hers", "destinations": [{"host": "api.example.com"}]}]);
        let aimed = json!({"version": 1, "secrets": aimed});
        anna.post("/import?dry_run=true", aimed).await.refused(403, "forbidden");
    }
    let hers = json!({"version": 1, "secrets": [{"name": "free", "folder": "hers"}]});
    let report = anna.post("/import?dry_run=true", hers).await.expect(200);
    assert_eq!(report["secrets"][0]["result"], "created");
    let nobody = server.client("auditor").await;
    nobody.post("/import?dry_run=true", json!({"version": 1})).await.refused(403, "forbidden");
}

/// A condition that nothing is held against is refused, and a deleted secret is restored under none that was seen before.
#[tokio::test]
async fn conditions_are_not_ignored() {
    let server = Server::start().await;
    let owner = &server.owner;
    let made = owner.post("/secrets", json!({"name": "KEY"})).await;
    let seen = tag(&made);
    let condition = [("if-match", seen.as_str())];
    for (method, path, body) in [
        ("POST", "/secrets", json!({"name": "OTHER"})),
        ("POST", "/variables", json!({"name": "OTHER"})),
        ("POST", "/import", json!({"version": 1})),
        ("POST", "/environments", json!({"name": "stage", "protected": false})),
    ] {
        send(owner, method, path, &condition, body).await.refused(422, "validation_failed");
    }
    owner.delete("/secrets/KEY").await.expect(200);
    send(owner, "POST", "/secrets/KEY/restore", &condition, json!({})).await.refused(412, "version_conflict");
    owner.post("/secrets/KEY/restore", json!({})).await.expect(200);
    assert_eq!(tag(&owner.get("/secrets/KEY").await), seen);
}

/// JSON that two parsers read differently, or that would come back as something else, is not stored, and not repeated.
#[tokio::test]
async fn ambiguous_json_is_refused() {
    let server = Server::start().await;
    let owner = &server.owner;
    for (content, why) in [
        (r#"{"key": "hunter2", "key": "hunter3"}"#, "a name stands twice"),
        (r#"[{"a": {"key": "hunter2", "key": "hunter2"}}]"#, "a name stands twice"),
        (r#"{"hunter2": 12345678901234567890123}"#, "more digits"),
    ] {
        let body =
            format!(r#"{{"name": "J", "type": "json", "values": {{"test": {{"content": {content}}}}}}}"#);
        let url = format!("{}/v1/workspaces/{}/secrets", owner.url, owner.workspace);
        let request =
            owner.http.post(url).bearer_auth(&owner.token).header("content-type", "application/json");
        let reply = request.body(body).send().await.unwrap();
        assert_eq!(reply.status(), 422);
        let answer = reply.text().await.unwrap();
        assert!(answer.contains(why) && !answer.contains("hunter"), "{answer}");
    }
    owner.get("/secrets/J").await.refused(404, "not_found");
}
