//! D12: rot13, XOR, hashes, ciphertext, spelled-out text. No scrubber recognises what is computed; what is left is
//! that only declared endpoints are reached, that saving warns about hosts that are known to transform, and that an
//! owner can have the answers withheld.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

fn rot13(value: &str) -> String {
    let turned = |c: char| match c {
        'a'..='m' | 'A'..='M' => char::from(c as u8 + 13),
        'n'..='z' | 'N'..='Z' => char::from(c as u8 - 13),
        other => other,
    };
    value.chars().map(turned).collect()
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "D12", json!({"paths": ["/rot13"]})).await;
    let lease = scene.lease().await;
    scene.on("/rot13", |seen| text(&rot13(&seen.s)));
    let answer = scene.get(&lease, "/rot13").await;
    assert_eq!(rot13(&answer.text()), scene.s, "if this ever changes, it is no residual any more");
    scene.deny(&scene.get(&lease, "/xor").await, 403, "destination_not_allowed").await?;
    for host in ["httpbin.org", "postman-echo.com", "webhook.site", "eu.httpbin.org"] {
        let secret =
            json!({"name": format!("AT-{host}").replace('.', "-"), "destinations": [{"host": host}]});
        let saved = scene.owner.post("/secrets", secret).await.expect(201);
        ensure!(saved["warnings"].to_string().contains(host), "no warning about {host}: {saved}");
    }
    let strict =
        json!({"destinations": [scene.destination(json!({"paths": ["/rot13"], "response": "status_only"}))]});
    scene.owner.patch("/secrets/KEY", strict).await.expect(200);
    for seen in scene.observe(&lease, "/rot13").await {
        ensure!(["", "null"].contains(&seen.body.as_str()), "{}: {}", seen.how, seen.body);
    }
    Ok(())
}
