//! E4: how much of an answer is visible while it pauses tells whether its last characters are the beginning of the
//! value. The hold-back is constant, and nothing reacts to fewer than sixteen unpredictable characters.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    client::{PATIENCE, request},
    ensure,
    scene::{Scene, Verdict, random_text},
    upstream::{Act, chunk, chunked_head},
    world::World,
};

/// After this nothing more comes.
const QUIET: Duration = Duration::from_millis(250);

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "E4").await;
    let lease = scene.lease().await;
    let mut lengths: Vec<(&str, usize, usize)> = Vec::new();
    for count in [0, 1, 8, 12, 15] {
        let right = scene.s[..8 + count].to_owned();
        let wrong = format!("sk_live_{}", random_text(count));
        let backwards: String = scene.s[8..8 + count].chars().rev().collect();
        let hex: String = scene.s[8..8 + count].bytes().map(|byte| format!("{byte:02x}")).collect();
        for (what, end) in [("right", right), ("wrong", wrong), ("backwards", backwards), ("hex", hex)] {
            let body = format!("{:.<5000}", "").split_at(5000 - end.len()).0.to_owned() + &end;
            scene.on("/pause", move |_| {
                vec![
                    chunked_head("text/plain"),
                    chunk(body.as_bytes()),
                    Act::Wait(Duration::from_secs(30)),
                    Act::Close,
                ]
            });
            let mut conn = lease.tunnel(&scene.authority()).await;
            conn.write(request(
                "GET",
                "/pause",
                &scene.authority(),
                &[("Authorization", &lease.bearer("KEY"))],
                b"",
            ))
            .await;
            // What is visible while the upstream waits: as much as the first time, however long it takes, and then
            // whatever else there is.
            let (expected, quiet) = lengths.first().map_or((1, QUIET * 4), |(.., shown)| (*shown, QUIET));
            let mut shown = 0;
            loop {
                let quiet = if shown < expected { PATIENCE } else { quiet };
                let Ok(bytes) = timeout(quiet, conn.some()).await else { break };
                ensure!(!bytes.is_empty(), "the answer ended");
                shown += bytes.iter().filter(|byte| **byte == b'.').count();
            }
            lengths.push((what, count, shown));
        }
    }
    let first = lengths[0].2;
    ensure!(first > 0, "nothing is visible at all, so this shows nothing");
    ensure!(
        lengths.iter().all(|(.., shown)| *shown == first),
        "what is visible depends on the text: {lengths:?}"
    );
    Ok(())
}
