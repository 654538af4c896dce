//! Codes as HTTP statuses.
//!
//! The one table: the API, and the proxy inside the broker, answer with it.

use crate::Code;

impl Code {
    /// The HTTP status of a refusal with this code.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::NotFound => 404,
            Self::Forbidden
            | Self::RestrictedSecret
            | Self::DestinationRequired
            | Self::DestinationNotAllowed
            | Self::PlacementNotAllowed
            | Self::ForeignCredential
            | Self::AddressBlocked => 403,
            Self::ValidationFailed
            | Self::ImmutableField
            | Self::UnknownReference
            | Self::UnexpectedStatus => 422,
            Self::NameTaken
            | Self::SecretInUse
            | Self::RoleInUse
            | Self::LastOwner
            | Self::ProtectedEnvironment
            | Self::NotDeployed
            | Self::SecretDisabled
            | Self::NoValueInEnvironment
            | Self::AlreadyDone
            | Self::Interrupted
            | Self::Cancelled => 409,
            Self::VersionConflict => 412,
            Self::RedirectRefused
            | Self::HostKeyMismatch
            | Self::ResponseUnscannable
            | Self::UpstreamFailed => 502,
            Self::UpstreamTimeout => 504,
            Self::PayloadTooLarge => 413,
            Self::RateLimited => 429,
            Self::AuditUnavailable => 503,
            Self::Internal => 500,
        }
    }
}
