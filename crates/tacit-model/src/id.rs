//! Ids are types with prefixes, so that one kind cannot be passed for another and a reader sees what is meant.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::time::Timestamp;

/// What was given is not an id of this kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an id of the form {prefix}_…")]
pub struct IdError {
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What printed ids of this kind begin with.
            pub const PREFIX: &'static str = $prefix;

            /// A UUIDv7 from a time and 80 random bits: ids sort by creation.
            pub fn generate(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis().max(0) as u64, &random).into_uuid())
            }

            /// The 16 bytes that go into key derivations and into the database.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The inverse of [`Self::as_bytes`].
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|rest| rest.len() == 32)
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// One installation: a database and its root key.
    InstanceId = "ins";
    /// A workspace: a tenant.
    WorkspaceId = "wsp";
    /// An environment of a workspace.
    EnvironmentId = "env";
    /// A secret.
    SecretId = "sec";
    /// A variable.
    VariableId = "var";
    /// A person.
    UserId = "usr";
    /// A machine's account.
    ServiceAccountId = "sac";
    /// An access token (the record of it, never its text).
    TokenId = "tok";
    /// An automation.
    AutomationId = "aut";
    /// One run of an automation.
    RunId = "run";
    /// A lease: placeholders handed out together.
    LeaseId = "lea";
    /// An agent's session.
    AgentSessionId = "ags";
    /// A custom role.
    RoleId = "rol";
    /// A grant.
    GrantId = "grt";
    /// A signed-in person's session.
    SessionId = "ses";
    /// An invitation.
    InvitationId = "inv";
    /// A move of automations and values between environments.
    DeploymentId = "dep";
    /// An event on the record.
    EventId = "evt";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An id survives printing and parsing, and an id of another kind is refused.
    #[test]
    fn ids_are_typed() {
        let id = SecretId::generate(Timestamp::from_millis(1_700_000_000_000), [7; 10]);
        assert_eq!(id.to_string().parse::<SecretId>(), Ok(id));
        assert!(id.to_string().starts_with("sec_"));
        assert!(id.to_string().parse::<WorkspaceId>().is_err());
        assert_eq!(SecretId::from_bytes(*id.as_bytes()), id);
    }

    /// Ids made later sort later.
    #[test]
    fn ids_sort_by_time() {
        let early = EventId::generate(Timestamp::from_millis(1), [0xff; 10]);
        let late = EventId::generate(Timestamp::from_millis(2), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
    }
}
