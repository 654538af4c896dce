//! Binds data to a parsed template. Data only ever flows into results: nothing here, and nothing that this
//! module returns, is parsed as a template again.

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
    /// The template was exactly one reference, not to a secret and without filters: the value keeps its JSON
    /// type.
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

    /// The text, if all of it is known here. `None` if a secret is inside, and for a null that stands alone:
    /// null has no text. Where text is wanted anyway, [`Template::render_text`] gives the error with the
    /// reference.
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
            Node::Reference { reference: Reference::Secret(secret), .. } => {
                pieces.push(Piece::Secret(secret.clone()));
            }
            Node::Reference { reference, filters, .. } => {
                let text = filtered(reference, filters, scope, budget)?;
                budget.spend(text.len())?;
                // Only secrets have no taint. Should another root ever come without, trust it least.
                push_plain(&mut pieces, Cow::Owned(text), reference.taint().unwrap_or(Taint::Runtime));
            }
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

/// The text of a reference, through its filters. Every stage is held against the budget, so that a chain of
/// growing filters stops at the first one that is too large.
fn filtered(
    reference: &Reference,
    filters: &[Filter],
    scope: &dyn Scope,
    budget: &Budget,
) -> Result<String, RenderError> {
    let value = resolve(reference, scope)?;
    budget.measure(&value)?;
    let (text, rest) = match filters.split_first() {
        // The one filter that sees the value and not its text: a string gets quotes and null is a word of
        // JSON.
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
pub(crate) fn resolve<'s>(
    reference: &Reference,
    scope: &'s dyn Scope,
) -> Result<Cow<'s, Value>, RenderError> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A scope with fixed variables, environment and run, and the input and the step that a test wants.
    struct Fixed {
        input: Value,
        step: Value,
    }

    impl Scope for Fixed {
        fn var(&self, name: &str) -> Option<Value> {
            match name {
                "HOST" => Some(json!("api.example")),
                "PORT" => Some(json!(8443)),
                _ => None,
            }
        }
        fn input(&self) -> &Value {
            &self.input
        }
        fn step(&self, id: &str) -> Option<&Value> {
            (id == "charge").then_some(&self.step)
        }
        fn env(&self) -> &str {
            "live"
        }
        fn run_id(&self) -> &str {
            "run_1"
        }
    }

    fn scope() -> Fixed {
        Fixed {
            input: json!({
                "s": "a b", "n": 1.5, "i": -3, "t": true, "z": null, "e": "", "o": {"b": [1, "x"], "a": null},
            }),
            step: json!({"body": {"id": "ch_1"}, "list": [10, 20]}),
        }
    }

    fn render(source: &str) -> Result<Rendered, RenderError> {
        Template::parse(source).unwrap().render(&scope())
    }

    fn text(source: &str) -> String {
        render(source).unwrap().into_plain_text().unwrap()
    }

    /// A lone reference keeps its JSON type; white space inside the braces does not matter, outside it does.
    #[test]
    fn alone_keeps_the_type() {
        let value = |source| match render(source).unwrap() {
            Rendered::Value { value, taint } => (value, taint),
            other => panic!("{other:?}"),
        };
        assert_eq!(value("{{input.n}}"), (json!(1.5), Taint::Runtime));
        assert_eq!(value("{{ input.z }}"), (Value::Null, Taint::Runtime));
        assert_eq!(value("{{input.o}}"), (json!({"b": [1, "x"], "a": null}), Taint::Runtime));
        assert_eq!(value("{{steps.charge.list[1]}}"), (json!(20), Taint::Runtime));
        assert_eq!(value("{{vars.PORT}}"), (json!(8443), Taint::Variable));
        assert_eq!(value("{{env}}"), (json!("live"), Taint::Variable));
        assert_eq!(value("{{run.id}}"), (json!("run_1"), Taint::Variable));
        assert!(matches!(render(" {{input.n}}").unwrap(), Rendered::Text(_)));
        assert!(matches!(render("{{input.n | trim}}").unwrap(), Rendered::Text(_)));
        assert!(matches!(render("7").unwrap(), Rendered::Text(_)));
    }

    /// In text, values are JSON text, strings without quotes.
    #[test]
    fn text_of_values() {
        assert_eq!(text("{{input.s}}/{{input.n}}/{{input.i}}/{{input.t}}/{{input.e}}/"), "a b/1.5/-3/true//");
        assert_eq!(text("o={{input.o}}"), "o={\"b\":[1,\"x\"],\"a\":null}");
        assert_eq!(text("https://{{vars.HOST}}:{{vars.PORT}}/{{env}}"), "https://api.example:8443/live");
        assert_eq!(text("{{input.n}}"), "1.5");
    }

    /// Filters work on the text and chain from left to right; `json` in front sees the value.
    #[test]
    fn filters_chain() {
        assert_eq!(text("{{input.s | upper | base64}}"), "QSBC");
        assert_eq!(text("{{input.s | urlencode}}"), "a%20b");
        assert_eq!(text("{{input.s | json}}"), "\"a b\"");
        assert_eq!(text("{{input.z | json}}"), "null");
        assert_eq!(text("{{input.n | json}}"), "1.5");
        assert_eq!(text("{{input.s | hex | json}}"), "\"612062\"");
        assert_eq!(text("{{input.o | json}}"), text("{{input.o}} ").trim_end());
        assert_eq!(text("{{input.s | json | json}}"), "\"\\\"a b\\\"\"");
    }

    /// Nothing unknown is left standing or becomes empty, and the error names the reference.
    #[test]
    fn unknown_is_an_error() {
        for source in [
            "vars.NONE",
            "input.none",
            "input.s.x",
            "input.o.b[2]",
            "input.o.b.0",
            "steps.none",
            "steps.charge.none",
        ] {
            for template in [format!("{{{{{source}}}}}"), format!("x {{{{{source} | json}}}}")] {
                let error = render(&template).unwrap_err();
                assert!(matches!(error, RenderError::Unknown { .. }));
                assert!(error.to_string().contains(&format!("`{{{{{source}}}}}`")), "{error}");
            }
        }
    }

    /// Null has no text, alone or not, where text is wanted.
    #[test]
    fn null_in_text_is_an_error() {
        for source in
            ["x{{input.z}}", "{{input.z}}{{input.z}}", "{{input.z | trim}}", "{{input.o.a | upper}}"]
        {
            assert!(matches!(render(source), Err(RenderError::Null { .. })), "{source}");
        }
        let alone = Template::parse("{{input.z}}").unwrap();
        assert!(matches!(alone.render_text(&scope()), Err(RenderError::Null { .. })));
        assert_eq!(alone.render(&scope()).unwrap().into_plain_text(), None);
    }

    /// Text knows who chose which part of it, an empty part included.
    #[test]
    fn taint_is_kept_per_piece() {
        let plain = |text: &str, taint| Piece::Plain { text: text.into(), taint };
        let rendered = render("a{{\"b\"}}{{vars.HOST}}{{env}}/{{input.e}}{{secrets.X}}{{run.id}}").unwrap();
        assert_eq!(rendered.taint(), Taint::Runtime);
        assert_eq!(rendered.secrets().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["X"]);
        assert_eq!(
            rendered,
            Rendered::Text(vec![
                plain("ab", Taint::Literal),
                plain("api.examplelive", Taint::Variable),
                plain("/", Taint::Literal),
                plain("", Taint::Runtime),
                Piece::Secret(SecretRef { name: "X".into(), field: None }),
                plain("run_1", Taint::Variable),
            ])
        );
        assert_eq!(rendered.into_plain_text(), None);
        assert_eq!(render("{{secrets.X}}").unwrap().taint(), Taint::Literal);
        assert_eq!(render("").unwrap().taint(), Taint::Literal);
        assert_eq!(render("x{{vars.HOST}}").unwrap().taint(), Taint::Variable);
    }

    /// Copies of large data and chains of growing filters stop at the limit, whatever form the data has.
    #[test]
    fn size_is_limited() {
        let scope = Fixed { input: json!({"s": "x".repeat(50), "o": ["x".repeat(50)]}), step: Value::Null };
        let render = |source: &str| {
            let template = Template::parse(source).unwrap();
            super::render(&template, &scope, &mut Budget { left_bytes: 100 })
        };
        for source in ["{{input.s}}", "{{input.s}}{{input.s}}", "{{input.s | hex}}", "{{input.o}}"] {
            assert!(render(source).is_ok(), "{source}");
        }
        for source in [
            "{{input.s}}{{input.s}}.",
            "{{input.o}}{{input.s}}",
            "{{input}}",
            "{{input | json}}",
            "{{input.s | hex | hex}}",
            "{{input.s | hex | hex | hex | hex | hex | hex | hex | hex}}",
            "{{input.s | json | hex}}",
        ] {
            assert_eq!(render(source), Err(RenderError::TooLarge), "{source}");
        }
    }

    /// What callers get is the limit of the front page.
    #[test]
    fn size_limit_is_the_constant() {
        let scope = |bytes| Fixed { input: Value::from("x".repeat(bytes)), step: Value::Null };
        let template = Template::parse("{{input}}").unwrap();
        assert!(template.render(&scope(RENDERED_BYTES_MAX)).is_ok());
        assert_eq!(template.render(&scope(RENDERED_BYTES_MAX + 1)), Err(RenderError::TooLarge));
        assert_eq!(template.render_text(&scope(RENDERED_BYTES_MAX + 1)), Err(RenderError::TooLarge));
    }
}
