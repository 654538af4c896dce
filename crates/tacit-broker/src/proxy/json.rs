//! JSON that reads in one way only, and where in its text placeholders stand.
//!
//! The text itself is sent on, with values where placeholders were: written anew from what a parser made of it, a number
//! beyond 64 bits or with many digits would be another one.

use std::{collections::HashSet, fmt, ops::Range};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use tacit_vault::placeholder_hash;

/// A string that is a placeholder by its looks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Where it stands in the document (RFC 6901).
    pub(super) pointer: String,
    /// Where it stands in the text, without its quotes.
    pub(super) range: Range<usize>,
}

/// Reads a document: UTF-8 and nothing but JSON, no byte-order mark, and no object that has the same member twice, however
/// it is spelt. Yields the strings that are placeholders, in their order.
pub(super) fn candidates(text: &str) -> serde_json::Result<Vec<Candidate>> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    Walk { text, pointer: &mut String::new(), found: &mut found }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// One value of the document, and everything below it.
struct Walk<'w> {
    text: &'w str,
    pointer: &'w mut String,
    found: &'w mut Vec<Candidate>,
}

impl Walk<'_> {
    /// What is below, under the name that it has here.
    fn below<T>(&mut self, token: &str, read: impl FnOnce(Walk<'_>) -> T) -> T {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
        let read = read(Walk { text: self.text, pointer: self.pointer, found: self.found });
        self.pointer.truncate(length);
        read
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    /// A string without escapes is a piece of the text itself, and placeholders need none.
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        if placeholder_hash(value.as_bytes()).is_some() {
            let start = value.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
            let range = start..start.saturating_add(value.len());
            // Says the same as the line above, without trusting it.
            if self.text.get(range.clone()) == Some(value) {
                self.found.push(Candidate { pointer: self.pointer.clone(), range });
            }
        }
        Ok(())
    }

    /// One with escapes is not the placeholder that the program was given.
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut at = 0;
        while self.below(&at.to_string(), |item| items.next_element_seed(item))?.is_some() {
            at += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            self.below(&name, |member| members.next_value_seed(member))?;
            if !seen.insert(name) {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholder() -> String {
        let (text, _) = tacit_vault::generate_placeholder(tacit_vault::Shape::Generic);
        text.dangerous_expose().to_owned()
    }

    /// Each is found where it stands, whatever surrounds it.
    #[test]
    fn where_they_stand() {
        let ph = placeholder();
        let text = format!(
            "{{\"n\": 12345678901234567890123,\"é\\u00e9/~\":[ 1.10, \"{ph}\" ], \"{ph}\":\"x{ph}\" ,\t\"z\":\"{ph}\"}}\n"
        );
        let found = candidates(&text).unwrap();
        let places: Vec<_> = found.iter().map(|candidate| candidate.pointer.as_str()).collect();
        assert_eq!(places, ["/éé~1~0/1", "/z"]);
        assert!(found.iter().all(|candidate| text[candidate.range.clone()] == ph));
        assert_eq!(
            candidates(&format!("\"{ph}\"")).unwrap(),
            [Candidate { pointer: String::new(), range: 1..1 + ph.len() }]
        );
        // Nobody writes a letter as an escape who means this.
        let escaped = format!("\"\\u0074{}\"", &ph[1..]);
        assert_eq!(candidates(&escaped).unwrap(), []);
    }

    /// What another parser might read otherwise is not read.
    #[test]
    fn two_readings() {
        for text in [
            "{\"a\": 1, \"\\u0061\": 2}",
            "\u{feff}{}",
            "{} {}",
            "[1,]",
            "{\"a\": \"\\ud800\"}",
            "[NaN]",
            "[01]",
            "",
        ] {
            assert!(candidates(text).is_err(), "{text}");
        }
        assert!(candidates(&"[".repeat(200)).is_err());
    }
}
