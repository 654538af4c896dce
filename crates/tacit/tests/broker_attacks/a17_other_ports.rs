//! A17: another port, or plain http. https on the declared port unless a destination says otherwise, and plain text
//! only where it is declared and the address is private.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A17").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let bearer = lease.bearer("KEY");
    let headers = [("Authorization", bearer.as_str())];
    for port in [world.good.plain_port, world.evil.port, world.good_h2.port, 80, 443, 8443, 22] {
        let authority = format!("{}:{port}", scene.good);
        for way in Way::ALL {
            let answer = lease.send(way, "GET", &authority, "/", &headers, b"").await;
            scene.deny(&answer, 403, "destination_not_allowed").await?;
        }
        for scheme in ["http", "https"] {
            let step = json!({"url": format!("{scheme}://{authority}/"), "auth": {"secret": "KEY"}});
            scene.deny_reply(&scene.sealed(&step).await, 403, "destination_not_allowed").await?;
        }
    }
    // The declared port in plain: a sealed request says what it means and is refused; a program that can only speak plain
    // to its proxy is upgraded, so that no plain text leaves.
    let step = json!({"url": format!("http://{}/", scene.authority()), "auth": {"secret": "KEY"}});
    scene.deny_reply(&scene.sealed(&step).await, 403, "destination_not_allowed").await?;
    let answer = scene.via(Way::Absolute, &lease, "GET", "/upgraded", &headers, b"").await;
    ensure!(answer.status == 200 && scene.last().line().contains("/upgraded"), "{}", answer.text());
    ensure!(scene.last().is_tls, "it left in plain");

    // Declared plain http is not dialled at a public address.
    world.names.always("a17-public.good.test", &["93.184.216.34"]);
    let plain = json!([
        {"host": "a17-public.good.test", "scheme": "http", "port": 80},
        {"host": "a17-plain.good.test", "scheme": "http", "port": world.good.plain_port},
    ]);
    scene.secret("PLAIN", "bearer_token", plain, json!({"token": scene.s})).await;
    let own = scene.lease_for(&scene.p, &["PLAIN"]).await;
    let bearer = own.bearer("PLAIN");
    let headers = [("Authorization", bearer.as_str())];
    let answer = own.send(Way::Absolute, "GET", "a17-public.good.test:80", "/", &headers, b"").await;
    scene.deny(&answer, 403, "address_blocked").await?;
    let step = json!({"url": "http://a17-public.good.test/", "auth": {"secret": "PLAIN"}});
    scene.deny_reply(&scene.sealed(&step).await, 403, "address_blocked").await?;
    // At a private one it is, and stays http.
    let authority = format!("a17-plain.good.test:{}", world.good.plain_port);
    let answer = own.send(Way::Absolute, "GET", &authority, "/", &headers, b"").await;
    ensure!(answer.status == 200, "declared http: {}", answer.text());
    let arrived = world.good.seen("a17-plain.good.test");
    ensure!(arrived.len() == 1 && !arrived[0].is_tls, "it did not arrive in plain");
    scene.nosend()
}
