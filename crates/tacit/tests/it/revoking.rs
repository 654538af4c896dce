//! Taking rights back: in force at the next request, and in the middle of a run.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    harness::{Client, Server},
    hostile::Hostile,
};

/// A run whose first step takes a while, so that something can happen before its second one.
struct Slow {
    server: Server,
    hostile: Hostile,
}

impl Slow {
    async fn new() -> Self {
        let (server, hostile) = (Server::start().await, Hostile::start().await);
        let secret = json!({"name": "KEY", "destinations": [hostile.destination(json!({}))], "values": {"test": {"value": "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu"}}});
        server.owner.post("/secrets", secret).await.expect(201);
        let step = |id: &str, mode: &str| json!({"id": id, "http": {"url": hostile.url(mode), "auth": {"secret": "KEY"}}});
        server
            .owner
            .put("/automations/two", json!({"steps": [step("one", "/slow"), step("two", "/raw")]}))
            .await
            .expect(201);
        Self { server, hostile }
    }

    /// Starts the run as somebody, does something while the first step waits, and returns the run when it is over.
    async fn meanwhile(&self, client: &Client, change: impl AsyncFnOnce(&Client)) -> Value {
        let heard = self.hostile.count();
        let run = client.post("/automations/two/runs", json!({"environment": "test"})).await.expect(201);
        while self.hostile.count() == heard {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        change(&self.server.owner).await;
        loop {
            let run =
                self.server.owner.get(&format!("/runs/{}", run["id"].as_str().unwrap())).await.expect(200);
            if run["status"] != "running" {
                assert_eq!(self.hostile.count(), heard + 1, "the second step was sent: {run}");
                assert_eq!(run["status"], "failed");
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn name_of(client: &Client) -> String {
    client.name.trim_start_matches("service-account:").to_owned()
}

async fn revoke_all(owner: &Client, account: &str) {
    let path = format!("/service-accounts/{account}/tokens");
    let tokens = owner.get(&path).await.expect(200);
    for token in tokens["items"].as_array().unwrap() {
        owner.delete(&format!("{path}/{}", token["id"].as_str().unwrap())).await.expect(204);
    }
}

/// G9: a token that was revoked, an account that was deleted, a token that has ended: nothing works any more.
#[tokio::test]
async fn g9_the_next_request_is_refused() {
    let scene = Slow::new().await;
    let owner = &scene.server.owner;
    let request = json!({"environment": "test", "url": scene.hostile.url("/raw"), "auth": {"secret": "KEY"}});
    let (revoked, deleted) = (scene.server.client("editor").await, scene.server.client("editor").await);
    for client in [&revoked, &deleted] {
        client.post("/requests", request.clone()).await.expect(200);
    }
    revoke_all(owner, &name_of(&revoked)).await;
    owner.delete(&format!("/service-accounts/{}", name_of(&deleted))).await.expect(204);
    let heard = scene.hostile.count();
    for client in [&revoked, &deleted] {
        for path in ["/secrets", "/v1/whoami", "/v1/workspaces", "/metrics"] {
            client.get(path).await.refused(401, "unauthenticated");
        }
        client.post("/requests", request.clone()).await.refused(401, "unauthenticated");
        client
            .post("/automations/two/runs", json!({"environment": "test"}))
            .await
            .refused(401, "unauthenticated");
    }
    assert_eq!(scene.hostile.count(), heard);
    // An account made again under the name does not bring the old tokens back.
    owner.post("/service-accounts", json!({"name": name_of(&deleted), "role": "owner"})).await.expect(201);
    deleted.get("/secrets").await.refused(401, "unauthenticated");
}

/// A token ends when it says, to the second, also for somebody who used it just before.
#[tokio::test]
async fn tokens_end() {
    let server = Server::start().await;
    server.owner.post("/service-accounts", json!({"name": "short", "role": "editor"})).await.expect(201);
    for past in ["2020-01-01T00:00:00Z", "yesterday", ""] {
        server
            .owner
            .post("/service-accounts/short/tokens", json!({"expires_at": past}))
            .await
            .refused(422, "validation_failed");
    }
    let end = std::time::SystemTime::now() + Duration::from_secs(3);
    let text = Duration::from_secs(end.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs());
    let made = server
        .owner
        .post("/service-accounts/short/tokens", json!({"expires_at": rfc3339(text.as_secs())}))
        .await
        .expect(201);
    let client = Client::new(&server.url, made["token"].as_str().unwrap());
    client.get("/secrets").await.expect(200);
    tokio::time::sleep(Duration::from_millis(3100)).await;
    client.get("/secrets").await.refused(401, "unauthenticated");
    client.get("/v1/whoami").await.refused(401, "unauthenticated");
}

/// A time as the API reads it (the civil-from-days algorithm of Howard Hinnant).
fn rfc3339(secs: u64) -> String {
    let (days, rest) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (month, day) =
        (if shifted < 10 { shifted + 3 } else { shifted - 9 }, day_of_year - (153 * shifted + 2) / 5 + 1);
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Whoever started a run loses the token while its first step waits: there is no second step.
#[tokio::test]
async fn in_the_middle_of_a_run_the_token_is_revoked() {
    let scene = Slow::new().await;
    let client = scene.server.client("member").await;
    let name = name_of(&client);
    let run = scene.meanwhile(&client, async |owner| revoke_all(owner, &name).await).await;
    assert_eq!(run["error"]["code"], "unauthenticated", "{run}");
    let client = scene.server.client("member").await;
    let path = format!("/service-accounts/{}", name_of(&client));
    let run = scene.meanwhile(&client, async |owner| drop(owner.delete(&path).await.expect(204))).await;
    assert_eq!(run["error"]["code"], "unauthenticated", "{run}");
}

/// The secret is switched off, aimed elsewhere or deleted, or the automation is published anew, while a run goes.
#[tokio::test]
async fn in_the_middle_of_a_run_the_ground_shifts() {
    let scene = Slow::new().await;
    let client = scene.server.client("member").await;
    let run = scene
        .meanwhile(&client, async |owner| {
            drop(owner.post("/secrets/KEY/disable", json!({})).await.expect(204))
        })
        .await;
    assert_eq!(run["error"]["code"], "secret_disabled", "{run}");
    scene.server.owner.post("/secrets/KEY/enable", json!({})).await.expect(204);
    let narrow = json!({"destinations": [scene.hostile.destination(json!({"paths": ["/slow"]}))]});
    let run = scene
        .meanwhile(&client, async |owner| drop(owner.patch("/secrets/KEY", narrow).await.expect(200)))
        .await;
    assert_eq!(run["error"]["code"], "destination_not_allowed", "{run}");
    let definition = scene.server.owner.get("/automations/two").await.expect(200);
    let mut changed = definition.clone();
    changed["description"] = json!("published anew");
    let run = scene
        .meanwhile(&client, async |owner| drop(owner.put("/automations/two", changed).await.expect(200)))
        .await;
    assert_eq!(run["error"]["code"], "not_deployed", "{run}");
    let run = scene
        .meanwhile(&client, async |owner| drop(owner.delete("/secrets/KEY?force=true").await.expect(200)))
        .await;
    assert!(
        ["secret_disabled", "unknown_reference"].contains(&run["error"]["code"].as_str().unwrap()),
        "{run}"
    );
}
