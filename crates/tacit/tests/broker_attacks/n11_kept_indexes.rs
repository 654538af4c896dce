//! N11: what an answer is searched for is kept between requests. One that was made for somebody else, for another host
//! or before a change would let a value through, or tell a name to somebody who may not use it.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict, noleak, random_value},
    upstream::text,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N11").await;
    let other = scene.text_secret("OTHER", json!({})).await;
    let (both, mine) =
        (scene.lease_for(&scene.p, &["KEY", "OTHER"]).await, scene.lease_for(&scene.p2, &["KEY"]).await);
    let shown = other.clone();
    scene.on("/shown", move |seen| text(&format!("{} and {shown}", seen.s)));
    // In turns, so that each meets what was kept of the other.
    for _ in 0..3 {
        for (lease, expected) in
            [(&both, "[sealed:KEY] and [sealed:OTHER]"), (&mine, "[sealed:KEY] and [sealed]")]
        {
            let answer = scene.get(lease, "/shown").await;
            ensure!(answer.text() == expected, "{:?} instead of {expected:?}", answer.text());
        }
    }
    // The same names and the same host in another workspace, with other values.
    let (owner, stranger) = scene.stranger().await;
    let theirs = random_value();
    let secret = json!({"name": "KEY", "type": "bearer_token", "destinations": [scene.destination(json!({}))],
        "values": {"test": {"token": theirs}}});
    owner.post("/secrets", secret).await.expect(201);
    let lease = scene.lease_for(&stranger, &["KEY"]).await;
    for _ in 0..2 {
        let answer = scene.get(&lease, "/echo").await;
        noleak(&theirs, "the stranger's answer", &answer.raw)?;
        ensure!(answer.text().contains("[sealed:KEY]"), "{}", answer.text());
        let answer = scene.get(&both, "/echo").await;
        scene.noleak("the answer after a stranger's", &answer.raw)?;
    }
    // Right after each change the next answer is searched for what is new, and still for what was.
    let mut values = vec![scene.s.clone(), other];
    for round in 0..4 {
        let fresh = random_value();
        world.plant("n11", &fresh);
        if round % 2 == 0 {
            let fields = json!({"fields": {"token": fresh}});
            scene.owner.put("/secrets/KEY/values/test", fields).await.expect(201);
        } else {
            let destinations = json!([scene.destination(json!({"paths": ["/never"]}))]);
            let name = format!("NEW_{round}");
            scene.secret(&name, "text", destinations, json!({"value": fresh})).await;
        }
        values.push(fresh);
        let all = values.join(" ");
        scene.on("/all", move |_| text(&all));
        for lease in [&both, &mine] {
            let answer = scene.get(lease, "/all").await;
            ensure!(answer.status == 200, "{}", answer.text());
            for value in &values {
                noleak(value, &format!("after change {round}"), &answer.raw)?;
            }
        }
        let sealed = scene.sealed(&json!({"url": scene.url("/all"), "auth": {"secret": "KEY"}})).await;
        for value in &values {
            noleak(value, &format!("a sealed request after change {round}"), sealed.text.as_bytes())?;
        }
    }
    // Aimed elsewhere meanwhile: whoever's lease still holds it could have sent it there.
    let moved = random_value();
    world.plant("n11", &moved);
    let there = json!({"host": scene.evil, "port": world.evil.port});
    let both_hosts = json!([scene.destination(json!({})), there]);
    scene.secret("MOVED", "text", both_hosts, json!({"value": moved})).await;
    let lease = scene.lease_for(&scene.p, &["KEY", "MOVED"]).await;
    let told = moved.clone();
    scene.on("/moved", move |_| text(&told));
    for is_narrowed in [false, true] {
        if is_narrowed {
            scene.owner.patch("/secrets/MOVED", json!({"destinations": [there]})).await.expect(200);
        }
        let answer = scene.get(&lease, "/moved").await;
        ensure!(answer.text() == "[sealed:MOVED]", "narrowed {is_narrowed}: {}", answer.text());
    }
    Ok(())
}
