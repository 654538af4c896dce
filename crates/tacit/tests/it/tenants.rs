//! Tenants: what belongs to another workspace answers exactly like what does not exist.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::{
    harness::{Client, Reply, Server},
    hostile::Hostile,
    rights::ROLES,
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
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let other = server.owner.in_workspace("other");
    let name = format!("stranger-{role}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
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
    for role in ROLES {
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
                // Who may do it is told that it is not there; who may not, that they may not, whether it is there or not.
                assert!(
                    reply.status == 404 || (reply.status == 403 && role != "owner"),
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

/// Tries of [`random_tries`] if `TACIT_CROSS_ATTEMPTS` does not say: less than a minute in a debug build on a small machine.
const TRIES: u64 = 100_000;

/// Random attempts on another workspace, by name and by id, from outside it and from inside one's own: all are as if nothing
/// were there, and no answer holds anything of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_tries() {
    let tries =
        std::env::var("TACIT_CROSS_ATTEMPTS").ok().and_then(|text| text.parse().ok()).unwrap_or(TRIES);
    let quiet = vec![("TACIT_LOG".to_owned(), "off".to_owned())];
    let server =
        Server::start_with(crate::harness::Options { environment: quiet, ..Default::default() }).await;
    server.owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    let theirs = Things::make(&server.owner, "theirs").await;
    let mine = Things::make(&server.owner.in_workspace("other"), "mine").await;
    let absent = theirs.absent();
    // An auditor reads more than anybody and may do nothing, so that trying changes nothing.
    let strangers = [stranger(&server, "auditor").await, stranger(&server, "owner").await];
    let canary =
        server.owner.get("/v1/workspaces/default/secrets/secret-theirs").await.expect(200)["id"].clone();
    let canary = canary.as_str().unwrap_or("secret-theirs").to_owned();
    let nowhere = comparable(&strangers[0].get("/v1/workspaces/nowhere/secrets").await);
    let tasks = 8;
    let count = std::sync::atomic::AtomicU64::new(0);
    let one = async |seed: u64| {
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut roll = |sides: usize| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            usize::try_from(dice >> 11).unwrap() % sides
        };
        let mut left = tries / tasks;
        while left > 0 {
            let route = &ROUTES[roll(ROUTES.len())];
            let has_name = route.path.contains("{name}") || route.path.contains("{id}");
            if !route.path.contains("{workspace}") || route.right == Some(LEASE_TOKEN) {
                continue;
            }
            let things = [&theirs, &mine, &absent][roll(3)];
            let from_inside = has_name && route.method != "PUT" && roll(2) == 0;
            let stranger = &strangers[if from_inside { 0 } else { roll(2) }];
            let workspace = if from_inside {
                "other"
            } else {
                ["default", "nowhere", "Default", "default%2f", "%64efault", "default%20", "..", "default%00"]
                    [roll(8)]
            };
            let things = if from_inside && std::ptr::eq(things, &raw const mine) { &theirs } else { things };
            let reply =
                stranger.send(route.method, &route.path_to(workspace, things), route.body_for("x")).await;
            let line =
                format!("{} {} in {workspace}: {} {}", route.method, route.path, reply.status, reply.text);
            if from_inside {
                assert!([403, 404].contains(&reply.status), "{line}");
            } else if workspace != ".." {
                // An encoded spelling of the name is the name, and that is not theirs either.
                assert_eq!(comparable(&reply), nowhere, "{line}");
            }
            assert!(!reply.text.contains(&canary) && !reply.text.contains("-theirs"), "{line}");
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            left -= 1;
        }
    };
    let started = std::time::Instant::now();
    let running = (1..=tasks).map(one);
    let mut running: Vec<_> = running.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        running.retain_mut(|task| task.as_mut().poll(context).is_pending());
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    let done = count.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(done, tries / tasks * tasks);
    eprintln!("{done} tries in {:?}", started.elapsed());
}
