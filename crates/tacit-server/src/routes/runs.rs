//! The history of runs, and stopping them.

use axum::{Json as Out, extract::State};
use serde_json::{Value, json};
use tacit_api::{Page, Problem as ProblemOut, Run, RunError, RunStatus, RunsQuery};
use tacit_model::{Problem, RunId};
use tacit_vault::{Fired, RunFilter, RunRecord};

use super::{Answer, cursor, from_cursor, limit};
use crate::{
    app::App,
    extract::{Member, Path, Query},
    time,
};

/// What a list can be narrowed to.
const TRIGGERS: [&str; 3] = [Fired::Schedule.as_str(), Fired::Webhook.as_str(), RunFilter::MANUAL];

pub(crate) fn out(record: &RunRecord) -> Result<Run, Problem> {
    let mut written: Vec<Value> = serde_json::from_str(&record.steps).map_err(Problem::internal)?;
    if let Some(begun) = &record.begun {
        written.push(json!({"id": begun, "status": "running", "redactions": 0, "duration_ms": 0}));
    }
    let steps: Vec<tacit_api::StepResult> =
        serde_json::from_value(Value::Array(written)).map_err(Problem::internal)?;
    let error = record.code.as_ref().map(|code| {
        let stopped = tacit_api::stopped_by(&steps, code).and_then(|step| Some((step, step.error.as_ref()?)));
        let failed = stopped.map(|(step, error)| format!("step `{}`: {}", step.id, error.detail));
        let detail = failed.unwrap_or_else(|| without_a_step(code).to_owned());
        RunError { code: code.clone(), detail }
    });
    Ok(Run {
        id: record.id.to_string(),
        automation: record.automation.clone(),
        environment: record.environment.clone(),
        status: status(&record.status).unwrap_or(RunStatus::Running),
        trigger: record.trigger.clone(),
        cancelling: record.cancelled_by.is_some() && record.finished_at.is_none(),
        steps,
        error,
        started_by: record.started_by.clone(),
        started_at: time::print(record.started_at),
        finished_at: record.finished_at.map(time::print),
        duration_ms: record.finished_at.map(|end| {
            let took = end.as_millis().saturating_sub(record.started_at.as_millis());
            // A clock that was set back meanwhile says nothing.
            u64::try_from(took).unwrap_or(0)
        }),
    })
}

fn status(text: &str) -> Option<RunStatus> {
    RunStatus::ALL.into_iter().find(|status| status.as_str() == text)
}

/// Why a run failed, where no step did.
fn without_a_step(code: &str) -> &'static str {
    match code {
        "interrupted" => "the server stopped while this ran; what it had sent by then is not known",
        "cancelled" => "somebody stopped it",
        "not_deployed" => "what is published was replaced or removed before this was its turn",
        _ => "it could not go on",
    }
}

/// Runs, newest first, with their steps but without what those brought.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/runs", tag = "runs", params(("workspace" = String, Path), RunsQuery), responses((status = 200, body = Page<Run>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<RunsQuery>,
) -> Answer<Out<Page<Run>>> {
    let before = from_cursor(query.cursor.as_deref())?
        .map(|id| id.parse::<RunId>())
        .transpose()
        .map_err(|_| Problem::invalid("cursor", "is not one that a list gave"))?;
    if query.status.as_deref().is_some_and(|text| status(text).is_none()) {
        let message = "must be queued, running, succeeded, failed or cancelled";
        return Err(Problem::invalid("status", message).into());
    }
    if query.trigger.as_deref().is_some_and(|text| !TRIGGERS.contains(&text)) {
        let message = format!("must be {}", TRIGGERS.join(" or "));
        return Err(Problem::invalid("trigger", message).into());
    }
    let filter = RunFilter {
        automation: query.automation,
        environment: query.environment,
        status: query.status,
        trigger: query.trigger,
    };
    let rows = limit(query.limit)?;
    let found = app.vault.list_runs(&caller, &filter, before, rows).await?;
    let next_cursor =
        if found.len() == rows { found.last().map(|run| cursor(&run.id.to_string())) } else { None };
    Ok(Out(Page { items: found.iter().map(out).collect::<Result<_, _>>()?, next_cursor }))
}

/// A run with its steps.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/runs/{id}", tag = "runs", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 200, body = Run), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn show(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<Out<Run>> {
    Ok(Out(out(&app.vault.show_run(&caller, run_id(&id)?).await?)?))
}

/// Stops a run: at once if it waits, before its next step if it goes. One that is over stays as it is.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/runs/{id}/cancel", tag = "runs", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 200, body = Run), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<Out<Run>> {
    Ok(Out(out(&app.runner.cancel(&caller, run_id(&id)?).await?)?))
}

pub(super) fn run_id(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|_| Problem::not_found("run"))
}
