//! I1: functions over a secret in a template (`| base64`, `| md5`, slices, lengths), whose results no scrubber
//! knows. A reference is opaque: nothing can be done with it but to put it in its place.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene =
        Scene::with(world, "I1", json!({"places": ["auth", "header:X-Custom", "query:k", "json:/k"]})).await;
    for filter in [
        "base64",
        "base64url",
        "hex",
        "urlencode",
        "json",
        "upper",
        "lower",
        "trim",
        "md5",
        "sha256",
        "length",
        "len",
        "slice(0, 4)",
        "substr(0,4)",
        "reverse",
        "replace('a','b')",
        "hmac('x')",
        "default('x')",
        "first",
        "split('_')",
        "tojson",
    ] {
        for text in [
            format!("{{{{secrets.KEY | {filter}}}}}"),
            format!("{{{{secrets.KEY|{filter}}}}}"),
            format!("{{{{ {filter}(secrets.KEY) }}}}"),
        ] {
            for step in [
                json!({"url": scene.url("/x"), "headers": {"X-Custom": text}}),
                json!({"url": scene.url("/x"), "query": {"k": text}}),
                json!({"url": scene.url("/x"), "method": "POST", "body": {"json": {"k": text}}}),
                json!({"url": scene.url("/x"), "headers": {"Authorization": format!("Bearer {text}")}}),
            ] {
                let reply = scene.sealed(&step).await;
                ensure!(
                    reply.status == 422 && reply.json()["code"] == "validation_failed",
                    "{step}: {}",
                    reply.text
                );
                let saved =
                    scene.p.put("/automations/f", json!({"steps": [{"id": "a", "http": step}]})).await;
                ensure!(saved.status == 422, "saved: {step}");
            }
        }
    }
    for text in [
        "{{secrets.KEY[0]}}",
        "{{secrets.KEY[0:4]}}",
        "{{secrets.KEY.length}}",
        "{{secrets.KEY.0}}",
        "{{secrets.KEY.token.x}}",
    ] {
        let reply = scene.sealed(&json!({"url": scene.url("/x"), "headers": {"X-Custom": text}})).await;
        ensure!(reply.status >= 400, "{text}: {}", reply.text);
    }
    ensure!(scene.seen().is_empty(), "something was sent: {}", scene.last().text());
    // Filters are there for what is no secret.
    scene
        .sealed(&json!({"url": scene.url("/x"), "headers": {"X-Note": "{{env | upper}}"}}))
        .await
        .expect(200);
    ensure!(scene.last().header("x-note").as_deref() == Some("TEST"), "filters do not work at all");
    Ok(())
}
