//! Two hundred attempts to gain a right, or to aim a secret that one may not read; each is refused and changes nothing.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    people::person,
};

const HIDDEN: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

/// Rights that one could do harm with.
const WANTED: [&str; 9] = [
    "secret.reveal",
    "secret.write",
    "secret.policy",
    "secret.delete",
    "grant.manage",
    "member.manage",
    "audit.read",
    "deploy",
    "workspace.manage",
];

/// One attempt.
struct Attempt {
    what: String,
    method: &'static str,
    path: String,
    body: Value,
}

fn attempt(what: impl Into<String>, method: &'static str, path: impl Into<String>, body: Value) -> Attempt {
    Attempt { what: what.into(), method, path: path.into(), body }
}

/// What somebody tries who would like to be more than they are. `name` is as grants name them.
fn attempts(name: &str, own_role: &str, own_right: &str) -> Vec<Attempt> {
    let mut all = Vec::new();
    let own_member = name.strip_prefix("user:").unwrap_or("victim@example.com");
    // Roles: a grant to oneself, to a helper, of every built-in role and of custom ones, everywhere and narrowly.
    for role in ["owner", "admin", "OWNER", "Admin ", "strong", own_role] {
        for (scope, place) in [
            (json!({}), "everywhere"),
            (json!({"environment": "live"}), "in live"),
            (json!({"folder": "vault"}), "in a folder"),
            (json!({"secret": "PRIZE"}), "for a secret"),
        ] {
            let body = json!({"role": role, "to": name, "scope": scope});
            all.push(attempt(format!("grants themselves {role} {place}"), "POST", "/grants", body));
        }
    }
    for role in ["owner", "strong"] {
        let body = json!({"role": role, "to": "service-account:helper", "scope": {}});
        all.push(attempt(format!("grants a helper {role}"), "POST", "/grants", body));
        all.push(attempt(
            format!("makes an account that is {role}"),
            "POST",
            "/service-accounts",
            json!({"name": "mine", "role": role}),
        ));
        all.push(attempt(
            format!("invites a friend as {role}"),
            "POST",
            "/invitations",
            json!({"name": "friend@example.com", "role": role}),
        ));
        let path = format!("/members/{own_member}");
        all.push(attempt(format!("makes themselves {role}"), "PATCH", path, json!({"role": role})));
        all.push(attempt(
            format!("adds a friend as {role}"),
            "POST",
            "/members",
            json!({"name": "victim@example.com", "role": role}),
        ));
    }
    for right in WANTED.into_iter().filter(|right| *right != own_right) {
        let rights = json!(["secret.list", right]);
        all.push(attempt(
            format!("raises their own role by {right}"),
            "PATCH",
            format!("/roles/{own_role}"),
            json!({"rights": rights}),
        ));
        all.push(attempt(
            format!("makes a role with {right}"),
            "POST",
            "/roles",
            json!({"name": format!("mine-{right}"), "rights": rights}),
        ));
    }
    // Somebody else's tokens and memberships.
    all.push(attempt(
        "makes a token for a stronger account",
        "POST",
        "/service-accounts/boss/tokens",
        json!({}),
    ));
    all.push(attempt("removes an owner", "DELETE", "/members/owner", Value::Null));
    all.push(attempt("demotes an owner", "PATCH", "/members/owner", json!({"role": "member"})));
    all.push(attempt(
        "changes a built-in role",
        "PATCH",
        "/roles/member",
        json!({"rights": ["secret.reveal"]}),
    ));
    all.push(attempt("takes a built-in name", "POST", "/roles", json!({"name": "Owner", "rights": []})));
    all.push(attempt(
        "loosens the workspace",
        "PATCH",
        "",
        json!({"allow_protected_delete": true, "reveal_needs_reason": false}),
    ));
    // Aiming what they may not read, and moving it to where they may.
    for secret in ["PRIZE", "MASKED"] {
        let path = format!("/secrets/{secret}");
        for destinations in [
            json!([{"host": "evil.test"}]),
            json!([{"host": "api.example.com"}, {"host": "evil.test"}]),
            json!([{"host": "api.example.com", "port": 8443}]),
            json!([{"host": "api.example.com", "places": ["auth", "query:k"]}]),
            json!([{"host": "api.example.com", "echoes": false, "methods": []}, {"host": "*.example.com"}]),
        ] {
            let body = json!({"destinations": destinations});
            all.push(attempt(format!("aims {secret} at {destinations}"), "PATCH", &path, body));
        }
        for folder in ["open", "open/deep", "open/deep/er"] {
            all.push(attempt(
                format!("moves {secret} to {folder}"),
                "PATCH",
                &path,
                json!({"folder": folder}),
            ));
        }
        for environment in ["test", "live"] {
            let path = format!("{path}/values/{environment}/reveal");
            all.push(attempt(
                format!("looks at {secret} in {environment}"),
                "POST",
                path,
                json!({"reason": "please"}),
            ));
        }
    }
    all
}

/// What nothing of this may change: who may do what, where secrets go, and what they are.
async fn state(owner: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "/members",
        "/roles",
        "/grants",
        "/service-accounts",
        "/invitations",
        "/secrets/PRIZE",
        "/secrets/MASKED",
        "",
    ] {
        all.push(owner.get(path).await.expect(200));
    }
    all
}

#[tokio::test]
async fn nobody_gains_anything() {
    let server = Server::start().await;
    let owner = &server.owner;
    let values = json!({"test": {"value": HIDDEN}, "live": {"value": HIDDEN}});
    for (name, visibility) in [("PRIZE", "restricted"), ("MASKED", "masked")] {
        let body = json!({"name": name, "visibility": visibility, "folder": "vault", "values": values,
            "destinations": [{"host": "api.example.com"}]});
        owner.post("/secrets", body).await.expect(201);
    }
    for (name, rights) in [
        ("strong", "secret.list secret.reveal workspace.manage"),
        ("writer", "secret.list secret.write"),
        ("aimer", "secret.list secret.policy"),
        ("granter", "secret.list grant.manage"),
        ("people", "secret.list member.manage"),
        ("open-reader", "secret.list secret.reveal"),
    ] {
        let rights: Vec<&str> = rights.split(' ').collect();
        owner.post("/roles", json!({"name": name, "rights": rights})).await.expect(201);
    }
    owner.post("/service-accounts", json!({"name": "boss", "role": "owner"})).await.expect(201);
    owner.post("/service-accounts", json!({"name": "helper", "role": "member"})).await.expect(201);
    person(&server, owner, "victim@example.com", "member").await;
    let writer = person(&server, owner, "writer@example.com", "writer").await;
    let aimer = person(&server, owner, "aimer@example.com", "aimer").await;
    let granter = person(&server, owner, "granter@example.com", "granter").await;
    let people = person(&server, owner, "people@example.com", "people").await;
    let editor = server.client("editor").await;
    // Everybody may look in the folder `open`: whoever could move something there would see it.
    for client in [&writer, &aimer, &granter, &people, &editor] {
        let body = json!({"role": "open-reader", "to": client.name, "scope": {"folder": "open"}});
        owner.post("/grants", body).await.expect(201);
    }
    let before = state(owner).await;
    let mut count = 0;
    for (client, role, right) in [
        (&writer, "writer", "secret.write"),
        (&aimer, "aimer", "secret.policy"),
        (&granter, "granter", "grant.manage"),
        (&people, "people", "member.manage"),
        (&editor, "editor", "secret.use"),
    ] {
        for Attempt { what, method, path, body } in attempts(&client.name, role, right) {
            let body = (!body.is_null()).then_some(body);
            let reply = client.send(method, &path, body).await;
            let said = format!("{role} {what}: {} {}", reply.status, reply.text);
            assert!([403, 404, 409, 422].contains(&reply.status), "{said}");
            assert!(!reply.text.contains(HIDDEN), "{said}");
            count += 1;
        }
    }
    assert!(count >= 200, "{count}");
    let after = state(owner).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    // What each role is for still works, or the refusals above would prove nothing.
    writer.patch("/secrets/PRIZE", json!({"description": "mine to describe"})).await.expect(200);
    let narrower = json!([{"host": "api.example.com", "methods": ["GET"]}]);
    aimer.patch("/secrets/PRIZE", json!({"destinations": narrower})).await.expect(200);
    granter.post("/grants", json!({"role": "granter", "to": "service-account:helper"})).await.expect(201);
    people.post("/invitations", json!({"name": "x@example.com", "role": "people"})).await.expect(201);
}
