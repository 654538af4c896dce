//! D1: base64 and base64url, at any alignment, inside a larger text.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D1").await;
    let lease = scene.lease().await;
    for prefix in 0..=5 {
        for (alphabet, engine) in [("standard", &STANDARD), ("URL", &URL_SAFE)] {
            scene.on("/base64", move |seen| {
                let blob = format!("{}{}{}", &"{\"k\":"[..prefix.min(5)], seen.s, "and what follows it");
                text(&format!("blob={};", engine.encode(blob)))
            });
            for seen in scene.observe_noleak(&lease, "/base64").await? {
                ensure!(
                    seen.body.contains("[sealed:KEY]"),
                    "{prefix} {alphabet} by {}: {}",
                    seen.how,
                    seen.body
                );
            }
        }
    }
    // Disguises of the shared list, of the value alone and of the whole request around it.
    for name in
        ["base64-0", "base64-1", "base64-2", "base64url-0", "base64url-1", "base64url-2", "base64-twice"]
    {
        for seen in scene.observe_noleak(&lease, &format!("/as/{name}")).await? {
            ensure!(seen.status == 200, "{name} by {}: {}", seen.how, seen.body);
            ensure!(
                seen.body.contains("[sealed:KEY]") || seen.how == "a sealed request",
                "{name} by {}: {}",
                seen.how,
                seen.body
            );
        }
    }
    Ok(())
}
