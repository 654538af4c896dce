//! D4: the escapes of JSON and of programming languages, in whole and in part.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D4").await;
    let lease = scene.lease().await;
    scene.on("/json", |seen| {
        let escaped: String = seen
            .s
            .bytes()
            .enumerate()
            .map(
                |(at, byte)| {
                    if at % 3 == 0 { format!("\\u{byte:04x}") } else { char::from(byte).to_string() }
                },
            )
            .collect();
        vec![answer(
            "200 OK",
            "content-type: application/json\r\n",
            format!("{{\"url\":\"https:\\/\\/x\\/{escaped}\"}}").as_bytes(),
        )]
    });
    for seen in scene.observe_noleak(&lease, "/json").await? {
        ensure!(seen.body.contains("[sealed:KEY]"), "by {}: {}", seen.how, seen.body);
    }
    // Disguises of the shared list, of the value alone and of the whole request around it.
    for name in ["backslash-u", "backslash-u-some", "backslash-x", "octal"] {
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
