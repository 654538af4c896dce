//! `vars`: plain settings beside the secrets, readable by everyone who may list.

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_api::{CreateVariable, PageQuery, UpdateVariable};
use tacit_client::every_page;

use crate::{
    error::{Exit, Failure, Outcome},
    input,
    output::{Output, data},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the variables with their values.
    #[command(after_help = "Example:\n  tacit vars list")]
    List,
    /// Show a variable with its values; with --env only the value there.
    #[command(after_help = "Example:\n  tacit vars show BASE_URL\n  tacit vars show BASE_URL --env live")]
    Show {
        /// Its name.
        name: String,
    },
    Set(Set),
    /// Delete a variable, in every environment.
    #[command(after_help = "Example:\n  tacit vars delete BASE_URL")]
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// Set a variable in an environment; makes it if it is not there.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit vars set BASE_URL https://shop.example.com --env live")]
pub(crate) struct Set {
    /// Its name.
    name: String,
    /// Its value; standard input for `-`. Everyone who may list can read it: use `secrets set` for a credential.
    value: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where to file it.
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        match self {
            Self::List => {
                let workspace = session.workspace();
                let all = every_page(async |cursor| {
                    workspace.variables(&PageQuery { cursor, limit: Some(500) }).await
                })
                .await?;
                session.out.list(all, &["NAME", "VALUES", "FOLDER", "DESCRIPTION"], |variable| {
                    let values: Vec<_> =
                        variable.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    vec![
                        variable.name.clone(),
                        values.join("  "),
                        variable.folder.clone(),
                        variable.description.clone(),
                    ]
                })
            }
            Self::Show { name } => show(session, &name).await,
            Self::Set(set) => set.run(session).await,
            Self::Delete { name, yes } => {
                if !yes {
                    input::confirm(&format!("Delete the variable {name} in every environment, for good?"))?;
                }
                session.workspace().delete_variable(&name).await?;
                session.out.done(&json!({"name": name}), &format!("{name} is deleted for good"))
            }
        }
    }
}

async fn show(session: &Session, name: &str) -> Outcome {
    let variable = session.workspace().variable(name).await?;
    if let Some(environment) = &session.named_environment {
        let Some(value) = variable.values.get(environment) else {
            return Err(Failure {
                exit: Exit::Conflict,
                code: Some("no_value_in_environment".to_owned()),
                ..Failure::new(
                    format!("{name} has no value in {environment}"),
                    format!("set one: `tacit vars set {name} VALUE --env {environment}`"),
                )
            });
        };
        if session.out == Output::Table {
            return data(value);
        }
    }
    let mut properties = vec![
        ("name", variable.name.clone()),
        ("description", variable.description.clone()),
        ("folder", variable.folder.clone()),
    ];
    properties.extend(
        variable.values.iter().map(|(environment, value)| ("value", format!("{environment}={value}"))),
    );
    properties.push(("updated", variable.updated_at.clone()));
    session.out.one(&variable, &properties)
}

impl Set {
    async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        let value = if self.value == "-" {
            let text = input::file("-".as_ref())?;
            text.strip_suffix('\n').unwrap_or(&text).to_owned()
        } else {
            self.value
        };
        let (name, environment) = (self.name, session.acting_environment().await?.to_owned());
        let created = match workspace.variable(&name).await {
            Err(error) if error.is_not_found() => {
                let new = CreateVariable {
                    name: name.clone(),
                    values: [(environment.clone(), value)].into(),
                    description: self.description,
                    folder: self.folder,
                };
                workspace.create_variable(&new).await?;
                true
            }
            found => {
                found?;
                workspace.set_variable(&name, &environment, &value).await?;
                if self.description.is_some() || self.folder.is_some() {
                    let change = UpdateVariable {
                        description: self.description.map(Some),
                        folder: self.folder.map(Some),
                        name: None,
                    };
                    workspace.update_variable(&name, &change).await?;
                }
                false
            }
        };
        let answer = json!({"name": name, "environment": environment, "created": created});
        session.out.done(&answer, &format!("{name} is set in {environment}"))
    }
}
