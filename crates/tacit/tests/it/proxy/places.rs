//! Where a placeholder counts, where it is text, and where it is a mistake.

use hyper::Request;
use serde_json::{Value, json};

use super::{
    KEY, Scene, bearer,
    client::{Answer, whole},
};

/// A1, A17: a placeholder goes to its destinations, and everywhere else nothing is sent.
#[tokio::test]
async fn refusals() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let auth = bearer(&lease);
    let by_address = format!("127.0.0.1:{}", scene.good.port);
    let denied = |code| scene.server.owner.event_soon(code);
    // Another path than the destination by address allows.
    lease
        .send(&by_address, "/v1/x", &[("authorization", &auth)])
        .await
        .refused(403, "destination_not_allowed");
    denied("verb=secret.use&object=secret:STRIPE_KEY&outcome=denied").await;
    lease.send(&by_address, "/echo/x", &[("authorization", &auth)]).await;
    assert_eq!(scene.good.got().len(), 1);
    // A bound host by another port.
    let answer = lease.connect(&format!("good.localhost:{}", scene.other.port)).await.unwrap_err();
    answer.refused(403, "destination_not_allowed");
    denied("verb=request.send&outcome=denied").await;
    // Placeholders that are nobody's, of another lease, or in the wrong place.
    let another = scene.lease(json!({})).await;
    let foreign = bearer(&another);
    let made_up = format!("Bearer {}", another.placeholder("VENDOR"));
    let mut told = Vec::new();
    for value in [&foreign, &made_up] {
        let answer = lease.send(&scene.good(), "/echo", &[("authorization", value)]).await;
        answer.refused(422, "unknown_reference");
        let mut problem: Value = serde_json::from_str(&answer.text).unwrap();
        problem["request_id"].take();
        told.push(problem);
    }
    assert_eq!(told[0], told[1]);
    let doubled = format!("{auth}x");
    for (name, value) in
        [("authorization", doubled.as_str()), ("cookie", &auth), ("x-auth-key", lease.placeholder("LOGIN"))]
    {
        lease.send(&scene.good(), "/echo", &[(name, value)]).await.refused(403, "placement_not_allowed");
    }
    // Somebody's own credential on a host that wants none but stored ones.
    lease
        .send(&scene.good(), "/echo", &[("authorization", "Bearer mine")])
        .await
        .refused(403, "foreign_credential");
    assert_eq!(scene.good.got().len(), 1);
    // Everywhere else a placeholder is text.
    let text = lease.placeholder("STRIPE_KEY");
    lease.send(&scene.good(), &format!("/echo?q={text}"), &[("x-note", text), ("user-agent", text)]).await;
    let got = scene.good.last();
    assert_eq!((got.header("x-note"), got.header("user-agent")), (text, text));
    assert!(got.line.ends_with(text));
}

/// Declared places: a query parameter and a field of a JSON body.
#[tokio::test]
async fn declared_places() {
    let scene = Scene::new().await;
    let lease = scene.lease(json!({})).await;
    let text = lease.placeholder("STRIPE_KEY");
    let answer = lease.send(&scene.good(), &format!("/echo?key={text}&b=1"), &[]).await;
    assert_eq!(scene.good.last().line, format!("GET /echo?key={KEY}&b=1"));
    scene.is_clean(&answer.text);
    let post = async |body: String, content_type: &str| {
        let mut sender = lease.http1(&scene.good()).await;
        let request =
            Request::post("/echo").header("host", scene.good()).header("content-type", content_type);
        Answer::of(sender.send_request(request.body(whole(body)).unwrap()).await.unwrap()).await
    };
    let body = json!({"client": {"secret": text}, "note": text});
    let answer = post(body.to_string(), "application/json").await;
    let got: Value = serde_json::from_slice(&scene.good.last().body).unwrap();
    assert_eq!(got, json!({"client": {"secret": KEY}, "note": text}));
    scene.is_clean(&answer.text);
    // Around the value the body is what was sent, to the byte: numbers that no parser keeps, escapes, blanks.
    let body = |value: &str| {
        format!(
            "{{ \"big\": 12345678901234567890123,\n\"exact\": 0.10000000000000000000001,\t\"e\":1E2, \"\\u00e9\": \"\\/\", \"client\": {{\"secret\": \"{value}\" }} }}\n"
        )
    };
    let answer = post(body(text), "application/json").await;
    assert_eq!((answer.status, scene.good.last().body), (200, body(KEY).into_bytes()), "{}", answer.text);
    // A value is written as a string holds it.
    let at_good =
        json!({"host": "good.localhost", "port": scene.good.port, "places": ["json:/client/secret"]});
    let values = json!({"test": {"value": "Zq\"8\\Wn3Lk5Rt7Yp2Xc9Vb4é"}});
    let odd = json!({"name": "ODD", "destinations": [at_good], "values": values});
    scene.server.owner.post("/secrets", odd).await.expect(201);
    let another = scene.lease(json!({"secrets": [{"name": "ODD"}]})).await;
    let mut sender = another.http1(&scene.good()).await;
    let request =
        Request::post("/echo").header("host", scene.good()).header("content-type", "application/json");
    let request = request.body(whole(body(another.placeholder("ODD")))).unwrap();
    let answer = Answer::of(sender.send_request(request).await.unwrap()).await;
    assert_eq!(scene.good.last().body, body("Zq\\\"8\\\\Wn3Lk5Rt7Yp2Xc9Vb4é").into_bytes());
    assert!(answer.status == 200 && !answer.text.contains("Wn3Lk5Rt7Yp2Xc9V"), "{}", answer.text);
    // Elsewhere in a body it is text, to the byte (attack B13).
    let body = format!("{{ \"note\":  \"{text}\" }}");
    post(body.clone(), "application/json").await;
    assert_eq!(scene.good.last().body, body.as_bytes());
    // What can be read in two ways is refused, and so is what is too long to be looked into.
    let twice = format!("{{\"client\": {{\"secret\": \"x\", \"secret\": \"{text}\"}}}}");
    post(twice, "application/json").await.refused(400, "validation_failed");
    let long = json!({"client": {"secret": text}, "filler": "x".repeat(1024 * 1024)}).to_string();
    post(long, "application/json").await.refused(413, "payload_too_large");
}
