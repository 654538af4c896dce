//! Roles, and grants of them in parts of the workspace.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{CreateGrant, CreateRole, Grant, Page, Problem as ProblemOut, Role, Scope, UpdateRole};
use tacit_model::{GrantId, Issue, Problem, Rights};
use tacit_vault::{GrantInfo, NewGrant, RoleInfo};

use super::{Answer, environment_in, named, new_name};
use crate::{
    app::App,
    extract::{Json, Member, Path},
    time,
};

fn role_out(role: &RoleInfo) -> Role {
    Role {
        name: role.name.clone(),
        rights: role.rights.iter().map(|right| right.to_string()).collect(),
        built_in: role.built_in,
    }
}

fn rights(written: &[String]) -> Result<Rights, Problem> {
    let mut rights = Rights::NONE;
    for (at, right) in written.iter().enumerate() {
        let right = right.parse().map_err(|_| {
            let message = "is no right; they are listed with the role `owner` in `tacit roles list`";
            Problem::invalid_fields(vec![Issue::new(format!("rights[{at}]"), message)])
        })?;
        rights = rights.or(Rights::of(&[right]));
    }
    Ok(rights)
}

/// The roles of a workspace, built-in ones first.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/roles", tag = "access", params(("workspace" = String, Path)), responses((status = 200, body = Page<Role>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list_roles(State(app): State<App>, Member(caller): Member) -> Answer<Out<Page<Role>>> {
    let found = app.vault.list_roles(&caller).await?;
    Ok(Out(Page::whole(found.iter().map(role_out).collect())))
}

/// Makes a role. Its rights must be yours, in the whole workspace.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/roles", tag = "access", params(("workspace" = String, Path)), request_body = CreateRole, responses((status = 201, body = Role), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create_role(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<CreateRole>,
) -> Answer<(StatusCode, Out<Role>)> {
    let made = app.vault.create_role(&caller, &new_name("name", &body.name)?, rights(&body.rights)?).await?;
    Ok((StatusCode::CREATED, Out(role_out(&made))))
}

/// Gives a role other rights; everybody who has it gets or loses them at once. Added ones must be yours.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace}/roles/{name}", tag = "access", params(("workspace" = String, Path), ("name" = String, Path)), request_body = UpdateRole, responses((status = 200, body = Role), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn update_role(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Json(body): Json<UpdateRole>,
) -> Answer<Out<Role>> {
    let changed = app.vault.update_role(&caller, &named(&name, "role")?, rights(&body.rights)?).await?;
    Ok(Out(role_out(&changed)))
}

/// Removes a role that nobody has.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/roles/{name}", tag = "access", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete_role(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<StatusCode> {
    app.vault.delete_role(&caller, &named(&name, "role")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn grant_out(grant: GrantInfo) -> Grant {
    Grant {
        id: grant.id.to_string(),
        role: grant.role,
        to: grant.to,
        scope: Scope {
            environment: grant.environment.map(|name| name.to_string()),
            folder: grant.folder.map(|folder| folder.to_string()),
            secret: grant.secret,
        },
        until: grant.until.map(time::print),
        ended: grant.ended,
        created_at: time::print(grant.created_at),
        created_by: grant.created_by,
    }
}

/// Grants: your own, those that you manage, and with `audit.read` all of them.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/grants", tag = "access", params(("workspace" = String, Path)), responses((status = 200, body = Page<Grant>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list_grants(State(app): State<App>, Member(caller): Member) -> Answer<Out<Page<Grant>>> {
    let found = app.vault.list_grants(&caller).await?;
    Ok(Out(Page::whole(found.into_iter().map(grant_out).collect())))
}

/// Makes a grant. Nobody grants what they do not hold there for as long, or to themselves.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/grants", tag = "access", params(("workspace" = String, Path)), request_body = CreateGrant, responses((status = 201, body = Grant), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create_grant(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<CreateGrant>,
) -> Answer<(StatusCode, Out<Grant>)> {
    let scope = &body.scope;
    let new = NewGrant {
        role: body.role,
        to: body.to.parse()?,
        environment: scope
            .environment
            .as_deref()
            .map(|name| environment_in("scope.environment", name))
            .transpose()?,
        folder: scope.folder.as_deref().map(super::folder).transpose()?,
        secret: scope.secret.as_deref().map(|name| new_name("scope.secret", name)).transpose()?,
        until: time::parse_opt("until", body.until.as_deref())?,
    };
    let made = app.vault.create_grant(&caller, &new).await?;
    Ok((StatusCode::CREATED, Out(grant_out(made))))
}

/// Withdraws a grant, at once.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/grants/{id}", tag = "access", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete_grant(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let id: GrantId = id.parse().map_err(|_| Problem::not_found("grant"))?;
    app.vault.delete_grant(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
