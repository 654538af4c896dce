//! YAML as JSON, where nothing is guessed that would be sent as something else.
//!
//! What stands without quotes is read by YAML 1.2: `no` and `on` are texts. A number is taken only as it is written: `1.10`,
//! `010` and `1_000` would arrive at a service as `1.1`, `10` and `1000`, so they are to be put in quotes.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;
use tacit_model::Problem;

/// A number as the parser took it, a text, `true`, `false` or nothing; or what holds others.
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Names(Vec<(String, Spanned<Node>)>),
}

/// Reads one document.
///
/// # Errors
/// `validation_failed`, with line and column. The parser's own message quotes the text around the place, ours does not.
pub(crate) fn parse(text: &str) -> Result<Value, Problem> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let node = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| format!(", at line {} column {}", at.line(), at.column()));
        Problem::invalid("body", format!("is not YAML that can be read{}", place.unwrap_or_default())).suggest(
            "check the indentation, names that stand twice, and texts that need quotes: with `: ` in them, or with `{` in front",
        )
    })?;
    value(node, text)
}

fn value(node: Spanned<Node>, text: &str) -> Result<Value, Problem> {
    Ok(match node.value {
        Node::Leaf(Value::Number(number)) => {
            let at = node.defined;
            if !is_as_written(&number, text, at.span()) {
                let place = format!("line {} column {}", at.line(), at.column());
                let message = format!("has a number at {place} that would be sent as another text");
                return Err(Problem::invalid("body", message).suggest("put it in quotes"));
            }
            number.into()
        }
        Node::Leaf(leaf) => leaf,
        Node::List(list) => list.into_iter().map(|node| value(node, text)).collect::<Result<_, _>>()?,
        Node::Names(names) => {
            let mut fields = Map::new();
            for (name, node) in names {
                let place = format!("line {} column {}", node.defined.line(), node.defined.column());
                // To the parser `1` and `'1'` are two names.
                if fields.insert(name, value(node, text)?).is_some() {
                    let message = format!("has a name twice in one object, at {place}");
                    return Err(Problem::invalid("body", message));
                }
            }
            Value::Object(fields)
        }
    })
}

fn is_as_written(number: &Number, text: &str, span: serde_saphyr::Span) -> bool {
    let written = || {
        let start = usize::try_from(span.byte_offset()?).ok()?;
        text.get(start..start.checked_add(usize::try_from(span.byte_len()?).ok()?)?)
    };
    // What we print ourselves is taken back: very large and very small numbers look otherwise in YAML than in JSON.
    let printed = || serde_saphyr::to_string(number).ok();
    written().is_some_and(|written| {
        let written = written.trim();
        written == number.to_string() || printed().is_some_and(|printed| written == printed.trim())
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("YAML")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Leaf(Value::Null))
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Leaf(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
                Node::deserialize(from)
            }

            fn visit_bool<E>(self, leaf: bool) -> Result<Node, E> {
                Ok(Node::Leaf(leaf.into()))
            }

            fn visit_i64<E>(self, leaf: i64) -> Result<Node, E> {
                Ok(Node::Leaf(leaf.into()))
            }

            fn visit_u64<E>(self, leaf: u64) -> Result<Node, E> {
                Ok(Node::Leaf(leaf.into()))
            }

            fn visit_f64<E>(self, leaf: f64) -> Result<Node, E> {
                Ok(Node::Leaf(leaf.into()))
            }

            fn visit_str<E>(self, leaf: &str) -> Result<Node, E> {
                Ok(Node::Leaf(leaf.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(node) = seq.next_element()? {
                    list.push(node);
                }
                Ok(Node::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut names = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    names.push(entry);
                }
                Ok(Node::Names(names))
            }
        }
        from.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What YAML 1.1 took for something else is the text that stands there.
    #[test]
    fn nothing_is_guessed() {
        let text = "a: no\nb: on\nc: y\nd: true\ne: ~\nf:\ng: 7\nh: -1.5\ni: 2026-11-21\nj: \"1.10\"\nk: [1, yes, {l: null}]\nm: 1.2.3\nn: 'no'\no: |\n  010\n";
        let parsed = parse(text).unwrap();
        let expected = json!({"a": "no", "b": "on", "c": "y", "d": true, "e": null, "f": null, "g": 7, "h": -1.5, "i": "2026-11-21", "j": "1.10", "k": [1, "yes", {"l": null}], "m": "1.2.3", "n": "no", "o": "010\n"});
        assert_eq!(parsed, expected);
        // An anchor is what it stands for, and names are texts.
        assert_eq!(parse("a: &x 5\nb: *x\n1: c").unwrap(), json!({"a": 5, "b": 5, "1": "c"}));
    }

    /// A number that would arrive as another text is to be put in quotes.
    #[test]
    fn numbers_are_as_written() {
        for number in [
            "1.10",
            "010",
            "0x1F",
            "0o17",
            "1_000",
            "1e3",
            "+5",
            ".5",
            "12345678901234567890123",
            "0.12345678901234567890",
        ] {
            let problem =
                parse(&format!("ä: 1\nq: {{ ü: [{number}] }}")).err().unwrap_or_else(|| panic!("{number}"));
            assert!(problem.detail.contains("line 2 column 10"), "{number}: {}", problem.detail);
            assert!(!problem.detail.contains(number), "{}", problem.detail);
        }
    }

    /// Numbers that look otherwise in YAML than in JSON come back as they were printed.
    #[test]
    fn our_own_numbers() {
        for number in [1e300, -1.5e-9, 1e21, f64::MAX, 5e-324] {
            let printed = serde_saphyr::to_string(&json!({"a": number})).unwrap();
            assert_eq!(parse(&printed).unwrap(), json!({"a": number}), "{printed}");
        }
    }

    #[test]
    fn what_is_not_yaml() {
        for text in [
            "a: {{input.x}}",
            "a: 1\n\tb: 2",
            "a: 1\na: 2",
            "1: a\n'1': b",
            "true: a\n'true': b",
            "a: 'x",
            "a: 1\n---\nb: 2",
            "a: .inf",
            "{a: 1}: 2",
        ] {
            let problem = parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(problem.detail.contains(", at line "), "{text}: {}", problem.detail);
        }
    }

    /// What is nested so deep that it could be stored and not be read again is refused, and so is what aliases blow up.
    #[test]
    fn depth_and_aliases() {
        let nested = |depth: usize| parse(&format!("a: {}{}", "[".repeat(depth), "]".repeat(depth)));
        let parsed = nested(50).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&parsed.to_string()).unwrap(), parsed);
        for depth in [100, 1_000, 100_000] {
            assert!(nested(depth).is_err(), "{depth}");
        }
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for at in 1..9 {
            let names = vec![format!("*a{}", at - 1); 10].join(", ");
            bomb.push_str(&format!("a{at}: &a{at} [{names}]\n"));
        }
        assert!(parse(&bomb).is_err());
    }
}
