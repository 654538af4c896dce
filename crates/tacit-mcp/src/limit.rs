//! How much a tool may answer. What comes from outside was scrubbed by the server before it is cut here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Bytes of what came from outside in one answer: about as much as a model can make use of.
pub(crate) const OUTPUT_BYTES_MAX: usize = 48 * 1024;
/// Bytes that each part of an answer gets, however many there are.
pub(crate) const PART_BYTES_MIN: usize = 1024;
/// Bytes of one header's value.
const HEADER_BYTES_MAX: usize = 1024;
/// Headers of one answer.
const HEADERS_MAX: usize = 64;

/// Says that something was cut.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Cut {
    /// How many bytes there were, written as JSON or text.
    bytes: usize,
    /// How many of them are here.
    shown_bytes: usize,
    /// What to do about it.
    note: String,
}

/// A value of at most `max` bytes. One that is larger becomes the beginning of its text.
pub(crate) fn shorten(value: Value, max: usize) -> (Value, Option<Cut>) {
    let text = match value {
        Value::String(text) if text.len() > max => text,
        Value::String(_) => return (value, None),
        other => {
            let text = other.to_string();
            if text.len() <= max {
                return (other, None);
            }
            text
        }
    };
    let shown = beginning(&text, max);
    let cut = Cut {
        bytes: text.len(),
        shown_bytes: shown.len(),
        note: "cut off: ask for less, with `fields` (JSON pointers) or the service's own paging".to_owned(),
    };
    (Value::String(shown.to_owned()), Some(cut))
}

/// Headers within their limits.
pub(crate) fn headers(headers: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let short = |(name, value): (String, String)| {
        let kept = beginning(&value, HEADER_BYTES_MAX);
        (name, if kept.len() < value.len() { format!("{kept}…") } else { value })
    };
    headers.into_iter().take(HEADERS_MAX).map(short).collect()
}

/// At most `max` bytes, in whole characters.
pub(crate) fn beginning(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What fits stays as it is; what does not becomes a beginning that says so.
    #[test]
    fn shortening() {
        assert_eq!(shorten(json!({"a": 1}), 7), (json!({"a": 1}), None));
        assert_eq!(shorten(json!("äöü"), 6), (json!("äöü"), None));
        let (text, cut) = shorten(json!("äöü"), 5);
        assert_eq!((text, cut.map(|cut| (cut.bytes, cut.shown_bytes))), (json!("äö"), Some((6, 4))));
        let (text, cut) = shorten(json!({"list": [1, 2, 3]}), 10);
        assert_eq!(text, json!("{\"list\":[1"));
        assert!(cut.unwrap().note.contains("fields"));
        let long = headers(BTreeMap::from([("x".to_owned(), "y".repeat(2000))]));
        assert_eq!(long["x"].chars().count(), HEADER_BYTES_MAX + 1);
    }
}
