//! C7: the value in chunk extensions. Framing is made anew.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::{chunked_head, write},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C7").await;
    let lease = scene.lease().await;
    scene.on("/extensions", |seen| {
        let s = &seen.s;
        vec![
            chunked_head("text/plain"),
            write(format!("4;k={s}\r\nbody\r\n")),
            write(format!("1;\"{s}\";{s}={s}\r\n!\r\n")),
            write(format!("0;last={s}\r\n\r\n")),
        ]
    });
    for seen in scene.observe_noleak(&lease, "/extensions").await? {
        ensure!(seen.status == 200 && seen.body == "body!", "{}: {} {}", seen.how, seen.status, seen.body);
    }
    Ok(())
}
