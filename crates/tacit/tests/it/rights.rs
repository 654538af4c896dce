//! Who may do what: every built-in role against every route, and nobody above themselves.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    routes::{HOOK_TOKEN, INSTANCE, LEASE_TOKEN, PERSON, ROUTES, Route, Things, assert_complete},
};

/// The contract's table of roles, as words.
fn rights(role: &str) -> &'static str {
    match role {
        "owner" => {
            "secret.list secret.use secret.reveal secret.write secret.delete secret.policy variable.write automation.write \
             automation.run deploy connection.manage grant.manage member.manage audit.read workspace.manage"
        }
        "admin" => {
            "secret.list secret.use secret.reveal secret.write secret.delete secret.policy variable.write automation.write \
             automation.run deploy connection.manage grant.manage member.manage audit.read"
        }
        "editor" => "secret.list secret.use variable.write automation.write automation.run",
        "operator" => "secret.list automation.run deploy",
        "member" => "secret.list automation.run",
        "auditor" => "secret.list audit.read",
        other => panic!("{other} is no role"),
    }
}

pub(crate) const ROLES: [&str; 6] = ["owner", "admin", "editor", "operator", "member", "auditor"];

async fn newest_seq(owner: &Client) -> i64 {
    owner.newest_event("outcome=denied").await["seq"].as_i64().unwrap_or(-1)
}

/// Every role and every route: done, or refused as `forbidden` and on the record under the caller's name.
#[tokio::test]
async fn every_role_and_every_route() {
    let server = Server::start().await;
    assert_complete(&server.owner).await;
    let mut wrong = Vec::new();
    for role in ROLES {
        let client = server.client(role).await;
        let things = Things::make_for(&server.owner, &client, role).await;
        for route in ROUTES {
            let before = newest_seq(&server.owner).await;
            let reply =
                client.send(route.method, &route.path_to("default", &things), route.body_for(role)).await;
            if route.right == Some(LEASE_TOKEN) {
                reply.refused(401, "unauthenticated");
                continue;
            }
            if route.right == Some(HOOK_TOKEN) {
                reply.refused(404, "not_found");
                continue;
            }
            let may = route.right.is_none_or(|right| {
                rights(role).split_whitespace().any(|held| right.split('|').any(|one| one == held))
            });
            let line = format!(
                "{role}: {} {} -> {} {}",
                route.method,
                route.path,
                reply.status,
                reply.json()["code"]
            );
            let was_refused = [401, 403].contains(&reply.status) && reply.json()["code"] != "address_blocked";
            if may && (was_refused || reply.status == 404 || reply.status >= 500) {
                wrong.push(format!("{line}, but may"));
            }
            if !may && (reply.status != 403 || reply.json()["code"] != "forbidden") {
                wrong.push(format!("{line}, but may not"));
            }
            // What concerns the whole instance, or a person, has no workspace on whose record it could be.
            if !may && ![Some(INSTANCE), Some(PERSON)].contains(&route.right) {
                // The client's own: a run that goes on in the background has refusals, too.
                let own = format!("outcome=denied&actor={}", client.name);
                let event = server.owner.newest_event(&own).await;
                let is_recorded = event["seq"].as_i64().unwrap_or(-1) > before
                    && event["actor"] == client.name
                    && event["code"] == "forbidden";
                if !is_recorded {
                    wrong.push(format!("{line}, and not on the record"));
                }
            }
            if may && route.method == "DELETE" && route.path.ends_with("/tokens/{id}") {
                assert_eq!(reply.status, 204, "{line}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every role and every route once more, for what was deleted: the same answer as for what never was.
#[tokio::test]
async fn what_was_deleted_never_was() {
    let server = Server::start().await;
    let owner = &server.owner;
    let (gone, kept) = (Things::make(owner, "gone").await, Things::make(owner, "kept").await);
    let absent = gone.absent();
    // What ends stays on a list for a while and is not gone.
    let ends = |path: &str| {
        ["/leases/", "/agent-sessions/", "/runs/", "/deployments/"].iter().any(|noun| path.contains(noun))
    };
    let named = |route: &&Route| {
        route.path.contains("{workspace}")
            && (route.path.contains("{name}") || route.path.contains("{id}"))
            && !ends(route.path)
    };
    for route in ROUTES.iter().filter(named).filter(|route| route.method == "DELETE") {
        let reply = owner.send("DELETE", &route.path_to("default", &gone), None).await;
        assert!([200, 204, 404].contains(&reply.status), "{}: {}", route.path, reply.text);
    }
    for role in ROLES {
        let client = server.client(role).await;
        for route in ROUTES.iter().filter(named) {
            // Within its window a deleted secret is restored by those who may; what is made by a name is made anew.
            let makes = route.method == "PUT" && route.path.ends_with("/automations/{name}");
            if route.path.ends_with("/restore") || makes || route.right == Some(LEASE_TOKEN) {
                continue;
            }
            let ask = async |things: &Things| {
                let path = route.path_to("default", things);
                let reply = client.send(route.method, &path, route.body_for("kept")).await;
                let mut body = reply.json();
                body.as_object_mut().map(|body| body.remove("request_id"));
                // A name that was asked for comes back in some answers.
                (reply.status, body.to_string().replace("gone", "absent"))
            };
            let (deleted, never) = (ask(&gone).await, ask(&absent).await);
            assert_eq!(deleted, never, "{role}: {} {}", route.method, route.path);
            assert!(
                [403, 404, 422].contains(&deleted.0),
                "{role}: {} {} {deleted:?}",
                route.method,
                route.path
            );
        }
    }
    owner.get(&format!("/secrets/{}", kept.secret())).await.expect(200);
}

/// Every role in one environment, by a grant: there it does what the role may, in another one and in all at once nothing.
#[tokio::test]
async fn every_role_in_one_environment() {
    let server = Server::start().await;
    let owner = &server.owner;
    owner.post("/roles", json!({"name": "guest", "rights": []})).await.expect(201);
    // What a right in one environment is enough for.
    let is_of_one = |route: &Route| {
        route.path.contains("{environment}")
            || ["/requests", "/leases", "/automations/{name}/runs", "/runs/{id}/cancel", "/grants"]
                .iter()
                .any(|end| route.path.ends_with(end))
            || (route.method == "PUT" && route.path.ends_with("/automations/{name}"))
            || route.path.contains("/leases/{id}")
    };
    let mut wrong = Vec::new();
    for role in ROLES {
        let client = server.client("guest").await;
        owner
            .post("/grants", json!({"role": role, "to": client.name, "scope": {"environment": "test"}}))
            .await
            .expect(201);
        let things = Things::make_for(owner, &client, &format!("one-{role}")).await;
        for route in ROUTES.iter().filter(|route| route.path.contains("{workspace}")) {
            let Some(right) = route.right.filter(|right| *right != LEASE_TOKEN) else { continue };
            let path = route.path_to("default", &things);
            let body = route.body_for(&format!("one-{role}"));
            let may = rights(role).split_whitespace().any(|held| right.split('|').any(|one| one == held));
            if route.path.contains("{environment}") {
                let elsewhere = path.replace("/values/test", "/values/live");
                let elsewhere = elsewhere.replace("/triggers/test", "/triggers/live");
                let reply = client.send(route.method, &elsewhere, body.clone()).await;
                if ![403, 404].contains(&reply.status) {
                    wrong.push(format!("{role} in live: {} {path} {}", route.method, reply.status));
                }
            }
            let reply = client.send(route.method, &path, body).await;
            let was_refused = [403, 404].contains(&reply.status) && reply.json()["code"] != "address_blocked";
            // `secret.delete` takes the value of one environment; what follows finds none.
            if was_refused == (may && is_of_one(route)) {
                wrong.push(format!("{role}: {} {path} {} {}", route.method, reply.status, reply.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `whoami` says exactly what the contract gives each role.
#[tokio::test]
async fn whoami_lists_the_rights() {
    let server = Server::start().await;
    for role in ROLES {
        let me = server.client(role).await.get("/v1/whoami").await.expect(200);
        let listed: Vec<&str> = me["workspaces"][0]["rights"]
            .as_array()
            .unwrap()
            .iter()
            .map(|right| right.as_str().unwrap())
            .collect();
        assert_eq!(listed.join(" "), rights(role).split_whitespace().collect::<Vec<_>>().join(" "), "{role}");
        assert_eq!((&me["kind"], &me["instance_admin"]), (&json!("service-account"), &json!(false)));
    }
}

/// H6, H14: nobody makes an account, or a token for one, with rights that they do not hold themselves.
#[tokio::test]
async fn nobody_rises_above_themselves() {
    let server = Server::start().await;
    let admin = server.client("admin").await;
    server.owner.post("/service-accounts", json!({"name": "boss", "role": "owner"})).await.expect(201);
    let token = server.owner.post("/service-accounts/boss/tokens", json!({})).await.expect(201)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    admin
        .post("/service-accounts", json!({"name": "puppet", "role": "owner"}))
        .await
        .refused(403, "forbidden");
    admin.post("/service-accounts/boss/tokens", json!({})).await.refused(403, "forbidden");
    admin.delete(&format!("/service-accounts/boss/tokens/{token}")).await.refused(403, "forbidden");
    admin.delete("/service-accounts/boss").await.refused(403, "forbidden");
    for role in ["editor", "operator", "member", "auditor"] {
        let client = server.client(role).await;
        for made in ROLES {
            client
                .post("/service-accounts", json!({"name": "puppet", "role": made}))
                .await
                .refused(403, "forbidden");
        }
        client.post("/service-accounts/boss/tokens", json!({})).await.refused(403, "forbidden");
    }
    for made in &ROLES[1..] {
        admin
            .post("/service-accounts", json!({"name": format!("fine-{made}"), "role": made}))
            .await
            .expect(201);
    }
    let names = server.owner.get("/service-accounts").await.text;
    assert!(!names.contains("puppet"));
    server
        .owner
        .post("/service-accounts", json!({"name": "x", "role": "god"}))
        .await
        .refused(422, "validation_failed");
}

/// A token's text is shown once, and no list, record, log or file has it.
#[tokio::test]
async fn tokens_are_shown_once() {
    let server = Server::start().await;
    let client = server.client("editor").await;
    assert!(client.token.starts_with("tct_"));
    client.get("/secrets").await.expect(200);
    let name = client.name.trim_start_matches("service-account:");
    for path in [
        format!("/service-accounts/{name}/tokens"),
        "/service-accounts".to_owned(),
        "/events".to_owned(),
        "/metrics".to_owned(),
    ] {
        assert!(!server.owner.get(&path).await.text.contains(&client.token), "{path}");
    }
    assert!(!server.log().contains(&client.token));
    let secret_part = client.token.rsplit('_').next().unwrap().as_bytes();
    for (path, bytes) in server.files() {
        assert!(!bytes.windows(secret_part.len()).any(|window| window == secret_part), "{}", path.display());
    }
}

/// The door: no token, half a token, another kind of token, another scheme.
#[tokio::test]
async fn without_a_token() {
    let server = Server::start().await;
    let cut = &server.owner.token[..server.owner.token.len() - 1];
    let changed = format!("{cut}{}", if server.owner.token.ends_with('0') { '1' } else { '0' });
    let unknown = Client::new(&server.url, &changed);
    for path in [
        "/secrets",
        "/v1/whoami",
        "/v1/workspaces",
        "/metrics",
        "/openapi.json",
        "/v1/workspaces/nowhere/secrets",
    ] {
        for token in ["", "x", "tct_", "tct_usr_", cut, &changed, "tct_ph_0000000000000000"] {
            let reply = Client::new(&server.url, token).get(path).await;
            let problem = reply.refused(401, "unauthenticated");
            assert_eq!(problem["detail"], unknown.get(path).await.json()["detail"], "{path}");
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(Client::new(&server.url, "").get(path).await.status, 200);
    }
    let bare = reqwest::Client::new();
    for scheme in ["Basic", "Token", ""] {
        let reply = bare
            .get(format!("{}/v1/whoami", server.url))
            .header("authorization", format!("{scheme} {}", server.owner.token))
            .send()
            .await;
        assert_eq!(reply.unwrap().status(), 401, "{scheme}");
    }
    let in_url =
        bare.get(format!("{}/v1/whoami?token={}", server.url, server.owner.token)).send().await.unwrap();
    assert_eq!(in_url.status(), 401);
}

/// Aiming: narrowing needs `secret.policy`; who cannot aim cannot even narrow; widening a restricted secret needs new
/// values for every environment, and the old versions are gone then.
#[tokio::test]
async fn aiming() {
    let server = Server::start().await;
    let (editor, admin) = (server.client("editor").await, server.client("admin").await);
    let wide = json!([{"host": "api.stripe.com"}]);
    let narrow = json!([{"host": "api.stripe.com", "paths": ["/v1/**"], "methods": ["GET"]}]);
    let value = |text: &str| json!({"value": format!("{text}Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu")});
    let values = json!({"test": value("a"), "live": value("b")});
    for visibility in ["restricted", "masked"] {
        let path = format!("/secrets/{visibility}");
        server
            .owner
            .post(
                "/secrets",
                json!({"name": visibility, "visibility": visibility, "destinations": wide, "values": values}),
            )
            .await
            .expect(201);
        server.owner.put(&format!("{path}/values/test"), json!({"fields": value("c")})).await.expect(201);
        editor.patch(&path, json!({"destinations": narrow})).await.refused(403, "forbidden");
        editor.patch(&path, json!({"destinations": wide})).await.refused(403, "forbidden");
        admin.patch(&path, json!({"destinations": narrow})).await.expect(200);
        assert_eq!(versions(&admin, &path, "test").await, [2, 1]);
        let wider = [
            wide.clone(),
            json!([{"host": "api.stripe.com", "paths": ["/v1/**"]}]),
            json!([{"host": "evil.test"}]),
            json!([narrow[0], {"host": "evil.test"}]),
        ];
        for destinations in wider {
            for given in [json!({}), json!({"test": value("d")})] {
                let reply = admin.patch(&path, json!({"destinations": destinations, "values": given})).await;
                if visibility == "restricted" {
                    let problem = reply.refused(422, "validation_failed");
                    assert_eq!(problem["errors"][0]["field"], "values", "{problem}");
                    let event = server.owner.newest_event("outcome=denied").await;
                    assert_eq!(
                        (&event["verb"], &event["object"]),
                        (&json!("secret.policy"), &json!("secret:restricted"))
                    );
                } else {
                    reply.expect(200);
                }
            }
        }
        assert_eq!(versions(&admin, &path, "live").await, [1]);
        let both = json!({"test": value("e"), "live": value("f")});
        admin
            .patch(&path, json!({"destinations": [{"host": "other.test"}], "values": both}))
            .await
            .expect(200);
        if visibility == "restricted" {
            assert_eq!(versions(&admin, &path, "test").await, [3], "the old ones are gone");
            admin
                .post(&format!("{path}/values/test/rollback"), json!({"version": 2}))
                .await
                .refused(404, "not_found");
            assert_eq!(versions(&admin, &path, "live").await, [2]);
        }
    }
    // A first destination is wider than none; taking all away is narrower than any.
    server.owner.post("/secrets", json!({"name": "bare", "values": values})).await.expect(201);
    admin.patch("/secrets/bare", json!({"destinations": wide})).await.refused(422, "validation_failed");
    admin.patch("/secrets/masked", json!({"destinations": []})).await.expect(200);
}

async fn versions(client: &Client, path: &str, environment: &str) -> Vec<i64> {
    let listed = client.get(&format!("{path}/values/{environment}/versions")).await.expect(200);
    let kept = listed["items"].as_array().unwrap().iter().filter(|version| version["state"] != "destroyed");
    kept.map(|version: &Value| version["version"].as_i64().unwrap()).collect()
}

/// Reveal: not by an editor, not of a restricted secret by anybody, on the record each time, and never kept by a cache.
#[tokio::test]
async fn revealing() {
    let server = Server::start().await;
    let value = json!({"test": {"value": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu"}});
    for (name, visibility) in [("HIDDEN", "restricted"), ("DOTS", "masked")] {
        server
            .owner
            .post("/secrets", json!({"name": name, "visibility": visibility, "values": value}))
            .await
            .expect(201);
    }
    for role in ["editor", "operator", "member", "auditor"] {
        let client = server.client(role).await;
        for name in ["HIDDEN", "DOTS"] {
            client
                .post(&format!("/secrets/{name}/values/test/reveal"), json!({}))
                .await
                .refused(403, "forbidden");
            let event = server.owner.newest_event("verb=secret.reveal").await;
            assert_eq!(
                (&event["outcome"], &event["actor"], &event["object"]),
                (&json!("denied"), &json!(client.name), &json!(format!("secret:{name}")))
            );
        }
    }
    for client in [&server.owner, &server.client("admin").await] {
        client.post("/secrets/HIDDEN/values/test/reveal", json!({})).await.refused(403, "restricted_secret");
        assert_eq!(server.owner.newest_event("verb=secret.reveal").await["code"], "restricted_secret");
        let shown =
            client.post("/secrets/DOTS/values/test/reveal", json!({"reason": "a customer asked"})).await;
        let body = shown.expect(200);
        assert_eq!((&body["fields"], &body["version"]), (&value["test"], &json!(1)));
        assert!(body["hide_after_secs"].as_u64().unwrap() > 0);
        assert_eq!(shown.headers["cache-control"], "no-store");
        let event = server.owner.newest_event("verb=secret.reveal").await;
        assert_eq!(
            (&event["outcome"], &event["actor"], &event["environment"]),
            (&json!("allowed"), &json!(client.name), &json!("test"))
        );
        client
            .post("/secrets/DOTS/values/live/reveal", json!({}))
            .await
            .refused(409, "no_value_in_environment");
    }
}
