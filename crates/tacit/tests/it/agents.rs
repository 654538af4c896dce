//! Agents: a part of somebody's rights, under a name of their own, for a while and for so many requests.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    hostile::Hostile,
};

const VALUE: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// An agent that acts for somebody.
async fn agent_of(client: &Client, body: Value) -> (Client, String) {
    let session = client.post("/agent-sessions", body).await.expect(201);
    assert!(text(&session["token"]).starts_with("tct_ag_") && text(&session["id"]).starts_with("ags_"));
    let mut agent = Client::new(&client.url, text(&session["token"]));
    agent.name = format!("agent:{}", text(&session["name"]));
    (agent, text(&session["id"]).to_owned())
}

async fn rights_of(client: &Client) -> Vec<String> {
    let me = client.get("/v1/whoami").await.expect(200);
    me["workspaces"][0]["rights"].as_array().unwrap().iter().map(|right| text(right).to_owned()).collect()
}

/// Of its maker's rights, those that agents may have: whoever it acts for.
#[tokio::test]
async fn rights_are_a_part_of_the_makers() {
    let server = Server::start().await;
    let most = "secret.list secret.use variable.write automation.write automation.run";
    for (role, expected) in [
        ("owner", most),
        ("admin", most),
        ("editor", most),
        ("operator", "secret.list automation.run"),
        ("member", "secret.list automation.run"),
        ("auditor", "secret.list"),
    ] {
        let maker = server.client(role).await;
        let (agent, _) = agent_of(&maker, json!({"name": "triage"})).await;
        assert_eq!(rights_of(&agent).await.join(" "), expected, "{role}");
        let me = agent.get("/v1/whoami").await.expect(200);
        assert_eq!(
            (&me["kind"], &me["name"], &me["instance_admin"]),
            (&json!("agent"), &json!("triage"), &json!(false))
        );
        assert_eq!(me["workspaces"][0]["role"], "agent");
    }
}

/// H6, H14: an owner's agent can do nothing about approval, policy, members, tokens or values, and cannot make an agent.
#[tokio::test]
async fn what_no_agent_may() {
    let server = Server::start().await;
    let masked = json!({"name": "KEY", "visibility": "masked", "destinations": [{"host": "api.example.com"}], "values": {"test": {"value": VALUE}}});
    server.owner.post("/secrets", masked).await.expect(201);
    server.owner.post("/service-accounts", json!({"name": "ci", "role": "member"})).await.expect(201);
    let (agent, own) = agent_of(&server.owner, json!({"name": "triage"})).await;
    let anywhere = json!({"destinations": [{"host": "evil.test"}]});
    for (method, path, body) in [
        ("POST", "/secrets/KEY/values/test/reveal", json!({})),
        ("PATCH", "/secrets/KEY", anywhere),
        ("PUT", "/secrets/KEY/values/test", json!({"fields": {"value": VALUE}})),
        ("POST", "/secrets/KEY/values/test/rollback", json!({"version": 1})),
        ("POST", "/secrets/KEY/disable", json!({})),
        ("POST", "/secrets", json!({"name": "OTHER"})),
        ("DELETE", "/secrets/KEY", json!({})),
        ("POST", "/service-accounts", json!({"name": "puppet", "role": "member"})),
        ("POST", "/service-accounts/ci/tokens", json!({})),
        ("DELETE", "/service-accounts/ci", json!({})),
        ("PATCH", "/v1/workspaces/default", json!({"allow_protected_delete": true})),
        ("POST", "/environments", json!({"name": "other", "protected": false})),
        ("POST", "/agent-sessions", json!({"name": "child"})),
    ] {
        agent.send(method, path, Some(body)).await.refused(403, "forbidden");
        let event = server.owner.newest_event("outcome=denied").await;
        assert_eq!(
            (&event["actor"], &event["on_behalf_of"], &event["code"]),
            (&json!("agent:triage"), &json!("user:owner"), &json!("forbidden")),
            "{method} {path}"
        );
    }
    agent.get("/events").await.refused(403, "forbidden");
    agent.post("/v1/workspaces", json!({"name": "mine"})).await.refused(403, "forbidden");
    agent.delete(&format!("/agent-sessions/{own}")).await.refused(404, "not_found");
    assert!(agent.get("/agent-sessions").await.expect(200)["items"].as_array().unwrap().is_empty());
    assert!(agent.get("/secrets/KEY").await.text.contains("api.example.com"));
}

/// A sealed request by an agent: the value goes where it may, and never without a destination, although its maker could
/// look; on the record both are named.
#[tokio::test]
async fn sealed_requests() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    let secret = |name: &str, destinations: Value| json!({"name": name, "visibility": "masked", "destinations": destinations, "values": {"test": {"value": VALUE}}});
    server.owner.post("/secrets", secret("KEY", json!([hostile.destination(json!({}))]))).await.expect(201);
    server.owner.post("/secrets", secret("BARE", json!([]))).await.expect(201);
    let (agent, id) = agent_of(&server.owner, json!({"name": "triage"})).await;
    let request =
        |name: &str| json!({"environment": "test", "url": hostile.url("/raw"), "auth": {"secret": name}});
    agent.post("/requests", request("KEY")).await.expect(200);
    assert!(hostile.last().contains(VALUE));
    for verb in ["outcome=allowed&verb=secret.use", "outcome=succeeded&verb=secret.use"] {
        let event = server.owner.event_soon(verb).await;
        assert_eq!((&event["actor"], &event["on_behalf_of"]), (&json!("agent:triage"), &json!("user:owner")));
        assert_eq!(event["actor_id"], id);
    }
    server.owner.post("/requests", request("BARE")).await.expect(200);
    let problem = agent.post("/requests", request("BARE")).await.refused(403, "destination_required");
    assert!(problem.get("destination").is_none(), "who may not aim is not told how: {problem}");
    // What it publishes runs under the automation's name, and what it starts, for it.
    let step = json!({"id": "a", "http": {"url": hostile.url("/raw"), "auth": {"secret": "KEY"}}});
    agent.put("/automations/job", json!({"steps": [step]})).await.expect(201);
    let run = agent.post("/automations/job/runs?wait=10", json!({"environment": "test"})).await.expect(201);
    assert_eq!(run["status"], "succeeded", "{run}");
    let event = server.owner.newest_event("verb=automation.publish").await;
    assert_eq!((&event["actor"], &event["on_behalf_of"]), (&json!("agent:triage"), &json!("user:owner")));
    let event = server.owner.newest_event("outcome=allowed&verb=secret.use").await;
    assert_eq!((&event["actor"], &event["on_behalf_of"]), (&json!("automation:job"), &json!("agent:triage")));
}

/// So many requests and no more: sealed requests and starts of runs, done or refused.
#[tokio::test]
async fn budgets() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    let secret = json!({"name": "KEY", "destinations": [hostile.destination(json!({}))], "values": {"test": {"value": VALUE}}});
    server.owner.post("/secrets", secret).await.expect(201);
    let step = json!({"id": "a", "http": {"url": hostile.url("/raw"), "auth": {"secret": "KEY"}}});
    server
        .owner
        .put("/automations/job", json!({"steps": [step.clone(), {"id": "b", "http": step["http"].clone()}]}))
        .await
        .expect(201);
    let (agent, id) = agent_of(&server.owner, json!({"name": "triage", "requests_max": 3})).await;
    let request = |url: String| json!({"environment": "test", "url": url, "auth": {"secret": "KEY"}});
    agent.post("/requests", request(hostile.url("/raw"))).await.expect(200);
    agent
        .post("/requests", request("https://evil.test/".to_owned()))
        .await
        .refused(403, "destination_not_allowed");
    let run = agent.post("/automations/job/runs?wait=10", json!({"environment": "test"})).await.expect(201);
    assert_eq!(run["status"], "succeeded", "a run is one request, whatever its steps send: {run}");
    for _ in 0..2 {
        let refused = agent.post("/requests", request(hostile.url("/raw"))).await;
        let problem = refused.refused(429, "rate_limited");
        assert!(
            text(&problem["suggestion"]).contains("new session")
                && refused.headers.contains_key("retry-after")
        );
        let event = server.owner.newest_event("outcome=denied").await;
        assert_eq!((&event["code"], &event["actor"]), (&json!("rate_limited"), &json!("agent:triage")));
    }
    agent.post("/automations/job/runs", json!({"environment": "test"})).await.refused(429, "rate_limited");
    let listed = server.owner.get("/agent-sessions").await.expect(200);
    let listed =
        listed["items"].as_array().unwrap().iter().find(|session| session["id"] == id).unwrap().clone();
    assert_eq!((&listed["requests"], &listed["requests_max"]), (&json!(3), &json!(3)));
    agent.get("/secrets").await.expect(200);
}

/// An agent ends when it is ended, by its maker or by somebody who manages, and with the token it was made with; its
/// leases end with it.
#[tokio::test]
async fn ends() {
    let server = Server::start().await;
    let secret = json!({"name": "KEY", "destinations": [{"host": "api.example.com"}], "values": {"test": {"value": VALUE}}});
    server.owner.post("/secrets", secret).await.expect(201);
    let (editor, stranger, admin) =
        (server.client("editor").await, server.client("editor").await, server.client("admin").await);
    let lease = json!({"environment": "test", "secrets": [{"name": "KEY"}]});
    let (first, first_id) = agent_of(&editor, json!({"name": "first"})).await;
    let (second, second_id) = agent_of(&editor, json!({"name": "second"})).await;
    let (third, _) = agent_of(&editor, json!({"name": "third"})).await;
    for agent in [&first, &second, &third] {
        agent.post("/leases", lease.clone()).await.expect(201);
    }
    let open = editor.get("/leases").await.expect(200)["items"].as_array().unwrap().len();
    assert_eq!(open, 3, "its maker sees them");
    assert!(stranger.get("/agent-sessions").await.expect(200)["items"].as_array().unwrap().is_empty());
    stranger.delete(&format!("/agent-sessions/{first_id}")).await.refused(404, "not_found");
    editor.delete(&format!("/agent-sessions/{first_id}")).await.expect(204);
    editor.delete(&format!("/agent-sessions/{first_id}")).await.expect(204);
    first.get("/secrets").await.refused(401, "unauthenticated");
    let event = server.owner.newest_event("verb=lease.revoke").await;
    assert_eq!((&event["actor"], &event["outcome"]), (&json!(editor.name), &json!("succeeded")));
    admin.delete(&format!("/agent-sessions/{second_id}")).await.expect(204);
    second.get("/secrets").await.refused(401, "unauthenticated");
    assert_eq!(editor.get("/leases").await.expect(200)["items"].as_array().unwrap().len(), 1);
    third.get("/secrets").await.expect(200);
    let account = editor.name.trim_start_matches("service-account:");
    server.owner.delete(&format!("/service-accounts/{account}")).await.expect(204);
    third.get("/secrets").await.refused(401, "unauthenticated");
}

/// What a session may say, and how many there may be.
#[tokio::test]
async fn rules() {
    let server = Server::start().await;
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "a/b"}), "name"),
        (json!({"name": "a", "ttl_secs": 59}), "ttl_secs"),
        (json!({"name": "a", "ttl_secs": 86401}), "ttl_secs"),
        (json!({"name": "a", "requests_max": 0}), "requests_max"),
    ] {
        let problem = server.owner.post("/agent-sessions", body).await.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let session = server.owner.post("/agent-sessions", json!({"name": "a"})).await.expect(201);
    assert_eq!(session["requests_max"], 500);
    for _ in 1..20 {
        server.owner.post("/agent-sessions", json!({"name": "a"})).await.expect(201);
    }
    server.owner.post("/agent-sessions", json!({"name": "a"})).await.refused(429, "rate_limited");
    server.client("member").await.post("/agent-sessions", json!({"name": "a"})).await.expect(201);
}
