//! C10: `TRACE`, which sends back what it gets by design. It is not passed on.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C10").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let bearer = lease.bearer("KEY");
    for way in Way::ALL {
        let answer = scene.via(way, &lease, "TRACE", "/", &[("Authorization", &bearer)], b"").await;
        ensure!(answer.status == 405, "{way:?}: {}", answer.status_line());
    }
    let mut sender = lease.http2(&scene.authority()).await;
    let request = http::Request::builder()
        .method("TRACE")
        .uri(scene.url("/"))
        .header("authorization", &bearer)
        .body(http_body_util::Full::new(bytes::Bytes::new()))
        .unwrap();
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    ensure!(response.status() == 405, "over HTTP/2: {}", response.status());
    let reply =
        scene.sealed(&json!({"method": "TRACE", "url": scene.url("/"), "auth": {"secret": "KEY"}})).await;
    ensure!(reply.status == 422, "{}", reply.text);
    let destination = scene.destination(json!({"methods": ["TRACE"]}));
    let reply = scene.owner.post("/secrets", json!({"name": "T", "destinations": [destination]})).await;
    ensure!(reply.status == 422, "a destination takes TRACE: {}", reply.text);
    ensure!(scene.seen().len() == 1, "it was sent");
    Ok(())
}
