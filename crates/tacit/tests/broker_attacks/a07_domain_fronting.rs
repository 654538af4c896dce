//! A7: two names on one shared front: the connection is opened for the allowed one, `Host` names the attacker's.
//! Name in the handshake and `Host` are both generated from the one target.

use crate::{
    client::request,
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A7").await;
    let lease = scene.lease().await;
    // The front serves both names on one port.
    let behind_front = format!("{}:{}", scene.evil, world.good.port);
    let bearer = lease.bearer("KEY");
    for host in [&behind_front, &scene.evil] {
        for extra in [("X-Forwarded-Host", host.as_str()), ("Forwarded", "host=evil"), ("X-Other", "1")] {
            let mut conn = lease.tunnel(&scene.authority()).await;
            conn.write(request("GET", "/", host, &[("Authorization", &bearer), extra], b"")).await;
            let answer = conn.answer().await;
            ensure!(answer.status == 421, "Host {host}: {}", answer.status_line());
        }
    }
    ensure!(world.good.handshakes(&scene.evil) == 0, "the front was asked for the attacker's name");
    scene.works(&lease).await;
    for seen in scene.seen() {
        ensure!(
            seen.headers("host") == [scene.authority()],
            "sent {:?} to {}",
            seen.headers("host"),
            seen.host
        );
    }
    // `seen` is by the name in the handshake, so both were the target's.
    ensure!(world.good.handshakes(&scene.good) > 0, "no handshake with the target's name");
    scene.nosend()
}
