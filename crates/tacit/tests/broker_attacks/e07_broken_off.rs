//! E7: the upstream breaks off in the middle of the value, so that what is held back is flushed. It is dropped, and
//! the connection with it.

use crate::{
    ensure,
    scene::{Scene, Verdict},
    upstream::{Act, chunk, chunked_head, write},
    world::World,
};

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "E7").await;
    let lease = scene.lease().await;
    for (path, is_chunked) in [("/length", false), ("/chunks", true)] {
        for count in [8, 15, 16, 20, 31, 32] {
            scene.on(path, move |seen| {
                let body = format!("{}{}", "-".repeat(100), &seen.s[..8 + count]);
                let head = write("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
                let start = if is_chunked { chunked_head("text/plain") } else { head };
                let body = if is_chunked { chunk(body.as_bytes()) } else { write(body) };
                vec![start, body, Act::Close]
            });
            for seen in scene.observe_noleak(&lease, path).await? {
                let what = format!("{count} characters of {path} by {}", seen.how);
                ensure!(!seen.is_whole || seen.status == 502, "{what}: told as whole: {}", seen.body);
                let tail = &scene.s[8..8 + count.min(8)];
                ensure!(!seen.body.contains(tail), "{what}: the tail was flushed: {}", seen.body);
            }
        }
    }
    Ok(())
}
