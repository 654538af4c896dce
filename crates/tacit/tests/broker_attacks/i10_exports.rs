//! I10: notifications, exports, bundles for support. Whatever can be asked for is made of what was scrubbed
//! already; here all of it is asked for after a run whose answers were full of the value, and after the value was copied,
//! deployed with and taken back.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "I10").await;
    let lease = scene.lease().await;
    for path in ["/works", "/as/hex", "/as/base64-1", "/as/reversed"] {
        scene.observe_noleak(&lease, path).await?;
        let steps = json!([{"id": "a", "http": {"url": scene.url(path), "auth": {"secret": "KEY"}}}]);
        let run = scene.run("full", steps, json!({})).await;
        ensure!(run["status"] == "succeeded", "{run}");
    }
    let deployment = deployed(&scene).await?;
    let mut asked = 0;
    for path in [
        "/events?limit=500",
        "/runs?limit=500",
        "/secrets",
        "/secrets/KEY",
        "/secrets/KEY/usages",
        "/secrets/KEY/access",
        "/secrets/KEY/values/test/versions",
        "/variables",
        "/automations",
        "/automations/full",
        "/automations/full/template",
        "/export",
        "/leases",
        "/service-accounts",
        "/members",
        "/deployments",
        &deployment,
        "/automations/full/template?environment=test",
        "/compare?from=test&to=live",
        "/metrics",
        "/openapi.json",
        "/v1/workspaces",
        "/v1/whoami",
        "/events/checkpoint",
        "/agent-sessions",
    ] {
        for client in [&scene.owner, &scene.p] {
            let reply = client.get(path).await;
            asked += usize::from(reply.status == 200);
            scene.noleak(path, format!("{:?}{}", reply.headers, reply.text).as_bytes())?;
        }
    }
    scene.noleak("the runs", scene.owner.every_run().await.as_bytes())?;
    ensure!(asked > 15, "only {asked} of these exist");
    let answer = std::process::Command::new(crate::harness::TACIT)
        .args(["audit", "verify", "--output", "json", "--data"])
        .arg(world.data())
        .output()
        .unwrap();
    scene.noleak("an audit", &[answer.stdout, answer.stderr].concat())
}

/// Everything that deployments and templates answer with, a plan and what is refused among it. Where the deployment is.
async fn deployed(scene: &Scene) -> Result<String, String> {
    // A variable's value is no secret, and travels in no document all the same.
    let plain = crate::scene::random_value();
    scene.world.plant(&scene.workspace, &plain);
    let variable = json!({"name": "PLAIN", "values": {"test": plain}});
    scene.owner.post("/variables", variable).await.expect(201);
    let clean = |what: &str, text: &str| {
        ensure!(!text.contains(&plain), "{what} holds a variable's value");
        scene.noleak(what, text.as_bytes())
    };
    let new = json!({"from": "test", "to": "live", "automations": ["full"], "copy_secrets": ["KEY"], "copy_variables": ["PLAIN"]});
    let mut plan = new.clone();
    plan["dry_run"] = json!(true);
    for client in [&scene.owner, &scene.p] {
        clean("a plan", &client.post("/deployments", plan.clone()).await.text)?;
    }
    clean("a refused deployment", &scene.p.post("/deployments", new.clone()).await.text)?;
    let mut missing = new.clone();
    missing["copy_secrets"] = json!([]);
    clean("what is missing", &scene.owner.post("/deployments", missing).await.text)?;
    let reply = scene.owner.post("/deployments", new).await;
    let done = reply.expect(201);
    clean("a deployment", &reply.text)?;
    let path = format!("/deployments/{}", done["id"].as_str().unwrap());
    clean("a deployment", &scene.owner.get(&path).await.text)?;
    clean("the list of deployments", &scene.owner.get("/deployments").await.text)?;
    let run = json!({"environment": "live"});
    let run = scene.owner.post("/automations/full/runs?wait=30", run).await;
    clean("a run in the target", &run.text)?;
    for path in ["/export", "/automations/full/template"] {
        let reply = scene.owner.get(path).await;
        let mut document = reply.expect(200);
        clean(path, &reply.text)?;
        document["map"] = json!({"KEY": "OTHER"});
        for import in ["/import?dry_run=true", "/import"] {
            clean("an import", &scene.owner.post(import, document.clone()).await.text)?;
        }
    }
    clean("a rollback", &scene.owner.post(&format!("{path}/rollback"), json!({})).await.text)?;
    Ok(path)
}
