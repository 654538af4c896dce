//! JSON and YAML files: one object of names. Names stay in their order, and a name that is there twice is noticed.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;
use tacit_api::exact::{Exact, TOO_LONG, TWICE};

use super::dotenv::Wrong;

/// The pairs of an object, twice what is there twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names with values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, Exact(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Names)
    }
}

/// An object's names and values.
pub(super) fn json(text: &str) -> Result<Vec<(String, Value)>, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<Pairs>(text).map(|pairs| pairs.0).map_err(|error| Wrong {
        line: error.line().max(1),
        what: match own(&error.to_string()) {
            Some(own) => own,
            None if error.is_data() => "is not an object of names with values",
            None => "is not JSON",
        },
    })
}

/// What our own reading says of a value; the words of parsers may hold a part of it.
fn own(message: &str) -> Option<&'static str> {
    let own = [
        (TWICE, "is in an object that has a name twice"),
        (TOO_LONG, "has a number with more digits than are kept: put it in quotes"),
    ];
    own.into_iter().find(|(known, _)| message.contains(known)).map(|(_, own)| own)
}

/// A mapping's names and values. The parser's own message quotes the text around the place, which may be a value.
pub(super) fn yaml(text: &str) -> Result<Vec<(String, Value)>, Wrong> {
    serde_saphyr::from_str::<Pairs>(text).map(|pairs| pairs.0).map_err(|error| Wrong {
        line: error.location().map_or(1, |location| usize::try_from(location.line()).unwrap_or(1)),
        what: own(&error.to_string()).unwrap_or("is not YAML, or not a mapping of names to values"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// Quoted, literal and folded texts, and a PEM as people paste it.
    #[test]
    fn yaml_texts() {
        let text = "A: plain $x #no\nB: \"q\\r\\n\\\"#=\"\nC: 'it''s'\nD: |\n  -----BEGIN X-----\n  AAA=\n  -----END X-----\nE: \"0123\"\n";
        let pairs = yaml(text).unwrap();
        let values: Vec<&Value> = pairs.iter().map(|(_, value)| value).collect();
        assert_eq!(
            values,
            [
                &json!("plain $x"),
                &json!("q\r\n\"#="),
                &json!("it's"),
                &json!("-----BEGIN X-----\nAAA=\n-----END X-----\n"),
                &json!("0123")
            ]
        );
        assert!(yaml("- a").is_err());
    }

    /// Files that somebody made to break a reader, and what YAML does with a text that is written like something else.
    #[test]
    fn hostile_files() {
        let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
            let before = format!("*a{}", level - 1);
            let items = vec![before; 9].join(",");
            format!("{text}a{level}: &a{level} [{items}]\n")
        });
        assert!(yaml(&bomb).is_err(), "aliases are not multiplied without end");
        assert!(yaml(&format!("A: {}", "[".repeat(50_000))).is_err());
        assert!(json(&format!("{{\"A\": {}", "[".repeat(50_000))).is_err());
        for (text, what) in [
            ("{\"A\": {\"type\": \"text\", \"value\": \"1\", \"value\": \"2\"}}", "name twice"),
            ("{\"A\": {\"pin\": 12345678901234567890123}}", "digits"),
        ] {
            assert!(json(text).unwrap_err().what.contains(what), "{text}");
            assert!(yaml(text).is_err(), "{text}");
        }
        assert!(yaml("A: x\n---\nA: y\n").is_err(), "one document, or it is not clear which");
        assert_eq!(yaml("\u{feff}A: x\n").unwrap(), [("A".to_owned(), json!("x"))]);
        assert_eq!(yaml("A: x\r\nB: 'y'\r\n").unwrap()[1].1, json!("y"));
        // What is not taken as it is written is not taken as a text at all.
        for text in [
            "0x1F",
            "0o17",
            "1_000",
            "1e3",
            ".inf",
            "~",
            "2024-01-01",
            "12:30:45",
            "yes",
            "NO",
            "on",
            "=",
            "0123",
            "+1",
            "1.10",
        ] {
            if let Ok(pairs) = yaml(&format!("A: {text}\n")) {
                assert!(!pairs[0].1.is_string() || pairs[0].1 == json!(text), "{text} became {}", pairs[0].1);
            }
        }
    }

    proptest! {
        /// Whatever a value holds, what a JSON writer makes of it is read back as it was, by both: JSON is YAML.
        #[test]
        fn every_value_survives(value in "(\\PC|[\\r\\n\\t#=$'\"\\\\ ]){0,80}") {
            let text = serde_json::to_string(&json!({"A": value})).unwrap();
            prop_assert_eq!(&json(&text).unwrap()[0].1, &json!(value));
        }

        /// What a YAML writer makes of it is read back as it was.
        #[test]
        fn yaml_values_survive(value in "(\\PC|[\\r\\n\\t#=$'\"\\\\ :-]){0,80}") {
            let text = serde_saphyr::to_string(&json!({"A": value})).unwrap();
            prop_assert_eq!(&yaml(&text).unwrap()[0].1, &json!(value), "{}", text);
        }
    }
}
