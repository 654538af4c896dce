//! `tacit.toml`: which secrets the commands of a project need, by name. It belongs into version control, so it never
//! holds a value, and one that looks as if it did is refused.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{environment::check_alias, looks};
use crate::error::{Failure, Outcome};

/// The file's name.
const NAME: &str = "tacit.toml";
/// More than anyone writes by hand.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Project {
    /// The workspace.
    pub(super) workspace: Option<String>,
    /// The environment. A protected one has to be named on the command line all the same.
    pub(super) environment: Option<String>,
    /// Whether hosts without a secret can be reached.
    pub(super) block_other_hosts: Option<bool>,
    /// The secrets.
    pub(super) secrets: Vec<Wanted>,
}

/// A secret that a command needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The secret's name.
    pub(super) name: String,
    /// The variable's name, if it is not the one that follows from the secret's.
    pub(super) alias: Option<String>,
    /// What the placeholder should look like.
    pub(super) shape: Option<String>,
}

impl Wanted {
    /// `NAME` or `NAME=ALIAS`. What is wrong is not repeated: somebody may have written a value.
    pub(super) fn from_argument(argument: &str) -> Outcome<Self> {
        let (name, alias) = match argument.rsplit_once('=') {
            Some((name, alias)) => (name, Some(alias.to_owned())),
            None => (argument, None),
        };
        if looks::like_a_credential(argument) {
            return Err(Failure::usage(
                "an argument of --secret looks like a value",
                "name the secret there; its value is kept with `tacit secrets set NAME`",
            ));
        }
        if alias.as_deref().is_some_and(|alias| check_alias(alias).is_err()) {
            return Err(Failure::usage(
                "what follows `=` in an argument of --secret cannot be the name of a variable for a placeholder",
                "use letters, digits and _, with no digit first, and no name that `tacit run` sets itself",
            ));
        }
        if name.is_empty() {
            return Err(empty());
        }
        Ok(Self { name: name.to_owned(), alias, shape: None })
    }

    /// The variable for its placeholder: as chosen, or the name in upper case with `_` for every other character.
    pub(super) fn alias(&self) -> String {
        let character = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        self.alias.clone().unwrap_or_else(|| {
            let alias: String = self.name.chars().map(character).collect();
            // A variable's name does not begin with a digit.
            if alias.starts_with(|c: char| c.is_ascii_digit()) { format!("_{alias}") } else { alias }
        })
    }
}

fn empty() -> Failure {
    Failure::usage("an argument of --secret has no name", "write --secret NAME or --secret NAME=ALIAS")
}

impl Project {
    /// The file of this directory or of the nearest one above it. Nothing above the home directory is looked at.
    pub(super) fn find(directory: &Path, home: Option<&Path>) -> Outcome<Self> {
        for directory in directory.ancestors() {
            let path = directory.join(NAME);
            if path.is_file() {
                return Self::load(&path, rustix::process::getuid().as_raw());
            }
            if Some(directory) == home {
                break;
            }
        }
        Ok(Self::default())
    }

    /// Reads a file that is the user's own or root's. Somebody else's may lie in a directory that everybody writes to, and
    /// would say which workspace, environment and secrets a command gets.
    fn load(path: &Path, user: u32) -> Outcome<Self> {
        let failed = |error: io::Error| Failure::file("read", path, &error);
        let mut file = File::open(path).map_err(failed)?;
        // What was opened, and the link that led there, if it is one.
        let (opened, named) =
            (file.metadata().map_err(failed)?, std::fs::symlink_metadata(path).map_err(failed)?);
        if [opened.uid(), named.uid()].iter().any(|owner| ![user, 0].contains(owner)) {
            return Err(Failure::usage(
                format!("{} belongs to somebody else", path.display()),
                "look at what it says, and make it your own (`sudo chown`), or put a tacit.toml of your own nearer",
            ));
        }
        if opened.len() > FILE_BYTES_MAX {
            return Err(failed(io::Error::other("it is too large")));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        Reader { path, text: &text }.project()
    }
}

/// Reads key by key, so that an error can name file and line and repeat nothing but a key.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn project(&self) -> Outcome<Project> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            // The parser's own message may show the line, and the line may be a mistake of the worst kind.
            self.refuse(at, "cannot be understood", "correct it; every text stands in quotes")
        })?;
        let mut project = Project::default();
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "workspace" => project.workspace = Some(self.text(key, value)?),
                "environment" => project.environment = Some(self.text(key, value)?),
                "run" => project.block_other_hosts = self.other_hosts(self.table(key, value)?)?,
                "secrets" => project.secrets = self.secrets(self.table(key, value)?)?,
                _ => return Err(self.unknown(key, "workspace, environment, [run] and [secrets]")),
            }
        }
        Ok(project)
    }

    fn other_hosts(&self, table: &DeTable<'_>) -> Outcome<Option<bool>> {
        let mut block = None;
        for (key, value) in table {
            if key.get_ref() != "other_hosts" {
                return Err(self.unknown(key, "other_hosts"));
            }
            block = Some(match self.text(key, value)?.as_str() {
                "tunnel" => false,
                "block" => true,
                _ => return Err(self.wrong(key, "write \"tunnel\" or \"block\"")),
            });
        }
        Ok(block)
    }

    fn secrets(&self, table: &DeTable<'_>) -> Outcome<Vec<Wanted>> {
        let mut secrets = Vec::new();
        for (key, value) in table {
            let alias = key.get_ref().as_ref();
            if looks::like_a_credential(alias) {
                return Err(self.credential(key.span().start, "a key"));
            }
            if let Err(refused) = check_alias(alias) {
                return Err(self.refuse(
                    key.span().start,
                    &format!("is wrong: {}", refused.what),
                    &refused.hint,
                ));
            }
            let mut wanted = Wanted { name: String::new(), alias: Some(alias.to_owned()), shape: None };
            if let Some(table) = value.get_ref().as_table() {
                for (key, value) in table {
                    match key.get_ref().as_ref() {
                        "name" => wanted.name = self.text(key, value)?,
                        "shape" => wanted.shape = Some(self.text(key, value)?),
                        _ => return Err(self.unknown(key, "name and shape")),
                    }
                }
            } else {
                wanted.name = self.text(key, value)?;
            }
            if wanted.name.is_empty() {
                return Err(self.wrong(key, "write ALIAS = \"NAME\" or ALIAS = { name = \"NAME\" }"));
            }
            secrets.push(wanted);
        }
        // The order of the file, so that messages and the record read as it does.
        Ok(secrets)
    }

    fn table<'b, 'i>(
        &self,
        key: &Spanned<Key<'_>>,
        value: &'b Spanned<DeValue<'i>>,
    ) -> Outcome<&'b DeTable<'i>> {
        value.get_ref().as_table().ok_or_else(|| self.wrong(key, "write it as a table of its own"))
    }

    fn text(&self, key: &Spanned<Key<'_>>, value: &Spanned<DeValue<'_>>) -> Outcome<String> {
        let Some(text) = value.get_ref().as_str() else {
            return Err(self.wrong(key, "write a text in quotes"));
        };
        if looks::like_a_credential(text) {
            return Err(self.credential(value.span().start, &format!("`{}`", key.get_ref())));
        }
        Ok(text.to_owned())
    }

    fn credential(&self, at: usize, what: &str) -> Failure {
        self.refuse(
            at,
            &format!("holds what looks like a credential: {what}"),
            "put the secret's name there, keep the value with `tacit secrets set NAME`, and end it where it came from \
             if others could read the file",
        )
    }

    fn unknown(&self, key: &Spanned<Key<'_>>, known: &str) -> Failure {
        let what = if looks::like_a_credential(key.get_ref()) {
            return self.credential(key.span().start, "a key");
        } else {
            format!("has an unknown key: `{}`", key.get_ref())
        };
        self.refuse(key.span().start, &what, &format!("remove it; known here are {known}"))
    }

    fn wrong(&self, key: &Spanned<Key<'_>>, hint: &str) -> Failure {
        self.refuse(key.span().start, &format!("is wrong at `{}`", key.get_ref()), hint)
    }

    fn refuse(&self, at: usize, what: &str, hint: &str) -> Failure {
        let line = self.text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        Failure::usage(format!("{} line {line} {what}", self.path.display()), hint)
    }
}

type Key<'a> = std::borrow::Cow<'a, str>;

/// The home directory, above which no file is looked for.
pub(super) fn home() -> Option<PathBuf> {
    etcetera::home_dir().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Outcome<Project> {
        Reader { path: Path::new("/project/tacit.toml"), text }.project()
    }

    /// Everything that can be said.
    #[test]
    fn a_whole_file() {
        let project = read(
            "workspace = \"acme\"\nenvironment = \"staging\"\n\n[run]\nother_hosts = \"block\"\n\n[secrets]\n\
             STRIPE_KEY = \"stripe-key\"\nGITHUB_TOKEN = { name = \"GitHub – bot\", shape = \"ghp\" }\n",
        )
        .unwrap();
        let wanted = |alias: &str, name: &str, shape: Option<&str>| Wanted {
            name: name.to_owned(),
            alias: Some(alias.to_owned()),
            shape: shape.map(str::to_owned),
        };
        let mut expected = Project {
            workspace: Some("acme".to_owned()),
            environment: Some("staging".to_owned()),
            block_other_hosts: Some(true),
            secrets: vec![
                wanted("STRIPE_KEY", "stripe-key", None),
                wanted("GITHUB_TOKEN", "GitHub – bot", Some("ghp")),
            ],
        };
        expected.secrets.sort_by(|a, b| a.alias.cmp(&b.alias));
        assert_eq!(project, expected);
        assert_eq!(read("").unwrap(), Project::default());
    }

    /// What is not known or not meant so is refused with its line.
    #[test]
    fn mistakes_have_a_line() {
        for (text, line, what) in [
            ("workspace = \"a\"\nworkspcae = \"b\"\n", 2, "unknown key: `workspcae`"),
            ("[run]\n\nttl = 5\n", 3, "unknown key: `ttl`"),
            ("[run]\nother_hosts = \"open\"\n", 2, "is wrong at `other_hosts`"),
            ("[secrets]\nA = \"x\"\nB = 7\n", 3, "is wrong at `B`"),
            ("[secrets]\nA = { shape = \"ghp\" }\n", 2, "is wrong at `A`"),
            ("[secrets]\nA = { name = \"x\", as = \"y\" }\n", 2, "unknown key: `as`"),
            ("[secrets]\n\"A-B\" = \"x\"\n", 2, "cannot be the name"),
            ("[secrets]\nHTTPS_PROXY = \"x\"\n", 2, "sets `HTTPS_PROXY` itself"),
            ("secrets = 7\n", 1, "is wrong at `secrets`"),
            ("\n\n[secrets\n", 3, "cannot be understood"),
        ] {
            let refused = read(text).unwrap_err();
            assert_eq!(refused.exit as u8, 2);
            assert!(
                refused.what.starts_with(&format!("/project/tacit.toml line {line} ")),
                "{text}: {refused}"
            );
            assert!(refused.what.contains(what), "{text}: {refused}");
        }
    }

    /// A value in the file stops everything, and is not repeated.
    #[test]
    fn values_are_refused() {
        let value = "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6";
        for text in [
            format!("[secrets]\nSTRIPE_KEY = \"{value}\"\n"),
            format!("[secrets]\nSTRIPE_KEY = {{ name = \"{value}\" }}\n"),
            format!("\nworkspace = \"{value}\"\n"),
            format!("[secrets]\n{value} = \"STRIPE_KEY\"\n"),
            format!("\n{value} = \"STRIPE_KEY\"\n"),
            format!("[secrets]\nSTRIPE_KEY = {value}\n"),
        ] {
            let refused = read(&text).unwrap_err();
            assert!(refused.what.contains("line 2"), "{refused}");
            assert!(!format!("{refused:?}").contains(value), "{refused}");
        }
        let refused = Wanted::from_argument(&format!("KEY={value}!")).unwrap_err();
        assert!(!format!("{refused:?}").contains(value), "{refused}");
    }

    /// The nearest file counts, and none above home.
    #[test]
    fn the_nearest_file() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home");
        let deep = home.join("project/src/deep");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.path().join(NAME), "workspace = \"above\"").unwrap();
        assert_eq!(Project::find(&deep, Some(&home)).unwrap(), Project::default());
        assert_eq!(Project::find(&deep, None).unwrap().workspace.as_deref(), Some("above"));
        std::fs::write(home.join(NAME), "workspace = \"home\"").unwrap();
        assert_eq!(Project::find(&deep, Some(&home)).unwrap().workspace.as_deref(), Some("home"));
        std::fs::write(home.join("project").join(NAME), "workspace = \"project\"").unwrap();
        assert_eq!(Project::find(&deep, Some(&home)).unwrap().workspace.as_deref(), Some("project"));
        std::fs::write(home.join("project").join(NAME), "nonsense").unwrap();
        let refused = Project::find(&deep, Some(&home)).unwrap_err();
        assert!(refused.what.contains("project/tacit.toml line 1"), "{refused}");
    }

    /// A file of somebody else's, or a link of theirs to one of ours, decides nothing; root's does.
    #[test]
    fn whose_file_it_is() {
        let root = tempfile::tempdir().unwrap();
        let (path, link) = (root.path().join(NAME), root.path().join("link.toml"));
        std::fs::write(&path, "workspace = \"mine\"").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let me = std::fs::metadata(&path).unwrap().uid();
        for path in [&path, &link] {
            assert_eq!(Project::load(path, me).unwrap().workspace.as_deref(), Some("mine"));
            // To another user this is somebody else's, unless it is root's.
            assert_eq!(Project::load(path, me + 1).is_ok(), me == 0);
        }
        // Only root can give files away.
        if std::os::unix::fs::chown(&path, Some(me + 1), None).is_ok() {
            for path in [&path, &link] {
                let refused = Project::load(path, me).unwrap_err();
                assert!(
                    refused.exit as u8 == 2 && refused.what.ends_with("belongs to somebody else"),
                    "{refused}"
                );
            }
            std::os::unix::fs::lchown(&link, Some(me + 2), None).unwrap();
            assert!(Project::load(&path, me + 1).is_ok() && Project::load(&link, me + 1).is_err());
        }
    }

    /// `NAME`, `NAME=ALIAS`, and nothing half.
    #[test]
    fn arguments() {
        let wanted = |argument| Wanted::from_argument(argument).map(|wanted| (wanted.name, wanted.alias));
        assert_eq!(wanted("stripe key").unwrap(), ("stripe key".to_owned(), None));
        assert_eq!(wanted("a=b=C").unwrap(), ("a=b".to_owned(), Some("C".to_owned())));
        for wrong in ["", "=A", "a=", "a=1b", "a=HTTP_PROXY"] {
            assert_eq!(wanted(wrong).unwrap_err().exit as u8, 2, "{wrong}");
        }
    }
}
