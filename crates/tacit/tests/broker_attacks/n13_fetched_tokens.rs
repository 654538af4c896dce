//! N13: a token that was fetched is as good as the secret, and nobody has stored it by hand. A service sends it back in all
//! the ways in which it sends back values: at once, later, to others, after it was replaced.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

use crate::{
    disguise::DISGUISES,
    ensure,
    lease::Way,
    scene::{Scene, Verdict, noleak, random_text},
    upstream::{answer, text},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N13").await;
    let value =
        json!({"client_id": "app", "client_secret": random_text(40), "token_url": scene.url("/token")});
    let more = json!({"places": ["auth", "header:x-token", "query:t", "json:/t", "form:t"]});
    scene.secret("APP", "oauth2_client_credentials", json!([scene.destination(more)]), value.clone()).await;
    let tokens: Arc<Vec<String>> = Arc::new((0..4).map(|_| random_text(43)).collect());
    for token in tokens.iter() {
        world.plant("n13", token);
    }
    let given = Arc::new(AtomicUsize::new(0));
    let (of, at) = (Arc::clone(&tokens), Arc::clone(&given));
    scene.on("/token", move |_| {
        let token = &of[at.fetch_add(1, Ordering::SeqCst).min(3)];
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).to_string();
        vec![answer("200 OK", "content-type: application/json\r\n", body.as_bytes())]
    });
    let clean = |what: &str, bytes: &[u8]| tokens.iter().try_for_each(|token| noleak(token, what, bytes));
    let lease = scene.lease_for(&scene.p, &["APP"]).await;
    let bearer = lease.bearer("APP");
    for (name, _) in DISGUISES {
        let path = format!("/as/{name}");
        for way in Way::ALL {
            let seen = scene.via(way, &lease, "GET", &path, &[("Authorization", &bearer)], b"").await;
            clean(&format!("{name} by {}", way.name()), &seen.raw)?;
        }
        let reply = scene.sealed(&json!({"url": scene.url(&path), "auth": {"secret": "APP"}})).await;
        clean(&format!("{name} of a sealed request"), reply.text.as_bytes())?;
        ensure!(
            scene.last().text().contains(&tokens[0]),
            "the token did not arrive: {}",
            scene.last().text()
        );
    }
    for place in [
        json!({"headers": {"X-Token": "{{secrets.APP}}"}}),
        json!({"query": {"t": "{{secrets.APP}}"}}),
        json!({"method": "POST", "body": {"json": {"t": "{{secrets.APP}}"}}}),
        json!({"method": "POST", "body": {"form": {"t": "{{secrets.APP}}"}}}),
    ] {
        let mut step = place.clone();
        step["url"] = json!(scene.url("/echo"));
        let reply = scene.sealed(&step).await;
        clean(&place.to_string(), reply.text.as_bytes())?;
        ensure!(scene.last().text().contains(&tokens[0]), "{place}: the token did not arrive");
    }
    ensure!(given.load(Ordering::SeqCst) == 1, "fetched {} times", given.load(Ordering::SeqCst));
    // Replaced by hand, and after a 401. What was sent before is looked for as before, in everybody's answers.
    scene.owner.put("/secrets/APP/values/test", json!({"fields": value})).await.expect(201);
    scene.sealed(&json!({"url": scene.url("/echo"), "auth": {"secret": "APP"}})).await.expect(200);
    let refused = tokens[1].clone();
    scene.on("/picky", move |seen| {
        if seen.text().contains(&refused) {
            return vec![answer("401 No", "", seen.text().as_bytes())];
        }
        text(&seen.text())
    });
    let reply = scene.sealed(&json!({"url": scene.url("/picky"), "auth": {"secret": "APP"}})).await;
    clean("an answer to a new token", reply.text.as_bytes())?;
    ensure!(reply.json()["status"] == 200, "not asked again with a new token: {}", reply.text);
    let all = tokens[..3].join(" ");
    scene.on("/all", move |_| text(&all));
    let keys = scene.lease().await;
    let seen = scene.get(&keys, "/all").await;
    clean("an answer to another secret", &seen.raw)?;
    let reply =
        scene.sealed_as(&scene.p2, &json!({"url": scene.url("/all"), "auth": {"secret": "KEY"}})).await;
    clean("an answer to somebody else", reply.text.as_bytes())?;
    ensure!(reply.json()["redactions"] == 3, "{}", reply.text);
    // A token is for where the secret may go, and for nothing else.
    let elsewhere = json!({"url": scene.evil_url("/"), "auth": {"secret": "APP"}});
    scene.deny_reply(&scene.sealed(&elsewhere).await, 403, "destination_not_allowed").await?;
    let record = scene.events("").await;
    clean("the record", serde_json::to_string(&record).unwrap().as_bytes())?;
    let sent = world.evil.bytes();
    clean("the evil upstream's log", &sent)
}
