//! J5: how long a look-up takes tells how much of a placeholder was right. It is looked up by its hash. A test must
//! not depend on time, so this one compares what is said, byte for byte; the measurement beside it is to be asked
//! for.

use std::time::Instant;

use crate::{
    client::request,
    ensure,
    lease::Lease,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "J5").await;
    let (lease, candidates) = candidates(&scene).await;
    let mut told = Vec::new();
    for candidate in &candidates {
        let answer =
            scene.ask(&lease, "GET", "/x", &[("Authorization", &format!("Bearer {candidate}"))], b"").await;
        scene.deny(&answer, 422, "unknown_reference").await?;
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        told.push((answer.body.len(), body));
    }
    ensure!(told.iter().all(|body| *body == told[0]), "{told:#?}");
    Ok(())
}

/// Placeholders that are over, somebody else's, and of another shape, and the lease to try them with.
async fn candidates(scene: &Scene) -> (Lease, Vec<String>) {
    let lease = scene.lease().await;
    let over = scene.lease().await;
    scene.p.delete(&format!("/leases/{}", over.id)).await.expect(204);
    let foreign = scene.lease_for(&scene.p2, &["KEY"]).await;
    let shaped = serde_json::json!({"environment": "test", "secrets": [{"name": "KEY", "shape": "sk_live"}]});
    let shaped = scene.lease_with(&scene.p2, shaped).await;
    let all = [&over, &foreign, &shaped].map(|lease| lease.ph("KEY").to_owned());
    (lease, all.into())
}

/// Medians of many look-ups, to be within five percent of each other on a quiet machine.
#[test]
#[ignore = "a measurement: run it alone, on a machine that does nothing else"]
fn measure_look_ups() {
    let world = crate::world::world();
    crate::world::runtime().block_on(async {
        let scene = Scene::new(world, "J5M").await;
        let (lease, candidates) = candidates(&scene).await;
        let requests = candidates.iter().map(|candidate| {
            let bearer = format!("Bearer {candidate}");
            request("GET", "/x", &scene.authority(), &[("Authorization", &bearer)], b"")
        });
        let requests: Vec<Vec<u8>> = requests.collect();
        let mut times = vec![Vec::new(); requests.len()];
        // In turns, so that whatever else the machine does happens to all of them.
        for _ in 0..300 {
            for (bytes, times) in requests.iter().zip(&mut times) {
                let mut conn = lease.tunnel(&scene.authority()).await;
                let started = Instant::now();
                conn.write(bytes).await;
                conn.answer().await;
                times.push(started.elapsed());
            }
        }
        let medians: Vec<f64> = times
            .iter_mut()
            .map(|times| {
                times.sort();
                times[times.len() / 2].as_secs_f64()
            })
            .collect();
        let (least, most) =
            (medians.iter().copied().fold(f64::MAX, f64::min), medians.iter().copied().fold(0.0, f64::max));
        assert!(most / least < 1.05, "medians {medians:?}");
    });
}
