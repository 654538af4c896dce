//! What comes back, and how: in a stream, scrubbed, up to a point.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    KEY, Scene, bearer,
    client::{Answer, Lease, whole},
};

/// A redirect is the answer, without the value that it would carry away.
#[tokio::test]
async fn redirects_are_not_followed() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let answer = lease.send(&scene.good(), "/redirect", &[("authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 302);
    scene.is_clean(answer.headers["location"].to_str().unwrap());
    assert_eq!(scene.good.got().len(), 1);
}

/// E8: bodies stream in both directions; the credential is there before an upload has ended.
#[tokio::test]
async fn uploads_and_downloads_stream() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let mut stream = lease.tls(&scene.good(), "http/1.1").await.unwrap();
    let total = 3 * 1024 * 1024;
    let head = format!(
        "PUT /upload HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Length: {total}\r\n\r\n",
        scene.good(),
        bearer(&lease)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; total / 2]).await.unwrap();
    let started = Instant::now();
    while scene.good.uploaded() < total / 4 {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing of the upload arrived before its end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stream.write_all(&vec![b'x'; total - total / 2]).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let got = scene.good.last();
    assert_eq!((got.body.len(), got.header("content-length")), (total, total.to_string().as_str()));
    assert_eq!(got.header("authorization"), format!("Bearer {KEY}"));

    let answer = lease.send(&scene.good(), "/download", &[("authorization", &bearer(&lease))]).await;
    assert_eq!(answer.text.len(), 64 * 64 * 1024);
    // What trickles arrives while it trickles, but for what the scrubber holds back.
    let mut sender = lease.http1(&scene.good()).await;
    let request =
        Request::get("/endless").header("host", scene.good()).header("authorization", bearer(&lease));
    let mut body = sender.send_request(request.body(whole("")).unwrap()).await.unwrap().into_body();
    let started = Instant::now();
    for _ in 0..5 {
        body.frame().await.unwrap().unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(15));
    // Whoever hangs up does not keep the outcome off the record.
    drop((body, sender));
    let event = scene.server.owner.event_soon("verb=secret.use&outcome=succeeded").await;
    assert_eq!(event["status"], 200, "{event}");
}

/// Server-sent events arrive one by one, each scrubbed and whole.
#[tokio::test]
async fn server_sent_events() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let mut sender = lease.http1(&scene.good()).await;
    let request =
        Request::get("/events").header("host", scene.good()).header("authorization", bearer(&lease));
    let response = sender.send_request(request.body(whole("")).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let started = Instant::now();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"data: one\n\n");
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    let rest = body.collect().await.unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("[sealed:STRIPE_KEY]") && rest.ends_with("data: three\n\n"), "{rest}");
    scene.is_clean(&rest);
}

/// A value that is written, or bound to the host, while an answer streams is not in that answer: it is searched for what was
/// known when it began, and ends when there is more.
#[tokio::test]
async fn values_that_are_newer_than_an_answer() {
    const NEWER: &str = "Lp0Oo9Ii8Uu7Yy6Tt5Rr4Ee3Ww2Qq1Aa";
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let post = async |lease: &Lease, alias: &str| {
        let mut sender = lease.http1(&scene.good()).await;
        let body = json!({"client": {"secret": lease.placeholder(alias)}}).to_string();
        let request =
            Request::post("/post").header("host", scene.good()).header("content-type", "application/json");
        let answer = sender.send_request(request.body(whole(body)).unwrap()).await.unwrap();
        assert_eq!(Answer::of(answer).await.status, 200);
    };
    let feed = async || {
        let mut sender = lease.http1(&scene.good()).await;
        let request =
            Request::get("/feed").header("host", scene.good()).header("authorization", bearer(&lease));
        sender.send_request(request.body(whole("")).unwrap()).await.unwrap().into_body()
    };
    let mut rotated = feed().await;
    post(&lease, "STRIPE_KEY").await;
    let event = rotated.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&event).contains("[sealed:STRIPE_KEY]"));
    // What has nothing to do with what is looked for changes nothing.
    scene.server.owner.post("/secrets", json!({"name": "UNRELATED"})).await.expect(201);
    post(&lease, "STRIPE_KEY").await;
    rotated.frame().await.unwrap().unwrap();
    let fields = json!({"fields": {"token": NEWER}});
    scene.server.owner.put("/secrets/STRIPE_KEY/values/test", fields).await.expect(201);
    post(&lease, "STRIPE_KEY").await;
    assert!(rotated.frame().await.is_none_or(|frame| frame.is_err()), "it went on");

    let mut joined = feed().await;
    let places =
        json!({"host": "good.localhost", "port": scene.good.port, "places": ["json:/client/secret"]});
    let late = json!({"name": "LATE", "destinations": [places], "values": {"test": {"value": &NEWER[4..]}}});
    scene.server.owner.post("/secrets", late).await.expect(201);
    post(&scene.lease(json!({"secrets": [{"name": "LATE"}]})).await, "LATE").await;
    while let Some(Ok(frame)) = joined.frame().await {
        let text = String::from_utf8_lossy(&frame.into_data().unwrap_or_default()).into_owned();
        assert!(!text.contains(&NEWER[4..]), "{text}");
    }
    scene.server.owner.event_soon("verb=secret.use&outcome=failed").await;
}

/// The same for a sealed request, whose answer is read whole: it is searched again, and the record names what was opened for
/// that.
#[tokio::test]
async fn values_that_are_newer_than_a_sealed_answer() {
    const NEWER: &str = "Lp0Oo9Ii8Uu7Yy6Tt5Rr4Ee3Ww2Qq1Aa";
    let scene = Scene::new().await;
    let url = |path: &str| format!("https://{}{path}", scene.good());
    let waiting = async {
        let request = json!({"environment": "test", "method": "GET", "url": url("/posted")});
        scene.editor.post("/requests", request).await.expect(200)
    };
    let meanwhile = async {
        while scene.good.got().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let fields = json!({"fields": {"token": NEWER}});
        scene.server.owner.put("/secrets/STRIPE_KEY/values/test", fields).await.expect(201);
        let body = json!({"json": {"client": {"secret": "{{secrets.STRIPE_KEY}}"}}});
        let request = json!({"environment": "test", "method": "POST", "url": url("/post"), "body": body});
        scene.editor.post("/requests", request).await.expect(200);
    };
    let (answer, ()) = tokio::join!(waiting, meanwhile);
    assert!(String::from_utf8_lossy(&scene.good.last().body).contains(NEWER));
    assert!(!answer.to_string().contains(&NEWER[8..]), "{answer}");
    // Whether its name may be told was not decided on.
    assert_eq!(answer["body"], json!({"client": {"secret": "[sealed]"}}).to_string(), "{answer}");
    assert!(answer["redactions"].as_u64() >= Some(2), "{answer}");
    let event = scene.server.owner.event_soon("verb=request.send&outcome=succeeded").await;
    assert_eq!(event["secrets"].as_array().map(Vec::len), Some(1), "{event}");
}
