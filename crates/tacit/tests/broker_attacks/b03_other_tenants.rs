//! B3: the attacker's own bucket on the allowed host. A path template pins the segment that belongs to the owner.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "B3", json!({"paths": ["/bucket-good/**"]})).await;
    let lease = scene.lease().await;
    let answer = scene.get(&lease, "/bucket-good/x").await;
    ensure!(answer.status == 200 && scene.last().text().contains(&scene.s), "{}", answer.text());
    for path in [
        "/bucket-evil/x",
        "/",
        "/bucket-good-evil/x",
        "/bucket-goodx",
        "/Bucket-Good/x",
        "/x/bucket-good/x",
        "/bucket%2dgood/x",
        "/bucket-evil/bucket-good/x",
        "/bucket-evil?x=/bucket-good/x",
    ] {
        scene.deny(&scene.get(&lease, path).await, 403, "destination_not_allowed").await?;
        let step = json!({"url": scene.url(path), "auth": {"secret": "KEY"}});
        scene.deny_reply(&scene.sealed(&step).await, 403, "destination_not_allowed").await?;
    }
    ensure!(scene.seen().len() == 1, "something else was sent");
    // Whoever binds a host of many tenants without a path is warned.
    let lax = json!({"name": "LAX", "destinations": [{"host": "s3.amazonaws.com"}]});
    let saved = scene.owner.post("/secrets", lax).await.expect(201);
    ensure!(saved["warnings"].to_string().contains("paths"), "no warning: {saved}");
    Ok(())
}
