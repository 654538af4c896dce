//! J2: a PIN, found by trying all that there are and seeing which one is taken out of an answer. What is too weak
//! to be recognised is in no index; its owner is warned, and over HTTP the status alone comes back.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "J2").await;
    for (name, value) in [
        ("PIN", "4711"),
        ("SHORT", "Zq8Wn3Lk5"),
        ("REPEATED", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("SEQUENCE", "1234567890123456789012345"),
    ] {
        let destinations =
            json!([{"host": format!("j2-{}.good.test", name.to_lowercase()), "port": world.good.port}]);
        let saved = scene.secret(name, "text", destinations.clone(), json!({"value": value})).await;
        ensure!(
            saved["warnings"].to_string().contains("unpredictable"),
            "{name} is saved without a warning: {saved}"
        );
        let lease = scene.lease_for(&scene.p, &[name]).await;
        let host = format!("j2-{}.good.test", name.to_lowercase());
        let authority = format!("{host}:{}", world.good.port);
        // An answer with every candidate in it would tell, if the right one were taken out.
        let all: String = (0..10_000).map(|number| format!("{number:04} ")).collect::<String>() + value;
        world.good.on(&host, "/all", move |_| text(&all));
        for way in Way::ALL {
            let answer = lease
                .send(way, "GET", &authority, "/all", &[("Authorization", &lease.bearer(name))], b"")
                .await;
            ensure!(answer.status == 200, "{name} by {way:?}: {}", answer.text());
            ensure!(answer.body.is_empty(), "{name} by {way:?}: {} bytes came", answer.body.len());
        }
        let reply = scene
            .sealed(&json!({"url": format!("https://{authority}/all"), "auth": {"secret": name}}))
            .await
            .expect(200);
        ensure!(reply["body"].is_null() || reply["body"] == "", "{name}: {reply}");
        // Where the owner promises that nothing comes back, the answer does, untouched: no marker tells anything.
        let destinations = json!([{"host": host, "port": world.good.port, "echoes": false}]);
        let patch = json!({"destinations": destinations, "values": {"test": {"value": value}}});
        scene.owner.patch(&format!("/secrets/{name}"), patch).await.expect(200);
        let candidates = (1000..1100).map(|number| format!("{number:04} ")).collect::<String>();
        let expected = candidates.clone();
        world.good.on(&host, "/some", move |_| text(&candidates));
        let lease = scene.lease_for(&scene.p, &[name]).await;
        let answer = lease
            .send(Way::Tunnel, "GET", &authority, "/some", &[("Authorization", &lease.bearer(name))], b"")
            .await;
        ensure!(answer.text() == expected, "{name}: an answer was changed: {}", answer.text());
    }
    Ok(())
}
