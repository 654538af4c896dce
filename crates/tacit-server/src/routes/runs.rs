//! The history of runs.

use axum::{Json as Out, extract::State};
use tacit_api::{Page, PageQuery, Problem as ProblemOut, Run, RunError, RunStatus};
use tacit_model::{Problem, RunId};
use tacit_vault::RunRecord;

use super::{Answer, cursor, from_cursor, limit};
use crate::{
    app::App,
    extract::{Member, Path, Query},
    time,
};

pub(crate) fn out(record: &RunRecord) -> Result<Run, Problem> {
    let steps: Vec<tacit_api::StepResult> = serde_json::from_str(&record.steps).map_err(Problem::internal)?;
    let failed = steps
        .iter()
        .find_map(|step| step.error.as_ref().map(|error| format!("step `{}`: {}", step.id, error.detail)));
    let error = record.code.as_ref().map(|code| RunError {
        code: code.clone(),
        detail: failed.unwrap_or_else(|| {
            "the server stopped while this ran; what it had sent by then is not known".to_owned()
        }),
    });
    Ok(Run {
        id: record.id.to_string(),
        automation: record.automation.clone(),
        environment: record.environment.clone(),
        status: match record.status.as_str() {
            "succeeded" => RunStatus::Succeeded,
            "failed" => RunStatus::Failed,
            _ => RunStatus::Running,
        },
        steps,
        error,
        started_by: record.started_by.clone(),
        started_at: time::print(record.started_at),
        finished_at: record.finished_at.map(time::print),
    })
}

/// Runs, newest first.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/runs", tag = "runs", params(("workspace" = String, Path), PageQuery), responses((status = 200, body = Page<Run>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<PageQuery>,
) -> Answer<Out<Page<Run>>> {
    let before = from_cursor(query.cursor.as_deref())?
        .map(|id| id.parse::<RunId>())
        .transpose()
        .map_err(|_| Problem::invalid("cursor", "is not one that a list gave"))?;
    let rows = limit(query.limit)?;
    let found = app.vault.list_runs(&caller, before, rows).await?;
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
    let id: RunId = id.parse().map_err(|_| Problem::not_found("run"))?;
    Ok(Out(out(&app.vault.show_run(&caller, id).await?)?))
}
