//! A token endpoint with moods, and a service that takes its tokens and sends back what it got.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The server. `/token/MOOD` is the endpoint, `/api/…` the service, `/open/…` shows what it knows to everyone.
pub(super) struct Fake {
    pub(super) port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    requests: Vec<String>,
    issued: Vec<String>,
    revoked: HashSet<String>,
}

struct Answer {
    status: u16,
    headers: String,
    body: String,
    pause: Duration,
}

impl Answer {
    fn new(status: u16, body: impl ToString) -> Self {
        Self { status, headers: String::new(), body: body.to_string(), pause: Duration::ZERO }
    }
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let kept = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept), port));
            }
        });
        Self { port, state }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The requests whose path begins like this.
    pub(super) fn requests(&self, path: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let is_it = |request: &&String| request.split(' ').nth(1).is_some_and(|at| at.starts_with(path));
        state.requests.iter().filter(is_it).cloned().collect()
    }

    /// How many tokens were given.
    pub(super) fn fetches(&self) -> usize {
        self.state.lock().unwrap().issued.len()
    }

    pub(super) fn issued(&self) -> Vec<String> {
        self.state.lock().unwrap().issued.clone()
    }

    /// No token works from now on that was given before.
    pub(super) fn revoke_all(&self) {
        let mut state = self.state.lock().unwrap();
        let issued = state.issued.clone();
        state.revoked.extend(issued);
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, port: u16) {
    while let Some(request) = read(&mut stream).await {
        let answer = answer(&request, &mut state.lock().unwrap(), port);
        tokio::time::sleep(answer.pause).await;
        let Answer { status, headers, body, .. } = answer;
        let head = format!(
            "HTTP/1.1 {status} Cannot say\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One request with its whole body.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            if body.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn answer(request: &str, state: &mut State, port: u16) -> Answer {
    state.requests.push(request.to_owned());
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    if let Some(mood) = path.strip_prefix("/token/") {
        return token(mood, request, state, port);
    }
    if path.starts_with("/open/") {
        return Answer::new(200, json!({ "known": state.issued }));
    }
    let token = header(request, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    let known = token.is_some_and(|token| {
        state.issued.iter().any(|issued| issued == token) && !state.revoked.contains(token)
    });
    let status =
        if (known && path != "/api/never") || header(request, "x-token").is_some() { 200 } else { 401 };
    Answer::new(
        status,
        json!({"token": token, "request": request, "reversed": token.map(|token| token.chars().rev().collect::<String>())}),
    )
}

fn token(mood: &str, request: &str, state: &mut State, port: u16) -> Answer {
    let pair = header(request, "authorization").and_then(|value| value.strip_prefix("Basic "));
    let pair = pair.and_then(|pair| STANDARD.decode(pair).ok()).unwrap_or_default();
    let pair = String::from_utf8_lossy(&pair).into_owned();
    let secret = pair.split_once(':').map(|(_, secret)| secret.to_owned()).unwrap_or_default();
    let in_form = request.contains("&client_secret=");
    let mut issue = |expires_in: u64| {
        let token = format!("tok-{}", uuid_like(state.issued.len(), port));
        state.issued.push(token.clone());
        Answer::new(200, json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}))
    };
    match mood {
        "plain" => issue(3_600),
        "slow" => Answer { pause: Duration::from_millis(400), ..issue(3_600) },
        "very-slow" => Answer { pause: Duration::from_secs(3), ..issue(3_600) },
        "short" => issue(3),
        "form" if in_form => issue(3_600),
        "form" => Answer::new(401, json!({"error": "invalid_client", "error_description": secret})),
        "redirect" | "redirect-get" => Answer {
            headers: format!("Location: http://127.0.0.1:{port}/stolen?s={secret}\r\n"),
            ..Answer::new(if mood == "redirect" { 307 } else { 302 }, "")
        },
        "echo" => Answer::new(200, json!({"access_token": secret, "token_type": "Bearer"})),
        "echo-base64" => Answer::new(200, json!({"access_token": STANDARD.encode(secret)})),
        "says" => Answer::new(400, json!({"error": "invalid_client", "error_description": request})),
        "garbage" => Answer::new(200, format!("<html>{request}</html>")),
        "mac" => Answer::new(200, json!({"access_token": "x", "token_type": "mac"})),
        "endless" => Answer::new(200, "x".repeat(300 * 1024)),
        "slow-down" => Answer { pause: Duration::from_millis(400), ..Answer::new(503, request) },
        _ => Answer::new(503, request),
    }
}

/// Something that nobody can guess, and that is another one each time.
fn uuid_like(number: usize, port: u16) -> String {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new();
    let piece = |salt: u64| {
        let mut hasher = random.build_hasher();
        hasher.write_u64(salt + number as u64 * 7 + u64::from(port));
        format!("{:016x}", hasher.finish())
    };
    format!("{}{}", piece(1), piece(2))
}
