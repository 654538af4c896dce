//! Where in a workspace a right counts.

use crate::{EnvironmentId, SecretId, name::Folder};

/// A part of a workspace: all of it, narrowed by an environment, a folder, a secret, or several of these at once.
///
/// The same type says where a grant counts and what a decision is about. A decision about a value in an environment names
/// all three; one about a secret in every environment leaves the environment open, and then only a grant that leaves it
/// open too is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Only in this environment.
    pub environment: Option<EnvironmentId>,
    /// Only in this folder and those below it. A secret outside every folder is in the empty one.
    pub folder: Option<Folder>,
    /// Only this secret. By id, so that another one made under its name later is another one here, too.
    pub secret: Option<SecretId>,
}

impl Scope {
    /// The whole workspace.
    pub const WORKSPACE: Scope = Scope { environment: None, folder: None, secret: None };

    /// Everything in one environment.
    pub fn environment(environment: EnvironmentId) -> Self {
        Self { environment: Some(environment), ..Self::default() }
    }

    /// A folder and those below it.
    pub fn folder(folder: &Folder) -> Self {
        Self { folder: Some(folder.clone()), ..Self::default() }
    }

    /// A secret, in one environment or in all of them.
    pub fn secret(secret: SecretId, folder: &Folder, environment: Option<EnvironmentId>) -> Self {
        Self { environment, folder: Some(folder.clone()), secret: Some(secret) }
    }

    /// Whether everything in `other` is in this scope.
    pub fn covers(&self, other: &Scope) -> bool {
        self.environment.is_none_or(|environment| other.environment == Some(environment))
            && self.covers_in_some_environment(other)
    }

    /// The same, whatever the environment.
    pub fn covers_in_some_environment(&self, other: &Scope) -> bool {
        let folder = self.folder.as_ref();
        folder.is_none_or(|folder| other.folder.as_ref().is_some_and(|inner| folder.contains(inner)))
            && self.secret.is_none_or(|secret| other.secret == Some(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(text: &str) -> Folder {
        text.parse().unwrap()
    }

    /// Whole segments: `pay` is no part of `payments`, and a folder holds itself and what is below it.
    #[test]
    fn folders_match_whole_segments() {
        for (outer, inner, holds) in [
            ("payments", "payments", true),
            ("payments", "payments/eu", true),
            ("payments", "payments/eu/de", true),
            ("payments/eu", "payments", false),
            ("payments", "payments2", false),
            ("pay", "payments", false),
            ("payments/e", "payments/eu", false),
            ("Payments", "payments", false),
            ("payments", "", false),
            ("", "payments", true),
            ("", "", true),
            ("payments", "other/payments", false),
        ] {
            assert_eq!(folder(outer).contains(&folder(inner)), holds, "{outer} {inner}");
        }
    }

    /// What is asked about everything is not answered by a part of it.
    #[test]
    fn a_part_does_not_cover_the_whole() {
        let (test, live) = (EnvironmentId::from_bytes([1; 16]), EnvironmentId::from_bytes([2; 16]));
        let secret = SecretId::from_bytes([3; 16]);
        let here = Scope::secret(secret, &folder("a/b"), Some(test));
        let everywhere = Scope::secret(secret, &folder("a/b"), None);
        for part in
            [Scope::environment(test), Scope { environment: Some(test), ..Scope::folder(&folder("a")) }]
        {
            assert!(part.covers(&here) && !part.covers(&everywhere));
            assert!(part.covers_in_some_environment(&everywhere));
            assert!(!part.covers(&Scope::WORKSPACE) && !part.covers(&Scope::environment(live)));
        }
        for wide in [
            Scope::WORKSPACE,
            Scope::folder(&folder("a")),
            Scope { secret: Some(secret), ..Scope::default() },
        ] {
            assert!(wide.covers(&here) && wide.covers(&everywhere) && wide.covers(&wide));
        }
        assert!(!Scope::folder(&folder("a")).covers(&Scope::environment(test)));
        assert!(!everywhere.covers(&Scope::folder(&folder("a/b"))));
    }
}
