//! Automations and starting them.

use std::time::Duration;

use axum::{
    Json as Out,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tacit_api::{
    AutomationInfo, AutomationQuery, DryRunQuery, Manifest, Page, PageQuery, Problem as ProblemOut,
    Published, Run, Saved, StartRun, WaitQuery,
};
use tacit_model::{Problem, limits};

use super::{Answer, Tagged, cursor, environment, environment_in, from_cursor, limit, manifest, named, runs};
use crate::{
    app::App,
    definition,
    extract::{Body, Json, Member, Path, Query},
    precondition::etag,
    problem::ApiError,
    time,
};

/// Automations by name.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/automations", tag = "automations", params(("workspace" = String, Path), PageQuery), responses((status = 200, body = Page<AutomationInfo>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<PageQuery>,
) -> Answer<Out<Page<AutomationInfo>>> {
    let after = from_cursor(query.cursor.as_deref())?.unwrap_or_default();
    let (found, next) = app.vault.list_automations(&caller, &after, limit(query.limit)?).await?;
    let out = found.into_iter().map(|automation| AutomationInfo {
        name: automation.name.to_string(),
        description: automation.description,
        environments: automation.environments.iter().map(ToString::to_string).collect(),
        published_at: time::print(automation.published_at),
    });
    Ok(Out(Page { items: out.collect(), next_cursor: next.as_deref().map(cursor) }))
}

/// A definition as it is published; in YAML if `Accept` asks for it.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/automations/{name}", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path), AutomationQuery), responses((status = 200, body = Object), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn show(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Query(query): Query<AutomationQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let asked = query.environment.as_deref().map(environment).transpose()?;
    let (definition, tag) =
        app.vault.show_automation(&caller, &named(&name, "automation")?, asked.as_ref()).await?;
    if is_yaml(&headers, header::ACCEPT) {
        let value: Value = serde_json::from_str(&definition).map_err(Problem::internal)?;
        let yaml = serde_saphyr::to_string(&value).map_err(Problem::internal)?;
        return Ok((etag(&tag), [(header::CONTENT_TYPE, "application/yaml")], yaml).into_response());
    }
    Ok((etag(&tag), [(header::CONTENT_TYPE, "application/json")], definition).into_response())
}

/// An automation to take elsewhere: a manifest that `import` takes, with its definition and what each thing that it names
/// has to be. No value.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/automations/{name}/template", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path), AutomationQuery), responses((status = 200, body = Manifest), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn template(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Query(query): Query<AutomationQuery>,
) -> Answer<Out<Manifest>> {
    let asked = query.environment.as_deref().map(environment).transpose()?;
    let found = app.vault.automation_template(&caller, &named(&name, "automation")?, asked.as_ref()).await?;
    Ok(Out(manifest::out(found)?))
}

/// Publishes a definition, JSON or YAML by content type, in the first environment that is not protected.
#[utoipa::path(put, path = "/v1/workspaces/{workspace}/automations/{name}", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path), DryRunQuery), request_body = Object, responses((status = 200, body = Published), (status = 201, body = Published), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn put(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Query(query): Query<DryRunQuery>,
    headers: HeaderMap,
    Body(body): Body,
) -> Answer<(StatusCode, Tagged<Published>)> {
    let name = named(&name, "automation")?;
    let definition = definition::parse(&body, is_yaml(&headers, header::CONTENT_TYPE), &name)?;
    let issues = tacit_runner::schedule::issues(&definition);
    if !issues.is_empty() {
        return Err(Problem::invalid_fields(issues).into());
    }
    let dry_run = query.dry_run.unwrap_or(false);
    let published =
        app.vault.publish_automation(&caller, &definition, dry_run).await.map_err(ApiError::when_saved)?;
    // Its triggers may be enabled already, and at other times now.
    app.runner.replan();
    let status = if published.created && !dry_run { StatusCode::CREATED } else { StatusCode::OK };
    let tag = etag(&published.tag);
    let out = Published {
        name: published.name.to_string(),
        environment: published.environment.to_string(),
        result: match (published.created, published.unchanged) {
            (true, _) => Saved::Created,
            (false, true) => Saved::Unchanged,
            (false, false) => Saved::Changed,
        },
        hash: published.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        secrets: published.secrets,
        variables: published.variables,
        warnings: published.warnings,
    };
    Ok((status, (tag, Out(out))))
}

fn is_yaml(headers: &HeaderMap, name: header::HeaderName) -> bool {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().contains("yaml"))
}

/// Removes an automation everywhere.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/automations/{name}", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<StatusCode> {
    app.vault.delete_automation(&caller, &named(&name, "automation")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a run; `?wait=SECS` waits for its end. A run that fails is still a run that was made.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/automations/{name}/runs", tag = "automations", params(("workspace" = String, Path), ("name" = String, Path), WaitQuery), request_body = StartRun, responses((status = 201, body = Run), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn run(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Query(query): Query<WaitQuery>,
    Json(body): Json<StartRun>,
) -> Answer<(StatusCode, Out<Run>)> {
    let environment = environment_in("environment", &body.environment)?;
    let wait = query.wait.unwrap_or(0);
    if wait > limits::RUN_SECS_MAX {
        return Err(Problem::invalid("wait", format!("must be at most {}", limits::RUN_SECS_MAX)).into());
    }
    let running = app
        .runner
        .start(&caller, &named(&name, "automation")?, &environment, body.input.unwrap_or(Value::Null))
        .await?;
    let record = if wait == 0 { running.record } else { running.within(Duration::from_secs(wait)).await };
    Ok((StatusCode::CREATED, Out(runs::out(&record)?)))
}
