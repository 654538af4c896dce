//! One proxied request: from a client's head to an answer that streams.
//!
//! Find the placeholders, decide, put it on the record while connecting, look again, open, inject, send, stream. The
//! middle of that is [`crate::permit`], the same for every request that leaves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tacit_model::{
    Code, Problem, SecretType, Target,
    target::{RequestPath, is_sendable_method},
};
use tacit_vault::{Caller, Lease, SecretSlot, TokenHash, UseRequest, Using, is_credential_name};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};

use super::{
    body::{self, Kind},
    find::{Found, Meant, Misplaced, Search},
    live::{Live, places_where},
    refusal::Refusal,
    reply::{Check, Reply},
    unstoppable::Unstoppable,
};
use crate::{
    Broker,
    faults::{outdated, wire_problem},
    permit::{PendingOutcome, Permitted, Sent, now},
    send::slots,
    wire::{Naming, OutboundBody, ResponseRule, ScrubbedStream, StreamLimits},
};

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// How long an upstream may think before it answers: language models do, for minutes.
const ANSWER_MAX: Duration = Duration::from_secs(300);
/// How long an answer may pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How long a client may take for a body that is read whole.
const BODY_MAX: Duration = Duration::from_secs(60);
/// One header of a client's, and all of them (attack B19).
const FIELD_BYTES_MAX: usize = 8 * 1024;
const FIELDS_BYTES_MAX: usize = 16 * 1024;
/// Tells a client that an empty answer is not what the upstream sent.
const WITHHELD: HeaderName = HeaderName::from_static("tacit-withheld");

/// A request's id: on the record, in the log, and in a refusal.
#[derive(Clone, Copy)]
pub(super) struct RequestId(pub(super) [u8; 16]);

impl RequestId {
    pub(super) fn new() -> Self {
        Self(tacit_vault::random_bytes())
    }

    pub(super) fn text(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Where a request goes, and under which lease.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) live: Arc<Live>,
    pub(super) lease: Arc<Lease>,
    pub(super) target: Target,
    pub(super) path: RequestPath,
    pub(super) id: RequestId,
}

/// The body of a client's request.
pub(super) trait ClientBody: Body<Data = Bytes, Error: Into<Broken>> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes, Error: Into<Broken>> + Send + Unpin + 'static> ClientBody for B {}

/// Why a client's body broke off. Nobody is told.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Forwards a request.
pub(super) async fn forward<B: ClientBody>(
    broker: &Broker,
    asked: Asked,
    request: Request<B>,
) -> Result<Response<Reply>, Refusal> {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    check_head(&parts)?;
    // Programs say where they were before, and with a base URL that holds the lease's token.
    let names_token = |value: &HeaderValue| value.as_bytes().windows(7).any(|text| text == b"tct_ls_");
    if parts.headers.get_all(header::REFERER).iter().any(names_token) {
        parts.headers.remove(header::REFERER);
    }
    let method = parts.method.clone();
    let (found, body) = match find(&asked, parts, body).await {
        Ok(found) => found,
        Err(Stopped::Misplaced(misplaced)) => {
            return Err(refuse(broker, &asked, method.as_str(), misplaced).await);
        }
        Err(Stopped::Refused(refusal)) => return Err(refusal),
    };
    let (target, id) = (asked.target.clone(), asked.id);
    let body_again = body.again();
    let (found, mut sent, mut outcome) = exchange(broker, &asked, found, body).await?;
    // Refused for its token, so nothing has happened. What streams cannot be sent twice: then it is up to the client.
    if sent.renews
        && let Some(body) = body_again
    {
        outcome.end(None);
        (_, sent, outcome) = exchange(broker, &asked, found, body).await?;
    }
    let Sent { received, scan, mut coverage, rule, .. } = sent;
    let stream = match received.stream(&scan, rule, StreamLimits { idle: PAUSE_MAX }).await {
        Ok(stream) => stream,
        Err(error) => {
            let problem = wire_problem(&error, &target);
            outcome.end(Some(problem.code));
            return Err(problem.into());
        }
    };
    let (status, mut headers) = (stream.status(), headers_of(&stream));
    // Only ours means anything.
    headers.remove(WITHHELD);
    if let Some(why) = withheld(rule, &stream) {
        headers.insert(WITHHELD, HeaderValue::from_static(why));
    }
    if rule != ResponseRule::StatusOnly && !broker.vault.still_covers(&mut coverage).await {
        let problem = outdated(&target);
        outcome.end(Some(problem.code));
        return Err(problem.into());
    }
    let check = Check::new(broker.vault.clone(), coverage);
    let reply = match Reply::begin(stream, check, outcome, target).await {
        Ok(reply) => reply,
        Err(problem) => return Err(problem.into()),
    };
    count("ok");
    metrics::histogram!("tacit_proxy_request_seconds").record(started.elapsed().as_secs_f64());
    tracing::debug!(request_id = id.text(), status, "proxied");
    let mut response = Response::new(reply);
    // A head of our own making: no reason phrase, no extensions (attack C4).
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    Ok(response)
}

/// Decides and sends, up to the head of the answer.
async fn exchange(
    broker: &Broker,
    asked: &Asked,
    found: Found,
    body: OutboundBody,
) -> Result<(Found, Sent, PendingOutcome), Problem> {
    let begun = asked.live.begin().await;
    // Until the outcome is sure to be told, a client who hangs up changes nothing.
    let permitting = Unstoppable::new(permit(broker.clone(), asked.clone(), found, begun));
    let (found, permitted) = permitting.await;
    let (permitted, mut outcome) = permitted?;
    match permitted.send(broker, &found.slots, &found.draft, Some(body), ANSWER_MAX, &mut outcome).await {
        Ok(sent) => Ok((found, sent, outcome)),
        Err(problem) => {
            outcome.end(Some(problem.code));
            Err(problem)
        }
    }
}

/// What a client is told that is refused.
pub(super) fn refused(refusal: Refusal, id: RequestId) -> Response<Reply> {
    count(refusal.problem.code.as_str());
    tracing::debug!(request_id = id.text(), status = refusal.status.as_u16(), "proxied");
    refusal.into_response(&id.text())
}

fn count(code: &'static str) {
    metrics::counter!("tacit_proxy_requests_total", "code" => code).increment(1);
}

/// What can be said of a head without knowing what it is for.
fn check_head(parts: &Parts) -> Result<(), Refusal> {
    if !is_sendable_method(parts.method.as_str()) {
        return Err(Refusal::method());
    }
    if parts.headers.contains_key(header::UPGRADE) {
        return Err(Refusal::upgrade());
    }
    // A header that `Connection` names is removed on the way. With a credential that would be another request (attack F3).
    let is_protected = |name: &&[u8]| {
        std::str::from_utf8(name.trim_ascii())
            .is_ok_and(|name| name.eq_ignore_ascii_case("host") || is_credential_name(name))
    };
    let named = parts.headers.get_all(header::CONNECTION).iter();
    if named.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|name| is_protected(&name)) {
        return Err(Refusal::bad_request("Connection names a header that must arrive"));
    }
    let length = |name: &HeaderName, value: &HeaderValue| name.as_str().len() + value.len();
    let too_large = parts.headers.iter().any(|(name, value)| length(name, value) > FIELD_BYTES_MAX)
        || parts.headers.iter().map(|(name, value)| length(name, value)).sum::<usize>() > FIELDS_BYTES_MAX;
    if too_large { Err(Refusal::headers_too_large()) } else { Ok(()) }
}

/// Why a request did not get as far as the decision.
enum Stopped {
    /// On the record as a refusal.
    Misplaced(Misplaced),
    /// Broken input.
    Refused(Refusal),
}

impl From<Misplaced> for Stopped {
    fn from(misplaced: Misplaced) -> Self {
        // A path or body that can be read in two ways is bad input and nobody's refusal.
        if misplaced.problem.code == Code::ValidationFailed {
            return Self::Refused(Refusal { status: StatusCode::BAD_REQUEST, problem: misplaced.problem });
        }
        Self::Misplaced(misplaced)
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Finds the placeholders. What is left of the body streams, or was read because it had to be looked into.
async fn find<B: ClientBody>(asked: &Asked, parts: Parts, body: B) -> Result<(Found, OutboundBody), Stopped> {
    let Asked { lease, target, path, .. } = asked;
    let meant = |hash: &TokenHash| {
        lease.find(hash).map(|leased| Meant {
            secret: leased.secret,
            name: &leased.name,
            own_header: leased.own_header.as_deref(),
            is_pair: leased.kind == SecretType::BasicAuth,
        })
    };
    let own_headers: Vec<&str> = lease.secrets.iter().filter_map(|s| s.own_header.as_deref()).collect();
    let places = places_where(lease, |destination| destination.matches_origin(target));
    let search = Search { meant: &meant, own_headers: &own_headers, places: &places };
    let mut found = Found::in_head(&search, target.clone(), &parts.method, path, parts.headers)?;
    let (method, path) = (parts.method.as_str(), found.draft.path.path());
    let places = places_where(lease, |d| d.matches(target, method, path, &lease.environment));
    let Some(kind) = Kind::of(&found.draft.plain_headers, &places) else {
        return Ok((found, OutboundBody::stream(body)));
    };
    let search = Search { places: &places, ..search };
    let bytes = read_whole(body).await?;
    found.in_body(&search, kind, &bytes)?;
    Ok((found, OutboundBody::from(bytes)))
}

async fn read_whole<B: ClientBody>(body: B) -> Result<Bytes, Refusal> {
    let reading = Limited::new(body, body::SEARCHED_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_MAX, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal::body_too_large()),
        Ok(Err(_)) => Err(Refusal::bad_request("the body broke off")),
        Err(_) => Err(Refusal::bad_request("the body took too long")),
    }
}

/// The decision and everything that must not be interrupted, for which there was room to begin. The draft goes along and
/// comes back.
async fn permit(
    broker: Broker,
    asked: Asked,
    found: Found,
    _begun: Option<OwnedSemaphorePermit>,
) -> (Found, Result<(Permitted, PendingOutcome), Problem>) {
    let Asked { lease, target, id, .. } = asked;
    let caller = lease.caller(now(), id.0);
    let slots = slots(&found.slots);
    let request = UseRequest {
        caller: &caller,
        using: Using::Lease(&lease),
        environment: &lease.environment,
        target: &target,
        method: &found.draft.method,
        path: found.draft.path.path(),
        other_path: None,
        slots: &slots,
        foreign_credential: found.foreign_credential,
    };
    // Without a secret in it, plain http to a host of nobody's is the client's own business.
    let unnamed = if slots.is_empty() { Naming::Other } else { Naming::NotNamed };
    let permitted = broker.permit(&request, &found.slots, unnamed, CONNECT_MAX).await;
    (found, permitted)
}

/// Connects a tunnel that nobody looks into. It is on the record like a request that carries no secret.
pub(super) async fn connect_blindly(
    broker: &Broker,
    live: &Live,
    lease: Arc<Lease>,
    target: &Target,
    id: RequestId,
) -> Result<(TcpStream, PendingOutcome), Refusal> {
    let (broker, target) = (broker.clone(), target.clone());
    let begun = live.begin().await;
    let connecting = Unstoppable::new(async move {
        let caller = lease.caller(now(), id.0);
        let request = bare_request(&lease, &caller, &target, "CONNECT");
        let connected = broker.permit_tunnel(&request, CONNECT_MAX).await;
        drop(begun);
        connected
    });
    Ok(connecting.await?)
}

/// A request to somewhere that the lease does not lead to: refused, and on the record.
pub(super) async fn refuse_target(
    broker: &Broker,
    lease: &Lease,
    target: &Target,
    method: &str,
    id: RequestId,
) -> Refusal {
    let problem = Problem::new(
        Code::DestinationNotAllowed,
        format!("{target} is not a destination of this lease's secrets"),
    )
    .suggest("ask an owner or admin to add the destination to the secret, then take a new lease; or take a lease that lets requests to other hosts pass");
    let caller = lease.caller(now(), id.0);
    broker.vault.refuse_use(&bare_request(lease, &caller, target, method), problem).await.into()
}

/// Puts a misplaced placeholder on the record.
async fn refuse(broker: &Broker, asked: &Asked, method: &str, misplaced: Misplaced) -> Refusal {
    let caller = asked.lease.caller(now(), asked.id.0);
    let slots: Vec<SecretSlot> =
        misplaced.slot.map(|slot| SecretSlot { name: slot.name, place: slot.place }).into_iter().collect();
    let request = UseRequest { slots: &slots, ..bare_request(&asked.lease, &caller, &asked.target, method) };
    broker.vault.refuse_use(&request, misplaced.problem).await.into()
}

fn bare_request<'a>(
    lease: &'a Lease,
    caller: &'a Caller,
    target: &'a Target,
    method: &'a str,
) -> UseRequest<'a> {
    UseRequest {
        caller,
        using: Using::Lease(lease),
        environment: &lease.environment,
        target,
        method,
        path: "/",
        other_path: None,
        slots: &[],
        foreign_credential: false,
    }
}

/// Why only the status is shown, if that is so.
fn withheld(rule: ResponseRule, stream: &ScrubbedStream) -> Option<&'static str> {
    match rule {
        ResponseRule::StatusOnly => Some("status_only"),
        ResponseRule::Block if stream.is_withheld() => Some("block"),
        ResponseRule::Block | ResponseRule::Scrub => None,
    }
}

fn headers_of(stream: &ScrubbedStream) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(stream.headers().len() + 1);
    for (name, value) in stream.headers() {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    if let Some(length) = stream.content_length() {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    headers
}
