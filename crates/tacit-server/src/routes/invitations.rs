//! Invitations: how people get in.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{AcceptInvitation, Accepted, CreateInvitation, Invitation, Page, Problem as ProblemOut};
use tacit_crypto::token::{self, TokenKind};
use tacit_model::{InvitationId, Problem};
use tacit_vault::{Acceptance, InvitationInfo, NewInvitation};

use super::{Answer, new_name};
use crate::{
    app::App,
    extract::{Here, Json, Member, Path, RequestedBy, unauthenticated},
    time,
};

fn out(invitation: &InvitationInfo, token: Option<&str>) -> Invitation {
    Invitation {
        id: invitation.id.to_string(),
        name: invitation.name.to_string(),
        role: invitation.role.clone(),
        until: invitation.until.map(time::print),
        token: token.map(str::to_owned),
        created_by: invitation.created_by.clone(),
        created_at: time::print(invitation.created_at),
        expires_at: time::print(invitation.expires_at),
    }
}

/// Invitations that can still be accepted.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/invitations", tag = "members", params(("workspace" = String, Path)), responses((status = 200, body = Page<Invitation>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(State(app): State<App>, Member(caller): Member) -> Answer<Out<Page<Invitation>>> {
    let found = app.vault.list_invitations(&caller).await?;
    Ok(Out(Page::whole(found.iter().map(|invitation| out(invitation, None)).collect())))
}

/// Invites somebody. The token is in this answer and never again; whoever has it can accept, once. The role can have no
/// right that you do not hold, then and when it is accepted.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/invitations", tag = "members", params(("workspace" = String, Path)), request_body = CreateInvitation, responses((status = 201, body = Invitation), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<CreateInvitation>,
) -> Answer<(StatusCode, Out<Invitation>)> {
    let new = NewInvitation {
        name: new_name("name", &body.name)?,
        role: body.role,
        until: time::parse_opt("until", body.until.as_deref())?,
        ttl_secs: body.ttl_secs,
    };
    let (made, token) = app.vault.create_invitation(&caller, &new).await?;
    Ok((StatusCode::CREATED, Out(out(&made, Some(token.dangerous_expose())))))
}

/// Takes an invitation back, at once.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/invitations/{id}", tag = "members", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let id: InvitationId = id.parse().map_err(|_| Problem::not_found("invitation"))?;
    app.vault.delete_invitation(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accepts an invitation: makes the account, with this password, or takes the password of the account that is there.
#[utoipa::path(post, path = "/v1/invitations/accept", tag = "members", request_body = AcceptInvitation, responses((status = 201, body = Accepted), (status = "4XX", body = ProblemOut)), security(()))]
pub(crate) async fn accept(
    State(app): State<App>,
    here: Here,
    RequestedBy(by): RequestedBy,
    Json(body): Json<AcceptInvitation>,
) -> Answer<(StatusCode, Out<Accepted>)> {
    let Ok((TokenKind::Invitation, token)) = token::parse(body.token.trim()) else {
        return Err(unauthenticated().into());
    };
    let asked =
        Acceptance { token, password: &body.password, code: body.code.as_deref(), address: here.source, by };
    let (workspace, name) = app.vault.accept_invitation(&asked).await?;
    let answer = Accepted { workspace: workspace.to_string(), name: name.to_string() };
    Ok((StatusCode::CREATED, Out(answer)))
}
