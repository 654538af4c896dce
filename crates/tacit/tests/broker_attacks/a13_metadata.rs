//! A13: the metadata services of clouds, some of them at public addresses: by address, by name, by redirect, by
//! DNS. No setting allows them.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

const ADDRESSES: &[&str] = &[
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
];

pub(crate) async fn case(_: &'static World) -> Verdict {
    // The operator allows everything that can be allowed.
    let world = World::own(&["--allow-private", "0.0.0.0/0,::/0"], &[]).await;
    let scene = Scene::new(world, "A13").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    for (at, address) in ADDRESSES.iter().enumerate() {
        let name = format!("a13-{at}.good.test");
        let texts: &'static [&'static str] = &ADDRESSES[at..=at];
        world.names.always(&name, texts);
        let literal = if address.contains(':') { format!("[{address}]") } else { (*address).to_owned() };
        let destinations = json!([
            {"host": address, "scheme": "http", "port": 80},
            {"host": address},
            {"host": name, "scheme": "http", "port": 80},
            {"host": name},
        ]);
        scene.secret(&format!("K{at}"), "bearer_token", destinations, json!({"token": scene.s})).await;
        let own = scene.lease_for(&scene.p, &[&format!("K{at}")]).await;
        for host in [literal.as_str(), &name] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}/latest/meta-data/");
                let step = json!({"url": url, "auth": {"secret": format!("K{at}")}, "timeout_secs": 5});
                scene.deny_reply(&scene.sealed(&step).await, 403, "address_blocked").await?;
            }
            let bearer = own.bearer(&format!("K{at}"));
            let headers = [("Authorization", bearer.as_str())];
            let answer =
                own.send(crate::lease::Way::Absolute, "GET", &format!("{host}:80"), "/", &headers, b"").await;
            scene.deny(&answer, 403, "address_blocked").await?;
            // By a lease that knows nothing of it, as another host.
            let (_, answer) = lease.connect(&format!("{host}:80")).await;
            scene.deny(&answer, 403, "address_blocked").await?;
        }
        let to = format!("http://{literal}/latest");
        scene.on("/r", move |_| vec![answer("302 Found", &format!("location: {to}\r\n"), b"")]);
        let step = json!({"url": scene.url("/r"), "auth": {"secret": "KEY"}, "redirects": 3});
        let reply = scene.sealed(&step).await;
        ensure!(reply.status == 502, "a redirect to {address}: {}", reply.text);
    }
    world.names.always("metadata.google.internal", &["169.254.169.254"]);
    let (_, answer) = lease.connect("metadata.google.internal:80").await;
    scene.deny(&answer, 403, "address_blocked").await
}
