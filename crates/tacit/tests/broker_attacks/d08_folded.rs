//! D8: folded over lines: MIME base64, quoted-printable, pretty-printed hex.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D8").await;
    let lease = scene.lease().await;
    scene.on("/folded", |seen| {
        let fold = |text: &str, width: usize, with: &str| {
            text.as_bytes()
                .chunks(width)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect::<Vec<_>>()
                .join(with)
        };
        let base64 = STANDARD.encode(format!("{}{}{}", "x".repeat(60), seen.s, "y".repeat(60)));
        let hex: String = seen.s.bytes().map(|byte| format!("{byte:02x}")).collect();
        text(
            &[
                fold(&base64, 76, "\r\n"),
                fold(&base64, 64, "\n\t"),
                fold(&seen.s, 20, "=\r\n"),
                fold(&hex, 16, "\r\n  "),
            ]
            .join("\n--\n"),
        )
    });
    for seen in scene.observe_noleak(&lease, "/folded").await? {
        ensure!(seen.body.matches("[sealed:KEY]").count() >= 4, "by {}: {}", seen.how, seen.body);
    }
    // Disguises of the shared list, of the value alone and of the whole request around it.
    for name in
        ["base64-folded", "folded", "quoted-printable", "one-per-line", "spaced", "pieces-16", "pieces-20"]
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
