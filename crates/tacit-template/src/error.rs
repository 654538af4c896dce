//! What goes wrong when a template is saved ([`ParseError`]) and when it is rendered ([`RenderError`]).

use crate::{RENDERED_BYTES_MAX, Reference};

/// A template that cannot be saved, with the place and with what to write instead.
///
/// Neither text ever quotes the source: what stands between wrong braces may be a pasted value, and errors go
/// to logs. `offset` points at it instead; both texts are made of the grammar's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {offset}); {suggestion}")]
pub struct ParseError {
    /// Where it went wrong: a byte offset into the source, always on a character boundary.
    pub offset: usize,
    /// What is wrong, as a phrase without a full stop.
    pub message: String,
    /// What to write instead; never empty.
    pub suggestion: String,
}

impl ParseError {
    pub(crate) fn new(offset: usize, message: impl Into<String>, suggestion: impl Into<String>) -> Self {
        Self { offset, message: message.into(), suggestion: suggestion.into() }
    }
}

/// A template that cannot be rendered with what the run has.
///
/// It names the reference, which its author wrote, and never holds data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The variable, path or step does not exist. Nothing is left standing and nothing becomes empty.
    #[error("`{{{{{reference}}}}}` is unknown: {}", absence(reference))]
    Unknown {
        /// What was looked for.
        reference: Reference,
    },
    /// The reference is null where text is needed. "null" and the empty string would both be inventions.
    #[error("`{{{{{reference}}}}}` is null and cannot become text")]
    Null {
        /// What is null.
        reference: Reference,
    },
    /// The result would be larger than [`RENDERED_BYTES_MAX`].
    #[error("the rendered text is larger than {RENDERED_BYTES_MAX} bytes")]
    TooLarge,
}

fn absence(reference: &Reference) -> &'static str {
    match reference {
        Reference::Var(_) => "no variable of this name has a value in this environment",
        Reference::Input(_) => "the input has nothing at this path",
        Reference::Step { .. } => "the step has no result, or its result has nothing at this path",
        Reference::Secret(_) | Reference::Env | Reference::RunId => "it does not exist here",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person reads the reference exactly as they wrote it.
    #[test]
    fn render_errors_name_the_reference_in_braces() {
        let reference = Reference::Var("HOST".into());
        let said = RenderError::Unknown { reference: reference.clone() }.to_string();
        assert_eq!(
            said,
            "`{{vars.HOST}}` is unknown: no variable of this name has a value in this environment"
        );
        assert_eq!(
            RenderError::Null { reference }.to_string(),
            "`{{vars.HOST}}` is null and cannot become text"
        );
    }
}
