//! I2: conditions and comparisons over a secret, which answer a question about it each time. There are none.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "I2", json!({"places": ["auth", "header:X-Custom"]})).await;
    for expression in [
        "secrets.KEY == 'sk'",
        "secrets.KEY != 'sk'",
        "secrets.KEY startsWith 'a'",
        "secrets.KEY > 'a'",
        "secrets.KEY < 'a'",
        "'sk' in secrets.KEY",
        "secrets.KEY =~ 'a.*'",
        "secrets.KEY && 'x'",
        "secrets.KEY || 'x'",
        "not secrets.KEY",
        "!secrets.KEY",
        "secrets.KEY ? 'a' : 'b'",
        "if secrets.KEY 'a'",
        "secrets.KEY + 'x'",
        "secrets.KEY ~ 'x'",
        "'x' secrets.KEY",
        "secrets.KEY secrets.KEY",
        "secrets.KEY ?? 'x'",
        "secrets.KEY is defined",
        "secrets.KEY matches 'a'",
    ] {
        for step in [
            json!({"url": scene.url("/x"), "headers": {"X-Custom": format!("{{{{{expression}}}}}")}}),
            json!({"url": scene.url("/x"), "auth": {"secret": "KEY"}, "headers": {"X-Note": format!("{{{{ {expression} }}}}")}}),
        ] {
            let reply = scene.sealed(&step).await;
            ensure!(matches!(reply.status, 403 | 422), "{step}: {}", reply.text);
            let saved = scene.p.put("/automations/c", json!({"steps": [{"id": "a", "http": step}]})).await;
            ensure!(saved.status == 422, "saved: {step}");
        }
        // Whether a step runs does not depend on a secret either.
        let step =
            json!({"id": "a", "when": format!("{{{{{expression}}}}}"), "http": {"url": scene.url("/x")}});
        let saved = scene.p.put("/automations/c", json!({"steps": [step]})).await;
        ensure!(saved.status == 422, "a condition over a secret was saved: {expression}");
    }
    ensure!(scene.seen().is_empty(), "something was sent");
    Ok(())
}
