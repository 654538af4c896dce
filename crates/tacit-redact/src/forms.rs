//! The shapes in which a value may come back, and how much of the value a piece of such a shape proves.

use crate::units;

/// How a form is written. Case and the two base64 alphabets are not told apart (see `index::CANON`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Writing {
    Plain,
    Reversed,
    Hex,
    /// Base64 of a text in which this many bytes (modulo three) stand before the value.
    Base64(u8),
    /// Base64 of the base64 of the whole value.
    Base64Twice(u8),
}

/// The writings of every value.
pub(crate) const WRITINGS: [Writing; 9] = [
    Writing::Plain,
    Writing::Reversed,
    Writing::Hex,
    Writing::Base64(0),
    Writing::Base64(1),
    Writing::Base64(2),
    Writing::Base64Twice(0),
    Writing::Base64Twice(1),
    Writing::Base64Twice(2),
];

/// Values beyond this length are not looked for in double base64.
const TWICE_BYTES_MAX: usize = 4096;

impl Writing {
    /// Appends the value in this writing.
    pub(crate) fn write(self, value: &[u8], to: &mut Vec<u8>) {
        match self {
            Self::Plain => to.extend_from_slice(value),
            Self::Reversed => to.extend(value.iter().rev()),
            Self::Hex => {
                to.extend(value.iter().flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]))
            }
            Self::Base64(shift) => base64(value, usize::from(shift), to),
            Self::Base64Twice(shift) if value.len() <= TWICE_BYTES_MAX => {
                let mut once = zeroize::Zeroizing::new(Vec::with_capacity(value.len() / 3 * 4 + 4));
                base64(value, 0, &mut once);
                while once.len() % 4 != 0 {
                    once.push(b'=');
                }
                base64(&once, usize::from(shift), to);
            }
            Self::Base64Twice(_) => {}
        }
    }

    /// Whether a gram at this place has to be in the index. Every window is as long as it takes for one sampled
    /// gram to lie inside; the windows of the longer writings hold two sampled grams, and of two neighbours one is
    /// always in an even stretch.
    pub(crate) fn keeps_gram_at(self, at: usize, stride: usize) -> bool {
        match self {
            Self::Plain | Self::Reversed | Self::Base64(_) => true,
            Self::Hex | Self::Base64Twice(_) => at % (2 * stride) < stride,
        }
    }

    /// Which bytes of a value of `length` bytes the characters `start..end` of this writing give away. A byte
    /// counts when at least half of its bits are covered: so exactly 16 bytes come out of the 20 or 21 characters
    /// that 16 bytes determine in base64, at each of the three alignments.
    pub(crate) fn covered(self, start: usize, end: usize, length: usize) -> (usize, usize) {
        let (from, to) = match self {
            Self::Plain => (start, end),
            Self::Reversed => (length.saturating_sub(end), length.saturating_sub(start)),
            Self::Hex => (start.div_ceil(2), end / 2),
            Self::Base64(shift) => base64_covered(start, end, usize::from(shift)),
            Self::Base64Twice(shift) => {
                let (from, to) = base64_covered(start, end, usize::from(shift));
                base64_covered(from, to.max(from), 0)
            }
        };
        (from.min(length), to.min(length))
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The first character that depends on nothing but the value.
fn first_own(shift: usize) -> usize {
    (shift * 8).div_ceil(6)
}

/// The characters that depend on nothing but the value, and the last one as it is at the end of a text.
pub(crate) fn base64(value: &[u8], shift: usize, to: &mut Vec<u8>) {
    let byte =
        |at: usize| u32::from(if at < shift { 0 } else { value.get(at - shift).copied().unwrap_or(0) });
    let total = ((shift + value.len()) * 8).div_ceil(6);
    to.extend((first_own(shift)..total).map(|at| {
        let bit = at * 6;
        let pair = byte(bit / 8) << 8 | byte(bit / 8 + 1);
        BASE64[(pair >> (10 - bit % 8) & 63) as usize]
    }));
}

fn base64_covered(start: usize, end: usize, shift: usize) -> (usize, usize) {
    let first = 6 * (first_own(shift) + start);
    let last = 6 * (first_own(shift) + end);
    let from = first.saturating_sub(4).div_ceil(8).saturating_sub(shift);
    let to = (last.saturating_sub(4) / 8 + 1).saturating_sub(shift);
    (from, to)
}

/// Bytes that the separator-skipping lane leaves out: what folds lines, spaces hex out, pads UTF-16 and UTF-32,
/// and (as `=` before a line break) folds quoted-printable.
pub(crate) const IS_SEPARATOR: [bool; 256] = {
    let mut table = [false; 256];
    let separators = b"\0\r\n\t :=";
    let mut i = 0;
    while i < separators.len() {
        table[separators[i] as usize] = true;
        i += 1;
    }
    table
};

/// The value as the separator-skipping lane sees it, if that differs. For a PEM it is also the body without its
/// line breaks.
pub(crate) fn squeezed(value: &[u8], evidence: &[bool]) -> Option<(Vec<u8>, Vec<bool>)> {
    if !value.iter().any(|b| IS_SEPARATOR[usize::from(*b)]) {
        return None;
    }
    let kept = || value.iter().zip(evidence).filter(|(b, _)| !IS_SEPARATOR[usize::from(**b)]);
    let mut bytes = Vec::with_capacity(value.len());
    bytes.extend(kept().map(|(b, _)| *b));
    Some((bytes, kept().map(|(_, e)| *e).collect()))
}

/// The value with what looks like escapes in it read, if there are any: so a text is read that has escapes of its own.
pub(crate) fn decoded(value: &[u8], evidence: &[bool]) -> Option<(Vec<u8>, Vec<bool>)> {
    units::find_lead(value)?;
    let (mut bytes, mut kept) = (Vec::with_capacity(value.len()), Vec::with_capacity(value.len()));
    let mut at = 0;
    while at < value.len() {
        match units::parse(&value[at..value.len().min(at + units::UNIT_MAX)]) {
            Some(unit) => {
                bytes.extend_from_slice(unit.text());
                kept.resize(bytes.len(), evidence[at]);
                at += unit.len();
            }
            None => {
                bytes.push(value[at]);
                kept.push(evidence[at]);
                at += 1;
            }
        }
    }
    (bytes != value).then_some((bytes, kept))
}

/// The value as a form field, where a blank is written as `+`.
pub(crate) fn plus_for_blank(value: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b' ', value)?;
    let mut plus = Vec::with_capacity(value.len());
    plus.extend(value.iter().map(|b| if *b == b' ' { b'+' } else { *b }));
    Some(plus)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &[u8] = b"7hG2kQ9zXv4LpW8sRt1YbN6mCd3FjK5a";

    fn base64_of(shift: usize, value: &[u8]) -> String {
        use base64::Engine;
        let mut text = vec![b'.'; shift];
        text.extend_from_slice(value);
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(text)
    }

    #[test]
    fn base64_agrees_with_the_common_implementation_at_every_alignment() {
        for shift in 0..3 {
            for length in 1..VALUE.len() {
                let mut own = Vec::new();
                base64(&VALUE[..length], shift, &mut own);
                assert_eq!(
                    String::from_utf8(own).unwrap(),
                    base64_of(shift, &VALUE[..length])[first_own(shift)..]
                );
            }
        }
    }

    #[test]
    fn sixteen_bytes_are_covered_by_what_sixteen_bytes_determine_and_fifteen_are_not() {
        for shift in 0..3 {
            for from in 0..12 {
                for (length, enough) in [(16, true), (15, false)] {
                    // The characters that depend on value[from..from + length] alone.
                    let bit: usize = 8 * (shift + from);
                    let start = bit.div_ceil(6) - first_own(shift);
                    let end = (bit + 8 * length) / 6 - first_own(shift);
                    let (a, b) = base64_covered(start, end, shift);
                    assert_eq!(b - a >= 16, enough, "{shift} {from} {length}: {a}..{b}");
                }
            }
        }
    }
}
