//! One string with references in it: parsed once, rendered often.

use crate::filter::Filter;
use crate::render::{self, Budget};
use crate::scan::Scanner;
use crate::{ParseError, Reference, RenderError, Rendered, Scope};

/// A parsed template. Parsing happens when an automation is saved, before any data exists; rendering never parses.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
    nodes: Vec<Node>,
}

/// A parsed part. Filters stand only on references that are not secrets; the scanner sees to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Reference { reference: Reference, filters: Vec<Filter>, offset: usize },
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

    /// Text and references in order, as needed to judge a host, a path segment or a handwritten `Authorization`
    /// when it is saved. Neighbouring texts are one part.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.nodes.iter().map(|node| match node {
            Node::Text(text) => Part::Text(text),
            Node::Reference { reference, filters, offset } => {
                Part::Reference { reference, filtered: !filters.is_empty(), offset: *offset }
            }
        })
    }

    /// Whether there is no reference inside.
    pub fn is_literal(&self) -> bool {
        self.references().next().is_none()
    }

    /// Binds data to the references. A template that is exactly one reference, not to a secret and without filters,
    /// keeps the value's JSON type, null included; everything else becomes text.
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

    /// As [`render`](Self::render), for places that can only hold text (a URL, a header, a form field): the result
    /// is always [`Rendered::Text`], and a lone null is an error that names its reference.
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
