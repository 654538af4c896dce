//! C15: the value in slices shorter than what is recognised, by asking for ranges. `Range` is not sent on, and a
//! part that nobody asked for is not delivered.

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C15").await;
    let lease = scene.lease().await;
    scene.on("/ranged", |seen| match seen.header("range") {
        None => vec![answer("200 OK", "accept-ranges: bytes\r\n", format!("whole {}", seen.s).as_bytes())],
        Some(_) => {
            vec![answer("206 Partial Content", "content-range: bytes 8-22/40\r\n", &seen.s.as_bytes()[8..23])]
        }
    });
    let bearer = lease.bearer("KEY");
    for way in Way::ALL {
        for range in ["bytes=8-22", "bytes=0-0,8-9", "bytes=-15"] {
            let headers = [("Authorization", bearer.as_str()), ("Range", range), ("If-Range", "\"x\"")];
            let seen = scene.via(way, &lease, "GET", "/ranged", &headers, b"").await;
            ensure!(seen.status == 200 && seen.text() == "whole [sealed:KEY]", "{range}: {}", seen.text());
            ensure!(scene.last().header("if-range").is_none(), "If-Range was sent on");
        }
    }
    scene.on("/unasked", |seen| {
        vec![answer("206 Partial Content", "content-range: bytes 8-22/40\r\n", &seen.s.as_bytes()[8..23])]
    });
    let part = scene.s[8..23].to_owned();
    for seen in scene.observe(&lease, "/unasked").await {
        ensure!(seen.status == 502, "a part came by {}: {}", seen.how, seen.body);
        ensure!(!String::from_utf8_lossy(&seen.bytes).contains(&part), "{}: {}", seen.how, seen.body);
    }
    Ok(())
}
