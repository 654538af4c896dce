//! C17: the value inside an archive, an image, a document. What lies in plain in it is still found; what is packed
//! cannot be, and such an answer is marked as one that could not be looked into.

use serde_json::json;

use crate::{
    codings::{deflate, gzip},
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C17").await;
    let lease = scene.lease().await;
    // Stored, not packed: the bytes are there to be seen.
    for (at, magic) in [&b"PK\x03\x04"[..], b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n", b"\xff\xd8\xff\xe0", b"BZh9"]
        .into_iter()
        .enumerate()
    {
        let path = format!("/stored-{at}");
        scene.on(&path, move |seen| {
            let body = [magic, b"..name..", seen.s.as_bytes(), b"..end.."].concat();
            vec![answer("200 OK", "content-type: application/octet-stream\r\n", &body)]
        });
        scene.observe_noleak(&lease, &path).await?;
    }
    // Packed: said to be opaque where there is a place to say it.
    for (at, body) in [
        [b"PK\x03\x04".as_slice(), &deflate(scene.s.as_bytes())].concat(),
        gzip(scene.s.as_bytes()),
        [b"\x28\xb5\x2f\xfd".as_slice(), b"xxxx"].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/packed-{at}");
        scene.on(&path, move |_| vec![answer("200 OK", "content-type: application/zip\r\n", &body)]);
        let reply = scene.sealed(&json!({"url": scene.url(&path), "auth": {"secret": "KEY"}})).await;
        let told = reply.expect(200);
        ensure!(told["opaque"] == true, "{path} is not marked: {told}");
    }
    // Where that is too much, the owner has the answer's status alone.
    let strict = json!({"destinations": [scene.destination(json!({"response": "status_only"}))]});
    scene.owner.patch("/secrets/KEY", strict).await.expect(200);
    for seen in scene.observe(&lease, "/packed-0").await {
        ensure!(seen.status == 200, "{}: {}", seen.how, seen.status);
        ensure!(["", "null"].contains(&seen.body.as_str()), "{}: {}", seen.how, seen.body);
    }
    Ok(())
}
