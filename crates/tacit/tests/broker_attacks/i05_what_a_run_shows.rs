//! I5: a step's record of the request that it made: output, errors, dry runs, lists. What is shown is made of
//! references and of scrubbed answers; the request with its values exists only in what sends it.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let places = json!({"places": ["auth", "header:X-Custom", "query:k", "json:/k"]});
    let scene = Scene::with(world, "I5", places).await;
    scene.on("/fails", |seen| {
        vec![answer("500 Nope", "content-type: text/plain\r\n", seen.text().as_bytes())]
    });
    let step = |path: &str| {
        json!({
            "method": "POST",
            "url": scene.url(path),
            "headers": {"X-Custom": "{{secrets.KEY}}"},
        })
    };
    let dry = json!({"steps": [{"id": "a", "http": step("/x")}]});
    let told = scene.p.put("/automations/dry?dry_run=true", dry.clone()).await;
    scene.noleak("a dry run", told.text.as_bytes())?;
    ensure!(scene.seen().is_empty(), "a dry run sent something");
    for path in ["/x", "/fails"] {
        let mut wanting = step(path);
        wanting["expect_status"] = json!([200]);
        let run = scene.run("shown", json!([{"id": "a", "http": wanting}]), json!({})).await;
        ensure!(scene.last().text().contains(&scene.s), "S did not arrive");
        scene.noleak("a run", run.to_string().as_bytes())?;
        ensure!((path == "/fails") == (run["status"] == "failed"), "{run}");
        let id = run["id"].as_str().unwrap();
        for seen in [
            scene.p.get(&format!("/runs/{id}")).await,
            scene.p.get("/runs").await,
            scene.owner.get(&format!("/runs/{id}")).await,
            scene.p.get("/automations/shown").await,
            scene.p.get(&format!("/runs/{id}/events")).await,
            scene.p.get("/automations/shown/template").await,
            scene.p.get("/export").await,
        ] {
            scene.noleak("what is shown", seen.text.as_bytes())?;
        }
    }
    let shown = scene.p.get("/automations/shown").await.expect(200);
    ensure!(shown.to_string().contains("{{secrets.KEY}}"), "the definition is not shown as written: {shown}");
    let record = serde_json::to_string(&scene.events("").await).unwrap();
    scene.noleak("the record", record.as_bytes())
}
