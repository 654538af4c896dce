//! I4: data that holds a reference, which is read as a template later. Templates are parsed once, before there is
//! data.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "I4", json!({"places": ["auth", "header:X-Custom", "json:/k"]})).await;
    let reference = "{{secrets.KEY}}";
    scene.owner.post("/variables", json!({"name": "V", "values": {"test": reference}})).await.expect(201);
    scene.on("/tells", move |_| text(reference));
    let steps = json!([
        {"id": "a", "http": {"url": scene.url("/tells")}},
        {"id": "b", "http": {
            "method": "POST",
            "url": scene.url("/{{input.t}}"),
            "query": {"q": "{{vars.V}}"},
            "headers": {"X-Custom": "{{steps.a.body}}", "X-Note": "{{input.t}}"},
            "body": {"json": {"k": "{{input.t}}", "v": "{{vars.V}}", "s": "{{steps.a.body}}"}},
        }},
    ]);
    let run = scene.run("data", steps, json!({"t": reference})).await;
    ensure!(run["status"] == "succeeded", "{run}");
    let sent = scene.last().text();
    ensure!(!sent.contains(&scene.s[8..]), "data was read as a template: {sent}");
    ensure!(scene.last().header("x-custom").as_deref() == Some(reference), "{sent}");
    ensure!(scene.last().header("x-note").as_deref() == Some(reference), "{sent}");
    let body: serde_json::Value = serde_json::from_slice(scene.last().body()).unwrap();
    ensure!(body == json!({"k": reference, "v": reference, "s": reference}), "{body}");
    scene.noleak("the run", run.to_string().as_bytes())?;
    // The same words as a template of the step are the secret.
    let step = json!({"url": scene.url("/x"), "headers": {"X-Custom": reference}});
    scene.sealed(&step).await.expect(200);
    ensure!(scene.last().header("x-custom").as_deref() == Some(&scene.s), "references do not work at all");
    Ok(())
}
