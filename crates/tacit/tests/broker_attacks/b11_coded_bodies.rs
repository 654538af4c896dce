//! B11: the placeholder inside a compressed or base64-wrapped body. It is text there, and the body goes as it came.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    codings::{gzip, zlib},
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "B11", json!({"places": ["auth", "json:/token"]})).await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let plain = format!("{{\"token\":\"{}\"}}", lease.ph("KEY"));
    for (what, headers, body) in [
        ("gzip", &[("Content-Encoding", "gzip")][..], gzip(plain.as_bytes())),
        ("deflate", &[("Content-Encoding", "deflate")], zlib(plain.as_bytes())),
        ("twice", &[("Content-Encoding", "gzip, gzip")], gzip(&gzip(plain.as_bytes()))),
        ("mislabelled", &[("Content-Encoding", "gzip")], plain.clone().into_bytes()),
        ("base64", &[("Content-Transfer-Encoding", "base64")], STANDARD.encode(&plain).into_bytes()),
    ] {
        let content_type = if what == "base64" { "text/plain" } else { "application/json" };
        let mut all = vec![("Content-Type", content_type)];
        all.extend_from_slice(headers);
        let answer = scene.ask(&lease, "POST", "/", &all, &body).await;
        ensure!(answer.status == 200, "{what}: {}", answer.text());
        let seen = scene.last();
        ensure!(seen.body() == body, "{what} was changed");
        ensure!(seen.header("content-length") == Some(body.len().to_string()), "{what} has another length");
        crate::scene::noleak(&scene.s, what, &seen.raw)?;
    }
    // The same field in plain is its place.
    let answer =
        scene.ask(&lease, "POST", "/", &[("Content-Type", "application/json")], plain.as_bytes()).await;
    ensure!(answer.status == 200 && scene.last().text().contains(&scene.s), "{}", answer.text());
    Ok(())
}
