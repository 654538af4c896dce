//! Must-fail vectors, named after the attack that each refuses.

use serde_json::json;
use tacit_template::{JsonTemplate, ParseError, Part, Piece, Reference, Rendered, Template};

use crate::Everywhere;

fn refuse(source: &str) -> ParseError {
    let Err(error) = Template::parse(source) else { panic!("{source} was accepted") };
    assert!(source.is_char_boundary(error.offset));
    assert!(!error.suggestion.is_empty());
    error
}

fn refuse_all(sources: &[&str]) {
    for source in sources {
        refuse(source);
    }
}

/// A function of a secret, called as often as one likes, reads it out: every filter, known or not, is refused with
/// the way that works.
#[test]
fn i1_filter_on_secret() {
    let known = ["base64", "base64url", "hex", "urlencode", "json", "upper", "lower", "trim"];
    for filter in known.into_iter().chain(["md5", "sha256", "slice", "len", "default", ""]) {
        for secret in ["secrets.X", "secrets[\"X\"]", "secrets.X.field", "secrets.DB[0]"] {
            for source in [format!("{{{{{secret}|{filter}}}}}"), format!("a {{{{ {secret} | {filter} }}}}")] {
                let error = refuse(&source);
                assert_eq!(error.message, "a secret takes no filter", "{source}");
                assert!(error.suggestion.contains("its type does the encoding"));
                assert_eq!(&source[error.offset..=error.offset], "|");
            }
        }
    }
}

/// As above, in the syntax of functions, methods and slices.
#[test]
fn i1_function_of_secret() {
    refuse_all(&[
        "{{base64(secrets.X)}}",
        "{{len(secrets.X)}}",
        "{{secrets.X.length()}}",
        "{{secrets.X.slice(0, 1)}}",
        "{{secrets.X[0:4]}}",
        "{{secrets.X[0..4]}}",
        "{{secrets.X[:1]}}",
        "{{secrets.X[-1]}}",
        "{{input.x | concat(secrets.X)}}",
        "{{secrets.X()}}",
        "{{secrets.X secrets.Y}}",
        "{{secrets.X, secrets.Y}}",
        "{{secrets.X + secrets.Y}}",
        "{{secrets.X ~ \"a\"}}",
        "{{(secrets.X)}}",
    ]);
}

/// One bit per request is enough: no operator takes a secret on either side.
#[test]
fn i2_comparison_with_secret() {
    refuse_all(&[
        "{{secrets.X == \"a\"}}",
        "{{\"a\" == secrets.X}}",
        "{{input.x == secrets.X}}",
        "{{secrets.X != input.x}}",
        "{{secrets.X < \"a\"}}",
        "{{secrets.X =~ \"^a\"}}",
        "{{secrets.X startsWith \"a\"}}",
        "{{secrets.X && \"a\"}}",
        "{{secrets.X || \"a\"}}",
        "{{secrets.X ?? \"a\"}}",
        "{{secrets.X ? \"a\" : \"b\"}}",
        "{{!secrets.X}}",
        "{{if secrets.X}}",
        "{{#if secrets.X}}y{{/if}}",
        "{% if secrets.X %}{{secrets.X is defined}}",
    ]);
    assert_eq!(refuse("{{secrets.X == \"a\"}}").message, "a secret cannot be compared or calculated with");
}

/// Data must not choose the secret: permission was checked for the names that stand in the text.
#[test]
fn i3_dynamic_name() {
    refuse_all(&[
        "{{secrets[input.n]}}",
        "{{secrets[vars.n]}}",
        "{{secrets[steps.a.body]}}",
        "{{secrets[env]}}",
        "{{secrets[n]}}",
        "{{secrets[0]}}",
        "{{secrets[\"A\" + input.n]}}",
        "{{secrets[\"A\", \"B\"]}}",
        "{{secrets[\"A\" | lower]}}",
        "{{secrets['A']}}",
        "{{secrets[`A${input.n}`]}}",
        "{{secrets.*}}",
        "{{secrets[*]}}",
        "{{secrets}}",
        "{{ secrets }}",
        "{{secrets.$n}}",
        "{{secrets.X[input.field]}}",
        "{{input[secrets.X]}}",
        "{{steps[secrets.X].body}}",
        "{{vars[secrets.X]}}",
        "{{vars[input.n]}}",
        "{{steps[input.n].body}}",
    ]);
    assert!(refuse("{{secrets[input.n]}}").message.starts_with("a name cannot be computed"));
}

/// A template inside a template would be a dynamic name in another spelling.
#[test]
fn i3_nested_braces() {
    refuse_all(&[
        "{{secrets.{{input.n}}}}",
        "{{secrets.A_{{env}}}}",
        "{{secrets[{{input.n}}]}}",
        "{{secrets[\"{{input.n}}\"]}}",
        "{{ {{secrets.X}} }}",
        "{{{secrets.X}}}",
        "{{{{secrets.X}}}}",
        "{{input.{{secrets.X}}}}",
    ]);
    assert_eq!(refuse("{{secrets.{{input.n}}}}").message, "braces do not nest");
}

/// A second spelling of a name would hide a use from whoever searches for it.
#[test]
fn i3_escaped_name() {
    refuse_all(&[
        "{{secrets[\"\\u0058\"]}}",
        "{{secrets[\"X\\u0000\"]}}",
        "{{secrets[\"X\\n\"]}}",
        "{{secrets[\"../X\"]}}",
        "{{secrets[\" X\"]}}",
        "{{secrets[\"X \"]}}",
        "{{secrets[\"\"]}}",
        "{{secrets[\"X\u{85}\"]}}",
    ]);
}

/// Data that looks like a reference is data, in every place and through every filter that keeps it readable.
#[test]
fn i4_reference_inside_data() {
    let data = "{{secrets.X}} {{input}} {{\"{{\"}} {{";
    for source in ["{{input}}", "{{vars.a}}", "{{steps.a}}", "{{env}}", "{{run.id}}", "{{input | trim}}"] {
        let rendered = Template::parse(source).unwrap().render(&Everywhere(json!(data))).unwrap();
        assert_eq!(rendered.secrets().count(), 0);
        assert_eq!(rendered.into_plain_text().as_deref(), Some(data), "{source}");
    }
}

/// Two values that are harmless apart must not become a reference side by side.
#[test]
fn i4_reference_from_two_halves() {
    for source in ["{{vars.open}}secrets.X}}", "{{\"{\"}}{{\"{\"}}secrets.X}}", "{{\"{{secrets.X\"}}}}"] {
        let rendered = Template::parse(source).unwrap().render(&Everywhere(json!("{{"))).unwrap();
        assert_eq!(rendered.secrets().count(), 0);
        assert_eq!(rendered.into_plain_text().as_deref(), Some("{{secrets.X}}"));
    }
}

/// The author's keys are the body's keys: data cannot replace a member, and no secret hides in a key.
#[test]
fn i4_reference_in_json_key() {
    for key in ["{{input.k}}", "a{{secrets.X}}", "{{", "{{\"{{\"}}"] {
        let (pointer, error) = JsonTemplate::parse(&json!({"o": {key: 1}})).unwrap_err();
        assert_eq!(pointer, format!("/o/{key}"));
        assert_eq!(error.message, "a key cannot hold a reference");
    }
}

/// Data with quotes and braces stays inside the string where it was put.
#[test]
fn i4_json_breakout() {
    let body = JsonTemplate::parse(&json!({"note": "n: {{input}}", "admin": false})).unwrap();
    let rendered = body.render(&Everywhere(json!("\",\"admin\":true,\"x\":\""))).unwrap();
    let json = rendered.into_plain_value().unwrap();
    assert_eq!(json["admin"], json!(false));
    assert_eq!(json["note"], json!("n: \",\"admin\":true,\"x\":\""));
}

/// A view of the request is made of references: even `Debug` of everything rendered knows only names.
#[test]
fn i5_view_shows_references() {
    let rendered = Template::parse("Bearer {{secrets.X}}").unwrap().render(&Everywhere(json!("v"))).unwrap();
    let Rendered::Text(pieces) = &rendered else { panic!("a secret is never a value") };
    assert!(matches!(pieces.as_slice(), [Piece::Plain { .. }, Piece::Secret(secret)] if secret.name == "X"));
    assert_eq!(rendered.into_plain_text(), None);
}

/// A secret alone is never a JSON value, or it would be copied as one.
#[test]
fn i5_lone_secret_has_no_value() {
    let rendered = Template::parse("{{secrets.X}}").unwrap().render(&Everywhere(json!("v"))).unwrap();
    assert!(matches!(rendered, Rendered::Text(_)));
    let body = JsonTemplate::parse(&json!({"a": "{{secrets.X}}"})).unwrap();
    assert_eq!(body.render(&Everywhere(json!("v"))).unwrap().into_plain_value(), None);
}

/// The parts before the first `/` of a URL show a secret in the host before anything is saved.
#[test]
fn i6_secret_in_host_is_visible() {
    let template = Template::parse("https://{{secrets.X}}.evil.test/").unwrap();
    let parts: Vec<_> = template.parts().collect();
    assert!(matches!(
        parts.as_slice(),
        [
            Part::Text("https://"),
            Part::Reference { reference: Reference::Secret(_), offset: 8, .. },
            Part::Text(_)
        ]
    ));
}

/// A field is part of the reference, so that permission and scrubbing can be judged per field.
#[test]
fn i7_field_is_part_of_the_reference() {
    let template = Template::parse("{{secrets.DB.user}}").unwrap();
    let Some(Reference::Secret(secret)) = template.references().next() else { panic!("no secret") };
    assert_eq!(secret.field.as_ref().map(ToString::to_string).as_deref(), Some("user"));
}

/// A refusal never repeats the source: a value pasted between braces would reach the logs.
#[test]
fn k1_errors_do_not_quote() {
    let canary = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";
    for source in [
        format!("{{{{{canary}}}}}"),
        format!("{{{{secrets.X == \"{canary}\"}}}}"),
        format!("{{{{input.x | {canary}}}}}"),
        format!("{{{{secrets.{canary} + 1}}}}"),
        format!("{{{{vars[{canary}]}}}}"),
        format!("{{{{vars[\"{canary}/\"]}}}}"),
        format!("{{{{\"{canary}\\x\"}}}}"),
        format!("{{{{run.{canary}}}}}"),
    ] {
        let error = refuse(&source);
        assert!(!format!("{error} {error:?}").contains(canary), "{error}");
    }
}
