//! D3: percent-encoding: all of it, some of it, twice, with `+` for blanks.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D3").await;
    let lease = scene.lease().await;
    scene.on("/percent", |seen| {
        let some = |every: usize| -> String {
            let one = |(at, byte): (usize, u8)| {
                if at % every == 0 { format!("%{byte:02X}") } else { char::from(byte).to_string() }
            };
            seen.s.bytes().enumerate().map(one).collect()
        };
        text(&format!("a+b={}+{}&c={}&d={}", some(1), some(2), some(7), some(3).replace('%', "%25")))
    });
    for seen in scene.observe_noleak(&lease, "/percent").await? {
        ensure!(seen.body.matches("[sealed:KEY]").count() >= 2, "by {}: {}", seen.how, seen.body);
    }
    // Disguises of the shared list, of the value alone and of the whole request around it.
    for name in ["percent", "percent-some", "percent-twice"] {
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
