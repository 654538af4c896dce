//! `automations`: publish, run, show, delete.

mod templates;
mod triggers;

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use tacit_api::{PageQuery, Saved, StartRun};
use tacit_client::{DefinitionFormat, every_page};

use crate::{
    error::{Exit, Failure, Outcome},
    input,
    output::{Output, data, talk, talk_lines, warn},
    runs,
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the automations of the workspace.
    #[command(after_help = "Example:\n  tacit automations list")]
    List,
    /// Show a definition; --env says which one.
    #[command(after_help = "Example:\n  tacit automations show settle-invoices --env live")]
    Show {
        /// Its name.
        name: String,
    },
    Apply(Apply),
    Run(RunCommand),
    /// Print one automation as a document that `import` takes; --env says which definition.
    #[command(after_help = "Example:\n  tacit automations template settle-invoices > settle-invoices.json")]
    Template {
        /// Its name.
        name: String,
    },
    /// Show what starts an automation by itself, and where; enable it, disable it.
    #[command(subcommand, after_help = "Example:\n  tacit automations triggers list settle-invoices")]
    Triggers(triggers::Command),
    Export(templates::Export),
    Import(templates::Import),
    /// Delete an automation, in every environment.
    #[command(after_help = "Example:\n  tacit automations delete settle-invoices")]
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// Seconds to wait at most: as long as a run may take.
const WAIT_SECS_MAX: u64 = 3600;

/// Publish a definition in the first environment that is not protected; `tacit deploy` brings it into others.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit automations apply -f settle-invoices.yaml --dry-run")]
pub(crate) struct Apply {
    /// YAML or JSON; standard input for `-`.
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// Only check it.
    #[arg(long)]
    dry_run: bool,
}

/// Run an automation in --env, follow it to its end and show its steps. Fails if the run fails.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit automations run settle-invoices --input '{\"invoice\": \"in_1\"}'\n\nThe run's id comes first, on standard error. The exit status is 0 if the run succeeded, 1 if it failed or was stopped, and 6\nif it still goes when --wait is over."
)]
pub(crate) struct RunCommand {
    /// Its name.
    name: String,
    /// What steps see as {{input}}, as JSON.
    #[arg(long, value_name = "JSON", conflicts_with = "input_file")]
    input: Option<String>,
    /// The same from a file; standard input for `-`.
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// How many seconds to wait for its end at most; until it is over unless said.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(..=WAIT_SECS_MAX))]
    wait: Option<u64>,
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        match self {
            Self::List => {
                let all = every_page(async |cursor| {
                    workspace.automations(&PageQuery { cursor, limit: Some(500) }).await
                })
                .await?;
                session.out.list(all, &["NAME", "PUBLISHED IN", "LAST", "DESCRIPTION"], |automation| {
                    vec![
                        automation.name.clone(),
                        automation.environments.join(", "),
                        automation.published_at.clone(),
                        automation.description.clone(),
                    ]
                })
            }
            Self::Show { name } => {
                let definition = workspace.automation(&name, session.named_environment.as_deref()).await?;
                // A definition is JSON or YAML, and JSON is both.
                session.out.json(&definition)
            }
            Self::Apply(apply) => apply.run(session).await,
            Self::Run(run) => run.run(session).await,
            Self::Template { name } => {
                let environment = session.named_environment.as_deref();
                let template = workspace.automation_template(&name, environment).await?;
                warn(&template.warnings);
                session.out.json(&template)
            }
            Self::Triggers(command) => command.run(session).await,
            Self::Export(export) => export.run(session).await,
            Self::Import(import) => import.run(session).await,
            Self::Delete { name, yes } => {
                if !yes {
                    input::confirm(&format!("Delete the automation {name} in every environment, for good?"))?;
                }
                workspace.delete_automation(&name).await?;
                session.out.done(&json!({"name": name}), &format!("{name} is deleted for good"))
            }
        }
    }
}

impl Apply {
    async fn run(self, session: &Session) -> Outcome {
        publishing_environment(session).await?;
        let text = input::file(&self.file)?;
        let (name, format) = identify(&text, &self.file)?;
        let published = session.workspace().apply_automation(&name, format, text, self.dry_run).await?;
        warn(&published.warnings);
        let done = match (self.dry_run, published.result) {
            (true, Saved::Created) => "would be created",
            (true, Saved::Changed) => "would be changed",
            (true, Saved::Unchanged) => "would be unchanged",
            (false, Saved::Created) => "is created",
            (false, Saved::Changed) => "is changed",
            (false, Saved::Unchanged) => "is unchanged",
        };
        let names = |title: &str, names: &[String]| match names {
            [] => String::new(),
            names => format!("; {title} {}", names.join(", ")),
        };
        let sentence = format!(
            "{} {done}: published in {}{}{}",
            published.name,
            published.environment,
            names("secrets", &published.secrets),
            names("variables", &published.variables),
        );
        session.out.done(&published, &sentence)
    }
}

/// Definitions go into the first environment that is not protected, whichever one is named: one that is named and is not that
/// one is refused, before anything is written.
async fn publishing_environment(session: &Session) -> Outcome {
    let exported = || std::env::var("TACIT_ENV").is_ok_and(|name| !name.is_empty());
    if session.named_environment.is_none() && !exported() {
        return Ok(());
    }
    let (named, all) = (&session.environment, session.workspace().environments().await?.items);
    let first = all.iter().find(|environment| !environment.protected);
    let is_known = all.iter().any(|environment| environment.name == *named);
    let Some(first) = first.filter(|first| first.name != *named).map(|first| &first.name) else {
        // It is that one, or the server says that there is none.
        return Ok(());
    };
    Err(if is_known {
        Failure::usage(
            format!(
                "nothing was done: definitions are published in `{first}`, and --env or TACIT_ENV says `{named}`"
            ),
            format!(
                "publish with --env {first}, then `tacit deploy NAME --from {first} --to {named}` brings it there"
            ),
        )
    } else {
        Failure::usage(
            format!(
                "nothing was done: there is no environment `{named}`; definitions are published in `{first}`"
            ),
            format!(
                "publish with --env {first}; `tacit deploy NAME --from {first} --to …` brings it into another one"
            ),
        )
    })
}

/// The name in a definition, and how the definition is written. The text itself goes to the server as it is.
fn identify(text: &str, path: &Path) -> Outcome<(String, DefinitionFormat)> {
    #[derive(Deserialize)]
    struct Named {
        name: Option<String>,
    }
    let shown = input::name_of(path);
    let (named, format) = match serde_json::from_str::<Named>(text) {
        Ok(named) => (named, DefinitionFormat::Json),
        Err(_) if text.trim_start().starts_with('{') => {
            input::json(text, &shown)?;
            return Err(Failure::usage(format!("{shown}: `name` is not a text"), "put it in quotes"));
        }
        Err(_) => match serde_saphyr::from_str::<Named>(text) {
            Ok(named) => (named, DefinitionFormat::Yaml),
            Err(error) => {
                let place =
                    error.location().map(|at| format!(", at line {} column {}", at.line(), at.column()));
                return Err(Failure::usage(
                    format!("{shown} is not YAML that can be read{}", place.unwrap_or_default()),
                    "check the indentation, names that stand twice, and texts that need quotes",
                ));
            }
        },
    };
    let Some(name) = named.name else {
        return Err(Failure::usage(
            format!("{shown} has no `name`"),
            "begin it with a line such as `name: settle-invoices`; `tacit automations show NAME` shows a whole one",
        ));
    };
    Ok((name, format))
}

impl RunCommand {
    async fn run(self, session: &Session) -> Outcome {
        let input = match (&self.input, &self.input_file) {
            (Some(text), _) => Some(input::json(text, "--input")?),
            (None, Some(path)) => Some(input::json(&input::file(path)?, &input::name_of(path))?),
            (None, None) => None,
        };
        let start = StartRun { environment: session.acting_environment().await?.to_owned(), input };
        let until = self.wait.map(|secs| Instant::now() + Duration::from_secs(secs));
        let started = session.workspace().start_run(&self.name, &start, 0).await?;
        // First of all: whoever is interrupted from here on can still find it.
        talk(&format!("{} is started", started.id));
        let is_watched = session.out != Output::Json && io::stdout().is_terminal();
        let is_talked_of = !is_watched && io::stderr().is_terminal();
        let tell = |lines: &str| {
            if is_watched {
                return data(lines);
            }
            if is_talked_of {
                talk_lines(lines);
            }
            Ok(())
        };
        let run = runs::follow(session, &started.id, until, tell).await?;
        if is_watched && run.status.is_over() {
            return runs::close(&run, session.out);
        }
        runs::show(&run, session.out)?;
        if !run.status.is_over() {
            return Err(Failure {
                exit: Exit::GoesOn,
                ..Failure::new(
                    format!("the run is not over: it is {}", run.status.as_str()),
                    format!("`tacit runs watch {}` follows it to its end", run.id),
                )
            });
        }
        runs::failure(&run).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// YAML and JSON are told apart, and each needs a name.
    #[test]
    fn definitions_are_identified() {
        let identify = |text| identify(text, Path::new("a.yaml"));
        assert_eq!(identify("name: a b\nsteps: []").unwrap(), ("a b".to_owned(), DefinitionFormat::Yaml));
        assert_eq!(
            identify("{\"name\": \"a\", \"steps\": []}").unwrap(),
            ("a".to_owned(), DefinitionFormat::Json)
        );
        assert_eq!(identify("{name: a}").unwrap_err().exit as u8, 2);
        for bad in ["steps: []", "", "- a", "{\"steps\": []}"] {
            assert!(identify(bad).unwrap_err().what.contains("a.yaml"), "{bad}");
        }
    }
}
