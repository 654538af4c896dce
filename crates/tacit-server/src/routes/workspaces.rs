//! Workspaces, environments, members.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{
    CreateEnvironment, CreateWorkspace, Environment, Member as MemberOut, Page, Problem as ProblemOut,
    UpdateWorkspace, Workspace,
};
use tacit_model::Problem;
use tacit_vault::{EnvironmentInfo, SettingsPatch, WorkspaceInfo};

use super::Answer;
use crate::{
    app::App,
    extract::{Bearer, Json, Member},
    time,
};

fn out(info: WorkspaceInfo) -> Workspace {
    Workspace {
        name: info.name.to_string(),
        version_keep_days: info.settings.version_keep_days,
        version_keep_count: info.settings.version_keep_count,
        deletion_window_days: info.settings.deletion_window_days,
        allow_protected_delete: info.settings.allow_protected_delete,
        created_at: time::print(info.created_at),
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
pub(crate) async fn show(State(app): State<App>, Member(caller): Member) -> Answer<Out<Workspace>> {
    Ok(Out(out(app.vault.describe_workspace(&caller).await?)))
}

/// Changes a workspace's settings.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace}", tag = "workspaces", params(("workspace" = String, Path)), request_body = UpdateWorkspace, responses((status = 200, body = Workspace), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn update(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<UpdateWorkspace>,
) -> Answer<Out<Workspace>> {
    let patch = SettingsPatch {
        version_keep_days: body.version_keep_days,
        version_keep_count: body.version_keep_count,
        deletion_window_days: body.deletion_window_days,
        allow_protected_delete: body.allow_protected_delete,
    };
    Ok(Out(out(app.vault.update_workspace(&caller, patch).await?)))
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

/// The people of a workspace.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/members", tag = "workspaces", params(("workspace" = String, Path)), responses((status = 200, body = Page<MemberOut>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list_members(
    State(app): State<App>,
    Member(caller): Member,
) -> Answer<Out<Page<MemberOut>>> {
    let found = app.vault.list_members(&caller).await?;
    let out = found.into_iter().map(|member| MemberOut {
        name: member.name.to_string(),
        role: member.role.as_str().to_owned(),
        created_at: time::print(member.created_at),
    });
    Ok(Out(Page::whole(out.collect())))
}
