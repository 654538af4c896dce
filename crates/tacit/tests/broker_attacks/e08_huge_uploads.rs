//! E8: a body so large that the value is put in late, or not at all. It goes in with the head, and the body streams
//! behind it.

use std::time::Duration;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::text,
    world::World,
};

const MIB: usize = 24;

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "E8").await;
    let lease = scene.lease().await;
    scene.on("/upload", |seen| text(&seen.body().len().to_string()));
    let bearer = lease.bearer("KEY");
    let head = format!(
        "PUT /upload HTTP/1.1\r\nHost: {}\r\nAuthorization: {bearer}\r\nContent-Length: {}\r\n\r\n",
        scene.authority(),
        MIB << 20
    );
    let mut conn = lease.tunnel(&scene.authority()).await;
    conn.write(head).await;
    conn.write(vec![b'u'; 1 << 20]).await;
    // Before the rest is written, and so before anybody could have read it to its end.
    let mut has_arrived = false;
    for _ in 0..250 {
        has_arrived = memchr::memmem::find(&world.good.bytes(), scene.s.as_bytes()).is_some();
        if has_arrived {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ensure!(has_arrived, "S did not arrive before the body was written");
    for _ in 1..MIB {
        conn.write(vec![b'u'; 1 << 20]).await;
    }
    let answer = conn.answer().await;
    ensure!(answer.status == 200, "{} {}", answer.status_line(), answer.text());
    ensure!(answer.text() == (MIB << 20).to_string(), "{} bytes arrived", answer.text());
    Ok(())
}
