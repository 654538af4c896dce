//! A connection to the proxy that a lease's token was presented for once, so that its requests need say nothing more.
//!
//! `tacit run` opens one for each connection of its program. The token stays with `tacit run`; the program that may leak
//! what is in its environment has only an address on the loopback interface.

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tacit_api::Problem as ProblemOut;
use tacit_broker::proxy::Entry;
use tacit_crypto::token::{self, TokenHash, TokenKind};
use tacit_model::{Code, LeaseId, Problem, WorkspaceName};

use crate::{app::App, extract::Path, listen::Peer, observe::RequestId, problem::ApiError, time};

/// What the connection turns into.
const PROTOCOL: &str = "tacit-proxy";

/// Turns the connection into one to the proxy under a lease, whose token is the bearer token. Answers 101.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/leases/{id}/relay", tag = "leases", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 101, description = "the connection is one to the proxy now"), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn open(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Extension(request_id): Extension<RequestId>,
    Path((workspace, id)): Path<(WorkspaceName, LeaseId)>,
    mut request: Request,
) -> Result<Response, ApiError> {
    let token = lease_token(request.headers()).ok_or_else(unauthenticated)?;
    let lease = app.vault.lease_of_token(token, peer.address.ip(), request_id.0, time::now()).await;
    // One answer, whatever it is that is wrong with a token.
    let lease = lease.map_err(|problem| match problem.code {
        Code::Unauthenticated => unauthenticated(),
        _ => problem,
    })?;
    if lease.workspace != workspace || lease.id != id {
        return Err(unauthenticated().into());
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().filter(|_| asks_for_it(request.headers()));
    let upgrade = upgrade.ok_or_else(|| {
        Problem::invalid("upgrade", format!("must be `{PROTOCOL}`, on a connection of HTTP/1.1"))
            .suggest("use `tacit run`, or the proxy itself with the lease's token as its password")
    })?;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => app.proxy.serve(TokioIo::new(upgraded), Entry::Lease(lease)).await,
            Err(error) => tracing::debug!(%error, "a relay's connection ended before it was one"),
        }
        // Its place among the connections was taken along.
        drop(peer);
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static(PROTOCOL)),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated, "no valid lease token was presented").suggest(
        "send `Authorization: Bearer tct_ls_…` with the token of this lease, from where it may be used",
    )
}

fn lease_token(headers: &HeaderMap) -> Option<TokenHash> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    match token::parse(text) {
        Ok((TokenKind::Lease, hash)) if scheme.eq_ignore_ascii_case("bearer") => Some(hash),
        _ => None,
    }
}

fn asks_for_it(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes()))
}
