//! C1: the allowed service sends the value back in its body. Every body from a bound host is scanned, whatever type
//! it says it is.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C1").await;
    let lease = scene.lease().await;
    for content_type in ["text/plain", "application/json", "image/png", "application/octet-stream", "x"] {
        let head = format!("content-type: {content_type}\r\n");
        scene.on("/echo-body", move |seen| {
            vec![answer("200 OK", &head, format!("\"<{}>\"", seen.s).as_bytes())]
        });
        for seen in scene.observe_noleak(&lease, "/echo-body").await? {
            ensure!(seen.status == 200, "{content_type} by {}: {}", seen.how, seen.status);
            // Bodies that are no text come as base64 in the answer to a sealed request.
            let has_marker =
                seen.body.contains("<[sealed:KEY]>") || seen.body.contains("PFtzZWFsZWQ6S0VZXT4");
            ensure!(has_marker, "no marker in {content_type} by {}: {}", seen.how, seen.body);
        }
    }
    Ok(())
}
