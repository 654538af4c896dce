//! What holds for all texts, values and cuts.

use proptest::prelude::*;
use tacit_redact::{Findings, HOLD_BACK_BYTES, ScanSet, Scrubber, strength};

use crate::{PREFIX, S, encodings::ENCODINGS, set};

fn value() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]{16,48}"
        .prop_filter("counts in full", |v| strength(v.as_bytes()).unpredictable_chars() as usize == v.len())
}

/// Pieces that make trouble: parts of values in all encodings between fillers that escape, separate and expand.
#[derive(Clone, Debug)]
enum Piece {
    Part { value: usize, from: usize, length: usize, encoding: usize },
    Filler { kind: usize, times: usize },
}

const FILLERS: &[&str] = &[
    " ",
    "\n",
    "\0",
    "%",
    "\\",
    "&",
    "&#",
    "\\u",
    "\\u00",
    "%2",
    "=\r\n",
    "é",
    "x",
    "lorem ipsum ",
    "%25",
    "\\\\",
    "&amp;",
    "\\u005c",
    "&#x00000041;",
    "%5Cu0041",
    "\\u005c\\u0075\\u0030\\u0030\\u0037\\u0038",
    ": : : ",
    "\u{1}\u{2}",
];

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        (0..3usize, 0..32usize, 1..40usize, 0..ENCODINGS.len())
            .prop_map(|(value, from, length, encoding)| Piece::Part { value, from, length, encoding }),
        (0..FILLERS.len(), prop_oneof![4 => 1..8usize, 1 => 1..1500usize])
            .prop_map(|(kind, times)| Piece::Filler { kind, times }),
    ]
}

fn text(values: &[String], pieces: &[Piece]) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Part { value, from, length, encoding } => {
                let value = values[value % values.len()].as_bytes();
                let from = from % value.len();
                let part = &value[from..value.len().min(from + length)];
                text.extend(ENCODINGS[*encoding].1(part));
            }
            Piece::Filler { kind, times } => text.extend(FILLERS[*kind].repeat(*times).into_bytes()),
        }
    }
    text
}

fn set_of(values: &[String]) -> ScanSet {
    let mut set = ScanSet::builder();
    for (n, value) in values.iter().enumerate() {
        set.add(&format!("[{n}]"), value.as_bytes());
    }
    set.build()
}

fn in_chunks(set: &ScanSet, text: &[u8], sizes: &[usize]) -> (Vec<u8>, Findings) {
    let mut out = Vec::new();
    let mut scrubber = Scrubber::new(set);
    let mut sizes = sizes.iter().cycle();
    let mut rest = text;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(rest.len().min(*sizes.next().expect("a cycle never ends")));
        scrubber.push(chunk, &mut out);
        rest = later;
    }
    let findings = scrubber.finish(&mut out);
    (out, findings)
}

proptest! {
    #[test]
    fn e1_the_cuts_of_a_stream_cannot_be_seen(
        values in prop::collection::vec(value(), 1..4),
        pieces in prop::collection::vec(piece(), 0..24),
        sizes in prop::collection::vec(1..3000usize, 1..6),
    ) {
        let (set, text) = (set_of(&values), text(&values, &pieces));
        let whole = in_chunks(&set, &text, &[usize::MAX]);
        for sizes in [&sizes[..], &[1], &[64], &[4096]] {
            let cut = in_chunks(&set, &text, sizes);
            prop_assert!(whole == cut, "{sizes:?}: {} / {}", whole.0.escape_ascii(), cut.0.escape_ascii());
        }
    }

    #[test]
    fn no_window_survives_in_any_encoding(
        value in value(),
        from in 0..32usize,
        length in 16..48usize,
        before in 0..FILLERS.len(),
        after in 0..FILLERS.len(),
        encoding in 0..ENCODINGS.len(),
    ) {
        let (name, encode) = ENCODINGS[encoding];
        let from = from % (value.len() - 15);
        let part = &value[from..value.len().min(from + length)];
        let text = [FILLERS[before].as_bytes(), b"<", &encode(part.as_bytes()), b">", FILLERS[after].as_bytes()].concat();
        let out = tacit_redact::scrub(&set_of(std::slice::from_ref(&value)), &text).0;
        let out = String::from_utf8_lossy(&out).into_owned();
        prop_assert!(out.contains("[0]"), "{name}: {out}");
        // The windows of an encoding are taken from the encoded text itself: whatever is left of it is shorter
        // than the encoding of sixteen characters.
        let least = encode(&part.as_bytes()[..16]).len();
        let left = out.len() - FILLERS[before].len() - FILLERS[after].len() - "<[0]>".len();
        prop_assert!(left < least.min(24), "{name}: {left} bytes are left of {out}");
    }

    #[test]
    fn nothing_else_is_lost(values in prop::collection::vec(value(), 1..4), text in prop::collection::vec(any::<u8>(), 0..4000)) {
        let (out, findings) = tacit_redact::scrub(&set_of(&values), &text);
        prop_assert!(out == text && findings.total() == 0);
    }

    #[test]
    fn e4_the_hold_back_is_constant(text in prop::collection::vec(any::<u8>(), 0..5000), sizes in prop::collection::vec(1..2000usize, 1..4)) {
        let set = set();
        let mut scrubber = Scrubber::new(&set);
        let (mut out, mut pushed, mut sizes) = (Vec::new(), 0, sizes.iter().cycle());
        while pushed < text.len() {
            let size = (*sizes.next().expect("a cycle never ends")).min(text.len() - pushed);
            scrubber.push(&text[pushed..pushed + size], &mut out);
            pushed += size;
            prop_assert_eq!(out.len(), pushed.saturating_sub(HOLD_BACK_BYTES));
        }
    }
}

/// Whoever pauses after a guess sees as much as after a wrong guess, wherever the pause is.
#[test]
fn e4_a_right_guess_looks_like_a_wrong_one() {
    let set = set();
    for (name, encode) in ENCODINGS {
        for known in 0..=15 {
            let right = encode(&S.as_bytes()[..PREFIX + known]);
            let mut wrong = S.as_bytes()[..PREFIX + known].to_vec();
            if let Some(last) = wrong.last_mut().filter(|_| known > 0) {
                *last = b'#';
            }
            let wrong = encode(&wrong);
            for padding in [0, 1, 7, 1000, 1024, 1500] {
                let visible = |guess: &[u8]| {
                    let text = [&b"-".repeat(padding)[..], guess].concat();
                    let mut seen = Vec::new();
                    let mut scrubber = Scrubber::new(&set);
                    let lengths: Vec<usize> = text
                        .chunks(1)
                        .map(|byte| {
                            scrubber.push(byte, &mut seen);
                            seen.len()
                        })
                        .collect();
                    let before = seen.len();
                    let findings = scrubber.finish(&mut seen);
                    assert_eq!(seen, text, "{name}");
                    assert_eq!(findings.total(), 0);
                    (lengths, before)
                };
                let (right_lengths, right_end) = visible(&right);
                let (wrong_lengths, wrong_end) = visible(&wrong);
                let common = right_lengths.len().min(wrong_lengths.len());
                assert_eq!(right_lengths[..common], wrong_lengths[..common], "{name} {known}");
                assert!(right.len() != wrong.len() || right_end == wrong_end, "{name} {known}");
            }
        }
    }
}

/// A set of many values cut in pieces, and texts made of the 8-byte grams of the values.
#[test]
fn e1_hostile_texts_are_cut_like_others() {
    let values: Vec<String> = (0..40u64)
        .map(|n| format!("Vq7Lm2Xc9RtB4kNp{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let set = set_of(&values);
    let texts = [
        values[3].repeat(300).into_bytes(),
        values[3][..15].repeat(1500).into_bytes(),
        values[3][8..16].repeat(40_000).into_bytes(),
        values.iter().map(|v| &v[5..27]).collect::<String>().repeat(30).into_bytes(),
    ];
    for text in texts {
        let whole = in_chunks(&set, &text, &[usize::MAX]);
        for sizes in [&[1][..], &[64], &[7, 1000, 13]] {
            assert!(whole == in_chunks(&set, &text, sizes));
        }
    }
}
