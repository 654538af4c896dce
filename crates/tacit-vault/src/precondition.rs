//! `ETag` and `If-Match`: a write that is meant for what somebody saw, and for nothing that came after.
//!
//! A tag is a hash of everything that can change about a thing, made here, in the turn of the write it guards. Between the
//! look and the write nothing comes, because the write is conditional on the workspace's revision.

use tacit_crypto::sha256;
use tacit_model::{Code, Problem, Right};
use tacit_store::{
    secrets::{Secret, Value},
    workspaces::Settings,
};

use crate::access::{Access, Snapshot};

/// What a write is conditional on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition(Option<Vec<String>>);

impl Precondition {
    /// Nothing, or only that the thing is there, which every write wants anyway.
    pub const NONE: Precondition = Precondition(None);

    /// One of these tags, without their quotes. No tag at all is never fulfilled.
    pub fn one_of(tags: Vec<String>) -> Self {
        Self(Some(tags))
    }

    fn check(&self, tag: &str) -> Result<(), Problem> {
        match &self.0 {
            Some(tags) if tags.iter().all(|known| known != tag) => Err(Problem::new(
                Code::VersionConflict,
                "somebody changed it since you looked; nothing was done",
            )
            .suggest("look at it again, and send the `ETag` of what you see as `If-Match`")),
            _ => Ok(()),
        }
    }
}

impl Access {
    /// Whether the caller said which version of the thing it means.
    pub(crate) fn has_condition(&self) -> bool {
        self.precondition != Precondition::NONE
    }

    /// Whether the caller means the thing as it is now. After the check of rights: a tag is part of what is seen.
    pub(crate) fn check_tag(&self, tag: &str) -> Result<(), Problem> {
        self.precondition.check(tag)
    }
}

/// The tag of a list of parts, none of which can be read as two.
pub(crate) fn tag(parts: &[String]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    sha256(&bytes)[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tag of a secret as the caller sees it: what happens in environments where they may not list does not show in it.
pub(crate) fn secret_tag(access: &Access, snapshot: &Snapshot) -> String {
    let Secret {
        id,
        description,
        folder,
        destinations,
        rotate_every_days,
        expires_at,
        disabled,
        deleted_at,
        ..
    } = &snapshot.secret;
    let mut parts = vec![
        id.to_string(),
        description.clone(),
        folder.to_string(),
        String::from_utf8_lossy(&destinations.canonical_bytes()).into_owned(),
        format!(
            "{rotate_every_days:?} {expires_at:?} {disabled} {deleted_at:?} {}",
            snapshot.secret.proposed
        ),
    ];
    let is_seen =
        |value: &&Value| access.rights_on(&snapshot.secret, Some(value.environment)).has(Right::SecretList);
    let mut values: Vec<_> = snapshot.values.iter().filter(is_seen).collect();
    values.sort_by_key(|value| value.environment);
    parts.extend(
        values.iter().map(|value| format!("{} {} {}", value.environment, value.current, value.disabled)),
    );
    tag(&parts)
}

pub(crate) fn settings_tag(settings: &Settings) -> String {
    tag(&[format!("{settings:?}")])
}

pub(crate) fn variable_tag(
    id: impl std::fmt::Display,
    description: &str,
    folder: &str,
    values: &[(impl std::fmt::Display, String)],
) -> String {
    let mut parts = vec![id.to_string(), description.to_owned(), folder.to_owned()];
    parts.extend(values.iter().flat_map(|(environment, value)| [environment.to_string(), value.clone()]));
    tag(&parts)
}

/// The tag of a definition by its hash.
pub(crate) fn definition_tag(hash: &[u8; 32]) -> String {
    hash[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts do not run into each other, and a condition is one of its tags or nothing.
    #[test]
    fn tags_and_conditions() {
        let own = |parts: &[&str]| tag(&parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_ne!(own(&["ab", "c"]), own(&["a", "bc"]));
        assert_eq!(own(&["ab", "c"]).len(), 24);
        assert!(Precondition::NONE.check("a").is_ok());
        assert!(Precondition::one_of(vec!["b".into(), "a".into()]).check("a").is_ok());
        let stale = Precondition::one_of(vec!["b".into()]).check("a").unwrap_err();
        assert_eq!(stale.code, Code::VersionConflict);
        assert!(Precondition::one_of(Vec::new()).check("a").is_err());
    }
}
