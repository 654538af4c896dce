//! E6: so much before the value that a scrubber with a limit has stopped looking. There is no limit on scanning;
//! where an answer is kept in memory there is one, and beyond it nothing is delivered.

use serde_json::json;

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::{Act, write},
    world::World,
};

/// More than what is ever kept of an answer.
const MIB: usize = 20;

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "E6").await;
    let lease = scene.lease().await;
    scene.on("/padded", |seen| {
        let end = format!("key={}", seen.s);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", (MIB << 20) + end.len());
        vec![write(head), Act::Repeat(vec![b'.'; 1 << 20], MIB), write(end)]
    });
    let answer = scene.get(&lease, "/padded").await;
    ensure!(answer.status == 200 && answer.is_whole, "{}", answer.status_line());
    ensure!(answer.body.len() == (MIB << 20) + "key=[sealed:KEY]".len(), "{} bytes came", answer.body.len());
    ensure!(answer.body.ends_with(b".key=[sealed:KEY]"), "the end is not what it should be");
    let reply = scene.sealed(&json!({"url": scene.url("/padded"), "auth": {"secret": "KEY"}})).await;
    ensure!(matches!(reply.status, 413 | 502), "a sealed request: {}", reply.status);
    scene.noleak("a refusal", reply.text.as_bytes())
}
