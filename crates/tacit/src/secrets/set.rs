//! `secrets set`: one verb for the first value and for every later one. The value comes from a hidden prompt or from
//! standard input.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value, json};
use tacit_api::{
    CreateSecret, Destination, FieldMap, KINDS, Kind, PutValue, Secret, SecretState, UpdateSecret,
};

use super::{
    policy::{Aim, replaced, sentence},
    value_in_argument,
};
use crate::{
    error::{Failure, Outcome},
    input,
    output::{talk, warn},
    session::Session,
};

/// Set a secret's value in --env: makes the secret, or rotates it. Reads the value from a prompt or standard input.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit secrets set STRIPE_KEY --to api.stripe.com\n  tacit secrets set DB_LOGIN --type basic_auth --field username=app --to https://db.example.com < password.txt\n  tacit secrets set STRIPE_KEY --env live"
)]
pub(crate) struct Set {
    /// Its name.
    name: String,
    /// A value is not given as an argument.
    #[arg(hide = true)]
    stray: Vec<String>,
    /// A value is not given as an argument.
    #[arg(long, hide = true)]
    value: Option<String>,
    #[command(flatten)]
    aim: Aim,
    /// With --to: beside where it may go already, not instead.
    #[arg(long, requires = "to")]
    add: bool,
    /// The type of a new secret: text unless said.
    #[arg(long = "type", value_name = "TYPE", value_parser = KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>())]
    kind: Option<String>,
    /// A field that is not hidden, such as username=app or header=X-Api-Key.
    #[arg(long, value_name = "NAME=VALUE")]
    field: Vec<String>,
    /// Make a new secret masked: who holds the right may look at it. Otherwise nobody ever may.
    #[arg(long)]
    masked: bool,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where to file it.
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// After how many days to remind of a rotation.
    #[arg(long, value_name = "DAYS")]
    rotate_every_days: Option<i64>,
    /// When the credential ends, RFC 3339.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// A file to read a field from, such as passphrase=FILE, without one line break at its end.
    #[arg(long, value_name = "NAME=FILE")]
    field_file: Vec<String>,
    /// Why, for the record. Never the value.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What came of it.
struct Done {
    version: i64,
    created: bool,
    warnings: Vec<String>,
}

impl Set {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        self.refuse_values()?;
        // Everything that can be wrong on the command line is found before anyone is asked for a value.
        let given = input::pairs(&self.field, "--field")?;
        let existing = match session.workspace().secret(&self.name).await {
            Ok(secret) => Some(secret),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let kind = self.kind(existing.as_ref())?;
        let mut destinations = self.aim.destinations(kind.name)?;
        if let Some(existing) = &existing {
            self.refuse_immutable(existing)?;
            self.introduce(existing, destinations.is_some());
        }
        let before = existing.as_ref().map(|secret| secret.destinations.clone()).unwrap_or_default();
        let replaced = destinations.as_mut().and_then(|destinations| {
            if self.add {
                destinations.splice(0..0, before.clone());
            }
            replaced(&before, destinations)
        });
        session.acting_environment().await?;
        let kept = existing
            .as_ref()
            .and_then(|secret| secret.environments.get(&session.environment))
            .map(|value| &value.fields);
        let is_first = kept.is_none();
        let mut fields = shown_fields(kind, given, kept, &self.name)?;
        let what = format!("{} of {} in {}", kind.main_field, self.name, session.environment);
        let value = input::hidden(&what)?;
        self.refuse_lines(kind, &value)?;
        let value =
            if kind.name == "json" { input::exact_json(&value, "the value")? } else { Value::String(value) };
        fields.insert(kind.main_field.to_owned(), value);
        for (name, path) in input::pairs(&self.field_file, "--field-file")? {
            let path = path.as_str().unwrap_or_default().to_owned();
            let text = input::file(path.as_ref())?;
            fields.insert(name, input::without_line_break(&text).into());
        }

        let was_proposed = existing.as_ref().is_some_and(|secret| secret.state == SecretState::Proposed);
        let done = match existing {
            None => self.create(session, kind, destinations, FieldMap(fields)).await?,
            Some(_) => self.rotate(session, destinations, FieldMap(fields)).await?,
        };
        warn(&done.warnings);
        if let Some(replaced) = replaced {
            talk(&replaced);
        }
        let answer = json!({
            "name": self.name,
            "environment": session.environment,
            "version": done.version,
            "created": done.created,
            "warnings": done.warnings,
        });
        let verb = match (done.created, was_proposed, is_first) {
            (true, ..) => "created",
            (false, true, _) => "filled",
            (false, false, true) => "set",
            (false, false, false) => "rotated",
        };
        session.out.done(
            &answer,
            &format!("{} is {verb}: version {} in {}", self.name, done.version, session.environment),
        )
    }

    /// What somebody should see before they fill a slot that another one, perhaps an agent, proposed: who it was, and where
    /// that one would have the value go. Only what --to says is taken.
    fn introduce(&self, existing: &Secret, is_aimed: bool) {
        if existing.state != SecretState::Proposed {
            return;
        }
        talk(&format!("{} was proposed by {} at {}", self.name, existing.created_by, existing.created_at));
        if !existing.description.is_empty() {
            talk(&format!("  for: {}", existing.description));
        }
        for suggested in &existing.suggested_destinations {
            talk(&format!("  suggested, not in force: {}", sentence(suggested)));
        }
        if !is_aimed && existing.destinations.is_empty() {
            talk("  it will have no destination; say with --to where it may go, if you agree");
        }
    }

    /// Arguments are visible to everyone on the machine and end in the shell's history.
    fn refuse_values(&self) -> Outcome {
        if self.name.contains('=') {
            // NAME=VALUE. The name would go to the server and on the record, with the value in it.
            return Err(value_in_argument("NAME"));
        }
        if !self.stray.is_empty() || self.value.is_some() {
            return Err(value_in_argument(&self.name));
        }
        Ok(())
    }

    /// Of most types a value is one line, and what is pasted with others was more than the value.
    fn refuse_lines(&self, kind: &Kind, value: &str) -> Outcome {
        if !value.contains('\n') || ["text", "json", "sftp_private_key"].contains(&kind.name) {
            return Ok(());
        }
        let name = &self.name;
        Err(Failure::usage(
            format!(
                "the {} of {name} is one line, and several were given; nothing was written",
                kind.main_field
            ),
            format!(
                "paste that line alone, or hand in a file that holds it: `tacit secrets set {name} < FILE`"
            ),
        ))
    }

    fn refuse_immutable(&self, existing: &Secret) -> Outcome {
        let fixed = |what: &str, is: &str| {
            Failure::new(
                format!("{} is {is}, and the {what} of a secret is fixed", self.name),
                format!("leave the flag out to rotate it, or make another secret with the {what} you want"),
            )
        };
        if self.kind.as_ref().is_some_and(|kind| *kind != existing.kind) {
            return Err(fixed("type", &format!("of type {}", existing.kind)));
        }
        if self.masked && existing.visibility != "masked" {
            return Err(fixed("visibility", &existing.visibility));
        }
        Ok(())
    }

    fn kind(&self, existing: Option<&Secret>) -> Outcome<&'static Kind> {
        let name = existing.map(|secret| secret.kind.as_str()).or(self.kind.as_deref()).unwrap_or("text");
        Kind::named(name).ok_or_else(|| {
            Failure::new(
                format!("{} is of type {name}, which this version does not know", self.name),
                "use the version of the server",
            )
        })
    }

    async fn create(
        &self,
        session: &Session,
        kind: &Kind,
        destinations: Option<Vec<Destination>>,
        fields: FieldMap,
    ) -> Outcome<Done> {
        let new = CreateSecret {
            kind: kind.name.to_owned(),
            visibility: if self.masked { "masked" } else { "restricted" }.to_owned(),
            description: self.description.clone(),
            folder: self.folder.clone(),
            destinations: destinations.unwrap_or_default(),
            values: BTreeMap::from([(session.environment.clone(), fields)]),
            rotate_every_days: self.rotate_every_days,
            expires_at: self.expires_at.clone(),
            reason: self.reason.clone(),
            ..CreateSecret::new(&self.name)
        };
        let secret = session.workspace().create_secret(&new).await?;
        Ok(Done { version: version_in(&secret, session), created: true, warnings: secret.warnings })
    }

    async fn rotate(
        &self,
        session: &Session,
        destinations: Option<Vec<Destination>>,
        fields: FieldMap,
    ) -> Outcome<Done> {
        let describes = self.description.is_some()
            || self.folder.is_some()
            || self.rotate_every_days.is_some()
            || self.expires_at.is_some();
        if destinations.is_none() && !describes {
            let value = PutValue { fields, reason: self.reason.clone() };
            let new = session.workspace().set_value(&self.name, &session.environment, &value).await?;
            return Ok(Done { version: new.version, created: false, warnings: new.warnings });
        }
        // One request, so that both happen or neither; and a restricted secret is aimed wider only with new values.
        let change = UpdateSecret {
            destinations,
            values: Some(BTreeMap::from([(session.environment.clone(), fields)])),
            description: self.description.clone().map(Some),
            folder: self.folder.clone().map(Some),
            rotate_every_days: self.rotate_every_days.map(Some),
            expires_at: self.expires_at.clone().map(Some),
            reason: self.reason.clone(),
            ..UpdateSecret::default()
        };
        let secret = session.workspace().update_secret(&self.name, &change).await?;
        Ok(Done { version: version_in(&secret, session), created: false, warnings: secret.warnings })
    }
}

fn version_in(secret: &Secret, session: &Session) -> i64 {
    secret.environments.get(&session.environment).map_or(1, |value| value.version)
}

/// The fields that are not hidden: those that were given, else those that were there before.
fn shown_fields(
    kind: &Kind,
    given: Map<String, Value>,
    kept: Option<&Map<String, Value>>,
    name: &str,
) -> Outcome<Map<String, Value>> {
    for field in given.keys() {
        match kind.field(field) {
            Some(field) if field.hidden => return Err(value_in_argument(name)),
            Some(_) => {}
            None => {
                let shown: Vec<_> =
                    kind.fields.iter().filter(|field| !field.hidden).map(|field| field.name).collect();
                let hint = if shown.is_empty() {
                    "it has none that --field could set".to_owned()
                } else {
                    format!("it has {}", shown.join(", "))
                };
                return Err(Failure::usage(
                    format!("type {} has no such field as --field names", kind.name),
                    hint,
                ));
            }
        }
    }
    let mut fields = kept.cloned().unwrap_or_default();
    fields.extend(given);
    match kind
        .fields
        .iter()
        .find(|field| !field.hidden && !field.optional && !fields.contains_key(field.name))
    {
        None => Ok(fields),
        Some(missing) => Err(Failure::usage(
            format!("a secret of type {} has a field {}, which is not given", kind.name, missing.name),
            format!("add --field {}=…", missing.name),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Map<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
    }

    /// A hidden field is refused as an argument, without repeating it.
    #[test]
    fn hidden_fields_are_refused() {
        let basic = Kind::named("basic_auth").unwrap();
        let failure =
            shown_fields(basic, given(&[("username", "u"), ("password", "hunter2")]), None, "K").unwrap_err();
        assert_eq!(failure.exit as u8, 2);
        assert!(!format!("{failure:?}").contains("hunter2"));
        // A field that is not there may be a value on the wrong side of the sign.
        let failure = shown_fields(basic, given(&[("hunter2", "u")]), None, "K").unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2"));
    }

    /// What is shown stays over a rotation unless it is given anew, and must be there at first.
    #[test]
    fn shown_fields_stay() {
        let basic = Kind::named("basic_auth").unwrap();
        assert!(shown_fields(basic, given(&[]), None, "K").unwrap_err().hint.contains("--field username="));
        let kept = given(&[("username", "old")]);
        assert_eq!(shown_fields(basic, given(&[]), Some(&kept), "K").unwrap(), kept);
        assert_eq!(
            shown_fields(basic, given(&[("username", "new")]), Some(&kept), "K").unwrap(),
            given(&[("username", "new")])
        );
        assert!(shown_fields(Kind::named("text").unwrap(), given(&[]), None, "K").unwrap().is_empty());
    }
}
