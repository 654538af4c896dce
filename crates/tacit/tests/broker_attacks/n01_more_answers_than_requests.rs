//! N1: an upstream that answers more than it was asked, so that the surplus becomes the answer to somebody's next
//! request. What was not asked for is thrown away with its connection.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::{answer, write},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N1").await;
    let lease = scene.lease().await;
    let surplus = "HTTP/1.1 200 OK\r\nx-surplus: 1\r\ncontent-length: 7\r\n\r\nSURPLUS".as_bytes();
    for (what, method, first) in [
        ("behind a whole answer", "GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        (
            "behind the last chunk",
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        ("behind an answer without a body", "GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("behind a 204 with a length", "GET", "HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n"),
        ("behind a 304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"),
        ("as the body of a HEAD", "HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"),
        ("as interim answers", "GET", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"),
    ] {
        // In one breath: what comes while the next request is on its way cannot be told from its answer.
        let both = [first.as_bytes(), surplus].concat();
        scene.on("/surplus", move |_| vec![write(&both)]);
        for _ in 0..2 {
            let bearer = lease.bearer("KEY");
            let got = scene.ask(&lease, method, "/surplus", &[("Authorization", &bearer)], b"").await;
            scene.noleak(what, &got.raw)?;
            let is_shown = got.text().contains("SURPLUS") || got.header("x-surplus").is_some();
            ensure!(!is_shown || what == "as interim answers", "{what}: it came along: {}", got.text());
            // Whoever asks next, on whatever connection there is, gets their own answer.
            let own = scene.get(&lease, "/own").await;
            ensure!(
                own.status == 200 && own.text().contains("GET /own") && !own.text().contains("SURPLUS"),
                "{what}: the next request was answered {} {}",
                own.status_line(),
                own.text()
            );
            let sealed = serde_json::json!({"method": method, "url": scene.url("/surplus"), "auth": {"secret": "KEY"}});
            scene.sealed(&sealed).await;
            let sealed = serde_json::json!({"url": scene.url("/own"), "auth": {"secret": "KEY"}});
            let own = scene.sealed(&sealed).await.expect(200);
            ensure!(own["body"].as_str().is_some_and(|body| body.contains("GET /own")), "{what}: {own}");
        }
    }
    // An answer that is there before its request is.
    scene.on("/kept", move |_| {
        vec![
            answer("200 OK", "", b"kept"),
            crate::upstream::Act::Wait(std::time::Duration::from_millis(300)),
            write(surplus),
        ]
    });
    ensure!(scene.get(&lease, "/kept").await.text() == "kept", "the first answer is wrong");
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let own = scene.get(&lease, "/own").await;
    ensure!(own.text().contains("GET /own"), "an answer was there before its request: {}", own.text());
    Ok(())
}
