//! A19: proxy variables in the environment of the broker's own process. It never reads them.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::{World, world},
};

pub(crate) async fn case(_: &'static World) -> Verdict {
    // The proxy that the variables name is the evil upstream of the shared world.
    let evil = &world().evil;
    let proxy = format!("http://127.0.0.1:{}", evil.plain_port);
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let variables: Vec<(&str, &str)> = names.iter().map(|name| (*name, proxy.as_str())).collect();
    let world = World::own(&[], &variables).await;
    let scene = Scene::new(world, "A19").await;
    let lease = scene.lease().await;
    for seen in scene.observe(&lease, "/").await {
        ensure!(seen.status == 200, "{}: {}", seen.how, seen.body);
    }
    let (_, answer) = lease.connect(&scene.evil_authority()).await;
    ensure!(answer.status == 200, "a tunnel to another host: {}", answer.text());
    let step = json!({"url": format!("https://{}/", scene.evil_authority())});
    scene.sealed(&step).await.expect(200);
    let heard = String::from_utf8_lossy(&evil.bytes()).into_owned();
    ensure!(
        !heard.contains(&scene.good) && !heard.contains(&scene.evil),
        "the proxy of the environment was used"
    );
    crate::scene::noleak(&scene.s, "the proxy of the environment", &evil.bytes())
}
