//! `runs`: what automations did and do, and stopping them.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::Value;
use tacit_api::{Run, RunStatus, RunsQuery, StepStatus};

use crate::{
    error::{Failure, Outcome},
    output::{Output, data},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List runs, newest first.
    #[command(after_help = "Example:\n  tacit runs list --limit 20")]
    List(List),
    /// Show a run and its steps; with `--output json` what they brought, too.
    #[command(after_help = "Example:\n  tacit runs show run_0193b5a87e4f7c2e9d540123456789ab")]
    Show {
        /// Its id.
        id: String,
    },
    /// Show a run's steps as they end, until it is over. Fails if the run fails.
    #[command(after_help = "Example:\n  tacit runs watch run_0193b5a87e4f7c2e9d540123456789ab")]
    Watch {
        /// Its id.
        id: String,
    },
    /// Stop a run: at once if it waits for its turn, before its next step if it goes.
    #[command(after_help = "Example:\n  tacit runs cancel run_0193b5a87e4f7c2e9d540123456789ab")]
    Cancel {
        /// Its id.
        id: String,
    },
}

/// Which runs to list.
#[derive(Args)]
pub(crate) struct List {
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only of this automation.
    #[arg(long, value_name = "NAME")]
    automation: Option<String>,
    /// Only with this status.
    #[arg(long, value_parser = RunStatus::ALL.map(RunStatus::as_str))]
    status: Option<String>,
    /// Only those that this started; `manual` is somebody, and no trigger.
    #[arg(long, value_parser = ["schedule", "webhook", MANUAL])]
    trigger: Option<String>,
}

/// Stands for runs that somebody started.
const MANUAL: &str = "manual";

/// Runs per request.
const PAGE_ROWS: u32 = 500;

/// How long to wait between two looks at a run: a little at first, because most are over soon.
const POLL_FIRST: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(500);

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Show { id } => show(&session.workspace().run(&id).await?, session.out),
            Self::Watch { id } => watch(session, &id).await,
            Self::Cancel { id } => {
                let run = session.workspace().cancel_run(&id).await?;
                let sentence = match (run.status.is_over(), run.cancelling) {
                    (true, _) => format!("{id} is over: {}", run.status.as_str()),
                    (false, _) => format!("{id} stops before its next step"),
                };
                session.out.done(&run, &sentence)
            }
        }
    }
}

impl List {
    async fn run(self, session: &Session) -> Outcome {
        session.say_every_environment();
        let mut query = RunsQuery {
            automation: self.automation,
            environment: session.named_environment.clone(),
            status: self.status,
            trigger: self.trigger,
            ..RunsQuery::default()
        };
        let (mut runs, limit): (Vec<Run>, _) = (Vec::new(), self.limit as usize);
        while runs.len() < limit {
            query.limit = Some(u32::try_from(limit - runs.len()).unwrap_or(PAGE_ROWS).min(PAGE_ROWS));
            let page = session.workspace().runs(&query).await?;
            runs.extend(page.items);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        session.out.list(runs, &["ID", "AUTOMATION", "ENV", "STATUS", "TRIGGER", "STARTED", "BY"], |run| {
            let status = match &run.error {
                Some(error) => format!("{} ({})", run.status.as_str(), error.code),
                None => run.status.as_str().to_owned(),
            };
            vec![
                run.id.clone(),
                run.automation.clone(),
                run.environment.clone(),
                status,
                run.trigger.clone().unwrap_or_else(|| MANUAL.to_owned()),
                run.started_at.clone(),
                run.started_by.clone(),
            ]
        })
    }
}

/// Each step when it is over, then the run.
async fn watch(session: &Session, id: &str) -> Outcome {
    let is_told = session.out != Output::Json;
    let tell = |line: &str| if is_told { data(line) } else { Ok(()) };
    let run = follow(session, id, None, tell).await?;
    close(&run, session.out)
}

/// Looks at a run until it is over, or until a moment, and tells of each step when that is over.
pub(crate) async fn follow(
    session: &Session,
    id: &str,
    until: Option<Instant>,
    mut tell: impl FnMut(&str) -> Outcome,
) -> Outcome<Run> {
    let (mut told, mut pause) = (0, POLL_FIRST);
    loop {
        let run = session.workspace().run(id).await.map_err(|error| {
            let again = format!("the run goes on: look at it with `tacit runs watch {id}`");
            if error.code().is_none() { Failure::from(error).hint(again) } else { error.into() }
        })?;
        let over = run.steps.iter().take_while(|step| step.status != StepStatus::Running).count();
        for at in told..over {
            tell(&step_lines(&run, at, 0))?;
        }
        told = told.max(over);
        let left = until.map_or(POLL, |until| until.saturating_duration_since(Instant::now()));
        if run.status.is_over() || left.is_zero() {
            return Ok(run);
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(POLL);
    }
}

/// The end of a run whose steps were told of already.
pub(crate) fn close(run: &Run, out: Output) -> Outcome {
    if out == Output::Json {
        out.json(run)?;
    } else {
        data(&format!("{}  {}\n", run.id, run.status.as_str()))?;
    }
    failure(run).map_or(Ok(()), Err)
}

/// What a run that did not succeed comes to.
pub(crate) fn failure(run: &Run) -> Option<Failure> {
    if matches!(run.status, RunStatus::Succeeded | RunStatus::Queued | RunStatus::Running) {
        return None;
    }
    let hint = format!("`tacit runs show {} --output json` has everything it brought", run.id);
    let stopped = run.stopped_by().and_then(|step| Some((&step.id, step.error.as_ref()?)));
    Some(match (stopped, &run.error) {
        (Some((id, error)), _) => Failure {
            code: Some(error.code.clone()),
            ..Failure::new(format!("the run failed at step {id}"), error.suggestion.clone().unwrap_or(hint))
        },
        (None, Some(error)) => Failure {
            code: Some(error.code.clone()),
            ..Failure::new(format!("the run did not succeed: {}", error.detail), hint)
        },
        (None, None) => Failure::new("the run did not succeed", hint),
    })
}

/// A run: one line for itself, one or more for each step.
pub(crate) fn show(run: &Run, out: Output) -> Outcome {
    if out == Output::Json {
        return out.json(run);
    }
    let mut text =
        format!("{}  {} in {}  {}\n", run.id, run.automation, run.environment, run.status.as_str());
    let width = run.steps.iter().map(|step| step.id.len()).max().unwrap_or_default();
    for at in 0..run.steps.len() {
        text.push_str(&step_lines(run, at, width));
    }
    // What a step failed of is said with the step.
    if let (Some(error), None) = (&run.error, run.stopped_by()) {
        text.push_str(&format!("  {} ({})\n", error.detail, error.code));
    }
    if !run.status.is_over() {
        text.push_str(&format!("  it goes on: tacit runs watch {}\n", run.id));
    }
    data(&text)
}

/// One step of a run, and why if it did not do what it should.
fn step_lines(run: &Run, at: usize, width: usize) -> String {
    let Some(step) = run.steps.get(at) else { return String::new() };
    let of_output = |name: &str| step.output.as_ref().and_then(|output| output.get(name));
    let mut parts = vec![format!("{:width$}  {:9}", step.id, step.status.as_str())];
    parts.extend(of_output("status").map(ToString::to_string));
    match step.status {
        StepStatus::Skipped => parts.extend(why_skipped(run, at).map(str::to_owned)),
        // How long that takes is known when it is over.
        StepStatus::Running => {}
        StepStatus::Succeeded | StepStatus::Failed => parts.push(format!("{} ms", step.duration_ms)),
    }
    parts.extend(step.attempts.map(|attempts| format!("{attempts} attempts")));
    if step.redactions > 0 {
        parts.push(redactions(step.redactions));
    }
    parts.extend(of_output("withheld").and_then(Value::as_str).map(|rule| format!("withheld ({rule})")));
    let mut lines = format!("  {}\n", parts.join("  ").trim_end());
    if let Some(error) = &step.error {
        lines.push_str(&format!("    {} ({})\n", error.detail, error.code));
        lines.extend(error.suggestion.iter().map(|suggestion| format!("    {suggestion}\n")));
    }
    lines
}

/// Why a step was skipped, as far as that follows from where it stands: before the run was stopped, its condition can have
/// been the only reason.
fn why_skipped(run: &Run, at: usize) -> Option<&'static str> {
    let stopped =
        run.steps.iter().rposition(|step| step.error.is_some()).filter(|_| run.stopped_by().is_some());
    match (run.status, stopped) {
        (RunStatus::Failed, Some(stopped)) if at > stopped => Some("the run stopped before it"),
        (RunStatus::Failed, Some(_)) | (RunStatus::Succeeded | RunStatus::Running | RunStatus::Queued, _) => {
            Some("its condition did not hold")
        }
        // A run that somebody or something else stopped does not say from where on.
        _ => None,
    }
}

/// How often something was taken out, in words.
pub(crate) fn redactions(count: u64) -> String {
    if count == 1 { "1 redaction".to_owned() } else { format!("{count} redactions") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(value: Value) -> Run {
        let mut run = json!({"id": "run_1", "automation": "a", "environment": "test", "status": "failed",
            "started_by": "user:owner", "started_at": ""});
        for (name, value) in value.as_object().unwrap() {
            run[name] = value.clone();
        }
        serde_json::from_value(run).ok().unwrap()
    }

    /// A step is one line that says what is worth knowing; one that failed says why and what to do.
    #[test]
    fn steps() {
        let line =
            |step: Value, width| step_lines(&run(json!({"status": "succeeded", "steps": [step]})), 0, width);
        let good = json!({"id": "charge", "status": "succeeded", "output": {"status": 201}, "redactions": 1, "duration_ms": 12});
        assert_eq!(line(good, 8), "  charge    succeeded  201  12 ms  1 redaction\n");
        let bad = json!({"id": "x", "status": "failed", "redactions": 0, "duration_ms": 3, "attempts": 2,
            "error": {"code": "destination_not_allowed", "detail": "`K` may not go there", "suggestion": "add it"}});
        assert_eq!(
            line(bad, 1),
            "  x  failed     3 ms  2 attempts\n    `K` may not go there (destination_not_allowed)\n    add it\n"
        );
        let withheld = json!({"id": "y", "status": "succeeded", "redactions": 0, "duration_ms": 1,
            "output": {"status": 200, "withheld": "status_only"}});
        assert_eq!(line(withheld, 1), "  y  succeeded  200  1 ms  withheld (status_only)\n");
        let running = json!({"id": "z", "status": "running", "redactions": 0, "duration_ms": 0});
        assert_eq!(line(running, 1), "  z  running\n");
    }

    /// The step that failed a run is the one that stopped it, and what comes after it was skipped for that.
    #[test]
    fn what_stopped_a_run() {
        let step = |id: &str, code: Option<&str>| {
            let mut step = json!({"id": id, "status": "skipped", "redactions": 0, "duration_ms": 0});
            if let Some(code) = code {
                step["status"] = "failed".into();
                step["error"] = json!({"code": code, "detail": "d"});
            }
            step
        };
        let steps = [
            step("a", Some("unexpected_status")),
            step("b", None),
            step("c", Some("unexpected_status")),
            step("d", None),
        ];
        let error = json!({"code": "unexpected_status", "detail": "step `c`: d"});
        let failed = run(json!({"steps": steps, "error": error}));
        assert!(failure(&failed).unwrap().what.ends_with("at step c"));
        assert_eq!(why_skipped(&failed, 1), Some("its condition did not hold"));
        assert_eq!(why_skipped(&failed, 3), Some("the run stopped before it"));
        let error = json!({"code": "cancelled", "detail": "somebody stopped it"});
        let cancelled = run(json!({"status": "cancelled", "steps": steps, "error": error}));
        assert!(failure(&cancelled).unwrap().what.contains("somebody stopped it"));
        assert_eq!(why_skipped(&cancelled, 3), None);
    }
}
