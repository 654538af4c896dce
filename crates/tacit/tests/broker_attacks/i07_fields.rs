//! I7: one field of a secret of many. Rights are per secret: whoever may use one may use each of its leaves. What
//! comes back is scrubbed of all of them, used or not.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak, random_text},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "I7").await;
    let leaves: Vec<String> = (0..4).map(|_| random_text(32)).collect();
    let content = json!({"user": leaves[0], "password": leaves[1], "nested": {"list": [leaves[2], {"key": leaves[3]}]}, "port": 5432});
    let destinations = json!([scene.destination(json!({"places": ["auth", "header:X-Custom"]}))]);
    scene.secret("DB", "json", destinations, json!({"content": content})).await;
    let all = leaves.join("\n");
    scene.on("/leaves", move |_| text(&all));
    for (at, field) in ["user", "password", "nested.list[0]", "nested.list[1].key"].into_iter().enumerate() {
        let step = json!({"url": scene.url("/leaves"), "headers": {"X-Custom": format!("{{{{secrets.DB.{field}}}}}")}});
        let reply = scene.sealed(&step).await;
        ensure!(reply.status == 200, "{field}: {}", reply.text);
        ensure!(scene.last().header("x-custom").as_ref() == Some(&leaves[at]), "{field} did not arrive");
        let run = scene.run("leaf", json!([{"id": "a", "http": step}]), json!({})).await;
        for leaf in &leaves {
            noleak(leaf, field, reply.text.as_bytes())?;
            noleak(leaf, field, run.to_string().as_bytes())?;
        }
    }
    // What is not there is an error, and says nothing of what is.
    for field in ["missing", "nested.missing", "nested.list[9]", "user.x"] {
        let step = json!({"url": scene.url("/leaves"), "headers": {"X-Custom": format!("{{{{secrets.DB.{field}}}}}")}});
        let reply = scene.sealed(&step).await;
        ensure!(reply.status >= 400, "{field}: {}", reply.text);
        for leaf in &leaves {
            noleak(leaf, field, reply.text.as_bytes())?;
        }
    }
    // Somebody without the right to use it has none of its fields.
    let member = scene.client("i7-member", "member").await;
    let step = json!({"environment": "test", "url": scene.url("/x"), "headers": {"X-Custom": "{{secrets.DB.user}}"}});
    ensure!(member.post("/requests", step).await.status == 403, "used without the right");
    Ok(())
}
