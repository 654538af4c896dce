//! J6: the last four characters, a hash, a length, a strength: small things shown beside a name. Somebody who may
//! use sees name, kind, destinations and state, and nothing that is made of the value.

use serde_json::{Value, json};

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

/// What metadata may consist of.
const SHOWN: &[&str] = &[
    "name",
    "type",
    "visibility",
    "description",
    "folder",
    "state",
    "system",
    "destinations",
    "suggested_destinations",
    "environments",
    "rotate_every_days",
    "expires_at",
    "created_at",
    "created_by",
    "updated_at",
    "deleted_at",
    "warnings",
];
/// And what is said of a value.
const OF_A_VALUE: &[&str] = &["version", "set_at", "disabled", "fields"];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "J6").await;
    let fields = json!({"username": "app-user", "password": scene.s});
    scene.secret("PAIR", "basic_auth", json!([scene.destination(json!({}))]), fields).await;
    for name in ["KEY", "PAIR"] {
        let shown = scene.p.get(&format!("/secrets/{name}")).await.expect(200);
        for key in keys(&shown) {
            ensure!(SHOWN.contains(&key), "`{key}` is shown of {name}: {shown}");
        }
        let value = &shown["environments"]["test"];
        for key in keys(value) {
            ensure!(OF_A_VALUE.contains(&key), "`{key}` is shown of the value of {name}: {value}");
        }
        let hidden = value["fields"]
            .as_object()
            .map(|fields| fields.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default();
        ensure!(hidden.iter().all(|field| field == "username"), "{name}: {hidden:?}");
        // Not four characters in a row of it, wherever they are shown.
        for path in [
            format!("/secrets/{name}"),
            "/secrets".to_owned(),
            format!("/secrets/{name}/usages"),
            format!("/secrets/{name}/values/test/versions"),
            "/leases".to_owned(),
        ] {
            let told = scene.p.get(&path).await.text;
            let unpredictable = &scene.s[8..];
            let found = (0..=unpredictable.len() - 6).find(|at| told.contains(&unpredictable[*at..at + 6]));
            ensure!(found.is_none(), "a part of the value at {path}: {told}");
        }
    }
    // Two secrets with the same value cannot be told from two with different ones.
    let twin = async |name: &str, value: &str| {
        scene
            .secret(name, "bearer_token", json!([scene.destination(json!({}))]), json!({"token": value}))
            .await;
        let mut shown = scene.p.get(&format!("/secrets/{name}")).await.expect(200);
        for field in ["name", "created_at", "updated_at"] {
            shown.as_object_mut().unwrap().remove(field);
        }
        shown["environments"]["test"].as_object_mut().unwrap().remove("set_at");
        shown
    };
    let (same, other) = (twin("TWIN", &scene.s).await, twin("OTHER", &crate::scene::random_value()).await);
    ensure!(same == other, "they can be told apart: {same} {other}");
    Ok(())
}
