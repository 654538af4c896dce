//! J3: what everybody knows of a value counts towards recognising it, so that a guess behind the vendor's prefix is
//! confirmed a character at a time. Prefixes never count.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, random_text},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "J3").await;
    for (at, prefix) in
        ["sk_live_", "ghp_", "github_pat_", "xoxb-", "AKIA", "glpat-", "sk-ant-api03-", "rk_test_"]
            .into_iter()
            .enumerate()
    {
        let body = random_text(40);
        let name = format!("K{at}");
        let destinations = json!([scene.destination(json!({"paths": [format!("/k{at}")]}))]);
        scene.secret(&name, "bearer_token", destinations, json!({"token": format!("{prefix}{body}")})).await;
        let lease = scene.lease_for(&scene.p, &[&name]).await;
        let path = format!("/k{at}");
        for count in [0, 1, 4, 8, 12, 15] {
            let right = format!("{prefix}{}", &body[..count]);
            let wrong = format!("{prefix}{}", random_text(count));
            let guesses = format!("<{right}> <{wrong}>");
            let told = guesses.clone();
            scene.on(&path, move |_| text(&told));
            let answer =
                scene.ask(&lease, "GET", &path, &[("Authorization", &lease.bearer(&name))], b"").await;
            ensure!(answer.text() == guesses, "{prefix} and {count} characters: {}", answer.text());
        }
        let whole = format!("<{prefix}{}>", &body[..24]);
        scene.on(&path, move |_| text(&whole));
        let answer = scene.ask(&lease, "GET", &path, &[("Authorization", &lease.bearer(&name))], b"").await;
        ensure!(answer.text().contains("[sealed"), "{prefix} and 24 characters: {}", answer.text());
    }
    Ok(())
}
