//! Binds data to a parsed template. Data only ever flows into results: nothing here, and nothing that this module
//! returns, is parsed as a template again.

use std::borrow::Cow;
use std::io;

use serde_json::Value;

use crate::filter::Filter;
use crate::template::Node;
use crate::{RENDERED_BYTES_MAX, Reference, RenderError, SecretRef, Template};

/// Everything that a template can see. Secrets are not among it.
pub trait Scope {
    /// The variable of this name in the run's environment.
    fn var(&self, name: &str) -> Option<Value>;
    /// What the run was started with.
    fn input(&self) -> &Value;
    /// The result of an earlier step.
    fn step(&self, id: &str) -> Option<&Value>;
    /// The name of the environment.
    fn env(&self) -> &str;
    /// The id of the run.
    fn run_id(&self) -> &str;
}

/// Who chose a piece of text, from the most trusted to the least. A host, for example, may be made of
/// [`Variable`](Taint::Variable)s and never of [`Runtime`](Taint::Runtime) data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Taint {
    /// Text of the template itself: its author.
    Literal,
    /// `vars`, `env` and `run.id`: an operator of the workspace, or Tacit.
    Variable,
    /// `input` and `steps`: whoever starts the run, and foreign servers.
    Runtime,
}

/// A rendered template.
#[derive(Clone, Debug, PartialEq)]
pub enum Rendered {
    /// The template was exactly one reference, not to a secret and without filters: the value keeps its JSON type.
    Value {
        /// The value, possibly null.
        value: Value,
        /// Where it comes from.
        taint: Taint,
    },
    /// Everything else: text, in which secrets are still references.
    Text(Vec<Piece>),
}

/// A part of a rendered text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text, final: never parsed again. It may be empty where a reference was; then its taint still counts.
    Plain {
        /// The text.
        text: String,
        /// Where it comes from. Neighbours of the same taint are one piece.
        taint: Taint,
    },
    /// A secret's value belongs here.
    Secret(SecretRef),
}

impl Rendered {
    /// The secrets inside, in order, each as often as it occurs.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let pieces = match self {
            Rendered::Value { .. } => [].as_slice(),
            Rendered::Text(pieces) => pieces.as_slice(),
        };
        pieces.iter().filter_map(|piece| match piece {
            Piece::Secret(secret) => Some(secret),
            Piece::Plain { .. } => None,
        })
    }

    /// The text, if all of it is known here. `None` if a secret is inside, and for a null that stands alone: null
    /// has no text. Where text is wanted anyway, [`Template::render_text`] gives the error with the reference.
    pub fn into_plain_text(self) -> Option<String> {
        match self {
            Rendered::Value { value: Value::Null, .. } => None,
            Rendered::Value { value: Value::String(text), .. } => Some(text),
            Rendered::Value { value, .. } => Some(value.to_string()),
            Rendered::Text(pieces) => pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Plain { text, .. } => Some(text),
                    Piece::Secret(_) => None,
                })
                .collect(),
        }
    }

    /// The least trusted origin of what is visible. Secrets do not count: ask [`secrets`](Self::secrets).
    pub fn taint(&self) -> Taint {
        match self {
            Rendered::Value { taint, .. } => *taint,
            Rendered::Text(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Plain { taint, .. } => Some(*taint),
                    Piece::Secret(_) => None,
                })
                .max()
                .unwrap_or(Taint::Literal),
        }
    }
}

/// How many more bytes may be rendered.
pub(crate) struct Budget {
    left_bytes: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { left_bytes: RENDERED_BYTES_MAX }
    }

    fn check(&self, bytes: usize) -> Result<(), RenderError> {
        if bytes > self.left_bytes { Err(RenderError::TooLarge) } else { Ok(()) }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), RenderError> {
        self.check(bytes)?;
        self.left_bytes -= bytes;
        Ok(())
    }

    /// Measures before anything is copied: the data may be far larger than what is allowed to come out.
    fn measure(&self, value: &Value) -> Result<usize, RenderError> {
        if let Value::String(text) = value {
            self.check(text.len())?;
            return Ok(text.len());
        }
        let mut meter = Meter { bytes: 0, bytes_max: self.left_bytes };
        // Writing JSON fails only where its writer does, and the meter only fails when it is full.
        serde_json::to_writer(&mut meter, value).map_err(|_| RenderError::TooLarge)?;
        Ok(meter.bytes)
    }
}

/// Counts what is written and stops at the limit.
struct Meter {
    bytes: usize,
    bytes_max: usize,
}

impl io::Write for Meter {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        self.bytes += written.len();
        if self.bytes > self.bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(written.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Renders a template, keeping the JSON type of a lone reference.
pub(crate) fn render(
    template: &Template,
    scope: &dyn Scope,
    budget: &mut Budget,
) -> Result<Rendered, RenderError> {
    if let [Node::Reference { reference, filters, .. }] = template.nodes()
        && let Some(taint) = reference.taint()
        && filters.is_empty()
    {
        let value = resolve(reference, scope)?;
        budget.spend(budget.measure(&value)?)?;
        return Ok(Rendered::Value { value: value.into_owned(), taint });
    }
    render_text(template, scope, budget)
}

/// Renders a template to [`Rendered::Text`], whatever it consists of.
pub(crate) fn render_text(
    template: &Template,
    scope: &dyn Scope,
    budget: &mut Budget,
) -> Result<Rendered, RenderError> {
    let mut pieces = Vec::new();
    for node in template.nodes() {
        match node {
            Node::Text(text) => {
                budget.spend(text.len())?;
                push_plain(&mut pieces, Cow::Borrowed(text), Taint::Literal);
            }
            Node::Reference { reference, filters, .. } => match (reference, reference.taint()) {
                (Reference::Secret(secret), _) => pieces.push(Piece::Secret(secret.clone())),
                (_, Some(taint)) => {
                    let text = filtered(reference, filters, scope, budget)?;
                    budget.spend(text.len())?;
                    push_plain(&mut pieces, Cow::Owned(text), taint);
                }
                // Only secrets have no taint.
                (_, None) => return Err(RenderError::Unknown { reference: reference.clone() }),
            },
        }
    }
    Ok(Rendered::Text(pieces))
}

fn push_plain(pieces: &mut Vec<Piece>, text: Cow<'_, str>, taint: Taint) {
    match pieces.last_mut() {
        Some(Piece::Plain { text: before, taint: same }) if *same == taint => before.push_str(&text),
        _ => pieces.push(Piece::Plain { text: text.into_owned(), taint }),
    }
}

/// The text of a reference, through its filters. Every stage is held against the budget, so that a chain of growing
/// filters stops at the first one that is too large.
fn filtered(
    reference: &Reference,
    filters: &[Filter],
    scope: &dyn Scope,
    budget: &Budget,
) -> Result<String, RenderError> {
    let value = resolve(reference, scope)?;
    budget.measure(&value)?;
    let (text, rest) = match filters.split_first() {
        // The one filter that sees the value and not its text: a string gets quotes and null is a word of JSON.
        Some((Filter::Json, rest)) => (value.to_string(), rest),
        _ => (plain_text(reference, value)?, filters),
    };
    rest.iter().try_fold(text, |text, filter| {
        budget.check(text.len())?;
        Ok(filter.apply(&text))
    })
}

/// A string as it is, everything else as compact JSON; null is an error.
fn plain_text(reference: &Reference, value: Cow<'_, Value>) -> Result<String, RenderError> {
    match value {
        Cow::Owned(Value::String(text)) => Ok(text),
        Cow::Borrowed(Value::String(text)) => Ok(text.clone()),
        value if value.is_null() => Err(RenderError::Null { reference: reference.clone() }),
        value => Ok(value.to_string()),
    }
}

/// The data of a reference. A secret has none here.
fn resolve<'s>(reference: &Reference, scope: &'s dyn Scope) -> Result<Cow<'s, Value>, RenderError> {
    let found = match reference {
        Reference::Secret(_) => None,
        Reference::Var(name) => scope.var(name).map(Cow::Owned),
        Reference::Input(path) => path.look_up(scope.input()).map(Cow::Borrowed),
        Reference::Step { id, path } => {
            scope.step(id).and_then(|result| path.look_up(result)).map(Cow::Borrowed)
        }
        Reference::Env => Some(Cow::Owned(Value::from(scope.env()))),
        Reference::RunId => Some(Cow::Owned(Value::from(scope.run_id()))),
    };
    found.ok_or_else(|| RenderError::Unknown { reference: reference.clone() })
}
