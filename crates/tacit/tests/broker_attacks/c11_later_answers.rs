//! C11: the value comes back in a later answer, to a request that carried none. What is looked for is everything
//! that could be used at the host and everything that was, not what this request carried.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C11").await;
    let lease = scene.lease().await;
    scene.on("/later", |seen| text(&format!("stored: {}", seen.s)));
    scene.works(&lease).await;
    // Somebody whose lease holds another secret of the host, and somebody without any.
    let other = scene.text_secret("OTHER", json!({})).await;
    let other_lease = scene.lease_for(&scene.p2, &["OTHER"]).await;
    for (who, lease) in [("the same", &lease), ("another", &other_lease)] {
        for way in Way::ALL {
            let answer = scene.via(way, lease, "GET", "/later", &[], b"").await;
            ensure!(answer.status == 200, "{}", answer.text());
            ensure!(!scene.last().text().contains("sk_live_"), "this one was to carry nothing");
            scene.noleak(&format!("a later answer for {who} by {way:?}"), &answer.raw)?;
            ensure!(answer.text().contains("stored: [sealed"), "{}", answer.text());
        }
    }
    for client in [&scene.p, &scene.p2] {
        let reply = scene.sealed_as(client, &json!({"url": scene.url("/later")})).await;
        ensure!(reply.status == 200 && reply.text.contains("stored: [sealed"), "{}", reply.text);
        scene.noleak("a later answer to a sealed request", reply.text.as_bytes())?;
    }
    // A secret that was never sent there, but may be.
    world.good.tell(&scene.good, &other);
    let answer = scene.ask(&lease, "GET", "/later", &[], b"").await;
    crate::scene::noleak(&other, "a value that was never sent", &answer.raw)?;
    ensure!(answer.text().contains("stored: [sealed"), "{}", answer.text());
    // And one that may go there no longer, but was sent.
    let moved = crate::scene::random_value();
    let both = json!([scene.destination(json!({})), {"host": scene.evil, "port": world.evil.port}]);
    scene.secret("MOVED", "bearer_token", both, json!({"token": moved})).await;
    let step = json!({"url": scene.url("/x"), "auth": {"secret": "MOVED"}});
    scene.sealed(&step).await.expect(200);
    let away = json!({"destinations": [{"host": scene.evil, "port": world.evil.port}]});
    scene.owner.patch("/secrets/MOVED", away).await.expect(200);
    scene.deny_reply(&scene.sealed(&step).await, 403, "destination_not_allowed").await?;
    world.good.tell(&scene.good, &moved);
    let answer = scene.ask(&other_lease, "GET", "/later", &[], b"").await;
    crate::scene::noleak(&moved, "a value that was sent before", &answer.raw)?;
    ensure!(answer.text().contains("stored: [sealed"), "{}", answer.text());
    // A rule about answers counts for whoever asks, with the secret or without it.
    let shy = json!({"paths": ["/shy"], "response": "status_only"});
    scene.text_secret("SHY", shy).await;
    scene.on("/shy", |_| text("computed from what was stored"));
    for (client, lease) in [(&scene.p, &lease), (&scene.p2, &other_lease)] {
        for way in Way::ALL {
            let answer = scene.via(way, lease, "GET", "/shy", &[], b"").await;
            ensure!(answer.status == 200 && answer.body.is_empty(), "by {way:?}: {}", answer.text());
        }
        let reply = scene.sealed_as(client, &json!({"url": scene.url("/shy")})).await;
        ensure!(reply.status == 200 && !reply.text.contains("computed"), "{}", reply.text);
    }
    Ok(())
}
