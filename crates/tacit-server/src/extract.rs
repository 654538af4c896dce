//! From a request to what a use case takes: who asks, and a body that is what it should be.

use std::net::IpAddr;

use axum::{
    extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request},
    http::{Method, header, request::Parts},
};
use serde::de::DeserializeOwned;
use tacit_api::exact;
use tacit_crypto::token::{self, TokenHash, TokenKind};
use tacit_model::{Code, Problem, Scheme, Target, Timestamp, WorkspaceName};
use tacit_vault::{By, Caller, Precondition};

use crate::{
    app::App,
    listen::Peer,
    observe::RequestId,
    precondition::{check_tagged, if_match},
    problem::ApiError,
    time,
};

/// Somebody who presented a token that may exist: for routes outside workspaces.
#[derive(Clone)]
pub(crate) struct Bearer {
    pub(crate) token: TokenHash,
    pub(crate) now: Timestamp,
}

pub(crate) fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated, "no valid token was presented")
        .suggest("send `Authorization: Bearer tct_…` with a token that has not ended, or run `tacit login`")
}

/// Whoever is presented: by a token in the header, or else by a browser's cookie. A cookie comes along by itself, so with one
/// a write must come from our own pages.
fn presented(parts: &Parts, app: &App) -> Result<TokenHash, Problem> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return bearer(parts);
    }
    let session = Cookie::of(app).find(parts).ok_or_else(unauthenticated)?;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        same_origin(&Origin::of(parts), &Here::of(parts, app)?)?;
    }
    match token::parse(session) {
        Ok((TokenKind::Session, hash)) => Ok(hash),
        _ => Err(unauthenticated()),
    }
}

/// The session's cookie: sent to no other site, to no script, and over TLS to nobody without it.
pub(crate) struct Cookie {
    is_tls: bool,
}

impl Cookie {
    pub(crate) fn of(app: &App) -> Self {
        Self { is_tls: app.url.starts_with("https:") }
    }

    /// `__Host-` makes browsers refuse it from anything but this host over TLS.
    fn name(&self) -> &'static str {
        if self.is_tls { "__Host-tacit_session" } else { "tacit_session" }
    }

    /// The header that sets it, or with nothing and no time forgets it.
    pub(crate) fn set(&self, value: &str, secs: i64) -> String {
        let secure = if self.is_tls { "; Secure" } else { "" };
        format!("{}={value}; Path=/; Max-Age={secs}; HttpOnly; SameSite=Strict{secure}", self.name())
    }

    fn find<'a>(&self, parts: &'a Parts) -> Option<&'a str> {
        let all = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut named = all
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.name());
        // Two of that name are an attempt to slip one in.
        let (_, value) = named.next()?;
        named.next().is_none().then_some(value)
    }
}

/// The page that a browser says a request comes from.
pub(crate) struct Origin(Option<String>);

impl Origin {
    fn of(parts: &Parts) -> Self {
        Self(parts.headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()).map(str::to_owned))
    }
}

impl FromRequestParts<App> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

/// Whether a request comes from a page of this server. What does not say is not.
pub(crate) fn same_origin(origin: &Origin, here: &Here) -> Result<(), Problem> {
    let wrong = || {
        Problem::new(Code::Forbidden, "a browser's session writes only from this server's own pages")
            .suggest("programs sign in for a token instead of a cookie")
    };
    let scheme = if here.scheme == "https" { Scheme::Https } else { Scheme::Http };
    let authority =
        origin.0.as_deref().and_then(|origin| origin.strip_prefix(here.scheme)?.strip_prefix("://"));
    let target =
        authority.and_then(|authority| Target::parse_authority(scheme, authority).ok()).ok_or_else(wrong)?;
    if format!("{}:{}", target.host(), target.port()) == here.authority { Ok(()) } else { Err(wrong()) }
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

impl FromRequestParts<App> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        Ok(Self { token: presented(parts, state)?, now: time::now() })
    }
}

/// When, and in which request.
pub(crate) struct RequestedBy(pub(crate) By);

impl FromRequestParts<App> for RequestedBy {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0).unwrap_or_default();
        Ok(Self(By { now: time::now(), request_id }))
    }
}

/// Somebody who belongs to the workspace that the path names: known before the body is read. What they may do there is
/// the use case's to say.
pub(crate) struct Member(pub(crate) Caller);

impl FromRequestParts<App> for Member {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self, ApiError> {
        let token = presented(parts, state)?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| not_found())?;
        let workspace = params
            .iter()
            .find(|(name, _)| *name == "workspace")
            .and_then(|(_, value)| value.parse::<WorkspaceName>().ok());
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0).unwrap_or_default();
        let mut caller = Caller {
            workspace: workspace.ok_or_else(not_found)?,
            token,
            now: time::now(),
            request_id,
            precondition: Precondition::NONE,
        };
        state.vault.check_member(&caller).await?;
        caller.precondition = if_match(&parts.headers)?;
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        check_tagged(&parts.method, route, &caller.precondition)?;
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
        Ok(Self::of(parts, state)?)
    }
}

impl Here {
    fn of(parts: &Parts, state: &App) -> Result<Self, Problem> {
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
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|error| bad_query(&error.body_text()).into())
    }
}

/// What is wrong with a query: which parameter, and where it is a choice, of what. What was sent is not repeated.
fn bad_query(message: &str) -> Problem {
    const OTHERWISE: &str = "is not what this route takes; its parameters are in /openapi.json";
    let whole = harmless(message, OTHERWISE);
    let named = message.split(": ").nth(1).filter(|name| is_plain(name));
    let Some(name) = named.filter(|_| whole == OTHERWISE) else { return Problem::invalid("query", whole) };
    // What was sent stands before it, so the last one is ours.
    match message.rsplit_once(", expected one of ") {
        Some((_, known)) => Problem::invalid(name, format!("must be one of {}", known.replace('`', ""))),
        None => Problem::invalid(name, OTHERWISE),
    }
}

/// Whether something looks like one of our own field names.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 40
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
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
                format!(
                    "the request's body is over {} bytes, or over {} where somebody signs in or joins",
                    tacit_model::limits::REQUEST_BODY_BYTES_MAX,
                    tacit_model::limits::SIGN_IN_BODY_BYTES_MAX
                ),
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
    if let Some(own) = [exact::TWICE, exact::TOO_LONG].into_iter().find(|own| *own == message) {
        return own.to_owned();
    }
    let start = ["unknown field `", "missing field `"].iter().find_map(|start| message.find(start));
    let Some(start) = start else { return otherwise.to_owned() };
    let message = &message[start..];
    let field = message.split('`').nth(1).unwrap_or_default();
    if is_plain(field) {
        format!("has an {message}").replace("has an missing", "has a missing")
    } else {
        otherwise.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a query that is not taken it is said which parameter is wrong, and never what it was.
    #[test]
    fn queries() {
        let start = "Failed to deserialize query string: ";
        for (message, field, with) in [
            ("limit: invalid digit found in string", "limit", "is not what"),
            (
                "state: unknown variant `b, expected one of x`, expected one of `active`, `due`",
                "state",
                "active, due",
            ),
            ("nope: unknown field `nope`, expected one of `limit`", "query", "unknown field `nope`"),
            ("x y: unknown field `x y`, expected one of `limit`", "query", "is not what"),
            ("duplicate field `limit`", "query", "is not what"),
        ] {
            let problem = bad_query(&format!("{start}{message}"));
            assert_eq!(problem.issues[0].field, field, "{message}");
            assert!(problem.detail.contains(with) && !problem.detail.contains("of x"), "{}", problem.detail);
        }
    }

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
        let twice = r#"{"fields": {"content": {"a": "hunter2", "a": "hunter2"}}}"#;
        let error = serde_json::from_str::<tacit_api::PutValue>(twice).err().unwrap();
        assert_eq!(bad_json(&error).issues[0].message, exact::TWICE);
        let error = serde_json::from_str::<tacit_api::PutValue>(r#"{"values": 1}"#).err().unwrap();
        assert!(bad_json(&error).detail.contains("unknown field `values`"), "{}", bad_json(&error).detail);
    }
}
