//! Service accounts, their tokens, and who one is.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{
    CreateServiceAccount, CreateToken, Membership, Page, Problem as ProblemOut, ServiceAccount, Token, WhoAmI,
};
use tacit_model::{Problem, TokenId};

use super::{Answer, access::reason, named, new_name};
use crate::{
    app::App,
    extract::{Bearer, Json, Member, Path},
    time,
};

fn out(account: &tacit_vault::ServiceAccountInfo) -> ServiceAccount {
    ServiceAccount {
        id: account.id.to_string(),
        name: account.name.to_string(),
        role: account.role.clone(),
        created_at: time::print(account.created_at),
    }
}

/// Who the presented token belongs to, and what it may do where.
#[utoipa::path(get, path = "/v1/whoami", tag = "accounts", responses((status = 200, body = WhoAmI), (status = 401, body = ProblemOut)))]
pub(crate) async fn who_am_i(State(app): State<App>, who: Bearer) -> Answer<Out<WhoAmI>> {
    let found = app.vault.who_am_i(who.token, who.now).await?;
    Ok(Out(WhoAmI {
        kind: found.kind.to_owned(),
        name: found.name,
        instance_admin: found.instance_admin,
        workspaces: found
            .workspaces
            .into_iter()
            .map(|(name, principal, because)| Membership {
                name: name.to_string(),
                role: if principal.is_agent() { "agent" } else { &principal.role }.to_owned(),
                rights: principal.rights.iter().map(|right| right.to_string()).collect(),
                because: because.iter().map(reason).collect(),
            })
            .collect(),
    }))
}

/// The machines' accounts of a workspace.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/service-accounts", tag = "accounts", params(("workspace" = String, Path)), responses((status = 200, body = Page<ServiceAccount>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
) -> Answer<Out<Page<ServiceAccount>>> {
    let found = app.vault.list_service_accounts(&caller).await?;
    Ok(Out(Page::whole(found.iter().map(out).collect())))
}

/// Makes a machine's account. Its role can have no right that you do not hold.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/service-accounts", tag = "accounts", params(("workspace" = String, Path)), request_body = CreateServiceAccount, responses((status = 201, body = ServiceAccount), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<CreateServiceAccount>,
) -> Answer<(StatusCode, Out<ServiceAccount>)> {
    let made = app.vault.create_service_account(&caller, &new_name("name", &body.name)?, &body.role).await?;
    Ok((StatusCode::CREATED, Out(out(&made))))
}

/// Deletes a machine's account and ends its tokens at once.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/service-accounts/{name}", tag = "accounts", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<StatusCode> {
    app.vault.delete_service_account(&caller, &named(&name, "service account")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tokens of an account, without their texts.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/service-accounts/{name}/tokens", tag = "accounts", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Page<Token>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list_tokens(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<Out<Page<Token>>> {
    let found = app.vault.list_tokens(&caller, &named(&name, "service account")?).await?;
    let out = found.into_iter().map(|token| Token {
        id: token.id.to_string(),
        token: None,
        created_at: time::print(token.created_at),
        expires_at: token.expires_at.map(time::print),
        ended: token.expires_at.is_some_and(|end| end <= caller.now),
    });
    Ok(Out(Page::whole(out.collect())))
}

/// Issues a token. Its text is in this answer and never again.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/service-accounts/{name}/tokens", tag = "accounts", params(("workspace" = String, Path), ("name" = String, Path)), request_body = CreateToken, responses((status = 201, body = Token), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create_token(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Json(body): Json<CreateToken>,
) -> Answer<(StatusCode, Out<Token>)> {
    let expires_at = time::parse_opt("expires_at", body.expires_at.as_deref())?;
    let made = app.vault.create_token(&caller, &named(&name, "service account")?, expires_at).await?;
    let token = Token {
        id: made.id.to_string(),
        token: Some(made.text.dangerous_expose().to_owned()),
        created_at: time::print(made.created_at),
        expires_at: made.expires_at.map(time::print),
        ended: false,
    };
    Ok((StatusCode::CREATED, Out(token)))
}

/// Ends a token at once.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/service-accounts/{name}/tokens/{id}", tag = "accounts", params(("workspace" = String, Path), ("name" = String, Path), ("id" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn revoke_token(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, id)): Path<(String, String, String)>,
) -> Answer<StatusCode> {
    let id: TokenId = id.parse().map_err(|_| Problem::not_found("token"))?;
    app.vault.revoke_token(&caller, &named(&name, "service account")?, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
