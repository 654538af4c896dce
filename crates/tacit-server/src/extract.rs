//! From a request to what a use case takes: who asks, and a body that is what it should be.

use std::net::IpAddr;

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{header, request::Parts},
};
use serde::de::DeserializeOwned;
use tacit_crypto::token::{self, TokenHash, TokenKind};
use tacit_model::{Code, Problem, Scheme, Target, Timestamp, WorkspaceName};
use tacit_vault::Caller;

use crate::{app::App, listen::Peer, observe::RequestId, problem::ApiError, time};

/// Somebody who presented a token that may exist: for routes outside workspaces.
#[derive(Clone)]
pub(crate) struct Bearer {
    pub(crate) token: TokenHash,
    pub(crate) now: Timestamp,
}

fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated, "no valid token was presented")
        .suggest("send `Authorization: Bearer tct_…` with a token that has not ended, or run `tacit login`")
}

fn bearer(parts: &Parts) -> Result<TokenHash, Problem> {
    let presented = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(unauthenticated)?;
    let (scheme, text) = presented.split_once(' ').ok_or_else(unauthenticated)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthenticated());
    }
    // Only what a person, a machine or an agent signs in with; every other kind is for other doors.
    match token::parse(text) {
        Ok((TokenKind::User | TokenKind::ServiceAccount | TokenKind::AgentSession, hash)) => Ok(hash),
        _ => Err(unauthenticated()),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self { token: bearer(parts)?, now: time::now() })
    }
}

/// Somebody who belongs to the workspace that the path names: known before the body is read. What they may do there is
/// the use case's to say.
pub(crate) struct Member(pub(crate) Caller);

impl FromRequestParts<App> for Member {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let token = bearer(parts)?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| not_found())?;
        let workspace = params
            .iter()
            .find(|(name, _)| *name == "workspace")
            .and_then(|(_, value)| value.parse::<WorkspaceName>().ok());
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0).unwrap_or_default();
        let caller =
            Caller { workspace: workspace.ok_or_else(not_found)?, token, now: time::now(), request_id };
        state.vault.check_member(&caller).await?;
        Ok(Self(caller))
    }
}

fn not_found() -> Problem {
    Problem::not_found("workspace")
}

/// From where somebody asks, and under which address they know this server.
pub(crate) struct Here {
    pub(crate) source: IpAddr,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// Host and port as the client wrote them, or else the listener's.
    pub(crate) authority: String,
}

impl FromRequestParts<App> for Here {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<Peer>();
        let peer = peer.ok_or_else(|| Problem::internal("a request came over no known connection"))?;
        let scheme = if state.url.starts_with("https:") { Scheme::Https } else { Scheme::Http };
        let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let named = named.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
        // What is handed back is what our own parser made of it, with the port written out.
        let target = named.and_then(|named| Target::parse_authority(scheme, named).ok());
        let authority = match target {
            Some(target) => format!("{}:{}", target.host(), target.port()),
            None => state.url.split("://").nth(1).unwrap_or_default().to_owned(),
        };
        Ok(Self { source: peer.address.ip(), scheme: scheme.as_str(), authority })
    }
}

/// A path's parameters: names parsed to their types; what does not parse names nothing.
pub(crate) struct Path<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| Problem::not_found("thing").into())
    }
}

/// Query parameters; unknown ones are refused.
pub(crate) struct Query<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::<T>::from_request_parts(parts, state).await.map(|query| Self(query.0)).map_err(
            |error| {
                Problem::invalid(
                    "query",
                    harmless(
                        &error.body_text(),
                        "is not what this route takes; its parameters are in /openapi.json",
                    ),
                )
                .into()
            },
        )
    }
}

/// A JSON body of one type; an empty body counts as `{}`.
pub(crate) struct Json<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Body(bytes) = Body::from_request(request, state).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(bytes).map(Self).map_err(|error| bad_json(&error).into())
    }
}

/// A body as bytes, within the limit.
pub(crate) struct Body(pub(crate) bytes::Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        bytes::Bytes::from_request(request, state).await.map(Self).map_err(|_| {
            Problem::new(
                Code::PayloadTooLarge,
                format!("the request's body is over {} bytes", tacit_model::limits::REQUEST_BODY_BYTES_MAX),
            )
            .suggest("send less")
            .into()
        })
    }
}

/// What is wrong with a JSON body, without repeating any of it: a parser's message may hold the value that was sent.
pub(crate) fn bad_json(error: &serde_json::Error) -> Problem {
    let place = format!("line {} column {}", error.line(), error.column());
    if error.is_data() {
        Problem::invalid(
            "body",
            harmless(
                &error.to_string(),
                &format!(
                    "does not have the shape that this route takes, at {place}; the shapes are in /openapi.json"
                ),
            ),
        )
    } else {
        Problem::invalid("body", format!("is not JSON, at {place}"))
    }
}

/// A message of serde's that only names fields; everything else is replaced.
fn harmless(message: &str, otherwise: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let start = ["unknown field `", "missing field `"].iter().find_map(|start| message.find(start));
    let Some(start) = start else { return otherwise.to_owned() };
    let message = &message[start..];
    let field = message.split('`').nth(1).unwrap_or_default();
    let is_plain = !field.is_empty()
        && field.len() <= 40
        && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_plain {
        format!("has an {message}").replace("has an missing", "has a missing")
    } else {
        otherwise.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KV v2 wrote secret values into its errors when a payload did not parse; here nothing that was sent comes back.
    #[test]
    fn errors_do_not_repeat_what_was_sent() {
        let error = serde_json::from_str::<tacit_api::PutValue>(r#"{"fields": "sk_live_abcdefghijklmnop"}"#)
            .err()
            .unwrap();
        assert!(!bad_json(&error).detail.contains("sk_live"));
        let error = serde_json::from_str::<tacit_api::PutValue>(
            r#"{"sk_live_abcdefghijklmnopqrstuvwxyz0123456789ABCDEF": 1}"#,
        )
        .err()
        .unwrap();
        assert!(!bad_json(&error).detail.contains("sk_live"));
        let error = serde_json::from_str::<tacit_api::PutValue>(r#"{"values": 1}"#).err().unwrap();
        assert!(bad_json(&error).detail.contains("unknown field `values`"), "{}", bad_json(&error).detail);
    }
}
