//! C6: the value in trailers, and in gRPC's message, which is percent-encoded. Trailers are dropped; of gRPC's only
//! the status and a scanned message come through.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::{chunk, chunked_head, write},
    upstream_h2::AnswerH2,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C6").await;
    let lease = scene.lease().await;
    scene.on("/trailers", |seen| {
        let head = write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntrailer: x-t\r\ntransfer-encoding: chunked\r\n\r\n",
        );
        vec![head, chunk(b"body"), write(format!("0\r\nx-t: {0}\r\nx-{0}: 1\r\nset-cookie: a={0}\r\n\r\n", seen.s))]
    });
    scene.on("/none", |_| vec![chunked_head("text/plain"), chunk(b"body"), write("0\r\n\r\n")]);
    for seen in scene.observe_noleak(&lease, "/trailers").await? {
        ensure!(seen.status == 200 && seen.body == "body", "{}: {}", seen.how, seen.body);
        ensure!(
            !String::from_utf8_lossy(&seen.bytes).contains("x-t"),
            "{}: a trailer came through",
            seen.how
        );
    }

    // Over HTTP/2, where trailers are ordinary.
    let destinations = json!([{"host": scene.good, "port": world.good_h2.port}]);
    scene.secret("H2", "bearer_token", destinations, json!({"token": scene.s})).await;
    let lease = scene.lease_for(&scene.p, &["H2"]).await;
    let authority = format!("{}:{}", scene.good, world.good_h2.port);
    for content_type in ["text/plain", "application/grpc"] {
        world.good_h2.on(&scene.good, "/pkg.Service/Call", move |seen| {
            let percent: String = seen.s.bytes().map(|byte| format!("%{byte:02X}")).collect();
            AnswerH2 {
                headers: vec![("content-type".into(), content_type.into())],
                pieces: vec![vec![0, 0, 0, 0, 2, b'o', b'k']],
                trailers: vec![
                    ("grpc-status".into(), "7".into()),
                    ("grpc-message".into(), format!("no {percent}")),
                    ("grpc-status-details-bin".into(), seen.s.clone()),
                    ("x-t".into(), seen.s.clone()),
                ],
                ..AnswerH2::default()
            }
        });
        let mut sender = lease.http2(&authority).await;
        let request = Request::post(format!("https://{authority}/pkg.Service/Call"))
            .header("authorization", lease.bearer("H2"))
            .header("content-type", content_type)
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(&[0, 0, 0, 0, 0])))
            .unwrap();
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let told = format!("{:?}", response.headers());
        let collected = response.into_body().collect().await.map_err(|error| error.to_string())?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let seen = format!("{told}\n{trailers:?}\n{:?}", collected.to_bytes());
        ensure!(world.good_h2.seen(&scene.good).last().unwrap().s == scene.s, "S did not arrive");
        scene.noleak(content_type, seen.as_bytes())?;
        ensure!(
            trailers.keys().all(|name| ["grpc-status", "grpc-message"].contains(&name.as_str())),
            "{trailers:?}"
        );
        if content_type == "application/grpc" {
            ensure!(
                trailers.get("grpc-status").is_some_and(|status| status == "7"),
                "no status: {trailers:?}"
            );
        }
    }
    Ok(())
}
