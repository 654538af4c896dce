//! C3: the value comes back as the *name* of a header or a cookie, in lower case. Such a header is dropped.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C3").await;
    let lease = scene.lease().await;
    scene.on("/names", |seen| {
        let backwards: String = seen.s.chars().rev().collect();
        let headers = format!(
            "X-{0}: 1\r\n{0}: 1\r\nx-{1}: 1\r\nX-{2}-y: 1\r\nx-{3}: 1\r\nSet-Cookie: {0}=1\r\nVary: {0}\r\nx-kept: 1\r\n",
            seen.s,
            seen.s.to_uppercase(),
            &seen.s[10..30],
            backwards
        );
        vec![answer("200 OK", &headers, b"x")]
    });
    for seen in scene.observe_noleak(&lease, "/names").await? {
        let text = String::from_utf8_lossy(&seen.bytes).to_lowercase();
        ensure!(text.contains("x-kept"), "{}: no headers at all", seen.how);
        ensure!(!text.contains("set-cookie"), "{}: a cookie came through", seen.how);
    }
    Ok(())
}
