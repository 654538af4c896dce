//! The door without a server behind it: what is asked of one, with which token, and what becomes of its answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tacit_client::{Error, Sending, Transport};
use tacit_mcp::{Sessions, Turned, Visitor};

/// A server made of prepared answers, which writes down what it was asked.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    asked: Vec<String>,
    /// By the beginning of `METHOD path`.
    answers: Vec<(&'static str, u16, Value)>,
    is_gone: bool,
}

impl Transport for Fake {
    fn send(&self, request: Request<Bytes>, _: Duration) -> Sending<'_> {
        Box::pin(async move {
            let mut state = self.0.lock().unwrap();
            if state.is_gone {
                return Err(Error::Unreachable("connection refused".to_owned()));
            }
            let line = format!("{} {}", request.method(), request.uri().path());
            let bearer = request.headers()["authorization"].to_str().unwrap().to_owned();
            state.asked.push(format!("{line} {}", bearer.trim_start_matches("Bearer ")));
            let found = state.answers.iter().find(|(start, ..)| line.starts_with(start));
            let (status, body) = match found {
                Some((_, status, body)) => (*status, body.clone()),
                None => panic!("nobody said what to answer to {line}"),
            };
            let mut response = Response::new(Bytes::from(body.to_string()));
            *response.status_mut() = status.try_into().unwrap();
            Ok(response)
        })
    }
}

impl Fake {
    fn new() -> Self {
        let fake = Self::default();
        let session = json!({"id": "ags_1", "token": "tct_ag_own", "name": "x", "expires_at": "2026-01-01T00:00:00Z", "requests_max": 5});
        fake.answers(vec![
            ("POST /v1/workspaces/w/agent-sessions", 201, session),
            ("DELETE /v1/workspaces/w/agent-sessions/ags_1", 204, json!(null)),
            ("GET /v1/workspaces/w/environments", 200, json!({"items": [{"name": "test", "protected": false, "created_at": "t"}], "next_cursor": null})),
            ("GET /v1/workspaces/w/secrets", 200, json!({"items": [], "next_cursor": null})),
        ]);
        fake
    }

    /// Takes the place of what was said before for the same beginning.
    fn answers(&self, answers: Vec<(&'static str, u16, Value)>) {
        let mut state = self.0.lock().unwrap();
        state.answers.splice(0..0, answers);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    fn sessions(&self) -> Arc<Sessions> {
        Sessions::new(Arc::new(self.clone()), || {
            static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
            format!("id-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        })
    }
}

fn person() -> Visitor {
    Visitor { token: "tct_us_person".to_owned(), owner: [1; 32], workspace: "w".to_owned() }
}

fn headers(session: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("accept", HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("authorization", HeaderValue::from_static("Bearer tct_us_person"));
    if let Some(session) = session {
        headers.insert("mcp-session-id", session.parse().unwrap());
    }
    headers
}

fn message(method: &str, params: Value) -> Bytes {
    Bytes::from(json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
}

async fn open(sessions: &Sessions, visitor: Visitor) -> Result<String, Turned> {
    let client = json!({"name": "My \"IDE\"", "version": "1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let answer = sessions.post(visitor, headers(None), message("initialize", params)).await?;
    let id = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    answer.into_body().collect().await.unwrap();
    Ok(id)
}

async fn call(sessions: &Sessions, session: Option<&str>, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    let answer = sessions.post(person(), headers(session), message("tools/call", params)).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let data = text.lines().find_map(|line| line.strip_prefix("data: {")).unwrap_or_else(|| panic!("{text}"));
    let message: Value = serde_json::from_str(&format!("{{{data}")).unwrap();
    assert!(message.get("error").is_none(), "an error of the protocol: {message}");
    message["result"].clone()
}

/// The person's token opens and ends the session, and does nothing in between.
#[tokio::test]
async fn tokens() {
    let fake = Fake::new();
    let sessions = fake.sessions();
    let id = open(&sessions, person()).await.unwrap();
    assert_eq!(fake.asked(), ["POST /v1/workspaces/w/agent-sessions tct_us_person"]);
    call(&sessions, Some(&id), "find_secrets", json!({})).await;
    assert_eq!(
        fake.asked(),
        ["GET /v1/workspaces/w/secrets tct_ag_own", "GET /v1/workspaces/w/environments tct_ag_own"]
    );
    sessions.delete(&person(), &headers(Some(&id))).await.unwrap();
    assert_eq!(fake.asked(), ["DELETE /v1/workspaces/w/agent-sessions/ags_1 tct_us_person"]);
    assert_eq!(sessions.delete(&person(), &headers(Some(&id))).await, Err(Turned::NoSession));
    assert_eq!(sessions.delete(&person(), &headers(None)).await, Err(Turned::Unnamed));
}

/// An agent's own token is used as it is, and its session is not ours to end.
#[tokio::test]
async fn a_token_of_an_agent() {
    let fake = Fake::new();
    let sessions = fake.sessions();
    let visitor = || Visitor { token: "tct_ag_given".to_owned(), ..person() };
    let id = open(&sessions, visitor()).await.unwrap();
    call(&sessions, Some(&id), "find_secrets", json!({})).await;
    sessions.delete(&visitor(), &headers(Some(&id))).await.unwrap();
    assert!(fake.asked().iter().all(|line| line.starts_with("GET") && line.ends_with("tct_ag_given")));
}

/// Another token and another workspace do not find a session.
#[tokio::test]
async fn owners() {
    let fake = Fake::new();
    let sessions = fake.sessions();
    let id = open(&sessions, person()).await.unwrap();
    for thief in [Visitor { owner: [2; 32], ..person() }, Visitor { workspace: "v".to_owned(), ..person() }] {
        let answer = sessions.post(thief, headers(Some(&id)), message("tools/list", json!({}))).await;
        assert_eq!(answer.err(), Some(Turned::NoSession));
    }
}

/// One token opens so many sessions, and they do not stand in another's way.
#[tokio::test]
async fn limits() {
    let fake = Fake::new();
    let sessions = fake.sessions();
    for _ in 0..16 {
        open(&sessions, person()).await.unwrap();
    }
    assert_eq!(open(&sessions, person()).await, Err(Turned::TooMany));
    open(&sessions, Visitor { owner: [2; 32], ..person() }).await.unwrap();
    let long = Bytes::from(vec![b' '; 5 * 1024 * 1024]);
    assert_eq!(sessions.post(person(), headers(None), long).await.err(), Some(Turned::TooLong));
}

/// What the server refuses reaches the model as a tool's answer: code, detail, suggestion, request id.
#[tokio::test]
async fn refusals() {
    let fake = Fake::new();
    let sessions = fake.sessions();
    let problem = |status: u16, code: &str| json!({"type": "urn:x", "title": "x", "status": status, "code": code, "detail": "no", "request_id": "r1", "suggestion": "do this"});
    let send =
        || call(&sessions, None, "send_request", json!({"url": "https://x.test/", "environment": "test"}));
    for (status, code) in [(403, "destination_not_allowed"), (429, "rate_limited"), (502, "upstream_failed")]
    {
        fake.answers(vec![("POST /v1/workspaces/w/requests", status, problem(status, code))]);
        let result = send().await;
        let structured = &result["structuredContent"];
        assert_eq!(
            (&result["isError"], &structured["code"], &structured["request_id"]),
            (&json!(true), &json!(code), &json!("r1"))
        );
        assert_eq!(result["content"][0]["text"], format!("no ({code})\ndo this"));
    }
    fake.answers(vec![("POST /v1/workspaces/w/requests", 401, problem(401, "unauthenticated"))]);
    let expired = send().await["structuredContent"].clone();
    assert!(expired["detail"].as_str().unwrap().contains("2026-01-01T00:00:00Z"), "{expired}");
    assert!(expired["suggestion"].as_str().unwrap().contains("not renewed"), "{expired}");
    fake.asked();
    send().await;
    assert!(!fake.asked().iter().any(|line| line.contains("agent-sessions")), "nothing is renewed by itself");
    fake.answers(vec![("POST /v1/workspaces/w/requests", 500, json!("<html>"))]);
    assert_eq!(send().await["structuredContent"]["code"], "internal");
    fake.0.lock().unwrap().is_gone = true;
    assert_eq!(send().await["structuredContent"]["code"], "server_unreachable");
}

/// A default that turns out to be protected is not used: it has to be named.
#[tokio::test]
async fn protected_environments_are_named() {
    let fake = Fake::new();
    let protected =
        json!({"items": [{"name": "test", "protected": true, "created_at": "t"}], "next_cursor": null});
    fake.answers(vec![("GET /v1/workspaces/w/environments", 200, protected)]);
    let sessions = fake.sessions();
    let result = call(&sessions, None, "send_request", json!({"url": "https://x.test/"})).await;
    assert_eq!(result["structuredContent"]["code"], "validation_failed");
    assert!(!fake.asked().iter().any(|line| line.contains("/requests")));
}

/// Even a server that answered with values where there are none would not get them to a model.
#[tokio::test]
async fn what_is_not_in_a_type_does_not_come_out() {
    let fake = Fake::new();
    let secret = json!({"name": "K", "type": "text", "visibility": "masked", "description": "", "folder": "", "state": "active",
        "system": false, "destinations": [], "created_at": "t", "created_by": "user:o", "updated_at": "t",
        "value": "canary", "values": {"test": {"value": "canary"}},
        "environments": {"test": {"version": 1, "set_at": "t", "disabled": false, "fields": {"value": "canary"}}}});
    fake.answers(vec![
        ("GET /v1/workspaces/w/secrets", 200, json!({"items": [secret], "next_cursor": null})),
        ("GET /v1/workspaces/w/secrets/K", 200, secret),
    ]);
    let sessions = fake.sessions();
    for (tool, arguments) in [
        ("find_secrets", json!({})),
        ("describe_secret", json!({"name": "K"})),
        ("explain_refusal", json!({"code": "forbidden", "secret": "K", "url": "https://x.test/"})),
    ] {
        fake.0.lock().unwrap().answers.sort_by_key(|(start, ..)| std::cmp::Reverse(start.len()));
        let result = call(&sessions, None, tool, arguments).await;
        assert_eq!(result["isError"], false, "{result}");
        assert!(!result.to_string().contains("canary"), "{tool}: {result}");
    }
}
