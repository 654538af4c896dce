//! A text with pieces of a secret in it, in all writings and cuts.
//!
//! 1. How the text is cut into chunks changes nothing.
//! 2. No sixteen characters of the secret are left: plain, in hex, or in base64.
//! 3. Fewer than sixteen are left alone, as is everything else.
//!
//! The input: four sizes of chunks, and a text. In the text, a byte above 0xf7 stands for a piece of the secret: the writing is in
//! the byte, where it begins and how long it is in the two that follow.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use libfuzzer_sys::fuzz_target;
use tacit_redact::{Findings, ScanSet, Scrubber};

const SECRET: &[u8; 32] = b"7hG2kQ9zXv4LpW8sRt1YbN6mCd3FjK5a";
const WINDOW: usize = 16;
const FIRST_PIECE: u8 = 0xf8;
/// In no writing of the secret, and not skipped between its characters either.
const FENCE: u8 = b'~';

static SET: LazyLock<ScanSet> = LazyLock::new(|| {
    let mut set = ScanSet::builder();
    assert!(set.add("[sealed]", SECRET).is_scrubbable());
    set.build()
});

/// What must not be left, folded.
static WINDOWS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let windows = SECRET.windows(WINDOW);
    windows.flat_map(|window| [0, 1, 2, 3, 4].map(|lane| fold(&in_lane(window, lane)))).collect()
});

fuzz_target!(|input: &[u8]| {
    let [sizes @ .., _, _, _, _] = input else { return };
    let (sizes, text) = input.split_at(input.len() - sizes.len());
    let text = write(text, usize::MAX, |literal| vec![literal]);
    let whole = scrub(&text, &[usize::MAX]);
    let sizes: Vec<usize> = sizes.iter().map(|size| usize::from(*size).pow(2).max(1)).collect();
    let in_chunks = scrub(&text, &sizes);
    assert!(whole == in_chunks, "chunks show: {} / {}", whole.0.escape_ascii(), in_chunks.0.escape_ascii());

    let left = fold(&whole.0);
    for window in &*WINDOWS {
        let is_left = left.windows(window.len()).any(|left| left == window);
        assert!(!is_left, "{} is left of {}", window.escape_ascii(), text.escape_ascii());
    }

    let short = write(&input[4..], WINDOW - 1, |_| vec![FENCE]);
    let (out, findings) = scrub(&short, &[usize::MAX]);
    assert!(out == short && findings.total() == 0, "{} is changed", short.escape_ascii());
});

fn scrub(text: &[u8], sizes: &[usize]) -> (Vec<u8>, Findings) {
    let mut scrubber = Scrubber::new(&SET);
    let mut out = Vec::new();
    let (mut rest, mut sizes) = (text, sizes.iter().cycle());
    while let (false, Some(size)) = (rest.is_empty(), sizes.next()) {
        let (chunk, later) = rest.split_at(rest.len().min(*size));
        scrubber.push(chunk, &mut out);
        rest = later;
    }
    let findings = scrubber.finish(&mut out);
    (out, findings)
}

/// The text that the input describes, with pieces of the secret of at most so many characters.
fn write(input: &[u8], longest: usize, literal: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = input.iter().copied();
    while let Some(byte) = rest.next() {
        if byte < FIRST_PIECE {
            text.extend(literal(byte));
            continue;
        }
        let (from, length) = (rest.next().unwrap_or(0), rest.next().unwrap_or(u8::MAX));
        let from = usize::from(from) % SECRET.len();
        let length = usize::from(length).min(longest).min(SECRET.len() - from);
        text.extend(in_lane(&SECRET[from..from + length], byte - FIRST_PIECE));
        if longest < WINDOW {
            text.push(FENCE);
        }
    }
    text
}

fn in_lane(piece: &[u8], lane: u8) -> Vec<u8> {
    let each =
        |write: &dyn Fn(u8) -> String| piece.iter().flat_map(|byte| write(*byte).into_bytes()).collect();
    match lane {
        0 => piece.to_vec(),
        1 => each(&|byte| format!("{byte:02x}")),
        // What the piece alone determines, at each alignment.
        2..=4 => {
            let shift = usize::from(lane - 2);
            let encoded = STANDARD.encode([&vec![FENCE; shift], piece].concat());
            let own = (8 * shift).div_ceil(6)..8 * (shift + piece.len()) / 6;
            encoded.as_bytes().get(own).unwrap_or_default().to_vec()
        }
        5 => each(&|byte| format!("%{byte:02X}")),
        6 => each(&|byte| format!("{}\0", char::from(byte))),
        _ => piece.iter().rev().copied().collect(),
    }
}

/// Without case, which no writing of the secret is told apart by.
fn fold(text: &[u8]) -> Vec<u8> {
    let fold = |byte: &u8| match byte.to_ascii_lowercase() {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    };
    text.iter().map(fold).collect()
}
