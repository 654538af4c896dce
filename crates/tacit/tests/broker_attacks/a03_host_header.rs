//! A3: `Host` says another host than the one that is dialled. The destination is what CONNECT or the URL says;
//! `Host` must equal it, and the one that goes out is generated.

use crate::{
    client::{Conn, request},
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A3").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let (good, evil) = (scene.authority(), scene.evil_authority());
    let bearer = lease.bearer("KEY");
    let heard = scene.seen().len();
    let without_port = scene.good.clone();
    for host in
        [evil.as_str(), &scene.evil, &without_port, &format!("{without_port}:1"), "", "good.test, evil.test"]
    {
        let mut conn = lease.tunnel(&good).await;
        conn.write(request("GET", "/", host, &[("Authorization", &bearer)], b"")).await;
        let answer = conn.answer().await;
        ensure!([400, 421].contains(&answer.status), "Host {host:?} in a tunnel: {}", answer.status_line());
    }
    let credentials = lease.credentials();
    for (target, host) in [(good.as_str(), evil.as_str()), (&evil, &good)] {
        let mut conn = Conn::open(lease.proxy).await;
        conn.write(request("CONNECT", target, host, &[("Proxy-Authorization", &credentials)], b"")).await;
        let answer = conn.head().await;
        ensure!(answer.status == 421, "CONNECT {target} with Host {host}: {}", answer.status_line());
        let mut conn = Conn::open(lease.proxy).await;
        let headers = [("Proxy-Authorization", credentials.as_str()), ("Authorization", bearer.as_str())];
        conn.write(request("GET", &format!("http://{target}/"), host, &headers, b"")).await;
        let answer = conn.answer().await;
        ensure!(answer.status == 421, "http://{target}/ with Host {host}: {}", answer.status_line());
    }
    ensure!(scene.seen().len() == heard && scene.evil_count() == 0, "something was sent");
    // What goes out is what the destination is called, however the client spelt it.
    let mut conn = lease.tunnel(&good).await;
    conn.write(request("GET", "/", &good.to_uppercase(), &[("Authorization", &bearer)], b"")).await;
    ensure!(conn.answer().await.status == 200, "another case of the same host was refused");
    ensure!(scene.last().headers("host") == [good.as_str()], "sent {:?}", scene.last().headers("host"));
    scene.nosend()
}
