//! A full disk: nothing is released, nothing is half done, reading goes on, and freed space is all that is needed.
//!
//! The disk is full in two ways. A file system of a few megabytes in memory is the real thing, where it may be mounted
//! (as root). A limit on the size of files, set on the running process, is possible everywhere and always tried.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    harness::{Reply, TACIT},
    store_process::{Api, Process, Random, Upstream, audit_verify, finish, init},
};

/// A way to run out of disk and back.
trait Disk {
    /// Where the data directory is.
    fn data(&self) -> PathBuf;
    /// Where the server logs: not on this disk, so that what fails is the database.
    fn log(&self) -> PathBuf;
    fn fill(&mut self, server: &Process);
    /// Makes room again, for this process if it still runs.
    fn free(&mut self, server: Option<&Process>);
}

/// A small file system in memory, unmounted when dropped.
struct Mounted {
    directory: tempfile::TempDir,
    elsewhere: tempfile::TempDir,
}

impl Mounted {
    fn new() -> Option<Self> {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m,mode=700", "tacit-test"])
            .arg(directory.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { directory, elsewhere })
    }

    fn filler(&self) -> PathBuf {
        self.directory.path().join("filler")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.directory.path()).status();
    }
}

impl Disk for Mounted {
    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.elsewhere.path().join("log")
    }

    fn fill(&mut self, _: &Process) {
        let mut filler = File::create(self.filler()).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            let block = vec![b'x'; size];
            while filler.write_all(&block).is_ok() {}
        }
        let free = rustix::fs::statvfs(self.directory.path()).unwrap().f_bavail;
        assert_eq!(free, 0, "the disk is not full");
    }

    fn free(&mut self, _: Option<&Process>) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

/// No file of the process may grow. The signal that comes with it is ignored, so that writing fails as it does when the
/// disk is full.
struct Limited {
    directory: tempfile::TempDir,
}

impl Limited {
    fn limit(server: &Process, bytes: &str) {
        let status = Command::new("prlimit")
            .args(["--pid", &server.pid().to_string(), &format!("--fsize={bytes}:")])
            .status()
            .unwrap();
        assert!(status.success(), "the limit cannot be set");
    }
}

impl Disk for Limited {
    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        // A file would be limited as well.
        "/dev/null".into()
    }

    fn fill(&mut self, server: &Process) {
        Self::limit(server, "0");
    }

    fn free(&mut self, server: Option<&Process>) {
        if let Some(server) = server {
            Self::limit(server, "unlimited");
        }
    }
}

fn serve(data: &Path, log: &Path) -> Process {
    let script = r#"trap "" XFSZ; exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", TACIT, "serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    Process::from_command(&mut command, log)
}

/// What needs the record, by name.
fn writes(port: u16, value: &str) -> Vec<(&'static str, String, Value)> {
    let url = format!("http://127.0.0.1:{port}/use");
    vec![
        ("POST", "/secrets".into(), json!({"name": "one-more", "values": {"test": {"value": value}}})),
        ("PUT", "/secrets/shown/values/test".into(), json!({"fields": {"value": value}})),
        ("PATCH", "/secrets/shown".into(), json!({"description": "other"})),
        ("POST", "/secrets/shown/disable".into(), json!({})),
        ("DELETE", "/secrets/shown".into(), Value::Null),
        ("POST", "/secrets/shown/values/test/reveal".into(), json!({})),
        ("PUT", "/variables/plain/values/test".into(), json!({"value": "other"})),
        ("POST", "/variables".into(), json!({"name": "one-more-variable"})),
        ("POST", "/requests".into(), json!({"environment": "test", "url": url, "auth": {"secret": "used"}})),
        // Refusals are on the record as well.
        (
            "POST",
            "/requests".into(),
            json!({"environment": "test", "url": "http://127.0.0.1:1/", "auth": {"secret": "used"}}),
        ),
        ("POST", "/secrets/used/values/test/reveal".into(), json!({})),
        ("POST", "/automations/use-it/runs".into(), json!({"environment": "test"})),
        ("POST", "/service-accounts".into(), json!({"name": "one-more", "role": "editor"})),
        ("POST", "/environments".into(), json!({"name": "one-more"})),
        ("POST", "/v1/workspaces".into(), json!({"name": "one-more"})),
    ]
}

/// What everybody may go on reading.
const READS: &[&str] = &[
    "/secrets",
    "/secrets/shown",
    "/secrets/shown/values/test/versions",
    "/variables",
    "/variables/plain",
    "/automations",
    "/runs",
    "/events?limit=500",
    "/service-accounts",
    "/environments",
    "/v1/workspaces",
    "/healthz",
    "/readyz",
];

/// The state as far as it shows.
async fn state(api: &Api) -> Vec<String> {
    let mut seen = Vec::new();
    for path in READS {
        let reply = api.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        seen.push(reply.text);
    }
    seen
}

#[track_caller]
fn assert_unavailable(what: &str, reply: &Reply, values: &[&str]) {
    assert_eq!(reply.refused(503, "audit_unavailable")["status"], 503, "{what}");
    assert!(reply.headers.contains_key("retry-after"), "{what}");
    assert!(values.iter().all(|value| !reply.text.contains(value)), "{what}: {}", reply.text);
}

async fn runs_out_of_disk(disk: &mut impl Disk) {
    let (data, log) = (disk.data(), disk.log());
    let token = init(&data);
    let mut server = serve(&data, &log);
    let api = Api::new(&server.url, &token);
    let upstream = Upstream::start().await;
    let mut random = Random(3);
    let (shown, used, other) = (random.value(), random.value(), random.value());
    let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": upstream.port});
    api.must(
        "POST",
        "/secrets",
        json!({"name": "shown", "visibility": "masked", "values": {"test": {"value": shown}}}),
    )
    .await
    .expect(201);
    api.must("POST", "/secrets", json!({"name": "used", "type": "bearer_token", "destinations": [destination], "values": {"test": {"token": used}}})).await.expect(201);
    api.must("POST", "/variables", json!({"name": "plain", "values": {"test": "one"}})).await.expect(201);
    let url = format!("http://127.0.0.1:{}/use", upstream.port);
    let step = json!({"id": "use", "http": {"url": url, "auth": {"secret": "used"}}});
    api.must("PUT", "/automations/use-it", json!({"steps": [step]})).await.expect(201);
    api.must("POST", "/requests", json!({"environment": "test", "url": url, "auth": {"secret": "used"}}))
        .await
        .expect(200);
    api.must("POST", "/secrets/shown/values/test/reveal", json!({})).await.expect(200);
    let sent = upstream.seen().len();
    // The outcome of the last use is written when nobody waits any more; the next write comes after it.
    api.must("PUT", "/variables/plain/values/test", json!({"value": "two"})).await.expect(204);

    let before = state(&api).await;
    disk.fill(&server);
    for _ in 0..3 {
        for (method, path, body) in writes(upstream.port, &other) {
            let reply = api.must(method, &path, body).await;
            assert_unavailable(&format!("{method} {path}"), &reply, &[&shown, &used, &other]);
        }
        // Somebody who comes only now is known all the same.
        let late = Api::new(&server.url, &token);
        assert_eq!(state(&late).await, before, "something was done half");
    }
    assert_eq!(upstream.seen().len(), sent, "a value went out without a record");
    disk.free(Some(&server));

    assert_eq!(state(&api).await, before, "something waited and was done later");
    let revealed = api.must("POST", "/secrets/shown/values/test/reveal", json!({})).await.expect(200);
    assert_eq!((&revealed["version"], &revealed["fields"]["value"]), (&json!(1), &json!(shown)));
    let rotated =
        api.must("PUT", "/secrets/shown/values/test", json!({"fields": {"value": other}})).await.expect(201);
    assert_eq!(rotated["version"], 2);
    api.must("POST", "/secrets", json!({"name": "one-more", "values": {"test": {"value": shown}}}))
        .await
        .expect(201);
    api.must("POST", "/requests", json!({"environment": "test", "url": url, "auth": {"secret": "used"}}))
        .await
        .expect(200);
    let run = api
        .must("POST", "/automations/use-it/runs?wait=20", json!({"environment": "test"}))
        .await
        .expect(201);
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(upstream.seen().len(), sent + 2);
    let events = api.events_from(0).await;
    assert!(events.iter().enumerate().all(|(at, event)| event["seq"] == at as u64), "the record has a gap");
    assert!(audit_verify(&data) >= events.len() as u64);

    // Killed while the disk is full, it comes back with everything that was acknowledged.
    disk.fill(&server);
    let reply = api.must("POST", "/secrets/shown/values/test/reveal", json!({})).await;
    assert_unavailable("reveal", &reply, &[&shown, &used, &other]);
    server.kill();
    disk.free(None);
    let mut server = serve(&data, &log);
    let api = Api::new(&server.url, &token);
    let revealed = api.must("POST", "/secrets/shown/values/test/reveal", json!({})).await.expect(200);
    assert_eq!((&revealed["version"], &revealed["fields"]["value"]), (&json!(2), &json!(other)));
    server.terminate();
    assert!(server.wait().success());
    assert!(audit_verify(&data) > events.len() as u64);
}

/// With files that may not grow: everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_may_not_grow() {
    runs_out_of_disk(&mut Limited { directory: tempfile::tempdir().unwrap() }).await;
}

/// With a disk that is really full, where one can be made; without the right to make one, files that may not grow again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full() {
    match Mounted::new() {
        Some(mut disk) => runs_out_of_disk(&mut disk).await,
        None => runs_out_of_disk(&mut Limited { directory: tempfile::tempdir().unwrap() }).await,
    }
}

/// An instance that ran out of disk while it was made can be made once there is room: whatever was cut off is in nobody's
/// way, because nothing was sealed with it.
#[test]
fn an_init_without_space_leaves_no_stuck_directory() {
    for bytes in [0, 10, 69, 70, 4096, 20_000, 60_000, 150_000, 220_000] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let script = r#"trap "" XFSZ; exec prlimit "$@""#;
        let mut limited = Command::new("sh");
        limited.args(["-c", script, "sh", &format!("--fsize={bytes}"), TACIT, "init", "--data"]).arg(&data);
        let output = finish(&mut limited);
        assert!(!output.status.success(), "{bytes} bytes are enough");
        init(&data);
        drop(Process::start(&data, Path::new("/dev/null")));
    }
}

/// A log that cannot be written, on the same full disk or behind a broken pipe, is no reason to stop.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let token = init(&data);
    let mut command = Command::new(TACIT);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).env("TACIT_LOG", "debug");
    let server = Process::from_command(&mut command, Path::new("/dev/full"));
    Api::new(&server.url, &token).get("/secrets").await.expect(200);
}
