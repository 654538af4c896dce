//! Tenants: what belongs to another workspace answers exactly like what does not exist.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Reply, Server},
    hostile::Hostile,
    routes::{LEASE_TOKEN, ROUTES, Route, Things},
};

/// All of an answer that somebody could compare, without what is different in every answer.
fn comparable(reply: &Reply) -> (u16, Vec<String>, Value) {
    let mut names: Vec<String> = reply
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
        .map(|(n, v)| format!("{n}: {v:?}"))
        .collect();
    names.sort();
    let mut body = reply.json();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (reply.status, names, body)
}

async fn stranger(server: &Server, role: &str) -> Client {
    let other = server.owner.in_workspace("other");
    let name = format!("stranger-{role}");
    other.post("/service-accounts", json!({"name": name, "role": role})).await.expect(201);
    let token = other.post(&format!("/service-accounts/{name}/tokens"), json!({})).await.expect(201);
    Client::new(&server.url, token["token"].as_str().unwrap()).in_workspace("other")
}

/// Every route of a workspace, asked for by an owner of another one: the same as for a workspace that is not there, and
/// the same for things that are and things that are not.
#[tokio::test]
async fn another_workspace_is_nowhere() {
    let server = Server::start().await;
    server.owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    let theirs = Things::make(&server.owner, "theirs").await;
    let mine = Things::make(&server.owner.in_workspace("other"), "mine").await;
    let absent = theirs.absent();
    let events = server.owner.newest_event("").await["seq"].clone();
    for role in ["owner", "auditor"] {
        let stranger = stranger(&server, role).await;
        let of_workspaces =
            |route: &&Route| route.path.contains("{workspace}") && route.right != Some(LEASE_TOKEN);
        for route in ROUTES.iter().filter(of_workspaces) {
            let ask = async |workspace: &str, things: &Things| {
                stranger.send(route.method, &route.path_to(workspace, things), route.body_for("x")).await
            };
            let nowhere = ask("nowhere", &theirs).await;
            nowhere.refused(404, "not_found");
            for (workspace, things) in
                [("default", &theirs), ("default", &mine), ("nowhere", &mine), ("NOT-A-NAME!", &theirs)]
            {
                let reply = ask(workspace, things).await;
                assert_eq!(
                    comparable(&reply),
                    comparable(&nowhere),
                    "{} {} in {workspace}",
                    route.method,
                    route.path
                );
            }
            // In one's own workspace, another one's things are as absent as any. (A PUT of an automation would make it.)
            let has_name = route.path.contains("{name}") || route.path.contains("{id}");
            if has_name && !(route.method == "PUT" && route.path.ends_with("/automations/{name}")) {
                let reply = ask("other", &theirs).await;
                assert_eq!(
                    comparable(&reply),
                    comparable(&ask("other", &absent).await),
                    "{} {}",
                    route.method,
                    route.path
                );
                assert!(
                    reply.status == 404 || role == "auditor",
                    "{} {}: {}",
                    route.method,
                    route.path,
                    reply.text
                );
            }
        }
    }
    let seen = server.owner.get("/events?limit=500").await.expect(200);
    assert!(
        !seen["items"].as_array().unwrap().iter().any(|event| event["seq"].as_i64() > events.as_i64()
            && event["actor"].to_string().contains("stranger"))
    );
    let listed = stranger(&server, "admin").await;
    assert_eq!(listed.get("/v1/workspaces").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

/// A reference finds only what is in its own workspace, and an upstream's answers are scrubbed of its own secrets only.
#[tokio::test]
async fn references_stay_inside() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    server.owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    let other = server.owner.in_workspace("other");
    let secret = |value: &str| json!({"name": "KEY", "destinations": [hostile.destination(json!({}))], "values": {"test": {"value": value}}});
    server.owner.post("/secrets", secret("Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu")).await.expect(201);
    let request = json!({"environment": "test", "url": hostile.url("/raw"), "auth": {"secret": "KEY"}});
    other.post("/requests", request.clone()).await.refused(422, "unknown_reference");
    other
        .put(
            "/automations/a",
            json!({"steps": [{"id": "a", "http": {"url": hostile.url("/raw"), "auth": {"secret": "KEY"}}}]}),
        )
        .await
        .refused(422, "unknown_reference");
    // Nor does the other workspace's destination open a private address for this one.
    other
        .post("/requests", json!({"environment": "test", "url": hostile.url("/raw")}))
        .await
        .refused(403, "address_blocked");
    other.post("/secrets", secret("Rk2Sl7Tm4Un9Vo1Wp6Xq3Yr8Zs5At0Bu")).await.expect(201);
    other.post("/requests", request.clone()).await.expect(200);
    assert!(hostile.last().contains("Bearer Rk2Sl7Tm4"));
    // F2: two workspaces never share a connection, so nothing of one request stands beside the other's.
    server.owner.post("/requests", request).await.expect(200);
    assert!(hostile.last().contains("Bearer Zq8Wn3Lk5"));
}
