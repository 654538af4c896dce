//! Deployments, templates and imports over HTTP and by the command line, with runs that show what arrived.

use serde_json::{Value, json};

use crate::{
    cli::Shell,
    disguise::Detector,
    harness::{Client, Server},
    hostile::Hostile,
};

const TEST: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
const LIVE: &str = "7hG2kQ9zXv4LpW8sRt1YbN6mC3dF5gJ0";

/// A server with a secret, a variable and an automation that names both.
async fn scene() -> (Server, Hostile) {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    let owner = &server.owner;
    hostile.tell(&[TEST, LIVE]);
    let secret = json!({"name": "KEY", "destinations": [hostile.destination(json!({}))],
        "values": {"test": {"value": TEST}, "live": {"value": LIVE}}});
    owner.post("/secrets", secret).await.expect(201);
    owner.post("/variables", json!({"name": "PLAN", "values": {"test": "basic"}})).await.expect(201);
    owner.put("/automations/charge", definition(&hostile)).await.expect(201);
    (server, hostile)
}

fn definition(hostile: &Hostile) -> Value {
    json!({"steps": [{"id": "s", "http": {"url": hostile.url("/works"), "auth": {"secret": "KEY"}, "query": {"plan": "{{vars.PLAN}}"}}}]})
}

fn to_live(more: Value) -> Value {
    let mut body = json!({"from": "test", "to": "live", "automations": ["charge"]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn run(client: &Client) -> Value {
    client.post("/automations/charge/runs?wait=30", json!({"environment": "live"})).await.json()
}

/// The contract's walk: a plan, what is missing, the deployment, a run with the copied value, and back.
#[tokio::test(flavor = "multi_thread")]
async fn over_http() {
    let (server, hostile) = scene().await;
    let (owner, operator) = (&server.owner, server.client("operator").await);
    let clean = Detector::new([TEST, LIVE]);
    let mut seen = Vec::new();
    run(owner).await["code"].as_str().filter(|code| *code == "not_deployed").unwrap();

    let plan = operator.post("/deployments", to_live(json!({"dry_run": true}))).await;
    let planned = plan.expect(200);
    assert_eq!(planned["missing"], json!(["variable:PLAN"]));
    assert_eq!((&planned["status"], &planned["id"]), (&json!("planned"), &Value::Null));
    assert_eq!(planned["secrets"][0]["result"], "different");
    assert_eq!(planned["automations"][0]["diff"][1]["path"], "steps[s]");
    seen.push(plan.text);
    let refused = operator.post("/deployments", to_live(json!({}))).await;
    assert_eq!(refused.refused(409, "no_value_in_environment")["errors"][0]["field"], "variables.PLAN");
    // To copy takes the right to write there.
    let copies = json!({"copy_secrets": ["KEY"], "copy_variables": ["PLAN"]});
    operator.post("/deployments", to_live(copies.clone())).await.refused(403, "forbidden");
    assert_eq!(owner.newest_event("verb=deploy").await["outcome"], "denied");

    let reply = owner.post("/deployments", to_live(copies.clone())).await;
    let done = reply.expect(201);
    seen.push(reply.text);
    assert!(done["id"].as_str().unwrap().starts_with("dep_"));
    assert_eq!((&done["secrets"][0]["replaces"], &done["secrets"][0]["version"]), (&json!(true), &json!(2)));
    assert_eq!(run(&operator).await["status"], "succeeded");
    assert!(hostile.last().contains(TEST) && hostile.last().contains("plan=basic"), "{}", hostile.last());
    assert_eq!(owner.newest_event("verb=deploy").await["environment"], "live");

    let id = done["id"].as_str().unwrap();
    // An operator may deploy, but to put values back is to write them.
    operator.post(&format!("/deployments/{id}/rollback"), json!({})).await.refused(403, "forbidden");
    let reply = owner.post(&format!("/deployments/{id}/rollback"), json!({})).await;
    assert_eq!(reply.expect(200)["status"], "rolled_back");
    seen.push(reply.text);
    owner.post(&format!("/deployments/{id}/rollback"), json!({})).await.refused(412, "version_conflict");
    assert_eq!(run(owner).await["code"], "not_deployed");
    assert_eq!(owner.get("/secrets/KEY").await.json()["environments"]["live"]["version"], 3);
    owner.put("/variables/PLAN/values/live", json!({"value": "pro"})).await.expect(204);
    owner.post("/deployments", to_live(json!({}))).await.expect(201);
    assert_eq!(run(owner).await["status"], "succeeded");
    assert!(hostile.last().contains(LIVE) && hostile.last().contains("plan=pro"));

    for path in [
        "/deployments",
        &format!("/deployments/{id}"),
        "/events?limit=500",
        "/automations/charge/template",
        "/export",
    ] {
        let reply = owner.get(path).await;
        reply.expect(200);
        seen.push(reply.text);
    }
    for text in seen {
        clean.assert_clean(text, "what was answered");
    }
    clean.assert_clean(server.log(), "the log");
    for (path, bytes) in server.files() {
        assert_eq!(clean.find(&bytes, 1), None, "{}", path.display());
    }
}

/// What a request may be, and that nothing in another workspace can be reached by it.
#[tokio::test]
async fn bad_requests() {
    let (server, _hostile) = scene().await;
    let owner = &server.owner;
    for (body, status, code) in [
        (json!({"from": "test", "to": "test", "automations": ["charge"]}), 422, "validation_failed"),
        (json!({"from": "test", "to": "live"}), 422, "validation_failed"),
        (json!({"from": "test", "to": "live", "automations": ["a/b"]}), 422, "validation_failed"),
        (
            json!({"from": "test", "to": "live", "automations": ["charge"], "force": true}),
            422,
            "validation_failed",
        ),
        (json!({"from": "test", "to": "nowhere", "automations": ["charge"]}), 404, "not_found"),
        (json!({"from": "test", "to": "live", "automations": ["other"]}), 404, "not_found"),
        (json!({"from": "test", "to": "live", "copy_secrets": ["OTHER"]}), 404, "not_found"),
        (json!({"from": "live", "to": "test", "automations": ["charge"]}), 409, "not_deployed"),
    ] {
        owner.post("/deployments", body.clone()).await.refused(status, code);
    }
    owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    let other = owner.in_workspace("other");
    other.post("/deployments", to_live(json!({}))).await.refused(404, "not_found");
    let done = owner.post("/deployments", to_live(json!({"copy_variables": ["PLAN"]}))).await.expect(201);
    let path = format!("/deployments/{}", done["id"].as_str().unwrap());
    other.get(&path).await.refused(404, "not_found");
    other.post(&format!("{path}/rollback"), json!({})).await.refused(404, "not_found");
    assert!(other.get("/deployments").await.json()["items"].as_array().unwrap().is_empty());
}

/// A template goes to another workspace, where things are called otherwise; and what is missing there is said.
#[tokio::test]
async fn templates_travel() {
    let (server, hostile) = scene().await;
    let owner = &server.owner;
    let mut template = owner.get("/automations/charge/template").await.expect(200);
    assert_eq!(template["secrets"][0]["name"], "KEY");
    assert_eq!(template["secrets"][0]["type"], "text");
    assert_eq!(template["secrets"][0]["destinations"][0]["port"], hostile.port);
    assert!(template["variables"][0].get("values").is_none() && !template.to_string().contains("basic"));
    owner.get("/automations/charge/template?environment=live").await.refused(409, "not_deployed");
    server.client("member").await.get("/automations/charge/template").await.expect(200);

    owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    let other = owner.in_workspace("other");
    let mine = json!({"name": "Our own key", "destinations": [hostile.destination(json!({}))], "values": {"test": {"value": LIVE}}});
    other.post("/secrets", mine).await.expect(201);
    template["map"] = json!({"key": "Our own key", "PLAN": "TARIFF", "NOTHING": "X"});
    other.post("/import", template.clone()).await.refused(422, "validation_failed");
    template["map"].as_object_mut().unwrap().remove("NOTHING");
    let preview = other.post("/import?dry_run=true", template.clone()).await.expect(200);
    assert_eq!(preview["secrets"], json!([{"name": "Our own key", "from": "KEY", "result": "exists"}]));
    assert_eq!(
        preview["variables"],
        json!([{"name": "TARIFF", "from": "PLAN", "result": "created", "missing_in": ["test"]}])
    );
    other.get("/variables/TARIFF").await.refused(404, "not_found");
    let report = other.post("/import", template).await.expect(200);
    assert_eq!(report["automations"][0]["result"], "published");
    let arrived = other.get("/automations/charge").await.expect(200);
    assert_eq!(arrived["steps"][0]["http"]["auth"]["secret"], "Our own key");
    assert_eq!(arrived["steps"][0]["http"]["query"]["plan"], "{{vars.TARIFF}}");
    other.put("/variables/TARIFF/values/test", json!({"value": "basic"})).await.expect(204);
    let run =
        other.post("/automations/charge/runs?wait=30", json!({"environment": "test"})).await.expect(201);
    assert_eq!(run["status"], "succeeded", "{run}");
    assert!(hostile.last().contains(LIVE));
}

/// A document that somebody else wrote: what it would replace is said before, and it brings in nothing that could not be saved.
#[tokio::test]
async fn hostile_templates() {
    let (server, _hostile) = scene().await;
    let owner = &server.owner;
    let before = owner.get("/automations/charge").await.text;
    let mut template = owner.get("/automations/charge/template").await.expect(200);
    template["automations"][0]["steps"][0]["http"]["query"]["note"] =
        json!("ghp_4eC39HqLyjWDarjtT1zdp7dcAbQ2");
    let elsewhere = json!([{"host": "evil.example.com"}]);
    template["secrets"][0]["destinations"] = elsewhere.clone();
    for path in ["/import?dry_run=true", "/import"] {
        let report = owner.post(path, template.clone()).await.expect(200);
        assert_eq!(report["secrets"][0]["result"], "exists");
        assert!(report["secrets"][0]["warnings"][0].as_str().unwrap().contains("may not go"), "{report}");
        let warnings = report["automations"][0]["warnings"].to_string();
        assert!(warnings.contains("replaces it") && warnings.contains("query.note"), "{report}");
        assert_eq!(owner.get("/automations/charge").await.text == before, path.contains("dry_run"));
    }
    assert_ne!(owner.get("/secrets/KEY").await.json()["destinations"], elsewhere);
    // What looks like a credential in a definition is named, without what stands there, wherever it is taken out.
    for path in ["/automations/charge/template", "/export"] {
        let document = owner.get(path).await.expect(200);
        let warning = document["warnings"][0].as_str().unwrap();
        assert!(warning.starts_with("charge: `steps[0].http.query.note`") && !warning.contains("4eC39"));
        owner.post("/import?dry_run=true", document).await.expect(200);
    }
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for (at, bad) in [
        json!({"name": "x", "steps": [], "more": 1}),
        json!({"name": "a/b", "steps": template["automations"][0]["steps"]}),
        json!({"name": "x", "triggers": [{"schedule": {"cron": "0 0 31 2 *", "timezone": "UTC"}}], "steps": template["automations"][0]["steps"]}),
        json!({"name": "x", "triggers": [{"schedule": {"cron": "0 6 * * *", "timezone": "Moon/Base"}}], "steps": template["automations"][0]["steps"]}),
        serde_json::from_str(&deep(90)).unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        let document = json!({"version": 1, "automations": [bad]});
        let reply = owner.post("/import", document).await;
        assert_eq!(reply.status, 422, "{at}: {}", reply.text);
    }
    let http =
        || owner.http.post(format!("{}/v1/workspaces/default/import", owner.url)).bearer_auth(&owner.token);
    for text in [
        format!("{{\"version\": 1, \"automations\": [{}]}}", deep(100_000)),
        r#"{"version": 1, "version": 2}"#.to_owned(),
        r#"{"version": 1, "automations": [{"name": "x", "steps": [{"id": "s", "http": {"url": "https://a.test/", "url": "https://b.test/"}}]}]}"#.to_owned(),
    ] {
        let reply = http().header("content-type", "application/json").body(text.clone()).send().await.unwrap();
        assert_eq!(reply.status(), 422, "{:.100}", text);
    }
    assert_eq!(owner.get("/automations").await.json()["items"].as_array().unwrap().len(), 1);
}

/// JSON and YAML, out and in over HTTP: the definition that is stored is the same, and so its hash.
#[tokio::test]
async fn both_ways_of_writing() {
    let server = Server::start().await;
    let owner = &server.owner;
    let texts = [
        "yes",
        "1e3",
        "~",
        "- a: b",
        " lead",
        "trail ",
        "a\nb",
        "'",
        "\"",
        "#",
        "{{\"{{\"}}",
        "é🔑",
        "0x1f",
        "null",
        "",
        "\u{2028}",
        "12:30:45",
    ];
    for (at, text) in texts.iter().enumerate() {
        let definition = json!({"description": text, "steps": [{"id": "s", "http": {"method": "POST", "url": "https://192.0.2.1/",
            "body": {"json": {"text": text, text.replace('{', ""): [1, 1.5, 1e300, -0.1, 18446744073709551615_u64, null, true, {"deep": []}]}}}}]});
        let path = format!("/automations/round-{at}");
        let first = owner.put(&path, definition).await.expect(201);
        let stored = owner.get(&path).await.text;
        let request =
            owner.http.get(format!("{}/v1/workspaces/default{path}", owner.url)).bearer_auth(&owner.token);
        let yaml = request.header("accept", "application/yaml").send().await.unwrap().text().await.unwrap();
        let request =
            owner.http.put(format!("{}/v1/workspaces/default{path}", owner.url)).bearer_auth(&owner.token);
        let request = request.header("content-type", "application/yaml").body(yaml.clone());
        let second: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(second["hash"], first["hash"], "{text:?}: {yaml} {second}");
        assert_eq!(owner.get(&path).await.text, stored);
        let template = owner.get(&format!("{path}/template")).await.expect(200);
        owner.post("/import", template).await.expect(200);
        assert_eq!(owner.get(&path).await.text, stored);
    }
}

/// The command line: shows what would change, refuses what is missing, and takes it back.
#[tokio::test(flavor = "multi_thread")]
async fn by_the_command_line() {
    let (server, hostile) = scene().await;
    let shell = Shell::of(&server);
    let preview = shell.run(&["deploy", "charge", "--from", "test", "--to", "live", "--dry-run"]);
    let preview = preview.failed(1, "missing there: variable:PLAN");
    for part in [
        "test to live: planned",
        "charge: new",
        "+ steps[s].http.url:",
        "secret KEY: different",
        "missing in live: variable:PLAN",
    ] {
        assert!(preview.stdout.contains(part), "{part}: {}", preview.stdout);
    }
    shell.run(&["deploy", "charge", "--to", "live", "--yes"]).failed(1, "variable:PLAN");
    let done = shell
        .run(&[
            "deploy",
            "charge",
            "--to",
            "live",
            "--copy-secret",
            "KEY",
            "--copy-variable",
            "PLAN",
            "--yes",
            "--output",
            "json",
        ])
        .ok();
    // As in the preview: a change, a line.
    let replaces = "  secret KEY: different, copied, replaces the value there";
    assert!(done.stderr.lines().any(|line| line == replaces), "{}", done.stderr);
    let done: Value = serde_json::from_str(&done.stdout).unwrap();
    let id = done["id"].as_str().unwrap();
    shell.run(&["automations", "run", "charge", "--env", "live"]).ok();
    assert!(hostile.last().contains(TEST));
    let listed = shell.run(&["deployments", "list"]).ok();
    assert!(listed.stdout.contains(id) && listed.stdout.contains("deployed"), "{}", listed.stdout);
    assert!(shell.run(&["deployments", "show", id]).ok().stdout.contains("charge: new"));
    let undone = shell.run(&["deployments", "rollback", id, "--yes"]).ok();
    assert!(undone.stderr.lines().any(|line| line == replaces), "{}", undone.stderr);
    shell.run(&["deployments", "rollback", id, "--yes"]).failed(5, "rolled back already");
    shell.run(&["automations", "run", "charge", "--env", "live"]).failed(5, "not published");

    let template = shell.run(&["automations", "template", "charge"]).ok().stdout;
    let exported = shell.run(&["automations", "export", "charge"]).ok().stdout;
    assert_eq!(
        serde_json::from_str::<Value>(&template).unwrap(),
        serde_json::from_str::<Value>(&exported).unwrap()
    );
    let file = shell.directory.path().join("charge.json");
    std::fs::write(&file, &template).unwrap();
    let file = file.to_str().unwrap();
    let imported = shell
        .run(&[
            "automations",
            "import",
            file,
            "--as",
            "charge-2",
            "--map",
            "KEY=OTHER_KEY",
            "--output",
            "json",
        ])
        .ok();
    let report: Value = serde_json::from_str(&imported.stdout).unwrap();
    assert_eq!(report["secrets"][0]["missing_in"], json!(["test"]), "{report}");
    let arrived = server.owner.get("/automations/charge-2").await.expect(200);
    assert_eq!(arrived["steps"][0]["http"]["auth"]["secret"], "OTHER_KEY");
    for text in [template, preview.stdout, imported.stdout, listed.stdout] {
        assert!(!text.contains(TEST) && !text.contains(LIVE));
    }
}
