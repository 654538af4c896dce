//! B19: headers so long that the service answers with a page that quotes them. The broker refuses first.

use crate::{
    client::request,
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B19").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let bearer = lease.bearer("KEY");
    let long = |length: usize| "x".repeat(length);
    let (k7, k9, k60) = (long(7 << 10), long(9 << 10), long(60 << 10));
    for headers in [
        &[("X-Long", k60.as_str())][..],
        &[("X-Long", k9.as_str())],
        &[("X-A", k7.as_str()), ("X-B", &k7), ("X-C", &k7)],
        &[("Referer", k9.as_str())],
    ] {
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        let answer = scene.ask(&lease, "GET", "/", &all, b"").await;
        ensure!(answer.status == 431, "{:?}: {}", headers[0].0, answer.status_line());
        scene.noleak("the refusal", &answer.raw)?;
    }
    let names: Vec<String> = (0..150).map(|number| format!("X-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let answer = scene.ask(&lease, "GET", "/", &many, b"").await;
    ensure!(answer.status == 431, "150 headers: {}", answer.status_line());
    let mut conn = lease.tunnel(&scene.authority()).await;
    conn.write(request("GET", &format!("/{}", long(40 << 10)), &scene.authority(), &[], b"")).await;
    let answer = conn.answer().await;
    ensure!(matches!(answer.status, 400 | 414 | 431), "a long path: {}", answer.status_line());
    ensure!(scene.seen().len() == 1, "something was sent");
    let answer = scene.ask(&lease, "GET", "/", &[("Authorization", &bearer), ("X-Fits", &k7)], b"").await;
    ensure!(answer.status == 200, "what fits was refused: {}", answer.text());
    scene.noleak("the echo", &answer.raw)
}
