//! A12: a name that resolves to something else the second time, to good and bad addresses at once, or to nothing.
//! It is resolved once, all answers must pass, only those are dialled, and nothing at all is a refusal.

use serde_json::json;

use crate::{
    ensure,
    names::{Answer, Kind, addresses},
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::with(world, "A12", json!({"host": "*.good.test"})).await;
    let lease = scene.lease().await;
    let ask = async |name: &str| {
        let authority = format!("{name}:{}", world.good.port);
        let headers = [("Authorization", lease.bearer("KEY"))];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        lease.send(crate::lease::Way::Absolute, "GET", &authority, "/", &headers, b"").await
    };

    // Good the first time, bad from then on. Looking twice would dial what was never judged.
    world.names.script("a12-turns-bad.good.test", |_, nth| {
        addresses(&[if nth == 0 { "127.0.0.1" } else { "10.9.9.9" }])
    });
    let answer = ask("a12-turns-bad.good.test").await;
    ensure!(answer.status == 200, "the first answer was good: {}", answer.text());
    let asked = world.names.asked("a12-turns-bad.good.test");
    ensure!(asked <= 2, "asked {asked} times for one request");
    // A new lease shares no connection with the old one, and finds the bad address.
    let fresh = scene.lease().await;
    let authority = format!("a12-turns-bad.good.test:{}", world.good.port);
    let bearer = fresh.bearer("KEY");
    let answer = fresh
        .send(crate::lease::Way::Absolute, "GET", &authority, "/", &[("Authorization", &bearer)], b"")
        .await;
    scene.deny(&answer, 403, "address_blocked").await?;

    // Bad the first time, good later: the refusal is not remembered as a permission, nor the other way round.
    world.names.script("a12-turns-good.good.test", |kind, nth| match (kind, nth) {
        (Kind::A, 0) => addresses(&["10.9.9.9"]),
        _ => addresses(&["127.0.0.1"]),
    });
    scene.deny(&ask("a12-turns-good.good.test").await, 403, "address_blocked").await?;

    for (name, answers) in [
        ("a12-mixed-1.good.test", &["127.0.0.1", "10.0.0.1"][..]),
        ("a12-mixed-2.good.test", &["10.0.0.1", "127.0.0.1"]),
        ("a12-mixed-3.good.test", &["127.0.0.1", "fc00::1"]),
        ("a12-mixed-4.good.test", &["127.0.0.1", "::ffff:127.0.0.1"]),
        ("a12-mixed-5.good.test", &["127.0.0.1", "169.254.169.254"]),
    ] {
        world.names.always(name, answers);
        scene.deny(&ask(name).await, 403, "address_blocked").await?;
    }
    world.names.script("a12-empty.good.test", |_, _| Answer::Addresses(Vec::new()));
    world.names.script("a12-missing.good.test", |_, _| Answer::NoSuchName);
    world.names.script("a12-silent.good.test", |_, _| Answer::Silence);
    for name in ["a12-empty.good.test", "a12-missing.good.test", "a12-silent.good.test"] {
        let answer = ask(name).await;
        ensure!(
            (answer.status, answer.code().as_str()) == (502, "upstream_failed"),
            "{name}: {} {}",
            answer.status_line(),
            answer.text()
        );
        ensure!(world.good.handshakes(name) == 0, "{name} was dialled");
    }
    for name in 1..=5 {
        ensure!(
            world.good.handshakes(&format!("a12-mixed-{name}.good.test")) == 0,
            "a mixed answer was dialled"
        );
    }
    scene.nosend()
}
