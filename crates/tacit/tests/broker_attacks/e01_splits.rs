//! E1: the value cut anywhere over chunks, TLS records and HTTP/2 frames. What comes out does not depend on the cuts.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::{chunk, chunked_head},
    upstream_h2::AnswerH2,
    world::World,
};

/// A text with the value in it, several times and in several forms.
fn long_text(s: &str) -> Vec<u8> {
    let filler = "The quick brown fox. ".repeat(30);
    let escaped: String = s.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    format!("{filler}{s}|{s}{filler}{escaped}{filler}{}\n{s}", &s[8..30]).into_bytes()
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "E1").await;
    let lease = scene.lease().await;
    let mut outcomes: Vec<String> = Vec::new();
    for size in [usize::MAX, 1, 2, 3, 7, 15, 16, 17, 41, 64, 1000, 1024, 1025] {
        scene.on("/split", move |seen| {
            let body = long_text(&seen.s);
            let pieces = body.chunks(size.min(body.len())).map(chunk);
            std::iter::once(chunked_head("text/plain")).chain(pieces).chain([chunk(b"")]).collect()
        });
        let ways: &[Way] = if size > 40 { &[Way::Tunnel, Way::Base] } else { &[Way::Tunnel] };
        for way in ways {
            let bearer = lease.bearer("KEY");
            let answer = scene.via(*way, &lease, "GET", "/split", &[("Authorization", &bearer)], b"").await;
            ensure!(answer.status == 200 && answer.is_whole, "pieces of {size}: {}", answer.status_line());
            scene.noleak(&format!("pieces of {size}"), &answer.body)?;
            outcomes.push(answer.text());
        }
    }
    // One cut, at each byte of the value.
    for at in 0..=scene.s.len() {
        scene.on("/cut", move |seen| {
            let (before, after) = seen.s.split_at(at);
            vec![
                chunked_head("text/plain"),
                chunk(format!("<{before}").as_bytes()),
                chunk(format!("{after}>").as_bytes()),
                chunk(b""),
            ]
        });
        let answer = scene.get(&lease, "/cut").await;
        ensure!(answer.text() == "<[sealed:KEY]>", "cut at {at}: {}", answer.text());
    }
    let destinations = json!([{"host": scene.good, "port": world.good_h2.port}]);
    scene.secret("H2", "bearer_token", destinations, json!({"token": scene.s})).await;
    let lease = scene.lease_for(&scene.p, &["H2"]).await;
    let mut framed: Vec<String> = Vec::new();
    for size in [1, 5, 16, 999] {
        world.good_h2.on(&scene.good, "/split", move |seen| AnswerH2 {
            headers: vec![("content-type".into(), "text/plain".into())],
            pieces: long_text(&seen.s).chunks(size).map(<[u8]>::to_vec).collect(),
            ..AnswerH2::default()
        });
        let authority = format!("{}:{}", scene.good, world.good_h2.port);
        let bearer = lease.bearer("H2");
        let answer =
            lease.send(Way::Tunnel, "GET", &authority, "/split", &[("Authorization", &bearer)], b"").await;
        ensure!(answer.status == 200 && answer.is_whole, "frames of {size}: {}", answer.text());
        scene.noleak(&format!("frames of {size}"), &answer.body)?;
        framed.push(answer.text());
    }
    ensure!(framed.iter().all(|text| *text == framed[0]), "the cuts show");
    ensure!(
        outcomes.iter().all(|text| *text == outcomes[0]),
        "the cuts show: {:#?}",
        outcomes.iter().map(String::len).collect::<Vec<_>>()
    );
    ensure!(outcomes[0].matches("[sealed:KEY]").count() >= 4, "{}", outcomes[0]);
    Ok(())
}
