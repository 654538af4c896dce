//! What a definition names, and what it says literally and should rather name.

use serde_json::json;

use crate::{harness::Server, hostile::Hostile};

/// References are those of what is published now, by step and place; they go with the automation.
#[tokio::test]
async fn usages_follow_what_is_published() {
    let server = Server::start().await;
    let upstream = Hostile::start().await;
    for name in ["KEY", "Other Key"] {
        let places = ["auth", "header:x-own", "query:k", "path", "json:/a", "form:f"];
        let secret = json!({"name": name, "type": "bearer_token", "destinations": [upstream.destination(json!({"places": places}))], "values": {"test": {"token": "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6"}}});
        server.owner.post("/secrets", secret).await.expect(201);
    }
    let editor = server.client("editor").await;
    let url = upstream.url("/echo");
    let steps = json!({"steps": [
        {"id": "one", "http": {"url": url, "auth": {"secret": "key"}, "headers": {"X-Own": "{{secrets[\"Other Key\"]}}"}}},
        {"id": "two", "http": {"method": "POST", "url": url, "query": {"k": "{{secrets.KEY}}"}, "body": {"json": {"a": "{{secrets.KEY}}"}}}},
    ]});
    editor.put("/automations/report", steps).await.expect(201);
    let of = async |client: &crate::harness::Client, name: &str| {
        client.get(&format!("/secrets/{name}/usages")).await.expect(200)["automations"].clone()
    };
    let fields = json!([{"step": "one", "field": "auth"}, {"step": "two", "field": "json:/a"}, {"step": "two", "field": "query:k"}]);
    assert_eq!(
        of(&editor, "KEY").await,
        json!([{"name": "report", "environment": "test", "fields": fields}])
    );
    let fields = json!([{"step": "one", "field": "header:x-own"}]);
    let other = of(&editor, "Other%20Key").await;
    assert_eq!(other, json!([{"name": "report", "environment": "test", "fields": fields}]));

    let steps = json!({"steps": [{"id": "three", "http": {"url": url, "auth": {"secret": "KEY"}}}]});
    editor.put("/automations/report", steps).await.expect(200);
    assert_eq!(of(&editor, "KEY").await[0]["fields"], json!([{"step": "three", "field": "auth"}]));
    assert_eq!(of(&editor, "Other%20Key").await, json!([]));
    let dry = json!({"steps": [{"id": "four", "http": {"url": url, "auth": {"secret": "Other Key"}}}]});
    editor.put("/automations/report?dry_run=true", dry).await.expect(200);
    assert_eq!(of(&editor, "Other%20Key").await, json!([]), "a dry run publishes nothing");

    // Who may list in another environment only sees no automation of this one.
    server.owner.post("/roles", json!({"name": "starter", "rights": ["automation.run"]})).await.expect(201);
    let account = json!({"name": "elsewhere", "role": "starter"});
    server.owner.post("/service-accounts", account).await.expect(201);
    let grant =
        json!({"role": "member", "to": "service-account:elsewhere", "scope": {"environment": "live"}});
    server.owner.post("/grants", grant).await.expect(201);
    let token = server.owner.post("/service-accounts/elsewhere/tokens", json!({})).await.expect(201);
    let elsewhere = crate::harness::Client::new(&server.url, token["token"].as_str().unwrap());
    assert_eq!(of(&elsewhere, "KEY").await, json!([]));

    // A reference is checked when it runs, too: what was deleted is named.
    server.owner.delete("/secrets/KEY?force=true").await.expect(200);
    let run =
        editor.post("/automations/report/runs?wait=20", json!({"environment": "test"})).await.expect(201);
    assert_eq!(run["steps"][0]["error"]["code"], "secret_disabled", "{run}");
    server.owner.post("/secrets/KEY/restore", json!({})).await.expect(200);
    editor.delete("/automations/report").await.expect(204);
    assert_eq!(of(&editor, "KEY").await, json!([]));
}

/// Publishing warns of literals that look like credentials, by field and without repeating them; also before it is done.
#[tokio::test]
async fn literals_are_warned_of() {
    let server = Server::start().await;
    let editor = server.client("editor").await;
    let steps = json!({"steps": [
        {"id": "a", "http": {"url": "https://api.example.com/?access_token=hunter2hunter2", "headers": {"Authorization": "Bearer hunter2"}}},
        {"id": "b", "http": {"method": "POST", "url": "https://api.example.com/", "body": {"json": {"deep": ["ghp_4eC39HqLyjWDarjtT1zdp7dcAbQ2"]}}}},
    ]});
    for (path, status) in [("/automations/loose?dry_run=true", 200), ("/automations/loose", 201)] {
        let saved = editor.put(path, steps.clone()).await;
        let warnings = saved.expect(status)["warnings"].to_string();
        for field in
            ["steps[0].http.url", "steps[0].http.headers.Authorization", "steps[1].http.body.json.deep[0]"]
        {
            assert!(warnings.contains(&format!("`{field}`")), "{field}: {warnings}");
        }
        assert!(!warnings.contains("hunter2") && !warnings.contains("4eC39"), "{warnings}");
    }
    let steps = json!({"steps": [{"id": "a", "http": {"url": "https://api.example.com/v1/things"}}]});
    assert_eq!(editor.put("/automations/tidy", steps).await.expect(201)["warnings"], json!([]));
}

/// All that is missing is said at once, with its steps; and what is written out and cannot work is warned of.
#[tokio::test]
async fn what_cannot_work() {
    let server = Server::start().await;
    let editor = server.client("editor").await;
    let step = |id: &str, url: &str, secret: &str| json!({"id": id, "http": {"url": url, "auth": {"secret": secret}}});
    let steps = json!({"steps": [
        step("a", "https://{{vars.HOST}}/", "NOT_THERE"),
        step("b", "https://api.example.com/?x={{vars.HOST}}", "NOR_THIS"),
    ]});
    let refused = editor.put("/automations/lost", steps).await.refused(422, "unknown_reference");
    let named = |field: &str| {
        let errors = refused["errors"].as_array().unwrap();
        errors.iter().find(|error| error["field"] == field).unwrap()["message"].as_str().unwrap().to_owned()
    };
    assert!(named("secrets.NOT_THERE").ends_with("named by `a`"), "{refused}");
    assert!(named("secrets.NOR_THIS").ends_with("named by `b`"), "{refused}");
    assert!(named("vars.HOST").ends_with("named by `a`, `b`"), "{refused}");

    let secret = json!({"name": "KEY", "type": "bearer_token", "destinations": [{"host": "api.example.com"}],
        "values": {"test": {"token": "sk_live_Hd7Js2Kf9Lw4Qe8Rt3Yu6Io1"}}});
    server.owner.post("/secrets", secret).await.expect(201);
    let steps = json!({"steps": [
        step("a", "https://api.example.com/v1", "KEY"),
        step("b", "https://api.example.org/v1", "key"),
        step("c", "api.example.com/v1", "KEY"),
    ]});
    let saved = editor.put("/automations/astray", steps).await.expect(201);
    let warnings: Vec<_> = saved["warnings"].as_array().unwrap().iter().filter_map(|w| w.as_str()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].starts_with("`KEY` may not go to https://api.example.org, where `steps[1].http`"),
        "{warnings:?}"
    );
    assert!(warnings[1].starts_with("`steps[2].http` names no absolute"), "{warnings:?}");
}
