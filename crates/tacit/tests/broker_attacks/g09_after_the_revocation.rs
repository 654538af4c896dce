//! G9: connections outlive the right they were opened with. Each request is decided anew, and what is open under a
//! lease is cut soon after the lease, or whoever took it, has ended.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::{
    client::{Conn, request},
    ensure,
    lease::Lease,
    scene::{Scene, Verdict},
    world::World,
};

/// How soon. What is promised is a second; a busy machine gets more.
const SOON: Duration = Duration::from_secs(6);

/// Whether the other side closes this connection.
async fn is_cut(conn: &mut Conn) -> bool {
    timeout(SOON, async { while !conn.some().await.is_empty() {} }).await.is_ok()
}

/// A tunnel to the good host on which a request was answered, and one to the evil host.
async fn open(scene: &Scene, lease: &Lease) -> (Conn, Conn) {
    let mut tunnel = lease.tunnel(&scene.authority()).await;
    assert_eq!(again(scene, lease, &mut tunnel).await.0, 200);
    let (blind, answer) = lease.connect(&scene.evil_authority()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let blind = blind.tls(&scene.evil, &scene.world.authority.pem(), &[]).await.unwrap();
    (tunnel, blind)
}

/// Another request on it: status and code.
async fn again(scene: &Scene, lease: &Lease, conn: &mut Conn) -> (u16, String) {
    conn.write(request("GET", "/again", &scene.authority(), &[("Authorization", &lease.bearer("KEY"))], b""))
        .await;
    let answer = conn.answer().await;
    (answer.status, answer.code())
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "G9").await;

    // Things happen to the secret: the tunnel stays, the next request is refused.
    for (what, code) in [("disabled", "secret_disabled"), ("aimed elsewhere", "destination_not_allowed")] {
        let lease = scene.lease().await;
        let (mut tunnel, _blind) = open(&scene, &lease).await;
        let heard = scene.seen().len();
        if what == "disabled" {
            scene.owner.post("/secrets/KEY/disable", json!({})).await.expect(204);
        } else {
            let narrow = json!({"destinations": [scene.destination(json!({"paths": ["/elsewhere"]}))]});
            scene.owner.patch("/secrets/KEY", narrow).await.expect(200);
        }
        let told = again(&scene, &lease, &mut tunnel).await;
        ensure!(told.1 == code, "{what}: {told:?}");
        ensure!(scene.seen().len() == heard, "{what}: it was sent");
        if what == "disabled" {
            scene.owner.post("/secrets/KEY/enable", json!({})).await.expect(204);
        }
    }
    let fresh =
        json!({"destinations": [scene.destination(json!({}))], "values": {"test": {"token": scene.s}}});
    scene.owner.patch("/secrets/KEY", fresh).await.expect(200);

    // Things happen to the lease or to whoever took it: everything is cut.
    for what in ["lease", "token", "account"] {
        let name = format!("p-{what}");
        let client = scene.client(&name, "editor").await;
        let lease = scene.lease_for(&client, &["KEY"]).await;
        let (mut tunnel, mut blind) = open(&scene, &lease).await;
        let mut in_flight = lease.tunnel(&scene.authority()).await;
        scene.on("/slow", |_| {
            vec![
                crate::upstream::chunked_head("text/plain"),
                crate::upstream::Act::Wait(Duration::from_secs(60)),
            ]
        });
        in_flight
            .write(request(
                "GET",
                "/slow",
                &scene.authority(),
                &[("Authorization", &lease.bearer("KEY"))],
                b"",
            ))
            .await;
        let account = format!("/service-accounts/{name}");
        match what {
            "lease" => drop(client.delete(&format!("/leases/{}", lease.id)).await.expect(204)),
            "token" => {
                let tokens = scene.owner.get(&format!("{account}/tokens")).await.expect(200);
                let id = tokens["items"][0]["id"].as_str().unwrap();
                scene.owner.delete(&format!("{account}/tokens/{id}")).await.expect(204);
            }
            _ => drop(scene.owner.delete(&account).await.expect(204)),
        }
        let heard = scene.seen().len();
        let told = again(&scene, &lease, &mut tunnel).await;
        ensure!(told.0 == 0 || told.0 == 401, "{what}: the next request was answered {told:?}");
        ensure!(
            !scene.seen()[heard..].iter().any(|seen| seen.line().contains("again")),
            "{what}: it was sent"
        );
        for (kind, conn) in
            [("tunnel", &mut tunnel), ("blind tunnel", &mut blind), ("request in flight", &mut in_flight)]
        {
            ensure!(is_cut(conn).await, "{what}: the {kind} is still open");
        }
        let (_, answer) = lease.connect(&scene.authority()).await;
        ensure!(answer.status == 407, "{what}: a new tunnel: {}", answer.status_line());
    }
    Ok(())
}
