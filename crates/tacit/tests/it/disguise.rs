//! Ways to write a text so that a reader who looks for it does not see it, and the reader who sees it all the same.
//!
//! The two halves share nothing with the scrubber that is under test: a mistake in it must not be repeated here.

use std::collections::HashSet;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// A way to write a text.
pub(crate) type Disguise = fn(&str) -> Vec<u8>;

/// A way to read what was written in one.
type Reading = fn(&[u8]) -> Vec<u8>;

/// Every way that the attack list names, by the name under which the hostile upstream offers it.
pub(crate) const DISGUISES: &[(&str, Disguise)] = &[
    ("raw", |text| text.into()),
    ("upper-case", |text| text.to_uppercase().into()),
    ("lower-case", |text| text.to_lowercase().into()),
    ("reversed", |text| text.chars().rev().collect::<String>().into()),
    ("hex", |text| hex(text, "")),
    ("hex-upper", |text| hex(text, "").to_ascii_uppercase()),
    ("hex-colons", |text| hex(text, ":")),
    ("hex-spaces", |text| hex(text, " ")),
    ("base64-0", |text| STANDARD.encode(text).into()),
    ("base64-1", |text| STANDARD.encode(format!("x{text}")).into()),
    ("base64-2", |text| STANDARD.encode(format!("xy{text}")).into()),
    ("base64url-0", |text| URL_SAFE_NO_PAD.encode(text).into()),
    ("base64url-1", |text| URL_SAFE_NO_PAD.encode(format!("x{text}")).into()),
    ("base64url-2", |text| URL_SAFE_NO_PAD.encode(format!("xy{text}")).into()),
    ("base64-folded", |text| folded(&STANDARD.encode(text), 76, "\r\n")),
    // Twice only of what stands alone on a line: in the middle of a text the inner alignment is anything.
    ("base64-twice", |text| {
        let alone = text.lines().filter(|line| !line.contains([' ', '{']));
        alone.map(|line| STANDARD.encode(STANDARD.encode(line))).collect::<Vec<_>>().join("\n").into()
    }),
    ("percent", |text| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>().into()),
    ("percent-some", |text| some(text, |byte| format!("%{byte:02x}"))),
    ("percent-twice", |text| text.bytes().map(|byte| format!("%25{byte:02X}")).collect::<String>().into()),
    ("backslash-u", |text| {
        text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>().into()
    }),
    ("backslash-u-some", |text| some(text, |byte| format!("\\u{byte:04X}"))),
    ("backslash-x", |text| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>().into()),
    ("octal", |text| text.bytes().map(|byte| format!("\\{byte:03o}")).collect::<String>().into()),
    ("entities", |text| text.bytes().map(|byte| format!("&#{byte};")).collect::<String>().into()),
    ("entities-hex", |text| some(text, |byte| format!("&#x{byte:x};"))),
    ("utf16-le", |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ("utf16-be", |text| text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ("utf32", |text| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect()),
    ("spaced", |text| text.chars().flat_map(|c| [c, ' ']).collect::<String>().into()),
    ("one-per-line", |text| text.chars().flat_map(|c| [c, '\n']).collect::<String>().into()),
    ("folded", |text| folded(text, 30, "\r\n ")),
    ("quoted-printable", |text| folded(text, 13, "=\r\n")),
    // Sixteen characters and more, apart: what an error message quotes of a key.
    ("pieces-20", |text| pieces(text, 20)),
    ("pieces-16", |text| pieces(text, 16)),
];

fn hex(text: &str, separator: &str) -> Vec<u8> {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator).into()
}

/// About a third of the characters.
fn some(text: &str, write: fn(u8) -> String) -> Vec<u8> {
    text.bytes()
        .enumerate()
        .flat_map(|(at, byte)| if at % 3 == 1 { write(byte).into_bytes() } else { vec![byte] })
        .collect()
}

fn folded(text: &str, width: usize, with: &str) -> Vec<u8> {
    text.as_bytes().chunks(width).collect::<Vec<_>>().join(with.as_bytes())
}

fn pieces(text: &str, size: usize) -> Vec<u8> {
    text.lines()
        .flat_map(|line| line.as_bytes().chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .collect::<Vec<_>>()
        .join(&b" | "[..])
}

/// How much of a value in a row is a leak.
const WINDOW: usize = 16;

/// Looks for values in whatever can be captured, in every disguise and in disguises of disguises.
pub(crate) struct Detector {
    windows: HashSet<Vec<u8>>,
    /// The first two bytes of each window, since almost every place is no beginning of one.
    begins: Vec<bool>,
}

impl Detector {
    /// For these texts; each is the unpredictable part of a value, without the prefix that everybody knows.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut detector = Self { windows: HashSet::new(), begins: vec![false; 1 << 16] };
        for secret in secrets {
            let forward = secret.to_ascii_lowercase().into_bytes();
            let backward: Vec<u8> = forward.iter().rev().copied().collect();
            assert!(forward.len() >= WINDOW, "nothing to look for in a text this short");
            for text in [forward, backward] {
                for window in text.windows(WINDOW) {
                    detector.begins[pair(window)] = true;
                    detector.windows.insert(window.to_vec());
                }
            }
        }
        detector
    }

    /// Sixteen characters of a value, and how they were written; `None` if there are none.
    pub(crate) fn find(&self, bytes: &[u8], disguises: usize) -> Option<String> {
        let lower = bytes.to_ascii_lowercase();
        for window in lower.windows(WINDOW) {
            if self.begins[pair(window)] && self.windows.contains(window) {
                return Some(String::from_utf8_lossy(window).into_owned());
            }
        }
        if disguises == 0 {
            return None;
        }
        const READINGS: &[(&str, Reading)] = &[
            ("separators", unspaced),
            ("percent", |bytes| unescaped(bytes, b'%')),
            ("backslash", |bytes| unescaped(bytes, b'\\')),
            ("entities", |bytes| unescaped(bytes, b'&')),
            ("hex", |bytes| {
                decoded(bytes, 4, 2, |b| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()))
            }),
            ("base64", |bytes| decoded(bytes, 6, 4, sextet)),
        ];
        READINGS.iter().find_map(|(name, read)| {
            let read = read(bytes);
            let is_new = read.len() >= WINDOW && read != bytes;
            is_new.then(|| self.find(&read, disguises - 1)).flatten().map(|found| format!("{name}: {found}"))
        })
    }

    /// Fails if a text holds a value.
    #[track_caller]
    pub(crate) fn assert_clean(&self, bytes: impl AsRef<[u8]>, what: &str) {
        if let Some(found) = self.find(bytes.as_ref(), 2) {
            let text = String::from_utf8_lossy(bytes.as_ref()).chars().take(2000).collect::<String>();
            panic!("{what} holds {found}\n{text}");
        }
    }
}

fn pair(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 | usize::from(window[1])
}

fn unspaced(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !b"\0\r\n\t :=\xff\xfe".contains(byte)).collect()
}

/// Reads the escapes that begin with one character; what is none stays.
fn unescaped(bytes: &[u8], lead: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..bytes.len().min(at + 10)];
        let read = (rest[0] == lead).then(|| escape(rest)).flatten();
        match read {
            Some((length, byte)) => {
                out.push(byte);
                at += length;
            }
            None => {
                out.push(rest[0]);
                at += 1;
            }
        }
    }
    out
}

fn escape(rest: &[u8]) -> Option<(usize, u8)> {
    let number = |from: usize, length: usize, radix: u32| {
        let digits = std::str::from_utf8(rest.get(from..from + length)?).ok()?;
        u8::try_from(u32::from_str_radix(digits, radix).ok()?).ok()
    };
    match (rest[0], rest.get(1)?) {
        (b'%', _) => Some((3, number(1, 2, 16)?)),
        (b'\\', b'u') => Some((6, number(2, 4, 16)?)),
        (b'\\', b'x') => Some((4, number(2, 2, 16)?)),
        (b'\\', b'0'..=b'7') => Some((4, number(1, 3, 8)?)),
        (b'\\', b'n') => Some((2, b'\n')),
        (b'\\', byte @ (b'"' | b'\\' | b'/')) => Some((2, *byte)),
        (b'&', b'#') => {
            let end = rest.iter().position(|byte| *byte == b';')?;
            let (from, radix) = if rest[2] == b'x' { (3, 16) } else { (2, 10) };
            Some((end + 1, number(from, end.checked_sub(from)?, radix)?))
        }
        _ => None,
    }
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Every run of an alphabet's characters, read from each of the places where it may have begun.
fn decoded(bytes: &[u8], bits: u32, offsets: usize, digit: fn(u8) -> Option<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let text = unspaced(bytes);
    for run in text.split(|byte| digit(*byte).is_none()).filter(|run| run.len() >= WINDOW) {
        for offset in 0..offsets {
            let (mut held, mut held_bits) = (0_u32, 0);
            for digit in run[offset..].iter().filter_map(|byte| digit(*byte)) {
                held = (held << bits | u32::from(digit)) & 0xffff;
                held_bits += bits;
                if held_bits >= 8 {
                    held_bits -= 8;
                    out.push((held >> held_bits & 0xff) as u8);
                }
            }
            out.push(b'\n');
        }
    }
    out
}

/// The detector finds what every disguise hides, or nothing that it says afterwards is worth anything.
#[test]
fn every_disguise_is_seen_through() {
    let value = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
    let detector = Detector::new([value]);
    for (name, disguise) in DISGUISES {
        let hidden = disguise(&format!("some text\n{value}\nmore text"));
        assert!(detector.find(&hidden, 2).is_some(), "{name}");
        assert!(detector.find(STANDARD.encode(&hidden).as_bytes(), 3).is_some(), "{name} in base64");
    }
    assert!(detector.find(b"Zq8Wn3Lk5Rt7Yp2 and nothing more, sk_live_ [sealed:K]", 3).is_none());
}
