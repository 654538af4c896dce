//! E2: two values of which one ends as the other begins, or one holds the other. What is taken out is the union of
//! all findings, so that none leaves the rest of another behind.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak, random_text},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "E2").await;
    let lease = scene.lease().await;
    let (x, y, z) = (random_text(24), random_text(20), random_text(24));
    let destinations = json!([scene.destination(json!({}))]);
    for (name, value) in [("FIRST", format!("{x}{y}")), ("SECOND", format!("{y}{z}")), ("INNER", y.clone())] {
        scene.secret(name, "text", destinations.clone(), json!({"value": value})).await;
    }
    for written in [
        format!("{x}{y}{z}"),
        format!("{y}{z}{x}{y}"),
        format!("<{x}{y}>{y}<{y}{z}>"),
        format!("{x}{y}{y}{z}"),
    ] {
        let body = written.clone();
        // In brackets: a letter that happens to continue a value would be taken for more of it.
        scene.on("/overlap", move |_| text(&format!("before <{body}> after")));
        for seen in scene.observe(&lease, "/overlap").await {
            for part in [&x, &y, &z] {
                noleak(part, &format!("an overlap by {}", seen.how), &seen.bytes)?;
            }
            // Nor any rest that is shorter than what is looked for.
            for part in [&x[..8], &x[16..], &y[..8], &y[12..], &z[..8], &z[16..]] {
                ensure!(!seen.body.contains(part), "a rest of {written} by {}: {}", seen.how, seen.body);
            }
            ensure!(seen.body.contains("[sealed") && seen.body.ends_with("> after"), "{}", seen.body);
        }
    }
    Ok(())
}
