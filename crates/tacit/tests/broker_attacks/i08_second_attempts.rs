//! I8: a second attempt goes to another address than the first, which nobody looked at. Every attempt resolves and
//! judges anew, and all addresses of an answer must pass before the first is dialled.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::{
    ensure,
    names::addresses,
    scene::{Scene, Verdict},
    upstream::{Act, text},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "I8").await;
    // Kept open after the first request, and closed without an answer at the second one: that one is sent again.
    let count = AtomicUsize::new(0);
    scene.on("/flaky", move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => text("first"),
        1 => vec![Act::Close],
        _ => text("again"),
    });
    // By then the name leads elsewhere.
    world.names.script(&scene.good, |_, nth| addresses(&[if nth == 0 { "127.0.0.1" } else { "10.9.9.9" }]));
    let step = json!({"url": scene.url("/flaky"), "auth": {"secret": "KEY"}});
    let first = scene.sealed(&step).await.expect(200);
    assert_eq!(first["body"], "first");
    let reply = scene.sealed(&step).await;
    scene.deny_reply(&reply, 403, "address_blocked").await?;
    ensure!(scene.seen().len() <= 2, "it was sent to an address that nobody looked at");
    // One of two addresses refuses, the other is private: nothing is dialled at all.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    world.names.always("i8-two.good.test", &["127.0.0.1", "10.0.0.1"]);
    let destinations = json!([{"host": "i8-two.good.test", "port": closed}]);
    scene.secret("TWO", "bearer_token", destinations, json!({"token": scene.s})).await;
    let step = json!({"url": format!("https://i8-two.good.test:{closed}/"), "auth": {"secret": "TWO"}});
    let before = scene.events("object=secret:TWO").await.len();
    scene.deny_reply(&scene.sealed(&step).await, 403, "address_blocked").await?;
    ensure!(scene.events("object=secret:TWO").await.len() > before, "the attempt is not on the record");
    // A POST is never sent twice.
    world.names.always(&scene.good, &["127.0.0.1"]);
    scene.on("/once", |_| vec![Act::Close]);
    let heard = scene.seen().len();
    let step = json!({"method": "POST", "url": scene.url("/once"), "auth": {"secret": "KEY"}});
    let reply = scene.sealed(&step).await;
    ensure!(
        reply.status == 502 && scene.seen().len() == heard + 1,
        "{} {}",
        scene.seen().len() - heard,
        reply.text
    );
    Ok(())
}
