//! The encodings that attackers and services use, written without looking at how they are found.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

pub(crate) type Encoding = (&'static str, fn(&[u8]) -> Vec<u8>);

/// Each turns a text into another from which a reader gets it back.
pub(crate) const ENCODINGS: &[Encoding] = &[
    ("raw", <[u8]>::to_vec),
    ("upper", |t| t.to_ascii_uppercase()),
    ("lower", |t| t.to_ascii_lowercase()),
    ("reversed", |t| t.iter().rev().copied().collect()),
    ("hex", |t| each(t, |b| format!("{b:02x}"))),
    ("hex upper", |t| each(t, |b| format!("{b:02X}"))),
    ("hex with colons", |t| each(t, |b| format!("{b:02x}:"))),
    ("hex with blanks", |t| each(t, |b| format!("{b:02X} "))),
    ("hex dump", |t| folded(&each(t, |b| format!("{b:02x} ")), 48, "\r\n")),
    ("base64", |t| STANDARD.encode(t).into()),
    ("base64 after one", |t| STANDARD.encode([b".", t].concat()).into()),
    ("base64 after two", |t| STANDARD.encode([b"..", t].concat()).into()),
    ("base64url", |t| URL_SAFE.encode(t).into()),
    ("base64 folded", |t| folded(STANDARD.encode(t).as_bytes(), 20, "\r\n")),
    ("base64 quoted-printable", |t| folded(STANDARD.encode(t).as_bytes(), 20, "=\r\n")),
    ("percent", |t| each(t, |b| format!("%{b:02X}"))),
    ("percent in part", |t| each(t, |b| if b % 3 == 0 { format!("%{b:02x}") } else { char::from(b).into() })),
    ("percent twice", |t| each(t, |b| format!("%25{b:02X}"))),
    ("percent fully twice", |t| {
        each(t, |b| format!("%25%{:02X}%{:02X}", HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]))
    }),
    ("base64 in percent", |t| each(STANDARD.encode(t).as_bytes(), |b| format!("%{b:02X}"))),
    ("json", |t| each(t, |b| format!("\\u{b:04x}"))),
    ("json in part", |t| each(t, |b| if b % 3 == 0 { format!("\\u{b:04X}") } else { char::from(b).into() })),
    ("json in json", |t| each(t, |b| format!("\\\\u{b:04x}"))),
    ("hex escapes", |t| each(t, |b| format!("\\x{b:02x}"))),
    ("octal escapes", |t| each(t, |b| format!("\\{b:03o}"))),
    ("entities", |t| each(t, |b| format!("&#{b};"))),
    ("hex entities", |t| each(t, |b| format!("&#x{b:X};"))),
    ("entities in entities", |t| each(t, |b| format!("&amp;#{b};"))),
    ("utf-16le", |t| t.iter().flat_map(|b| [*b, 0]).collect()),
    ("utf-16be", |t| t.iter().flat_map(|b| [0, *b]).collect()),
    ("utf-32le", |t| t.iter().flat_map(|b| [*b, 0, 0, 0]).collect()),
    ("folded", |t| folded(t, 5, "\n\t ")),
    ("one per line", |t| folded(t, 1, "\r\n")),
    ("hex folded in json", |t| each(t, |b| format!("{b:02x}\\n"))),
];

/// Encodings that are only looked for in whole values.
pub(crate) const OF_WHOLE: &[Encoding] = &[
    ("base64 twice", |t| STANDARD.encode(STANDARD.encode(t)).into()),
    ("base64 twice without padding, shifted", |t| {
        STANDARD_NO_PAD.encode(format!(".{}", STANDARD.encode(t))).into()
    }),
];

fn each(text: &[u8], write: impl Fn(u8) -> String) -> Vec<u8> {
    text.iter().flat_map(|b| write(*b).into_bytes()).collect()
}

fn folded(text: &[u8], width: usize, fold: &str) -> Vec<u8> {
    text.chunks(width).collect::<Vec<_>>().join(fold.as_bytes())
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
