//! D9, D10: content codings over a real connection. The decoder's own cases are at its file.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use tacit_broker::wire::WireError;

use crate::wire::{Act, MARKER, S, Upstream, get, response};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(bytes).unwrap();
    out
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

async fn coded(coding: &str, body: &[u8], drip: bool) -> Result<String, WireError> {
    let bytes = response(&format!("Content-Encoding: {coding}\r\nX-Ok: 1\r\n"), body);
    let upstream = Upstream::start(move |_| {
        vec![if drip { Act::Drip(bytes.clone()) } else { Act::Write(bytes.clone()) }, Act::Close]
    })
    .await;
    let scrubbed = get(&upstream).await?;
    // The coding and the length of what came are not those of what is delivered.
    assert_eq!(scrubbed.headers, [("x-ok".to_owned(), "1".to_owned())]);
    assert_eq!(scrubbed.body_bytes_received, body.len() as u64);
    Ok(String::from_utf8(scrubbed.body).unwrap())
}

#[tokio::test]
async fn d9_every_coding_is_decoded_and_scrubbed() {
    let text = format!("the key is {S}, keep it");
    let scrubbed = format!("the key is {MARKER}, keep it");
    let members = [gzip(&text.as_bytes()[..20]), gzip(&text.as_bytes()[20..])].concat();
    for (coding, body) in [
        ("identity", text.clone().into_bytes()),
        ("gzip", gzip(text.as_bytes())),
        ("X-GZip", gzip(text.as_bytes())),
        ("gzip", members),
        ("br", brotli(text.as_bytes())),
        ("zstd", zstd(text.as_bytes())),
        ("gzip, br", brotli(&gzip(text.as_bytes()))),
        ("zstd\r\nContent-Encoding: gzip", gzip(&zstd(text.as_bytes()))),
    ] {
        for drip in [false, true] {
            assert_eq!(coded(coding, &body, drip).await.as_deref(), Ok(&*scrubbed), "{coding} {drip}");
        }
    }
}

#[tokio::test]
async fn d9_what_cannot_be_decoded_is_not_delivered() {
    let gz = gzip(b"hello");
    for (coding, body) in [
        ("foo", &b"hello"[..]),
        ("gzip, foo", &gz),
        ("compress", &gz),
        ("gzip;q=1", &gz),
        ("gzip", b"hello"),
        ("br", b"hello"),
        ("zstd", b"hello"),
        ("br", &gz),
        ("gzip", &gz[..gz.len() - 1]),
        ("gzip, gzip, gzip", &gzip(&gzip(&gz))),
        ("gzip", &[&gz[..], b"trailing"].concat()),
    ] {
        assert_eq!(coded(coding, body, false).await, Err(WireError::Unscannable), "{coding}");
    }
}

#[tokio::test]
async fn d10_bombs() {
    let zeros = vec![0; 64 << 20];
    let once = gzip(&zeros);
    for (coding, body) in
        [("gzip, gzip", gzip(&once)), ("gzip", once), ("br", brotli(&zeros)), ("zstd", zstd(&zeros))]
    {
        assert!(body.len() * 200 < zeros.len(), "{coding}");
        assert_eq!(coded(coding, &body, false).await, Err(WireError::Unscannable), "{coding}");
    }
}
