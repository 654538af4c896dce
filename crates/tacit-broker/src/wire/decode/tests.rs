use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const TEXT: &[u8] =
    b"A piece of text. A piece of text that repeats a piece of text, and again a piece of text.";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(bytes).unwrap();
    out
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn decoder(codings: &str) -> Result<Decoder, Bad> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(codings).unwrap());
    Decoder::new(&headers)
}

/// Decodes in pieces of a length, and checks that no pull returns more than a bounded piece.
fn decode_in(codings: &str, body: &[u8], piece: usize) -> Result<Vec<u8>, Bad> {
    let mut decoder = decoder(codings)?;
    let mut out = Vec::new();
    for piece in body.chunks(piece.max(1)) {
        decoder.feed(Bytes::copy_from_slice(piece));
        while let Some(piece) = decoder.pull()? {
            assert!(!piece.is_empty() && piece.len() <= 4 * STEP_BYTES, "{}", piece.len());
            out.extend_from_slice(piece);
        }
    }
    decoder.finish()?;
    Ok(out)
}

fn decode(codings: &str, body: &[u8]) -> Result<Vec<u8>, Bad> {
    decode_in(codings, body, usize::MAX)
}

fn every_coding(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gzip", gzip(bytes)),
        ("deflate", zlib(bytes)),
        ("deflate", raw_deflate(bytes)),
        ("br", brotli(bytes)),
        ("zstd", zstd(bytes)),
        ("gzip, br", brotli(&gzip(bytes))),
        ("br, zstd", zstd(&brotli(bytes))),
        ("zstd, deflate", raw_deflate(&zstd(bytes))),
        ("deflate, gzip", gzip(&zlib(bytes))),
    ]
}

#[test]
fn d9_names_of_codings() {
    for (codings, layers) in [
        ("", 0),
        ("identity", 0),
        ("identity, identity, identity", 0),
        (" , ,", 0),
        ("GZip", 1),
        ("x-gzip, identity", 1),
        ("gzip,br", 2),
        ("gzip , ,\tidentity, br", 2),
    ] {
        assert_eq!(decoder(codings).map(|d| d.layers.len()), Ok(layers), "{codings:?}");
    }
    for unknown in [
        "foo",
        "gzip;q=1",
        "gzip br",
        "compress",
        "gzip, gzip, gzip",
        "aes128gcm",
        "exi",
        "dcb",
        "dcz",
        "chunked",
    ] {
        assert_eq!(decoder(unknown).map(|d| d.layers.len()), Err(Bad), "{unknown:?}");
    }
}

#[test]
fn d9_every_coding_at_every_split() {
    let long: Vec<u8> =
        (0..200_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 20).to_le_bytes()).collect();
    for bytes in [TEXT, &[], b"x", &long] {
        for (codings, body) in every_coding(bytes) {
            for piece in [1, 2, 3, 7, 100, 4096, usize::MAX] {
                if bytes.len() > 1000 && piece < 100 {
                    continue;
                }
                let decoded = decode_in(codings, &body, piece);
                assert!(
                    decoded.as_deref() == Ok(bytes),
                    "{codings} in {piece}: {:?}",
                    decoded.map(|d| d.len())
                );
            }
        }
    }
}

#[test]
fn d9_every_cut_is_noticed() {
    for (codings, body) in every_coding(TEXT) {
        for end in 1..body.len() {
            assert_eq!(decode(codings, &body[..end]), Err(Bad), "{codings} cut at {end}");
        }
        // No body at all is how HEAD and 304 look.
        assert_eq!(decode(codings, b"").as_deref(), Ok(&b""[..]));
    }
}

#[test]
fn d9_bytes_after_the_end() {
    for (codings, mut body) in every_coding(TEXT) {
        body.push(b'x');
        assert_eq!(decode(codings, &body), Err(Bad), "{codings}");
        assert_eq!(decode_in(codings, &body, 1), Err(Bad), "{codings}");
    }
}

#[test]
fn d9_wrong_labels() {
    for (_, body) in every_coding(TEXT).into_iter().take(5) {
        for label in ["gzip", "br", "zstd", "deflate"] {
            if let Ok(decoded) = decode(label, &body) {
                assert_eq!(decoded, TEXT);
            }
        }
    }
    for label in ["gzip", "br", "zstd", "deflate"] {
        assert_eq!(decode(label, TEXT), Err(Bad), "{label}");
    }
}

#[test]
fn d9_a_checksum_that_is_wrong() {
    let mut body = gzip(TEXT);
    let at = body.len() - 6;
    body[at] ^= 1;
    assert_eq!(decode("gzip", &body), Err(Bad));
    let mut body = zlib(TEXT);
    *body.last_mut().unwrap() ^= 1;
    assert_eq!(decode("deflate", &body), Err(Bad));
}

#[test]
fn d9_members_and_frames_after_each_other() {
    let gz: Vec<u8> = TEXT.chunks(30).flat_map(gzip).collect();
    assert_eq!(decode("gzip", &gz).as_deref(), Ok(TEXT));
    assert_eq!(decode_in("gzip", &gz, 1).as_deref(), Ok(TEXT));
    let empty_between = [gzip(TEXT), gzip(b""), gzip(b""), gzip(b"x")].concat();
    assert_eq!(decode("gzip", &empty_between), Ok([TEXT, b"x"].concat()));
    let skippable = b"\x5a\x2a\x4d\x18\x05\0\0\0hello";
    let frames = [skippable, &*zstd(TEXT), skippable, &zstd(b""), &zstd(b"x"), skippable].concat();
    for piece in [1, 5, usize::MAX] {
        assert_eq!(decode_in("zstd", &frames, piece), Ok([TEXT, b"x"].concat()));
    }
    // Skippable frames alone are not a body.
    assert_eq!(decode("zstd", skippable), Err(Bad));
}

/// Each member costs a fresh decoder, so a body of nothing but empty ones is refused.
#[test]
fn d10_members_without_content() {
    let empty = gzip(b"");
    assert_eq!(decode("gzip", &empty.repeat(60)).as_deref(), Ok(&b""[..]));
    assert_eq!(decode("gzip", &empty.repeat(100_000)), Err(Bad));
    let small: Vec<u8> = (0..1000_u32)
        .flat_map(|n| gzip(format!("{n} {}", n.wrapping_mul(2_654_435_761)).repeat(9).as_bytes()))
        .collect();
    assert!(small.len() / 1000 < 64);
    assert_eq!(decode("gzip", &small).map(drop), Err(Bad));
}

#[test]
fn d10_bombs() {
    let zeros = vec![0; 40 << 20];
    for (codings, body) in every_coding(&zeros) {
        assert_eq!(decode(codings, &body).map(|out| out.len()), Err(Bad), "{codings}");
    }
    // What is small stays allowed, however repetitive.
    for (codings, body) in every_coding(&vec![b' '; 200 * 1024]) {
        assert_eq!(decode(codings, &body).map(|out| out.len()), Ok(200 * 1024), "{codings}");
    }
    // Credit that an honest beginning has earned is given out in bounded pieces (checked in `decode_in`).
    let noise: Vec<u8> = (0..300_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes())
        .collect();
    for (codings, body) in every_coding(&[&noise[..], &zeros].concat()) {
        assert!(decode(codings, &body).is_ok(), "{codings}");
    }
}

/// One byte of a run-length block is 128 KiB of output.
#[test]
fn d10_zstd_run_length_blocks() {
    let mut body = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for _ in 0..1000 {
        body.extend([0x02, 0x00, 0x10, b'a']);
    }
    body.extend([0x01, 0x00, 0x00]);
    assert_eq!(decode("zstd", &body).map(|out| out.len()), Err(Bad));
    // Two such blocks are within the floor.
    let two = [&body[..14], &[0x01, 0x00, 0x00]].concat();
    assert_eq!(decode("zstd", &two).map(|out| out.len()), Ok(256 * 1024));
}

/// Windows that would need more memory than a response is worth, and a dictionary that nobody has.
#[test]
fn d10_memory() {
    let frame = |descriptor: u8, rest: &[u8]| {
        [&[0x28, 0xb5, 0x2f, 0xfd, descriptor][..], rest, &[0x01, 0, 0]].concat()
    };
    assert_eq!(decode("zstd", &frame(0, &[13 << 3])).as_deref(), Ok(&b""[..]), "8 MiB");
    assert_eq!(decode("zstd", &frame(0, &[(13 << 3) + 1])), Err(Bad), "9 MiB");
    assert_eq!(decode("zstd", &frame(0, &[0xff])), Err(Bad), "terabytes");
    assert_eq!(
        decode("zstd", &frame(0b1110_0000, &[0, 0, 0, 0, 1, 0, 0, 0])),
        Err(Bad),
        "as large as its content"
    );
    assert_eq!(decode("zstd", &frame(1, &[0, 7])), Err(Bad), "a dictionary");
    // A brotli stream that begins with the large-window extension.
    assert_eq!(decode("br", &[0x11, 0x1e, 0x03]), Err(Bad));
    assert_eq!(decode("br", &[0x06]).as_deref(), Ok(&b""[..]));
}

/// A block that claims more than blocks may hold is refused before anything is collected.
#[test]
fn d10_zstd_blocks() {
    for kind in [0_u32, 1, 2, 3] {
        let size = if kind == 3 { 1 } else { 128 * 1024 + 1 };
        let header = (size << 3 | kind << 1).to_le_bytes();
        let body = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3][..], &header[..3]].concat();
        let mut decoder = decoder("zstd").unwrap();
        decoder.feed(body.into());
        assert_eq!(decoder.pull(), Err(Bad), "{kind}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// E1 for the decoder: what comes out does not depend on how it came in.
    #[test]
    fn e1_splits_do_not_matter(bytes in prop::collection::vec(0_u8..8, 0..5000), cuts in prop::collection::vec(1_usize..700, 1..20)) {
        for (codings, body) in every_coding(&bytes) {
            let mut decoder = decoder(codings).unwrap();
            let (mut out, mut rest, mut cuts) = (Vec::new(), &body[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                decoder.feed(Bytes::copy_from_slice(piece));
                while let Some(piece) = decoder.pull().unwrap() {
                    out.extend_from_slice(piece);
                }
                rest = after;
            }
            prop_assert!(decoder.finish().is_ok());
            prop_assert_eq!(&out, &bytes);
        }
    }

    /// Damaged bodies are refused or decoded to something, but nothing panics and nothing grows without end.
    #[test]
    fn d9_damage(seed in prop::collection::vec(any::<u8>(), 0..600), at in any::<prop::sample::Index>(), flip in 1_u8.., piece in 1_usize..100) {
        for (codings, mut body) in every_coding(&[TEXT, &seed].concat()) {
            let at = at.index(body.len());
            body[at] ^= flip;
            let _ = decode_in(codings, &body, piece);
        }
    }

    /// Noise under every label.
    #[test]
    fn d9_noise(noise in prop::collection::vec(any::<u8>(), 0..600), piece in 1_usize..100) {
        for codings in ["gzip", "deflate", "br", "zstd", "br, zstd"] {
            let _ = decode_in(codings, &noise, piece);
        }
        let framed = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38][..], &noise].concat();
        let _ = decode_in("zstd", &framed, piece);
    }
}
