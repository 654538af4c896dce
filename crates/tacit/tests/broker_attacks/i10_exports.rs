//! I10: notifications, exports, bundles for support. Whatever can be asked for is made of what was scrubbed
//! already; here all of it is asked for after a run whose answers were full of the value.

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
    ensure!(asked > 15, "only {asked} of these exist");
    let answer = std::process::Command::new(crate::harness::TACIT)
        .args(["audit", "verify", "--output", "json", "--data"])
        .arg(world.data())
        .output()
        .unwrap();
    scene.noleak("an audit", &[answer.stdout, answer.stderr].concat())
}
