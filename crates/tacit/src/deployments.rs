//! `deploy` and `deployments`: from one environment into another, shown before it is done.

use clap::{Args, Subcommand};
use serde_json::Value;
use tacit_api::{CreateDeployment, Deployment, Difference, PageQuery, Relation};

use crate::{
    error::{Failure, Outcome},
    input,
    output::{Output, clean, data, talk, talk_lines, warn},
    session::Session,
};

/// Characters of one side of a difference that are shown of what goes; of what comes more, because somebody answers for it.
const OLD_CHARS_MAX: usize = 60;
const NEW_CHARS_MAX: usize = 1_000;

/// Deploy automations into another environment: shows what would change and asks.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit deploy settle-invoices --from test --to live --copy-variable API_HOST\n\nValues that are not copied along stay what they are there. What is needed and missing there is named; then nothing is done,\nand the exit status is 1, with --dry-run too."
)]
pub(crate) struct Deploy {
    /// Automations, as they are published in --from.
    #[arg(required_unless_present_any = ["copy_secret", "copy_variable"])]
    automations: Vec<String>,
    /// Where they come from [default: the environment of --env].
    #[arg(long, value_name = "ENV")]
    from: Option<String>,
    /// Where they go.
    #[arg(long, value_name = "ENV")]
    to: String,
    /// A secret whose value is copied along, unseen; can be repeated.
    #[arg(long, value_name = "NAME")]
    copy_secret: Vec<String>,
    /// A variable whose value is copied along; can be repeated.
    #[arg(long, value_name = "NAME")]
    copy_variable: Vec<String>,
    /// Leave their triggers switched off there.
    #[arg(long)]
    no_triggers: bool,
    /// Only show what would change. Fails if something is missing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List deployments, newest first.
    #[command(after_help = "Example:\n  tacit deployments list --limit 20")]
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Show what a deployment changed.
    #[command(after_help = "Example:\n  tacit deployments show dep_0193b5a87e4f7c2e9d540123456789ab")]
    Show {
        /// Its id.
        id: String,
    },
    /// Take a deployment back, as a whole.
    #[command(
        after_help = "Example:\n  tacit deployments rollback dep_0193b5a87e4f7c2e9d540123456789ab --yes"
    )]
    Rollback {
        /// Its id.
        id: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

impl Deploy {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let new = CreateDeployment {
            from: self.from.unwrap_or_else(|| session.environment.clone()),
            to: self.to,
            automations: self.automations,
            copy_secrets: self.copy_secret,
            copy_variables: self.copy_variable,
            enable_triggers: !self.no_triggers,
            dry_run: self.dry_run,
        };
        let workspace = session.workspace();
        let (plan, tag) = workspace.plan_deployment(&new).await?;
        if self.dry_run {
            show(&plan, session.out)?;
        } else {
            talk_lines(&described(&plan));
            warn(&plan.warnings);
        }
        if !plan.missing.is_empty() {
            return Err(Failure::new(
                format!("needed in {} and missing there: {}", plan.to, plan.missing.join(", ")),
                "set the values there, or copy them along: --copy-secret NAME, --copy-variable NAME",
            ));
        }
        if self.dry_run {
            return Ok(());
        }
        if !self.yes {
            input::confirm(&format!("Deploy this into {}?", plan.to))?;
        }
        // Only if it is still what was shown.
        let done = workspace.deploy_as_planned(&new, &tag).await?;
        for hook in done.hooks.iter().filter(|_| session.out != Output::Json) {
            let address = format!("/v1/hooks/{}", hook.token);
            talk(&format!("the webhook of {} is {address}; it is shown only now", hook.automation));
        }
        let id = done.id.clone().unwrap_or_default();
        let sentence =
            format!("{id} is deployed into {}; `tacit deployments rollback {id}` takes it back", done.to);
        session.out.done(&done, &sentence)
    }
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        match self {
            Self::List { limit } => {
                let page = workspace.deployments(&PageQuery { limit: Some(limit), cursor: None }).await?;
                session.out.list(
                    page.items,
                    &["ID", "FROM", "TO", "STATUS", "AUTOMATIONS", "COPIED", "WHEN", "BY"],
                    |deployment| {
                        let named: Vec<&str> = deployment
                            .automations
                            .iter()
                            .map(|automation| automation.name.as_str())
                            .collect();
                        let copied = deployment.secrets.iter().filter(|secret| secret.copied).count()
                            + deployment.variables.iter().filter(|variable| variable.copied).count();
                        vec![
                            deployment.id.clone().unwrap_or_default(),
                            deployment.from.clone(),
                            deployment.to.clone(),
                            deployment.status.as_str().to_owned(),
                            named.join(", "),
                            copied.to_string(),
                            deployment.created_at.clone(),
                            deployment.created_by.clone(),
                        ]
                    },
                )
            }
            Self::Show { id } => show(&workspace.deployment(&id).await?, session.out),
            Self::Rollback { id, yes } => {
                let deployment = workspace.deployment(&id).await?;
                talk_lines(&described(&deployment));
                if !yes {
                    input::confirm(&format!("Take all of this back in {}?", deployment.to))?;
                }
                let done = workspace.roll_back_deployment(&id).await?;
                session.out.done(&done, &format!("{id} is rolled back in {}", done.to))
            }
        }
    }
}

fn show(deployment: &Deployment, out: Output) -> Outcome {
    if out == Output::Json {
        return out.json(deployment);
    }
    warn(&deployment.warnings);
    data(&described(deployment))
}

/// A deployment in lines: what changes where, what is copied, what is missing.
fn described(deployment: &Deployment) -> String {
    let mut lines = vec![format!(
        "{}{} to {}: {}",
        deployment.id.as_ref().map(|id| format!("{id}  ")).unwrap_or_default(),
        deployment.from,
        deployment.to,
        deployment.status.as_str().replace('_', " "),
    )];
    for automation in &deployment.automations {
        let triggers = match (automation.triggers, deployment.enable_triggers) {
            (0, _) => "",
            (_, true) => ", its triggers fire",
            (_, false) => ", its triggers do not fire",
        };
        lines.push(format!("  {}: {}{triggers}", automation.name, automation.result.as_str()));
        lines.extend(automation.diff.iter().flat_map(of_difference).map(|line| format!("    {line}")));
    }
    let value = |what: &str, name: &str, result: Relation, copied: bool, replaces: bool| {
        let copied = match (copied, replaces) {
            (false, _) => "",
            (true, false) => ", copied",
            (true, true) => ", copied, replaces the value there",
        };
        format!("  {what} {name}: {}{copied}", result.as_str())
    };
    for secret in &deployment.secrets {
        lines.push(value("secret", &secret.name, secret.result, secret.copied, secret.replaces));
    }
    for variable in &deployment.variables {
        lines.push(value("variable", &variable.name, variable.result, variable.copied, variable.replaces));
    }
    if !deployment.missing.is_empty() {
        lines.push(format!("  missing in {}: {}", deployment.to, deployment.missing.join(", ")));
    }
    lines.iter().map(|line| clean(line) + "\n").collect()
}

fn of_difference(difference: &Difference) -> Vec<String> {
    let path = &difference.path;
    match (&difference.before, &difference.after) {
        (None, Some(after)) => {
            let mut lines = Vec::new();
            leaves(path, after, &mut lines);
            lines
        }
        (Some(before), None) => vec![format!("- {path}: {}", short(before, OLD_CHARS_MAX))],
        (Some(before), Some(after)) => {
            vec![format!("~ {path}: {} -> {}", short(before, OLD_CHARS_MAX), short(after, NEW_CHARS_MAX))]
        }
        (None, None) => vec![format!("~ {path}")],
    }
}

/// What is new, field by field.
fn leaves(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| leaves(&format!("{path}.{name}"), value, lines));
        }
        _ => lines.push(format!("+ {path}: {}", short(value, NEW_CHARS_MAX))),
    }
}

fn short(value: &Value, max: usize) -> String {
    let text = value.to_string();
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}… ({} more)", &text[..end], text[end..].chars().count()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A plan reads as a list of changes, and long texts are cut.
    #[test]
    fn plans_are_lines() {
        let deployment: Deployment = serde_json::from_value(json!({
            "status": "planned", "from": "test", "to": "live",
            "automations": [{"name": "a", "result": "different", "hash": "00", "triggers": 1, "diff": [
                {"path": "steps[x].http.url", "before": "u", "after": "v".repeat(2000)},
                {"path": "steps[y]", "after": {"id": "y", "http": {"url": "u"}}},
                {"path": "steps[z]", "before": 2}]}],
            "secrets": [{"name": "K", "type": "text", "result": "different", "needed": true, "copied": true, "replaces": true, "version": 2}],
            "variables": [{"name": "V", "result": "missing", "needed": true, "copied": false, "replaces": false}],
            "missing": ["variable:V"], "warnings": [], "enable_triggers": true, "created_at": "", "created_by": "user:owner"
        }))
        .unwrap();
        let text = described(&deployment);
        for part in [
            "test to live: planned\n",
            "  a: different, its triggers fire\n",
            "    ~ steps[x].http.url: \"u\" -> \"vvv",
            "    + steps[y].id: \"y\"\n    + steps[y].http.url: \"u\"\n",
            "    - steps[z]: 2\n",
            "  secret K: different, copied, replaces the value there\n",
            "  variable V: missing\n",
            "  missing in live: variable:V\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            text.contains("v… (1002 more)\n") && text.lines().all(|line| line.chars().count() < 1_100),
            "{text}"
        );
    }
}
