//! Proposals: an agent asks for a secret, a person fills it, and nothing that was suggested takes effect by itself.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server, TACIT},
    hostile::Hostile,
};

const VALUE: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

async fn agent_of(client: &Client) -> Client {
    let session = client.post("/agent-sessions", json!({"name": "triage"})).await.expect(201);
    Client::new(&client.url, session["token"].as_str().unwrap())
}

/// A proposal is there, has no value and no destination, and cannot be used; filled without a destination it still goes
/// nowhere that was suggested.
#[tokio::test]
async fn suggestions_are_not_in_force() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    let agent = agent_of(&server.owner).await;
    let to = hostile.destination(json!({}));
    let body = json!({"name": "NEW_KEY", "description": "for the nightly import", "destinations": [to]});
    let proposed = agent.post("/proposals", body.clone()).await.expect(201);
    assert_eq!((&proposed["state"], &proposed["visibility"]), (&json!("proposed"), &json!("restricted")));
    assert_eq!((&proposed["destinations"], &proposed["created_by"]), (&json!([]), &json!("agent:triage")));
    assert_eq!(proposed["suggested_destinations"][0]["host"], "127.0.0.1");
    let event = server.owner.newest_event("verb=secret.propose").await;
    assert_eq!((&event["object"], &event["on_behalf_of"]), (&json!("secret:NEW_KEY"), &json!("user:owner")));
    agent.post("/proposals", body).await.refused(409, "name_taken");
    let listed = server.owner.get("/secrets?state=proposed").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(server.owner.get("/secrets?state=active").await.expect(200)["items"], json!([]));

    let request = json!({"environment": "test", "url": hostile.url("/raw"), "auth": {"secret": "NEW_KEY"}});
    agent.post("/requests", request.clone()).await.refused(409, "no_value_in_environment");
    let lease = json!({"environment": "test", "secrets": [{"name": "NEW_KEY"}]});
    agent.post("/leases", lease.clone()).await.refused(409, "no_value_in_environment");
    // Who proposed it cannot fill it, nor aim it.
    let fields = json!({"fields": {"value": VALUE}});
    agent.put("/secrets/NEW_KEY/values/test", fields.clone()).await.refused(403, "forbidden");
    agent.patch("/secrets/NEW_KEY", json!({"destinations": [to]})).await.refused(403, "forbidden");

    server.owner.put("/secrets/NEW_KEY/values/test", fields).await.expect(201);
    let filled = server.owner.get("/secrets/NEW_KEY").await.expect(200);
    assert_eq!((&filled["state"], &filled["destinations"]), (&json!("active"), &json!([])));
    assert!(filled.get("suggested_destinations").is_none());
    agent.post("/requests", request.clone()).await.refused(403, "destination_required");
    server.owner.post("/requests", request.clone()).await.refused(403, "destination_required");
    agent.post("/leases", lease).await.refused(403, "destination_required");
    assert!(hostile.requests().is_empty());
    // Aimed by a person, with a new value, it goes.
    let aimed = json!({"destinations": [to], "values": {"test": {"value": VALUE}}});
    server.owner.patch("/secrets/NEW_KEY", aimed).await.expect(200);
    agent.post("/requests", request).await.expect(200);
    assert!(hostile.last().contains(VALUE));
}

/// Who may propose: those who write automations or secrets; and what is not a secret cannot be proposed.
#[tokio::test]
async fn who_and_what() {
    let server = Server::start().await;
    for (role, may) in [
        ("owner", true),
        ("admin", true),
        ("editor", true),
        ("operator", false),
        ("member", false),
        ("auditor", false),
    ] {
        let client = server.client(role).await;
        let reply = client.post("/proposals", json!({"name": format!("of-{role}")})).await;
        if may {
            reply.expect(201)
        } else {
            reply.refused(403, "forbidden")
        };
    }
    let agent = agent_of(&server.owner).await;
    for (body, field) in [
        (json!({"name": "a/b"}), "name"),
        (json!({"name": "a", "type": "pem"}), "type"),
        (json!({"name": "a", "visibility": "public"}), "visibility"),
        (json!({"name": "a", "destinations": [{"host": "not a host"}]}), "destinations[0].host"),
        (json!({"name": "a", "values": {"test": {"value": VALUE}}}), "body"),
    ] {
        let problem = agent.post("/proposals", body).await.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
}

/// Two hundred may wait; an agent cannot fill the panel.
#[tokio::test]
async fn too_many() {
    let server = Server::start().await;
    let agent = agent_of(&server.owner).await;
    for at in 0..200 {
        agent.post("/proposals", json!({"name": format!("slot-{at}")})).await.expect(201);
    }
    agent.post("/proposals", json!({"name": "one-more"})).await.refused(429, "rate_limited");
    server.owner.delete("/secrets/slot-0").await.expect(200);
    agent.post("/proposals", json!({"name": "one-more"})).await.expect(201);
    server.owner.post("/secrets", json!({"name": "not-in-the-way"})).await.expect(201);
}

/// At the terminal: who proposed it, what for and where to, before a value is asked for; and only `--to` counts.
#[tokio::test]
async fn filled_at_the_terminal() {
    let server = Server::start().await;
    let agent = agent_of(&server.owner).await;
    let suggested = json!([{"host": "evil.test"}]);
    for name in ["FIRST", "SECOND"] {
        let body = json!({"name": name, "description": "for the import", "destinations": suggested});
        agent.post("/proposals", body).await.expect(201);
    }
    let set = |arguments: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let output = assert_cmd::Command::new(TACIT)
            .args(["secrets", "set"])
            .args(arguments)
            .env_clear()
            .env("TACIT_CONFIG_DIR", directory.path())
            .env("TACIT_ADDR", &server.url)
            .env("TACIT_TOKEN", &server.owner.token)
            .write_stdin(VALUE)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    };
    let told = set(&["FIRST"]);
    for line in
        ["proposed by agent:triage", "for the import", "evil.test", "not in force", "--to", "FIRST is filled"]
    {
        assert!(told.contains(line), "{line}: {told}");
    }
    set(&["SECOND", "--to", "api.example.com"]);
    let hosts = async |name: &str| -> Vec<Value> {
        let secret = server.owner.get(&format!("/secrets/{name}")).await.expect(200);
        secret["destinations"].as_array().unwrap().iter().map(|d| d["host"].clone()).collect()
    };
    assert!(hosts("FIRST").await.is_empty());
    assert_eq!(hosts("SECOND").await, [json!("api.example.com")]);
}
