//! F2: one's requests on a connection that carried another's: what was left in it would be answered to the wrong
//! one. A connection belongs to one workspace, principal, lease, set of secrets and policy.

use std::collections::HashMap;

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "F2").await;
    scene.text_secret("OTHER", json!({})).await;
    let (_, stranger) = scene.stranger().await;
    let (stranger_owner, value) =
        (world.owner.in_workspace("f2-other"), json!({"test": {"token": crate::scene::random_value()}}));
    let theirs = json!({"name": "KEY", "type": "bearer_token", "destinations": [scene.destination(json!({}))], "values": value});
    stranger_owner.post("/secrets", theirs).await.expect(201);
    let leases = [
        ("P", scene.lease_for(&scene.p, &["KEY"]).await, "KEY"),
        ("P again", scene.lease_for(&scene.p, &["KEY"]).await, "KEY"),
        ("P2", scene.lease_for(&scene.p2, &["KEY"]).await, "KEY"),
        ("P with another secret", scene.lease_for(&scene.p, &["OTHER"]).await, "OTHER"),
        ("somebody of another workspace", scene.lease_for(&stranger, &["KEY"]).await, "KEY"),
    ];
    let mut owners: HashMap<usize, &str> = HashMap::new();
    for _ in 0..3 {
        for (who, lease, alias) in &leases {
            let bearer = lease.bearer(alias);
            let answer = scene.ask(lease, "GET", "/works", &[("Authorization", &bearer)], b"").await;
            ensure!(answer.status == 200, "{}", answer.text());
            let owner = owners.entry(scene.last().connection).or_insert(who);
            ensure!(owner == who, "{who} used a connection of {owner}");
        }
    }
    ensure!(
        owners.len() < 3 * leases.len(),
        "connections are not kept at all, so this shows nothing: {owners:?}"
    );
    // Sealed requests have connections of their own, too.
    let heard = scene.seen().len();
    for client in [&scene.p, &scene.p2] {
        scene
            .sealed_as(client, &json!({"url": scene.url("/works"), "auth": {"secret": "KEY"}}))
            .await
            .expect(200);
    }
    let used: Vec<usize> = scene.seen()[heard..].iter().map(|seen| seen.connection).collect();
    ensure!(used[0] != used[1] && used.iter().all(|number| !owners.contains_key(number)), "shared: {used:?}");
    Ok(())
}
