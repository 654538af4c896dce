//! Triggers: webhooks and schedules, on whose authority they fire, and how often.

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    cli::Shell,
    harness::{Client, Reply, Server},
    queue::Service,
    store_process::{Api, Process, init},
    typed::on_terminal,
};

fn definition(service: &Service) -> Value {
    let step = json!({"id": "call", "http": {"method": "POST", "url": service.url("/ok/call"), "auth": {"secret": "KEY"}, "body": {"json": {"got": "{{input}}"}}}});
    json!({"triggers": [{"schedule": {"cron": "0 6 1 1 *", "timezone": "Europe/Berlin"}}, {"webhook": {}}], "steps": [step]})
}

fn secret(service: &Service) -> Value {
    let destination =
        json!({"host": "127.0.0.1", "scheme": "http", "port": service.port, "paths": ["/ok/**"]});
    json!({"name": "KEY", "type": "bearer_token", "destinations": [destination], "values": {"test": {"token": "Nc4Yx7Qd1Lm9Tb3Vf6Rk8Wz2Hs5Pg0Je"}}})
}

/// What anybody does who has an address.
async fn call(client: &Client, url: &str, kind: &str, body: impl Into<reqwest::Body>) -> Reply {
    let response = client.http.post(url).header("content-type", kind).body(body).send().await.unwrap();
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

async fn ended(owner: &Client, id: &str) -> Value {
    for _ in 0..200 {
        let run = owner.get(&format!("/runs/{id}")).await.expect(200);
        if run["finished_at"].is_string() {
            return run;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{id} does not end");
}

/// A webhook's address starts runs with what is sent, until it is rotated or disabled, or until whoever enabled it may not
/// run the automation any more. To whoever calls, all of these look the same.
#[tokio::test]
async fn webhooks() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(&service)).await.expect(201);
    owner.put("/automations/hooked", definition(&service)).await.expect(201);
    let listed = owner.get("/automations/hooked/triggers").await.expect(200);
    assert_eq!(
        (&listed["items"][0]["enabled"], &listed["items"][0]["webhook"]),
        (&json!(false), &json!(true))
    );

    let editor = server.client("editor").await;
    let enable = "/automations/hooked/triggers/test/enable";
    editor.post(enable, json!({})).await.refused(403, "forbidden");
    owner.event_soon("verb=trigger.enable&outcome=denied").await;
    let operator = server.client("operator").await;
    let enabled = operator.post(enable, json!({})).await.expect(200);
    assert_eq!((&enabled["enabled"], &enabled["enabled_by"]), (&json!(true), &json!(operator.name)));
    let url = enabled["webhook_url"].as_str().unwrap().to_owned();
    assert!(url.contains("/v1/hooks/tct_wh_"));
    let planned = owner.get("/automations/hooked/triggers").await.expect(200);
    assert!(!planned.to_string().contains("tct_wh_"), "an address is shown once");

    let called = call(owner, &url, "application/json", r#"{"invoice": "in_1", "x": "{{secrets.KEY}}"}"#)
        .await
        .expect(202);
    let run = ended(owner, called["run"].as_str().unwrap()).await;
    assert_eq!(
        (&run["status"], &run["trigger"], &run["started_by"]),
        (&json!("succeeded"), &json!("webhook"), &json!(operator.name)),
        "{run}"
    );
    let event = owner.newest_event("verb=run.start").await;
    assert_eq!(
        (&event["actor"], &event["on_behalf_of"]),
        (&json!("automation:hooked"), &json!(operator.name)),
        "{event}"
    );
    for (kind, body, status) in [
        ("text/plain", "hello", 202),
        ("application/cloudevents+json", "[1]", 202),
        ("application/json", "{not json", 422),
        ("application/json", "", 202),
    ] {
        assert_eq!(call(owner, &url, kind, body).await.status, status, "{kind} {body}");
    }
    call(owner, &url, "text/plain", "a".repeat(1024 * 1024 + 1)).await.refused(413, "payload_too_large");

    let base = url.rsplit_once('/').unwrap().0;
    for wrong in ["tct_wh_x", "nothing", &owner.token, &url.rsplit_once('/').unwrap().1.to_uppercase()] {
        call(owner, &format!("{base}/{wrong}"), "text/plain", "").await.refused(404, "not_found");
    }
    let rotated = operator.post("/automations/hooked/triggers/test/rotate", json!({})).await.expect(200);
    let next = rotated["webhook_url"].as_str().unwrap();
    call(owner, &url, "text/plain", "").await.refused(404, "not_found");
    call(owner, next, "text/plain", "").await.expect(202);

    // Whoever enabled it is gone: it fires no more, and the record says that it was tried.
    let account = operator.name.split(':').nth(1).unwrap();
    owner.delete(&format!("/service-accounts/{account}")).await.expect(204);
    call(owner, next, "text/plain", "").await.refused(404, "not_found");
    let denied = owner.event_soon("verb=run.start&outcome=denied").await;
    assert_eq!(denied["actor"], "automation:hooked");
    let triggers = async || owner.get("/automations/hooked/triggers").await.expect(200)["items"][0].clone();
    let listed = triggers().await;
    assert_eq!((&listed["enabled"], &listed["fires"]), (&json!(true), &json!(false)), "{listed}");
    // Somebody else takes over, and those who call it need not know.
    let enabled = owner.post(enable, json!({})).await.expect(200);
    assert_eq!((&enabled["fires"], enabled.get("webhook_url")), (&json!(true), None), "{enabled}");
    call(owner, next, "text/plain", "").await.expect(202);
    // A definition without the webhook ends its address; with it again there is none until it is enabled again.
    let mut without = definition(&service);
    without["triggers"].as_array_mut().unwrap().retain(|trigger| trigger.get("webhook").is_none());
    owner.put("/automations/hooked", without).await.expect(200);
    owner.put("/automations/hooked", definition(&service)).await.expect(200);
    call(owner, next, "text/plain", "").await.refused(404, "not_found");
    let listed = triggers().await;
    assert_eq!((&listed["webhook"], &listed["webhook_has_address"]), (&json!(true), &json!(false)));
    let enabled = owner.post(enable, json!({})).await.expect(200);
    let url = enabled["webhook_url"].as_str().unwrap();
    call(owner, url, "text/plain", "").await.expect(202);

    // So often and no oftener.
    let mut refused = None;
    for _ in 0..200 {
        let reply = call(owner, url, "text/plain", "").await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("a webhook has a rate");
    assert!(refused.headers.contains_key("retry-after"));
    owner.post("/automations/hooked/triggers/test/disable", json!({})).await.expect(200);
    call(owner, url, "text/plain", "").await.refused(404, "not_found");
    owner.post("/automations/hooked/triggers/test/rotate", json!({})).await.refused(422, "validation_failed");

    // A definition without them has none to enable; one that is saved with a zone that is none is refused.
    owner
        .put("/automations/plain", json!({"steps": [{"id": "a", "http": {"url": "https://192.0.2.1/"}}]}))
        .await
        .expect(201);
    owner.post("/automations/plain/triggers/test/enable", json!({})).await.refused(422, "validation_failed");
    owner.post("/automations/hooked/triggers/live/enable", json!({})).await.refused(409, "not_deployed");
    let mut unknown = definition(&service);
    unknown["triggers"][0]["schedule"]["timezone"] = "Europe/Berln".into();
    owner.put("/automations/hooked", unknown.clone()).await.refused(422, "validation_failed");
    unknown["triggers"][0]["schedule"] = json!({"cron": "0 25 * * *"});
    let refused = owner.put("/automations/hooked", unknown).await.refused(422, "validation_failed");
    assert!(refused["detail"].as_str().unwrap().contains("names no hour"), "{refused}");
}

/// Of whoever has no address nothing is read; whoever has one starts one run each time, whatever they say of repeating.
#[tokio::test]
async fn strangers_are_not_listened_to() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(&service)).await.expect(201);
    owner.put("/automations/hooked", definition(&service)).await.expect(201);
    let enabled = owner.post("/automations/hooked/triggers/test/enable", json!({})).await.expect(200);
    let rotated = owner.post("/automations/hooked/triggers/test/rotate", json!({})).await.expect(200);
    let url = rotated["webhook_url"].as_str().unwrap();
    let (base, token) = url.rsplit_once('/').unwrap();
    // What is not there, or not any more, is said to be so before the body has come.
    let (_, other) = enabled["webhook_url"].as_str().unwrap().rsplit_once('/').unwrap();
    let address = owner.url.split("://").nth(1).unwrap();
    for wrong in ["nothing", other] {
        let mut stranger = TcpStream::connect(address).await.unwrap();
        let head = format!("POST /v1/hooks/{wrong} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{{");
        stranger.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stranger.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404", "{wrong}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let status = owner.http.request(method, url).send().await.unwrap().status();
        assert_eq!(status, 405, "a link that is followed starts nothing");
    }
    assert_eq!(call(owner, &format!("{base}/{token}/"), "text/plain", "").await.status, 404);
    assert!(service.seen("/ok/").is_empty());
}

/// What comes in by a webhook is data wherever it stands: it leaves its segment, its header, its field as little as it names a
/// secret or a host.
#[tokio::test]
async fn what_comes_in_stays_in_its_place() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(&service)).await.expect(201);
    let get = json!({
        "url": service.url("/ok/{{input.id}}/end"), "auth": {"secret": "KEY"},
        "headers": {"X-Id": "{{input.id}}"}, "query": {"q": "{{input.id}}"},
    });
    let wants = "input.id != \"skip\" and not (input.id == true)";
    let steps = json!([{"id": "get", "when": wants, "http": get}]);
    owner
        .put("/automations/placed", json!({"triggers": [{"webhook": {}}], "steps": steps}))
        .await
        .expect(201);
    let enabled = owner.post("/automations/placed/triggers/test/enable", json!({})).await.expect(200);
    let url = enabled["webhook_url"].as_str().unwrap();
    for id in [
        json!("../../status/500"),
        json!("..%2f..%2fstatus"),
        json!("a\r\nX-Evil: 1"),
        json!("?q=1#x"),
        json!("@192.0.2.1/"),
        json!("{{secrets.KEY}}"),
        json!("skip\" or \"a\" == \"a"),
        json!({"deep": ["x"]}),
        Value::Null,
        json!(true),
    ] {
        let body = json!({"id": id}).to_string();
        let called = call(owner, url, "application/json", body).await.expect(202);
        let run = ended(owner, called["run"].as_str().unwrap()).await;
        assert!(!run.to_string().contains("Nc4Yx7Qd1Lm9Tb3Vf6Rk8Wz2Hs5Pg0Je"), "{run}");
    }
    for head in service.seen("") {
        let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
        assert!(path.starts_with("/ok/") && path.ends_with("/end") && path.split('/').count() == 4, "{head}");
        assert!(!head.to_ascii_lowercase().contains("\r\nx-evil"), "{head}");
    }
    assert!(!service.seen("/ok/").is_empty());
    for bad in [
        json!({"url": format!("http://{{{{input.host}}}}:{}/", service.port), "auth": {"secret": "KEY"}}),
        json!({"url": service.url("/ok/"), "auth": {"secret": "{{input.name}}"}}),
        json!({"url": service.url("/ok/"), "headers": {"{{input.name}}": "x"}, "auth": {"secret": "KEY"}}),
    ] {
        let reply = owner.put("/automations/bad", json!({"steps": [{"id": "a", "http": bad}]})).await;
        assert_eq!(reply.status, 422, "{bad} {}", reply.text);
    }
}

/// The same from the command line; a run that is stopped or fails ends the command with a status of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_command_line() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(&service)).await.expect(201);
    owner.put("/automations/hooked", definition(&service)).await.expect(201);
    let step = |id: &str| json!({"id": id, "http": {"url": service.url("/ok/x"), "auth": {"secret": "KEY"}, "expect_status": [404]}});
    let mut first = step("first");
    first["on_error"] = "continue".into();
    owner
        .put("/automations/fails", json!({"steps": [first, step("second"), step("third")]}))
        .await
        .expect(201);
    let shell = Shell::of(&server);
    let run = |arguments: &[&str]| tokio::task::block_in_place(|| shell.run(arguments));
    let listed = run(&["automations", "triggers", "list", "hooked"]);
    assert!(
        listed.status == 0 && listed.stdout.contains("0 6 1 1 * (Europe/Berlin), webhook"),
        "{}",
        listed.stdout
    );
    let enabled = run(&["automations", "triggers", "enable", "hooked", "--env", "test"]);
    let url = enabled
        .stdout
        .lines()
        .find_map(|line| line.split_once("http").map(|(_, rest)| format!("http{rest}")))
        .unwrap();
    let called = call(owner, &url, "text/plain", "hello").await.expect(202);
    let id = called["run"].as_str().unwrap();
    let watched = run(&["runs", "watch", id]);
    assert!(
        watched.status == 0 && watched.stdout.contains("succeeded"),
        "{} {}",
        watched.stdout,
        watched.stderr
    );
    let rotated = run(&["automations", "triggers", "rotate", "hooked", "--env", "test"]);
    assert!(rotated.stdout.contains("/v1/hooks/tct_wh_") && !rotated.stdout.contains(&url));
    assert_eq!(run(&["automations", "triggers", "disable", "hooked", "--env", "test"]).status, 0);
    call(owner, &url, "text/plain", "").await.refused(404, "not_found");
    // The step that is blamed is the one that stopped the run, here and over HTTP.
    let failed = run(&["automations", "run", "fails"]).failed(1, "the run failed at step second");
    let mut said = failed.stderr.lines();
    let id = said.next().and_then(|line| line.strip_suffix(" is started")).unwrap();
    assert!(id.starts_with("run_") && failed.stdout.contains(id), "{}{}", failed.stdout, failed.stderr);
    assert!(failed.stdout.contains("third   skipped    the run stopped before it"), "{}", failed.stdout);
    let listed = run(&["runs", "list", "--automation", "fails", "--status", "failed", "--output", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert!(
        listed["items"][0]["error"]["detail"].as_str().unwrap().starts_with("step `second`: "),
        "{listed}"
    );
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    run(&["runs", "watch", &id]).failed(1, "at step second");
    let over = run(&["runs", "cancel", &id]);
    assert!(over.status == 0 && (over.stdout + &over.stderr).contains("is over: failed"));
    // What started a run is in the list, which can be narrowed to it.
    for (trigger, named) in [("webhook", "hooked"), ("manual", "fails")] {
        let listed = run(&["runs", "list", "--trigger", trigger]).ok().stdout;
        assert!(
            listed.lines().skip(1).all(|line| line.contains(trigger) && line.contains(named)),
            "{listed}"
        );
        assert!(listed.lines().count() > 1, "{listed}");
    }
    for wrong in [["--status", "nonsense"], ["--trigger", "nonsense"]] {
        let refused = run(&[&["runs", "list"], &wrong[..]].concat());
        assert!(refused.status == 2 && refused.stderr.contains("possible values"), "{}", refused.stderr);
    }
    owner.get("/runs?trigger=nonsense").await.refused(422, "validation_failed");
    assert_eq!(run(&["automations", "run", "fails", "--wait", "99999"]).status, 2);

    // A run that still goes when --wait is over did not succeed, and without --wait it is followed to its end.
    let slow = json!({"id": "s", "http": {"url": service.url("/slow/ok")}});
    owner.put("/automations/slow", json!({"steps": [slow]})).await.expect(201);
    let going = run(&["automations", "run", "slow", "--wait", "0"]).failed(6, "the run is not over");
    assert!(going.stdout.contains("it goes on: tacit runs watch run_"), "{}", going.stdout);
    service.open();
    let done = run(&["automations", "run", "slow", "--output", "json"]).ok();
    let done: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(done["status"], "succeeded", "{done}");
    // Somebody who looks on sees each step once, when it is over.
    let (status, screen) =
        tokio::task::block_in_place(|| on_terminal(&shell, &["automations", "run", "fails"], b""));
    let at = |part: &str| screen.find(part).unwrap_or_else(|| panic!("{part}: {screen}"));
    assert!(
        status == 1
            && at("is started") < at("  first  failed")
            && at("  first  failed") < at("  second  failed")
    );
    assert!(
        screen.matches("  first  failed").count() == 1 && at("  failed\r\n") < at("at step second"),
        "{screen}"
    );
}

/// What came due while no server was there fires once, however often it was missed; what is disabled does not.
#[tokio::test]
async fn missed_schedules_fire_once() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    let token = init(&data);
    let service = Service::start().await;
    let mut server = Process::start(&data, &log);
    let api = Api::new(&server.url, &token);
    api.must("POST", "/secrets", secret(&service)).await.expect(201);
    for name in ["missed", "off"] {
        let mut definition = definition(&service);
        definition["triggers"][0]["schedule"]["cron"] = "* * * * *".into();
        definition["steps"][0]["http"]["url"] = service.url(&format!("/ok/{name}")).into();
        api.must("PUT", &format!("/automations/{name}"), definition).await.expect(201);
        api.must("POST", &format!("/automations/{name}/triggers/test/enable"), json!({})).await.expect(200);
    }
    api.must("POST", "/automations/off/triggers/test/disable", json!({})).await.expect(200);
    let next = async |api: &Api| {
        for _ in 0..100 {
            let found = api.get("/automations/missed/triggers").await.expect(200);
            if let Some(next) = found["items"][0]["schedules"][0]["next_at"].as_str() {
                return next.to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the schedule is not worked out");
    };
    next(&api).await;
    server.kill();
    let before = service.seen("/ok/missed").len();
    // As if it had been down for three days.
    let database = Connection::open(data.join("tacit.db")).unwrap();
    let changed = database.execute("UPDATE schedules SET next_at = next_at - 3 * 86400000", []).unwrap();
    assert_eq!(changed, 1, "what is disabled has no schedule");
    drop(database);
    let mut server = Process::start(&data, &log);
    let api = Api::new(&server.url, &token);
    let mut fired = Value::Null;
    for _ in 0..200 {
        fired = api.get("/runs?automation=missed").await.expect(200)["items"][0].clone();
        if fired["status"] == "succeeded" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((&fired["status"], &fired["trigger"]), (&json!("succeeded"), &json!("schedule")), "{fired}");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    // At most a whole minute may have begun meanwhile.
    let times = service.seen("/ok/missed").len() - before;
    assert!((1..=2).contains(&times), "it fired {times} times");
    assert!(service.seen("/ok/off").is_empty());
    server.kill();
}
