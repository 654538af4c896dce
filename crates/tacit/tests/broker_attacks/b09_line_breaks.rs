//! B9: line breaks and zero bytes in a value, which would begin another header. Checked when it is written and when
//! it is used; what is told of it holds nothing of it, and header names never come from a caller.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B9").await;
    for (at, bad) in ["\r\nX: y", "\nX: y", "\rX", "\0", "\u{1}", "\u{7f}"].into_iter().enumerate() {
        let value = format!("{}{bad}", scene.s);
        for (kind, fields) in [
            ("bearer_token", json!({"token": value})),
            ("api_key", json!({"header": "X-Key", "key": value})),
            ("api_key", json!({"header": format!("X-Key{bad}"), "key": scene.s})),
            ("basic_auth", json!({"username": format!("u{bad}"), "password": scene.s})),
        ] {
            let destinations = json!([scene.destination(json!({}))]);
            let secret = json!({"name": "BAD", "type": kind, "destinations": destinations, "values": {"test": fields}});
            let reply = scene.owner.post("/secrets", secret).await;
            ensure!(reply.status == 422, "{kind} takes {bad:?}: {}", reply.text);
            scene.noleak("a refusal", reply.text.as_bytes())?;
            let reply =
                scene.owner.put("/secrets/KEY/values/test", json!({"fields": {"token": value}})).await;
            ensure!(reply.status == 422, "a new version takes {bad:?}");
        }
        // A text may hold line breaks: keys do. It cannot be used where a line ends.
        if bad != "\0" {
            let name = format!("TEXT{at}");
            let destinations = json!([scene.destination(json!({"places": ["auth", "header:X-Custom"]}))]);
            let secret =
                json!({"name": name, "destinations": destinations, "values": {"test": {"value": value}}});
            if scene.owner.post("/secrets", secret).await.status == 201 {
                let lease = scene.lease_for(&scene.p, &[&name]).await;
                for header in ["Authorization", "X-Custom"] {
                    let word = if header == "Authorization" { "Bearer " } else { "" };
                    let value = format!("{word}{}", lease.ph(&name));
                    let answer = scene.ask(&lease, "GET", "/", &[(header, &value)], b"").await;
                    ensure!(
                        matches!(answer.status, 400..500),
                        "{bad:?} in {header}: {}",
                        answer.status_line()
                    );
                    scene.noleak("a refusal", &answer.raw)?;
                }
            }
        }
    }
    ensure!(scene.seen().is_empty(), "something was sent");
    Ok(())
}
