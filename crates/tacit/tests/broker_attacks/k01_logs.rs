//! K1: values in logs, panics and debug output. A server that logs all it can, libraries included, is asked for
//! everything that handles a value; then its log is searched.

use serde_json::json;

use crate::{
    disguise::Detector,
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    sftp_server::SftpServer,
    upstream::{Act, write},
    world::World,
};

pub(crate) async fn case(_: &'static World) -> Verdict {
    let world =
        World::own(&[], &[("TACIT_LOG", "trace"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")]).await;
    let places = json!({"places": ["auth", "header:X-Custom", "query:k", "path", "json:/k", "form:k"]});
    let scene = Scene::with(world, "K1", places).await;
    let destinations = json!([{"host": scene.good, "port": world.good_h2.port}]);
    scene.secret("H2", "bearer_token", destinations, json!({"token": scene.s})).await;
    let lease = scene.lease_for(&scene.p, &["KEY", "H2"]).await;
    let (ph, bearer) = (lease.ph("KEY"), lease.bearer("KEY"));
    scene.on("/broken", |seen| vec![write(format!("HTTP/1.1 200 {0}\r\n{0}\r\n\r\n", seen.s)), Act::Close]);
    scene.on("/cut", |seen| {
        vec![write(format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{}", seen.s)), Act::Close]
    });
    let json_body = format!("{{\"k\":\"{ph}\"}}");
    let form_body = format!("k={ph}");
    for way in Way::ALL {
        for (method, path, headers, body) in [
            ("GET", "/x".to_owned(), vec![("Authorization", bearer.as_str())], ""),
            ("GET", "/x".to_owned(), vec![("X-Custom", ph)], ""),
            ("GET", format!("/x?k={ph}"), vec![], ""),
            ("GET", format!("/x/{ph}"), vec![], ""),
            ("POST", "/x".to_owned(), vec![("Content-Type", "application/json")], json_body.as_str()),
            (
                "POST",
                "/x".to_owned(),
                vec![("Content-Type", "application/x-www-form-urlencoded")],
                &form_body,
            ),
            ("GET", "/broken".to_owned(), vec![("Authorization", bearer.as_str())], ""),
            ("GET", "/cut".to_owned(), vec![("Authorization", bearer.as_str())], ""),
            ("GET", "/as/hex".to_owned(), vec![("Authorization", bearer.as_str())], ""),
            ("GET", "/../x".to_owned(), vec![("Authorization", bearer.as_str())], ""),
            ("GET", "/x".to_owned(), vec![("Cookie", ph)], ""),
        ] {
            let answer = scene.via(way, &lease, method, &path, &headers, body.as_bytes()).await;
            scene.noleak("an answer", &answer.raw)?;
        }
        let authority = format!("{}:{}", scene.good, world.good_h2.port);
        let answer =
            lease.send(way, "GET", &authority, "/x", &[("Authorization", &lease.bearer("H2"))], b"").await;
        ensure!(answer.status == 200, "over HTTP/2: {}", answer.text());
    }
    scene.observe(&lease, "/works").await;
    scene
        .run(
            "logged",
            json!([{"id": "a", "http": {"url": scene.url("/x"), "auth": {"secret": "KEY"}}}]),
            json!({}),
        )
        .await;
    // SSH servers say much of their own accord, and when they are left.
    let server = SftpServer::start().await;
    let destination =
        json!([{"host": scene.good, "scheme": "sftp", "port": server.port, "host_key": server.host_key}]);
    scene.secret("BANK", "sftp_password", destination, json!({"username": "u", "password": scene.s})).await;
    for path in ["/plain", "/refused", "/goodbye"] {
        let sftp = json!({"host": scene.good, "port": server.port, "auth": {"secret": "BANK"}, "get": {"path": path}});
        scene.run("files", json!([{"id": "a", "sftp": sftp}]), json!({})).await;
    }
    ensure!(server.logins().len() == 3, "S did not arrive");
    scene
        .owner
        .put("/secrets/KEY/values/test", json!({"fields": {"token": crate::scene::random_value()}}))
        .await
        .expect(201);
    scene.owner.post("/secrets/KEY/values/test/reveal", json!({})).await.refused(403, "restricted_secret");
    ensure!(
        scene.seen().iter().filter(|seen| seen.text().contains(&scene.s)).count() > 20,
        "S was hardly used"
    );

    let log = world.log();
    let targets: std::collections::BTreeSet<String> = String::from_utf8_lossy(&log)
        .lines()
        .filter_map(|line| Some(line.split("\"target\":\"").nth(1)?.split(['"', ':']).next()?.to_owned()))
        .collect();
    ensure!(
        memchr::memmem::find(&log, b"\"TRACE\"").is_some() && targets.len() > 3,
        "the log is not at its most talkative: {targets:?}"
    );
    // It writes down what a server asks for by name, warnings included.
    ensure!(!targets.contains("russh"), "the SSH library logs");
    let detector = Detector::new([&scene.s[8..]]);
    for line in log.split(|byte| *byte == b'\n') {
        if let Some(found) = detector.find(line, 1) {
            return Err(format!("the log holds {found}: {}", String::from_utf8_lossy(line)));
        }
        // Nor what stands for it: a placeholder and a token are credentials of a kind.
        for text in [ph, &lease.token] {
            ensure!(
                memchr::memmem::find(line, text.as_bytes()).is_none(),
                "the log holds {text}: {}",
                String::from_utf8_lossy(line)
            );
        }
    }
    Ok(())
}
