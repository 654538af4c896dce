//! Proposals: secrets without a value, for somebody else to fill.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{Problem as ProblemOut, ProposeSecret, Secret};
use tacit_vault::NewProposal;

use super::{
    Answer, destinations, folder, new_name,
    secrets::{kind, out, visibility},
};
use crate::{
    app::App,
    extract::{Json, Member},
};

/// Proposes a secret: an empty slot that somebody with `secret.write` fills. The destinations are a suggestion and not in
/// force.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/proposals", tag = "secrets", params(("workspace" = String, Path)), request_body = ProposeSecret, responses((status = 201, body = Secret), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<ProposeSecret>,
) -> Answer<(StatusCode, Out<Secret>)> {
    let new = NewProposal {
        name: new_name("name", &body.name)?,
        kind: kind(&body.kind)?,
        visibility: visibility(&body.visibility)?,
        description: body.description.unwrap_or_default(),
        folder: folder(body.folder.as_deref().unwrap_or_default())?,
        destinations: destinations(&body.destinations)?,
    };
    Ok((StatusCode::CREATED, Out(out(app.vault.propose_secret(&caller, &new).await?))))
}
