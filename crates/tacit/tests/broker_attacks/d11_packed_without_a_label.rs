//! D11: packed bytes that do not say so: gzip as octet-stream, a zip, a document that is one. They cannot be looked
//! into, and such an answer is marked.

use serde_json::json;

use crate::{
    codings::{deflate, gzip, zstd},
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D11").await;
    let packed = deflate(scene.s.as_bytes());
    let docx = [b"PK\x03\x04\x14\0\x06\0\x08\0".as_slice(), &[0; 16], b"word/document.xml", &packed].concat();
    for (at, (content_type, body)) in [
        ("application/octet-stream", gzip(scene.s.as_bytes())),
        ("text/plain", gzip(scene.s.as_bytes())),
        ("application/zip", docx.clone()),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", docx),
        ("application/octet-stream", zstd(scene.s.as_bytes())),
        ("application/octet-stream", [b"7z\xbc\xaf\x27\x1c".as_slice(), &packed].concat()),
        ("application/x-xz", [b"\xfd7zXZ\0".as_slice(), &packed].concat()),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/packed-{at}");
        let head = format!("content-type: {content_type}\r\n");
        scene.on(&path, move |_| vec![answer("200 OK", &head, &body)]);
        let step = json!({"url": scene.url(&path), "auth": {"secret": "KEY"}});
        let told = scene.sealed(&step).await.expect(200);
        ensure!(told["opaque"] == true, "{at} {content_type} is not marked: {told}");
        let run = scene.run("packed", json!([{"id": "a", "http": step}]), json!({})).await;
        ensure!(run["steps"][0]["output"]["opaque"] == true, "{at} is not marked in a run: {run}");
    }
    scene.on("/plain", |_| vec![answer("200 OK", "content-type: text/plain\r\n", b"plain")]);
    let told =
        scene.sealed(&json!({"url": scene.url("/plain"), "auth": {"secret": "KEY"}})).await.expect(200);
    ensure!(told.get("opaque").is_none(), "plain text is marked: {told}");
    Ok(())
}
