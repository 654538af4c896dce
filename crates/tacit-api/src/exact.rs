//! JSON of which nothing is lost when it is read.
//!
//! A value is a credential for somebody else's parser. Where a name stands twice, one of the two would be dropped here and
//! perhaps the other one there; a number with too many digits would come back as another number. Both are refused instead.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Why JSON is refused in which a name stands twice.
pub const TWICE: &str = "a name stands twice in one object";
/// Why JSON is refused with a number that would become another one.
pub const TOO_LONG: &str = "a number has more digits than are kept; write it as a text, in quotes";

/// From here on numbers that are no integers of 64 bits stand further apart than 1.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// JSON that was read without a loss. No `Debug`: it may be a value.
pub struct Exact(pub Value);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Any { is_exact: true }.deserialize(from).map(Self)
    }
}

/// JSON in which no name stands twice; a number may be any that is kept. What people read in a definition is what is done.
pub struct Distinct(pub Value);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Any { is_exact: false }.deserialize(from).map(Self)
    }
}

/// A list of such, for `deserialize_with`.
///
/// # Errors
/// A name that stands twice in one object.
pub fn distinct<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Value>, D::Error> {
    Ok(Vec::<Distinct>::deserialize(from)?.into_iter().map(|item| item.0).collect())
}

/// Whatever comes.
#[derive(Clone, Copy)]
struct Any {
    /// Whether numbers must come back as they were written.
    is_exact: bool,
}

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if self.is_exact && value.abs() >= EXACT_BELOW {
            return Err(E::custom(TOO_LONG));
        }
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(self)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            if members.insert(name, from.next_value_seed(self)?).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        serde_json::from_str::<Exact>(text)
            .map(|exact| exact.0.to_string())
            .map_err(|error| error.to_string())
    }

    /// What is read is what was written; what would not be is refused, and nothing of it is repeated.
    #[test]
    fn nothing_is_lost() {
        for text in [
            r#"{"b":1,"a":[null,true,-2,18446744073709551615,1.5,"x"],"c":{"a":1}}"#,
            "\"text\"",
            "-9223372036854775808",
            "[]",
        ] {
            assert_eq!(read(text).unwrap(), text);
        }
        for text in
            [r#"{"a":1,"a":1}"#, r#"[{"k":{"a":"hunter2","b":1,"a":"hunter2"}}]"#, r#"{"a":1,"\u0061":2}"#]
        {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(TWICE) && !error.contains("hunter2"), "{error}");
        }
        for text in ["12345678901234567890123", "[18446744073709551616]", "1e22", "-9223372036854775809"] {
            assert!(read(text).unwrap_err().starts_with(TOO_LONG), "{text}");
        }
        assert!(read(&"[".repeat(100_000)).is_err(), "deep nesting is refused, not followed");
    }
    /// Where any number will do, a name that stands twice is refused all the same.
    #[test]
    fn names_are_distinct() {
        let read = |text: &str| distinct(&mut serde_json::Deserializer::from_str(text));
        let text = r#"[{"a":1e300,"b":[12345678901234567890123]}]"#;
        assert_eq!(Value::from(read(text).unwrap()), serde_json::from_str::<Value>(text).unwrap());
        assert!(read(r#"[{"a":{"b":1,"b":2}}]"#).unwrap_err().to_string().starts_with(TWICE));
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
