//! E5: the value spread over server-sent events or gRPC messages, each too short to be recognised. Messages are
//! scanned and released whole, and a finding across messages ends the stream.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::{chunk, chunked_head},
    upstream_h2::AnswerH2,
    world::World,
};

/// What a reader of events joins to one text.
fn data_of(body: &str) -> String {
    body.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "E5").await;
    let lease = scene.lease().await;
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str()), ("Accept", "text/event-stream")];
    for size in [1, 4, 8, 12, 15, 20] {
        scene.on("/events", move |seen| {
            let mut acts = vec![chunked_head("text/event-stream"), chunk(b"data: hello \n\n")];
            for part in seen.s.as_bytes().chunks(size) {
                acts.push(chunk(format!("data: {}\n\n", String::from_utf8_lossy(part)).as_bytes()));
            }
            acts.extend([chunk(b"data: the end\n\n"), chunk(b"")]);
            acts
        });
        for way in Way::ALL {
            let answer = scene.via(way, &lease, "GET", "/events", &headers, b"").await;
            // Refused before the head was written, if all of it came at once.
            ensure!([0, 200, 502].contains(&answer.status), "{} {}", answer.status_line(), answer.text());
            scene.noleak(&format!("events of {size} by {way:?}"), &answer.raw)?;
            scene
                .noleak(&format!("joined events of {size} by {way:?}"), data_of(&answer.text()).as_bytes())?;
            let is_ended = !answer.is_whole || answer.status == 502 || answer.text().contains("[sealed");
            ensure!(is_ended, "events of {size} by {way:?} went on: {}", answer.text());
        }
    }
    // One event that holds it is delivered without it, and the stream goes on.
    scene.on("/events", |seen| {
        let event = format!("event: echo\ndata: key {}\n\n", seen.s);
        vec![chunked_head("text/event-stream"), chunk(event.as_bytes()), chunk(b"data: more\n\n"), chunk(b"")]
    });
    let answer = scene.ask(&lease, "GET", "/events", &headers, b"").await;
    ensure!(
        answer.is_whole && answer.text().contains("key [sealed:KEY]") && answer.text().contains("more"),
        "{}",
        answer.text()
    );

    let destinations = json!([{"host": scene.good, "port": world.good_h2.port}]);
    scene.secret("H2", "bearer_token", destinations, json!({"token": scene.s})).await;
    let lease = scene.lease_for(&scene.p, &["H2"]).await;
    let authority = format!("{}:{}", scene.good, world.good_h2.port);
    world.good_h2.on(&scene.good, "/pkg.Service/Stream", |seen| AnswerH2 {
        headers: vec![("content-type".into(), "application/grpc".into())],
        pieces: seen.s.as_bytes().chunks(10).map(|part| [&[0, 0, 0, 0, 10][..], part].concat()).collect(),
        trailers: vec![("grpc-status".into(), "0".into())],
        ..AnswerH2::default()
    });
    let bearer = lease.bearer("H2");
    let headers =
        [("Authorization", bearer.as_str()), ("Content-Type", "application/grpc"), ("TE", "trailers")];
    let answer =
        lease.send(Way::Tunnel, "POST", &authority, "/pkg.Service/Stream", &headers, &[0, 0, 0, 0, 0]).await;
    let joined: Vec<u8> =
        answer.body.chunks(15).flat_map(|message| message.get(5..).unwrap_or_default()).copied().collect();
    scene.noleak("joined messages", &joined)?;
    scene.noleak("messages", &answer.raw)?;
    ensure!(!answer.is_whole || answer.status != 200, "the stream went on to its end: {:?}", answer.text());
    Ok(())
}
