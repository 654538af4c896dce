//! H6: somebody who may use, or edit descriptions, adds a host of their own to a secret's destinations. Who may aim
//! a secret may as well read it: that needs the rights for both, and new values where nobody may read.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H6").await;
    let wide = json!({"destinations": [scene.destination(json!({})), {"host": scene.evil, "port": world.evil.port}]});
    let masked = json!({
        "name": "MASKED",
        "type": "bearer_token",
        "visibility": "masked",
        "destinations": [scene.destination(json!({}))],
        "values": {"test": {"token": scene.s}},
    });
    scene.owner.post("/secrets", masked).await.expect(201);
    for role in ["editor", "operator", "member", "auditor"] {
        let client = scene.client(&format!("h6-{role}"), role).await;
        for name in ["KEY", "MASKED"] {
            for patch in [wide.clone(), json!({"destinations": []}), json!({"description": "mine"})] {
                let reply = client.patch(&format!("/secrets/{name}"), patch.clone()).await;
                ensure!(reply.status == 403, "{role} changed {name} by {patch}: {}", reply.text);
            }
            let reply = client
                .put(&format!("/secrets/{name}/values/test"), json!({"fields": {"token": "x".repeat(40)}}))
                .await;
            ensure!(reply.status == 403, "{role} wrote a value");
        }
        let made = json!({"name": format!("OWN-{role}"), "destinations": [{"host": scene.evil}]});
        ensure!(client.post("/secrets", made).await.status == 403, "{role} made a secret");
    }
    // Holding everything: a restricted one is not aimed wider without new values, since that would be reading it.
    let reply = scene.owner.patch("/secrets/KEY", wide.clone()).await;
    ensure!(reply.status == 422, "{}", reply.text);
    for wider in [
        json!({"places": ["auth", "header:X-Other"]}),
        json!({"host": "*.good.test"}),
        json!({"exclusive": false}),
        json!({"echoes": false}),
    ] {
        let patch = json!({"destinations": [scene.destination(wider.clone())]});
        let reply = scene.owner.patch("/secrets/KEY", patch).await;
        ensure!(reply.status == 422, "aimed wider by {wider}: {}", reply.text);
    }
    let step = json!({"url": scene.evil_url("/"), "auth": {"secret": "KEY"}});
    scene.deny_reply(&scene.sealed(&step).await, 403, "destination_not_allowed").await?;
    // With new values it is; the old one does not go there.
    let mut fresh = wide;
    fresh["values"] = json!({"test": {"token": crate::scene::random_value()}});
    scene.owner.patch("/secrets/KEY", fresh).await.expect(200);
    scene.sealed(&step).await.expect(200);
    scene.nosend()
}
