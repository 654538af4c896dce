//! Properties over arbitrary sources and data.

use proptest::prelude::*;
use serde_json::{Value, json};
use tacit_template::{JsonTemplate, Path, Piece, Reference, Rendered, SecretRef, Segment, Template, escape};

use crate::Everywhere;

/// Text that is likely to be almost a template.
fn hostile_text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{{"),
        Just("}}"),
        Just("{"),
        Just("}"),
        Just("secrets"),
        Just("vars"),
        Just("input"),
        Just("steps"),
        Just("env"),
        Just("run.id"),
        Just("."),
        Just("["),
        Just("]"),
        Just("\""),
        Just("\\"),
        Just("|"),
        Just(" "),
        Just("0"),
        Just("X"),
        Just("base64"),
        Just("é"),
        Just("\n"),
        Just("{{secrets.X}}"),
        Just("{{input}}"),
        Just("{{\"{{\"}}"),
        Just("=="),
        Just("("),
        Just("-"),
        Just("'"),
        Just("\u{0}"),
    ];
    prop_oneof![
        3 => prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat()),
        1 => any::<String>(),
    ]
}

fn hostile_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        hostile_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((hostile_text(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn path() -> impl Strategy<Value = Path> {
    let segment =
        prop_oneof![hostile_text().prop_map(Segment::Key), (0usize..1_000_000_000).prop_map(Segment::Index),];
    prop::collection::vec(segment, 0..8).prop_map(|segments| {
        // Built from its spelling: from outside, a path comes from nowhere else.
        let spelled: String = segments
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => format!("[{}]", Value::from(key.as_str())),
                Segment::Index(index) => format!("[{index}]"),
            })
            .collect();
        let path: Path = spelled.parse().expect("every key can be quoted");
        assert_eq!(path.segments(), segments);
        path
    })
}

fn reference() -> impl Strategy<Value = Reference> {
    let name = "[A-Za-z0-9_-]{1,9}|[a-zé–.|=(]([ a-zé–.|=(]{0,7}[a-zé–.|=(])?";
    prop_oneof![
        (name, path()).prop_map(|(name, path)| {
            Reference::Secret(SecretRef { name, field: Some(path).filter(|path| !path.is_empty()) })
        }),
        name.prop_map(Reference::Var),
        path().prop_map(Reference::Input),
        (name, path()).prop_map(|(id, path)| Reference::Step { id, path }),
        Just(Reference::Env),
        Just(Reference::RunId),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Parsing never panics, and a refusal points into the source, at a character, with something to do.
    #[test]
    fn parse_never_panics(source in hostile_text()) {
        match Template::parse(&source) {
            Ok(template) => prop_assert_eq!(template.source(), &source),
            Err(error) => {
                prop_assert!(source.is_char_boundary(error.offset));
                prop_assert!(!error.message.is_empty() && !error.suggestion.is_empty());
            }
        }
        if let Ok(path) = source.parse::<Path>() {
            prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
        }
    }

    /// The same inside of braces, where the grammar is.
    #[test]
    fn parse_inside_braces_never_panics(inside in hostile_text()) {
        let source = format!("é{{{{{inside}}}}}");
        if let Err(error) = Template::parse(&source) {
            prop_assert!(source.is_char_boundary(error.offset));
        }
    }

    /// Text without `{{` is itself, and any text is itself once escaped.
    #[test]
    fn literal_text_round_trips(text in hostile_text()) {
        let render = |source: &str| {
            let template = Template::parse(source).expect("literal text parses");
            assert!(template.is_literal());
            template.render(&Everywhere(json!("data"))).expect("nothing to look up").into_plain_text()
        };
        prop_assert_eq!(render(&escape(&text)), Some(text.clone()));
        if !text.contains("{{") {
            prop_assert_eq!(render(&text), Some(text));
        }
    }

    /// References print as they are read.
    #[test]
    fn references_round_trip(reference in reference()) {
        let template = Template::parse(&format!("{{{{{reference}}}}}")).expect("a printed reference parses");
        prop_assert_eq!(template.references().collect::<Vec<_>>(), [&reference]);
    }

    /// Data is never parsed: whatever it looks like, it comes out byte by byte, and no secret comes with it.
    #[test]
    fn values_are_never_parsed(data in hostile_text(), before in "[a-z{ ]?", after in "[}a-z ]{0,2}") {
        prop_assume!(before != "{");
        let scope = Everywhere(Value::from(data.clone()));
        for reference in ["input", "vars.a", "steps.a", "env", "run.id"] {
            let source = format!("{before}{{{{{reference}}}}}{after}{{{{secrets.S}}}}");
            let rendered = Template::parse(&source).unwrap().render(&scope).unwrap();
            prop_assert_eq!(rendered.secrets().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["S"]);
            let Rendered::Text(pieces) = rendered else { panic!("text around it makes it text") };
            let plain: String = pieces.iter().filter_map(|piece| match piece {
                Piece::Plain { text, .. } => Some(text.as_str()),
                Piece::Secret(_) => None,
            }).collect();
            prop_assert_eq!(plain, format!("{before}{data}{after}"));
        }
    }

    /// The same for any JSON: alone it is unchanged, as a leaf of a body too, and in text it is its JSON text.
    #[test]
    fn json_is_never_parsed(data in hostile_json()) {
        let scope = Everywhere(data.clone());
        let alone = Template::parse("{{input}}").unwrap().render(&scope).unwrap();
        let Rendered::Value { value, .. } = alone else { panic!("a lone reference is a value") };
        prop_assert_eq!(&value, &data);
        let body = JsonTemplate::parse(&json!({"a": ["{{steps.s}}"], "b": "x{{input | json}}"})).unwrap();
        let rendered = body.render(&scope).unwrap();
        prop_assert_eq!(rendered.secrets().count(), 0);
        let text = format!("x{data}");
        prop_assert_eq!(rendered.into_plain_value(), Some(json!({"a": [data], "b": text})));
    }

    /// A body without templates is itself; one that holds any strings never panics.
    #[test]
    fn json_bodies_round_trip(body in hostile_json()) {
        if let Ok(template) = JsonTemplate::parse(&body)
            && template.references().next().is_none()
            && !body.to_string().contains("{{")
        {
            let rendered = template.render(&Everywhere(Value::Null)).unwrap();
            prop_assert_eq!(rendered.into_plain_value(), Some(body));
        }
    }
}
