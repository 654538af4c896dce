//! A15: private hosts that are needed. Only with a destination that names the host and its port, and only within the
//! ranges that the operator allowed.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A15").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str())];

    // Named, and in the range: works. Named, and outside of it: refused.
    let port = world.good.port;
    scene
        .secret(
            "OUT",
            "text",
            json!([{"host": "a15-out.good.test", "port": port}]),
            json!({"value": scene.s}),
        )
        .await;
    for address in [&["10.1.2.3"], &["192.168.1.1"], &["100.64.1.1"]] {
        world.names.always("a15-out.good.test", address);
        let step = json!({"url": format!("https://a15-out.good.test:{port}/"), "auth": {"secret": "OUT"}});
        scene.deny_reply(&scene.sealed(&step).await, 403, "address_blocked").await?;
    }
    // In the range, and not named, or not with this port: no tunnel, no request.
    for authority in [format!("a15-unnamed.good.test:{port}"), format!("127.0.0.1:{port}")] {
        let (_, answer) = lease.connect(&authority).await;
        scene.deny(&answer, 403, "address_blocked").await?;
        let answer = lease.send(Way::Absolute, "GET", &authority, "/", &[], b"").await;
        scene.deny(&answer, 403, "address_blocked").await?;
        let reply = scene.sealed(&json!({"url": format!("https://{authority}/")})).await;
        scene.deny_reply(&reply, 403, "address_blocked").await?;
    }
    for port in [world.good.plain_port, world.evil.port, 22] {
        let authority = format!("{}:{port}", scene.good);
        let answer = lease.send(Way::Absolute, "GET", &authority, "/", &headers, b"").await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
        let (_, answer) = lease.connect(&authority).await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
    }
    ensure!(scene.seen().len() == 1, "something else reached the good host");
    scene.nosend()
}
