//! F3: `Connection` names a header so that somebody on the way drops it. What it names is not sent on, and naming
//! one that matters is refused.

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "F3").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let heard = scene.seen().len();
    let bearer = lease.bearer("KEY");
    for named in [
        "authorization",
        "Authorization",
        "close, authorization",
        "host",
        "content-length",
        "x-api-key",
        "cookie",
    ] {
        for way in Way::ALL {
            let headers = [("Authorization", bearer.as_str()), ("Connection", named)];
            let answer = scene.via(way, &lease, "POST", "/", &headers, b"x").await;
            ensure!(
                matches!(answer.status, 400 | 422),
                "Connection: {named} by {way:?}: {}",
                answer.status_line()
            );
        }
    }
    ensure!(scene.seen().len() == heard, "something was sent");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "5"),
        ("X-Kept", "1"),
    ];
    let answer = scene.ask(&lease, "GET", "/", &headers, b"").await;
    let seen = scene.last();
    ensure!(answer.status == 200 && seen.header("x-kept").is_some(), "{}", answer.text());
    for name in ["x-hop", "keep-alive", "connection"] {
        ensure!(
            seen.header(name).is_none_or(|value| value.eq_ignore_ascii_case("keep-alive")),
            "{name} was sent on"
        );
    }
    Ok(())
}
