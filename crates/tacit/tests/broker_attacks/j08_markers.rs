//! J8: the marker says which secret was found, and so that there is one of this name at this host. It names a
//! secret only to somebody who uses it; to others it is `[sealed]`.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "J8").await;
    let hidden = scene.text_secret("VERY-TELLING-NAME", json!({})).await;
    let lease = scene.lease().await;
    let told = format!("{}|{hidden}|", scene.s);
    scene.on("/both", move |_| text(&told));
    for way in Way::ALL {
        let answer =
            scene.via(way, &lease, "GET", "/both", &[("Authorization", &lease.bearer("KEY"))], b"").await;
        ensure!(answer.text() == "[sealed:KEY]|[sealed]|", "{way:?}: {}", answer.text());
    }
    let both = scene.lease_for(&scene.p, &["KEY", "VERY-TELLING-NAME"]).await;
    let answer = scene.ask(&both, "GET", "/both", &[("Authorization", &both.bearer("KEY"))], b"").await;
    ensure!(answer.text() == "[sealed:KEY]|[sealed:VERY-TELLING-NAME]|", "{}", answer.text());
    let reply =
        scene.sealed(&json!({"url": scene.url("/both"), "auth": {"secret": "KEY"}})).await.expect(200);
    let body = reply["body"].as_str().unwrap().to_owned();
    ensure!(body.starts_with("[sealed:KEY]|[sealed"), "{body}");
    // In a run, only those of its own steps.
    let steps = json!([{"id": "a", "http": {"url": scene.url("/both"), "auth": {"secret": "KEY"}}}]);
    let run = scene.run("both", steps, json!({})).await;
    ensure!(run["steps"][0]["output"]["body"] == "[sealed:KEY]|[sealed]|", "{run}");
    Ok(())
}
