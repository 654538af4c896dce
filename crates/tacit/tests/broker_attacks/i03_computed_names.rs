//! I3: the name of a secret is computed from input, or from another reference. Names are literal and known when an
//! automation is saved; that its user may use them is checked then and when it runs.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "I3", json!({"places": ["auth", "header:X-Custom"]})).await;
    scene.owner.post("/variables", json!({"name": "NAME", "values": {"test": "KEY"}})).await.expect(201);
    for name in [
        "secrets[input.n]",
        "secrets[vars.NAME]",
        "secrets[steps.a.body]",
        "secrets.{{vars.NAME}}",
        "secrets.{{input.n}}",
        "secrets[\"{{vars.NAME}}\"]",
        "secrets['KE' + 'Y']",
        "secrets[secrets.KEY]",
        "secrets.*",
        "secrets[*]",
        "secrets",
        "secrets.",
        "secrets[]",
        "secrets[0]",
        "secrets..KEY",
        "{{secrets.KEY}}",
        "secrets.KEY}}{{secrets.KEY",
    ] {
        let text = format!("{{{{{name}}}}}");
        let step = json!({"url": scene.url("/x"), "headers": {"X-Custom": text}});
        let reply = scene.sealed(&step).await;
        ensure!(matches!(reply.status, 403 | 422), "{text}: {}", reply.text);
        let saved = scene.p.put("/automations/n", json!({"steps": [{"id": "a", "http": step}]})).await;
        ensure!(saved.status == 422, "saved: {text}");
    }
    for auth in [
        json!({"secret": "{{vars.NAME}}"}),
        json!({"secret": "{{input.n}}"}),
        json!({"secret": ["KEY"]}),
        json!({"secret": {"name": "KEY"}}),
    ] {
        let step = json!({"url": scene.url("/x"), "auth": auth});
        ensure!(scene.sealed(&step).await.status == 422, "{step}");
        let saved = scene.p.put("/automations/n", json!({"steps": [{"id": "a", "http": step}]})).await;
        ensure!(saved.status == 422, "saved: {step}");
    }
    ensure!(scene.seen().is_empty(), "something was sent");
    // Somebody who may write automations and not use secrets cannot save one that does.
    let role = json!({"name": "writer", "rights": ["secret.list", "automation.write", "automation.run"]});
    if scene.owner.post("/roles", role).await.status == 201 {
        let writer = scene.client("i3-writer", "writer").await;
        let steps =
            json!({"steps": [{"id": "a", "http": {"url": scene.url("/x"), "auth": {"secret": "KEY"}}}]});
        ensure!(writer.put("/automations/w", steps).await.status == 403, "saved without the right to use");
    }
    Ok(())
}
