//! C12: the service sends back an earlier version of the value, which may still be good there. All versions that
//! exist are looked for.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak, random_value},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C12").await;
    let lease = scene.lease().await;
    let mut versions = vec![scene.s.clone()];
    for _ in 0..4 {
        let value = random_value();
        world.plant("c12", &value);
        let fields = json!({"fields": {"token": value}});
        scene.owner.put("/secrets/KEY/values/test", fields).await.expect(201);
        versions.push(value);
    }
    let live = random_value();
    scene.owner.put("/secrets/KEY/values/live", json!({"fields": {"token": live}})).await.expect(201);
    versions.push(live);
    let all = versions.join("\n");
    scene.on("/all", move |_| text(&all));
    for seen in scene.observe(&lease, "/all").await {
        ensure!(seen.status == 200, "{}: {}", seen.how, seen.body);
        for (at, version) in versions.iter().enumerate() {
            noleak(version, &format!("version {at} by {}", seen.how), &seen.bytes)?;
        }
        let sent = scene.last().header("authorization");
        ensure!(sent == Some(format!("Bearer {}", versions[4])), "not the version in force: {sent:?}");
    }
    Ok(())
}
