//! A8: a user name in the URL makes a host look like another. Any userinfo is refused, in every form of a target.

use serde_json::json;

use crate::{
    client::{Conn, request},
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A8").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let heard = scene.seen().len();
    let (good, evil, ph) = (scene.authority(), scene.evil_authority(), lease.ph("KEY"));
    let bearer = lease.bearer("KEY");
    for authority in [
        format!("{good}@{evil}"),
        format!("{ph}@{good}"),
        format!("{ph}:x@{good}"),
        format!("user:{ph}@{good}"),
        format!("@{good}"),
        format!("{}@{evil}", scene.good),
        format!("{evil}@{good}"),
    ] {
        for way in [Way::Absolute, Way::Base] {
            let answer = lease.send(way, "GET", &authority, "/", &[("Authorization", &bearer)], b"").await;
            ensure!(answer.status == 400, "{authority} by {}: {}", way.name(), answer.status_line());
        }
        let mut conn = Conn::open(lease.proxy).await;
        let credentials = lease.credentials();
        conn.write(request("CONNECT", &authority, &authority, &[("Proxy-Authorization", &credentials)], b""))
            .await;
        let answer = conn.head().await;
        ensure!(answer.status == 400, "CONNECT {authority}: {}", answer.status_line());
        let step = json!({"url": format!("https://{authority}/"), "auth": {"secret": "KEY"}});
        let reply = scene.sealed(&step).await;
        ensure!(reply.status == 422, "{authority} as a sealed request: {}", reply.text);
        scene.noleak("a refusal", reply.text.as_bytes())?;
    }
    ensure!(scene.seen().len() == heard && scene.evil_count() == 0, "something was sent");
    scene.nosend()
}
