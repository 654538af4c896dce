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
    /// Where it may go: a host, host:port or URL with a path such as https://api.stripe.com/v1/**.
    #[arg(long, value_name = "DESTINATION")]
    to: Vec<String>,
    /// Where in the request: auth (unless said), header:NAME, query:NAME, path, json:/pointer or form:FIELD.
    #[arg(long, value_name = "PLACE", requires = "to")]
    place: Vec<String>,
    /// With which methods; any unless said.
    #[arg(long, value_name = "METHOD", requires = "to")]
    method: Vec<String>,
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
    /// The destinations that were named; `None` if none was.
    pub(super) fn destinations(&self) -> Outcome<Option<Vec<Destination>>> {
        if self.to.is_empty() {
            return Ok(None);
        }
        let parse = |text: &String| {
            let parsed = destination::parse(text)
                .map_err(|error| Failure::usage("--to is not a destination", error))?;
            let places = (!self.place.is_empty()).then(|| self.place.clone());
            let methods = self.method.iter().map(|method| method.to_ascii_uppercase()).collect();
            Ok(Destination { places, methods, ..parsed })
        };
        self.to.iter().map(parse).collect::<Outcome<Vec<_>>>().map(Some)
    }
}

impl Policy {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let Some(mut destinations) = self.destinations()? else {
            if self.add {
                return Err(Failure::usage("--add says nothing to add", "say it with --to or --json"));
            }
            let secret = session.workspace().secret(&self.name).await?;
            return show(&self.name, secret.destinations, session.out);
        };
        let before = session.workspace().secret(&self.name).await?.destinations;
        let mut replaced = Vec::new();
        if self.add {
            destinations.splice(0..0, before);
        } else {
            replaced = before;
            replaced.retain(|old| !destinations.contains(old));
        }
        let change = UpdateSecret { destinations: Some(destinations), ..UpdateSecret::default() };
        let secret = session.workspace().update_secret(&self.name, &change).await.map_err(|error| {
            let needs_values = matches!(&error, tacit_client::Error::Problem(problem)
                if problem.suggestion.is_none() && problem.errors.iter().any(|issue| issue.field.starts_with("values")));
            let failure = Failure::from(error);
            if needs_values { failure.hint(format!("give it a new value at the same time: tacit secrets set {} --to …", self.name)) } else { failure }
        })?;
        warn(&secret.warnings);
        if !replaced.is_empty() {
            let replaced: Vec<_> = replaced.iter().map(destination::shown).collect();
            talk(&format!("{} is replaced; --add keeps what is there", replaced.join(", ")));
        }
        show(&self.name, secret.destinations, session.out)
    }

    fn destinations(&self) -> Outcome<Option<Vec<Destination>>> {
        if self.none {
            return Ok(Some(Vec::new()));
        }
        match &self.json {
            Some(path) => parse_json(&input::file(path)?, &path.display().to_string()).map(Some),
            None => self.aim.destinations(),
        }
    }
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
        };
        let all = aim.destinations().unwrap().unwrap();
        assert!(
            all.len() == 2
                && all
                    .iter()
                    .all(|to| to.methods == ["GET"]
                        && to.places.as_deref() == Some(&["header:X-Key".to_owned()]))
        );
        assert_eq!(sentence(&all[0]), "GET a.test in header:X-Key");
        assert!(
            Aim { to: Vec::new(), place: Vec::new(), method: Vec::new() }.destinations().unwrap().is_none()
        );
    }
}
