//! H13: configuration, environment or code of the broker's process from a caller. No field of the API is a path, a
//! command, a plugin or a variable of the process.

use serde_json::{Value, json};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

/// The names of all properties in a schema document.
fn properties(value: &Value, found: &mut Vec<String>) {
    if let Some(object) = value.as_object() {
        for (key, inner) in object {
            if key == "properties"
                && let Some(named) = inner.as_object()
            {
                found.extend(named.keys().cloned());
            }
            properties(inner, found);
        }
    } else if let Some(items) = value.as_array() {
        items.iter().for_each(|item| properties(item, found));
    }
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H13").await;
    let lease = scene.lease().await;
    let document = scene.owner.get("/openapi.json").await.expect(200);
    let mut names = Vec::new();
    properties(&document["components"]["schemas"], &mut names);
    ensure!(names.len() > 100, "only {} properties: this looks at the wrong thing", names.len());
    for forbidden in [
        "command",
        "cmd",
        "exec",
        "plugin",
        "module",
        "file",
        "filename",
        "directory",
        "cwd",
        "env",
        "library",
        "script",
        "dns",
        "nameserver",
        "proxy",
        "resolver",
        "ca",
        "ca_file",
        "root_key",
    ] {
        ensure!(!names.iter().any(|name| name == forbidden), "the API has a field `{forbidden}`");
    }
    // Variables with telling names are the workspace's, not the process's.
    let evil_proxy = format!("http://127.0.0.1:{}", world.evil.plain_port);
    for name in [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "LD_PRELOAD",
        "SSL_CERT_FILE",
        "RUST_LOG",
        "PATH",
        "TACIT_UPSTREAM_CA",
        "TACIT_NAMESERVER",
    ] {
        let variable = json!({"name": name, "values": {"test": evil_proxy}});
        scene.owner.post("/variables", variable).await;
    }
    let heard = world.evil.bytes().len();
    scene.works(&lease).await;
    let aliases = ["HTTPS_PROXY", "PATH", "LD_PRELOAD"].map(|name| json!({"name": "KEY", "as": name}));
    let _ = scene.p.post("/leases", json!({"environment": "test", "secrets": aliases})).await;
    for seen in scene.observe(&lease, "/works").await {
        ensure!(seen.status == 200, "{}: {}", seen.how, seen.body);
    }
    let evil = world.evil.bytes();
    ensure!(
        !String::from_utf8_lossy(&evil[heard.min(evil.len())..]).contains(&scene.good),
        "a variable steered the process"
    );
    Ok(())
}
