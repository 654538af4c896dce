//! How the command line fails: two lines, what happened and what to do, and an exit status that scripts can rely on.

use std::{fmt, process::ExitCode};

use tacit_api::Problem;
use tacit_client::Error;
use tacit_server::StartError;

/// The exit status, as the contract has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did not work.
    Failed = 1,
    /// It was asked for wrongly.
    Usage = 2,
    /// Nobody is signed in.
    Unauthenticated = 3,
    /// Not permitted, or not there.
    NotPermitted = 4,
    /// It collides with what is there.
    Conflict = 5,
    /// It was not waited for any longer, and goes on.
    GoesOn = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened.
    pub(crate) what: String,
    /// Particulars, one line each: which fields break which rules.
    pub(crate) details: Vec<String>,
    /// What to do.
    pub(crate) hint: String,
    /// The exit status.
    pub(crate) exit: Exit,
    /// The server's code, if it was the server.
    pub(crate) code: Option<String>,
}

/// What every verb returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// Something that did not work.
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), details: Vec::new(), hint: hint.into(), exit: Exit::Failed, code: None }
    }

    /// A command that was written wrongly.
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(what, hint) }
    }

    /// A file that could not be read or written.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            format!("cannot {what} {}: {error}", path.display()),
            "check that the path is right and that you may use it",
        )
    }

    /// With a hint that knows more than the general one.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(error.what, error.hint)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        match error {
            Error::Problem(problem) => (*problem).into(),
            Error::Address(_) => {
                Self::usage(what, "write it like http://127.0.0.1:8200 or https://tacit.example.com")
            }
            Error::Name(_) => Self { exit: Exit::NotPermitted, ..Self::new(what, "check the name") },
            Error::Token => Self {
                exit: Exit::Unauthenticated,
                ..Self::new(what, "run `tacit login`, or set TACIT_TOKEN to a token that begins with tct_")
            },
            Error::Timeout => {
                Self::new(what, "look at the server's log; what was asked for may still happen")
            }
            Error::Unreachable(_) => {
                Self::new(what, "start one with `tacit serve`, or say with --addr or TACIT_ADDR where it is")
            }
            _ => Self::new(
                what,
                "check that --addr or TACIT_ADDR is the address of a Tacit server of this version",
            ),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.status {
            401 => Exit::Unauthenticated,
            403 | 404 => Exit::NotPermitted,
            409 | 412 => Exit::Conflict,
            _ => Exit::Failed,
        };
        let details = match problem.errors.as_slice() {
            // The detail of a single one says it already.
            [] | [_] => Vec::new(),
            many => many.iter().map(|issue| format!("`{}` {}", issue.field, issue.message)).collect(),
        };
        let hint = hint_for(&problem);
        Self { what: problem.detail, details, hint, exit, code: Some(problem.code) }
    }
}

fn hint_for(problem: &Problem) -> String {
    if let Some(suggestion) = &problem.suggestion {
        return suggestion.clone();
    }
    let hint = match problem.code.as_str() {
        "unauthenticated" => "run `tacit login`, or set TACIT_TOKEN",
        "not_found" => "check the name and --workspace; `tacit whoami` shows where this token belongs",
        "forbidden" => "ask an owner or admin of the workspace; `tacit whoami` shows what this token may do",
        "validation_failed" | "immutable_field" | "unknown_reference" | "placement_not_allowed" => {
            "correct it and try again"
        }
        "name_taken" => "choose another name",
        "role_in_use" => {
            "give those who have the role another one first: tacit members list, tacit grants list"
        }
        "last_owner" => "make somebody else an owner first: tacit members set NAME --role owner",
        "secret_in_use" => "change what depends on it first, or delete it all the same with --force",
        "protected_environment" => {
            "disable it instead, which takes effect at once: `tacit secrets disable NAME`"
        }
        "secret_disabled" => "switch it on again: `tacit secrets enable NAME`",
        "no_value_in_environment" => "set one: `tacit secrets set NAME --env ENV`",
        "not_deployed" => {
            "publish it first: `tacit automations apply -f FILE`; then `tacit deploy NAME --to ENV` for others"
        }
        "restricted_secret" => "nobody may look at it; if its value is lost, set a new one",
        "destination_required" | "destination_not_allowed" => {
            "whoever owns the secret can allow it: `tacit secrets policy NAME --add --to URL`"
        }
        "version_conflict" => "somebody else changed it first; look at it and try again",
        "rate_limited" | "audit_unavailable" | "sealed" => "try again later",
        _ => return format!("the server's log has more under request id {}", problem.request_id),
    };
    hint.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str) -> Problem {
        Problem {
            kind: String::new(),
            title: String::new(),
            status,
            code: code.to_owned(),
            detail: "what happened".to_owned(),
            request_id: "req_1".to_owned(),
            suggestion: None,
            destination: None,
            errors: Vec::new(),
            dependents: Vec::new(),
        }
    }

    /// The exit status follows from the status of the answer, as the contract has it.
    #[test]
    fn exit_statuses() {
        for (status, code, exit) in [
            (401, "unauthenticated", 3),
            (403, "forbidden", 4),
            (403, "restricted_secret", 4),
            (404, "not_found", 4),
            (409, "name_taken", 5),
            (412, "version_conflict", 5),
            (422, "validation_failed", 1),
            (502, "upstream_failed", 1),
            (500, "internal", 1),
        ] {
            assert_eq!(Failure::from(problem(status, code)).exit as u8, exit, "{status} {code}");
        }
        assert_eq!(Failure::usage("", "").exit as u8, 2);
        assert_eq!(Failure::from(Error::Token).exit as u8, 3);
        assert_eq!(Failure::from(Error::Unreachable(String::new())).exit as u8, 1);
    }

    /// There is always something to do, and the server's suggestion goes first.
    #[test]
    fn hints() {
        assert!(Failure::from(problem(500, "internal")).hint.contains("req_1"));
        assert!(Failure::from(problem(401, "unauthenticated")).hint.contains("tacit login"));
        let suggested = Problem { suggestion: Some("do that".to_owned()), ..problem(401, "unauthenticated") };
        assert_eq!(Failure::from(suggested).hint, "do that");
    }
}
