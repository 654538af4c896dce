//! N6: an upstream that takes its time with the handshake, so that what was decided before is over when the request
//! could be sent. It is decided again before a value is opened.

use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener, sync::oneshot};
use tokio_rustls::TlsAcceptor;

use crate::{
    authority::VALID,
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "N6").await;
    for what in ["disabled", "aimed elsewhere", "replaced", "ended"] {
        // It has accepted; now it waits for us, and then does everything right.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor =
            TlsAcceptor::from(world.authority.leaf(&[&scene.good], VALID).server_config(&[b"http/1.1"]));
        let ((accepted, is_accepted), (go, may_go)) = (oneshot::channel(), oneshot::channel::<()>());
        let upstream = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            accepted.send(()).unwrap();
            may_go.await.unwrap();
            let mut received = Vec::new();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read_to_end(&mut received).await;
            }
            received
        });
        let name = format!("SLOW_{}", what.replace(' ', "_").to_uppercase());
        let destination = json!({"host": scene.good, "port": port});
        scene.secret(&name, "bearer_token", json!([destination]), json!({"token": scene.s})).await;
        let lease = scene.lease_for(&scene.p, &[&name]).await;
        let (asking, bearer, authority) =
            (lease.clone(), lease.bearer(&name), format!("{}:{port}", scene.good));
        let asked = tokio::spawn(async move {
            asking.send(Way::Absolute, "GET", &authority, "/x", &[("Authorization", &bearer)], b"").await
        });
        is_accepted.await.unwrap();
        let secret = format!("/secrets/{name}");
        match what {
            "disabled" => drop(scene.owner.post(&format!("{secret}/disable"), json!({})).await.expect(204)),
            "aimed elsewhere" => {
                let elsewhere = json!({"host": scene.good, "port": port, "paths": ["/elsewhere"]});
                drop(scene.owner.patch(&secret, json!({"destinations": [elsewhere]})).await.expect(200));
            }
            "replaced" => {
                scene.owner.delete(&secret).await;
                let anew = json!({"name": format!("{name}_2"), "destinations": [destination]});
                scene.owner.post("/secrets", anew).await.expect(201);
            }
            _ => drop(scene.p.delete(&format!("/leases/{}", lease.id)).await.expect(204)),
        }
        go.send(()).unwrap();
        let answer = asked.await.unwrap();
        scene.noleak(what, &answer.raw)?;
        ensure!(answer.status == 0 || answer.status >= 400, "{what}: {}", answer.status_line());
        let received = upstream.await.unwrap();
        scene.noleak(&format!("{what}: what was sent"), &received)?;
        ensure!(received.is_empty(), "{what}: something was sent: {}", String::from_utf8_lossy(&received));
    }
    Ok(())
}
