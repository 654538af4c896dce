//! `secrets policy`: where a secret may go.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tacit_api::{Destination, UpdateSecret};

use crate::{
    destination,
    error::{Failure, Outcome},
    input,
    output::{Output, talk, warn},
    session::Session,
};

/// Where a secret may go.
#[derive(Args)]
pub(crate) struct Aim {
    /// Where it may go: a host, host:port or URL with a path such as https://api.stripe.com/v1/**; an SFTP server as
    /// sftp://files.bank.example.
    #[arg(long, value_name = "DESTINATION")]
    to: Vec<String>,
    /// Where in the request: auth (unless said), header:NAME, query:NAME, path, json:/pointer, form:FIELD; of an access_key
    /// always signature, which storage services check.
    #[arg(long, value_name = "PLACE", requires = "to")]
    place: Vec<String>,
    /// With which methods (for SFTP: PUT, GET, LIST, RENAME, DELETE); any unless said.
    #[arg(long, value_name = "METHOD", requires = "to")]
    method: Vec<String>,
    /// The fingerprint of the SFTP server's key, SHA256:…, as `ssh-keygen -lf` shows it.
    #[arg(long, value_name = "FINGERPRINT", requires = "to")]
    host_key: Option<String>,
}

/// Show where a secret may go, or say it: --to and --json replace all of it, unless --add is there.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit secrets policy STRIPE_KEY\n  tacit secrets policy STRIPE_KEY --to https://api.stripe.com/v1/** --method GET\n  tacit secrets policy STRIPE_KEY --add --to https://files.stripe.com\n  tacit secrets policy STRIPE_KEY --json destinations.json"
)]
pub(crate) struct Policy {
    /// The secret's name.
    name: String,
    #[command(flatten)]
    aim: Aim,
    /// Destinations as JSON; standard input for `-`.
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    json: Option<PathBuf>,
    /// Keep what is there and add to it.
    #[arg(long, conflicts_with = "none")]
    add: bool,
    /// Nowhere.
    #[arg(long, conflicts_with_all = ["to", "json"])]
    none: bool,
}

impl Aim {
    /// The destinations that were named, of a secret of a type; `None` if none was.
    pub(super) fn destinations(&self, kind: &str) -> Outcome<Option<Vec<Destination>>> {
        if self.to.is_empty() {
            return Ok(None);
        }
        let parse = |text: &String| {
            let parsed = destination::parse(text)
                .map_err(|error| Failure::usage("--to is not a destination", error))?;
            let places = match self.place.as_slice() {
                // What is sent of it is a signature; in the usual place it could never be used.
                [] if kind == "access_key" => Some(vec!["signature".to_owned()]),
                [] => None,
                places => Some(places.to_vec()),
            };
            let methods = self.method.iter().map(|method| method.to_ascii_uppercase()).collect();
            let is_sftp = parsed.scheme.as_deref() == Some("sftp");
            let host_key = if is_sftp { self.host_key.clone() } else { None };
            if is_sftp && host_key.is_none() {
                return Err(Failure::usage(
                    "--to names an SFTP server, and --host-key is missing",
                    "ask whoever runs the server for the fingerprint of its key: ssh-keygen -lf shows it",
                ));
            }
            Ok(Destination { places, methods, host_key, ..parsed })
        };
        self.to.iter().map(parse).collect::<Outcome<Vec<_>>>().map(Some)
    }
}

impl Policy {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let secret = session.workspace().secret(&self.name).await?;
        let before = secret.destinations;
        let Some(mut destinations) = self.destinations(&secret.kind)? else {
            if self.add {
                return Err(Failure::usage("--add says nothing to add", "say it with --to or --json"));
            }
            return show(&self.name, before, session.out);
        };
        if self.add {
            destinations.splice(0..0, before.clone());
        }
        let replaced = replaced(&before, &destinations);
        let change = UpdateSecret { destinations: Some(destinations), ..UpdateSecret::default() };
        let secret = session.workspace().update_secret(&self.name, &change).await.map_err(|error| {
            let needs_values = matches!(&error, tacit_client::Error::Problem(problem)
                if problem.suggestion.is_none() && problem.errors.iter().any(|issue| issue.field.starts_with("values")));
            let failure = Failure::from(error);
            if !needs_values {
                return failure;
            }
            let add = if self.add { " --add" } else { "" };
            failure.hint(format!("give it a new value at the same time: tacit secrets set {} --to …{add}", self.name))
        })?;
        warn(&secret.warnings);
        if let Some(replaced) = replaced {
            talk(&replaced);
        }
        show(&self.name, secret.destinations, session.out)
    }

    fn destinations(&self, kind: &str) -> Outcome<Option<Vec<Destination>>> {
        if self.none {
            return Ok(Some(Vec::new()));
        }
        match &self.json {
            Some(path) => parse_json(&input::file(path)?, &input::name_of(path)).map(Some),
            None => self.aim.destinations(kind),
        }
    }
}

/// Says what was there and is no more.
pub(super) fn replaced(before: &[Destination], now: &[Destination]) -> Option<String> {
    let gone: Vec<_> = before.iter().filter(|old| !now.contains(old)).map(destination::shown).collect();
    (!gone.is_empty()).then(|| format!("{} is replaced; --add keeps what is there", gone.join(", ")))
}

/// An array of destinations, or an object that has one, as `--output json` prints it.
fn parse_json(text: &str, name: &str) -> Outcome<Vec<Destination>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Array(Vec<Destination>),
        Object { destinations: Vec<Destination> },
    }
    let value = input::json(text, name)?;
    match serde_json::from_value(value) {
        Ok(Written::Array(destinations) | Written::Object { destinations }) => Ok(destinations),
        Err(_) => Err(Failure::usage(
            format!("{name} does not hold destinations"),
            "write an array such as [{\"host\": \"api.stripe.com\", \"methods\": [\"GET\"]}]",
        )),
    }
}

fn show(name: &str, destinations: Vec<Destination>, out: Output) -> Outcome {
    if out == Output::Json {
        return out.json(&json!({"name": name, "destinations": destinations}));
    }
    if destinations.is_empty() {
        talk(&format!("{name} has no destination: only who may also reveal it can use it"));
        return Ok(());
    }
    out.list(
        destinations,
        &["TO", "METHODS", "PATHS", "PLACES", "ENVIRONMENTS", "RESPONSE", "EXCLUSIVE", "ECHOES"],
        |to| {
            let any = |list: &[String]| if list.is_empty() { "any".to_owned() } else { list.join(" ") };
            let yes = |flag: Option<bool>| if flag.unwrap_or(true) { "yes" } else { "no" }.to_owned();
            vec![
                destination::shown(to),
                any(&to.methods),
                any(&to.paths),
                to.places.as_deref().map_or_else(|| "auth".to_owned(), |places| places.join(" ")),
                any(&to.environments),
                to.response.clone().unwrap_or_else(|| "scrub".to_owned()),
                yes(to.exclusive),
                yes(to.echoes),
            ]
        },
    )
}

/// A destination in a line: `GET POST api.stripe.com /v1/** in auth, only in live`.
pub(super) fn sentence(to: &Destination) -> String {
    let mut parts = to.methods.clone();
    parts.push(destination::shown(to));
    parts.extend(to.paths.iter().cloned());
    let places = to.places.as_deref().map_or_else(|| "auth".to_owned(), |places| places.join(" "));
    parts.push(format!("in {places}"));
    if !to.environments.is_empty() {
        parts.push(format!("only in {}", to.environments.join(" ")));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both written forms are read, and what `--output json` prints can be handed back.
    #[test]
    fn policies_as_json() {
        for text in [r#"[{"host": "x.test"}]"#, r#"{"name": "K", "destinations": [{"host": "x.test"}]}"#] {
            assert_eq!(parse_json(text, "f").unwrap(), [Destination::host("x.test")]);
        }
        for text in ["{}", "[1]", "\"x.test\"", "not json"] {
            assert_eq!(parse_json(text, "f").unwrap_err().exit as u8, 2, "{text}");
        }
    }

    /// Places and methods hold for every `--to`.
    #[test]
    fn aims() {
        let aim = Aim {
            to: vec!["a.test".into(), "b.test".into()],
            place: vec!["header:X-Key".into()],
            method: vec!["get".into()],
            host_key: None,
        };
        let all = aim.destinations("access_key").unwrap().unwrap();
        assert!(
            all.len() == 2
                && all
                    .iter()
                    .all(|to| to.methods == ["GET"]
                        && to.places.as_deref() == Some(&["header:X-Key".to_owned()]))
        );
        assert_eq!(sentence(&all[0]), "GET a.test in header:X-Key");
        assert!(
            Aim { to: Vec::new(), place: Vec::new(), method: Vec::new(), host_key: None }
                .destinations("text")
                .unwrap()
                .is_none()
        );
        let places = |kind: &str| {
            let aim =
                Aim { to: vec!["a.test".into()], place: Vec::new(), method: Vec::new(), host_key: None };
            aim.destinations(kind).unwrap().unwrap().remove(0).places
        };
        assert_eq!((places("text"), places("access_key")), (None, Some(vec!["signature".to_owned()])));
    }

    /// An SFTP server is named with its key, and the key is for no other destination.
    #[test]
    fn sftp_servers() {
        let aim = |host_key: Option<&str>| Aim {
            to: vec!["sftp://files.test/in/**".to_owned(), "x.test".to_owned()],
            place: Vec::new(),
            method: Vec::new(),
            host_key: host_key.map(str::to_owned),
        };
        assert!(aim(None).destinations("sftp_password").is_err());
        let named = aim(Some("SHA256:x")).destinations("sftp_password").unwrap().unwrap();
        assert_eq!(named[0].host_key.as_deref(), Some("SHA256:x"));
        assert_eq!(named[1].host_key, None);
    }
}
