//! F6, the length of compressed headers as an oracle: over HTTP/2 a value is sent as one that is never indexed, so
//! that it is in no table; and connections are not shared.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    ensure,
    lease::{Lease, Way},
    scene::{Scene, Verdict},
    world::World,
};

/// `authorization` in the static table, as a literal that is never indexed (RFC 7541, 6.2.3).
const NEVER_INDEXED: &[u8] = &[0x1f, 0x08];
/// The same as a literal with and without indexing.
const INDEXED: &[&[u8]] = &[&[0x57], &[0x0f, 0x08]];

/// The payloads of the HEADERS frames in what a server received.
fn header_blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
    const PREFACE: usize = 24;
    let (mut at, mut blocks) = (PREFACE, Vec::new());
    while let Some(head) = bytes.get(at..at + 9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = bytes.get(at + 9..at + 9 + length).unwrap_or_default();
        if head[3] == 1 {
            blocks.push(payload.to_vec());
        }
        at += 9 + length;
    }
    blocks
}

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "F6").await;
    let destinations =
        json!([{"host": scene.good, "port": world.good_h2.port, "places": ["auth", "header:X-Custom"]}]);
    scene.secret("H2", "bearer_token", destinations, json!({"token": scene.s})).await;
    let (one, two) = (scene.lease_for(&scene.p, &["H2"]).await, scene.lease_for(&scene.p2, &["H2"]).await);
    let authority = format!("{}:{}", scene.good, world.good_h2.port);
    let order = [&one, &two, &one, &one, &two, &one, &two];
    for lease in order {
        let bearer = lease.bearer("H2");
        let answer =
            lease.send(Way::Tunnel, "GET", &authority, "/x", &[("Authorization", &bearer)], b"").await;
        ensure!(answer.status == 200, "{}", answer.text());
        ensure!(answer.header("content-encoding").is_none(), "the broker compresses");
        scene.noleak("the echo", &answer.raw)?;
    }
    let seen = world.good_h2.seen(&scene.good);
    ensure!(
        seen.len() == order.len() && seen.iter().all(|seen| seen.s == scene.s),
        "S did not arrive each time"
    );
    let connections = |lease: &Lease| -> BTreeSet<usize> {
        order
            .iter()
            .zip(&seen)
            .filter(|(used, _)| used.id == lease.id)
            .map(|(_, seen)| seen.connection)
            .collect()
    };
    let (first, second) = (connections(&one), connections(&two));
    ensure!(first.is_disjoint(&second), "two principals share a connection");
    ensure!(first.len() + second.len() < order.len(), "connections are not kept, so this shows little");
    let mut blocks = 0;
    for connection in first.union(&second).copied() {
        for block in header_blocks(&world.good_h2.bytes(connection)) {
            let has = |what: &[u8]| memchr::memmem::find(&block, what).is_some();
            ensure!(has(NEVER_INDEXED), "a value without the bit that says never to index it: {block:02x?}");
            ensure!(!INDEXED.iter().any(|how| block.starts_with(how)), "{block:02x?}");
            blocks += 1;
        }
    }
    ensure!(blocks == order.len(), "{blocks} heads");
    Ok(())
}
