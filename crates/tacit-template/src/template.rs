//! One string with references in it: parsed once, rendered often.

use crate::filter::Filter;
use crate::render::{self, Budget};
use crate::scan::Scanner;
use crate::{ParseError, Reference, RenderError, Rendered, Scope};

/// A parsed template. Parsing happens when an automation is saved, before any data exists; rendering never
/// parses.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
    nodes: Vec<Node>,
}

/// A parsed part. Filters stand only on references that are not secrets; the scanner sees to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Reference { reference: Reference, filters: Vec<Filter>, offset: usize, end: usize },
}

/// A part of a template as it was written, for rules about where a reference may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'t> {
    /// Text, with escapes resolved.
    Text(&'t str),
    /// A reference.
    Reference {
        /// What it refers to.
        reference: &'t Reference,
        /// Whether it goes through filters; never true for a secret.
        filtered: bool,
        /// The byte offset of its `{{` in the source.
        offset: usize,
        /// The reference as it was written, braces and filters included: a template of its own.
        source: &'t str,
    },
}

impl Template {
    /// Parses a template. The grammar is in the crate's front page.
    ///
    /// # Errors
    ///
    /// [`ParseError`] with the place, the reason and what to write instead, also for sources over
    /// [`SOURCE_BYTES_MAX`](crate::SOURCE_BYTES_MAX) and more than [`REFERENCES_MAX`](crate::REFERENCES_MAX)
    /// references.
    pub fn parse(source: &str) -> Result<Template, ParseError> {
        let nodes = Scanner::new(source)?.template()?;
        Ok(Template { source: source.to_owned(), nodes })
    }

    /// What was parsed, unchanged.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The references in order, each as often as it occurs. Complete: no data can add one.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Text(_) => None,
            Node::Reference { reference, .. } => Some(reference),
        })
    }

    /// Text and references in order, as needed to judge a host, a path segment or a handwritten
    /// `Authorization` when it is saved. Neighbouring texts are one part.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.nodes.iter().map(|node| match node {
            Node::Text(text) => Part::Text(text),
            Node::Reference { reference, filters, offset, end } => Part::Reference {
                reference,
                filtered: !filters.is_empty(),
                offset: *offset,
                source: &self.source[*offset..*end],
            },
        })
    }

    /// Whether there is no reference inside.
    pub fn is_literal(&self) -> bool {
        self.references().next().is_none()
    }

    /// Binds data to the references. A template that is exactly one reference, not to a secret and without
    /// filters, keeps the value's JSON type, null included; everything else becomes text.
    ///
    /// In text, numbers and booleans are JSON text, objects and arrays compact JSON.
    ///
    /// # Errors
    ///
    /// [`RenderError`] for an unknown variable, path or step, for null within text and for results over
    /// [`RENDERED_BYTES_MAX`](crate::RENDERED_BYTES_MAX).
    pub fn render(&self, scope: &dyn Scope) -> Result<Rendered, RenderError> {
        render::render(self, scope, &mut Budget::new())
    }

    /// As [`render`](Self::render), for places that can only hold text (a URL, a header, a form field): the
    /// result is always [`Rendered::Text`], and a lone null is an error that names its reference.
    ///
    /// # Errors
    ///
    /// As [`render`](Self::render).
    pub fn render_text(&self, scope: &dyn Scope) -> Result<Rendered, RenderError> {
        render::render_text(self, scope, &mut Budget::new())
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// Writes any text so that it parses to a template of exactly that text: each `{{` becomes `{{"{{"}}`.
///
/// For importers that put foreign text into a definition. Each escape adds six bytes, which count towards
/// [`SOURCE_BYTES_MAX`](crate::SOURCE_BYTES_MAX).
pub fn escape(text: &str) -> String {
    text.replace("{{", r#"{{"{{"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Path, SecretRef};

    fn references(source: &str) -> Vec<Reference> {
        Template::parse(source).unwrap().references().cloned().collect()
    }

    fn secret(name: &str, field: Option<&str>) -> Reference {
        let field = field.map(|field| field.parse().unwrap());
        Reference::Secret(SecretRef { name: name.into(), field })
    }

    /// Every form of reference, with and without space.
    #[test]
    fn reads_all_references() {
        let path = |source: &str| source.parse::<Path>().unwrap();
        for (source, reference) in [
            ("{{secrets.STRIPE_KEY}}", secret("STRIPE_KEY", None)),
            ("{{ secrets.stripe-api-key }}", secret("stripe-api-key", None)),
            ("{{secrets[\"HubSpot API key – production\"]}}", secret("HubSpot API key – production", None)),
            ("{{secrets.DB.users[0][\"pass word\"]}}", secret("DB", Some("users[0][\"pass word\"]"))),
            ("{{secrets[\"DB\"].password}}", secret("DB", Some("password"))),
            ("{{vars.HOST}}", Reference::Var("HOST".into())),
            ("{{vars[\"my host\"]}}", Reference::Var("my host".into())),
            ("{{input}}", Reference::Input(Path::default())),
            ("{{input[0].a-b}}", Reference::Input(path("[0].a-b"))),
            ("{{input[\"}}\"]}}", Reference::Input(path("[\"}}\"]"))),
            ("{{\n\tinput.a\r\n}}", Reference::Input(path("a"))),
            (
                "{{steps.hand-over.body.id}}",
                Reference::Step { id: "hand-over".into(), path: path("body.id") },
            ),
            ("{{steps.a}}", Reference::Step { id: "a".into(), path: Path::default() }),
            ("{{env}}", Reference::Env),
            ("{{run.id}}", Reference::RunId),
            ("{{input.a|trim | upper|base64 }}", Reference::Input(path("a"))),
        ] {
            assert_eq!(references(source), [reference], "{source}");
        }
    }

    /// What is not a reference is text: single braces, `}}`, and braces from a string.
    #[test]
    fn everything_else_is_text() {
        for (source, text) in [
            ("", ""),
            ("plain", "plain"),
            ("{\"a\": {\"b\": {}}}", "{\"a\": {\"b\": {}}}"),
            ("}} { } {", "}} { } {"),
            ("a {{\"{{\"}} b", "a {{ b"),
            ("{{ \"x\\n\\u00e9\" }}", "x\né"),
            ("{{\"{{secrets.X}}\"}}", "{{secrets.X}}"),
        ] {
            let template = Template::parse(source).unwrap();
            assert!(template.is_literal());
            let parts: Vec<_> = template.parts().collect();
            let expected: Vec<_> = Some(Part::Text(text)).into_iter().filter(|_| !text.is_empty()).collect();
            assert_eq!(parts, expected, "{source}");
            assert_eq!(template.source(), source);
        }
    }

    /// Parts tell where a reference stands, so that a host or an `Authorization` can be judged before it is
    /// saved.
    #[test]
    fn parts_are_in_order() {
        let template = Template::parse("Bearer {{secrets.X}}{{vars.a | trim}}!").unwrap();
        let references: Vec<_> = template.references().collect();
        let parts: Vec<_> = template.parts().collect();
        assert_eq!(
            parts,
            [
                Part::Text("Bearer "),
                Part::Reference {
                    reference: references[0],
                    filtered: false,
                    offset: 7,
                    source: "{{secrets.X}}"
                },
                Part::Reference {
                    reference: references[1],
                    filtered: true,
                    offset: 20,
                    source: "{{vars.a | trim}}"
                },
                Part::Text("!"),
            ]
        );
        assert!(!template.is_literal());
    }

    /// Escaped text is text again.
    #[test]
    fn escape_is_undone_by_parsing() {
        for text in ["{{", "{{{", "{{{{", "{{secrets.X}}", "a{{\"{{\"}}b"] {
            let template = Template::parse(&escape(text)).unwrap();
            assert_eq!(template.parts().collect::<Vec<_>>(), [Part::Text(text)]);
        }
    }
}
