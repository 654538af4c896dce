//! Where the server is, who we are, and in which workspace: flag over environment over user file over default.
//!
//! The user file holds a token, so it is readable by its owner alone, and refused if it is not.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Outcome};

/// Where a server is if nobody says.
const DEFAULT_ADDR: &str = "http://127.0.0.1:8200";
/// The workspace that `tacit init` makes.
const DEFAULT_WORKSPACE: &str = "default";
/// The environment that is never protected in a new workspace. What is protected is always named.
const DEFAULT_ENVIRONMENT: &str = "test";

/// What the user file says. The environment is not in it: a protected one is named with each command.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserFile {
    /// The server's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) addr: Option<String>,
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// The workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) workspace: Option<String>,
}

/// What the command line said.
#[derive(Default)]
pub(crate) struct Flags<'a> {
    /// `--addr`
    pub(crate) addr: Option<&'a str>,
    /// `--workspace`
    pub(crate) workspace: Option<&'a str>,
    /// `--env`
    pub(crate) environment: Option<&'a str>,
}

/// What holds in the end. Has no `Debug`: it has the token.
pub(crate) struct Settings {
    /// The server's address.
    pub(crate) addr: String,
    /// The token, if there is one.
    pub(crate) token: Option<String>,
    /// The workspace.
    pub(crate) workspace: String,
    /// The environment.
    pub(crate) environment: String,
}

impl Settings {
    /// Puts the layers on top of each other. An environment variable that is empty is not there.
    pub(crate) fn resolve(
        flags: &Flags<'_>,
        environment: impl Fn(&str) -> Option<String>,
        file: &UserFile,
    ) -> Self {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let layers = |flag: Option<&str>, variable: &str, file: Option<&String>, default: &str| {
            flag.map(str::to_owned)
                .or_else(|| set(variable))
                .or_else(|| file.cloned())
                .unwrap_or_else(|| default.to_owned())
        };
        Self {
            addr: layers(flags.addr, "TACIT_ADDR", file.addr.as_ref(), DEFAULT_ADDR),
            // There is no flag for a token: arguments are visible to everyone on the machine.
            token: set("TACIT_TOKEN").or_else(|| file.token.clone()),
            workspace: layers(flags.workspace, "TACIT_WORKSPACE", file.workspace.as_ref(), DEFAULT_WORKSPACE),
            environment: layers(flags.environment, "TACIT_ENV", None, DEFAULT_ENVIRONMENT),
        }
    }

    /// From the command line, the process's environment and the user's file.
    pub(crate) fn load(flags: &Flags<'_>) -> Outcome<Self> {
        Ok(Self::resolve(flags, |name| std::env::var(name).ok(), &UserFile::load()?))
    }
}

impl UserFile {
    /// The user's file; empty if there is none.
    pub(crate) fn load() -> Outcome<Self> {
        Self::load_from(&user_file()?)
    }

    /// Keeps it.
    pub(crate) fn save(&self) -> Outcome<PathBuf> {
        let path = user_file()?;
        self.save_to(&path)?;
        Ok(path)
    }

    fn load_from(path: &Path) -> Outcome<Self> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::file("read", path, &error)),
        };
        if metadata.mode() & 0o077 != 0 {
            return Err(Failure::new(
                format!(
                    "{} holds a token and can be read by others (mode {:03o})",
                    path.display(),
                    metadata.mode() & 0o777
                ),
                format!("chmod 600 {}, and if others did read it, end the token", path.display()),
            ));
        }
        let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
        // The parser's own message would show the line, which may be the token's.
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            Failure::new(
                format!("{} cannot be understood near line {line}", path.display()),
                "correct it, or sign in again with `tacit login` after removing it",
            )
        })
    }

    fn save_to(&self, path: &Path) -> Outcome {
        let text = toml::to_string(self).map_err(|error| {
            Failure::new(format!("cannot write the settings: {error}"), "report this: it is a fault of ours")
        })?;
        replace(path, text.as_bytes()).map_err(|error| Failure::file("write", path, &error))
    }
}

/// Writes beside the file and renames, so that it is never half there and never readable by others, not even at first.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let beside = path.with_extension(format!("toml.{}", std::process::id()));
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    let result = written.and_then(|()| fs::rename(&beside, path));
    if result.is_err() {
        // Only a leftover; the error that matters is the one before.
        let _ = fs::remove_file(&beside);
    }
    result
}

/// `config.toml` in `TACIT_CONFIG_DIR`, or in the user's configuration directory.
fn user_file() -> Outcome<PathBuf> {
    if let Some(directory) = std::env::var_os("TACIT_CONFIG_DIR").filter(|directory| !directory.is_empty()) {
        return Ok(Path::new(&directory).join("config.toml"));
    }
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        Failure::new("there is no home directory to keep settings in", "set TACIT_CONFIG_DIR to a directory")
    })?;
    Ok(strategy.config_dir().join("tacit").join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file() -> UserFile {
        UserFile {
            addr: Some("http://file".into()),
            token: Some("tct_file".into()),
            workspace: Some("file".into()),
        }
    }

    /// Flag over environment over user file over default.
    #[test]
    fn precedence() {
        let variables = |name: &str| match name {
            "TACIT_ADDR" => Some("http://env".to_owned()),
            "TACIT_TOKEN" => Some("tct_env".to_owned()),
            "TACIT_WORKSPACE" => Some("env".to_owned()),
            "TACIT_ENV" => Some("staging".to_owned()),
            _ => None,
        };
        let nothing = |_: &str| None;
        let flags = Flags { addr: Some("http://flag"), workspace: Some("flag"), environment: Some("live") };
        let show = |s: Settings| (s.addr, s.token.unwrap_or_default(), s.workspace, s.environment);
        let row =
            |a: &str, b: &str, c: &str, d: &str| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned());

        assert_eq!(
            show(Settings::resolve(&flags, variables, &file())),
            row("http://flag", "tct_env", "flag", "live")
        );
        assert_eq!(
            show(Settings::resolve(&Flags::default(), variables, &file())),
            row("http://env", "tct_env", "env", "staging")
        );
        assert_eq!(
            show(Settings::resolve(&Flags::default(), nothing, &file())),
            row("http://file", "tct_file", "file", "test")
        );
        assert_eq!(
            show(Settings::resolve(&Flags::default(), nothing, &UserFile::default())),
            row("http://127.0.0.1:8200", "", "default", "test")
        );
        let empty = |_: &str| Some(String::new());
        assert_eq!(
            show(Settings::resolve(&Flags::default(), empty, &file())),
            row("http://file", "tct_file", "file", "test")
        );
    }

    /// The file is its owner's alone, and so is its directory; one that is not is refused.
    #[test]
    fn the_file_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("tacit").join("config.toml");
        assert!(UserFile::load_from(&path).unwrap().token.is_none());
        file().save_to(&path).unwrap();
        file().save_to(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(UserFile::load_from(&path).unwrap().token.as_deref(), Some("tct_file"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = UserFile::load_from(&path).err().unwrap();
        assert!(refused.hint.starts_with("chmod 600"), "{refused}");
    }

    /// A file that cannot be read does not show its token.
    #[test]
    fn errors_do_not_show_the_token() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        replace(&path, b"addr = \"x\"\ntoken = tct_hunter2\n").unwrap();
        let refused = UserFile::load_from(&path).err().unwrap();
        assert!(refused.what.contains("line 2") && !format!("{refused:?}").contains("hunter2"), "{refused}");
    }
}
