//! I9: a step that keeps the whole of an answer, and what later steps make of it. A step that names the fields it
//! needs has these and nothing else.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "I9").await;
    scene.on("/answer", |seen| {
        let rot13: String = seen.s.bytes().map(|byte| char::from(byte ^ 1)).collect();
        let body = json!({"id": "ch_1", "status": "paid", "transformed": rot13, "deep": {"a": 1, "transformed": rot13}});
        vec![answer("200 OK", "content-type: application/json\r\nx-header: 1\r\n", body.to_string().as_bytes())]
    });
    let mut step = json!({"url": scene.url("/answer"), "auth": {"secret": "KEY"}, "fields": ["/id", "/deep/a", "/missing"]});
    let told = scene.sealed(&step).await.expect(200);
    let shown = told.to_string();
    ensure!(shown.contains("ch_1") && !shown.contains("transformed") && !shown.contains("paid"), "{shown}");
    let body = json!({"json": {"all": "{{steps.a.body}}"}});
    let later = json!({"method": "POST", "url": scene.url("/x"), "body": body});
    let steps = json!([{"id": "a", "http": step}, {"id": "b", "http": later}]);
    let run = scene.run("projected", steps, json!({})).await;
    ensure!(!run.to_string().contains("transformed") && !run.to_string().contains("paid"), "{run}");
    let sent = scene.last().text();
    ensure!(sent.contains("ch_1") && !sent.contains("transformed"), "a later step has it: {sent}");
    // Without fields it is there: they do what they say.
    step.as_object_mut().unwrap().remove("fields");
    let told = scene.sealed(&step).await.expect(200);
    ensure!(told["body"]["status"] == "paid", "{told}");
    // What is no JSON has no fields, and shows nothing.
    scene.on("/text", |seen| vec![answer("200 OK", "content-type: text/plain\r\n", seen.s.as_bytes())]);
    let step = json!({"url": scene.url("/text"), "auth": {"secret": "KEY"}, "fields": ["/id"]});
    let reply = scene.sealed(&step).await;
    scene.noleak("an answer without fields", reply.text.as_bytes())
}
