//! Runs as a queue: conditions, repeated attempts, stopping, watching.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};

use crate::{
    harness::{Client, Server},
    store_process::PATIENCE,
};

/// A value that must be nowhere but upstream.
const VALUE: &str = "Hq7Zr2Vn9Kd4Wt6Xb1Mc8Lp3Fs5Gy0Ja";

/// A service that does what the path says: `/ok…`, `/status/503…`, `/flaky/2…` (fails twice, then answers), `/slow…` (when
/// the gate is open), `/deep/126` (as many lists within one another).
pub(crate) struct Service {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    gate: watch::Sender<bool>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, (gate, opened)) = (Arc::new(Mutex::new(Vec::new())), watch::channel(false));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), opened.clone()));
            }
        });
        Self { port, seen, gate }
    }

    /// The heads of requests whose line holds this.
    pub(crate) fn seen(&self, part: &str) -> Vec<String> {
        let holds = |head: &&String| head.lines().next().is_some_and(|line| line.contains(part));
        self.seen.lock().unwrap().iter().filter(holds).cloned().collect()
    }

    pub(crate) fn open(&self) {
        self.gate.send_replace(true);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

async fn serve(
    mut stream: tokio::net::TcpStream,
    log: Arc<Mutex<Vec<String>>>,
    mut gate: watch::Receiver<bool>,
) {
    let (mut pending, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        while let Some(end) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&pending.drain(..end + 4).collect::<Vec<u8>>()).into_owned();
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            while pending.len() < length.unwrap_or(0) {
                match stream.read(&mut buffer).await {
                    Ok(read @ 1..) => pending.extend_from_slice(&buffer[..read]),
                    _ => return,
                }
            }
            pending.drain(..length.unwrap_or(0));
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let line = head.lines().next().unwrap_or_default().to_owned();
            let before = {
                let mut log = log.lock().unwrap();
                log.push(head.clone());
                log.iter().filter(|other| other.lines().next() == Some(&line)).count() - 1
            };
            let number = path.split('/').nth(2).and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
            let status = match path.split('/').nth(1) {
                Some("status") => number,
                Some("flaky") if before < number => 503,
                Some("slow") if gate.wait_for(|open| *open).await.is_err() => return,
                _ => 200,
            };
            let authorization =
                head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization"));
            let body = match path.split('/').nth(1) {
                Some("deep") => format!("{}{}", "[".repeat(number), "]".repeat(number)),
                _ => json!({"ok": status == 200, "echo": authorization}).to_string(),
            };
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nretry-after: 0\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
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

pub(crate) fn secret(port: u16) -> Value {
    let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": port});
    json!({"name": "KEY", "type": "bearer_token", "destinations": [destination], "values": {"test": {"token": VALUE}}})
}

pub(crate) fn step(id: &str, url: String, more: Value) -> Value {
    let mut http = json!({"url": url, "auth": {"secret": "KEY"}});
    let mut step = json!({"id": id});
    for (name, value) in more.as_object().unwrap() {
        let place = if ["when", "on_error"].contains(&name.as_str()) { &mut step } else { &mut http };
        place[name] = value.clone();
    }
    step["http"] = http;
    step
}

pub(crate) async fn publish(client: &Client, name: &str, steps: Vec<Value>) {
    let reply = client.put(&format!("/automations/{name}"), json!({"steps": steps})).await;
    assert!(reply.status < 300, "{}", reply.text);
}

async fn run(client: &Client, name: &str, input: Value) -> Value {
    let path = format!("/automations/{name}/runs?wait=30");
    client.post(&path, json!({"environment": "test", "input": input})).await.expect(201)
}

fn statuses(run: &Value) -> Vec<(&str, &str)> {
    let steps = run["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["id"].as_str().unwrap(), step["status"].as_str().unwrap())).collect()
}

/// Waits until something is so.
pub(crate) async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A step is sent if its condition holds, and what fails stops the run unless it says otherwise.
#[tokio::test]
async fn conditions_decide() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    owner.post("/variables", json!({"name": "MODE", "values": {"test": "fast"}})).await.expect(201);
    publish(owner, "decides", vec![
        step("first", service.url("/ok/first"), json!({"when": "vars.MODE == \"fast\" and env == \"test\""})),
        step("large", service.url("/ok/large"), json!({"when": "steps.first.body.ok and input.amount > 100"})),
        step("small", service.url("/ok/small"), json!({"when": "not (steps.first.body.ok and input.amount > 100)"})),
        step("breaks", service.url("/status/500"), json!({"on_error": "continue"})),
        step("mends", service.url("/ok/mends"), json!({"when": "steps.breaks.error.code == \"unexpected_status\" and steps.breaks.status == 500"})),
        step("never", service.url("/ok/never"), json!({"when": "steps.large.status == null and input.amount > 100"})),
        step("stops", service.url("/status/404"), json!({})),
        step("after", service.url("/ok/after"), json!({})),
    ])
    .await;
    let large = run(owner, "decides", json!({"amount": 250})).await;
    assert_eq!(
        statuses(&large),
        [
            ("first", "succeeded"),
            ("large", "succeeded"),
            ("small", "skipped"),
            ("breaks", "failed"),
            ("mends", "succeeded"),
            ("never", "skipped"),
            ("stops", "failed"),
            ("after", "skipped")
        ],
        "{large}"
    );
    assert_eq!((&large["status"], &large["error"]["code"]), (&json!("failed"), &json!("unexpected_status")));
    let small = run(owner, "decides", json!({"amount": 7})).await;
    assert_eq!(statuses(&small)[1..3], [("large", "skipped"), ("small", "succeeded")], "{small}");
    assert!(service.seen("/ok/after").is_empty() && !large.to_string().contains(VALUE));

    for (condition, field) in [("secrets.KEY == \"a\"", "steps[0].when"), ("input.a = 1", "steps[0].when")] {
        let body = json!({"steps": [step("a", service.url("/ok"), json!({"when": condition}))]});
        let problem = owner.put("/automations/bad", body).await.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for unknown in ["steps.later.status == 200", "vars.NOBODY == \"a\""] {
        let body = json!({"steps": [step("a", service.url("/ok"), json!({"when": unknown}))]});
        owner.put("/automations/bad", body).await.refused(422, "unknown_reference");
    }
}

/// What is safe is sent again, as often as the step says; what may have been done is not, unless the step says so.
#[tokio::test]
async fn only_what_is_safe_is_repeated() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    let retry = |more: Value| {
        let mut retry = json!({"attempts": 3, "backoff_ms": 5});
        retry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"retry": retry, "on_error": "continue"})
    };
    let with = |mut more: Value, other: Value| {
        more.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        more
    };
    let post = json!({"method": "POST", "body": {"json": {}}});
    // Nobody listens on it: nothing can have been sent.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut other = secret(free);
    other["name"] = "OTHER".into();
    owner.post("/secrets", other).await.expect(201);
    let mut nobody =
        step("nobody", format!("http://127.0.0.1:{free}/"), with(retry(json!({})), post.clone()));
    nobody["http"]["auth"]["secret"] = "OTHER".into();
    publish(
        owner,
        "repeats",
        vec![
            step("get", service.url("/flaky/2/get"), retry(json!({}))),
            step("gives-up", service.url("/flaky/9/get"), retry(json!({}))),
            step("post", service.url("/flaky/2/post"), with(retry(json!({})), post.clone())),
            step(
                "keyed",
                service.url("/flaky/2/keyed"),
                with(
                    with(retry(json!({})), post.clone()),
                    json!({"headers": {"Idempotency-Key": "{{run.id}}"}}),
                ),
            ),
            step(
                "bold",
                service.url("/flaky/1/bold"),
                with(retry(json!({"repeat_unsafe": true})), post.clone()),
            ),
            nobody,
        ],
    )
    .await;
    let ended = run(owner, "repeats", Value::Null).await;
    let attempts: BTreeMap<&str, (&str, u64)> = ended["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            (
                step["id"].as_str().unwrap(),
                (step["status"].as_str().unwrap(), step["attempts"].as_u64().unwrap_or(1)),
            )
        })
        .collect();
    let expected = [
        ("get", ("succeeded", 3)),
        ("gives-up", ("failed", 3)),
        ("post", ("failed", 1)),
        ("keyed", ("succeeded", 3)),
        ("bold", ("succeeded", 2)),
        ("nobody", ("failed", 3)),
    ];
    assert_eq!(attempts, BTreeMap::from(expected), "{ended}");
    let sent = ["/flaky/2/get", "/flaky/9/get", "/flaky/2/post", "/flaky/2/keyed", "/flaky/1/bold"];
    assert_eq!(sent.map(|path| service.seen(path).len()), [3, 3, 1, 3, 2]);
    let keys: BTreeSet<String> = service
        .seen("/flaky/2/keyed")
        .iter()
        .filter_map(|head| {
            head.lines()
                .find(|line| line.to_ascii_lowercase().starts_with("idempotency-key"))
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(keys.len(), 1, "a repeated request is the same request");
    // Each time it went out is on the record.
    let uses = owner.get("/events?verb=secret.use&outcome=allowed&limit=500").await.expect(200);
    assert_eq!(uses["items"].as_array().unwrap().len(), 15, "{uses}");
}

/// A run is stopped before its next step, while it waits for its next attempt, or before its turn; by those who may.
#[tokio::test]
async fn runs_are_stopped() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    publish(
        owner,
        "slow",
        vec![
            step("wait", service.url("/slow"), json!({"timeout_secs": 300})),
            step("next", service.url("/ok/next"), json!({})),
        ],
    )
    .await;
    let patient = json!({"retry": {"attempts": 3, "backoff_ms": 120_000}});
    publish(
        owner,
        "patient",
        vec![
            step("again", service.url("/status/503"), patient),
            step("next", service.url("/ok/next"), json!({})),
        ],
    )
    .await;
    let start = async |name: &str| {
        let started = owner
            .post(&format!("/automations/{name}/runs"), json!({"environment": "test"}))
            .await
            .expect(201);
        (started["id"].as_str().unwrap().to_owned(), started["status"].as_str().unwrap().to_owned())
    };
    // As many as go at once of one automation, and one more.
    let mut going = Vec::new();
    for _ in 0..32 {
        let (id, status) = start("slow").await;
        assert_eq!(status, "running");
        going.push(id);
    }
    let (waiting, status) = start("slow").await;
    assert_eq!(status, "queued");
    let queued = owner.get("/runs?status=queued&automation=slow").await.expect(200);
    assert_eq!(queued["items"].as_array().unwrap().len(), 1);
    let auditor = server.client("auditor").await;
    auditor.post(&format!("/runs/{waiting}/cancel"), json!({})).await.refused(403, "forbidden");
    owner.event_soon("verb=run.cancel&outcome=denied").await;
    let cancelled = owner.post(&format!("/runs/{waiting}/cancel"), json!({})).await.expect(200);
    assert_eq!(
        (&cancelled["status"], &cancelled["error"]["code"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    let member = server.client("member").await;
    let cancelling = member.post(&format!("/runs/{}/cancel", going[0]), json!({})).await.expect(200);
    assert_eq!((&cancelling["status"], &cancelling["cancelling"]), (&json!("running"), &json!(true)));
    soon("the step", async || (service.seen("/slow").len() == 32).then_some(())).await;
    let shown = owner.get(&format!("/runs/{}", going[0])).await.expect(200);
    assert_eq!(shown["steps"][0]["status"], "running", "{shown}");
    service.open();
    for (at, id) in going.iter().enumerate() {
        let ended = soon("the end", async || {
            let run = owner.get(&format!("/runs/{id}")).await.expect(200);
            (run["finished_at"].is_string()).then_some(run)
        })
        .await;
        let expected = if at == 0 {
            [("wait", "succeeded"), ("next", "skipped")]
        } else {
            [("wait", "succeeded"), ("next", "succeeded")]
        };
        assert_eq!(statuses(&ended), expected, "{ended}");
        assert_eq!(ended["status"], if at == 0 { "cancelled" } else { "succeeded" });
    }
    // A run that is over stays as it is.
    let over = owner.post(&format!("/runs/{}/cancel", going[1]), json!({})).await.expect(200);
    assert_eq!(over["status"], "succeeded");

    let (id, _) = start("patient").await;
    soon("the first attempt", async || (service.seen("/status/503").len() == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    owner.post(&format!("/runs/{id}/cancel"), json!({})).await.expect(200);
    let ended = soon("the end", async || {
        let run = owner.get(&format!("/runs/{id}")).await.expect(200);
        (run["finished_at"].is_string()).then_some(run)
    })
    .await;
    assert_eq!(service.seen("/status/503").len(), 1);
    assert_eq!(
        (&ended["status"], &ended["error"]["code"]),
        (&json!("cancelled"), &json!("cancelled")),
        "{ended}"
    );
    assert_eq!(statuses(&ended), [("again", "failed"), ("next", "skipped")]);
}

/// Whoever may see a run hears of each step when it ends, scrubbed, and of the end.
#[tokio::test]
async fn runs_are_watched() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    publish(
        owner,
        "watched",
        vec![
            step("one", service.url("/ok/one"), json!({})),
            step("two", service.url("/slow"), json!({})),
            step("three", service.url("/ok/three"), json!({})),
        ],
    )
    .await;
    let started = owner.post("/automations/watched/runs", json!({"environment": "test"})).await.expect(201);
    let id = started["id"].as_str().unwrap();
    let url = format!("{}/v1/workspaces/default/runs/{id}/events", owner.url);
    let mut stream = owner.http.get(&url).bearer_auth(&owner.token).send().await.unwrap();
    assert_eq!(
        (stream.status().as_u16(), &stream.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    let mut text = String::new();
    let mut opened = false;
    while let Some(chunk) = tokio::time::timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        if !opened && text.contains("\"id\":\"two\"") {
            assert!(!text.contains("\"id\":\"three\""), "it tells while it goes: {text}");
            service.open();
            opened = true;
        }
    }
    let events: Vec<(&str, Value)> = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
        .map(|(name, data)| (name, serde_json::from_str(data).unwrap()))
        .collect();
    let ended: Vec<&str> = events
        .iter()
        .filter(|(name, data)| *name == "step" && data["status"] == "succeeded")
        .map(|(_, data)| data["id"].as_str().unwrap())
        .collect();
    assert_eq!(ended, ["one", "two", "three"], "{text}");
    assert_eq!((events.last().unwrap().0, &events.last().unwrap().1["status"]), ("run", &json!("succeeded")));
    assert!(text.contains("[sealed:") && !text.contains(VALUE), "{text}");
    // One that is over is told at once, and to nobody who may not see it.
    let again = owner.get(&format!("/runs/{id}/events")).await;
    assert!(again.status == 200 && again.text.contains("\"status\":\"succeeded\""));
    let stranger = owner.http.get(&url).bearer_auth("tct_u_nobody").send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}

/// More runs than go at once: those that wait are claimed while others are being started, and each is run once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_runs_each_once() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    publish(owner, "quick", vec![step("one", service.url("/ok/{{run.id}}"), json!({}))]).await;
    let starters: Vec<_> = (0..64)
        .map(|_| {
            let owner = owner.clone();
            tokio::spawn(async move {
                let mut ended = Vec::new();
                for _ in 0..6 {
                    ended.push(run(&owner, "quick", Value::Null).await);
                }
                ended
            })
        })
        .collect();
    for starter in starters {
        for run in starter.await.unwrap() {
            assert_eq!(run["status"], "succeeded", "{run}");
            assert_eq!(service.seen(run["id"].as_str().unwrap()).len(), 1, "{run}");
        }
    }
    assert_eq!(service.seen("/ok/").len(), 64 * 6);
    assert!(!server.log().contains("another one has the run"), "{}", server.log());
}

/// As many runs of an automation go at once as its definition says; the others wait, and go one after the other.
#[tokio::test]
async fn one_after_the_other() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    let steps = [step("one", service.url("/slow"), json!({"timeout_secs": 300}))];
    let body = json!({"concurrency": 0, "steps": steps});
    let problem = owner.put("/automations/single", body).await.refused(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "concurrency", "{problem}");
    owner.put("/automations/single", json!({"concurrency": 1, "steps": steps})).await.expect(201);
    let start = async || {
        owner.post("/automations/single/runs", json!({"environment": "test"})).await.expect(201)["status"]
            .clone()
    };
    assert_eq!([start().await, start().await, start().await], ["running", "queued", "queued"]);
    soon("the first", async || (service.seen("/slow").len() == 1).then_some(())).await;
    service.open();
    let listed = soon("the end", async || {
        let listed = owner.get("/runs?automation=single&status=succeeded").await.expect(200);
        (listed["items"].as_array().unwrap().len() == 3).then_some(listed)
    })
    .await;
    let run = &listed["items"][0];
    assert!(run["duration_ms"].is_u64() && run["steps"][0]["uses"] == json!(["KEY"]), "{run}");
    // What a step brought is with the run alone: hundreds of them are too much for a page.
    assert!(run["steps"][0].get("output").is_none(), "{run}");
    let shown = owner.get(&format!("/runs/{}", run["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(shown["steps"][0]["output"]["status"], 200, "{shown}");
}
