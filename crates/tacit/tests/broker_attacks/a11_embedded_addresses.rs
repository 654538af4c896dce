//! A11: IPv4 addresses in IPv6 clothes, and every range without public servers, as literals and as what a name
//! resolves to. Addresses are judged after unpacking, and embeddings are refused outright.

use std::net::IpAddr;

use serde_json::json;

use crate::{
    ensure,
    names::Answer,
    scene::{Scene, Verdict},
    world::World,
};

const ADDRESSES: &[&str] = &[
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "2001:10::1",
    "2001:20::1",
    "3fff::1",
    "5f00::1",
    "100::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "::",
    "::2",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.1.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
];

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A11").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let port = world.good.port;
    // Each address has a name too, and a secret that may go to both.
    for (at, address) in ADDRESSES.iter().enumerate() {
        let name = format!("a11-{at}.good.test");
        let ip: IpAddr = address.parse().unwrap();
        world.names.script(&name, move |_, _| Answer::Addresses(vec![ip]));
        let destinations = json!([{"host": address, "port": port}, {"host": name, "port": port}]);
        scene.secret(&format!("K{at}"), "bearer_token", destinations, json!({"token": scene.s})).await;
        let literal = if address.contains(':') { format!("[{address}]") } else { (*address).to_owned() };
        for host in [literal.as_str(), &name] {
            let secret = format!("K{at}");
            let step = json!({"url": format!("https://{host}:{port}/"), "auth": {"secret": secret}, "timeout_secs": 5});
            scene.deny_reply(&scene.sealed(&step).await, 403, "address_blocked").await?;
        }
        // Without a secret, as a tunnel to another host.
        for host in [literal.as_str(), &name] {
            let (_, answer) = lease.connect(&format!("{host}:{port}")).await;
            scene.deny(&answer, 403, "address_blocked").await?;
        }
    }
    for zone in ["[fe80::1%25eth0]", "[::1%lo]", "[fe80::1%251]"] {
        let (_, answer) = lease.connect(&format!("{zone}:{port}")).await;
        ensure!(answer.status == 400, "CONNECT {zone}: {}", answer.status_line());
    }
    ensure!(scene.seen().len() == 1, "something else was dialled");
    scene.nosend()
}
