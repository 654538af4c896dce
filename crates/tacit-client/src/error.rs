//! What can go wrong between a client and a server.

use tacit_api::Problem;

/// Why a call did not bring what it should. Never holds a value, a token or a body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one.
    #[error("`{0}` is not the address of a server")]
    Address(String),
    /// The token has characters that no token has.
    #[error("the token is not one of Tacit's")]
    Token,
    /// A name that cannot be part of a path, so nothing can have it.
    #[error("`{0}` cannot be a name")]
    Name(String),
    /// The server said no, and why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The server could not be reached.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// What answered does not speak this API.
    #[error("unexpected answer with status {status}: {reason}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// What was wrong with it; never the body itself.
        reason: &'static str,
    },
}

impl Error {
    /// The stable code, where the server gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// Whether there is no such thing, or it is not the caller's to know of.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some("not_found")
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        // The last cause is the useful one ("connection refused"). The URL goes: it holds names.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Unreachable(cause.to_string())
    }
}
