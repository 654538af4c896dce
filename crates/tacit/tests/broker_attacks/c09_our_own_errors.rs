//! C9: what we say ourselves when something fails. A code and a request id, no URL with a query, no text of an
//! upstream.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::{Act, write},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let places = json!({"places": ["auth", "query:api_key"]});
    let scene = Scene::with(world, "C9", places.clone()).await;
    // A port that nobody listens on, until somebody does.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = free.local_addr().unwrap().port();
    drop(free);
    let mut nowhere = json!({"host": scene.good, "port": closed});
    nowhere["places"] = places["places"].clone();
    scene.secret("DOWN", "bearer_token", json!([nowhere]), json!({"token": scene.s})).await;
    let down = scene.lease_for(&scene.p, &["DOWN"]).await;
    let path = format!("/x?api_key={}&note=telltale", down.ph("DOWN"));
    for way in Way::ALL {
        let answer = down.send(way, "GET", &format!("{}:{closed}", scene.good), &path, &[], b"").await;
        scene.deny(&answer, 502, "upstream_failed").await?;
        let told = String::from_utf8_lossy(&answer.raw).into_owned();
        ensure!(!told.contains("api_key") && !told.contains("telltale"), "a query in an error: {told}");
        ensure!(answer.json()["request_id"].as_str().is_some_and(|id| id.len() > 8), "no request id: {told}");
    }
    let url = format!("https://{}:{closed}/x", scene.good);
    let step = json!({"url": url, "query": {"api_key": "{{secrets.DOWN}}", "note": "telltale"}});
    let reply = scene.sealed(&step).await;
    scene.deny_reply(&reply, 502, "upstream_failed").await?;
    ensure!(!reply.text.contains("telltale"), "{}", reply.text);

    // Answers that are none: nothing of them is told.
    let lease = scene.lease().await;
    for (at, reply) in [
        "HTTP/1.1 200 OK\r\ncontent-length: S\r\n\r\n",
        "S\r\n\r\n",
        "HTTP/1.1 S\r\n\r\n",
        "HTTP/1.1 200 OK\r\nS\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: S\r\n\r\n",
        "HTTP/9.9 200 S\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-encoding: S\r\ncontent-length: 1\r\n\r\nx",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/broken-{at}");
        scene.on(&path, move |seen| {
            vec![write(reply.replace('S', &format!("{}-telltale", seen.s))), Act::Close]
        });
        for seen in scene.observe_noleak(&lease, &path).await? {
            ensure!(seen.status == 502, "{reply:?} by {}: {} {}", seen.how, seen.status, seen.body);
            ensure!(
                !String::from_utf8_lossy(&seen.bytes).contains("telltale"),
                "{reply:?} by {}: {}",
                seen.how,
                seen.body
            );
        }
    }
    Ok(())
}
