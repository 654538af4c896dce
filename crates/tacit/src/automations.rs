//! `automations`: publish, run, show, delete.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use tacit_api::{PageQuery, Run, RunStatus, StartRun};
use tacit_client::{DefinitionFormat, every_page};

use crate::{
    error::{Failure, Outcome},
    input,
    output::warn,
    runs,
    session::Session,
};

/// How long to wait between two looks at a run.
const POLL: Duration = Duration::from_millis(500);

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

/// Publish a definition in the first environment that is not protected.
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

/// Run an automation in --env and show its steps. Fails if the run fails.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit automations run settle-invoices --input '{\"invoice\": \"in_1\"}'")]
pub(crate) struct RunCommand {
    /// Its name.
    name: String,
    /// What steps see as {{input}}, as JSON.
    #[arg(long, value_name = "JSON", conflicts_with = "input_file")]
    input: Option<String>,
    /// The same from a file; standard input for `-`.
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// How many seconds to wait for its end.
    #[arg(long, value_name = "SECS", default_value_t = 60)]
    wait: u64,
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
        let text = input::file(&self.file)?;
        let (name, format) = identify(&text, &self.file)?;
        let published = session.workspace().apply_automation(&name, format, text, self.dry_run).await?;
        warn(&published.warnings);
        let done = if self.dry_run { "would be published" } else { "is published" };
        let names = |title: &str, names: &[String]| match names {
            [] => String::new(),
            names => format!("; {title} {}", names.join(", ")),
        };
        let sentence = format!(
            "{} {done} in {}{}{}",
            published.name,
            published.environment,
            names("secrets", &published.secrets),
            names("variables", &published.variables),
        );
        session.out.done(&published, &sentence)
    }
}

/// The name in a definition, and how the definition is written. The text itself goes to the server as it is.
fn identify(text: &str, path: &Path) -> Outcome<(String, DefinitionFormat)> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    if let Ok(named) = serde_json::from_str::<Named>(text) {
        return Ok((named.name, DefinitionFormat::Json));
    }
    if text.trim_start().starts_with('{') {
        input::json(text, &path.display().to_string())?;
    }
    match serde_saphyr::from_str::<Named>(text) {
        Ok(named) => Ok((named.name, DefinitionFormat::Yaml)),
        Err(_) => Err(Failure::usage(
            format!("{} is not a definition: it must be YAML or JSON with a `name`", path.display()),
            "`tacit automations show NAME` shows what one looks like",
        )),
    }
}

impl RunCommand {
    async fn run(self, session: &Session) -> Outcome {
        let input = match (&self.input, &self.input_file) {
            (Some(text), _) => Some(input::json(text, "--input")?),
            (None, Some(path)) => Some(input::json(&input::file(path)?, &path.display().to_string())?),
            (None, None) => None,
        };
        let start = StartRun { environment: session.acting_environment().await?.to_owned(), input };
        let patience = Instant::now() + Duration::from_secs(self.wait);
        let mut run = session.workspace().start_run(&self.name, &start, self.wait).await?;
        // A server may wait for less than it is asked to.
        while run.status == RunStatus::Running && Instant::now() + POLL < patience {
            tokio::time::sleep(POLL).await;
            run = session.workspace().run(&run.id).await?;
        }
        runs::show(&run, session.out)?;
        if run.status == RunStatus::Failed { Err(failed(&run)) } else { Ok(()) }
    }
}

fn failed(run: &Run) -> Failure {
    let step = run.steps.iter().find_map(|step| step.error.as_ref().map(|error| (&step.id, error)));
    let hint = format!("`tacit runs show {} --output json` has everything it brought", run.id);
    match (step, &run.error) {
        (Some((id, error)), _) => Failure {
            code: Some(error.code.clone()),
            ..Failure::new(format!("the run failed at step {id}"), error.suggestion.clone().unwrap_or(hint))
        },
        (None, Some(error)) => {
            Failure { code: Some(error.code.clone()), ..Failure::new("the run failed", hint) }
        }
        (None, None) => Failure::new("the run failed", hint),
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
