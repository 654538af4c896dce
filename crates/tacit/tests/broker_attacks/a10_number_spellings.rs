//! A10: addresses written as decimal, octal, hexadecimal or short numbers. They match no name, are no address that
//! anybody dials, and never reach a resolver.

use serde_json::json;

use crate::{
    client::{Conn, request},
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A10").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let (bearer, credentials) = (lease.bearer("KEY"), lease.credentials());
    let connections = world.good.seen("").len() + world.evil.seen("").len();
    for host in [
        "2130706433",
        "017700000001",
        "0x7f.1",
        "0x7f000001",
        "127.1",
        "0",
        "0x0",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0x0.0x0.0x1",
        "127.0.0.0x1",
        "127.0.0.01",
        "00000127.0.0.1",
        "127.0.0.1.",
        "256.256.256.256",
        "1.2.3.4.5",
        "4294967296",
        "good.test.1",
        "x.0x1",
        "127.000.000.001",
    ] {
        for port in [world.good.port, world.evil.port] {
            let authority = format!("{host}:{port}");
            let mut conn = Conn::open(lease.proxy).await;
            conn.write(request(
                "CONNECT",
                &authority,
                &authority,
                &[("Proxy-Authorization", &credentials)],
                b"",
            ))
            .await;
            let answer = conn.head().await;
            ensure!(matches!(answer.status, 400 | 403), "CONNECT {authority}: {}", answer.status_line());
            for way in [Way::Absolute, Way::Base] {
                let answer =
                    lease.send(way, "GET", &authority, "/", &[("Authorization", &bearer)], b"").await;
                ensure!(
                    matches!(answer.status, 400 | 403),
                    "{authority} by {way:?}: {}",
                    answer.status_line()
                );
            }
            let step = json!({"url": format!("https://{authority}/"), "auth": {"secret": "KEY"}});
            let reply = scene.sealed(&step).await;
            ensure!(matches!(reply.status, 403 | 422), "{authority} as a sealed request: {}", reply.text);
            ensure!(world.names.asked(host) == 0, "{host} was looked up");
        }
        // Nor can it be made a destination, under which it would be one.
        let saved = json!({"name": "NUMBER", "destinations": [{"host": host}]});
        let reply = scene.owner.post("/secrets", saved).await;
        let is_address = host == "127.0.0.1.";
        ensure!(reply.status == 422 || is_address, "{host} was saved as a destination: {}", reply.text);
    }
    // The address in its one spelling is nobody's destination either.
    for authority in [format!("127.0.0.1:{}", world.good.port), format!("127.0.0.1:{}", world.evil.port)] {
        let (_, answer) = lease.connect(&authority).await;
        scene.deny(&answer, 403, "address_blocked").await?;
        let answer =
            lease.send(Way::Absolute, "GET", &authority, "/", &[("Authorization", &bearer)], b"").await;
        scene.deny(&answer, 403, "destination_not_allowed").await?;
    }
    // SOCKS is not spoken: its greeting is answered by nothing that could carry bytes on.
    let mut conn = Conn::open(lease.proxy).await;
    conn.write([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80]).await;
    conn.finish().await;
    let (answer, _) = conn.rest().await;
    ensure!(!answer.starts_with(&[5]), "SOCKS was answered: {answer:?}");
    ensure!(world.good.seen("").len() + world.evil.seen("").len() == connections, "an address was dialled");
    scene.nosend()
}
