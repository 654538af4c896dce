//! A14: the broker is sent to itself: its own port under every address and name, and sockets of the machine. Its
//! listeners are refused whoever names them, and there is no scheme for sockets.

use serde_json::json;

use crate::{
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A14").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let port = world.address.port();
    world.names.always("a14-self.good.test", &["127.0.0.1"]);
    world.names.always("a14-any.good.test", &["0.0.0.0"]);
    let hosts = ["127.0.0.1", "0.0.0.0", "a14-self.good.test", "a14-any.good.test", "localhost"];
    let both = |host| ["http", "https"].map(|scheme| json!({"host": host, "scheme": scheme, "port": port}));
    let named = hosts.into_iter().flat_map(both);
    scene.secret("SELF", "bearer_token", named.collect(), json!({"token": scene.s})).await;
    let own = scene.lease_for(&scene.p, &["SELF"]).await;
    let bearer = own.bearer("SELF");
    for host in hosts {
        let authority = format!("{host}:{port}");
        // As another host, and as one that a secret names.
        let (_, answer) = lease.connect(&authority).await;
        scene.deny(&answer, 403, "address_blocked").await?;
        for path in ["/healthz", "/v1/whoami", "/metrics"] {
            let answer =
                own.send(Way::Absolute, "GET", &authority, path, &[("Authorization", &bearer)], b"").await;
            scene.deny(&answer, 403, "address_blocked").await?;
        }
        for scheme in ["http", "https"] {
            let step = json!({"url": format!("{scheme}://{authority}/healthz"), "auth": {"secret": "SELF"}});
            scene.deny_reply(&scene.sealed(&step).await, 403, "address_blocked").await?;
        }
    }
    for url in
        ["unix:///var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "file:///etc/passwd"]
    {
        let reply = scene.sealed(&json!({"url": url, "auth": {"secret": "KEY"}})).await;
        ensure!(reply.status == 422, "{url}: {}", reply.text);
        let mut conn = crate::client::Conn::open(lease.proxy).await;
        let head =
            format!("GET {url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {}\r\n\r\n", lease.credentials());
        conn.write(head).await;
        let answer = conn.answer().await;
        ensure!(matches!(answer.status, 400..500), "{url}: {}", answer.status_line());
    }
    scene.nosend()
}
