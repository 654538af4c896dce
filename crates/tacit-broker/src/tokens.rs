//! Fetching access tokens: the one request in which a client secret leaves.
//!
//! It goes to the token URL of its secret and nowhere else: the address is judged like any other, a redirect is not
//! followed, and of the answer nobody sees anything but the token's effect. Requests that miss the same token wait for one
//! fetch. What the vault does for it is in `tacit-vault/src/uses/tokens.rs`.

mod flights;

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use serde::Deserialize;
use tacit_model::{
    Code, EnvironmentName, Fields, Problem, RequestPath, SecretName, SecretType, Target, limits,
};
use tacit_redact::ScanSet;
use tacit_vault::{
    Caller, Fetch, Lease, PreparedUse, RecordedFetch, RunTicket, SecretSlot, UseRequest, Using, no_token,
};
use tokio::time::timeout;
use zeroize::{Zeroize, Zeroizing};

pub(crate) use self::flights::Flights;
use self::flights::{Landed, Manner};
use crate::{
    Broker,
    faults::wire_problem,
    permit::{PendingOutcome, now},
    render::percent_encode,
    send::remaining,
    wire::{Connection, Naming, OutboundRequest, PoolKey, ReadLimits, ResponseRule},
};

/// How often a request is decided anew because tokens came and went.
const ATTEMPTS: usize = 4;

/// What a token endpoint answers (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    /// Seconds; some services write them as a text.
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

/// A request of one's own, for a fetch that goes on when whoever needed it first is gone.
struct Owned {
    caller: Caller,
    using: OwnedUsing,
    environment: EnvironmentName,
    target: Target,
    method: String,
    path: String,
    other_path: Option<String>,
    slots: Vec<SecretSlot>,
    foreign_credential: bool,
}

enum OwnedUsing {
    Caller,
    Run { ticket: Box<RunTicket>, step: String },
    Lease(Box<Lease>),
}

impl Owned {
    fn new(request: &UseRequest<'_>) -> Self {
        Self {
            caller: request.caller.clone(),
            using: match request.using {
                Using::Caller => OwnedUsing::Caller,
                Using::Run { ticket, step } => {
                    OwnedUsing::Run { ticket: Box::new(ticket.clone()), step: step.to_owned() }
                }
                Using::Lease(lease) => OwnedUsing::Lease(Box::new(lease.clone())),
            },
            environment: request.environment.clone(),
            target: request.target.clone(),
            method: request.method.to_owned(),
            path: request.path.to_owned(),
            other_path: request.other_path.map(str::to_owned),
            slots: request.slots.to_vec(),
            foreign_credential: request.foreign_credential,
        }
    }

    fn as_request(&self) -> UseRequest<'_> {
        UseRequest {
            caller: &self.caller,
            using: match &self.using {
                OwnedUsing::Caller => Using::Caller,
                OwnedUsing::Run { ticket, step } => Using::Run { ticket, step },
                OwnedUsing::Lease(lease) => Using::Lease(lease),
            },
            environment: &self.environment,
            target: &self.target,
            method: &self.method,
            path: &self.path,
            other_path: self.other_path.as_deref(),
            slots: &self.slots,
            foreign_credential: self.foreign_credential,
        }
    }
}

impl Broker {
    /// Decides a request, and fetches the access tokens that it needs and that are not there. Nobody waits for that beyond
    /// the deadline.
    ///
    /// # Errors
    /// A refusal; what came of fetching.
    pub(crate) async fn prepared(
        &self,
        request: &UseRequest<'_>,
        deadline: Instant,
    ) -> Result<PreparedUse, Problem> {
        let mut prepared = self.vault.prepare_use(request).await?;
        for _ in 0..ATTEMPTS {
            let Some(missing) = prepared.lacks_token() else { return Ok(prepared) };
            let (mut flight, departing) = self.flights.join(missing, Instant::now()).map_err(not_sent)?;
            let is_mine = departing.is_some();
            if let Some(departing) = departing {
                let (broker, owned) = (self.clone(), Owned::new(request));
                tokio::spawn(async move {
                    let landed = match broker.fetch(&owned.as_request()).await {
                        Ok(Ok(())) => Landed::Fetched,
                        Ok(Err(problem)) => Landed::Failed(problem),
                        Err(problem) => Landed::Refused(problem),
                    };
                    departing.land(landed, Instant::now());
                });
            }
            // The fetch itself goes on: others may have more time.
            let landed = timeout(remaining(deadline), flight.wait_for(Option::is_some)).await;
            let landed = landed.map_err(|_| not_sent(no_token_in_time()))?;
            match landed.ok().and_then(|landed| landed.clone()) {
                Some(Landed::Failed(problem)) => return Err(not_sent(problem)),
                Some(Landed::Refused(problem)) if is_mine => return Err(problem),
                _ => prepared = self.vault.decide_again(request).await?,
            }
        }
        Err(Problem::new(Code::VersionConflict, "access tokens keep changing; nothing was sent")
            .suggest("try again"))
    }

    /// Fetches a token. The outer error is about this request alone, the inner one about the token.
    async fn fetch(&self, request: &UseRequest<'_>) -> Result<Result<(), Problem>, Problem> {
        let deadline = Instant::now() + Duration::from_secs(limits::TOKEN_FETCH_SECS_MAX);
        for _ in 0..ATTEMPTS {
            let Some(prepared) = self.vault.prepare_fetch(request).await? else { return Ok(Ok(())) };
            let started = Instant::now();
            let (target, path) = (prepared.target.clone(), prepared.path.clone());
            let to = Endpoint { target: &target, path: &path, deadline };
            let (recorded, connected) = tokio::join!(self.vault.record_fetch(prepared), self.reach(&to));
            let Some(recorded) = recorded? else { continue };
            let ended = |recorded: RecordedFetch, code| {
                PendingOutcome::new(&self.vault, recorded.into_intents(), started).end(Some(code));
            };
            let connection = match connected {
                Ok(connection) => connection,
                Err(problem) => {
                    ended(recorded, problem.code);
                    return Ok(Err(problem));
                }
            };
            if !self.vault.fetch_is_current(&recorded).await? {
                ended(recorded, Code::VersionConflict);
                continue;
            }
            let (intents, opened) = self.vault.open_fetch(recorded).await;
            let mut outcome = PendingOutcome::new(&self.vault, intents, started);
            outcome.address = Some(connection.address().ip());
            let granted = match opened {
                Ok((fetch, client)) => {
                    let granted = self.ask(&to, connection, fetch.name(), &client, &mut outcome).await;
                    granted.map(|(token, lives_secs)| (fetch, token, lives_secs))
                }
                Err(problem) => Err(problem),
            };
            return Ok(self.keep(granted, outcome).await);
        }
        Err(Problem::new(Code::VersionConflict, "the workspace keeps changing; nothing was sent")
            .suggest("try again"))
    }

    /// Keeps the token with the outcome of its fetch.
    async fn keep(
        &self,
        granted: Result<(Fetch, Fields, Option<i64>), Problem>,
        outcome: PendingOutcome,
    ) -> Result<(), Problem> {
        match granted {
            Ok((fetch, token, lives_secs)) => {
                metrics::counter!("tacit_token_fetches_total", "code" => "ok").increment(1);
                let (Some(intents), mut outcome) = outcome.settle() else {
                    return Err(Problem::internal("a fetch has no intent"));
                };
                let recorded = (&intents, &outcome);
                let kept = self.vault.keep_token(&fetch, &token, lives_secs, recorded, now()).await;
                if let Err(problem) = &kept {
                    outcome.code = Some(problem.code);
                    self.vault.finish_use(&intents, &outcome, now());
                }
                kept
            }
            Err(problem) => {
                metrics::counter!("tacit_token_fetches_total", "code" => problem.code.as_str()).increment(1);
                outcome.end(Some(problem.code));
                Err(problem)
            }
        }
    }

    /// A connection of its own: a request that is not repeated should not meet one that is about to be closed.
    async fn reach(&self, to: &Endpoint<'_>) -> Result<Connection, Problem> {
        let pool_key = PoolKey(tacit_vault::random_bytes());
        let connected = self.wire.connect(pool_key, to.target, Naming::Named, to.left()).await;
        connected.map_err(|error| wire_problem(&error, to.target))
    }

    /// Asks a token endpoint, in the manner that it understands.
    async fn ask(
        &self,
        to: &Endpoint<'_>,
        connection: Connection,
        name: &SecretName,
        client: &Fields,
        outcome: &mut PendingOutcome,
    ) -> Result<(Fields, Option<i64>), Problem> {
        let text = |field| client.text(field).unwrap_or_default();
        let known_as = [text("token_url").to_owned(), text("client_id").to_owned()];
        let known = self.flights.manner(&known_as);
        let manners: &[Manner] = match known {
            Some(Manner::Header) => &[Manner::Header],
            Some(Manner::Form) => &[Manner::Form],
            None => &[Manner::Header, Manner::Form],
        };
        let mut refused = no_token(name, Code::UpstreamFailed, "was not asked");
        let mut connection = Some(connection);
        for manner in manners {
            let connection = match connection.take() {
                Some(connection) => connection,
                None => self.reach(to).await?,
            };
            let request = token_request(to.path, client, *manner)?;
            match self.ask_once(to, connection, request, (name, client), outcome).await? {
                Ok(granted) => {
                    self.flights.learn_manner(known_as, *manner);
                    return Ok(granted);
                }
                Err(problem) => refused = problem,
            }
        }
        // Perhaps it wants to be spoken to in another manner by now.
        self.flights.forget_manner(&known_as);
        Err(refused)
    }

    /// One request for a token. The inner error is a refusal of the client, which another manner may help.
    async fn ask_once(
        &self,
        to: &Endpoint<'_>,
        connection: Connection,
        request: OutboundRequest,
        (name, client): (&SecretName, &Fields),
        outcome: &mut PendingOutcome,
    ) -> Result<Result<(Fields, Option<i64>), Problem>, Problem> {
        let wire = |error| wire_problem(&error, to.target);
        let failed = |what: &str| no_token(name, Code::UpstreamFailed, what);
        let received = connection.send(request, to.left()).await.map_err(wire)?;
        let status = received.status();
        outcome.status = Some(status);
        match status {
            200 | 201 => {}
            300..=399 => {
                return Err(no_token(
                    name,
                    Code::RedirectRefused,
                    "redirects, and a client secret follows no redirect",
                ));
            }
            400 | 401 => return Ok(Err(failed(&format!("refused the client ({status})")))),
            _ => return Err(failed(&format!("answered {status} and no token"))),
        }
        let limits = ReadLimits { body_bytes_max: limits::TOKEN_ANSWER_BYTES_MAX as u64, timeout: to.left() };
        let read = received.read(&ScanSet::empty(), ResponseRule::Scrub, limits).await;
        let mut answer = read.map_err(wire)?;
        outcome.body_bytes = Some(answer.body.len() as u64);
        let granted = granted(&answer.body, client);
        answer.body.zeroize();
        granted.map(Ok).map_err(failed)
    }
}

/// Of the request that needed a token: it was not sent.
fn not_sent(mut problem: Problem) -> Problem {
    problem.unsent = true;
    problem
}

fn no_token_in_time() -> Problem {
    Problem::new(Code::UpstreamTimeout, "fetching the access token took too long, so nothing was sent")
        .suggest("raise the step's `timeout_secs`, or try again")
}

/// Where a token is asked for, and until when.
struct Endpoint<'a> {
    target: &'a Target,
    path: &'a RequestPath,
    deadline: Instant,
}

impl Endpoint<'_> {
    fn left(&self) -> Duration {
        remaining(self.deadline)
    }
}

/// The request of RFC 6749, section 4.4.2.
fn token_request(path: &RequestPath, client: &Fields, manner: Manner) -> Result<OutboundRequest, Problem> {
    let text = |field| Zeroizing::new(form_encoded(client.text(field).unwrap_or_default()));
    let (id, secret) = (text("client_id"), text("client_secret"));
    let mut form = Zeroizing::new(String::from("grant_type=client_credentials"));
    if client.text("scopes").is_some() {
        form.push_str("&scope=");
        form.push_str(&text("scopes"));
    }
    let query = path.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = OutboundRequest::new(Method::POST, format!("{}{query}", path.path()));
    match manner {
        Manner::Header => {
            let pair = Zeroizing::new(format!("{}:{}", *id, *secret));
            let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            let mut value =
                HeaderValue::from_str(&basic).map_err(|_| Problem::internal("a pair is no header"))?;
            value.set_sensitive(true);
            request.headers.insert(header::AUTHORIZATION, value);
        }
        Manner::Form => {
            for (name, text) in [("&client_id=", &id), ("&client_secret=", &secret)] {
                form.push_str(name);
                form.push_str(text);
            }
        }
    }
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(header::CONTENT_TYPE, form_type);
    request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request.body = Bytes::copy_from_slice(form.as_bytes()).into();
    Ok(request)
}

/// As forms are written: a space is a `+`.
fn form_encoded(text: &str) -> String {
    percent_encode(text.as_bytes()).replace("%20", "+")
}

/// The token in an answer, and for how many seconds it lives. What is wrong with it is told without a word of it.
fn granted(answer: &[u8], client: &Fields) -> Result<(Fields, Option<i64>), &'static str> {
    let granted: Granted =
        serde_json::from_slice(answer).map_err(|_| "answered with something that holds no access token")?;
    let token = Zeroizing::new(granted.access_token);
    if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("gave a token that is not a bearer token");
    }
    if token.len() > limits::ACCESS_TOKEN_BYTES_MAX {
        return Err("gave a token that is too long");
    }
    // The token goes where the client secret may not go.
    if holds_secret(&token, client) {
        return Err("gave the client secret back as a token");
    }
    let lives_secs = match &granted.expires_in {
        Some(serde_json::Value::Number(secs)) => secs.as_f64().map(|secs| secs as i64),
        Some(serde_json::Value::String(secs)) => secs.parse().ok(),
        _ => None,
    };
    let token = Fields::of_token(token).map_err(|_| "gave a token that cannot stand in a header")?;
    Ok((token, lives_secs))
}

fn holds_secret(token: &str, client: &Fields) -> bool {
    let mut builder = ScanSet::builder();
    let hidden = client.hidden(SecretType::Oauth2ClientCredentials);
    for (_, secret) in hidden {
        if token.contains(secret) {
            return true;
        }
        builder.add("[sealed]", secret.as_bytes());
    }
    tacit_redact::scrub_text(&builder.build(), token).1.total() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

    fn client(secret: &str) -> Fields {
        let fields = json!({"client_id": "app one", "client_secret": secret, "token_url": "https://a.test/t?x=1", "scopes": "a b"});
        Fields::parse(SecretType::Oauth2ClientCredentials, fields.as_object().unwrap()).unwrap()
    }

    fn body(request: &OutboundRequest) -> String {
        let crate::wire::OutboundBody::Whole(bytes) = &request.body else { panic!("a stream") };
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// RFC 6749: the pair is form-encoded before it is Basic; in a form it stands beside the grant.
    #[test]
    fn requests_for_tokens() {
        let (_, path) = Target::parse_url("https://a.test/t?x=1").unwrap();
        let request = token_request(&path, &client("s:/ü"), Manner::Header).unwrap();
        assert_eq!(request.path_and_query, "/t?x=1");
        assert_eq!(body(&request), "grant_type=client_credentials&scope=a+b");
        let basic = &request.headers[header::AUTHORIZATION];
        assert!(basic.is_sensitive());
        let pair = STANDARD.decode(&basic.as_bytes()[6..]).unwrap();
        assert_eq!(pair, b"app+one:s%3A%2F%C3%BC");
        let request = token_request(&path, &client("s&x=1"), Manner::Form).unwrap();
        assert!(!request.headers.contains_key(header::AUTHORIZATION));
        let expected = "grant_type=client_credentials&scope=a+b&client_id=app+one&client_secret=s%26x%3D1";
        assert_eq!(body(&request), expected);
    }

    /// A token is taken as it is written; whatever else an endpoint says is not.
    #[test]
    fn answers_of_token_endpoints() {
        let take = |answer: serde_json::Value| {
            let taken = granted(answer.to_string().as_bytes(), &client(SECRET));
            taken.map(|(token, lives)| (token.text("token").unwrap().to_owned(), lives))
        };
        assert_eq!(take(json!({"access_token": "abc", "expires_in": 60})).unwrap(), ("abc".into(), Some(60)));
        let texted = json!({"access_token": "abc", "token_type": "bearer", "expires_in": "60", "more": {}});
        assert_eq!(take(texted).unwrap().1, Some(60));
        assert_eq!(take(json!({"access_token": "abc", "token_type": "BEARER"})).unwrap().1, None);
        let reversed: String = SECRET.chars().rev().collect();
        for bad in [
            json!({}),
            json!("abc"),
            json!({"access_token": ""}),
            json!({"access_token": 7}),
            json!({"access_token": "a b"}),
            json!({"access_token": "a\r\nX: y"}),
            json!({"access_token": "abc", "token_type": "mac"}),
            json!({"access_token": "x".repeat(limits::ACCESS_TOKEN_BYTES_MAX + 1)}),
            json!({"access_token": SECRET}),
            json!({"access_token": format!("v1.{SECRET}.x")}),
            json!({"access_token": reversed}),
            json!({"access_token": STANDARD.encode(SECRET)}),
        ] {
            let problem = take(bad.clone()).unwrap_err();
            assert!(!problem.contains(SECRET), "{bad}");
        }
        // A short one cannot be recognised in disguise, but plainly it is.
        let short = granted(br#"{"access_token": "xhunter2y"}"#, &client("hunter2"));
        assert!(short.is_err());
    }
}
