//! `runs`: what automations did.

use clap::Subcommand;
use tacit_api::{PageQuery, Run, RunStatus, StepResult, StepStatus};

use crate::{
    error::Outcome,
    output::{Output, data},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List runs, newest first.
    #[command(after_help = "Example:\n  tacit runs list --limit 20")]
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Show a run and its steps; with `--output json` what they brought, too.
    #[command(after_help = "Example:\n  tacit runs show run_0193b5a8-7e4f-7c2e-9d54-0123456789ab")]
    Show {
        /// Its id.
        id: String,
    },
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        match self {
            Self::List { limit } => {
                let page = session.workspace().runs(&PageQuery { limit: Some(limit), cursor: None }).await?;
                session.out.list(page.items, &["ID", "AUTOMATION", "ENV", "STATUS", "STARTED", "BY"], |run| {
                    let status = match &run.error {
                        Some(error) => format!("{} ({})", run.status.as_str(), error.code),
                        None => run.status.as_str().to_owned(),
                    };
                    vec![
                        run.id.clone(),
                        run.automation.clone(),
                        run.environment.clone(),
                        status,
                        run.started_at.clone(),
                        run.started_by.clone(),
                    ]
                })
            }
            Self::Show { id } => show(&session.workspace().run(&id).await?, session.out),
        }
    }
}

/// A run: one line for itself, one or more for each step.
pub(crate) fn show(run: &Run, out: Output) -> Outcome {
    if out == Output::Json {
        return out.json(run);
    }
    let mut text =
        format!("{}  {} in {}  {}\n", run.id, run.automation, run.environment, run.status.as_str());
    let width = run.steps.iter().map(|step| step.id.len()).max().unwrap_or_default();
    for step in &run.steps {
        text.push_str(&step_lines(step, width));
    }
    // What a step failed of is said with the step.
    let said = run.steps.iter().any(|step| step.error.is_some());
    if let (Some(error), false) = (&run.error, said) {
        text.push_str(&format!("  {} ({})\n", error.detail, error.code));
    }
    if run.status == RunStatus::Running {
        text.push_str(&format!("  it goes on: tacit runs show {}\n", run.id));
    }
    data(&text)
}

fn step_lines(step: &StepResult, width: usize) -> String {
    let mut line = format!("  {:width$}  {:9}", step.id, step.status.as_str());
    let status = step.output.as_ref().and_then(|output| output.get("status"));
    line.push_str(&status.map(|status| format!("  {status}")).unwrap_or_default());
    if step.status != StepStatus::Skipped {
        line.push_str(&format!("  {} ms", step.duration_ms));
    }
    if step.redactions > 0 {
        line.push_str(&format!("  {}", redactions(step.redactions)));
    }
    let mut lines = format!("{}\n", line.trim_end());
    if let Some(error) = &step.error {
        lines.push_str(&format!("    {} ({})\n", error.detail, error.code));
        lines.extend(error.suggestion.iter().map(|suggestion| format!("    {suggestion}\n")));
    }
    lines
}

/// How often something was taken out, in words.
pub(crate) fn redactions(count: u64) -> String {
    if count == 1 { "1 redaction".to_owned() } else { format!("{count} redactions") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A step is one line; one that failed says why and what to do.
    #[test]
    fn steps() {
        let step = |value| serde_json::from_value::<StepResult>(value).ok().unwrap();
        let good = step(
            json!({"id": "charge", "status": "succeeded", "output": {"status": 201}, "redactions": 1, "duration_ms": 12}),
        );
        assert_eq!(step_lines(&good, 8), "  charge    succeeded  201  12 ms  1 redaction\n");
        let bad = step(json!({"id": "x", "status": "failed", "redactions": 0, "duration_ms": 3,
            "error": {"code": "destination_not_allowed", "detail": "`K` may not go there", "suggestion": "add it"}}));
        assert_eq!(
            step_lines(&bad, 1),
            "  x  failed     3 ms\n    `K` may not go there (destination_not_allowed)\n    add it\n"
        );
        let skipped = step(json!({"id": "y", "status": "skipped", "redactions": 0, "duration_ms": 0}));
        assert_eq!(step_lines(&skipped, 1), "  y  skipped\n");
    }
}
