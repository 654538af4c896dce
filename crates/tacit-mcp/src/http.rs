//! The sessions of clients that come over HTTP: which message belongs to which, who may use it, and when it ends.
//!
//! A client that opens with `initialize` gets a session of its own and names it in a header from then on. Newer clients
//! open nothing: each of their messages stands alone, and those of one token and one client's name share a session.
//! Either way a session belongs to the token and the workspace it was opened with; for everybody else it is not there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, COOKIE},
};
use bytes::Bytes;
use serde::Deserialize;
use tacit_client::{Client, Error, Transport};

use crate::{
    Answer, Session, Settings,
    protocol::{MESSAGE_BYTES_MAX, Messages},
};

/// Where a client names its session.
const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");
/// Sessions of one token in one workspace.
const SESSIONS_PER_TOKEN_MAX: usize = 16;
/// Bytes of a client's name by which its messages find their session.
const NAME_BYTES_MAX: usize = 128;
/// Sessions of all.
const SESSIONS_MAX: usize = 1024;
/// After how long without a message a session is ended.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// After how long without a message a session makes room for another of the same token.
const IDLE_SPARED: Duration = Duration::from_secs(60);
/// How often idle sessions are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Who sends a message: somebody whom the server knows, in a workspace they belong to.
pub struct Visitor {
    /// The token, to act for its holder.
    pub token: String,
    /// The token's hash: by this a session knows its own.
    pub owner: [u8; 32],
    /// The workspace.
    pub workspace: String,
}

/// Why a message is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// There is no such session, or it is somebody else's.
    NoSession,
    /// Too many sessions are open.
    TooMany,
    /// The message is too long.
    TooLong,
    /// A session has to be named.
    Unnamed,
}

/// All sessions of a server.
pub struct Sessions {
    api: Arc<dyn Transport>,
    generate_id: fn() -> String,
    messages: Messages,
    open: Mutex<HashMap<Key, Open>>,
}

/// How a message finds its session.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    /// By the id that the client was given.
    Id(String),
    /// By whose it is and what the client calls itself.
    Shared(Owner, String),
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Owner {
    token: [u8; 32],
    workspace: String,
}

struct Open {
    owner: Owner,
    session: Arc<Session>,
    used: Instant,
}

impl Sessions {
    /// No sessions yet. `api` is where the tools' own requests go, `generate_id` makes texts that nobody guesses. Starts a
    /// task that ends idle sessions.
    pub fn new(api: Arc<dyn Transport>, generate_id: fn() -> String) -> Arc<Self> {
        let sessions =
            Arc::new(Self { api, generate_id, messages: Messages::new(), open: Mutex::new(HashMap::new()) });
        tokio::spawn(sweep(Arc::downgrade(&sessions)));
        sessions
    }

    /// Answers one message.
    ///
    /// # Errors
    /// See [`Turned`].
    pub async fn post(&self, visitor: Visitor, headers: HeaderMap, body: Bytes) -> Result<Answer, Turned> {
        if body.len() > MESSAGE_BYTES_MAX {
            return Err(Turned::TooLong);
        }
        let request = message(headers, body);
        let owner = Owner { token: visitor.owner, workspace: visitor.workspace.clone() };
        if let Some(id) = session_id(request.headers()) {
            let session = self.find(&Key::Id(id?), &owner).ok_or(Turned::NoSession)?;
            return Ok(self.messages.answer(request, session).await);
        }
        let opening = Opening::of(request.body());
        if !opening.is_handshake {
            let mut name = opening.client.unwrap_or_default();
            name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
            let key = Key::Shared(owner.clone(), name);
            let session = match self.find(&key, &owner) {
                Some(session) => session,
                None => self.insert(key, owner, &visitor)?,
            };
            return Ok(self.messages.answer(request, session).await);
        }
        let id = (self.generate_id)();
        let session = self.insert(Key::Id(id.clone()), owner, &visitor)?;
        let mut answer = self.messages.answer(request, session).await;
        if answer.status().is_success() {
            // Made of our own letters and digits; if it were not, the client would have no session.
            if let Ok(value) = HeaderValue::try_from(id) {
                answer.headers_mut().insert(SESSION_HEADER, value);
            }
        } else {
            self.remove(&Key::Id(id));
        }
        Ok(answer)
    }

    /// Ends a session at its client's wish.
    ///
    /// # Errors
    /// [`Turned::NoSession`], [`Turned::Unnamed`].
    pub async fn delete(&self, visitor: &Visitor, headers: &HeaderMap) -> Result<(), Turned> {
        let key = Key::Id(session_id(headers).ok_or(Turned::Unnamed)??);
        let owner = Owner { token: visitor.owner, workspace: visitor.workspace.clone() };
        let session = self.find(&key, &owner).ok_or(Turned::NoSession)?;
        self.open().remove(&key);
        session.end().await;
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key, owner: &Owner) -> Option<Arc<Session>> {
        let mut all = self.open();
        let open = all.get_mut(key).filter(|open| open.owner == *owner)?;
        open.used = Instant::now();
        Some(Arc::clone(&open.session))
    }

    /// A new session, for which another of the same owner may have to go.
    fn insert(&self, key: Key, owner: Owner, visitor: &Visitor) -> Result<Arc<Session>, Turned> {
        let settings = Settings {
            workspace: visitor.workspace.clone(),
            environment: "test".to_owned(),
            name: None,
            ttl_secs: None,
            requests_max: None,
        };
        // A token that was taken from a header fits into one.
        let session = Client::with_transport(Arc::clone(&self.api), &visitor.token)
            .and_then(|client| Session::new(&client, &visitor.token, settings))
            .map_err(|_: Error| Turned::NoSession)?;
        let session = Arc::new(session);
        let mut all = self.open();
        if let Some(open) = all.get(&key).filter(|open| open.owner == owner) {
            // Two messages came at once, and the other was first.
            return Ok(Arc::clone(&open.session));
        }
        let own: Vec<(&Key, &Open)> = all.iter().filter(|(_, open)| open.owner == owner).collect();
        if own.len() >= SESSIONS_PER_TOKEN_MAX {
            let oldest = own.into_iter().min_by_key(|(_, open)| open.used);
            let oldest = oldest.filter(|(_, open)| open.used.elapsed() >= IDLE_SPARED);
            let oldest = oldest.map(|(key, _)| key.clone()).ok_or(Turned::TooMany)?;
            all.remove(&oldest).into_iter().for_each(end);
        }
        if all.len() >= SESSIONS_MAX {
            return Err(Turned::TooMany);
        }
        all.insert(key, Open { owner, session: Arc::clone(&session), used: Instant::now() });
        Ok(session)
    }

    fn remove(&self, key: &Key) {
        self.open().remove(key).into_iter().for_each(end);
    }

    fn end_idle(&self) {
        let idle: Vec<Open> =
            self.open().extract_if(|_, open| open.used.elapsed() >= IDLE_MAX).map(|(_, open)| open).collect();
        idle.into_iter().for_each(end);
    }
}

fn end(open: Open) {
    tokio::spawn(async move { open.session.end().await });
}

/// Ends idle sessions for as long as there is anybody who could open one.
async fn sweep(sessions: Weak<Sessions>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(sessions) = sessions.upgrade() else { return };
        sessions.end_idle();
    }
}

/// A message for what knows the protocol. Who asks is settled, so it need not know the token.
fn message(mut headers: HeaderMap, body: Bytes) -> Request<Bytes> {
    headers.remove(AUTHORIZATION);
    headers.remove(COOKIE);
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("http://localhost/");
    *request.headers_mut() = headers;
    request
}

/// The session that a message names, if it names one; one that cannot be read is nobody's.
fn session_id(headers: &HeaderMap) -> Option<Result<String, Turned>> {
    let named = headers.get(SESSION_HEADER)?;
    Some(named.to_str().map(str::to_owned).map_err(|_| Turned::NoSession))
}

/// What has to be known of a message that names no session.
struct Opening {
    is_handshake: bool,
    client: Option<String>,
}

impl Opening {
    /// What is not a message at all is answered by what knows the protocol.
    fn of(body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        struct Message {
            #[serde(default)]
            method: String,
            #[serde(default)]
            params: Params,
        }
        #[derive(Default, Deserialize)]
        struct Params {
            #[serde(default, rename = "_meta")]
            meta: Meta,
        }
        #[derive(Default, Deserialize)]
        struct Meta {
            #[serde(default, rename = "io.modelcontextprotocol/clientInfo")]
            client: Option<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let message: Message = serde_json::from_slice(body).unwrap_or_default();
        Self {
            is_handshake: message.method == "initialize",
            client: message.params.meta.client.map(|client| client.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handshake, a message that stands alone, and what is neither.
    #[test]
    fn openings() {
        let of = |body: &str| {
            let opening = Opening::of(body.as_bytes());
            (opening.is_handshake, opening.client)
        };
        assert_eq!(
            of(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"clientInfo":{"name":"c"}}}"#),
            (true, None)
        );
        let alone = r#"{"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}}}"#;
        assert_eq!(of(alone), (false, Some("c".to_owned())));
        for other in ["", "[]", "{}", r#"{"method": 1}"#] {
            assert_eq!(of(other), (false, None), "{other}");
        }
    }
}
