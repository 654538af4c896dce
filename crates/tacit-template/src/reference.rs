//! What a template may refer to. A closed list: whoever adds a root decides its [`Taint`] here.

use std::fmt;

use crate::path::fmt_key;
use crate::{Path, Taint};

/// One reference, without its braces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `secrets.NAME`: stays a reference; this crate never learns the value.
    Secret(SecretRef),
    /// `vars.NAME`: a variable of the environment.
    Var(String),
    /// `input.PATH`: what the run was started with.
    Input(Path),
    /// `steps.ID.PATH`: the result of an earlier step.
    Step {
        /// The step's id.
        id: String,
        /// Where in its result.
        path: Path,
    },
    /// `env`: the name of the environment.
    Env,
    /// `run.id`: the id of the run.
    RunId,
}

impl Reference {
    /// Where the data of this reference comes from; `None` for a secret, which yields no data here.
    pub fn taint(&self) -> Option<Taint> {
        match self {
            Reference::Secret(_) => None,
            Reference::Var(_) | Reference::Env | Reference::RunId => Some(Taint::Variable),
            Reference::Input(_) | Reference::Step { .. } => Some(Taint::Runtime),
        }
    }
}

/// Writes the reference as in a template, without the braces: `steps.charge.body[0]`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Secret(secret) => secret.fmt(f),
            Reference::Var(name) => {
                f.write_str("vars")?;
                fmt_key(name, f)
            }
            Reference::Input(path) => {
                f.write_str("input")?;
                path.fmt_continued(f)
            }
            Reference::Step { id, path } => {
                f.write_str("steps")?;
                fmt_key(id, f)?;
                path.fmt_continued(f)
            }
            Reference::Env => f.write_str("env"),
            Reference::RunId => f.write_str("run.id"),
        }
    }
}

/// A secret by name: `secrets.NAME`, `secrets["Any name"]`, `secrets.NAME.FIELD`. It is a name, never a
/// value.
///
/// Whether the name exists, whether its type has the field and whether it may stand in this place are
/// questions for whoever renders. The name is as written: looking it up ignores case and expects NFC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef {
    /// The secret's name.
    pub name: String,
    /// The field, for a `json` secret a path into it; `None` is the type's main field.
    pub field: Option<Path>,
}

/// Writes the reference as in a template, without the braces: `secrets["Any name"].password`.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secrets")?;
        fmt_key(&self.name, f)?;
        self.field.iter().try_for_each(|field| field.fmt_continued(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// References print as they are written.
    #[test]
    fn display_is_template_syntax() {
        let path = |source: &str| source.parse::<Path>().unwrap();
        let secret = |name: &str, field: Option<&str>| {
            Reference::Secret(SecretRef { name: name.into(), field: field.map(path) })
        };
        for (reference, text) in [
            (secret("STRIPE_KEY", None), "secrets.STRIPE_KEY"),
            (secret("HubSpot API key – production", None), "secrets[\"HubSpot API key – production\"]"),
            (secret("DB", Some("users[0].password")), "secrets.DB.users[0].password"),
            (Reference::Var("a b".into()), "vars[\"a b\"]"),
            (Reference::Input(Path::default()), "input"),
            (Reference::Input(path("[0].a")), "input[0].a"),
            (Reference::Step { id: "hand-over".into(), path: path("bytes") }, "steps.hand-over.bytes"),
            (Reference::Env, "env"),
            (Reference::RunId, "run.id"),
        ] {
            assert_eq!(reference.to_string(), text);
        }
    }

    /// Data that a caller or a foreign server chose is told apart from what an operator set.
    #[test]
    fn taint_follows_the_origin() {
        assert_eq!(Reference::Var("X".into()).taint(), Some(Taint::Variable));
        assert_eq!(Reference::Env.taint(), Some(Taint::Variable));
        assert_eq!(Reference::RunId.taint(), Some(Taint::Variable));
        assert_eq!(Reference::Input(Path::default()).taint(), Some(Taint::Runtime));
        assert_eq!(Reference::Secret(SecretRef { name: "X".into(), field: None }).taint(), None);
    }
}
