//! C16: the value in many tiny answers, a character each. No scrubber can recognise one character; what is left is
//! that each is a request of its own, on the record, with its budget, and only where method and path allow it.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "C16", json!({"paths": ["/char"]})).await;
    scene.on("/char", |seen| {
        let line = seen.line();
        let at: usize =
            line.split("at=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
        text(&seen.s[at..=at])
    });
    let asked = json!({"environment": "test", "secrets": [{"name": "KEY"}], "requests_max": 20});
    let lease = scene.lease_with(&scene.p, asked).await;
    let before = scene.events("verb=secret.use&outcome=allowed").await.len();
    let mut got = String::new();
    for at in 0..40 {
        let seen = scene.get(&lease, &format!("/char?at={at}")).await;
        if seen.status == 200 {
            got.push_str(&seen.text());
        } else {
            scene.deny(&seen, 429, "rate_limited").await?;
        }
    }
    ensure!(got.len() == 20, "the budget let {} characters through", got.len());
    assert_eq!(got, scene.s[..20], "if this ever changes, it is no residual any more");
    let uses = scene.events("verb=secret.use&outcome=allowed").await.len() - before;
    ensure!(uses == 20, "{uses} of 20 uses are on the record");
    let lease = scene.lease().await;
    scene.deny(&scene.get(&lease, "/char/x").await, 403, "destination_not_allowed").await
}
