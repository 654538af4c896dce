//! A20: an answer names another way to the service, which would lead past the broker. `Alt-Svc` and its kin do not
//! come through.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A20").await;
    let lease = scene.lease().await;
    let headers = "alt-svc: h3=\":443\"; ma=86400\r\nAlt-Svc: h2=\"evil.test:443\"\r\nalt-used: evil.test\r\n\
        upgrade: h2c\r\nx-kept: 1\r\n";
    scene.on("/alt", |_| vec![answer("200 OK", headers, b"x")]);
    for seen in scene.observe_noleak(&lease, "/alt").await? {
        let text = String::from_utf8_lossy(&seen.bytes).to_lowercase();
        ensure!(text.contains("x-kept"), "{}: headers do not come through at all", seen.how);
        ensure!(!text.contains("alt-svc") && !text.contains("h2c"), "{}: {text}", seen.how);
    }
    // Nor does the client's word for it go out.
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str()), ("Alt-Used", "evil.test")];
    let answer = scene.ask(&lease, "GET", "/alt", &headers, b"").await;
    ensure!(answer.status == 200 && scene.last().header("alt-used").is_none(), "Alt-Used was sent on");
    Ok(())
}
