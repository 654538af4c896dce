//! B4: the attacker's own credential on the allowed host, under which everything that is sent there belongs to the
//! attacker. On a bound host only stored secrets may be credentials.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict, random_value},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "B4").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let bearer = lease.bearer("KEY");
    for (name, value) in [
        ("Authorization", "Bearer attackers-own"),
        ("Authorization", "Basic YTpi"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
        ("authorization", "x"),
        ("X-Api-Key", "attackers-own"),
        ("Api-Key", "attackers-own"),
        ("X-Auth-Token", "attackers-own"),
        ("Private-Token", "attackers-own"),
        ("Cookie", "session=attackers"),
        ("X-Amz-Security-Token", "attackers-own"),
        ("X-Goog-Api-Key", "attackers-own"),
        ("X-Signature", "attackers-own"),
    ] {
        for way in Way::ALL {
            let answer = scene.via(way, &lease, "GET", "/", &[(name, value)], b"").await;
            scene.deny(&answer, 403, "foreign_credential").await?;
        }
        if !name.eq_ignore_ascii_case("authorization") {
            let both = [("Authorization", bearer.as_str()), (name, value)];
            scene.deny(&scene.ask(&lease, "GET", "/", &both, b"").await, 403, "foreign_credential").await?;
        }
        let step = json!({"url": scene.url("/"), "headers": {name: value}});
        scene.deny_reply(&scene.sealed(&step).await, 403, "foreign_credential").await?;
    }
    // A token for a user name, before which a service does not look at the password.
    let beside = STANDARD.encode(format!("ghp_0123456789abcdefghijABCDEFGHIJ012345:{}", lease.ph("KEY")));
    for way in Way::ALL {
        let answer =
            scene.via(way, &lease, "GET", "/", &[("Authorization", &format!("Basic {beside}"))], b"").await;
        scene.deny(&answer, 403, "foreign_credential").await?;
    }
    for path in
        ["/?access_token=mine", "/?api_key=mine", "/?key=mine", "/?a=b&X-Amz-Signature=mine", "/?%61pi_key=x"]
    {
        let answer = scene.ask(&lease, "GET", path, &[("Authorization", &bearer)], b"").await;
        scene.deny(&answer, 403, "foreign_credential").await?;
    }
    // Nor by way of a lease that does not know the host, in a tunnel that nobody looks into.
    let elsewhere = json!([{"host": scene.evil, "port": world.evil.port}]);
    scene.secret("ELSEWHERE", "bearer_token", elsewhere, json!({"token": random_value()})).await;
    let body = json!({"environment": "test", "secrets": [{"name": "ELSEWHERE"}], "other_hosts": "tunnel"});
    let other = scene.lease_with(&scene.p, body).await;
    let (_, answer) = other.connect(&scene.authority()).await;
    scene.deny(&answer, 403, "address_blocked").await?;
    for way in [Way::Absolute, Way::Base] {
        let headers = [("Authorization", "Bearer attackers-own")];
        let answer = scene.via(way, &other, "GET", "/", &headers, b"").await;
        ensure!(answer.status == 403, "{way:?}: {}", answer.text());
    }
    ensure!(scene.seen().len() == 1, "something was sent");
    Ok(())
}
