//! `secrets`: create, rotate, look after, delete. Nothing here shows a value but `reveal`.

mod compare;
mod edit;
pub(crate) mod import;
mod policy;
mod set;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tacit_api::{FieldMap, Kind, RevealRequest, Rollback, Secret, SecretQuery, SecretState, ValueState};
use tacit_client::every_page;

use crate::{
    destination,
    error::{Exit, Failure, Outcome},
    input,
    output::{DOTS, Output, data, talk, warn},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    List(List),
    /// Show a secret without its value.
    #[command(after_help = "Example:\n  tacit secrets show STRIPE_KEY")]
    Show {
        /// Its name.
        name: String,
    },
    Set(Box<set::Set>),
    Edit(edit::Edit),
    Reveal(Reveal),
    /// List the versions of the value in --env: those that are kept, and of the destroyed ones who wrote them and when.
    #[command(after_help = "Example:\n  tacit secrets versions STRIPE_KEY --env live")]
    Versions {
        /// Its name.
        name: String,
    },
    /// Make an earlier version of the value in --env current again.
    #[command(after_help = "Example:\n  tacit secrets rollback STRIPE_KEY 2 --env live")]
    Rollback {
        /// Its name.
        name: String,
        /// The version, as `secrets versions` lists it.
        version: i64,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Show who may use a secret or look at it, and why.
    #[command(after_help = "Example:\n  tacit secrets access STRIPE_KEY")]
    Access {
        /// The secret.
        name: String,
    },
    /// Show what depends on a secret.
    #[command(after_help = "Example:\n  tacit secrets usages STRIPE_KEY")]
    Usages {
        /// Its name.
        name: String,
    },
    Policy(policy::Policy),
    /// Switch a secret off, at once: everywhere, or in the environment that --env names.
    #[command(
        after_help = "Example:\n  tacit secrets disable STRIPE_KEY\n  tacit secrets disable STRIPE_KEY --env live"
    )]
    Disable {
        /// Its name.
        name: String,
    },
    /// Switch a secret on again: as a whole, or in the environment that --env names.
    #[command(
        after_help = "Example:\n  tacit secrets enable STRIPE_KEY\n  tacit secrets enable STRIPE_KEY --env live"
    )]
    Enable {
        /// Its name.
        name: String,
    },
    Delete(Delete),
    Compare(compare::Compare),
    Import(import::Import),
    /// Print the workspace's configuration as one document: secrets, variables and automations, references and never values.
    #[command(
        after_help = "Example:\n  tacit secrets export > staging.json\n  tacit secrets import staging.json --workspace production --dry-run"
    )]
    Export,
    /// Bring a deleted secret back, while its deletion window lasts.
    #[command(after_help = "Example:\n  tacit secrets restore STRIPE_KEY")]
    Restore {
        /// Its name.
        name: String,
    },
}

/// List secrets, without their values.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit secrets list --search stripe\n  tacit secrets list --env live")]
pub(crate) struct List {
    /// Part of the name, description or folder.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those of this type.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only those in this folder.
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// Only those in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// List system-managed secrets, too.
    #[arg(long)]
    system: bool,
}

/// The states that a list can be narrowed to.
#[derive(Clone, Copy, ValueEnum)]
enum State {
    Active,
    Disabled,
    Proposed,
    Deleted,
    /// Its date of rotation or end is near.
    Due,
    /// It should have been rotated.
    Overdue,
    /// Its end has passed.
    Expired,
}

impl From<State> for SecretState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Disabled => Self::Disabled,
            State::Proposed => Self::Proposed,
            State::Deleted => Self::Deleted,
            State::Due => Self::Due,
            State::Overdue => Self::Overdue,
            State::Expired => Self::Expired,
        }
    }
}

/// Print the value in --env, if the secret is masked and you may look. It is on the record that you did.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit secrets reveal DB_LOGIN --env test --field username")]
pub(crate) struct Reveal {
    /// Its name.
    name: String,
    /// Which field; the type's main field unless said.
    #[arg(long)]
    field: Option<String>,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Delete a secret, which can be restored while the workspace's deletion window lasts; or with --env its value in one
/// environment, which cannot.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit secrets delete STRIPE_KEY\n  tacit secrets delete STRIPE_KEY --env test"
)]
pub(crate) struct Delete {
    /// Its name.
    name: String,
    /// Delete it although something depends on it.
    #[arg(long)]
    force: bool,
    /// Do not ask. Needed without a terminal where there is no way back.
    #[arg(long, short)]
    yes: bool,
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Show { name } => {
                let secret = session.workspace().secret(&name).await?;
                session.out.one(&secret, &properties(&secret))
            }
            Self::Set(set) => set.run(session).await,
            Self::Edit(edit) => edit.run(session).await,
            Self::Reveal(reveal) => reveal.run(session).await,
            Self::Versions { name } => versions(session, &name).await,
            Self::Rollback { name, version, reason } => roll_back(session, &name, version, reason).await,
            Self::Access { name } => crate::grants::secret_access(session, &name).await,
            Self::Usages { name } => usages(session, &name).await,
            Self::Policy(policy) => policy.run(session).await,
            Self::Disable { name } => switch(session, &name, false).await,
            Self::Enable { name } => switch(session, &name, true).await,
            Self::Delete(delete) => delete.run(session).await,
            Self::Compare(compare) => compare.run(session).await,
            Self::Import(import) => import.run(session).await,
            Self::Export => export(session).await,
            Self::Restore { name } => {
                let secret = session.workspace().restore_secret(&name).await?;
                session.out.done(&secret, &format!("{} is back", secret.name))
            }
        }
    }
}

/// Prints the configuration. Whoever lists only a part of it gets that part, and the document looks like all of it.
async fn export(session: &Session) -> Outcome {
    session.out.json(&session.workspace().export().await?)?;
    let me = session.client.who_am_i().await?;
    let here = me.workspaces.iter().find(|workspace| workspace.name == session.workspace_name());
    if !here.is_some_and(|here| here.rights.iter().any(|right| right == "secret.list")) {
        warn(&["this is what you may list, and perhaps not all of the workspace: `tacit whoami`".to_owned()]);
    }
    Ok(())
}

impl List {
    async fn run(self, session: &Session) -> Outcome {
        let query = SecretQuery {
            search: self.search,
            // Only if it was named: without, the list is of all secrets, wherever they have values.
            environment: session.named_environment.clone(),
            kind: self.kind,
            folder: self.folder,
            state: self.state.map(SecretState::from),
            system: self.system.then_some(true),
            limit: Some(500),
            cursor: None,
        };
        let workspace = session.workspace();
        let all =
            every_page(async |cursor| workspace.secrets(&SecretQuery { cursor, ..query.clone() }).await)
                .await?;
        session.out.list(all, &["NAME", "TYPE", "VISIBILITY", "STATE", "VALUES", "TO", "FOLDER"], |secret| {
            let values: Vec<_> = secret.environments.iter().map(|(name, value)| short(name, value)).collect();
            let to: Vec<_> = secret.destinations.iter().map(destination::shown).collect();
            vec![
                secret.name.clone(),
                secret.kind.clone(),
                secret.visibility.clone(),
                secret.state.as_str().to_owned(),
                values.join(", "),
                to.join(", "),
                secret.folder.clone(),
            ]
        })
    }
}

fn short(environment: &str, value: &ValueState) -> String {
    let off = if value.disabled { " (disabled)" } else { "" };
    format!("{environment} v{}{off}", value.version)
}

fn properties(secret: &Secret) -> Vec<(&'static str, String)> {
    let mut properties = vec![
        ("name", secret.name.clone()),
        ("type", secret.kind.clone()),
        ("visibility", secret.visibility.clone()),
        ("state", secret.state.as_str().to_owned()),
        ("description", secret.description.clone()),
        ("folder", secret.folder.clone()),
    ];
    properties.extend(secret.destinations.iter().map(|to| ("to", policy::sentence(to))));
    let suggested = secret.suggested_destinations.iter();
    properties.extend(suggested.map(|to| ("suggested", format!("{} (not in force)", policy::sentence(to)))));
    for (environment, value) in &secret.environments {
        let fields = masked(&secret.kind, value);
        properties.push(("value", format!("{} since {}: {fields}", short(environment, value), value.set_at)));
    }
    if let Some(days) = secret.rotate_every_days {
        properties.push(("rotate", format!("every {days} days")));
    }
    properties.push(("rotate by", secret.rotate_at.clone().unwrap_or_default()));
    properties.push(("expires", secret.expires_at.clone().unwrap_or_default()));
    properties.push(("created", format!("{} by {}", secret.created_at, secret.created_by)));
    properties.push(("updated", secret.updated_at.clone()));
    properties.push(("deleted", secret.deleted_at.clone().unwrap_or_default()));
    properties
}

/// A value's fields: what is shown, and dots for the rest. The dots say nothing about a length.
fn masked(kind: &str, value: &ValueState) -> String {
    let mut fields: Vec<String> =
        value.fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    match Kind::named(kind) {
        Some(kind) => fields.extend(
            kind.fields.iter().filter(|field| field.hidden).map(|field| format!("{}={DOTS}", field.name)),
        ),
        None => fields.push(DOTS.to_owned()),
    }
    fields.join(" ")
}

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Reveal {
    async fn run(self, session: &Session) -> Outcome {
        let why = RevealRequest { reason: self.reason };
        let workspace = session.workspace();
        // Which field is the main one follows from the type; ask before looking, so that a wrong name is no look.
        let field = match self.field {
            Some(field) => field,
            None if session.out == Output::Json => String::new(),
            None => main_field(&workspace.secret(&self.name).await?)?,
        };
        let revealed = workspace.reveal(&self.name, session.acting_environment().await?, &why).await?;
        if session.out == Output::Json {
            return session.out.json(&revealed);
        }
        let FieldMap(fields) = &revealed.fields;
        let Some(value) = fields.get(&field) else {
            let names: Vec<_> = fields.keys().map(String::as_str).collect();
            return Err(Failure::usage(
                format!("{} has no field {field}", self.name),
                format!("it has {}", names.join(", ")),
            ));
        };
        data(&plain(value))
    }
}

fn main_field(secret: &Secret) -> Outcome<String> {
    match Kind::named(&secret.kind) {
        Some(kind) => Ok(kind.main_field.to_owned()),
        None => Err(Failure::usage(
            format!("{} is of type {}, which this version does not know", secret.name, secret.kind),
            "name the field with --field",
        )),
    }
}

async fn versions(session: &Session, name: &str) -> Outcome {
    let all = session.workspace().versions(name, &session.environment).await?.items;
    session.out.list(all, &["VERSION", "STATE", "SET", "BY", "REASON"], |version| {
        vec![
            version.version.to_string(),
            version.state.as_str().to_owned(),
            version.created_at.clone(),
            version.created_by.clone(),
            version.reason.clone().unwrap_or_default(),
        ]
    })
}

async fn roll_back(session: &Session, name: &str, version: i64, reason: Option<String>) -> Outcome {
    let environment = session.acting_environment().await?;
    let new = session.workspace().roll_back(name, environment, &Rollback { version, reason }).await?;
    warn(&new.warnings);
    let answer = json!({"name": name, "environment": environment, "version": new.version, "from": version});
    session.out.done(
        &answer,
        &format!("{name}: version {} in {environment} is what version {version} was", new.version),
    )
}

async fn usages(session: &Session, name: &str) -> Outcome {
    let usage = session.workspace().secret_usages(name).await?;
    if session.out == Output::Json {
        return session.out.json(&usage);
    }
    session.out.list(usage.automations, &["AUTOMATION", "ENV", "FIELDS"], |using| {
        let fields: Vec<_> =
            using.fields.iter().map(|field| format!("{} {}", field.step, field.field)).collect();
        vec![using.name.clone(), using.environment.clone(), fields.join(", ")]
    })?;
    if !usage.observed.is_empty() {
        talk("and was used by:");
        session.out.list(usage.observed, &["BY", "ENV", "WHERE", "LAST"], |seen| {
            vec![seen.by.clone(), seen.environment.clone(), seen.target.clone(), seen.last_used_at.clone()]
        })?;
    }
    Ok(())
}

async fn switch(session: &Session, name: &str, on: bool) -> Outcome {
    // The default environment would be a trap here: whoever pulls a kill switch means all of it.
    session.say_every_environment();
    let environment = session.named_environment.as_deref();
    let workspace = session.workspace();
    if on {
        workspace.enable_secret(name, environment).await?;
    } else {
        workspace.disable_secret(name, environment).await?;
    }
    let (state, place) =
        (if on { "enabled" } else { "disabled" }, environment.unwrap_or("every environment"));
    session.out.done(
        &json!({"name": name, "environment": environment, "state": state}),
        &format!("{name} is {state} in {place}"),
    )
}

impl Delete {
    async fn run(self, session: &Session) -> Outcome {
        if let Some(environment) = &session.named_environment {
            return self.delete_value(session, environment).await;
        }
        session.say_every_environment();
        let workspace = session.workspace();
        if !self.yes {
            let dependents = workspace.secret_usages(&self.name).await?.automations;
            if !dependents.is_empty() {
                let names: Vec<_> = dependents
                    .iter()
                    .map(|using| format!("{} ({})", using.name, using.environment))
                    .collect();
                talk(&format!("{} is used by {}", self.name, names.join(", ")));
            }
            let days = workspace.describe().await?.deletion_window_days;
            if days == 0 {
                input::confirm(&format!("Delete {} in every environment, for good?", self.name))?;
            } else {
                let question = format!("Delete {} in every environment? It can be restored", self.name);
                input::confirm_if_asked(&format!("{question} for {days} days."))?;
            }
        }
        let deleted = workspace.delete_secret(&self.name, self.force).await?;
        let sentence = match &deleted.restorable_until {
            Some(until) => {
                format!("{} is deleted; until {until} `tacit secrets restore` brings it back", self.name)
            }
            None => format!("{} is deleted for good", self.name),
        };
        session.out.done(&json!({"name": self.name, "restorable_until": deleted.restorable_until}), &sentence)
    }
}

impl Delete {
    async fn delete_value(&self, session: &Session, environment: &str) -> Outcome {
        if !self.yes {
            let whose = format!("the value of {} in {environment}", self.name);
            input::confirm(&format!("Delete {whose} with all its versions, for good?"))?;
        }
        session.workspace().delete_value(&self.name, environment).await?;
        session.out.done(
            &json!({"name": self.name, "environment": environment}),
            &format!("{} has no value in {environment} any more; it is gone for good", self.name),
        )
    }
}

/// A refusal to take a value from the command line. What was given is not repeated.
fn value_in_argument(name: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        ..Failure::new(
            "a value is not taken from the command line, where others can see it and the shell keeps it",
            format!(
                "run `tacit secrets set {name}` and type it when asked, or hand it in on standard input; if what you typed is real, rotate it"
            ),
        )
    }
}
