//! H10: the value of one secret holds the placeholder of another. Only what the client sent is looked through,
//! once; and a value that looks like a placeholder is not taken.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H10").await;
    let lease = scene.lease().await;
    let ph = lease.ph("KEY").to_owned();
    for shape in ["generic", "sk_live", "ghp", "sk", "xoxb"] {
        let body = json!({"environment": "test", "secrets": [{"name": "KEY", "shape": shape}]});
        let shaped = scene.lease_with(&scene.p, body).await;
        for (at, value) in [shaped.ph("KEY").to_owned(), format!("prefix-{}-suffix", shaped.ph("KEY"))]
            .into_iter()
            .enumerate()
        {
            let destinations = json!([scene.destination(json!({}))]);
            let secret = json!({"name": format!("A-{shape}-{at}"), "destinations": destinations, "values": {"test": {"value": value}}});
            let reply = scene.owner.post("/secrets", secret).await;
            ensure!(
                reply.status == 422,
                "a value that looks like a placeholder of {shape} was taken: {}",
                reply.text
            );
            let reply =
                scene.owner.put("/secrets/KEY/values/test", json!({"fields": {"token": value}})).await;
            ensure!(reply.status == 422, "a new version that looks like one was taken");
        }
    }
    // References in values are text, in whatever place.
    let template = "{{secrets.KEY}} ${KEY} and-more-to-be-long-enough";
    let places = json!({"places": ["auth", "header:X-Custom"]});
    scene.secret("TEXT", "text", json!([scene.destination(places)]), json!({"value": template})).await;
    let lease = scene.lease_for(&scene.p, &["TEXT", "KEY"]).await;
    let headers = [("X-Custom", lease.ph("TEXT"))];
    let answer = scene.ask(&lease, "GET", "/x", &headers, b"").await;
    ensure!(answer.status == 200, "{}", answer.text());
    ensure!(scene.last().header("x-custom").as_deref() == Some(template), "{}", scene.last().text());
    ensure!(!scene.last().text().contains(&scene.s), "the reference in a value was resolved");
    // And a placeholder that an upstream sends back is not looked at.
    let told = ph.clone();
    scene.on("/tells", move |_| crate::upstream::text(&told));
    let answer = scene.get(&lease, "/tells").await;
    ensure!(answer.text() == ph, "an answer was changed: {}", answer.text());
    Ok(())
}
