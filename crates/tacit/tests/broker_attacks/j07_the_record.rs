//! J7: what the record says to somebody who may read some of it. No query, no header, no body, no text of an
//! upstream; and whoever may only use does not read it.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "J7", json!({"places": ["auth", "query:k", "path"]})).await;
    let lease = scene.lease().await;
    scene.on("/told", |_| {
        vec![answer("418 Telltale-reason", "x-telltale: telltale-header\r\n", b"telltale-body")]
    });
    let headers = [("Authorization", lease.bearer("KEY")), ("X-Note", "telltale-sent".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    scene.ask(&lease, "POST", "/told?q=telltale-query", &headers, b"telltale-upload").await;
    scene.ask(&lease, "GET", &format!("/told?k={}", lease.ph("KEY")), &[], b"").await;
    scene.ask(&lease, "GET", &format!("/told/{}", lease.ph("KEY")), &[], b"").await;
    scene
        .ask(&lease, "GET", "/told?q=telltale-query", &[("Authorization", "Bearer telltale-foreign")], b"")
        .await;
    scene.ask(&lease, "GET", "/told", &[("Cookie", lease.ph("KEY"))], b"").await;
    let step = json!({"url": scene.url("/told?q=telltale-query"), "auth": {"secret": "KEY"}, "headers": {"X-Note": "telltale-sent"}});
    scene.sealed(&step).await.expect(200);
    scene.run("told", json!([{"id": "a", "http": step}]), json!({"note": "telltale-input"})).await;
    let (_, answer) = lease.connect(&scene.evil_authority()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let auditor = scene.client("j7-auditor", "auditor").await;
    let mut uses = 0;
    for client in [&scene.owner, &auditor] {
        let record = client.get("/events?limit=500").await.expect(200);
        uses =
            record["items"].as_array().unwrap().iter().filter(|event| event["verb"] == "secret.use").count();
        let text = record.to_string();
        ensure!(!text.to_lowercase().contains("telltale"), "the record holds something of a request: {text}");
        for text_of_ours in [lease.token.as_str(), lease.ph("KEY"), "k=", "Bearer", "authorization"] {
            ensure!(!text.contains(text_of_ours), "the record holds {text_of_ours}: {text}");
        }
        scene.noleak("the record", text.as_bytes())?;
    }
    ensure!(uses >= 8, "only {uses} uses are on the record");
    for client in [&scene.p, &scene.p2] {
        let reply = client.get("/events?limit=500").await;
        ensure!(reply.status == 403 || reply.status == 404, "P reads the record: {}", reply.status);
        scene.noleak("what P reads of the record", reply.text.as_bytes())?;
    }
    Ok(())
}
