//! Leases through the API: who gets one for what, what is kept of it, and how it ends. What the proxy does with one is in
//! `proxy.rs`.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Options, Server, TACIT},
    hostile::Hostile,
};

const VALUE: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

/// A secret that may go to one host, with a value in `test`.
async fn bound(server: &Server, name: &str) {
    let secret = json!({"name": name, "destinations": [{"host": "api.example.com"}], "values": {"test": {"value": VALUE}}});
    server.owner.post("/secrets", secret).await.expect(201);
}

fn wanted(names: &[&str]) -> Value {
    let secrets: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    json!({"environment": "test", "secrets": secrets})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn open_ids(client: &Client) -> Vec<String> {
    let listed = client.get("/leases").await.expect(200);
    listed["items"].as_array().unwrap().iter().map(|lease| text(&lease["id"]).to_owned()).collect()
}

/// What a lease consists of: its own token, placeholders under aliases, a proxy and base URLs at the address that the
/// client used, and an end.
#[tokio::test]
async fn a_lease_is_given() {
    let server = Server::start().await;
    let editor = server.client("editor").await;
    bound(&server, "stripe-api-key").await;
    let elsewhere = json!([
        {"host": "*.zendesk.com"}, {"host": "files.example.com", "port": 8443},
        {"host": "only-live.example.com", "environments": ["live"]}
    ]);
    let secret = json!({"name": "HubSpot API key – production", "destinations": elsewhere, "values": {"test": {"value": VALUE}}});
    server.owner.post("/secrets", secret).await.expect(201);
    let mut body = wanted(&["stripe-api-key", "HubSpot API key – production"]);
    body["secrets"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "stripe-api-key", "as": "again", "shape": "sk_live"}));
    let reply = editor.post("/leases", body).await;
    let lease = reply.expect(201);
    assert_eq!(reply.headers["cache-control"], "no-store");
    let token = text(&lease["token"]);
    assert!(token.starts_with("tct_ls_") && text(&lease["id"]).starts_with("lea_"));
    let aliases: Vec<_> = lease["secrets"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(aliases, ["HUBSPOT_API_KEY___PRODUCTION", "STRIPE_API_KEY", "again"]);
    assert!(text(&lease["secrets"]["STRIPE_API_KEY"]).starts_with("tct_ph_"));
    assert!(text(&lease["secrets"]["again"]).starts_with("sk_live_"));
    // Their lengths say nothing of the values'.
    assert_eq!(
        text(&lease["secrets"]["STRIPE_API_KEY"]).len(),
        text(&lease["secrets"]["HUBSPOT_API_KEY___PRODUCTION"]).len()
    );
    let here = server.url.strip_prefix("http://").unwrap();
    assert_eq!(lease["proxy_url"], format!("http://tacit:{token}@{here}"));
    assert_eq!(
        lease["base_urls"],
        json!({
            "api.example.com": format!("http://{here}/to/{token}/api.example.com"),
            "files.example.com:8443": format!("http://{here}/to/{token}/files.example.com:8443"),
        })
    );
    assert!(text(&lease["ca_pem"]).starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(!text(&lease["ca_pem"]).contains("PRIVATE"));
    let event = server.owner.newest_event("verb=lease.create").await;
    assert_eq!((&event["outcome"], &event["actor"]), (&json!("succeeded"), &json!(editor.name)));
    assert_eq!(
        (&event["lease"], &event["object"]),
        (&lease["id"], &json!(format!("lease:{}", text(&lease["id"]))))
    );
    assert_eq!((event["secrets"].as_array().unwrap().len(), &event["environment"]), (3, &json!("test")));

    // By the name under which the client knows the server.
    let (_, port) = here.rsplit_once(':').unwrap();
    let mut named = editor.clone();
    named.url = format!("http://localhost:{port}");
    let lease = named.post("/leases", wanted(&["stripe-api-key"])).await.expect(201);
    assert!(text(&lease["proxy_url"]).ends_with(&format!("@localhost:{port}")), "{}", lease["proxy_url"]);
}

/// The contract's order of checks, secret by secret: right, state, value here, destinations; each refusal on the record.
#[tokio::test]
async fn refused_in_the_contracts_order() {
    let server = Server::start().await;
    let (editor, member) = (server.client("editor").await, server.client("member").await);
    bound(&server, "KEY").await;
    let bare = |name: &str, visibility: &str| json!({"name": name, "visibility": visibility, "values": {"test": {"value": VALUE}}});
    server.owner.post("/secrets", bare("BARE", "masked")).await.expect(201);
    server.owner.post("/secrets", bare("BARE_RESTRICTED", "restricted")).await.expect(201);
    server.owner.post("/secrets", json!({"name": "EMPTY"})).await.expect(201);
    let refused = async |client: &Client, names: &[&str], status: u16, code: &str, object: &str| {
        client.post("/leases", wanted(names)).await.refused(status, code);
        let event = server.owner.newest_event("verb=lease.create").await;
        assert_eq!((&event["outcome"], &event["code"]), (&json!("denied"), &json!(code)));
        assert_eq!(event["actor"], client.name, "{event}");
        assert!(text(&event["object"]).starts_with(object), "{event}");
    };
    // Without the right, nothing is said about the secret.
    refused(&member, &["KEY"], 403, "forbidden", "lease:").await;
    refused(&member, &["BARE"], 403, "forbidden", "lease:").await;
    refused(&editor, &["EMPTY"], 409, "no_value_in_environment", "secret:EMPTY").await;
    // Not even the owner, who could look at it.
    for client in [&editor, &server.owner] {
        refused(client, &["KEY", "BARE"], 403, "destination_required", "secret:BARE").await;
        refused(client, &["BARE_RESTRICTED"], 403, "destination_required", "secret:BARE_RESTRICTED").await;
    }
    server.owner.post("/secrets/BARE/disable", json!({})).await.expect(204);
    refused(&editor, &["BARE"], 409, "secret_disabled", "secret:BARE").await;
    server.owner.delete("/secrets/BARE").await.expect(200);
    refused(&editor, &["BARE"], 409, "secret_disabled", "secret:BARE").await;
    editor.post("/leases", wanted(&["NOTHING"])).await.refused(422, "unknown_reference");
    let live = json!({"environment": "live", "secrets": [{"name": "KEY"}]});
    editor.post("/leases", live).await.refused(409, "no_value_in_environment");
    let nowhere = json!({"environment": "nowhere", "secrets": [{"name": "KEY"}]});
    editor.post("/leases", nowhere).await.refused(404, "not_found");
    assert!(open_ids(&server.owner).await.is_empty(), "nothing was handed out");
}

/// Aliases are names of variables, each once; and every other rule of the body says which field breaks it.
#[tokio::test]
async fn rules_of_the_body() {
    let server = Server::start().await;
    bound(&server, "a-key").await;
    bound(&server, "A key").await;
    let with = |name: &str, value: Value| {
        let mut body = wanted(&["a-key"]);
        body[name] = value;
        body
    };
    let alias = |alias: &str| json!({"environment": "test", "secrets": [{"name": "a-key", "as": alias}]});
    for (body, field) in [
        (wanted(&["a-key", "A key"]), "secrets[1].as"),
        (wanted(&["a-key", "a-key"]), "secrets[1].as"),
        (alias("1A"), "secrets[0].as"),
        (alias("A-B"), "secrets[0].as"),
        (alias(""), "secrets[0].as"),
        (alias("A=B"), "secrets[0].as"),
        (with("secrets", json!([])), "secrets"),
        (with("secrets", json!(vec![json!({"name": "a-key"}); 65])), "secrets"),
        (with("secrets", json!([{"name": "a-key", "shape": "pem"}])), "secrets[0].shape"),
        (with("secrets", json!([{"name": "a/b"}])), "secrets[0].name"),
        (with("ttl_secs", json!(9)), "ttl_secs"),
        (with("ttl_secs", json!(3601)), "ttl_secs"),
        (with("other_hosts", json!("open")), "other_hosts"),
        (with("allow_from", json!(["everywhere"])), "allow_from[0]"),
        (with("allow_from", json!(vec!["10.0.0.0/8"; 17])), "allow_from"),
        (with("requests_max", json!(0)), "requests_max"),
        (with("environment", json!("TEST!")), "environment"),
    ] {
        let problem = server.owner.post("/leases", body).await.refused(422, "validation_failed");
        let fields: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|e| text(&e["field"])).collect();
        assert!(fields.contains(&field), "{field}: {problem}");
    }
    server.owner.post("/leases", with("nothing", json!(1))).await.refused(422, "validation_failed");
    assert!(open_ids(&server.owner).await.is_empty());
}

/// Token and placeholders are in the answer that gave them, and nowhere else: no list, no record, no log, no file.
#[tokio::test]
async fn kept_as_hashes() {
    let mut server = Server::start().await;
    bound(&server, "KEY").await;
    let lease = server.owner.post("/leases", wanted(&["KEY"])).await.expect(201);
    let id = text(&lease["id"]).to_owned();
    server.owner.post(&format!("/leases/{id}/renew"), json!({})).await.expect(200);
    let agent = server.owner.post("/agent-sessions", json!({"name": "triage"})).await.expect(201);
    let texts = [text(&lease["token"]), text(&lease["secrets"]["KEY"]), text(&agent["token"])];
    for path in ["/leases", "/leases?all=true", "/agent-sessions", "/events", "/metrics", "/secrets/KEY"] {
        let seen = server.owner.get(path).await.text;
        assert!(!texts.iter().any(|text| seen.contains(&text[7..])), "{path}");
    }
    server.stop();
    assert!(!texts.iter().any(|text| server.log().contains(&text[7..])));
    for (path, bytes) in server.files() {
        for text in texts {
            let secret_part = &text.as_bytes()[7..];
            assert!(
                !bytes.windows(secret_part.len()).any(|window| window == secret_part),
                "{}",
                path.display()
            );
        }
    }
}

/// A lease's token opens no door of the API but its own; what does not belong to a lease opens none of the lease's.
#[tokio::test]
async fn a_lease_token_is_no_bearer_token() {
    let server = Server::start().await;
    bound(&server, "KEY").await;
    let lease = server.owner.post("/leases", wanted(&["KEY"])).await.expect(201);
    let id = text(&lease["id"]);
    for token in [&lease["token"], &lease["secrets"]["KEY"]] {
        let holder = Client::new(&server.url, text(token));
        for path in ["/v1/whoami", "/secrets", "/leases", "/events", "/agent-sessions"] {
            holder.get(path).await.refused(401, "unauthenticated");
        }
        holder.post(&format!("/leases/{id}/renew"), json!({})).await.refused(401, "unauthenticated");
        holder.post("/leases", wanted(&["KEY"])).await.refused(401, "unauthenticated");
    }
}

/// Renewed by whoever took it, as far as the first end said, and ended by them or by somebody who manages.
#[tokio::test]
async fn renewed_and_ended() {
    let server = Server::start().await;
    bound(&server, "KEY").await;
    let (editor, stranger) = (server.client("editor").await, server.client("editor").await);
    let (admin, auditor, member) =
        (server.client("admin").await, server.client("auditor").await, server.client("member").await);
    let take = async || {
        let mut body = wanted(&["KEY"]);
        body["ttl_secs"] = json!(10);
        text(&editor.post("/leases", body).await.expect(201)["id"]).to_owned()
    };
    let (first, second, third) = (take().await, take().await, take().await);
    let path = |id: &str| format!("/leases/{id}");
    let renewed = editor.post(&format!("{}/renew", path(&first)), json!({})).await.expect(200);
    let listed = editor.get("/leases").await.expect(200);
    let found =
        listed["items"].as_array().unwrap().iter().find(|lease| lease["id"] == first).unwrap().clone();
    assert_eq!(found["expires_at"], renewed["expires_at"]);
    assert_eq!((&found["state"], &found["secrets"]), (&json!("open"), &json!({"KEY": "KEY"})));
    assert_eq!((&found["allow_from"], &found["other_hosts"]), (&json!(["127.0.0.1/32"]), &json!("tunnel")));
    stranger.post(&format!("{}/renew", path(&first)), json!({})).await.refused(404, "not_found");
    admin.post(&format!("{}/renew", path(&first)), json!({})).await.refused(404, "not_found");

    // A stranger cannot tell somebody's lease from none; who may read the record can, and still may not end it.
    let absent = format!("lea_{}", "0".repeat(32));
    let (theirs, none) = (stranger.delete(&path(&first)).await, stranger.delete(&path(&absent)).await);
    theirs.refused(404, "not_found");
    assert_eq!(theirs.json()["detail"], none.json()["detail"]);
    let denied = server.owner.newest_event("verb=lease.revoke").await;
    assert_eq!((&denied["outcome"], &denied["actor"]), (&json!("denied"), &json!(stranger.name)));
    auditor.delete(&path(&first)).await.refused(403, "forbidden");
    member.delete(&path(&first)).await.refused(403, "forbidden");
    member.delete(&path(&absent)).await.refused(403, "forbidden");

    assert!(open_ids(&stranger).await.is_empty());
    assert_eq!(open_ids(&auditor).await.len(), 3);
    editor.delete(&path(&first)).await.expect(204);
    admin.delete(&path(&second)).await.expect(204);
    let event = server.owner.newest_event("verb=lease.revoke").await;
    assert_eq!(
        (&event["outcome"], &event["actor"], &event["lease"]),
        (&json!("succeeded"), &json!(admin.name), &json!(second))
    );
    assert_eq!(open_ids(&editor).await, std::slice::from_ref(&third));
    editor.post(&format!("{}/renew", path(&first)), json!({})).await.refused(404, "not_found");
    editor.delete(&path(&first)).await.expect(204);
    let all = editor.get("/leases?all=true").await.expect(200);
    let states: Vec<_> = all["items"].as_array().unwrap().iter().map(|lease| text(&lease["state"])).collect();
    assert_eq!(states, ["open", "ended", "ended"]);
}

/// The command line shows what is open, without anything that could be used, and ends it.
#[tokio::test]
async fn at_the_terminal() {
    let server = Server::start().await;
    bound(&server, "KEY").await;
    let lease = server.owner.post("/leases", wanted(&["KEY"])).await.expect(201);
    let run = |arguments: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        assert_cmd::Command::new(TACIT)
            .args(arguments)
            .env_clear()
            .env("TACIT_CONFIG_DIR", directory.path())
            .env("TACIT_ADDR", &server.url)
            .env("TACIT_TOKEN", &server.owner.token)
            .output()
            .unwrap()
    };
    let tacit = |arguments: &[&str]| {
        let output = run(arguments);
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    // The token alone is what is printed, so that it can be given on.
    let output = run(&["agents", "create", "triage", "--ttl", "600", "--requests-max", "7"]);
    let token = String::from_utf8(output.stdout).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("for triage") && told.contains("7 requests") && !told.contains("tct_"), "{told}");
    let agent = Client::new(&server.url, token.trim_end());
    assert_eq!(agent.get("/v1/whoami").await.expect(200)["name"], "triage");
    let (status, given) = tacit(&["agents", "create", "reader", "--output", "json"]);
    let agent: Value = serde_json::from_str(&given).unwrap();
    assert!(status == 0 && text(&agent["token"]).starts_with("tct_ag_"), "{agent}");
    assert_eq!((&agent["name"], &agent["requests_max"]), (&json!("reader"), &json!(500)));
    assert_eq!(tacit(&["agents", "create", "x", "--ttl", "59"]).0, 2);
    for (noun, given) in [("leases", &lease), ("agents", &agent)] {
        let id = text(&given["id"]);
        let (status, shown) = tacit(&[noun, "list"]);
        assert!(status == 0 && shown.contains(id) && shown.contains("open"), "{shown}");
        assert!(!shown.contains("tct_"), "{shown}");
        let (status, told) = tacit(&[noun, "end", id]);
        assert!(status == 0 && told.contains("has ended"), "{told}");
        assert!(!tacit(&[noun, "list"]).1.contains(id));
        let (status, all) = tacit(&[noun, "list", "--all", "--output", "json"]);
        let all: Value = serde_json::from_str(&all).unwrap();
        let ended = all["items"].as_array().unwrap().iter().find(|item| item["id"] == id).unwrap();
        assert_eq!((status, &ended["state"]), (0, &json!("ended")));
        assert_eq!(tacit(&[noun, "end", "nothing"]).0, 4);
    }
}

/// One principal has a hundred open leases at most; another one is not in its way.
#[tokio::test]
async fn too_many() {
    let server = Server::start().await;
    bound(&server, "KEY").await;
    let editor = server.client("editor").await;
    for _ in 0..100 {
        editor.post("/leases", wanted(&["KEY"])).await.expect(201);
    }
    let refused = editor.post("/leases", wanted(&["KEY"])).await;
    refused.refused(429, "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    server.owner.post("/leases", wanted(&["KEY"])).await.expect(201);
    let one = open_ids(&editor).await.remove(0);
    editor.delete(&format!("/leases/{one}")).await.expect(204);
    editor.post("/leases", wanted(&["KEY"])).await.expect(201);
}

/// A restart ends leases and agents' sessions, because what they are made of was in memory.
#[tokio::test]
async fn a_restart_ends_them() {
    let mut server = Server::start().await;
    bound(&server, "KEY").await;
    let lease = server.owner.post("/leases", wanted(&["KEY"])).await.expect(201);
    let agent = server.owner.post("/agent-sessions", json!({"name": "triage"})).await.expect(201);
    server.kill();
    let again = Server::on(&server.data, &server.owner.token, &Options::default());
    assert!(open_ids(&again.owner).await.is_empty());
    let event = again.owner.newest_event("verb=lease.revoke").await;
    assert_eq!((&event["actor"], &event["lease"]), (&json!("system:tacit"), &lease["id"]));
    Client::new(&again.url, text(&agent["token"])).get("/secrets").await.refused(401, "unauthenticated");
    again
        .owner
        .post(&format!("/leases/{}/renew", text(&lease["id"])), json!({}))
        .await
        .refused(404, "not_found");
}

/// H10: a value that is or holds a placeholder is refused, in whatever field and however it is written.
#[tokio::test]
async fn a_placeholder_is_no_value() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    bound(&server, "KEY").await;
    let mut body = wanted(&["KEY"]);
    let shapes = ["generic", "sk_live", "ghp", "sk", "xoxb"];
    body["secrets"] = shapes
        .iter()
        .map(|shape| json!({"name": "KEY", "as": format!("AS_{shape}"), "shape": shape}))
        .collect();
    let lease = server.owner.post("/leases", body).await.expect(201);
    for shape in shapes {
        let placeholder = text(&lease["secrets"][format!("AS_{shape}")]);
        for value in [placeholder.to_owned(), format!("Bearer {placeholder}"), format!("x{placeholder}y")] {
            let fields = json!({"fields": {"value": value}});
            let problem =
                server.owner.put("/secrets/KEY/values/test", fields).await.refused(422, "validation_failed");
            assert!(!problem.to_string().contains(placeholder), "the answer repeats it");
            let new = json!({"name": "OTHER", "values": {"test": {"value": value}}});
            server.owner.post("/secrets", new).await.refused(422, "validation_failed");
        }
    }
    let placeholder = text(&lease["secrets"]["AS_generic"]);
    let new = json!({"name": "DOC", "type": "json", "values": {"test": {"content": {"a": [placeholder]}}}});
    server.owner.post("/secrets", new).await.refused(422, "validation_failed");
    let new = json!({"name": "LOGIN", "type": "basic_auth", "values": {"test": {"username": placeholder, "password": VALUE}}});
    server.owner.post("/secrets", new).await.refused(422, "validation_failed");
    // In a sealed request, which has no lease, it is plain text.
    let here = json!({"name": "HERE", "destinations": [hostile.destination(json!({}))], "values": {"test": {"value": VALUE}}});
    server.owner.post("/secrets", here).await.expect(201);
    let request =
        json!({"environment": "test", "url": hostile.url("/raw"), "headers": {"X-Note": placeholder}});
    server.owner.post("/requests", request).await.expect(200);
    assert!(hostile.last().contains(placeholder) && !hostile.last().contains(VALUE));
}
