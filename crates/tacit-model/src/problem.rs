//! What is told when something is refused or fails: a stable code, what happened, what to do.
//!
//! One type for the vault, the broker and the runner, so that a refusal reads the same from the API, in a run's history
//! and on the record. It knows nothing of HTTP; the server maps codes to statuses in one place.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use crate::automation::Issue;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $text:literal,)+) => {
        /// Every code a client can meet. Codes are stable: they are added, never changed.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $code,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$code,)+];

            /// The code as it is sent and recorded.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$code => $text,)+ }
            }
        }
    };
}

codes! {
    /// No token, or none that is known.
    Unauthenticated = "unauthenticated",
    /// Not there, or not yours to know of.
    NotFound = "not_found",
    /// The right is missing.
    Forbidden = "forbidden",
    /// The input breaks a rule; `issues` says which.
    ValidationFailed = "validation_failed",
    /// The field is fixed at creation.
    ImmutableField = "immutable_field",
    /// A reference names nothing.
    UnknownReference = "unknown_reference",
    /// A secret stands where it may not.
    PlacementNotAllowed = "placement_not_allowed",
    /// The name is taken.
    NameTaken = "name_taken",
    /// Something depends on the secret.
    SecretInUse = "secret_in_use",
    /// Somebody has the role.
    RoleInUse = "role_in_use",
    /// The workspace would have no owner.
    LastOwner = "last_owner",
    /// The environment keeps its values.
    ProtectedEnvironment = "protected_environment",
    /// The automation is not published in this environment.
    NotDeployed = "not_deployed",
    /// The secret is switched off or deleted.
    SecretDisabled = "secret_disabled",
    /// There is no value in this environment.
    NoValueInEnvironment = "no_value_in_environment",
    /// The same write was done, or begun, before.
    AlreadyDone = "already_done",
    /// Somebody else changed it first.
    VersionConflict = "version_conflict",
    /// Nobody may look at it.
    RestrictedSecret = "restricted_secret",
    /// The secret has no destination.
    DestinationRequired = "destination_required",
    /// The secret may not go there.
    DestinationNotAllowed = "destination_not_allowed",
    /// Another credential in a request to a host that wants none but stored ones.
    ForeignCredential = "foreign_credential",
    /// The address may not be dialled.
    AddressBlocked = "address_blocked",
    /// A redirect that may not be followed.
    RedirectRefused = "redirect_refused",
    /// The server's key is not the one that the destination names.
    HostKeyMismatch = "host_key_mismatch",
    /// The answer cannot be scanned.
    ResponseUnscannable = "response_unscannable",
    /// The upstream did not answer properly.
    UpstreamFailed = "upstream_failed",
    /// The upstream took too long.
    UpstreamTimeout = "upstream_timeout",
    /// The status was not among the expected ones.
    UnexpectedStatus = "unexpected_status",
    /// The process stopped while it ran.
    Interrupted = "interrupted",
    /// Somebody stopped it.
    Cancelled = "cancelled",
    /// Too large.
    PayloadTooLarge = "payload_too_large",
    /// Too often.
    RateLimited = "rate_limited",
    /// The record cannot be written, so nothing is done.
    AuditUnavailable = "audit_unavailable",
    /// A fault of ours; the log has the cause.
    Internal = "internal",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal or a failure, as the client is told. One pointer, because it is in every result.
///
/// The public parts never hold a value or an upstream's text. The cause is for the log alone.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

/// What a problem consists of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The stable code.
    pub code: Code,
    /// What happened, in a sentence.
    pub detail: String,
    /// What to do next, in a sentence.
    pub suggestion: Option<String>,
    /// The destination that would allow what was refused.
    pub destination: Option<crate::Destination>,
    /// Which fields break which rules.
    pub issues: Vec<Issue>,
    /// What depends on the thing.
    pub dependents: Vec<String>,
    /// After how many seconds it is worth trying again.
    pub retry_after_secs: Option<u64>,
    /// Whether it is certain that nothing was sent: what is safe to try again.
    pub unsent: bool,
    cause: Option<String>,
}

impl Deref for Problem {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl Problem {
    /// A problem.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            suggestion: None,
            destination: None,
            issues: Vec::new(),
            dependents: Vec::new(),
            retry_after_secs: None,
            unsent: false,
            cause: None,
        }))
    }

    /// Something that is not there, or not the caller's to know of: the same words for both.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what}, or you may not know of it"))
    }

    /// One field that breaks a rule.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_fields(vec![Issue::new(field, message)])
    }

    /// Fields that break rules.
    pub fn invalid_fields(issues: Vec<Issue>) -> Self {
        let detail = match issues.as_slice() {
            [one] => format!("`{}` {}", one.field, one.message),
            many => format!("{} fields are not valid; `errors` lists them", many.len()),
        };
        let mut problem = Self::new(Code::ValidationFailed, detail);
        problem.issues = issues;
        problem
    }

    /// With what to do next.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// A fault of ours: the cause goes to the log, the client gets a request id.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(
            Code::Internal,
            "something failed on our side; the server's log has the cause under this request's id",
        )
        .because(cause)
    }

    /// The record cannot be written.
    pub fn audit_unavailable(cause: impl fmt::Display) -> Self {
        Self::new(Code::AuditUnavailable, "the record cannot be written, so nothing was done")
            .because(cause)
            .suggest("free disk space where the data directory is, or repair the database, and try again")
    }

    fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// What the log should say and the client must not.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}
