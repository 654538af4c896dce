//! Where in a JSON value something is: `a.b[0]["c d"]`. How a path is spelled is in [`scan`](crate::scan).

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::ParseError;
use crate::scan::{Scanner, is_word};

/// One step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A member of an object. `.0` is a key too: it never means an array's element.
    Key(String),
    /// An element of an array, counted from 0.
    Index(usize),
}

/// A sequence of keys and indexes. The empty path is the whole value.
///
/// [`Display`](fmt::Display) and [`FromStr`] are inverse to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Segment>);

impl Path {
    pub(crate) fn new(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    /// The steps, outermost first.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this is the whole value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands at this path. A key finds only members of objects and an index only elements of arrays;
    /// there is no length, no method and no wildcard.
    pub fn look_up<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, segment| match (segment, value) {
            (Segment::Key(key), Value::Object(members)) => members.get(key),
            (Segment::Index(index), Value::Array(elements)) => elements.get(*index),
            _ => None,
        })
    }

    /// Writes the path as it continues a reference: the first key has its dot.
    pub(crate) fn fmt_continued(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_segments(&self.0, f)
    }
}

fn fmt_segments(segments: &[Segment], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    segments.iter().try_for_each(|segment| match segment {
        Segment::Key(key) => fmt_key(key, f),
        Segment::Index(index) => write!(f, "[{index}]"),
    })
}

/// Writes `.key`, or `["key"]` where a word cannot say it.
pub(crate) fn fmt_key(key: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_word(key) { write!(f, ".{key}") } else { write!(f, "[{}]", Value::from(key)) }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_first() {
            Some((Segment::Key(key), rest)) if is_word(key) => {
                f.write_str(key)?;
                fmt_segments(rest, f)
            }
            _ => fmt_segments(&self.0, f),
        }
    }
}

impl FromStr for Path {
    type Err = ParseError;

    fn from_str(source: &str) -> Result<Self, ParseError> {
        Scanner::new(source)?.whole_path()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::PATH_DEPTH_MAX;

    fn path(source: &str) -> Path {
        source.parse().unwrap()
    }

    /// All three spellings of a segment are read and written back.
    #[test]
    fn display_is_what_was_parsed() {
        for source in ["", "a", "a.b[0][\"c d\"]", "[0]", "[0].x-1", "[\"\"]", "[\"q\\\"\\\\\"].z", "0.1"] {
            assert_eq!(path(source).to_string(), source);
        }
        assert_eq!(path("a[\"b\"]").to_string(), "a.b", "quotes that are not needed go");
    }

    /// A path finds members and elements, and nothing that is not there.
    #[test]
    fn looks_up_keys_in_objects_and_indexes_in_arrays() {
        let value = json!({"a": {"b": [{"c d": 7}]}, "0": "zero", "n": null});
        assert_eq!(path("a.b[0][\"c d\"]").look_up(&value), Some(&json!(7)));
        assert_eq!(path("").look_up(&value), Some(&value));
        assert_eq!(path("0").look_up(&value), Some(&json!("zero")));
        assert_eq!(path("n").look_up(&value), Some(&json!(null)));
        for absent in ["a.b.0", "a.b[1]", "a[0]", "n.x", "a.b.length", "A"] {
            assert_eq!(path(absent).look_up(&value), None, "{absent}");
        }
    }

    /// Wrong paths are refused at the place where they go wrong.
    #[test]
    fn refuses_with_the_place() {
        for (source, offset) in [
            (".a", 0),
            ("a.", 2),
            ("a..b", 2),
            ("a b", 1),
            ("a[", 2),
            ("a[]", 2),
            ("a[x]", 2),
            ("a[-1]", 2),
            ("a[01]", 2),
            ("a[1234567890]", 2),
            ("a[0", 3),
            ("a[0:2]", 3),
            ("a[\"x]", 2),
            ("a['x']", 2),
            ("a[\"x\\q\"]", 2),
            ("ä", 0),
        ] {
            let error = source.parse::<Path>().unwrap_err();
            assert_eq!(error.offset, offset, "{source}: {error}");
        }
    }

    /// The depth is limited, and the limit itself still passes.
    #[test]
    fn depth_is_limited() {
        let deep = |segments: usize| vec!["k"; segments].join(".");
        assert_eq!(path(&deep(PATH_DEPTH_MAX)).segments().len(), PATH_DEPTH_MAX);
        assert!(deep(PATH_DEPTH_MAX + 1).parse::<Path>().is_err());
    }
}
