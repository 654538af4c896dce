//! How a tool says no. Never an error of the protocol: a model does not get to read those.

use serde::Serialize;
use tacit_api::{Destination, FieldIssue};
use tacit_client::Error;

/// A tool's refusal: what happened and what to do, for a model and for the person behind it.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal {
    /// The stable code, as from the HTTP API.
    pub(crate) code: String,
    /// What happened, in a sentence.
    pub(crate) detail: String,
    /// What to do next, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suggestion: Option<String>,
    /// Under which id the server's log and record have more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// The destination that would allow what was refused, for those who may add it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) destination: Option<Destination>,
    /// Which fields break which rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldIssue>,
    /// Secrets that are named and not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing_secrets: Vec<String>,
}

impl Refusal {
    pub(crate) fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
            suggestion: None,
            request_id: None,
            destination: None,
            errors: Vec::new(),
            missing_secrets: Vec::new(),
        }
    }

    pub(crate) fn suggest(self, suggestion: impl Into<String>) -> Self {
        Self { suggestion: Some(suggestion.into()), ..self }
    }

    /// Arguments that do not fit a tool's schema.
    pub(crate) fn arguments(what: impl std::fmt::Display) -> Self {
        Self::new("validation_failed", format!("the arguments do not fit the tool: {what}"))
            .suggest("look at the tool's input schema; unknown fields are refused")
    }

    /// For a reader: what happened, what to do.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} ({})", self.detail, self.code);
        for issue in self.errors.iter().filter(|_| self.errors.len() > 1) {
            text.push_str(&format!("\n`{}` {}", issue.field, issue.message));
        }
        if let Some(suggestion) = &self.suggestion {
            text.push('\n');
            text.push_str(suggestion);
        }
        text
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Problem(problem) => Self {
                code: problem.code,
                detail: problem.detail,
                suggestion: problem.suggestion,
                request_id: Some(problem.request_id).filter(|id| !id.is_empty()),
                destination: problem.destination,
                errors: problem.errors,
                missing_secrets: Vec::new(),
            },
            Error::Name(_) => {
                Self::new("not_found", detail).suggest("check the name: find_secrets lists them")
            }
            Error::Timeout => Self::new("server_timeout", detail)
                .suggest("what was asked for may still happen; look before you ask again"),
            Error::Unreachable(_) => Self::new("server_unreachable", detail).suggest(
                "tell the person: the Tacit server does not run, or not at the address of `tacit login`",
            ),
            _ => Self::new("internal", detail).suggest("tell the person; the server's log may have more"),
        }
    }
}
