//! K4: URLs, hosts or names in metrics' labels. There are route templates, codes and kinds.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "K4", json!({"places": ["auth", "query:k"]})).await;
    let lease = scene.lease().await;
    for way in Way::ALL {
        let path = format!("/telltale-path?k={}&q=telltale-query", lease.ph("KEY"));
        let answer = scene.via(way, &lease, "GET", &path, &[("X-Note", "telltale-header")], b"").await;
        ensure!(answer.status == 200, "{}", answer.text());
        scene
            .via(way, &lease, "GET", "/telltale-path", &[("Authorization", "Bearer telltale-foreign")], b"")
            .await;
    }
    scene.p.get("/secrets/telltale-name").await;
    scene.sealed(&json!({"url": scene.url("/telltale-path"), "auth": {"secret": "KEY"}})).await.expect(200);
    let (_, answer) = lease.connect(&scene.evil_authority()).await;
    assert_eq!(answer.status, 200);
    let metrics = scene.owner.get("/metrics").await.text;
    ensure!(metrics.contains("tacit_") && metrics.contains("{workspace}"), "no metrics: {metrics}");
    for word in
        ["telltale", "good.test", "evil.test", "k4", "KEY", "?k=", "tct_", "127.0.0.1", lease.id.as_str()]
    {
        let line = metrics.lines().find(|line| line.contains(word));
        ensure!(line.is_none(), "metrics hold {word}: {line:?}");
    }
    scene.noleak("metrics", metrics.as_bytes())
}
