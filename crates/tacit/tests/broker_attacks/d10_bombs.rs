//! D10: an answer that grows a thousandfold when it is decoded. The ratio is bounded, and beyond it the stream ends.

use std::io::Write;

use crate::{
    codings::{brotli, zstd},
    ensure,
    scene::{Scene, Verdict},
    upstream::{Act, write},
    world::World,
};

const MIB: usize = 1 << 20;

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D10").await;
    let lease = scene.lease().await;
    scene.works(&lease).await;
    let zeros = vec![b'0'; MIB];
    // Ten gigabytes, if anybody took all of it.
    let (member, inner) = (packed(&zeros), packed(&packed(&zeros).repeat(320)));
    assert!(member.len() * 500 < zeros.len());
    for (at, (coding, piece, times)) in [
        ("gzip", member.clone(), 10_240),
        ("br", brotli(&zeros), 1),
        ("zstd", zstd(&zeros), 10_240),
        ("gzip, gzip", inner, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/bomb-{at}");
        scene.on(&path, move |_| {
            let length = piece.len() * times;
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {length}\r\n\r\n");
            vec![write(head), Act::Repeat(piece.clone(), times), Act::Close]
        });
        for seen in scene.observe(&lease, &path).await {
            let what = format!("{coding} by {}", seen.how);
            ensure!(
                seen.status == 502 || !seen.is_whole,
                "{what}: all of it came ({} bytes)",
                seen.body.len()
            );
            ensure!(seen.bytes.len() < 32 * MIB, "{what}: {} bytes came", seen.bytes.len());
        }
    }
    // The server lives, and has not taken memory for any of it.
    scene.works(&lease).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.pid)).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: usize = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap();
    ensure!(peak < 1 << 20, "the server took {peak} KiB");
    Ok(())
}

/// gzip that packs as well as it can.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
