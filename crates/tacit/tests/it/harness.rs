//! A real server in a directory of its own, and clients with one role each.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

/// The binary under test.
pub(crate) const TACIT: &str = env!("CARGO_BIN_EXE_tacit");

/// A running `tacit serve` on a free loopback port, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) data: PathBuf,
    pub(crate) owner: Client,
    /// None once the directory was handed to another server.
    _directory: Option<tempfile::TempDir>,
    log: PathBuf,
}

/// How a server is started.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// More arguments of `tacit serve`.
    pub(crate) arguments: Vec<String>,
    /// More environment variables.
    pub(crate) environment: Vec<(String, String)>,
}

impl Server {
    /// A fresh instance.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// A fresh instance with more arguments.
    pub(crate) async fn start_with(options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let output = Command::new(TACIT).args(["init", "--json", "--data"]).arg(&data).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        let token = made["token"].as_str().unwrap().to_owned();
        let mut server = Self::on(&data, &token, &options);
        server._directory = Some(directory);
        server
    }

    /// A server on a directory that is initialised.
    pub(crate) fn on(data: &Path, owner_token: &str, options: &Options) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let log = data.join(format!("log-{}.txt", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let mut child = Command::new(TACIT)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(&options.arguments)
            .env("TACIT_LOG", "trace,hyper=info,rustls=info,h2=info")
            .envs(options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            match lines.next() {
                Some(Ok(line)) => {
                    if let Some(url) = line.strip_prefix("tacit: ready on ") {
                        break url.to_owned();
                    }
                }
                _ => {
                    panic!("the server did not start: {}", std::fs::read_to_string(&log).unwrap_or_default())
                }
            }
        };
        let owner = Client::new(&url, owner_token);
        Self { child, url, data: data.to_owned(), owner, _directory: None, log }
    }

    /// A service account with this role, and a client that acts as it.
    pub(crate) async fn client(&self, role: &str) -> Client {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{role}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.owner.post("/service-accounts", json!({"name": name, "role": role})).await.expect(201);
        let token = self.owner.post(&format!("/service-accounts/{name}/tokens"), json!({})).await.expect(201);
        Client {
            name: format!("service-account:{name}"),
            ..Client::new(&self.url, token["token"].as_str().unwrap())
        }
    }

    /// The process id, for signals.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn stop(&mut self) -> std::process::ExitStatus {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        self.child.wait().unwrap()
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Every byte of every file in the data directory.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.data).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                found.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
            }
        }
        found
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Somebody with a token, in one workspace.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) workspace: String,
    /// As the record names it.
    pub(crate) name: String,
    pub(crate) http: reqwest::Client,
}

/// A status, headers and a body that is usually JSON.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The body as JSON (`null` if it is none).
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The problem's code, if the status is this one.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{}", self.text);
        problem
    }
}

impl Client {
    pub(crate) fn new(url: &str, token: &str) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            url: url.to_owned(),
            token: token.to_owned(),
            workspace: "default".to_owned(),
            name: "user:owner".to_owned(),
            http,
        }
    }

    /// The same person in another workspace.
    pub(crate) fn in_workspace(&self, workspace: &str) -> Self {
        Self { workspace: workspace.to_owned(), ..self.clone() }
    }

    /// A request to a path of the workspace (`/secrets`), or to an absolute one (`/v1/…`, `/healthz`).
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let path = if path.starts_with("/v1/")
            || ["/healthz", "/readyz", "/metrics", "/openapi.json"].contains(&path)
        {
            path.to_owned()
        } else {
            format!("/v1/workspaces/{}{path}", self.workspace)
        };
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send("PUT", path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send("PATCH", path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None).await
    }

    /// Every run with all that its steps brought, which a list leaves out.
    pub(crate) async fn every_run(&self) -> String {
        let listed = self.get("/runs?limit=500").await.expect(200);
        let mut shown = String::new();
        for run in listed["items"].as_array().unwrap() {
            shown.push_str(&self.get(&format!("/runs/{}", run["id"].as_str().unwrap())).await.text);
        }
        shown
    }

    /// The newest event that fits, with the owner's eyes.
    pub(crate) async fn newest_event(&self, query: &str) -> Value {
        self.get(&format!("/events?{query}&limit=1")).await.expect(200)["items"][0].clone()
    }

    /// The newest event that fits, once there is one: outcomes are written after the answer.
    pub(crate) async fn event_soon(&self, query: &str) -> Value {
        for _ in 0..100 {
            let event = self.newest_event(query).await;
            if !event.is_null() {
                return event;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("there is no event with {query}");
    }
}
