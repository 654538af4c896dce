//! C14: an answer that was made for one principal is given to another out of a cache. There is none.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C14").await;
    let headers = "cache-control: public, max-age=86400, immutable\r\netag: \"1\"\r\nage: 0\r\n\
        expires: Thu, 01 Jan 2099 00:00:00 GMT\r\nvary: accept\r\n";
    scene.on("/cached", |seen| vec![answer("200 OK", headers, seen.connection.to_string().as_bytes())]);
    let (one, two) = (scene.lease().await, scene.lease_for(&scene.p2, &["KEY"]).await);
    let mut bodies = Vec::new();
    for lease in [&one, &two, &one, &two] {
        let heard = scene.seen().len();
        let seen = scene.get(lease, "/cached").await;
        ensure!(seen.status == 200, "{}", seen.text());
        ensure!(scene.seen().len() == heard + 1, "an answer came out of a cache");
        bodies.push(seen.text());
    }
    ensure!(bodies[0] != bodies[1], "two principals on one connection");
    // Conditional requests are the service's to answer.
    let bearer = one.bearer("KEY");
    let conditional = [("Authorization", bearer.as_str()), ("If-None-Match", "\"1\"")];
    scene.on("/cached", |_| vec![answer("304 Not Modified", "etag: \"1\"\r\n", b"")]);
    let seen = scene.ask(&one, "GET", "/cached", &conditional, b"").await;
    ensure!(seen.status == 304, "{}", seen.status_line());
    ensure!(scene.last().header("if-none-match").is_some(), "it was not asked");
    Ok(())
}
