//! The end of a lease, of a permission, of the server.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::Request;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::{
    Scene, bearer,
    client::{Answer, whole},
};

/// H2: when a lease ends, requests, tunnels and downloads under it end within a second.
#[tokio::test]
async fn the_end_of_a_lease() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let auth = bearer(&lease);
    let mut sender = lease.http1(&scene.good()).await;
    let request = Request::get("/endless").header("host", scene.good()).header("authorization", &auth);
    let mut body = sender.send_request(request.body(whole("")).unwrap()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    let other = format!("other.localhost:{}", scene.other.port);
    let mut blind = lease.connect(&other).await.unwrap();
    let mut idle = lease.http1(&scene.good()).await;
    scene.editor.delete(&format!("/leases/{}", lease.id)).await.expect(204);
    let ended = Instant::now();
    while let Some(Ok(_)) = body.frame().await {}
    assert_eq!(blind.read(&mut [0; 16]).await.unwrap_or(0), 0);
    // Uncut it would go on for twenty seconds.
    assert!(ended.elapsed() < Duration::from_secs(15), "{:?}", ended.elapsed());
    let request = Request::get("/echo").header("host", scene.good()).header("authorization", &auth);
    // It is cut, or was quick enough to be told why.
    if let Ok(answer) = idle.send_request(request.body(whole("")).unwrap()).await {
        Answer::of(answer).await.refused(401, "unauthenticated");
    }
    lease.connect(&scene.good()).await.unwrap_err().refused(407, "unauthenticated");
    assert_eq!(scene.good.got().len(), 1);
}

/// A narrower destination, or a disabled secret, counts for the next request of a tunnel that is open.
#[tokio::test]
async fn the_policy_of_this_moment() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let auth = bearer(&lease);
    let mut sender = lease.http1(&scene.good()).await;
    let request = || {
        Request::get("/echo")
            .header("host", scene.good())
            .header("authorization", &auth)
            .body(whole(""))
            .unwrap()
    };
    assert_eq!(Answer::of(sender.send_request(request()).await.unwrap()).await.status, 200);
    scene.server.owner.post("/secrets/STRIPE_KEY/disable", json!({})).await;
    Answer::of(sender.send_request(request()).await.unwrap()).await.refused(409, "secret_disabled");
    assert_eq!(scene.good.got().len(), 1);
}

/// The server stops in order, with a tunnel open and a request in flight.
#[tokio::test]
async fn stopping() {
    let mut scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let _idle = lease.http1(&scene.good()).await;
    let mut sender = lease.http1(&scene.good()).await;
    let request =
        Request::get("/events").header("host", scene.good()).header("authorization", bearer(&lease));
    let response = sender.send_request(request.body(whole("")).unwrap()).await.unwrap();
    let reading = tokio::spawn(response.into_body().collect());
    let stopped = tokio::task::spawn_blocking(move || (scene.server.stop(), scene));
    let body = reading.await.unwrap().unwrap().to_bytes();
    assert!(body.ends_with(b"data: three\n\n"));
    assert!(stopped.await.unwrap().0.success());
}
