//! D2: hex in both cases, plain, with separators, and as a dump.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D2").await;
    let lease = scene.lease().await;
    scene.on("/hex", |seen| {
        let hex =
            |format: fn(u8) -> String, with: &str| seen.s.bytes().map(format).collect::<Vec<_>>().join(with);
        let lower = |byte| format!("{byte:02x}");
        let upper = |byte| format!("{byte:02X}");
        text(
            &[
                hex(lower, ""),
                hex(upper, ""),
                hex(lower, ":"),
                hex(upper, ":"),
                hex(upper, " "),
                hex(lower, "\r\n"),
            ]
            .join("\n-\n"),
        )
    });
    for seen in scene.observe_noleak(&lease, "/hex").await? {
        ensure!(seen.body.matches("[sealed:KEY]").count() >= 5, "by {}: {}", seen.how, seen.body);
    }
    // Disguises of the shared list, of the value alone and of the whole request around it.
    for name in ["hex", "hex-upper", "hex-colons", "hex-spaces"] {
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
