//! J1: the length of the value, from the length of its placeholder or of what comes back. A placeholder's length is
//! its shape's. What is sent is as long as it is, so a service that tells how long a request was tells the length:
//! that is left.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, random_text},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "J1").await;
    let destinations = json!([scene.destination(json!({}))]);
    for (name, length) in [("SHORT", 20), ("LONG", 200), ("LONGER", 2000)] {
        scene.secret(name, "text", destinations.clone(), json!({"value": random_text(length)})).await;
    }
    for (shape, length) in [("generic", 43), ("sk_live", 44), ("ghp", 40), ("sk", 51), ("xoxb", 41)] {
        let secrets: Vec<_> =
            ["SHORT", "LONG", "LONGER"].iter().map(|name| json!({"name": name, "shape": shape})).collect();
        let lease = scene.lease_with(&scene.p, json!({"environment": "test", "secrets": secrets})).await;
        for name in ["SHORT", "LONG", "LONGER"] {
            ensure!(lease.ph(name).len() == length, "{shape} of {name}: {}", lease.ph(name).len());
        }
        // Nor does the marker tell.
        let echo = async |name: &str| {
            let answer = scene.ask(&lease, "GET", "/x", &[("Authorization", &lease.bearer(name))], b"").await;
            answer.text().matches(&format!("[sealed:{name}]")).count()
        };
        if shape == "generic" {
            ensure!((echo("SHORT").await, echo("LONG").await) == (1, 1), "values are not replaced whole");
        }
    }
    // What P may look at is the same for all.
    let shown = async |name: &str| {
        let mut told = scene.p.get(&format!("/secrets/{name}")).await.expect(200);
        for field in ["name", "created_at", "updated_at"] {
            told.as_object_mut().unwrap().remove(field);
        }
        told["environments"]["test"].as_object_mut().unwrap().remove("set_at");
        told
    };
    let (short, long) = (shown("SHORT").await, shown("LONG").await);
    ensure!(short == long, "metadata differs: {short} {long}");
    Ok(())
}
