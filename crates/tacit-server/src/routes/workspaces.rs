//! Workspaces, environments, members.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{
    CreateEnvironment, CreateWorkspace, DryRunQuery, Environment, Page, Problem as ProblemOut,
    UpdateWorkspace, Workspace,
};
use tacit_model::Problem;
use tacit_vault::{EnvironmentInfo, SettingsPatch, WorkspaceInfo};

use super::{Answer, Tagged};
use crate::{
    app::App,
    extract::{Bearer, Json, Member, Query},
    precondition::etag,
    time,
};

fn tagged(info: WorkspaceInfo) -> Tagged<Workspace> {
    (etag(&info.tag), Out(out(info)))
}

fn out(info: WorkspaceInfo) -> Workspace {
    Workspace {
        name: info.name.to_string(),
        version_keep_days: info.settings.version_keep_days,
        version_keep_count: info.settings.version_keep_count,
        deletion_window_days: info.settings.deletion_window_days,
        allow_protected_delete: info.settings.allow_protected_delete,
        reveal_needs_reason: info.settings.reveal_needs_reason,
        hide_after_secs: info.settings.hide_after_secs,
        run_keep_days: info.settings.run_keep_days,
        created_at: time::print(info.created_at),
        destroys_versions: info.destroys_versions,
    }
}

fn environment_out(info: &EnvironmentInfo) -> Environment {
    Environment {
        name: info.name.to_string(),
        protected: info.protected,
        created_at: time::print(info.created_at),
    }
}

/// The workspaces you belong to.
#[utoipa::path(get, path = "/v1/workspaces", tag = "workspaces", responses((status = 200, body = Page<Workspace>)))]
pub(crate) async fn list(State(app): State<App>, who: Bearer) -> Answer<Out<Page<Workspace>>> {
    let found = app.vault.list_workspaces(who.token, who.now).await?;
    Ok(Out(Page::whole(found.into_iter().map(out).collect())))
}

/// Makes a workspace; its maker becomes its owner. Only the instance's administrator may.
#[utoipa::path(post, path = "/v1/workspaces", tag = "workspaces", request_body = CreateWorkspace, responses((status = 201, body = Workspace), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    who: Bearer,
    Json(body): Json<CreateWorkspace>,
) -> Answer<(StatusCode, Out<Workspace>)> {
    let name = body
        .name
        .parse()
        .map_err(|error: tacit_model::NameError| Problem::invalid("name", error.to_string()))?;
    let made = app.vault.create_workspace(who.token, who.now, &name).await?;
    Ok((StatusCode::CREATED, Out(out(made))))
}

/// A workspace and its settings.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}", tag = "workspaces", params(("workspace" = String, Path)), responses((status = 200, body = Workspace), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn show(State(app): State<App>, Member(caller): Member) -> Answer<Tagged<Workspace>> {
    Ok(tagged(app.vault.describe_workspace(&caller).await?))
}

/// Changes a workspace's settings. With `dry_run` nothing changes, and the answer says what would.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace}", tag = "workspaces", params(("workspace" = String, Path), DryRunQuery), request_body = UpdateWorkspace, responses((status = 200, body = Workspace), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn update(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<DryRunQuery>,
    Json(body): Json<UpdateWorkspace>,
) -> Answer<Tagged<Workspace>> {
    let patch = SettingsPatch {
        version_keep_days: body.version_keep_days,
        version_keep_count: body.version_keep_count,
        deletion_window_days: body.deletion_window_days,
        allow_protected_delete: body.allow_protected_delete,
        reveal_needs_reason: body.reveal_needs_reason,
        hide_after_secs: body.hide_after_secs,
        run_keep_days: body.run_keep_days,
    };
    Ok(tagged(app.vault.update_workspace(&caller, patch, query.dry_run.unwrap_or(false)).await?))
}

/// The environments of a workspace.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/environments", tag = "workspaces", params(("workspace" = String, Path)), responses((status = 200, body = Page<Environment>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list_environments(
    State(app): State<App>,
    Member(caller): Member,
) -> Answer<Out<Page<Environment>>> {
    let found = app.vault.list_environments(&caller).await?;
    Ok(Out(Page::whole(found.iter().map(environment_out).collect())))
}

/// Adds an environment.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/environments", tag = "workspaces", params(("workspace" = String, Path)), request_body = CreateEnvironment, responses((status = 201, body = Environment), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create_environment(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<CreateEnvironment>,
) -> Answer<(StatusCode, Out<Environment>)> {
    let name = body
        .name
        .parse()
        .map_err(|error: tacit_model::NameError| Problem::invalid("name", error.to_string()))?;
    let made = app.vault.create_environment(&caller, &name, body.protected).await?;
    Ok((StatusCode::CREATED, Out(environment_out(&made))))
}
