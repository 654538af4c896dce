//! Just enough JSON to see the string leaves of a structured value.
//!
//! This is not a parser: it accepts more than JSON and never fails. It only has to agree with one on values that
//! are well formed; on others it yields nothing worse than a few useless pieces.

use zeroize::Zeroizing;

use crate::units;

/// A string between its quotes, as positions in the value.
struct Literal {
    start: usize,
    end: usize,
    is_key: bool,
}

/// The string leaves of a structured value, as they are written and, where that differs, as they read. `None` for a
/// value that is no structure.
pub(crate) fn leaves(value: &[u8]) -> Option<Vec<Zeroizing<Vec<u8>>>> {
    if !looks_structured(value) {
        return None;
    }
    let mut leaves = Vec::new();
    for literal in literals(value).filter(|literal| !literal.is_key) {
        let written = &value[literal.start..literal.end];
        if memchr::memchr(b'\\', written).is_some() {
            leaves.push(units::unescape_json(written));
        }
        leaves.push(Zeroizing::new(written.to_vec()));
    }
    Some(leaves)
}

/// Marks keys and punctuation as no evidence: `"type": "service_account"` stands in every such file.
pub(crate) fn hide_skeleton(value: &[u8], evidence: &mut [bool]) {
    if !looks_structured(value) {
        return;
    }
    let mut from = 0;
    for literal in literals(value) {
        let hidden = if literal.is_key { literal.end } else { literal.start };
        // Numbers between two strings keep their digits.
        for at in from..hidden {
            let digit = at < literal.start && value[at].is_ascii_digit();
            evidence[at] &= digit;
        }
        from = literal.end;
    }
    for at in from..value.len() {
        evidence[at] &= value[at].is_ascii_digit();
    }
}

/// Random bytes seldom begin with a brace and end with its partner.
fn looks_structured(value: &[u8]) -> bool {
    let text = value.trim_ascii();
    let object =
        text.starts_with(b"{") && text.ends_with(b"}") && memchr::memmem::find(text, b"\":").is_some();
    let spaced =
        text.starts_with(b"{") && text.ends_with(b"}") && memchr::memmem::find(text, b"\" :").is_some();
    object || spaced || (text.starts_with(b"[\"") && text.ends_with(b"\"]"))
}

fn literals(value: &[u8]) -> impl Iterator<Item = Literal> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = memchr::memchr(b'"', &value[from..])? + from + 1;
        let mut end = start;
        loop {
            end += memchr::memchr2(b'"', b'\\', value.get(end..)?)?;
            if value[end] == b'"' {
                break;
            }
            end += 2;
        }
        from = end + 1;
        let is_key = value[from..].trim_ascii_start().first() == Some(&b':');
        Some(Literal { start, end, is_key })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_unescaped_and_keys_are_not_leaves() {
        let leaves = leaves(br#"{"ke\ty": "a\nb", "plain": "c", "n": [1, "\u00e9\"x"]}"#).unwrap();
        let texts: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.as_slice()).collect();
        let written = |text: &'static str| text.as_bytes();
        assert_eq!(
            texts,
            [written("a\nb"), written(r"a\nb"), written("c"), written("é\"x"), written(r#"\u00e9\"x"#)]
        );
    }

    #[test]
    fn the_skeleton_is_no_evidence() {
        let value = br#"{"user": "Bob", "pin": 12}"#;
        let mut evidence = vec![true; value.len()];
        hide_skeleton(value, &mut evidence);
        let left: Vec<u8> = value.iter().zip(&evidence).filter(|(_, e)| **e).map(|(b, _)| *b).collect();
        assert_eq!(left, b"Bob12");
    }

    #[test]
    fn broken_json_yields_nothing_and_ends() {
        for broken in [&b"{\"a\": \"b"[..], b"{\"a\": \"b\\", b"{\":}", b"[\"\\\"]", b"\"", b""] {
            let _ = leaves(broken);
            hide_skeleton(broken, &mut vec![true; broken.len()]);
        }
    }
}
