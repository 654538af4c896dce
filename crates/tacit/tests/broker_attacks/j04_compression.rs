//! J4: the length of something compressed together with the value. The broker compresses nothing, in either
//! direction, and asks nobody to. (That no table of header compression holds a value is F6.)

use crate::{
    codings::gzip,
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "J4").await;
    let lease = scene.lease().await;
    let bearer = lease.bearer("KEY");
    scene.on("/long", |_| {
        vec![answer("200 OK", "content-type: text/plain\r\n", "a".repeat(50_000).as_bytes())]
    });
    scene.on("/coded", |_| {
        let body = gzip("b".repeat(5_000).as_bytes());
        vec![answer("200 OK", "content-type: text/plain\r\ncontent-encoding: gzip\r\n", &body)]
    });
    for way in Way::ALL {
        let headers =
            [("Authorization", bearer.as_str()), ("Accept-Encoding", "gzip, br, zstd"), ("TE", "gzip")];
        for (path, length) in [("/long", 50_000), ("/coded", 5_000)] {
            let answer = scene.via(way, &lease, "GET", path, &headers, b"").await;
            ensure!(
                answer.status == 200 && answer.body.len() == length,
                "{path}: {} bytes",
                answer.body.len()
            );
            ensure!(answer.header("content-encoding").is_none(), "{path}: {}", answer.head);
            ensure!(
                answer.header("transfer-encoding").is_none_or(|coding| coding == "chunked"),
                "{path}: {}",
                answer.head
            );
            ensure!(answer.raw.len() > length, "{path}: fewer bytes than it has");
            let sent = scene.last();
            ensure!(
                sent.headers("accept-encoding") == ["identity"] && sent.header("te").is_none(),
                "{}",
                sent.text()
            );
        }
        let answer = scene.via(way, &lease, "POST", "/x", &headers, "c".repeat(20_000).as_bytes()).await;
        ensure!(answer.status == 200 && scene.last().body().len() == 20_000, "the body was packed");
        ensure!(scene.last().header("content-encoding").is_none(), "{}", scene.last().text());
    }
    Ok(())
}
