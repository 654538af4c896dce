//! C13: what is sent is not always the value as it was saved: a Basic pair, the leaves of a structured secret, a PEM
//! without its armour, the parts of a token. Each of these is looked for.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak, random_text},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "C13").await;
    let lease = scene.lease().await;
    let destinations = json!([scene.destination(json!({"places": ["auth", "json:/x"]}))]);

    let password = random_text(40);
    scene
        .secret(
            "PAIR",
            "basic_auth",
            destinations.clone(),
            json!({"username": "app-user", "password": password}),
        )
        .await;
    let (leaf, deep) = (random_text(36), random_text(36));
    let document = json!({"content": {"a": leaf, "list": [{"b": deep}], "port": 5432}});
    scene.secret("DOC", "json", destinations.clone(), document).await;
    let lines: Vec<String> = (0..4).map(|_| random_text(64)).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    scene.secret("PEM", "text", destinations.clone(), json!({"value": pem})).await;
    let claims = STANDARD.encode(format!("{{\"sub\":\"{}\"}}", random_text(30)));
    let signature = random_text(43);
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{}.{signature}", claims.trim_end_matches('='));
    scene.secret("JWT", "bearer_token", destinations, json!({"token": jwt})).await;

    let pair = STANDARD.encode(format!("app-user:{password}"));
    for (what, written, looked_for) in [
        ("the password", password.clone(), password.as_str()),
        ("the pair", format!("Basic {pair}"), &pair[16..]),
        ("the decoded pair", format!("app-user:{password}"), &password),
        ("a leaf", leaf.clone(), &leaf),
        ("a deep leaf", format!("{{\"b\":\"{deep}\"}}"), &deep),
        ("a line of the PEM", lines[2].clone(), &lines[2]),
        ("the PEM in one line", lines.concat(), &lines[1]),
        ("the PEM with escapes", lines.join("\\n"), &lines[3]),
        ("the PEM in base64", STANDARD.encode(&pem), &lines[2]),
        ("the signature", signature.clone(), &signature),
        ("the claims", claims.clone(), claims.trim_end_matches('=')),
    ] {
        let body = written.clone();
        scene.on("/derived", move |_| text(&format!("<{body}>")));
        for seen in scene.observe(&lease, "/derived").await {
            ensure!(seen.status == 200, "{what} by {}: {}", seen.how, seen.body);
            noleak(looked_for, &format!("{what} by {}", seen.how), &seen.bytes)?;
            ensure!(seen.body.contains("[sealed"), "{what} by {}: {}", seen.how, seen.body);
        }
    }
    Ok(())
}
