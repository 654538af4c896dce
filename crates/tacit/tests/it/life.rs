//! The life of a value: versions, rotation, rollback, switching off, deleting, restoring, purging.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    hostile::Hostile,
};

fn value(number: usize) -> Value {
    json!({"value": text(number)})
}

fn text(number: usize) -> String {
    format!("{number}Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu")
}

/// A secret `KEY` that may go to the upstream, an automation that sends it there, and an editor who runs it.
struct Scene {
    server: Server,
    hostile: Hostile,
    editor: Client,
}

impl Scene {
    async fn new() -> Self {
        let (server, hostile) = (Server::start().await, Hostile::start().await);
        let editor = server.client("editor").await;
        let scene = Self { server, hostile, editor };
        scene.create().await;
        let step = json!({"id": "a", "http": {"url": scene.hostile.url("/raw"), "auth": {"secret": "KEY"}}});
        scene.editor.put("/automations/send", json!({"steps": [step]})).await.expect(201);
        scene
    }

    async fn create(&self) {
        let secret = json!({"name": "KEY", "destinations": [self.hostile.destination(json!({}))], "values": {"test": value(1)}});
        self.server.owner.post("/secrets", secret).await.expect(201);
    }

    /// What the upstream gets of it when the automation runs, or the code that the run fails with.
    async fn run(&self) -> Result<String, String> {
        let heard = self.hostile.count();
        let run = self.editor.post("/automations/send/runs?wait=20", json!({"environment": "test"})).await;
        let run = run.expect(201);
        if run["status"] == "succeeded" {
            let last = self.hostile.last();
            return Ok(last
                .lines()
                .find_map(|line| line.strip_prefix("authorization: Bearer "))
                .unwrap()
                .to_owned());
        }
        assert_eq!(self.hostile.count(), heard, "a run failed and something was sent: {run}");
        let detail = run["error"]["detail"].as_str().unwrap();
        assert!(detail.contains("KEY"), "the failure does not name the secret: {run}");
        Err(run["error"]["code"].as_str().unwrap().to_owned())
    }

    async fn settings(&self, settings: Value) {
        self.server.owner.patch("/v1/workspaces/default", settings).await.expect(200);
    }
}

/// Versions count from 1 in each environment; a rotation is used by the next run; a rollback is a new version.
#[tokio::test]
async fn versions_rotation_rollback() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    assert_eq!(scene.run().await, Ok(text(1)));
    for number in 2..=3 {
        let put = owner
            .put("/secrets/KEY/values/test", json!({"fields": value(number), "reason": "rotation"}))
            .await;
        assert_eq!(put.expect(201)["version"], number);
        assert_eq!(scene.run().await, Ok(text(number)));
    }
    let live = owner.put("/secrets/KEY/values/live", json!({"fields": value(9)})).await.expect(201);
    assert_eq!(live["version"], 1, "each environment counts for itself");
    assert_eq!(scene.run().await, Ok(text(3)), "and nothing crosses");
    let back = owner.post("/secrets/KEY/values/test/rollback", json!({"version": 1})).await.expect(201);
    assert_eq!(back["version"], 4);
    assert_eq!(scene.run().await, Ok(text(1)));
    let listed = owner.get("/secrets/KEY/values/test/versions").await.expect(200);
    let numbers: Vec<(i64, bool)> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["version"].as_i64().unwrap(), v["current"] == true))
        .collect();
    assert_eq!(numbers, [(4, true), (3, false), (2, false), (1, false)]);
    for (version, code) in [(0, 404), (5, 404), (-1, 404)] {
        assert_eq!(
            owner.post("/secrets/KEY/values/test/rollback", json!({"version": version})).await.status,
            code
        );
    }
    let shown = owner.get("/secrets/KEY").await;
    assert_eq!(shown.expect(200)["environments"]["test"]["version"], 4);
    assert!(!shown.text.contains("Zq8Wn3Lk5"));
}

/// Versions beyond the window are destroyed: there is nothing to roll back to and nothing on the disk.
#[tokio::test]
async fn versions_are_destroyed() {
    let scene = Scene::new().await;
    scene.settings(json!({"version_keep_count": 2})).await;
    for number in 2..=4 {
        scene
            .server
            .owner
            .put("/secrets/KEY/values/test", json!({"fields": value(number)}))
            .await
            .expect(201);
    }
    let listed = scene.server.owner.get("/secrets/KEY/values/test/versions").await.expect(200);
    let kept = listed["items"].as_array().unwrap().iter().filter(|version| version["state"] != "destroyed");
    assert_eq!(kept.map(|version| &version["version"]).collect::<Vec<_>>(), [4, 3]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 4, "what is destroyed is still told of");
    scene
        .server
        .owner
        .post("/secrets/KEY/values/test/rollback", json!({"version": 2}))
        .await
        .refused(404, "not_found");
    scene.settings(json!({"version_keep_count": 1})).await;
    scene.server.owner.put("/secrets/KEY/values/test", json!({"fields": value(5)})).await.expect(201);
    scene
        .server
        .owner
        .post("/secrets/KEY/values/test/rollback", json!({"version": 4}))
        .await
        .refused(404, "not_found");
    assert_eq!(scene.run().await, Ok(text(5)));
}

/// Disabling works at once, everywhere or in one environment, also in a protected one, and can be taken back.
#[tokio::test]
async fn disabling() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    owner.put("/secrets/KEY/values/live", json!({"fields": value(9)})).await.expect(201);
    for path in ["/secrets/KEY", "/secrets/KEY/values/test"] {
        owner.post(&format!("{path}/disable"), json!({})).await.expect(204);
        assert_eq!(scene.run().await, Err("secret_disabled".to_owned()));
        let denied = owner.newest_event("verb=secret.use&outcome=denied").await;
        assert_eq!((&denied["code"], &denied["object"]), (&json!("secret_disabled"), &json!("secret:KEY")));
        let request =
            json!({"environment": "test", "url": scene.hostile.url("/raw"), "auth": {"secret": "KEY"}});
        owner.post("/requests", request).await.refused(409, "secret_disabled");
        // A rotation does not switch it on behind the back of whoever switched it off.
        owner.put("/secrets/KEY/values/test", json!({"fields": value(2)})).await.expect(201);
        assert_eq!(scene.run().await, Err("secret_disabled".to_owned()), "{path}");
        owner.post(&format!("{path}/enable"), json!({})).await.expect(204);
        assert_eq!(scene.run().await, Ok(text(2)));
    }
    owner.post("/secrets/KEY/values/live/disable", json!({})).await.expect(204);
    assert_eq!(scene.run().await, Ok(text(2)), "live alone was switched off");
    owner.post("/secrets/NOT_THERE/disable", json!({})).await.refused(404, "not_found");
}

/// After `disable` has answered, no request begins that uses the value, however many are under way.
#[tokio::test]
async fn disabling_wins_every_race() {
    let scene = Scene::new().await;
    for _ in 0..5 {
        let request =
            json!({"environment": "test", "url": scene.hostile.url("/raw"), "auth": {"secret": "KEY"}});
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let (client, request) = (scene.editor.clone(), request.clone());
                tokio::spawn(async move {
                    loop {
                        let reply = client.post("/requests", request.clone()).await;
                        if reply.status != 200 {
                            return reply;
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        scene.server.owner.post("/secrets/KEY/disable", json!({})).await.expect(204);
        // Those whose intent was on the record before may still be on their way; none begins from here on.
        let intents = async || {
            scene.server.owner.get("/events?verb=secret.use&outcome=allowed&limit=500").await.expect(200)["items"][0]["seq"].clone()
        };
        let last = intents().await;
        for sender in senders {
            sender.await.unwrap().refused(409, "secret_disabled");
        }
        assert_eq!(intents().await, last, "a use was allowed after the switch was off");
        scene.server.owner.post("/secrets/KEY/enable", json!({})).await.expect(204);
    }
}

/// Deleting: says who depends on it, wants force, takes effect at once, can be taken back, and keeps the name taken.
#[tokio::test]
async fn deleting_and_restoring() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    let problem = owner.delete("/secrets/KEY").await.refused(409, "secret_in_use");
    assert_eq!(problem["dependents"], json!(["automation:send"]), "{problem}");
    assert_eq!(scene.run().await, Ok(text(1)));
    let gone = owner.delete("/secrets/KEY?force=true").await.expect(200);
    assert!(gone["restorable_until"].is_string(), "{gone}");
    assert_eq!(scene.run().await, Err("secret_disabled".to_owned()));
    owner.get("/secrets/KEY").await.refused(404, "not_found");
    owner.delete("/secrets/KEY").await.refused(404, "not_found");
    owner.put("/secrets/KEY/values/test", json!({"fields": value(2)})).await.refused(404, "not_found");
    assert!(!owner.get("/secrets").await.text.contains("KEY"));
    for name in ["KEY", "key", "Key"] {
        owner.post("/secrets", json!({"name": name})).await.refused(409, "name_taken");
        owner.post("/variables", json!({"name": name})).await.refused(409, "name_taken");
    }
    owner.post("/secrets/KEY/restore", json!({})).await.expect(200);
    assert_eq!(scene.run().await, Ok(text(1)));
    owner.post("/secrets/KEY/restore", json!({})).await.refused(404, "not_found");
    // Without dependents, no force.
    scene.editor.delete("/automations/send").await.expect(204);
    owner.delete("/secrets/KEY").await.expect(200);
    let verbs = ["secret.delete", "secret.restore"];
    for verb in verbs {
        assert_eq!(owner.newest_event(&format!("verb={verb}")).await["object"], "secret:KEY");
    }
}

/// In a protected environment values are not deleted, not even with force, unless the workspace allows it.
#[tokio::test]
async fn protected_environments() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    owner.put("/secrets/KEY/values/live", json!({"fields": value(9)})).await.expect(201);
    for path in ["/secrets/KEY", "/secrets/KEY?force=true"] {
        owner.delete(path).await.refused(409, "protected_environment");
        let denied = owner.newest_event("outcome=denied").await;
        assert_eq!(
            (&denied["verb"], &denied["code"]),
            (&json!("secret.delete"), &json!("protected_environment"))
        );
    }
    assert_eq!(scene.run().await, Ok(text(1)));
    scene.settings(json!({"allow_protected_delete": true})).await;
    owner.delete("/secrets/KEY?force=true").await.expect(200);
}

/// With a window of nothing a deletion is for good, and a secret made again under the name inherits no grant.
#[tokio::test]
async fn purged_names_inherit_nothing() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    scene.settings(json!({"deletion_window_days": 0})).await;
    let gone = owner.delete("/secrets/KEY?force=true").await.expect(200);
    assert!(gone["restorable_until"].is_null());
    owner.post("/secrets/KEY/restore", json!({})).await.refused(404, "not_found");
    assert_eq!(owner.newest_event("verb=secret.purge").await["object"], "secret:KEY");
    assert_eq!(scene.run().await, Err("unknown_reference".to_owned()));
    scene.create().await;
    assert_eq!(owner.get("/secrets/KEY").await.expect(200)["environments"]["test"]["version"], 1);
    assert_eq!(owner.get("/secrets/KEY/usages").await.expect(200)["automations"], json!([]));
    assert_eq!(
        scene.run().await,
        Err("forbidden".to_owned()),
        "the automation was published for the other secret"
    );
    let step = json!({"id": "a", "http": {"url": scene.hostile.url("/raw"), "auth": {"secret": "KEY"}}});
    scene.editor.put("/automations/send", json!({"steps": [step]})).await.expect(200);
    assert_eq!(scene.run().await, Ok(text(1)));
}

/// Name, type and visibility are fixed; unknown fields, wrong fields and bad names are refused by name.
#[tokio::test]
async fn what_is_fixed_and_what_is_wrong() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    for patch in [
        json!({"name": "NEW"}),
        json!({"type": "json"}),
        json!({"visibility": "masked"}),
        json!({"name": "KEY"}),
        json!({"name": null}),
    ] {
        let problem = owner.patch("/secrets/KEY", patch.clone()).await.refused(422, "immutable_field");
        assert_eq!(
            problem["errors"][0]["field"].as_str(),
            patch.as_object().unwrap().keys().next().map(String::as_str)
        );
    }
    let too_long = "n".repeat(129);
    for name in [
        "",
        " a",
        "a ",
        "a/b",
        "a\\b",
        "a\"b",
        "a'b",
        "{{a}}",
        "a\nb",
        "a\u{0}b",
        "..",
        ".",
        "e\u{301}",
        "a\u{202e}b",
        &too_long,
    ] {
        owner.post("/secrets", json!({"name": name})).await.refused(422, "validation_failed");
    }
    for name in ["stripe-api-key", "HubSpot API key – production", "ключ", "a.b", "50% off?#"] {
        owner.post("/secrets", json!({"name": name, "values": {"test": value(1)}})).await.expect(201);
        let encoded: String = name.bytes().map(|b| format!("%{b:02X}")).collect();
        assert_eq!(owner.get(&format!("/secrets/{encoded}")).await.expect(200)["name"], name);
        let upper = name.to_uppercase();
        owner.post("/secrets", json!({"name": upper})).await.refused(409, "name_taken");
    }
    for (body, field) in [
        (json!({"name": "A", "type": "password"}), "type"),
        (json!({"name": "A", "visibility": "public"}), "visibility"),
        (json!({"name": "A", "values": {"nowhere-else": value(1)}}), ""),
        (json!({"name": "A", "values": {"test": {"token": "x"}}}), "values.test.token"),
        (json!({"name": "A", "values": {"test": {}}}), "values.test.value"),
        (
            json!({"name": "A", "type": "basic_auth", "values": {"test": {"username": "a:b", "password": "p"}}}),
            "values.test.username",
        ),
        (
            json!({"name": "A", "type": "bearer_token", "values": {"test": {"token": "a\r\nX: y"}}}),
            "values.test.token",
        ),
        (
            json!({"name": "A", "type": "api_key", "values": {"test": {"header": "Host", "key": "k"}}}),
            "values.test.header",
        ),
        (json!({"name": "A", "values": {"test": {"value": "tct_ph_0123456789"}}}), "values.test.value"),
        (json!({"name": "A", "folder": "/a"}), "folder"),
        (json!({"name": "A", "rotate_every_days": 0}), "rotate_every_days"),
        (json!({"name": "A", "expires_at": "tomorrow"}), "expires_at"),
        (json!({"name": "A", "description": "d".repeat(5000)}), "description"),
        (json!({"name": "A", "values": {"test": {"value": "v".repeat(65_537)}}}), "values.test.value"),
    ] {
        let reply = owner.post("/secrets", body.clone()).await;
        if field.is_empty() {
            assert!([404, 422].contains(&reply.status), "{}", reply.text);
            continue;
        }
        let problem = reply.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    owner.get("/secrets/A").await.refused(404, "not_found");
    owner.put("/secrets/KEY/values/test", json!({"fields": {"value": "v".repeat(65_536)}})).await.expect(201);
    owner
        .put("/secrets/KEY/values/test", json!({"fields": {"value": "x".repeat(17 * 1024 * 1024)}}))
        .await
        .refused(413, "payload_too_large");
}

/// Errors never repeat what was sent, however wrongly it was sent.
#[tokio::test]
async fn errors_repeat_nothing() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    let canary = "Vt4Kq9Zr2Xw7Ls5Np8Jd3Hf6Gb1Mc0Ty9Ue4Ia7Q";
    let put = "/secrets/KEY/values/test";
    let mut replies = vec![
        owner.put(put, json!({"fields": canary})).await,
        owner.put(put, json!({"fields": [canary]})).await,
        owner.put(put, json!({"fields": {"value": [canary]}})).await,
        owner.put(put, json!({"fields": {"value": {"a": canary}}})).await,
        owner.put(put, json!({"fields": {"value": canary, "other": canary}})).await,
        owner.put(put, json!({"fields": {"value": canary}, "reason": 5})).await,
        owner.put(put, json!({"fields": {"value": canary}, "reason": canary.repeat(6)})).await,
        owner.put(put, json!({"value": canary})).await,
        owner.put(put, json!(canary)).await,
        owner.put("/secrets/KEY/values/NoWhere", json!({"fields": {"value": canary}})).await,
        owner.post("/secrets", json!({"name": "B", "values": {"test": canary}})).await,
        owner.post("/secrets", json!({"name": "B", "values": canary})).await,
        owner.post("/secrets", json!({"name": "B", "type": canary})).await,
        owner.post("/secrets", json!({"name": "B", "visibility": canary})).await,
        owner.post("/secrets", json!({"name": "B", "destinations": [{"host": format!("{canary} x")}]})).await,
        owner.post("/secrets", json!({"name": "B", "destinations": [{"host": "a.test", "places": [canary]}]})).await,
        owner.post("/secrets", json!({"name": "B", "type": "bearer_token", "values": {"test": {"token": format!("{canary}\n")}}})).await,
        owner.post("/requests", json!({"environment": "test", "url": format!("https://{canary}@x.test/")})).await,
        owner.post("/requests", json!({"environment": "test", "url": format!("https://x test/{canary}")})).await,
        owner.post("/requests", json!({"environment": "test", "url": "https://x.test/", "headers": {"Authorization": format!("Bearer {canary} {{{{")}})).await,
        owner.post("/requests", json!({"environment": "test", "url": "https://x.test/", "headers": {"X-A": format!("{canary}\r\n")}})).await,
        owner.post("/requests", json!({"environment": "test", "url": "https://x.test/", "method": canary})).await,
        owner.post("/requests", json!({"environment": "test", "url": "https://x.test/", "body": {"bytes": canary}})).await,
        owner.get(&format!("/secrets?state={canary}")).await,
        owner.get(&format!("/events?cursor={canary}")).await,
    ];
    let bare = reqwest::Client::new();
    for body in [
        format!("{{\"fields\": {{\"value\": \"{canary}"),
        canary.to_owned(),
        format!("{{\"fields\": {{\"value\": \"{canary}\"}}}} x"),
    ] {
        let sent = bare
            .put(format!("{}/v1/workspaces/default{put}", owner.url))
            .bearer_auth(&owner.token)
            .header("content-type", "application/json")
            .body(body);
        let reply = sent.send().await.unwrap();
        replies.push(crate::harness::Reply {
            status: reply.status().as_u16(),
            headers: reply.headers().clone(),
            text: reply.text().await.unwrap(),
        });
    }
    for (number, reply) in replies.iter().enumerate() {
        assert!(
            (400..500).contains(&reply.status) || reply.status == 502,
            "{number}: {} {}",
            reply.status,
            reply.text
        );
        assert!(
            !reply.text.to_lowercase().contains(&canary[..16].to_lowercase()),
            "{number}: {}",
            reply.text
        );
        assert!(reply.json()["request_id"].as_str().is_some_and(|id| id.len() == 32), "{number}");
    }
    assert!(!scene.server.log().contains(&canary[..16]));
}
