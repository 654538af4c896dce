//! Real clients under `tacit run`, unmodified, against a real TLS service: each sends its request with a placeholder, the
//! service sees the value, and the client sees neither it nor anything that says that there is one.
//!
//! `scripts/test` installs the clients. One that is not there is a failure and never a skip.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    disguise::Detector,
    harness::{Client, Options, Server, TACIT},
};

const TOKEN: &str = "ghp_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
const HOST: &str = "service.localhost";

/// A server, a TLS service that it may reach, and an editor without `reveal`.
struct Scene {
    server: Server,
    editor: Client,
    service: Child,
    port: u16,
    directory: tempfile::TempDir,
    detector: Detector,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Where `scripts/test` put the clients.
fn installed() -> PathBuf {
    std::env::var_os("TACIT_TEST_CLIENTS").expect("set TACIT_TEST_CLIENTS; scripts/test does").into()
}

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (ca, certificate) = certificates();
        std::fs::write(path("ca.pem"), ca).unwrap();
        std::fs::write(path("service.pem"), &certificate.0).unwrap();
        std::fs::write(path("service-key.pem"), &certificate.1).unwrap();
        repository(&path("repositories"));
        let mut service = Command::new("python3")
            .arg(clients().join("upstream.py"))
            .args([path("service.pem"), path("service-key.pem"), path("repositories"), path("log")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(service.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().unwrap();
        let server = Server::start_with(Options {
            arguments: ["--allow-private", "127.0.0.0/8,::1/128", "--upstream-ca"]
                .map(str::to_owned)
                .into_iter()
                .chain([path("ca.pem").display().to_string()])
                .collect(),
            ..Options::default()
        })
        .await;
        let destinations = json!([{"host": HOST, "port": port, "methods": ["GET", "POST"]}]);
        let secret = json!({
            "name": "API_KEY", "type": "bearer_token", "destinations": destinations,
            "values": {"test": {"token": TOKEN}},
        });
        server.owner.post("/secrets", secret).await.expect(201);
        let editor = server.client("editor").await;
        Self { server, editor, service, port, directory, detector: Detector::new([&TOKEN[4..]]) }
    }

    /// Runs a command under `tacit run` as the editor.
    fn run(&self, command: &[&str], environment: &[(&str, &str)]) -> Output {
        let work = self.directory.path().join(format!("work-{}", command.join("-").replace('/', "_")));
        std::fs::create_dir_all(&work).unwrap();
        Command::new(TACIT)
            .args(["run", "--secret", "API_KEY", "--"])
            .args(command)
            .current_dir(clients())
            .env("TACIT_ADDR", &self.server.url)
            .env("TACIT_TOKEN", &self.editor.token)
            .env("TACIT_WORKSPACE", "default")
            .env("HOME", &work)
            .env("WORK", &work)
            .env("URL", format!("https://{HOST}:{}", self.port))
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    /// Runs a client and checks that it worked and saw nothing.
    #[track_caller]
    fn succeeds(&self, command: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.run(command, environment);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
        self.detector.assert_clean(&out, "standard output");
        self.detector.assert_clean(&err, "standard error");
        out
    }

    /// Runs a client that posts `{"a":1}` to the echo and prints the answer.
    #[track_caller]
    fn echoes(&self, command: &[&str], environment: &[(&str, &str)]) {
        let before = self.seen().len();
        let out = self.succeeds(command, environment);
        assert!(out.contains("[sealed:API_KEY]"), "{command:?}: {out}");
        let seen = self.seen();
        assert_eq!(seen.len(), before + 1, "{command:?}");
        let seen = &seen[before];
        assert_eq!(header(seen, "authorization"), format!("Bearer {TOKEN}"), "{command:?}");
        assert_eq!(seen["body"].as_str().unwrap().replace(' ', ""), r#"{"a":1}"#, "{command:?}");
    }

    /// What the service saw so far.
    fn seen(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn header(seen: &Value, name: &str) -> String {
    let headers = seen["headers"].as_object().unwrap();
    let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str().unwrap().to_owned()).unwrap_or_default()
}

/// An authority, and a certificate with its key for the service.
fn certificates() -> (String, (String, String)) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    (ca.pem(), (leaf.pem(), key.serialize_pem()))
}

/// A repository with one commit that may be cloned and pushed to over HTTP.
fn repository(directory: &Path) {
    let git = |arguments: &[&str], at: &Path| {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(at)
            .output()
            .expect("git is installed by scripts/test");
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
    };
    let bare = directory.join("demo.git");
    std::fs::create_dir_all(&bare).unwrap();
    git(&["init", "-q", "--bare"], &bare);
    git(&["config", "http.receivepack", "true"], &bare);
    let first = directory.join("first");
    git(&["clone", "-q", "demo.git", "first"], directory);
    std::fs::write(first.join("README"), "hello\n").unwrap();
    git(&["add", "README"], &first);
    git(&["commit", "-q", "-m", "first"], &first);
    git(&["push", "-q", "origin", "HEAD"], &first);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl() {
    let scene = Scene::new().await;
    scene.echoes(&["sh", "curl.sh"], &[]);
    scene.echoes(&["sh", "curl_h1.sh"], &[]);
}

/// Clones and pushes, with the placeholder as the password in the URL.
#[tokio::test(flavor = "multi_thread")]
async fn git_over_https() {
    let scene = Scene::new().await;
    let out = scene.succeeds(&["sh", "git.sh"], &[]);
    assert!(out.contains("more") && out.contains("first"), "{out}");
    use base64::{Engine, engine::general_purpose::STANDARD};
    let pair = format!("Basic {}", STANDARD.encode(format!("someone:{TOKEN}")));
    let credentials: Vec<String> = scene.seen().iter().map(|seen| header(seen, "authorization")).collect();
    assert!(credentials.iter().filter(|credential| **credential == pair).count() >= 4, "{credentials:?}");
    assert!(credentials.iter().all(|credential| *credential == pair || credential.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    let scene = Scene::new().await;
    let python = installed().join("python/bin/python");
    let python = python.to_str().unwrap();
    scene.echoes(&[python, "requests_.py"], &[]);
    scene.echoes(&[python, "httpx_.py"], &[]);
    scene.echoes(&[python, "httpx_.py"], &[("HTTP2", "1")]);
    scene.echoes(&["python3", "urllib_.py"], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    let scene = Scene::new().await;
    let modules = installed().join("node/node_modules");
    let modules = modules.to_str().unwrap();
    scene.echoes(&["node", "axios_.cjs"], &[("NODE_PATH", modules)]);
    // Imports of a module look beside the file and not in NODE_PATH.
    let fetch = installed().join("node/fetch.mjs");
    std::fs::copy(clients().join("fetch_.mjs"), &fetch).unwrap();
    scene.echoes(&["node", fetch.to_str().unwrap()], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn go() {
    let scene = Scene::new().await;
    let built = scene.directory.path().join("go-client");
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&built)
        .arg(".")
        .current_dir(clients().join("go"))
        .status();
    assert!(status.expect("go is installed by scripts/test").success());
    scene.echoes(&[built.to_str().unwrap()], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn java() {
    let scene = Scene::new().await;
    scene.echoes(&["java", "java/Client.java"], &[]);
}

/// What the matrix rests on: without `tacit run` a placeholder is worth nothing, and the lease ends with the command.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_the_command_ends() {
    let scene = Scene::new().await;
    let out = scene.succeeds(&["sh", "-c", "echo $HTTPS_PROXY; env | grep -c ^TACIT_TOKEN= || true"], &[]);
    let mut lines = out.lines();
    let proxy = lines.next().unwrap();
    assert_eq!(lines.next(), Some("0"));
    let relay = proxy.trim_start_matches("http://").trim_end_matches('/');
    assert!(std::net::TcpStream::connect(relay).is_err(), "the relay is gone");
    let open = scene.server.owner.get("/leases").await.expect(200);
    assert_eq!(open["items"].as_array().unwrap().len(), 0, "{open}");
}
