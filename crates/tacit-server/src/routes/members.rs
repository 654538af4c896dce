//! The people of a workspace.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{AddMember, Member as MemberOut, Page, Problem as ProblemOut, UpdateMember};
use tacit_model::Timestamp;
use tacit_vault::MemberInfo;

use super::{Answer, named, new_name};
use crate::{
    app::App,
    extract::{Json, Member, Path},
    time,
};

fn out(member: &MemberInfo, now: Timestamp) -> MemberOut {
    MemberOut {
        name: member.name.to_string(),
        role: member.role.clone(),
        created_at: time::print(member.created_at),
        until: member.until.map(time::print),
        ended: member.until.is_some_and(|end| end <= now),
    }
}

/// The people of a workspace.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/members", tag = "members", params(("workspace" = String, Path)), responses((status = 200, body = Page<MemberOut>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(State(app): State<App>, Member(caller): Member) -> Answer<Out<Page<MemberOut>>> {
    let found = app.vault.list_members(&caller).await?;
    Ok(Out(Page::whole(found.iter().map(|member| out(member, caller.now)).collect())))
}

/// Makes somebody who has an account a member, without an invitation. For the instance's administrator, where they may
/// give the role; everybody else invites.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/members", tag = "members", params(("workspace" = String, Path)), request_body = AddMember, responses((status = 201, body = MemberOut), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn add(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<AddMember>,
) -> Answer<(StatusCode, Out<MemberOut>)> {
    let until = time::parse_opt("until", body.until.as_deref())?;
    let added = app.vault.add_member(&caller, &new_name("name", &body.name)?, &body.role, until).await?;
    Ok((StatusCode::CREATED, Out(out(&added, caller.now))))
}

/// Gives a member another role or another end, at once. You can give what you hold, to those who hold no more than you.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace}/members/{name}", tag = "members", params(("workspace" = String, Path), ("name" = String, Path)), request_body = UpdateMember, responses((status = 200, body = MemberOut), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn update(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Json(body): Json<UpdateMember>,
) -> Answer<Out<MemberOut>> {
    let until = match body.until {
        None => None,
        Some(text) => Some(time::parse_opt("until", text.as_deref())?),
    };
    let name = named(&name, "member")?;
    let changed = app.vault.update_member(&caller, &name, body.role.as_deref(), until).await?;
    Ok(Out(out(&changed, caller.now)))
}

/// Takes somebody out of the workspace, with their grants, at once. Everybody may take themselves out.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/members/{name}", tag = "members", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<StatusCode> {
    app.vault.remove_member(&caller, &named(&name, "member")?).await?;
    Ok(StatusCode::NO_CONTENT)
}
