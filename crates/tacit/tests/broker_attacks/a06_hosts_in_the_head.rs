//! A6: an absolute URL inside a tunnel, two `Host`, no `Host`, which lenient parsers take. There must be one
//! `Host`, and an absolute URL only if it says the same.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A6").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let heard = scene.seen().len();
    let (good, evil, bearer) = (scene.authority(), scene.evil_authority(), lease.bearer("KEY"));
    for head in [
        format!("GET https://{evil}/ HTTP/1.1\r\nHost: {good}"),
        format!("GET https://{evil}/ HTTP/1.1\r\nHost: {evil}"),
        format!("GET http://{good}/ HTTP/1.1\r\nHost: {evil}"),
        format!("GET //{evil}/ HTTP/1.1\r\nHost: {good}"),
        format!("GET {evil} HTTP/1.1\r\nHost: {good}"),
        format!("GET * HTTP/1.1\r\nHost: {good}"),
        format!("GET /to/{}/{evil}/ HTTP/1.1\r\nHost: {evil}", lease.token),
        format!("GET / HTTP/1.1\r\nHost: {good}\r\nHost: {evil}"),
        format!("GET / HTTP/1.1\r\nHost: {evil}\r\nHost: {good}"),
        format!("GET / HTTP/1.1\r\nHost: {good}\r\nhost: {good}"),
        format!("GET / HTTP/1.1\r\nHost : {evil}\r\nHost: {good}"),
        format!("GET / HTTP/1.1\r\nHost: {good}\r\n {evil}"),
        format!("GET / HTTP/1.1\r\n\0Host: {good}"),
        "GET / HTTP/1.1".to_owned(),
        "GET / HTTP/1.0".to_owned(),
        format!("GET / HTTP/2.0\r\nHost: {good}"),
        "GET /".to_owned(),
    ] {
        let mut conn = lease.tunnel(&good).await;
        conn.write(format!("{head}\r\nAuthorization: {bearer}\r\n\r\n")).await;
        let answer = conn.answer().await;
        ensure!(matches!(answer.status, 0 | 400 | 421 | 505), "{head:?}: {}", answer.status_line());
        scene.noleak("a refusal", &answer.raw)?;
    }
    // The same on the way to the proxy.
    let credentials = lease.credentials();
    for head in [
        format!("GET http://{good}/ HTTP/1.1"),
        format!("GET http://{good}/ HTTP/1.1\r\nHost: {good}\r\nHost: {evil}"),
        // (None at all is what some libraries send with a CONNECT, and leaves nothing to confuse.)
        format!("CONNECT {good} HTTP/1.1\r\nHost: {good}\r\nHost: {good}"),
        format!("CONNECT {good} HTTP/1.1\r\nHost: {good}\r\nHost: {evil}"),
    ] {
        let mut conn = crate::client::Conn::open(lease.proxy).await;
        let headers = format!("Proxy-Authorization: {credentials}\r\nAuthorization: {bearer}");
        conn.write(format!("{head}\r\n{headers}\r\n\r\n")).await;
        let answer = conn.head().await;
        ensure!(matches!(answer.status, 400 | 421), "{head:?}: {}", answer.status_line());
    }
    ensure!(scene.seen().len() == heard && scene.evil_count() == 0, "something was sent");
    scene.nosend()
}
