//! A16: wildcards that anybody could slip under. One label, at a label's border, never over a public suffix, and no
//! regular expressions.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "A16", json!({"host": "*.good.test"})).await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    for host in [
        "*",
        "*.",
        "*.com",
        "*.test",
        "*.co.uk",
        "*.github.io",
        "*.s3.amazonaws.com",
        "*.herokuapp.com",
        "*.blogspot.com",
        "**.good.test",
        "*good.test",
        "a*.good.test",
        "*a.good.test",
        "x.*.good.test",
        "*.*.good.test",
        "good.*",
        ".good.test",
        ".*\\.good\\.test",
        "^good.test$",
        "good.test|evil.test",
        "{good,evil}.test",
        "good.tes?",
        "*.127.0.0.1",
        "*.0.0.1",
    ] {
        let saved = json!({"name": "WILD", "destinations": [{"host": host}]});
        let reply = scene.owner.post("/secrets", saved).await;
        ensure!(
            reply.status == 422 && reply.json()["code"] == "validation_failed",
            "{host} was saved: {}",
            reply.text
        );
    }
    let (port, bearer) = (world.good.port, lease.bearer("KEY"));
    for host in ["evilgood.test", "good.test", "a.a16.good.test", "a16.good.test.evil.test", "a16-good.test"]
    {
        let authority = format!("{host}:{port}");
        let answer =
            lease.send(Way::Absolute, "GET", &authority, "/", &[("Authorization", &bearer)], b"").await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
        let step = json!({"url": format!("https://{authority}/"), "auth": {"secret": "KEY"}});
        scene.deny_reply(&scene.sealed(&step).await, 403, "destination_not_allowed").await?;
    }
    ensure!(scene.seen().len() == 1, "something else reached the good host");
    scene.nosend()
}
