//! E3: the value a byte at a time, with pauses longer than any timer that might flush. Nothing is ever let go
//! because of the time.

use std::time::Duration;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::{Act, chunk, chunked_head},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "E3").await;
    let lease = scene.lease().await;
    scene.on("/drip", |seen| {
        let mut acts = vec![chunked_head("text/plain")];
        for (at, byte) in format!("key={}\n", seen.s).bytes().enumerate() {
            acts.push(chunk(&[byte]));
            // Longer where half of it is there.
            acts.push(Act::Wait(Duration::from_millis(if at == 20 { 400 } else { 20 })));
        }
        acts.push(chunk(b""));
        acts
    });
    for way in [Way::Tunnel, Way::Base] {
        let bearer = lease.bearer("KEY");
        let answer = scene.via(way, &lease, "GET", "/drip", &[("Authorization", &bearer)], b"").await;
        ensure!(answer.is_whole && answer.text() == "key=[sealed:KEY]\n", "{way:?}: {}", answer.text());
        scene.noleak("a drip", &answer.raw)?;
    }
    Ok(())
}
