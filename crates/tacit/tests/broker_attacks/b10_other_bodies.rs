//! B10: the placeholder in parts and file names of multipart bodies, in XML, in protobuf. Nothing is put into
//! these, even where a destination names fields of other bodies.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "B10", json!({"places": ["auth", "json:/token", "form:token"]})).await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let ph = lease.ph("KEY");
    let multipart = format!(
        "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{ph}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"{ph}\"\r\nAuthorization: Bearer {ph}\r\n\r\n{ph}\r\n--b--\r\n"
    );
    let protobuf = [&[0x0a, u8::try_from(ph.len()).unwrap()], ph.as_bytes()].concat();
    let framed = [&[0, 0, 0, 0, u8::try_from(protobuf.len()).unwrap()][..], &protobuf].concat();
    for (content_type, body) in [
        ("multipart/form-data; boundary=b", multipart.into_bytes()),
        ("application/xml", format!("<token>{ph}</token>").into_bytes()),
        ("text/xml", format!("<a token=\"{ph}\"/>").into_bytes()),
        ("application/x-protobuf", protobuf),
        ("application/grpc", framed),
        ("application/x-ndjson", format!("{{\"token\":\"{ph}\"}}\n").into_bytes()),
        ("application/yaml", format!("token: {ph}\n").into_bytes()),
        ("application/javascript", format!("{{\"token\":\"{ph}\"}}").into_bytes()),
    ] {
        let answer = scene.ask(&lease, "POST", "/", &[("Content-Type", content_type)], &body).await;
        ensure!(answer.status == 200, "{content_type}: {}", answer.text());
        let seen = scene.last();
        ensure!(!seen.text().contains(&scene.s[8..24]), "S was put into {content_type}");
        let arrived = memchr::memmem::find(&seen.raw, &body).is_some();
        ensure!(arrived, "{content_type} was changed: {}", seen.text());
    }
    Ok(())
}
