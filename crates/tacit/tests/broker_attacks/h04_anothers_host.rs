//! H4: the placeholder of one secret at the host of another, in one lease. Destinations belong to a secret, not to
//! a lease.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H4").await;
    let other_host = "h4-b.good.test";
    let destinations = json!([{"host": other_host, "port": world.good.port}]);
    let value = crate::scene::random_value();
    scene.secret("B_KEY", "bearer_token", destinations, json!({"token": value})).await;
    let lease = scene.lease_for(&scene.p, &["KEY", "B_KEY"]).await;
    let other = format!("{other_host}:{}", world.good.port);
    for (authority, right, wrong) in [(scene.authority(), "KEY", "B_KEY"), (other.clone(), "B_KEY", "KEY")] {
        for way in Way::ALL {
            let answer = lease
                .send(way, "GET", &authority, "/", &[("Authorization", &lease.bearer(right))], b"")
                .await;
            ensure!(answer.status == 200, "{right} at its own host: {}", answer.text());
            let answer = lease
                .send(way, "GET", &authority, "/", &[("Authorization", &lease.bearer(wrong))], b"")
                .await;
            scene.deny(&answer, 403, "destination_not_allowed").await?;
            let both = [("Authorization", lease.bearer(right)), ("X-Api-Key", lease.ph(wrong).to_owned())];
            let both: Vec<(&str, &str)> = both.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = lease.send(way, "GET", &authority, "/", &both, b"").await;
            scene.deny(&answer, 403, "destination_not_allowed").await?;
        }
    }
    let at = |host: &str| world.good.seen(host).iter().map(|seen| seen.text()).collect::<String>();
    ensure!(
        !at(&scene.good).contains(&value) && !at(other_host).contains(&scene.s),
        "a value went to the other's host"
    );
    Ok(())
}
