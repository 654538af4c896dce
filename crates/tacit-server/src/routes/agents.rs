//! Agents' sessions.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{
    AgentSession, CreateAgentSession, GivenAgentSession, Page, Problem as ProblemOut, SessionQuery,
    SessionState,
};
use tacit_model::{AgentSessionId, Problem, Timestamp};
use tacit_vault::{AgentSessionInfo, NewAgentSession};

use super::{Answer, leases::state_of, new_name};
use crate::{
    app::App,
    extract::{Json, Member, Path, Query},
    time,
};

fn out(info: AgentSessionInfo, now: Timestamp) -> AgentSession {
    AgentSession {
        id: info.id.to_string(),
        name: info.name.to_string(),
        state: state_of(info.ended_at, info.expires_at, now),
        created_by: info.created_by,
        requests_max: info.requests_max,
        requests: info.requests,
        created_at: time::print(info.created_at),
        expires_at: time::print(info.expires_at),
        ended_at: info.ended_at.map(time::print),
    }
}

/// Makes a session for an agent that acts for the caller, with a part of the caller's rights. Its token is in this answer
/// and never again.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/agent-sessions", tag = "agents", params(("workspace" = String, Path)), request_body = CreateAgentSession, responses((status = 201, body = GivenAgentSession), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<CreateAgentSession>,
) -> Answer<(StatusCode, Out<GivenAgentSession>)> {
    let new = NewAgentSession {
        name: new_name("name", &body.name)?,
        ttl_secs: body.ttl_secs,
        requests_max: body.requests_max,
    };
    let given = app.vault.create_agent_session(&caller, &new).await?;
    let session = GivenAgentSession {
        id: given.info.id.to_string(),
        token: given.token.dangerous_expose().to_owned(),
        name: given.info.name.to_string(),
        expires_at: time::print(given.info.expires_at),
        requests_max: given.info.requests_max,
    };
    Ok((StatusCode::CREATED, Out(session)))
}

/// The sessions one made; everybody's for those who may read the record.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/agent-sessions", tag = "agents", params(("workspace" = String, Path), SessionQuery), responses((status = 200, body = Page<AgentSession>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<SessionQuery>,
) -> Answer<Out<Page<AgentSession>>> {
    let found = app.vault.list_agent_sessions(&caller).await?.into_iter().map(|info| out(info, caller.now));
    let wanted = found.filter(|session| query.all.unwrap_or(false) || session.state == SessionState::Open);
    Ok(Out(Page::whole(wanted.collect())))
}

/// Ends a session, and the leases that its agent took, at once: one's own, and with `member.manage` anybody's.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/agent-sessions/{id}", tag = "agents", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn end(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let id: AgentSessionId = id.parse().map_err(|_| Problem::not_found("agent session"))?;
    app.vault.end_agent_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
