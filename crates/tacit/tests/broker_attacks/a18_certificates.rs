//! A18: upstreams with certificates that are not theirs. There is no switch to skip the check, and nothing is sent
//! before it was passed.

use std::process::Command;

use serde_json::json;

use crate::{
    authority::{Authority, VALID, self_signed},
    ensure,
    harness::TACIT,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::Upstream,
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A18").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let host = scene.good.as_str();
    for (at, (what, leaf)) in [
        ("self-signed", self_signed(&[host])),
        ("of an unknown authority", Authority::new().leaf(&[host], VALID)),
        ("for another name", world.authority.leaf(&[&scene.evil], VALID)),
        ("for a longer name", world.authority.leaf(&[&format!("{host}.evil.test")], VALID)),
        ("for names below", world.authority.leaf(&[&format!("*.{host}")], VALID)),
        ("for its address", world.authority.leaf(&["127.0.0.1"], VALID)),
        ("expired", world.authority.leaf(&[host], (2020, 2021))),
        ("not yet valid", world.authority.leaf(&[host], (2080, 2090))),
    ]
    .into_iter()
    .enumerate()
    {
        let upstream = Upstream::start(leaf).await;
        let destinations = json!([{"host": host, "port": upstream.port}]);
        let name = format!("K{at}");
        scene.secret(&name, "bearer_token", destinations, json!({"token": scene.s})).await;
        let own = scene.lease_for(&scene.p, &[&name]).await;
        let bearer = own.bearer(&name);
        let authority = format!("{host}:{}", upstream.port);
        for way in Way::ALL {
            let answer = own.send(way, "GET", &authority, "/", &[("Authorization", &bearer)], b"").await;
            scene.deny(&answer, 502, "upstream_failed").await?;
        }
        let step = json!({"url": format!("https://{authority}/"), "auth": {"secret": name}});
        scene.deny_reply(&scene.sealed(&step).await, 502, "upstream_failed").await?;
        ensure!(upstream.bytes().is_empty(), "a server whose certificate is {what} got a request");
    }
    // No switch, neither for the operator nor for whoever writes a destination or a step.
    let help = Command::new(TACIT).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).to_lowercase();
    for word in ["insecure", "skip", "no-verify", "no-check"] {
        ensure!(!help.contains(word), "tacit serve has a switch named {word}");
    }
    for field in ["insecure", "verify", "tls_verify", "skip_verify"] {
        let destination = scene.destination(json!({field: false}));
        let reply = scene.owner.post("/secrets", json!({"name": "LAX", "destinations": [destination]})).await;
        ensure!(reply.status == 422, "a destination takes {field}: {}", reply.text);
        let step = json!({"url": scene.url("/"), "auth": {"secret": "KEY"}, field: false});
        ensure!(scene.sealed(&step).await.status == 422, "a step takes {field}");
    }
    Ok(())
}
