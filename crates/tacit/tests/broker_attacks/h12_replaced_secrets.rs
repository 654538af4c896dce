//! H12: the secret is deleted and another made under its name while a lease goes on. A lease is bound to the
//! secret, not to the name.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict, random_value},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H12").await;
    let settings = json!({"deletion_window_days": 0});
    scene.owner.send("PATCH", "/v1/workspaces/h12", Some(settings)).await.expect(200);
    let lease = scene.lease().await;
    let kept_open = lease.tunnel(&scene.authority()).await;
    scene.works(&lease).await;
    let other = random_value();
    world.plant("h12", &other);
    scene.owner.delete("/secrets/KEY?force=true").await.expect(200);
    // The name is free as soon as the old one is purged.
    let secret = json!({"name": "KEY", "type": "bearer_token", "destinations": [scene.destination(json!({}))], "values": {"test": {"token": other}}});
    let mut made = scene.owner.post("/secrets", secret.clone()).await;
    for _ in 0..100 {
        if made.status == 201 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        made = scene.owner.post("/secrets", secret.clone()).await;
    }
    made.expect(201);
    let heard = scene.seen().len();
    for way in Way::ALL {
        let answer =
            scene.via(way, &lease, "GET", "/x", &[("Authorization", &lease.bearer("KEY"))], b"").await;
        ensure!(answer.status >= 400, "{way:?}: {}", answer.text());
        let code = answer.code();
        ensure!(
            ["unknown_reference", "destination_not_allowed", "secret_disabled"].contains(&code.as_str()),
            "{way:?}: {code}"
        );
        crate::scene::noleak(&other, "a refusal", &answer.raw)?;
    }
    let mut conn = kept_open;
    conn.write(crate::client::request(
        "GET",
        "/x",
        &scene.authority(),
        &[("Authorization", &lease.bearer("KEY"))],
        b"",
    ))
    .await;
    ensure!(conn.answer().await.status != 200, "on the tunnel that was open before");
    ensure!(scene.seen().len() == heard, "something was sent");
    // A new lease has the new one.
    let fresh = scene.lease().await;
    let answer = scene.get(&fresh, "/x").await;
    ensure!(answer.status == 200 && scene.last().text().contains(&other), "{}", answer.text());
    Ok(())
}
