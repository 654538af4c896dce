//! `secrets import`: many secrets from one file, each byte as it is. What is shown of it before is names.

mod check;
mod dotenv;
mod structured;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use tacit_api::{CreateSecret, FieldMap, ImportReport, Kind, Manifest, PutValue, Secret, SecretQuery};
use tacit_client::every_page;

use crate::{
    error::{Exit, Failure, Outcome},
    input,
    output::{Output, talk, warn},
    session::Session,
};

/// Import secrets into --env from a dotenv, JSON or YAML file; or a workspace's configuration, as `secrets export` prints it.
///
/// Names that are there already are rotated. Nothing in a value is expanded or trimmed. What is wrong with a file is found
/// before anything is written, also by --dry-run.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit secrets import .env --dry-run\n  tacit secrets import secrets.yaml --env live --folder payments\n  tacit secrets import staging.json --workspace production"
)]
pub(crate) struct Import {
    /// The file; standard input for `-`.
    file: PathBuf,
    /// How it is written; by its name unless said.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only show what would be done: names, never values.
    #[arg(long)]
    dry_run: bool,
    /// Leave those alone that are there already.
    #[arg(long)]
    new_only: bool,
    /// Leave out what has an empty value, and say so: a secret is never empty.
    #[arg(long)]
    skip_empty: bool,
    /// Make new secrets masked: who holds the right may look at them.
    #[arg(long)]
    masked: bool,
    /// Where to file new secrets.
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask. Needed without a terminal to write in a protected environment.
    #[arg(long, short)]
    yes: bool,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// NAME=value, one per line; quotes may span lines.
    Dotenv,
    /// An object of texts.
    Json,
    /// A mapping of texts.
    Yaml,
}

/// One secret of a file. No `Debug`: it holds a value.
struct Entry {
    name: String,
    /// The type, if the file says it.
    kind: Option<&'static Kind>,
    fields: Map<String, Value>,
    /// Whether the one field is the main one, whatever the type of the secret that is there.
    is_plain: bool,
}

/// What a file holds.
enum Content {
    Values(Vec<Entry>),
    Configuration(Box<Manifest>),
}

impl Import {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let format = match self.format {
            Some(format) => format,
            None => by_name(&self.file)?,
        };
        let text = input::file(&self.file)?;
        match parse(format, &text)? {
            Content::Values(entries) => self.import_values(session, entries).await,
            Content::Configuration(manifest) => {
                let report = session.workspace().import(&manifest, self.dry_run).await?;
                show(session, &report)
            }
        }
    }

    async fn import_values(&self, session: &Session, mut entries: Vec<Entry>) -> Outcome {
        let workspace = session.workspace();
        let environment = session.acting_environment().await?;
        let query = SecretQuery { limit: Some(500), ..SecretQuery::default() };
        let known: HashMap<String, Secret> =
            every_page(async |cursor| workspace.secrets(&SecretQuery { cursor, ..query.clone() }).await)
                .await?
                .into_iter()
                .map(|secret| (secret.name.to_lowercase(), secret))
                .collect();
        if self.new_only {
            entries.retain(|entry| !known.contains_key(&entry.name.to_lowercase()));
        }
        self.leave_out_empty(&mut entries)?;
        let mut steps = Vec::with_capacity(entries.len());
        for entry in entries {
            let existing = known.get(&entry.name.to_lowercase());
            let kind = kind_for(&entry, existing)?;
            let name = existing.map_or(&entry.name, |secret| &secret.name).clone();
            let fields = fields_for(entry, kind, existing, environment)?;
            check::check(&name, kind, &fields)?;
            steps.push(Step { name, kind, fields, existing });
        }
        // What the server would refuse, it says before the first of them is written.
        for step in &steps {
            self.send(session, step, environment, true)
                .await
                .map_err(|failure| named(&step.name, failure))?;
        }
        let plan: Vec<Value> = steps.iter().map(|step| step.planned(environment)).collect();
        if self.dry_run {
            return list(session.out, plan);
        }
        if !self.yes {
            let question = format!("Write {} in {environment}?", count(steps.len()));
            if session.is_protected(environment).await? {
                input::confirm(&question)?;
            } else {
                input::confirm_if_asked(&question)?;
            }
        }
        let mut done = 0;
        for step in steps {
            match self.send(session, &step, environment, false).await {
                Ok(warnings) => warn(&warnings),
                Err(failure) => {
                    let (all, name) = (plan.len(), &step.name);
                    talk(&format!("{done} of {all} are written; {name} is the first that is not"));
                    return Err(named(name, failure));
                }
            }
            done += 1;
        }
        if session.out == Output::Json {
            return list(session.out, plan);
        }
        let are = if done == 1 { "is" } else { "are" };
        talk(&format!("{} {are} written in {environment}", count(done)));
        Ok(())
    }

    /// Takes out what is empty if that was said, else refuses all of it at once.
    fn leave_out_empty(&self, entries: &mut Vec<Entry>) -> Outcome {
        let is_empty = |entry: &Entry| entry.is_plain && entry.fields.values().all(|value| value == "");
        let names: Vec<&str> =
            entries.iter().filter(|entry| is_empty(entry)).map(|entry| entry.name.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let names = names.join(", ");
        if !self.skip_empty {
            return Err(Failure::usage(
                format!("without a value: {names}"),
                "give them values, or leave them out with --skip-empty; nothing was written",
            ));
        }
        talk(&format!("left out, without a value: {names}"));
        entries.retain(|entry| !is_empty(entry));
        Ok(())
    }

    /// Writes one secret, or has the server say whether it could be; returns what to know about it.
    async fn send(
        &self,
        session: &Session,
        step: &Step<'_>,
        environment: &str,
        dry_run: bool,
    ) -> Outcome<Vec<String>> {
        let workspace = session.workspace();
        let fields = FieldMap(step.fields.clone());
        if step.existing.is_some() {
            let value = PutValue { fields, reason: self.reason.clone() };
            let new = if dry_run {
                workspace.check_value(&step.name, environment, &value).await?
            } else {
                workspace.set_value(&step.name, environment, &value).await?
            };
            return Ok(new.warnings);
        }
        let new = CreateSecret {
            kind: step.kind.name.to_owned(),
            visibility: if self.masked { "masked" } else { "restricted" }.to_owned(),
            folder: self.folder.clone(),
            values: BTreeMap::from([(environment.to_owned(), fields)]),
            reason: self.reason.clone(),
            ..CreateSecret::new(&step.name)
        };
        let made =
            if dry_run { workspace.check_secret(&new).await? } else { workspace.create_secret(&new).await? };
        Ok(made.warnings)
    }
}

/// A failure that says which of many secrets it is about.
fn named(name: &str, failure: Failure) -> Failure {
    Failure { what: format!("{name}: {}", failure.what), ..failure }
}

fn count(secrets: usize) -> String {
    if secrets == 1 { "1 secret".to_owned() } else { format!("{secrets} secrets") }
}

/// One secret that is written. No `Debug`: it holds a value.
struct Step<'a> {
    name: String,
    kind: &'static Kind,
    fields: Map<String, Value>,
    existing: Option<&'a Secret>,
}

impl Step<'_> {
    /// The step as it is shown: a name, and what is done with it.
    fn planned(&self, environment: &str) -> Value {
        let action = match self.existing {
            None => "create",
            Some(secret) if secret.environments.contains_key(environment) => "rotate",
            Some(_) => "set",
        };
        json!({"name": self.name, "type": self.kind.name, "action": action, "environment": environment})
    }
}

/// The type of the secret that is there, or of the one that is made.
fn kind_for(entry: &Entry, existing: Option<&Secret>) -> Outcome<&'static Kind> {
    let name = existing.map_or(entry.kind.map_or("text", |kind| kind.name), |secret| &secret.kind);
    let kind = Kind::named(name).ok_or_else(|| {
        let what = format!("{} is of type {name}, which this version does not know", entry.name);
        Failure::usage(what, "use the version of the server")
    })?;
    match entry.kind {
        Some(wanted) if wanted.name != kind.name => Err(Failure::usage(
            format!("{} is of type {}, and in the file of type {}", entry.name, kind.name, wanted.name),
            "the type of a secret is fixed: use another name; nothing was written",
        )),
        _ => Ok(kind),
    }
}

/// The fields of a value: a plain text becomes the main field of a secret that is there, and what is shown of it stays.
fn fields_for(
    entry: Entry,
    kind: &Kind,
    existing: Option<&Secret>,
    environment: &str,
) -> Outcome<Map<String, Value>> {
    if !entry.is_plain || kind.name == "text" {
        return Ok(entry.fields);
    }
    let kept = existing.and_then(|secret| secret.environments.get(environment));
    let mut fields = kept.map(|value| value.fields.clone()).unwrap_or_default();
    for (_, value) in entry.fields {
        let value = match &value {
            Value::String(text) if kind.name == "json" => {
                input::exact_json(text, &format!("the value of {}", entry.name))?
            }
            _ => value,
        };
        fields.insert(kind.main_field.to_owned(), value);
    }
    Ok(fields)
}

fn list(out: Output, plan: Vec<Value>) -> Outcome {
    out.list(plan, &["NAME", "TYPE", "ACTION", "ENV"], |row| {
        ["name", "type", "action", "environment"]
            .map(|field| row[field].as_str().unwrap_or_default().to_owned())
            .to_vec()
    })
}

pub(crate) fn show(session: &Session, report: &ImportReport) -> Outcome {
    if session.out == Output::Json {
        return session.out.json(report);
    }
    let all =
        [("secret", &report.secrets), ("variable", &report.variables), ("automation", &report.automations)];
    let rows: Vec<Vec<String>> = all
        .iter()
        .flat_map(|(what, items)| {
            items.iter().map(|item| {
                let missing = item.missing_in.iter().map(|environment| format!("value in {environment}"));
                let missing: Vec<String> = missing.chain(item.missing.iter().cloned()).collect();
                vec![
                    (*what).to_owned(),
                    item.name.clone(),
                    item.result.as_str().to_owned(),
                    missing.join(", "),
                ]
            })
        })
        .collect();
    for environment in &report.unknown_environments {
        talk(&format!("this workspace has no environment {environment}"));
    }
    session.out.list(rows, &["WHAT", "NAME", "RESULT", "MISSING"], Clone::clone)
}

fn by_name(file: &Path) -> Outcome<Format> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "json" => Ok(Format::Json),
        "yaml" | "yml" => Ok(Format::Yaml),
        "env" => Ok(Format::Dotenv),
        _ if name == ".env" || name.starts_with(".env.") => Ok(Format::Dotenv),
        _ => Err(Failure::usage(
            "the file's name does not say how it is written",
            "say it: --format dotenv, json or yaml",
        )),
    }
}

fn parse(format: Format, text: &str) -> Outcome<Content> {
    let wrong = |line: usize, what: &str| Failure {
        exit: Exit::Usage,
        ..Failure::new(format!("line {line} {what}"), "correct the file and try again; nothing was written")
    };
    let pairs = match format {
        Format::Dotenv => {
            let pairs = dotenv::parse(text).map_err(|error| wrong(error.line, error.what))?;
            pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
        }
        Format::Json => structured::json(text).map_err(|error| wrong(error.line, error.what))?,
        Format::Yaml => structured::yaml(text).map_err(|error| wrong(error.line, error.what))?,
    };
    if let Some(manifest) = as_manifest(&pairs)? {
        return Ok(Content::Configuration(Box::new(manifest)));
    }
    let mut entries = Vec::with_capacity(pairs.len());
    let mut seen = std::collections::HashSet::new();
    for (name, value) in pairs {
        if !seen.insert(name.to_lowercase()) {
            return Err(Failure::usage(
                format!("{name} is in the file twice"),
                "keep the one that counts; nothing was written",
            ));
        }
        entries.push(entry(name, value)?);
    }
    Ok(Content::Values(entries))
}

/// A document as `secrets export` prints it has these two, and no file of values has a list in it.
fn as_manifest(pairs: &[(String, Value)]) -> Outcome<Option<Manifest>> {
    let find = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    if !matches!((find("version"), find("secrets")), (Some(Value::Number(_)), Some(Value::Array(_)))) {
        return Ok(None);
    }
    let whole: Map<String, Value> = pairs.iter().cloned().collect();
    serde_json::from_value(Value::Object(whole)).map(Some).map_err(|_| {
        Failure::usage(
            "the file looks like a configuration, and is not one as `secrets export` prints it",
            "export it again",
        )
    })
}

fn entry(name: String, value: Value) -> Outcome<Entry> {
    let typed =
        |kind: &'static Kind, fields| Entry { name: name.clone(), kind: Some(kind), fields, is_plain: false };
    match value {
        Value::String(text) => {
            let fields = Map::from_iter([("value".to_owned(), Value::String(text))]);
            Ok(Entry { name, kind: None, fields, is_plain: true })
        }
        Value::Object(mut fields) => {
            let kind = fields.get("type").and_then(Value::as_str).and_then(Kind::named);
            if let Some(kind) = kind {
                fields.remove("type");
                return Ok(typed(kind, fields));
            }
            json_entry(&name, Value::Object(fields), &typed)
        }
        list @ Value::Array(_) => json_entry(&name, list, &typed),
        Value::Null | Value::Bool(_) | Value::Number(_) => Err(Failure::usage(
            format!("the value of {name} is not a text"),
            "put it in quotes, so that it is taken as it is written; nothing was written",
        )),
    }
}

fn json_entry(
    name: &str,
    content: Value,
    typed: &impl Fn(&'static Kind, Map<String, Value>) -> Entry,
) -> Outcome<Entry> {
    match Kind::named("json") {
        Some(kind) => Ok(typed(kind, Map::from_iter([("content".to_owned(), content)]))),
        None => Err(Failure::usage(format!("the value of {name} is not a text"), "put it in quotes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(format: Format, text: &str) -> Outcome<Vec<(String, String, Value)>> {
        match parse(format, text)? {
            Content::Values(entries) => Ok(entries
                .into_iter()
                .map(|entry| {
                    let kind = entry.kind.map_or("-", |kind| kind.name).to_owned();
                    (entry.name, kind, Value::Object(entry.fields))
                })
                .collect()),
            Content::Configuration(_) => panic!("a configuration"),
        }
    }

    /// Texts are texts, objects are typed or JSON, and what YAML would turn into something else is refused.
    #[test]
    fn what_values_become() {
        let json = r#"{"A": "1", "B": {"type": "basic_auth", "username": "u", "password": "p"}, "C": {"k": [1]}, "D": []}"#;
        let found = entries(Format::Json, json).unwrap();
        assert_eq!(found[0], ("A".into(), "-".into(), json!({"value": "1"})));
        assert_eq!(found[1], ("B".into(), "basic_auth".into(), json!({"username": "u", "password": "p"})));
        assert_eq!(found[2], ("C".into(), "json".into(), json!({"content": {"k": [1]}})));
        assert_eq!(found[3], ("D".into(), "json".into(), json!({"content": []})));
        for text in ["PIN: 0123", "ON: yes", "ON: true", "N: null", "E: 1e3", "D: 2024"] {
            let result = entries(Format::Yaml, text);
            if let Ok(found) = &result {
                // Kept as it is written, which is as good.
                let written = text.split(": ").nth(1).unwrap();
                assert_eq!(found[0].2, json!({"value": written}), "{text}");
            }
        }
        assert!(entries(Format::Json, r#"{"A": 1}"#).is_err());
    }

    /// A name that is there twice is a mistake, whatever its case.
    #[test]
    fn twice_is_once_too_often() {
        assert!(entries(Format::Dotenv, "A=1\na=2").is_err());
        assert!(entries(Format::Json, r#"{"A": "1", "A": "2"}"#).is_err());
    }

    /// No error repeats anything of a value.
    #[test]
    fn errors_hold_no_value() {
        for (format, text) in [
            (Format::Dotenv, "A=\"hunter2"),
            (Format::Dotenv, "A='x' hunter2"),
            (Format::Dotenv, "hunter2"),
            (Format::Json, r#"{"A": hunter2}"#),
            (Format::Json, r#"["hunter2"]"#),
            (Format::Yaml, "A: [hunter2"),
            (Format::Yaml, "- hunter2"),
            (Format::Yaml, "A: 'hunter2"),
        ] {
            let failure = entries(format, text).err().unwrap();
            assert!(!format!("{failure:?}").contains("hunter2"), "{text}: {failure:?}");
        }
    }

    /// A configuration is told from values.
    #[test]
    fn configurations() {
        let text = r#"{"version": 1, "secrets": [{"name": "A"}]}"#;
        assert!(
            matches!(parse(Format::Json, text), Ok(Content::Configuration(manifest)) if manifest.secrets.len() == 1)
        );
        assert!(parse(Format::Json, r#"{"version": 1, "secrets": [{"nom": "A"}]}"#).is_err());
        assert!(matches!(parse(Format::Json, r#"{"version": "1", "secrets": "x"}"#), Ok(Content::Values(_))));
    }
}
