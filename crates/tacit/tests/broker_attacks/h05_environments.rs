//! H5: the value of one environment in a run of another. A lease is for one environment, and what a placeholder
//! stands for is settled with it; a step cannot name one.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict, random_value},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H5").await;
    let live = random_value();
    world.plant("h5", &live);
    scene.owner.put("/secrets/KEY/values/live", json!({"fields": {"token": live}})).await.expect(201);
    let only_live = json!([scene.destination(json!({"environments": ["live"], "paths": ["/live"]}))]);
    let values = json!({"test": {"token": random_value()}, "live": {"token": random_value()}});
    let secret =
        json!({"name": "LIVE_ONLY", "type": "bearer_token", "destinations": only_live, "values": values});
    scene.owner.post("/secrets", secret).await.expect(201);

    let lease = scene.lease().await;
    for way in Way::ALL {
        let headers = [
            ("Authorization", lease.bearer("KEY")),
            ("X-Tacit-Environment", "live".to_owned()),
            ("X-Environment", "live".to_owned()),
        ];
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = scene.via(way, &lease, "GET", "/x?environment=live", &headers, b"").await;
        ensure!(answer.status == 200, "{}", answer.text());
        ensure!(
            scene.last().header("authorization") == Some(format!("Bearer {}", scene.s)),
            "another value was sent"
        );
    }
    // A destination for live alone is none in test, when it is leased or when it is used.
    let body = json!({"environment": "test", "secrets": [{"name": "LIVE_ONLY"}]});
    let reply = scene.p.post("/leases", body).await;
    if reply.status == 201 {
        let lease = crate::lease::Lease::new(world.address, &reply.json());
        let answer = lease
            .send(
                Way::Absolute,
                "GET",
                &scene.authority(),
                "/live",
                &[("Authorization", &lease.bearer("LIVE_ONLY"))],
                b"",
            )
            .await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
        // For this lease its host is one of those that nobody named: not to be reached, without a placeholder either.
        let (_, answer) = lease.connect(&scene.authority()).await;
        ensure!(answer.status == 403, "a tunnel: {}", answer.text());
        for way in [Way::Absolute, Way::Base] {
            let answer = scene.via(way, &lease, "GET", "/live", &[], b"").await;
            ensure!(answer.status == 403, "{way:?}: {}", answer.text());
        }
    } else {
        ensure!(
            ["destination_required", "destination_not_allowed"]
                .contains(&reply.json()["code"].as_str().unwrap()),
            "{}",
            reply.text
        );
    }
    let step = json!({"url": scene.url("/live"), "auth": {"secret": "LIVE_ONLY"}});
    scene.deny_reply(&scene.sealed(&step).await, 403, "destination_not_allowed").await?;
    // Neither a step nor a reference nor a lease's secret names an environment.
    for step in [
        json!({"url": scene.url("/x"), "auth": {"secret": "KEY", "environment": "live"}}),
        json!({"url": scene.url("/x"), "headers": {"Authorization": "Bearer {{secrets.live.KEY}}"}}),
        json!({"url": scene.url("/x"), "headers": {"Authorization": "Bearer {{secrets.KEY@live}}"}}),
    ] {
        let reply = scene.p.put("/automations/cross", json!({"steps": [{"id": "a", "http": step}]})).await;
        ensure!(reply.status == 422, "saved: {step}");
    }
    let start = json!({"environment": "live"});
    let steps = json!({"steps": [{"id": "a", "http": {"url": scene.url("/x"), "auth": {"secret": "KEY"}}}]});
    scene.p.put("/automations/plain", steps).await.expect(201);
    let reply = scene.p.post("/automations/plain/runs?wait=20", start).await;
    ensure!(reply.status == 409 && reply.json()["code"] == "not_deployed", "{}", reply.text);
    crate::scene::noleak(
        &live,
        "the good host's log",
        &scene.seen().iter().flat_map(|seen| seen.raw.clone()).collect::<Vec<u8>>(),
    )
}
