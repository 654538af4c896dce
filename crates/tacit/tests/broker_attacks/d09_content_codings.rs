//! D9: content codings: each one, stacked, in several members, with a wrong label, unknown. The broker asks for
//! none; what comes coded all the same is decoded, two deep, and delivered decoded; what cannot be decoded is not
//! delivered.

use crate::{
    codings::{brotli, deflate, gzip, zlib, zstd},
    ensure,
    lease::Way,
    scene::{Scene, Verdict},
    upstream::answer,
    world::World,
};

type Coding = fn(&[u8]) -> Vec<u8>;

pub(crate) async fn case(world: &'static World) -> Verdict {
    let scene = Scene::new(world, "D9").await;
    let lease = scene.lease().await;
    let members: Coding = |bytes| {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        [gzip(first), gzip(second)].concat()
    };
    for (at, (label, coding, is_readable)) in [
        ("identity", (|bytes| bytes.to_vec()) as Coding, true),
        ("gzip", gzip, true),
        ("x-gzip", gzip, true),
        ("GZIP", gzip, true),
        ("gzip", members, true),
        ("deflate", zlib, true),
        ("deflate", deflate, true),
        ("br", brotli, true),
        ("zstd", zstd, true),
        ("gzip, br", |bytes| brotli(&gzip(bytes)), true),
        ("zstd\r\ncontent-encoding: gzip", |bytes| gzip(&zstd(bytes)), true),
        ("gzip, gzip, gzip", |bytes| gzip(&gzip(&gzip(bytes))), false),
        ("foo", |bytes| bytes.to_vec(), false),
        ("gzip, foo", gzip, false),
        ("compress", gzip, false),
        ("gzip", |bytes| bytes.to_vec(), false),
        ("br", gzip, false),
        ("gzip", |bytes| [gzip(bytes), b"trailing".to_vec()].concat(), false),
        ("gzip", |bytes| gzip(bytes)[..20].to_vec(), false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/coded-{at}");
        scene.on(&path, move |seen| {
            let headers = format!("content-type: text/plain\r\ncontent-encoding: {label}\r\netag: \"x\"\r\n");
            vec![answer("200 OK", &headers, &coding(format!("the key is {}, keep it", seen.s).as_bytes()))]
        });
        for seen in scene.observe_noleak(&lease, &path).await? {
            let what = format!("{at} {label:?} by {}", seen.how);
            let head = String::from_utf8_lossy(&seen.bytes).to_lowercase();
            ensure!(!head.contains("content-encoding"), "{what}: the coding is delivered");
            if is_readable {
                ensure!(
                    seen.body == "the key is [sealed:KEY], keep it",
                    "{what}: {} {}",
                    seen.status,
                    seen.body
                );
            } else {
                // Refused, or cut where it was noticed, before anything of it was shown.
                let is_cut = [0, 200].contains(&seen.status) && !seen.is_whole && seen.body.is_empty();
                ensure!(seen.status == 502 || is_cut, "{what}: {} {}", seen.status, seen.body);
            }
        }
    }
    let bearer = lease.bearer("KEY");
    for way in Way::ALL {
        let headers = [("Authorization", bearer.as_str()), ("Accept-Encoding", "gzip, br, zstd, foo")];
        let seen = scene.via(way, &lease, "GET", "/works", &headers, b"").await;
        ensure!(seen.status == 200, "{}", seen.text());
        ensure!(
            scene.last().headers("accept-encoding") == ["identity"],
            "{:?}",
            scene.last().headers("accept-encoding")
        );
    }
    Ok(())
}
