//! `tacit serve` as a process that may end at any moment, a client that survives it, and an upstream beside it.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};

use crate::harness::{Reply, TACIT};

/// What a command may take at most; only a hang comes near it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a data directory with the command line and returns the owner's token.
pub(crate) fn init(data: &Path) -> String {
    let output = finish(Command::new(TACIT).args(["init", "--json", "--data"]).arg(data));
    assert!(output.status.success(), "{}", stderr(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

/// Runs a command that should end on its own.
pub(crate) fn finish(command: &mut Command) -> Output {
    let child = command
        .env_remove("TACIT_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let (done, ended) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = ended.recv_timeout(PATIENCE);
    if output.is_err() {
        let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    }
    let _ = waiter.join();
    output.expect("the command ends on its own").unwrap()
}

/// What a command said on standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Proves the record of a data directory with the command line; returns its size.
#[track_caller]
pub(crate) fn audit_verify(data: &Path) -> u64 {
    let output =
        finish(Command::new(TACIT).args(["--output", "json", "audit", "verify", "--data"]).arg(data));
    assert!(output.status.success(), "{}", stderr(&output));
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = verified["items"].as_array().or(verified.as_array()).unwrap();
    items.iter().map(|item| item["events"].as_u64().unwrap()).sum()
}

/// A server process. Its log is not in the data directory unless it is put there.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    /// Starts a server on a free port and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(data: &Path, log: &Path) -> Self {
        Self::from_command(
            Command::new(TACIT).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data),
            log,
        )
    }

    /// Starts what runs a server in the end, and waits until it is ready.
    #[track_caller]
    pub(crate) fn from_command(command: &mut Command, log: &Path) -> Self {
        let mut child = spawn(command, log);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            if let Some(url) = line.strip_prefix("tacit: ready on ") {
                return Self { url: url.to_owned(), child };
            }
        }
        let _ = child.wait();
        let mut said = Vec::new();
        // At most so much: a device that takes the place of a log may have no end.
        let _ = std::fs::File::open(log).map(|log| log.take(1 << 16).read_to_end(&mut said));
        panic!("the server did not start: {}", String::from_utf8_lossy(&said));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, without waiting.
    pub(crate) fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap().success());
    }

    /// The exit status of a process that was told to end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a process that says on standard output when it is ready and logs to a file.
pub(crate) fn spawn(command: &mut Command, log: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}

/// Somebody with a token, who may find the server gone.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: String,
}

impl Api {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { http, base: base.to_owned(), token: token.to_owned() }
    }

    /// A request to a path of the workspace, or to an absolute one. `None` when there was no whole answer.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Reply> {
        let path = if path.starts_with("/v1/") || !path[1..].contains('/') && path.ends_with('z') {
            path.to_owned()
        } else {
            format!("/v1/workspaces/default{path}")
        };
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Reply { status, headers, text: response.text().await.ok()? })
    }

    /// A request that must be answered.
    pub(crate) async fn must(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = (!body.is_null()).then_some(body);
        let reply = self.send(method, path, body.as_ref()).await;
        reply.unwrap_or_else(|| panic!("the server does not answer {method} {path}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.must("GET", path, Value::Null).await
    }

    /// Every event from a sequence number on, oldest first.
    pub(crate) async fn events_from(&self, seq: i64) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/events?limit=500{cursor}")).await.expect(200);
            for event in page["items"].as_array().unwrap() {
                if event["seq"].as_i64().unwrap() < seq {
                    found.reverse();
                    return found;
                }
                found.push(event.clone());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => {
                    found.reverse();
                    return found;
                }
            }
        }
    }
}

/// A reply's request id, as the record has it.
pub(crate) fn request_id(reply: &Reply) -> String {
    reply.headers["x-request-id"].to_str().unwrap().to_owned()
}

/// A service beside the server: it keeps what it got and sends the head of each request back. What comes to `/slow…` is
/// answered only when the gate is open.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    gate: watch::Sender<bool>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (gate, opened) = watch::channel(false);
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&log), opened.clone()));
            }
        });
        Self { port, seen, gate }
    }

    /// The heads of all requests so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Lets slow requests be answered.
    pub(crate) fn open_gate(&self) {
        let _ = self.gate.send(true);
    }

    /// Waits until so many requests have come.
    pub(crate) async fn wait_for(&self, requests: usize) {
        let begun = Instant::now();
        while self.seen.lock().unwrap().len() < requests {
            assert!(begun.elapsed() < PATIENCE, "the request does not come");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn converse(
    mut stream: tokio::net::TcpStream,
    log: Arc<Mutex<Vec<String>>>,
    mut gate: watch::Receiver<bool>,
) {
    let mut pending = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        while let Some(end) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            let head: Vec<u8> = pending.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            let is_slow = head.split(' ').nth(1).is_some_and(|path| path.starts_with("/slow"));
            log.lock().unwrap().push(head.clone());
            if is_slow && gate.wait_for(|open| *open).await.is_err() {
                return;
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{head}",
                head.len()
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => pending.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
}

/// Numbers that look random and are the same each time (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to below `high`.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }

    /// A value that nothing else holds and that can be scrubbed.
    pub(crate) fn value(&mut self) -> String {
        format!("{:016x}Zq{:016x}", self.next(), self.next())
    }
}

/// Name, content and mode of every file in a directory. Left out are the lock file, which may appear, and the index of the
/// journal, which every reader makes anew and which holds nothing of its own.
pub(crate) fn files_of(directory: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    use std::os::unix::fs::PermissionsExt;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == "tacit.lock" || name == "tacit.db-shm") {
            continue;
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        files.push((path.clone(), mode, std::fs::read(&path).unwrap()));
    }
    files.sort();
    files
}
