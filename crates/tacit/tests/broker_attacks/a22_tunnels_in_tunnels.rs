//! A22: another tunnel inside a tunnel, or another protocol on the same connection. Neither is there.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A22").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let heard = scene.seen().len();
    let (good, evil, bearer) = (scene.authority(), scene.evil_authority(), lease.bearer("KEY"));
    let credentials = lease.credentials();
    for (head, statuses) in [
        (format!("CONNECT {evil} HTTP/1.1\r\nHost: {evil}"), &[400, 405, 421][..]),
        (format!("CONNECT {good} HTTP/1.1\r\nHost: {good}"), &[400, 405]),
        (
            format!("CONNECT {good} HTTP/1.1\r\nHost: {good}\r\nProxy-Authorization: {credentials}"),
            &[400, 405],
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: {good}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"
            ),
            &[501],
        ),
        (format!("GET / HTTP/1.1\r\nHost: {good}\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2"), &[501]),
        (format!("GET / HTTP/1.1\r\nHost: {good}\r\nConnection: Upgrade\r\nUpgrade: tacit-proxy"), &[501]),
    ] {
        let mut conn = lease.tunnel(&good).await;
        conn.write(format!("{head}\r\nAuthorization: {bearer}\r\n\r\n")).await;
        let answer = conn.answer().await;
        ensure!(statuses.contains(&answer.status), "{head:?}: {}", answer.status_line());
        ensure!(conn.rest().await.1, "{head:?}: the connection stays open");
    }
    let mut conn = lease.tunnel(&good).await;
    conn.write([5, 1, 0, 5, 1, 0, 3]).await;
    conn.finish().await;
    let (told, _) = conn.rest().await;
    ensure!(!told.starts_with(&[5]), "SOCKS was answered inside a tunnel");
    ensure!(scene.seen().len() == heard && scene.evil_count() == 0, "something was sent");
    scene.nosend()
}
