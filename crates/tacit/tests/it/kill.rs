//! Killed at any moment, nothing that was acknowledged is lost and nothing is half done.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::{
    harness::{Reply, TACIT},
    store_process::{Api, Process, Random, Upstream, audit_verify, finish, init, request_id, spawn, stderr},
};

/// Kills under load.
const KILLS: usize = 200;
/// Writers at once.
const WRITERS: usize = 4;
/// Kills between two looks at everything.
const FULL_CHECK_EVERY: usize = 10;
/// Versions of a value that a workspace keeps.
const KEPT: i64 = 10;

/// A secret as its only writer knows it: what was acknowledged, and what may or may not have been written.
#[derive(Clone)]
struct Known {
    name: String,
    version: i64,
    value: String,
    doubt: Option<String>,
}

/// What must be on the record: a request's id and its event's verb and outcome.
struct Acknowledged {
    request_id: String,
    verb: &'static str,
    outcome: &'static str,
}

/// One writer: it alone writes its secrets and its variable, so it knows what they must be.
struct Worker {
    api: Api,
    random: Random,
    number: usize,
    made: usize,
    port: u16,
    secrets: Vec<Known>,
    touched: BTreeSet<usize>,
    variable: Option<String>,
    variable_doubt: Option<String>,
    acknowledged: Vec<Acknowledged>,
    runs: Vec<String>,
}

/// Whether a step was acknowledged, refused, or cut off.
enum Step {
    Done(Reply),
    Refused,
    CutOff,
}

impl Worker {
    fn new(number: usize, api: Api, port: u16) -> Self {
        Self {
            api,
            random: Random(0x7ac1_7000 + number as u64),
            number,
            made: 0,
            port,
            secrets: Vec::new(),
            touched: BTreeSet::new(),
            variable: None,
            variable_doubt: None,
            acknowledged: Vec::new(),
            runs: Vec::new(),
        }
    }

    async fn step(&self, method: &str, path: &str, body: Value) -> Step {
        match self.api.send(method, path, Some(&body)).await {
            None => Step::CutOff,
            Some(reply) if reply.status < 300 => Step::Done(reply),
            // Other writers kept overtaking it, or values were looked at too often: nothing was done, and nothing may be
            // found later.
            Some(reply) if matches!(reply.status, 412 | 429) => Step::Refused,
            Some(reply) => panic!("{method} {path}: {} {}", reply.status, reply.text),
        }
    }

    fn acknowledge(&mut self, reply: &Reply, verb: &'static str, outcome: &'static str) {
        self.acknowledged.push(Acknowledged { request_id: request_id(reply), verb, outcome });
    }

    /// Works until the server is gone.
    async fn work(mut self) -> Self {
        loop {
            let goes_on = match self.random.within(0, 10) {
                0 => self.create().await,
                1 => self.set_variable().await,
                2 | 3 => self.reveal().await,
                4 | 5 => self.use_it().await,
                6 if self.runs.len() < 2 => self.start_run().await,
                _ => self.rotate().await,
            };
            if !goes_on {
                return self;
            }
        }
    }

    async fn create(&mut self) -> bool {
        self.made += 1;
        let (name, value) = (format!("secret-{}-{}", self.number, self.made), self.random.value());
        let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": self.port});
        let body = json!({"name": name, "type": "bearer_token", "visibility": "masked", "destinations": [destination], "values": {"test": {"token": value}}});
        let known = Known { name, version: 0, value: String::new(), doubt: Some(value.clone()) };
        self.touched.insert(self.secrets.len());
        self.secrets.push(known);
        let step = self.step("POST", "/secrets", body).await;
        let last = self.secrets.len() - 1;
        match step {
            Step::CutOff => return false,
            Step::Refused => self.secrets[last].doubt = None,
            Step::Done(reply) => {
                assert_eq!(reply.json()["environments"]["test"]["version"], 1, "{}", reply.text);
                let name = self.secrets[last].name.clone();
                self.secrets[last] = Known { name, version: 1, value, doubt: None };
                self.acknowledge(&reply, "secret.create", "succeeded");
            }
        }
        true
    }

    /// One of its secrets that has a value; the newest ones most of the time.
    fn pick(&mut self) -> Option<usize> {
        let from = self.secrets.len().saturating_sub(4);
        let at = if self.secrets.len() > 4 && self.random.within(0, 4) == 0 {
            self.random.within(0, self.secrets.len() as u64) as usize
        } else if self.secrets.is_empty() {
            return None;
        } else {
            self.random.within(from as u64, self.secrets.len() as u64) as usize
        };
        self.touched.insert(at);
        (self.secrets[at].version > 0).then_some(at)
    }

    async fn rotate(&mut self) -> bool {
        let Some(at) = self.pick() else { return self.create().await };
        let value = self.random.value();
        self.secrets[at].doubt = Some(value.clone());
        let path = format!("/secrets/{}/values/test", self.secrets[at].name);
        let step = self.step("PUT", &path, json!({"fields": {"token": value}})).await;
        let known = &mut self.secrets[at];
        match step {
            Step::CutOff => return false,
            Step::Refused => known.doubt = None,
            Step::Done(reply) => {
                assert_eq!(reply.json()["version"], known.version + 1, "{}", reply.text);
                *known = Known { name: known.name.clone(), version: known.version + 1, value, doubt: None };
                self.acknowledge(&reply, "secret.rotate", "succeeded");
            }
        }
        true
    }

    async fn reveal(&mut self) -> bool {
        let Some(at) = self.pick() else { return self.create().await };
        let path = format!("/secrets/{}/values/test/reveal", self.secrets[at].name);
        match self.step("POST", &path, json!({})).await {
            Step::CutOff => return false,
            Step::Refused => {}
            Step::Done(reply) => {
                let known = &self.secrets[at];
                assert_eq!(reply.json()["version"], known.version);
                assert_eq!(reply.json()["fields"]["token"], known.value.as_str());
                self.acknowledge(&reply, "secret.reveal", "allowed");
            }
        }
        true
    }

    async fn use_it(&mut self) -> bool {
        let Some(at) = self.pick() else { return self.create().await };
        let url = format!("http://127.0.0.1:{}/use", self.port);
        let body = json!({"environment": "test", "url": url, "auth": {"secret": self.secrets[at].name}});
        match self.step("POST", "/requests", body).await {
            Step::CutOff => return false,
            Step::Refused => {}
            Step::Done(reply) => {
                assert!(!reply.text.contains(&self.secrets[at].value), "{}", reply.text);
                assert!(reply.text.contains("[sealed:"), "{}", reply.text);
                self.acknowledge(&reply, "secret.use", "allowed");
            }
        }
        true
    }

    async fn set_variable(&mut self) -> bool {
        let value = self.random.value();
        let name = format!("variable-{}", self.number);
        let (method, path, body, verb) = match &self.variable {
            None => (
                "POST",
                "/variables".to_owned(),
                json!({"name": name, "values": {"test": value}}),
                "variable.create",
            ),
            Some(_) => {
                ("PUT", format!("/variables/{name}/values/test"), json!({"value": value}), "variable.set")
            }
        };
        self.variable_doubt = Some(value.clone());
        match self.step(method, &path, body).await {
            Step::CutOff => return false,
            Step::Refused => self.variable_doubt = None,
            Step::Done(reply) => {
                (self.variable, self.variable_doubt) = (Some(value), None);
                self.acknowledge(&reply, verb, "succeeded");
            }
        }
        true
    }

    /// A run that its upstream never lets end.
    async fn start_run(&mut self) -> bool {
        match self.step("POST", "/automations/never-ends/runs", json!({"environment": "test"})).await {
            Step::CutOff => return false,
            Step::Refused => {}
            Step::Done(reply) => {
                self.runs.push(reply.json()["id"].as_str().unwrap().to_owned());
                self.acknowledge(&reply, "run.start", "allowed");
            }
        }
        true
    }

    /// What this writer touched is there, as it was acknowledged; what was cut off happened wholly or not at all. The value is
    /// seen where it arrives: looking at values is limited in how often.
    async fn check(&mut self, at: usize, upstream: &Upstream) {
        let known = self.secrets[at].clone();
        let reply = self.api.get(&format!("/secrets/{}", known.name)).await;
        if reply.status == 404 {
            assert_eq!(known.version, 0, "{} was acknowledged and is gone", known.name);
            self.secrets[at].doubt = None;
            return;
        }
        let version = reply.expect(200)["environments"]["test"]["version"].as_i64().unwrap();
        let value = self.sent(&known.name, upstream).await;
        if version == known.version {
            assert_eq!(value, known.value, "{} version {version}", known.name);
        } else {
            assert_eq!(version, known.version + 1, "{}", known.name);
            assert_eq!(Some(&value), known.doubt.as_ref(), "{} version {version}", known.name);
        }
        self.secrets[at] = Known { name: known.name, version, value, doubt: None };
    }

    /// What a secret is to its upstream now.
    async fn sent(&mut self, name: &str, upstream: &Upstream) -> String {
        let path = format!("/look/{}/{name}", self.random.within(0, u64::MAX));
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let body = json!({"environment": "test", "url": url, "auth": {"secret": name}});
        self.api.must("POST", "/requests", body).await.expect(200);
        let seen = upstream.seen();
        let head = seen.iter().rev().find(|head| head.contains(&path)).expect("the request has arrived");
        let sent = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then(|| value.strip_prefix("Bearer "))?
        });
        sent.expect("the request carries the value").to_owned()
    }

    async fn check_variable(&mut self) {
        let reply = self.api.get(&format!("/variables/variable-{}", self.number)).await;
        if reply.status == 404 {
            assert!(self.variable.is_none(), "a variable was acknowledged and is gone");
            self.variable_doubt = None;
            return;
        }
        let found = reply.expect(200);
        let value = found["values"]["test"].as_str().expect("a variable has its value");
        let expected = [self.variable.as_deref(), self.variable_doubt.as_deref()];
        assert!(expected.contains(&Some(value)), "{found} is neither of {expected:?}");
        (self.variable, self.variable_doubt) = (Some(value.to_owned()), None);
    }

    /// A run whose step had begun has failed and says so; one that was not that far goes on, and is looked at again.
    async fn check_runs(&mut self) {
        for id in std::mem::take(&mut self.runs) {
            let run = self.api.get(&format!("/runs/{id}")).await.expect(200);
            if ["queued", "running"].iter().any(|status| run["status"] == *status) {
                self.runs.push(id);
                continue;
            }
            assert_eq!(
                (&run["status"], &run["error"]["code"]),
                (&json!("failed"), &json!("interrupted")),
                "{run}"
            );
            assert_eq!(run["steps"][0]["error"]["code"], "interrupted", "it says which step it was: {run}");
        }
    }
}

/// What the record says so far: read on from where the last look ended.
#[derive(Default)]
struct Record {
    next: i64,
    of_request: HashMap<String, Vec<(String, String)>>,
    created: BTreeSet<String>,
    rotated: BTreeMap<String, Vec<i64>>,
    uses_allowed: usize,
}

impl Record {
    async fn read_on(&mut self, api: &Api) {
        self.of_request.clear();
        for event in api.events_from(self.next).await {
            assert_eq!(event["seq"], self.next, "the record has a gap");
            self.next += 1;
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            let (verb, object, outcome) = (text("verb"), text("object"), text("outcome"));
            match (verb.as_str(), outcome.as_str()) {
                ("secret.create", "succeeded") => {
                    assert!(self.created.insert(object), "created twice: {event}")
                }
                ("secret.rotate", "succeeded") => {
                    self.rotated.entry(object).or_default().push(event["version"].as_i64().unwrap())
                }
                ("secret.use", "allowed") => self.uses_allowed += 1,
                _ => {}
            }
            self.of_request.entry(text("request_id")).or_default().push((verb, outcome));
        }
    }

    fn has(&self, acknowledged: &Acknowledged) -> bool {
        self.of_request.get(&acknowledged.request_id).is_some_and(|events| {
            events.iter().any(|(verb, outcome)| verb == acknowledged.verb && outcome == acknowledged.outcome)
        })
    }

    /// Every version of a secret has exactly one event, in order.
    fn fits(&self, name: &str, latest: i64) {
        let object = format!("secret:{name}");
        assert!(self.created.contains(&object), "{name} is there without an event");
        let expected: Vec<i64> = (2..=latest).collect();
        let rotated = self.rotated.get(&object).cloned().unwrap_or_default();
        assert_eq!(rotated, expected, "{name}: versions and events do not fit");
    }
}

/// The rows as they are in the file: nothing half done, and exactly what the record says.
fn check_rows(data: &Path, record: &Record, known: &BTreeMap<String, i64>) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(data.join("tacit.db"), flags).unwrap();
    let whole: String = database.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let orphans: i64 =
        database.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(orphans, 0);
    let mut rows = database
        .prepare(
            "SELECT s.name, v.current, v.latest, count(r.version), min(r.version), max(r.version),
               (SELECT count(*) FROM names n WHERE n.workspace = s.workspace AND n.name_key = s.name_key AND n.owner = s.id),
               (SELECT count(*) FROM secret_hosts h WHERE h.workspace = s.workspace AND h.secret = s.id)
             FROM secrets s LEFT JOIN secret_values v ON v.workspace = s.workspace AND v.secret = s.id
               LEFT JOIN secret_versions r ON r.workspace = s.workspace AND r.secret = s.id AND r.environment = v.environment
               AND r.destroyed_at IS NULL
             GROUP BY s.id",
        )
        .unwrap();
    let found: Vec<(String, [i64; 7])> = rows
        .query_map([], |row| {
            let mut numbers = [0; 7];
            for (at, number) in numbers.iter_mut().enumerate() {
                *number = row.get(at + 1)?;
            }
            Ok((row.get(0)?, numbers))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, [current, latest, versions, first, last, names, hosts]) in &found {
        let kept = (*latest).min(KEPT);
        assert_eq!((current, last, *versions, *first), (latest, latest, kept, latest - kept + 1), "{name}");
        assert_eq!((*names, *hosts), (1, 1), "{name}");
        record.fits(name, *latest);
        assert_eq!(known.get(name), Some(latest), "{name}");
    }
    assert_eq!(found.len(), record.created.len(), "an event of a secret that is not there");
    assert_eq!(found.len(), known.len());
    let names: i64 = database
        .query_row("SELECT (SELECT count(*) FROM names) - (SELECT count(*) FROM secrets) - (SELECT count(*) FROM variables)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(names, 0, "names without owners, or the reverse");
}

async fn prepare(api: &Api, port: u16) {
    let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": port});
    let body = json!({"name": "of-the-run", "type": "bearer_token", "destinations": [destination], "values": {"test": {"token": Random(1).value()}}});
    api.must("POST", "/secrets", body).await.expect(201);
    let step = json!({"id": "wait", "http": {"url": format!("http://127.0.0.1:{port}/slow"), "auth": {"secret": "of-the-run"}, "timeout_secs": 300}});
    api.must("PUT", "/automations/never-ends", json!({"steps": [step]})).await.expect(201);
}

/// Two hundred kills under load: every acknowledged write and its event are there, every value is the acknowledged one,
/// every release of a value has its intent, runs that were going are failed, and the record is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    let token = init(&data);
    let upstream = Upstream::start().await;
    let mut random = Random(0x7ac1_75ee);
    let mut server = Process::start(&data, &log);
    prepare(&Api::new(&server.url, &token), upstream.port).await;
    let mut workers: Vec<Worker> = (0..WRITERS)
        .map(|number| Worker::new(number, Api::new(&server.url, &token), upstream.port))
        .collect();
    let mut record = Record::default();
    let mut acknowledged = 0;
    let mut in_doubt = 0;
    let begun = Instant::now();
    for kill in 1..=KILLS {
        let working: Vec<_> = workers.into_iter().map(|worker| tokio::spawn(worker.work())).collect();
        tokio::time::sleep(Duration::from_millis(random.within(10, 120))).await;
        server.kill();
        workers = Vec::new();
        for worker in working {
            workers.push(worker.await.unwrap());
        }
        if kill % 20 == 0 {
            // Once more while it starts: what it repairs then must be repairable again.
            let mut starting = spawn(
                Command::new(TACIT).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data),
                &log,
            );
            std::thread::sleep(Duration::from_millis(random.within(0, 40)));
            let _ = starting.kill();
            let _ = starting.wait();
        }
        server = Process::start(&data, &log);
        let full = kill % FULL_CHECK_EVERY == 0 || kill == KILLS;
        let api = Api::new(&server.url, &token);
        // What goes on where it was sends again from now on, and is on the record before it does.
        let sent = upstream.seen().len();
        record.read_on(&api).await;
        // Before the checks below send more.
        assert!(sent <= record.uses_allowed, "kill {kill}: a value went out without an intent");
        for worker in &mut workers {
            worker.api = api.clone();
            for acknowledged in &worker.acknowledged {
                assert!(
                    record.has(acknowledged),
                    "kill {kill}: {} of request {} is not on the record",
                    acknowledged.verb,
                    acknowledged.request_id
                );
            }
            acknowledged += std::mem::take(&mut worker.acknowledged).len();
            worker.check_runs().await;
            in_doubt += usize::from(worker.variable_doubt.is_some());
            worker.check_variable().await;
            let mut look_at = std::mem::take(&mut worker.touched);
            if kill == KILLS {
                look_at = (0..worker.secrets.len()).collect();
            }
            for at in look_at {
                in_doubt += usize::from(worker.secrets[at].doubt.is_some());
                worker.check(at, &upstream).await;
                let Known { name, version, .. } = &worker.secrets[at];
                if *version > 0 {
                    record.fits(name, *version);
                }
            }
        }
        if full {
            let mut known: BTreeMap<String, i64> = workers
                .iter()
                .flat_map(|worker| &worker.secrets)
                .filter(|known| known.version > 0)
                .map(|known| (known.name.clone(), known.version))
                .collect();
            known.insert("of-the-run".to_owned(), 1);
            check_rows(&data, &record, &known);
            assert!(audit_verify(&data) >= record.next.unsigned_abs());
        }
    }
    let uses = upstream.seen().len();
    println!(
        "{KILLS} kills in {:?}: {acknowledged} acknowledged, {in_doubt} cut off, {uses} requests upstream, {} events",
        begun.elapsed(),
        record.next
    );
    assert!(
        acknowledged > KILLS && in_doubt > KILLS / 10 && uses > KILLS / 10,
        "there was no load to speak of"
    );
}

/// Whatever an interrupted `tacit init` left behind, the directory can be initialised or served.
#[test]
fn an_interrupted_init_leaves_no_stuck_directory() {
    let directory = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    init(&directory.path().join("whole"));
    let whole = begun.elapsed().as_micros() as u64;
    let mut random = Random(0x7ac1_1417);
    let log = directory.path().join("log");
    let mut left = BTreeMap::<&str, usize>::new();
    for number in 0..30 {
        let data = directory.path().join(format!("data-{number}"));
        let mut child = spawn(Command::new(TACIT).args(["init", "--json", "--data"]).arg(&data), &log);
        std::thread::sleep(Duration::from_micros(random.within(0, whole + whole / 4)));
        let _ = child.kill();
        let _ = child.wait();
        let has = |name: &str| data.join(name).exists();
        *left
            .entry(match (has("root.key"), has("tacit.db")) {
                (false, false) => "nothing",
                (true, false) => "a key",
                (false, true) => "a database without a key",
                (true, true) => "both",
            })
            .or_default() += 1;
        let again = finish(Command::new(TACIT).args(["init", "--json", "--data"]).arg(&data));
        if !again.status.success() {
            assert!(stderr(&again).contains("initialised"), "{}", stderr(&again));
        }
        drop(Process::start(&data, &log));
        audit_verify(&data);
    }
    println!("an interrupted init left {left:?}");
    assert!(!left.contains_key("a database without a key"), "{left:?}");
}

/// A key that was made and never used is used by the next `tacit init`.
#[test]
fn a_key_without_a_database_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    init(&first);
    std::fs::create_dir(&second).unwrap();
    std::fs::copy(first.join("root.key"), second.join("root.key")).unwrap();
    init(&second);
    assert_eq!(
        std::fs::read(first.join("root.key")).unwrap(),
        std::fs::read(second.join("root.key")).unwrap()
    );
    drop(Process::start(&second, &directory.path().join("log")));
}
