//! G4: a signed URL would work for whoever has it, outside of Tacit and for as long as it says. Signatures stand in a header
//! of a request that the broker sends, and what looks like the parameters of a signed URL is a part of an object's name.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "G4").await;
    let destination =
        scene.destination(json!({"places": ["signature", "query:X-Amz-Signature"], "paths": ["/bucket/**"]}));
    let fields = json!({"access_key_id": "AKIATEST", "secret_access_key": scene.s});
    scene.secret("BUCKET", "access_key", json!([destination]), fields).await;
    let endpoint = format!("https://{}", scene.authority());
    scene.on("/bucket", |_| vec![answer("200 OK", "", b"<ListBucketResult></ListBucketResult>")]);
    for action in [
        json!({"get": {"key": "a?X-Amz-Expires=604800&X-Amz-Signature="}}),
        json!({"put": {"key": "a?X-Amz-Algorithm=AWS4-HMAC-SHA256", "content": "x"}}),
        json!({"delete": {"key": "a#?X-Amz-Expires=1"}}),
        json!({"list": {"prefix": "a&X-Amz-Expires=604800"}}),
    ] {
        let mut storage = json!({"endpoint": endpoint, "bucket": "bucket", "auth": {"secret": "BUCKET"}});
        storage.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        let run = scene.run("presigned", json!([{"id": "a", "storage": storage}]), json!({})).await;
        scene.noleak("a run", run.to_string().as_bytes())?;
        let seen = scene.last();
        let query = seen.line().split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
        let is_free = query.split('&').all(|pair| !pair.starts_with("X-Amz-"));
        ensure!(is_free, "{action}: {}", seen.line());
        ensure!(
            seen.header("authorization").is_some_and(|signed| signed.contains("Signature=")),
            "{action}: unsigned"
        );
    }
    Ok(())
}
