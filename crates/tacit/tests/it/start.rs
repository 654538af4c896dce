//! What keeps a server from starting is said in two lines and changes nothing; what it takes to stop one; TLS; and what
//! is open without a token.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::Duration,
};

use serde_json::json;

use crate::{
    harness::TACIT,
    store_process::{Api, PATIENCE, Process, Random, Upstream, audit_verify, files_of, finish, init, stderr},
};

/// A data directory that is initialised and stopped, and a place for more.
struct Place {
    directory: tempfile::TempDir,
    token: String,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let token = init(&directory.path().join("data"));
        Self { directory, token }
    }

    fn data(&self) -> std::path::PathBuf {
        self.at("data")
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self) -> Process {
        Process::start(&self.data(), &self.at("log"))
    }
}

/// `serve` with these arguments ends by itself, says what and what to do, and changes not a byte of the directory.
#[track_caller]
fn refuses(data: &Path, arguments: &[&str], says: &str) {
    let listen: &[&str] = if arguments.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
    let mut command = Command::new(TACIT);
    command.arg("serve").args(listen).args(arguments).arg("--data").arg(data);
    refuses_command(data, &mut command, says);
}

#[track_caller]
fn refuses_command(data: &Path, command: &mut Command, says: &str) {
    let before = files_of(data);
    let output = finish(command);
    let said = stderr(&output);
    assert!(!output.status.success() && output.status.code().is_some(), "{:?} {said}", output.status);
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.lines().filter(|line| !line.trim().is_empty()).count(), 2, "{said}");
    assert!(said.contains(says), "{said}");
    let after = files_of(data);
    let names = |files: &[(std::path::PathBuf, u32, Vec<u8>)]| {
        files.iter().map(|(path, mode, bytes)| (path.clone(), *mode, bytes.len())).collect::<Vec<_>>()
    };
    assert_eq!(names(&after), names(&before), "files came, went or changed");
    assert!(after == before, "a file's content changed");
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A root key that is wrong, missing, damaged or open to others.
#[test]
fn a_root_key_that_does_not_fit() {
    let place = Place::new();
    let (data, key) = (place.data(), place.data().join("root.key"));
    let right = std::fs::read_to_string(&key).unwrap();
    let other = place.at("other");
    init(&other);
    let write = |text: &str| std::fs::write(&key, text).unwrap();

    write(&std::fs::read_to_string(other.join("root.key")).unwrap());
    refuses(&data, &[], "does not belong to this data directory");
    for damaged in [
        "",
        "\n",
        "tacit-root-key-1:",
        &right[..right.len() / 2],
        &right.replace("root-key-1", "root-key-9"),
        &flipped(&right),
    ] {
        write(damaged);
        refuses(&data, &[], "does not hold a root key");
    }
    std::fs::write(&key, [0xff, 0xfe, 0x00]).unwrap();
    refuses(&data, &[], "root key");
    write(&right);
    for mode in [0o640, 0o604, 0o666] {
        set_mode(&key, mode);
        refuses(&data, &[], "can be read by other users");
    }
    set_mode(&key, 0o600);
    std::fs::rename(&key, place.at("elsewhere.key")).unwrap();
    refuses(&data, &[], "the root key is not at");
    refuses(&data, &["--root-key", "env:TACIT_TEST_NOT_SET"], "is not set");
    let elsewhere = format!("file:{}", place.at("elsewhere.key").display());
    let mut command = Command::new(TACIT);
    command.args(["serve", "--listen", "127.0.0.1:0", "--root-key", &elsewhere, "--data"]).arg(&data);
    drop(Process::from_command(&mut command, &place.at("log")));
}

/// One character of the key itself is another one.
fn flipped(text: &str) -> String {
    let at = text.find(':').unwrap() + 5;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

/// A database that is newer, open to others, or none.
#[test]
fn a_database_that_is_not_ours_to_open() {
    let place = Place::new();
    let (data, file) = (place.data(), place.data().join("tacit.db"));
    set_mode(&file, 0o640);
    refuses(&data, &[], "can be read by other users");
    set_mode(&file, 0o600);
    let whole = std::fs::read(&file).unwrap();
    {
        let database = rusqlite::Connection::open(&file).unwrap();
        database.execute("INSERT INTO migrations (number, applied_at) VALUES (9999, 0)", []).unwrap();
        database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
    for name in ["tacit.db-wal", "tacit.db-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    refuses(&data, &[], "newer version of tacit");
    let mut verify = Command::new(TACIT);
    verify.args(["audit", "verify", "--data"]).arg(&data);
    assert!(stderr(&finish(&mut verify)).contains("newer version"));
    std::fs::write(&file, b"this is not a database, and it is longer than a header of one hundred bytes would be, so that it is looked at").unwrap();
    refuses(&data, &[], "not a database");
    std::fs::write(&file, &whole).unwrap();
    drop(place.start());
}

/// An address that cannot or must not be listened on; nothing is initialised on the way there.
#[test]
fn an_address_that_will_not_do() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let empty = place.at("empty");
    for data in [place.data(), empty.clone()] {
        refuses(&data, &["--listen", &address], "in use");
        refuses(&data, &["--listen", "0.0.0.0:0"], "not a loopback address");
        refuses(&data, &["--listen", "[::]:0"], "not a loopback address");
        refuses(&data, &["--listen", "192.0.2.1:8200", "--plain-http"], "cannot listen");
        assert_eq!(data.exists(), data != empty);
    }
}

/// Options that name what is not there or is not what they need.
#[test]
fn options_that_will_not_do() {
    let place = Place::new();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(place.at(name), text).unwrap();
        place.at(name).display().to_string()
    };
    let certificate = file("certificate.pem", &issued.cert.pem());
    let key = file("key.pem", &issued.signing_key.serialize_pem());
    let foreign = file("foreign.pem", &other.signing_key.serialize_pem());
    let garbage =
        file("garbage.pem", "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n");
    let empty = file("empty.pem", "");
    let nowhere = place.at("nowhere").display().to_string();
    let data = place.data();
    refuses(&data, &["--tls-cert", &nowhere, "--tls-key", &key], "nowhere");
    refuses(&data, &["--tls-cert", &certificate, "--tls-key", &nowhere], "nowhere");
    refuses(&data, &["--tls-cert", &certificate, "--tls-key", &certificate], "not a private key");
    refuses(&data, &["--tls-cert", &certificate, "--tls-key", &foreign], "");
    refuses(&data, &["--tls-cert", &garbage, "--tls-key", &key], "");
    refuses(&data, &["--tls-cert", &empty, "--tls-key", &key], "");
    for range in ["banana", "10.0.0.0/99", "10.0.0.0/8,", "10.0.0.1-10.0.0.9"] {
        if range.ends_with(',') {
            continue;
        }
        refuses(&data, &["--allow-private", range], "is not a range");
    }
    refuses(&data, &["--upstream-ca", &nowhere], "cannot be read");
    refuses(&data, &["--upstream-ca", &garbage], "");
    // And with nothing wrong it starts.
    drop(place.start());
}

/// One directory has one server, and is initialised once.
#[test]
fn one_directory_one_server() {
    let place = Place::new();
    let data = place.data();
    let again = || {
        let mut command = Command::new(TACIT);
        command.args(["init", "--data"]).arg(&data);
        command
    };
    refuses_command(&data, &mut again(), "initialised already");
    let running = place.start();
    refuses(&data, &[], "another tacit process");
    refuses_command(&data, &mut again(), "initialised already");
    drop(running);
    refuses_command(&data, &mut again(), "initialised already");
    drop(place.start());
}

/// A first start that is killed has everything in the journal; a start without its key, or with another one, finds that
/// out before it writes.
#[test]
fn a_killed_first_start_is_still_somebodys() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    drop(Process::start(&data, &log));
    let key = data.join("root.key");
    let right = std::fs::read(&key).unwrap();
    let other = directory.path().join("other");
    init(&other);
    std::fs::write(&key, std::fs::read(other.join("root.key")).unwrap()).unwrap();
    refuses(&data, &[], "does not belong to this data directory");
    std::fs::remove_file(&key).unwrap();
    refuses(&data, &[], "the root key is not at");
    std::fs::write(&key, right).unwrap();
    set_mode(&key, 0o600);
    drop(Process::start(&data, &log));
}

/// Certificate and key for the loopback address, and a client that trusts them.
fn tls(place: &Place) -> (Vec<String>, reqwest::Client) {
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(place.at("certificate.pem"), issued.cert.pem()).unwrap();
    std::fs::write(place.at("key.pem"), issued.signing_key.serialize_pem()).unwrap();
    let root = reqwest::Certificate::from_pem(issued.cert.pem().as_bytes()).unwrap();
    let client =
        reqwest::Client::builder().tls_certs_only([root]).no_proxy().timeout(PATIENCE).build().unwrap();
    let path = |name: &str| place.at(name).display().to_string();
    (vec!["--tls-cert".to_owned(), path("certificate.pem"), "--tls-key".to_owned(), path("key.pem")], client)
}

/// The first byte that comes back, if one comes.
fn first_byte(address: &str, bytes: &[u8]) -> Option<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).ok().map(|()| byte[0])
}

/// A TLS client's first message that offers this version at most, by hand, because no library of ours speaks TLS 1.1.
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let extension = |number: u16, body: &[u8]| [&number.to_be_bytes()[..], &sized(body)].concat();
    let extensions = [
        extension(10, &sized(&[0, 0x17, 0, 0x1d])),
        extension(11, &[1, 0]),
        extension(13, &sized(&[0x04, 0x03, 0x08, 0x04, 0x04, 0x01])),
        extension(23, &[]),
    ]
    .concat();
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f, 0x00, 0xff];
    let body = [&version[..], &[7; 32], &[0], &sized(&suites), &[1, 0], &sized(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let handshake = [&[1], &length[1..], &body].concat();
    [&[0x16, 3, 1], &sized(&handshake)[..]].concat()
}

/// TLS 1.2 and 1.3 with a client that knows the certificate; neither older versions nor plain text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_nothing_less() {
    const HANDSHAKE: Option<u8> = Some(0x16);
    const ALERT: Option<u8> = Some(0x15);
    let place = Place::new();
    let (arguments, client) = tls(&place);
    let mut command = Command::new(TACIT);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(place.data()).args(arguments);
    let mut server = Process::from_command(&mut command, &place.at("log"));
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let who =
        client.get(format!("{}/v1/workspaces", server.url)).bearer_auth(&place.token).send().await.unwrap();
    assert_eq!(who.status(), 200);
    let strangers = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    assert!(
        strangers.get(format!("{}/healthz", server.url)).send().await.is_err(),
        "an unknown certificate was trusted"
    );

    let address = server.url.strip_prefix("https://").unwrap().to_owned();
    let hello = |version| first_byte(&address, &client_hello(version));
    assert_eq!(hello([3, 3]), HANDSHAKE, "TLS 1.2 by hand works, so what follows means something");
    for old in [[3, 2], [3, 1], [3, 0]] {
        assert_eq!(hello(old), ALERT, "{old:?}");
    }
    let plain = first_byte(&address, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_ne!(plain, Some(b'H'), "plain HTTP was answered");
    let plain = strangers.get(format!("http://{address}/healthz")).bearer_auth(&place.token).send().await;
    assert!(plain.is_err(), "plain HTTP was answered");
    server.terminate();
    assert!(server.wait().success());
}

/// Over TLS a browser's session is a cookie that goes nowhere else: marked `Secure`, bound to this host by its name, and worth
/// nothing under the name it has without TLS. It writes from this server's own pages, which are https.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_over_tls() {
    let place = Place::new();
    let (arguments, client) = tls(&place);
    let mut command = Command::new(TACIT);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(place.data()).args(arguments);
    let server = Process::from_command(&mut command, &place.at("log"));
    let url = |path: &str| format!("{}{path}", server.url);
    let password = "correct horse battery staple";
    let set =
        client.put(url("/v1/account/password")).bearer_auth(&place.token).json(&json!({"new": password}));
    assert_eq!(set.send().await.unwrap().status(), 204);
    let sign_in = async |origin: &str| {
        let body = json!({"name": "owner", "password": password, "kind": "cookie"});
        client.post(url("/v1/sessions")).header("origin", origin).json(&body).send().await.unwrap()
    };
    let plain = server.url.replace("https:", "http:");
    assert_eq!(sign_in(&plain).await.status(), 403, "a page without TLS");
    let first = sign_in(&server.url).await;
    assert_eq!(first.status(), 201);
    let set = first.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["__Host-tacit_session=", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.to_lowercase().contains("domain"), "{set}");
    let value = set.split(';').next().unwrap().split_once('=').unwrap().1.to_owned();
    let send = async |method: reqwest::Method, cookie: String, origin: Option<&str>| {
        let path = "/v1/workspaces/default/variables";
        let mut request = client.request(method.clone(), url(path)).header("cookie", cookie);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if method == reqwest::Method::POST {
            request = request.json(&json!({"name": "V"}));
        }
        request.send().await.unwrap().status().as_u16()
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    let named = |name: &str| format!("{name}={value}");
    assert_eq!(send(get.clone(), named("__Host-tacit_session"), None).await, 200);
    assert_eq!(send(get.clone(), named("tacit_session"), None).await, 401);
    for origin in [None, Some(&*plain), Some("https://evil.test"), Some("null")] {
        assert_eq!(send(post.clone(), named("__Host-tacit_session"), origin).await, 403, "{origin:?}");
    }
    assert_eq!(send(post, named("__Host-tacit_session"), Some(&server.url)).await, 201);
    // A session is never one that somebody brought along.
    let body = json!({"name": "owner", "password": password, "kind": "cookie"});
    let request = client.post(url("/v1/sessions")).header("origin", &server.url).json(&body);
    let again = request.header("cookie", named("__Host-tacit_session")).send().await.unwrap();
    assert_eq!(again.status(), 201);
    assert!(!again.headers()["set-cookie"].to_str().unwrap().contains(&value));
    // Signing out forgets it in the browser and ends it here.
    let out = client.delete(url("/v1/sessions/current")).header("origin", &server.url);
    let out = out.header("cookie", named("__Host-tacit_session")).send().await.unwrap();
    assert_eq!(out.status(), 204);
    let forgotten = out.headers()["set-cookie"].to_str().unwrap();
    assert!(
        forgotten.starts_with("__Host-tacit_session=;") && forgotten.contains("Max-Age=0"),
        "{forgotten}"
    );
    assert!(forgotten.contains("; Secure") && forgotten.contains("; Path=/"), "{forgotten}");
    assert_eq!(send(get, named("__Host-tacit_session"), None).await, 401);
}

/// SIGTERM: a request and a run that are in flight come to their end, the exit status is 0, and the one file is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_flight_is_finished() {
    let place = Place::new();
    let mut server = place.start();
    let api = Api::new(&server.url, &place.token);
    let upstream = Upstream::start().await;
    let value = Random(5).value();
    let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": upstream.port});
    api.must("POST", "/secrets", json!({"name": "used", "type": "bearer_token", "destinations": [destination], "values": {"test": {"token": value}}})).await.expect(201);
    let http = json!({"url": format!("http://127.0.0.1:{}/slow", upstream.port), "auth": {"secret": "used"}});
    api.must("PUT", "/automations/slow", json!({"steps": [{"id": "wait", "http": http}]})).await.expect(201);
    let run = api.must("POST", "/automations/slow/runs", json!({"environment": "test"})).await.expect(201);
    upstream.wait_for(1).await;
    let mut body = http.clone();
    body["environment"] = json!("test");
    let sending = tokio::spawn({
        let api = api.clone();
        async move { api.must("POST", "/requests", body).await }
    });
    upstream.wait_for(2).await;
    server.terminate();
    // Nobody new is let in, and those who are in are waited for.
    let begun = std::time::Instant::now();
    while TcpStream::connect(server.url.strip_prefix("http://").unwrap()).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "the server still listens");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!sending.is_finished());
    upstream.open_gate();
    let reply = sending.await.unwrap();
    assert_eq!(reply.expect(200)["status"], 200);
    assert!(!reply.text.contains(&value), "{}", reply.text);
    let status = server.wait();
    assert_eq!(status.code(), Some(0), "{status:?}");
    for (path, _, bytes) in files_of(&place.data()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !(name.ends_with("-wal") || name.ends_with("-journal")) || bytes.is_empty(),
            "{name} holds {} bytes",
            bytes.len()
        );
    }
    // The one file and the key are the whole instance.
    let copy = place.at("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in ["tacit.db", "root.key"] {
        std::fs::copy(place.data().join(name), copy.join(name)).unwrap();
    }
    let server = Process::start(&copy, &place.at("log"));
    let api = Api::new(&server.url, &place.token);
    let run = api.get(&format!("/runs/{}", run["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(run["status"], "succeeded", "{run}");
    let events = api.events_from(0).await;
    let uses = |outcome: &str| {
        events.iter().filter(|event| event["verb"] == "secret.use" && event["outcome"] == outcome).count()
    };
    assert_eq!((uses("allowed"), uses("succeeded")), (2, 2));
    audit_verify(&copy);
}

/// Whoever stops a server in the moment in which it says that it is ready gets the same orderly end.
#[test]
fn a_server_that_says_ready_can_be_stopped() {
    let place = Place::new();
    for _ in 0..20 {
        let mut server = place.start();
        server.terminate();
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "{status:?}");
    }
}

/// A server that has nothing to do ends at once, and connections that idle do not keep it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_keep_nobody() {
    let place = Place::new();
    let mut server = place.start();
    let api = Api::new(&server.url, &place.token);
    api.get("/secrets").await.expect(200);
    let silent = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let begun = std::time::Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    // A connection that never said a word is cut when the time for a request's head is over.
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    drop((silent, api));
}

/// Health is open to all; metrics and the document of routes are for those with a token, and no name is on any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_without_a_token() {
    let place = Place::new();
    let server = place.start();
    let api = Api::new(&server.url, &place.token);
    let upstream = Upstream::start().await;
    let (name, value) = ("Qz7-nobody-should-read-this-name", Random(9).value());
    let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": upstream.port});
    api.must("POST", "/secrets", json!({"name": name, "type": "bearer_token", "visibility": "masked", "destinations": [destination], "values": {"test": {"token": value}}})).await.expect(201);
    api.must("POST", &format!("/secrets/{name}/values/test/reveal"), json!({})).await.expect(200);
    let request = json!({"environment": "test", "url": format!("http://127.0.0.1:{}/", upstream.port), "auth": {"secret": name}});
    api.must("POST", "/requests", request).await.expect(200);
    api.get(&format!("/secrets/{name}-is-not-there")).await.refused(404, "not_found");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, open) in [("/healthz", true), ("/readyz", true), ("/metrics", false), ("/openapi.json", false)]
    {
        let url = format!("{}{path}", server.url);
        let bare = http.get(&url).send().await.unwrap();
        assert_eq!(bare.status(), if open { 200 } else { 401 }, "{path}");
        let wrong =
            http.get(&url).bearer_auth("tct_u_000000000000000000000000000000000000").send().await.unwrap();
        assert_eq!(wrong.status(), if open { 200 } else { 401 }, "{path}");
        let known = http.get(&url).bearer_auth(&place.token).send().await.unwrap();
        assert_eq!(known.status(), 200, "{path}");
        let text = bare.text().await.unwrap() + &wrong.text().await.unwrap() + &known.text().await.unwrap();
        assert!(
            !text.contains("Qz7") && !text.contains(&value) && !text.contains(&place.token),
            "{path}: {text}"
        );
        if path == "/metrics" {
            assert!(text.contains("tacit_http_requests_total") && text.contains("{name}"), "{text}");
        }
    }
}
