//! H2: placeholders of a run that is over, on a tunnel that is still open and on a new one. The end of a lease ends
//! everything under it.

use std::time::Duration;

use serde_json::json;

use crate::{
    client::request,
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H2").await;
    let lease = scene.lease().await;
    let mut tunnel = lease.tunnel(&scene.authority()).await;
    let ask = request("GET", "/x", &scene.authority(), &[("Authorization", &lease.bearer("KEY"))], b"");
    tunnel.write(&ask).await;
    assert_eq!(tunnel.answer().await.status, 200);
    let heard = scene.seen().len();
    scene.p.delete(&format!("/leases/{}", lease.id)).await.expect(204);
    // At once, and not when a watcher comes by.
    tunnel.write(&ask).await;
    let answer = tunnel.answer().await;
    ensure!(
        matches!(answer.status, 0 | 401),
        "on the open tunnel: {} {}",
        answer.status_line(),
        answer.text()
    );
    let (rest, is_closed) = tunnel.rest().await;
    ensure!(is_closed && rest.is_empty(), "the tunnel stays open");
    let (_, answer) = lease.connect(&scene.authority()).await;
    ensure!(
        (answer.status, answer.code().as_str()) == (407, "unauthenticated"),
        "a new tunnel: {}",
        answer.text()
    );
    for (way, status) in [(Way::Absolute, 407), (Way::Base, 401)] {
        let bearer = lease.bearer("KEY");
        let answer = scene.via(way, &lease, "GET", "/x", &[("Authorization", &bearer)], b"").await;
        ensure!(
            (answer.status, answer.code().as_str()) == (status, "unauthenticated"),
            "{way:?}: {}",
            answer.text()
        );
    }
    // Under another lease of the same principal it stands for nothing.
    let other = scene.lease().await;
    let answer = scene.ask(&other, "GET", "/x", &[("Authorization", &lease.bearer("KEY"))], b"").await;
    scene.deny(&answer, 422, "unknown_reference").await?;
    ensure!(
        scene.p.post(&format!("/leases/{}/renew", lease.id), json!({})).await.status == 404,
        "it was renewed"
    );

    // The time of one that nobody ends is over by itself; and no time is longer than an hour.
    let body = |ttl: u64| json!({"environment": "test", "secrets": [{"name": "KEY"}], "ttl_secs": ttl});
    for ttl in [0, 3601, 86_400] {
        ensure!(scene.p.post("/leases", body(ttl)).await.status == 422, "a lease of {ttl} seconds");
    }
    let short = scene.lease_with(&scene.p, body(10)).await;
    scene.works(&short).await;
    let mut open = short.tunnel(&scene.authority()).await;
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    let heard_then = scene.seen().len();
    open.write(request("GET", "/late", &scene.authority(), &[("Authorization", &short.bearer("KEY"))], b""))
        .await;
    let answer = open.answer().await;
    ensure!(matches!(answer.status, 0 | 401), "beyond its time: {}", answer.status_line());
    ensure!(short.connect(&scene.authority()).await.1.status == 407, "a new tunnel beyond its time");
    ensure!(scene.seen().len() == heard_then && heard_then == heard + 1, "something was sent");
    Ok(())
}
