//! Roles, grants and explanations as their users meet them: over HTTP and on the command line; and looking at values.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    hostile::Hostile,
    people::{jiff_in, person},
};

const HIDDEN: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

async fn secrets(owner: &Client) {
    let values = json!({"test": {"value": HIDDEN}, "live": {"value": HIDDEN}});
    for (name, folder, visibility) in
        [("STRIPE", "pay/eu", "masked"), ("SHUT", "pay", "restricted"), ("OTHER", "payments", "masked")]
    {
        let body = json!({"name": name, "folder": folder, "visibility": visibility, "values": values,
            "destinations": [{"host": "api.example.com"}]});
        owner.post("/secrets", body).await.expect(201);
    }
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// From nothing to a folder in one environment for a while, and back; and each step is explained.
#[tokio::test]
async fn a_grant_and_why() {
    let server = Server::start().await;
    let owner = &server.owner;
    secrets(owner).await;
    owner.post("/roles", json!({"name": "guest", "rights": []})).await.expect(201);
    owner
        .post("/roles", json!({"name": "looker", "rights": ["secret.list", "secret.reveal"]}))
        .await
        .expect(201);
    let anna = person(&server, owner, "anna@example.com", "guest").await;
    anna.get("/secrets").await.refused(404, "not_found");
    let soon = jiff_in(3);
    let grant = json!({"role": "looker", "to": "user:ANNA@example.com",
        "scope": {"folder": "pay", "environment": "test"}, "until": soon});
    let made = owner.post("/grants", grant).await.expect(201);
    assert_eq!((&made["to"], &made["ended"]), (&json!("user:anna@example.com"), &json!(false)));
    assert_eq!(owner.newest_event("verb=grant.create").await["environment"], "test");
    assert_eq!(names(&anna.get("/secrets").await.expect(200)), ["SHUT", "STRIPE"]);
    assert_eq!(names(&anna.get("/secrets?environment=live").await.expect(200)), Vec::<&str>::new());
    let reveal = async |name: &str, environment: &str| {
        anna.post(&format!("/secrets/{name}/values/{environment}/reveal"), json!({})).await
    };
    assert_eq!(reveal("STRIPE", "test").await.expect(200)["fields"]["value"], HIDDEN);
    reveal("STRIPE", "live").await.refused(403, "forbidden");
    reveal("SHUT", "test").await.refused(403, "restricted_secret");
    reveal("OTHER", "test").await.refused(404, "not_found");
    // Why: by the grant, where, and until when; nobody looks at a restricted one.
    let who = owner.get("/secrets/STRIPE/access").await.expect(200);
    let of = |page: &Value, who: &str| {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["principal"] == who)
            .cloned()
            .unwrap_or_default()
    };
    let hers = of(&who, "user:anna@example.com");
    assert_eq!((&hers["reveals_in"], &hers["uses_in"]), (&json!(["test"]), &json!([])));
    assert_eq!(hers["because"][0]["grant"], made["id"]);
    assert_eq!(hers["because"][0]["scope"], json!({"environment": "test", "folder": "pay"}));
    let owners = of(&who, "user:owner");
    assert_eq!(owners["uses_in"], json!(["test", "live"]));
    assert_eq!(
        (&owners["because"][0]["role"], &owners["because"][0]["rights"]),
        (&json!("owner"), &json!(["secret.use", "secret.reveal"]))
    );
    let shut = owner.get("/secrets/SHUT/access").await.expect(200);
    assert!(of(&shut, "user:anna@example.com").is_null() && !shut.to_string().contains("secret.reveal"));
    anna.get("/secrets/STRIPE/access").await.refused(403, "forbidden");
    anna.get("/secrets/OTHER/access").await.refused(404, "not_found");
    for path in ["/members/anna@example.com/access", "/members/user:anna@example.com/access"] {
        for client in [&anna, owner] {
            let standing = client.get(path).await.expect(200);
            assert_eq!(
                (&standing["principal"], &standing["rights"]),
                (&json!("user:anna@example.com"), &json!([]))
            );
            assert_eq!(standing["because"][1]["role"], "looker");
        }
    }
    anna.get("/members/owner/access").await.refused(403, "forbidden");
    owner.get("/members/nobody@example.com/access").await.refused(404, "not_found");
    // It ends by itself, and is explained no more.
    tokio::time::sleep(std::time::Duration::from_millis(3200)).await;
    reveal("STRIPE", "test").await.refused(404, "not_found");
    assert!(of(&owner.get("/secrets/STRIPE/access").await.expect(200), "user:anna@example.com").is_null());
    assert_eq!(owner.get("/grants").await.expect(200)["items"][0]["ended"], true);
}

/// An automation uses what it was published with. A grant to it counts for the definition that was there, and no other.
#[tokio::test]
async fn automations() {
    let server = Server::start().await;
    let owner = &server.owner;
    secrets(owner).await;
    let definition = |path: &str| json!({"steps": [{"id": "a", "http": {"url": format!("https://api.example.com/{path}"), "auth": {"secret": "OTHER"}}}]});
    // Who may not use it does not publish it; who may not know of it is told that it is not there.
    owner
        .post(
            "/roles",
            json!({"name": "builder", "rights": ["secret.list", "automation.write", "automation.run"]}),
        )
        .await
        .expect(201);
    owner.post("/roles", json!({"name": "blind", "rights": ["automation.write"]})).await.expect(201);
    let builder = server.client("builder").await;
    builder.put("/automations/a", definition("x")).await.refused(403, "forbidden");
    server
        .client("blind")
        .await
        .put("/automations/a", definition("x"))
        .await
        .refused(422, "unknown_reference");
    let grant =
        json!({"role": "editor", "to": builder.name, "scope": {"folder": "payments", "environment": "test"}});
    owner.post("/grants", grant).await.expect(201);
    builder.put("/automations/a", definition("x")).await.expect(201);
    owner.delete("/secrets/OTHER?force=true").await.refused(409, "protected_environment");
    let to_it = |role: &str, scope: Value| json!({"role": role, "to": "automation:a", "scope": scope});
    for (role, scope) in [
        ("editor", json!({})),
        ("editor", json!({"folder": "pay"})),
        ("auditor", json!({"secret": "STRIPE"})),
        ("editor", json!({"secret": "STRIPE", "environment": "live"})),
    ] {
        owner.post("/grants", to_it(role, scope)).await.refused(422, "validation_failed");
    }
    owner.post("/grants", to_it("editor", json!({"secret": "STRIPE"}))).await.expect(201);
    let why = owner.get("/secrets/STRIPE/access").await.expect(200).to_string();
    assert!(why.contains("automation:a"), "{why}");
    assert!(owner.get("/secrets/OTHER/access").await.expect(200).to_string().contains("published"));
    builder.put("/automations/a", definition("y")).await.expect(200);
    assert!(!owner.get("/secrets/STRIPE/access").await.expect(200).to_string().contains("automation:a"));
    assert_eq!(owner.get("/grants").await.expect(200)["items"][1]["ended"], true);
}

/// A request says nothing of variables that its sender may not list: they are not there, like those that are not.
#[tokio::test]
async fn variables_are_read_where_they_are_listed() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    let owner = &server.owner;
    for (name, folder) in [("OPEN", "open"), ("SHUT", "shut")] {
        let values = json!({"test": format!("{name}-in-test"), "live": format!("{name}-in-live")});
        owner.post("/variables", json!({"name": name, "folder": folder, "values": values})).await.expect(201);
    }
    let body = json!({"name": "KEY", "folder": "open", "values": {"test": {"value": HIDDEN}, "live": {"value": HIDDEN}},
        "destinations": [hostile.destination(json!({}))]});
    owner.post("/secrets", body).await.expect(201);
    owner.post("/roles", json!({"name": "guest", "rights": []})).await.expect(201);
    let guest = server.client("guest").await;
    let grant =
        json!({"role": "editor", "to": guest.name, "scope": {"folder": "open", "environment": "test"}});
    owner.post("/grants", grant).await.expect(201);
    let send = async |client: &Client, name: &str, environment: &str| {
        let request = json!({"environment": environment, "url": hostile.url("/raw"), "auth": {"secret": "KEY"},
            "headers": {"x-said": format!("{{{{vars.{name}}}}}")}});
        client.post("/requests", request).await
    };
    send(&guest, "OPEN", "test").await.expect(200);
    assert!(hostile.last().contains("OPEN-in-test"));
    let strip = |reply: crate::harness::Reply, name: &str| {
        let mut body = reply.json();
        body.as_object_mut().unwrap().remove("request_id");
        (reply.status, body.to_string().replace(name, "NAME"))
    };
    let heard = hostile.count();
    let shut = strip(send(&guest, "SHUT", "test").await, "SHUT");
    assert_eq!(shut, strip(send(&guest, "NONE", "test").await, "NONE"));
    assert_eq!(shut.0, 422, "{}", shut.1);
    assert_ne!(send(&guest, "OPEN", "live").await.status, 200);
    assert_eq!(hostile.count(), heard);
    send(owner, "SHUT", "test").await.expect(200);
    assert!(hostile.last().contains("SHUT-in-test"));
}

/// Looking at a value: with a reason where the workspace wants one, hidden when it says, and not without end.
#[tokio::test]
async fn looking() {
    let server = Server::start().await;
    let owner = &server.owner;
    secrets(owner).await;
    owner.patch("", json!({"reveal_needs_reason": true, "hide_after_secs": 12})).await.expect(200);
    owner.patch("", json!({"hide_after_secs": 1})).await.refused(422, "validation_failed");
    let path = "/secrets/STRIPE/values/test/reveal";
    for reason in [json!({}), json!({"reason": ""}), json!({"reason": "  "})] {
        owner.post(path, reason).await.refused(422, "validation_failed");
    }
    let admin = server.client("admin").await;
    admin.patch("", json!({"reveal_needs_reason": false})).await.refused(403, "forbidden");
    let shown = owner.post(path, json!({"reason": "a customer asked"})).await.expect(200);
    assert_eq!((&shown["hide_after_secs"], &shown["fields"]["value"]), (&json!(12), &json!(HIDDEN)));
    let mut refused = 0;
    for _ in 0..70 {
        let reply = admin.post(path, json!({"reason": "again"})).await;
        if reply.status == 429 {
            reply.refused(429, "rate_limited");
            refused += 1;
        }
    }
    assert!((5..=10).contains(&refused), "{refused}");
    assert_eq!(owner.newest_event("verb=secret.reveal&outcome=denied").await["code"], "rate_limited");
    // One is not kept from looking by another.
    owner.post(path, json!({"reason": "still"})).await.expect(200);
}
