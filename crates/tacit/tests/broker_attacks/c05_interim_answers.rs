//! C5: the value in an interim answer (100, 102, 103). None is ever passed on.

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::{answer, write},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C5").await;
    let lease = scene.lease().await;
    scene.on("/interim", |seen| {
        let early = |code: &str| write(format!("HTTP/1.1 {code}\r\nlink: <{0}>\r\nx-{0}: 1\r\n\r\n", seen.s));
        vec![
            early("100 Continue"),
            early("102 Processing"),
            early("103 Early Hints"),
            answer("200 OK", "", b"done"),
        ]
    });
    for seen in scene.observe_noleak(&lease, "/interim").await? {
        ensure!(seen.status == 200 && seen.body == "done", "{}: {}", seen.how, seen.body);
    }
    for way in Way::ALL {
        let bearer = lease.bearer("KEY");
        let answer = scene.via(way, &lease, "GET", "/interim", &[("Authorization", &bearer)], b"").await;
        ensure!(answer.interim == 0, "{} interim answers by {way:?}", answer.interim);
        // A 100 that the client asked for is the broker's own.
        let headers = [("Authorization", bearer.as_str()), ("Expect", "100-continue")];
        let answer = scene.via(way, &lease, "POST", "/interim", &headers, b"body").await;
        ensure!(answer.status == 200, "{}", answer.text());
        scene.noleak("an expected 100", &answer.raw)?;
    }
    Ok(())
}
