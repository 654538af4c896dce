//! D5: HTML entities, decimal, hexadecimal and padded with zeros.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D5").await;
    let lease = scene.lease().await;
    scene.on("/html", |seen| {
        let with = |format: fn(u8) -> String| seen.s.bytes().map(format).collect::<String>();
        let forms =
            [with(|b| format!("&#{b};")), with(|b| format!("&#x{b:X};")), with(|b| format!("&#{b:05};"))];
        text(&format!("<p>{}</p>", forms.join("</p><p>")))
    });
    for seen in scene.observe_noleak(&lease, "/html").await? {
        ensure!(seen.body.matches("[sealed:KEY]").count() >= 3, "by {}: {}", seen.how, seen.body);
    }
    // Disguises of the shared list, of the value alone and of the whole request around it.
    for name in ["entities", "entities-hex"] {
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
