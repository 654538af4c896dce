//! A21: something else than TLS in a tunnel to a bound host. It is TLS or nothing: there is no raw tunnel to fall
//! back to.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "A21").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let (handshakes, requests) = (world.good.handshakes(&scene.good), scene.seen().len());
    let plain = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
        scene.authority(),
        lease.bearer("KEY")
    );
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.7\r\n"[..],
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x05\x01\x00",
        b"EHLO evil.test\r\n",
        b"\x16\x03\x01\xff\xff garbage that begins like a handshake",
        b"\x80\x2e\x01\x00\x02",
        plain.as_bytes(),
        &[0xff; 4096],
    ] {
        let (mut conn, answer) = lease.connect(&scene.authority()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        conn.write(bytes).await;
        conn.finish().await;
        let (told, is_closed) = conn.rest().await;
        let what = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
        ensure!(is_closed, "{what:?} is kept open");
        ensure!(
            told.is_empty() || told[0] == 21,
            "{what:?} was answered: {}",
            String::from_utf8_lossy(&told)
        );
    }
    ensure!(
        (world.good.handshakes(&scene.good), scene.seen().len()) == (handshakes, requests),
        "something reached the upstream"
    );
    scene.nosend()
}
