//! D6: written backwards, or in another case.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D6").await;
    let lease = scene.lease().await;
    // Disguises of the shared list, of the value alone and of the whole request around it.
    for name in ["reversed", "upper-case", "lower-case"] {
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
    scene.on("/alternating", |seen| {
        let swapped: String = seen
            .s
            .chars()
            .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        text(&swapped)
    });
    for seen in scene.observe_noleak(&lease, "/alternating").await? {
        ensure!(seen.body.contains("[sealed:KEY]"), "by {}: {}", seen.how, seen.body);
    }
    Ok(())
}
