//! L1: a program that ignores the proxy and connects by itself. It holds a placeholder, which is worth nothing
//! anywhere. That it can send whatever else it knows is left until runs have a network of their own.

use crate::{
    client::{Conn, request},
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "L1").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    for (port, host, upstream) in
        [(world.good.port, &scene.good, &world.good), (world.evil.port, &scene.evil, &world.evil)]
    {
        let conn = Conn::open(([127, 0, 0, 1], port).into()).await;
        let mut conn = conn.tls(host, &world.authority.pem(), &[]).await.unwrap();
        let heard = upstream.seen(host).len();
        let authority = format!("{host}:{port}");
        conn.write(request("GET", "/direct", &authority, &[("Authorization", &lease.bearer("KEY"))], b""))
            .await;
        conn.answer().await;
        let seen = upstream.seen(host).split_off(heard);
        ensure!(
            seen.len() == 1 && seen[0].text().contains(lease.ph("KEY")),
            "the direct request did not arrive"
        );
        ensure!(!seen[0].text().contains(&scene.s), "S was in a request that never met the broker");
    }
    scene.nosend()
}
