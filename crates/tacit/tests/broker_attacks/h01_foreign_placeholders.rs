//! H1: the placeholder of somebody else, or of another run. A lease knows its own placeholders alone: others are
//! text, and in a credential header one and the same refusal, whether they are unknown, foreign or over.

use serde_json::json;

use crate::{
    client::Answer,
    ensure,
    lease::{Lease, Way},
    scene::{Scene, Verdict, random_value},
    world::World,
};

/// All of an answer that somebody could compare.
fn comparable(answer: &Answer) -> (String, serde_json::Value) {
    let mut told = answer.json();
    told.as_object_mut().unwrap().remove("request_id");
    let differs =
        |line: &&str| ["x-request-id", "date"].iter().any(|name| line.to_lowercase().starts_with(name));
    let head = answer.head.lines().filter(|line| !differs(line)).collect::<Vec<_>>().join("\n");
    (head, told)
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "H1").await;
    let (one, two) = (scene.lease().await, scene.lease_for(&scene.p2, &["KEY"]).await);
    scene.works(&one).await;
    scene.works(&two).await;
    let again = scene.lease().await;
    let (_, stranger) = scene.stranger().await;
    let stranger_owner = world.owner.in_workspace("h1-other");
    let values = json!({"test": {"value": random_value()}});
    let secret = json!({"name": "KEY", "destinations": [scene.destination(json!({}))], "values": values});
    stranger_owner.post("/secrets", secret).await.expect(201);
    let elsewhere = scene.lease_for(&stranger, &["KEY"]).await;
    let over = scene.lease().await;
    scene.p.delete(&format!("/leases/{}", over.id)).await.expect(204);
    // Well-formed, and nobody's: the check characters of one cannot be computed here, so two real ones lend theirs.
    let unknown = foreign_and_gone(&scene).await;

    let heard = scene.seen().len();
    let mut answers = Vec::new();
    for placeholder in [one.ph("KEY"), again.ph("KEY"), elsewhere.ph("KEY"), over.ph("KEY"), &unknown] {
        for way in Way::ALL {
            let bearer = format!("Bearer {placeholder}");
            let answer = scene.via(way, &two, "GET", "/x", &[("Authorization", &bearer)], b"").await;
            scene.deny(&answer, 422, "unknown_reference").await?;
            answers.push(comparable(&answer));
        }
    }
    ensure!(answers.iter().all(|answer| *answer == answers[0]), "refusals differ: {answers:#?}");
    ensure!(scene.seen().len() == heard, "something was sent");
    // Elsewhere than in a credential it is text.
    for header in ["X-Custom", "Referer"] {
        let answer =
            scene.ask(&two, "POST", "/x", &[(header, one.ph("KEY"))], one.ph("KEY").as_bytes()).await;
        ensure!(
            answer.status == 200 && scene.last().text().contains(one.ph("KEY")),
            "{header}: {}",
            answer.text()
        );
        crate::scene::noleak(&scene.s, header, &scene.last().raw)?;
    }
    Ok(())
}

/// The placeholder of a lease that was ended, of a secret that is gone.
async fn foreign_and_gone(scene: &Scene) -> String {
    scene.text_secret("GONE", json!({})).await;
    let lease: Lease = scene.lease_for(&scene.p, &["GONE"]).await;
    scene.p.delete(&format!("/leases/{}", lease.id)).await.expect(204);
    scene.owner.delete("/secrets/GONE").await.expect(200);
    lease.ph("GONE").to_owned()
}
