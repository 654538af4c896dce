//! What is left of runs whose server was killed or whose starter went away.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    harness::Server,
    queue::{Service, publish, secret, soon, step},
    store_process::{Api, Process, Random, audit_verify, init},
};

/// Kills of the loop over the queue.
const KILLS: usize = 40;

/// Times that somebody starts a run and hangs up.
const HANG_UPS: u32 = 60;

/// Whoever hangs up while a run is being started leaves none behind that nobody runs: it would hold a place among those that
/// may go at once for as long as other runs of the workspace keep their node busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_up_leaves_no_run_behind() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    publish(owner, "quick", vec![step("one", service.url("/ok/{{run.id}}"), json!({}))]).await;
    publish(owner, "slow", vec![step("one", service.url("/slow"), json!({"timeout_secs": 300}))]).await;
    owner.post("/automations/slow/runs", json!({"environment": "test"})).await.expect(201);
    let body = json!({"environment": "test"}).to_string();
    let request = format!(
        "POST /v1/workspaces/default/automations/quick/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        owner.token,
        body.len()
    );
    let address = owner.url.split("://").nth(1).unwrap();
    // Sooner or later, and later on a busy machine, some of them get as far as a run.
    let mut patience = Duration::from_micros(150);
    loop {
        for at in 0..HANG_UPS {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(request.as_bytes()).await.unwrap();
            tokio::time::sleep(patience * at).await;
        }
        let listed = owner.get("/runs?automation=quick&limit=1").await.expect(200);
        if listed["items"][0].is_object() {
            break;
        }
        patience *= 2;
        assert!(patience < Duration::from_secs(1), "no request became a run");
    }
    soon("the end of all runs", async || {
        let listed = owner.get("/runs?automation=quick&limit=500").await.expect(200);
        let runs = listed["items"].as_array().unwrap();
        runs.iter().all(|run: &Value| run["finished_at"].is_string()).then_some(())
    })
    .await;
    service.open();
}

/// One starter of runs in the loop: what was acknowledged.
async fn start_runs(api: Api, known: Arc<Mutex<BTreeSet<String>>>) {
    loop {
        let body = json!({"environment": "test", "input": {"n": 1}});
        match api.send("POST", "/automations/three-steps/runs", Some(&body)).await {
            None => return,
            Some(reply) if reply.status == 201 => {
                let _ = known.lock().unwrap().insert(reply.json()["id"].as_str().unwrap().to_owned());
            }
            Some(reply) => assert!(matches!(reply.status, 412 | 429), "{} {}", reply.status, reply.text),
        }
    }
}

/// Killed again and again: no run that was acknowledged is lost, no step is sent twice, what goes on goes on at the first step
/// that had not begun, and what may have been sent is said so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_is_lost_and_no_send_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (directory.path().join("data"), directory.path().join("log"));
    let token = init(&data);
    let service = Service::start().await;
    let mut random = Random(0x0b5e_55ed);
    let mut server = Process::start(&data, &log);
    let api = Api::new(&server.url, &token);
    api.must("POST", "/secrets", secret(service.port)).await.expect(201);
    let steps: Vec<Value> = (1..=3)
        .map(|number| {
            let url = service.url(&format!("/ok/{number}/{{{{run.id}}}}"));
            // A repeat would be safe in the eyes of the step; after a crash it is not repeated all the same.
            step(&format!("step-{number}"), url, json!({"retry": {"attempts": 2}}))
        })
        .collect();
    api.must("PUT", "/automations/three-steps", json!({"steps": steps})).await.expect(201);
    let known = Arc::new(Mutex::new(BTreeSet::new()));
    for _ in 0..KILLS {
        let api = Api::new(&server.url, &token);
        let starting: Vec<_> =
            (0..3).map(|_| tokio::spawn(start_runs(api.clone(), Arc::clone(&known)))).collect();
        tokio::time::sleep(Duration::from_millis(random.within(5, 150))).await;
        server.kill();
        for starter in starting {
            starter.await.unwrap();
        }
        server = Process::start(&data, &log);
    }
    let api = Api::new(&server.url, &token);
    let known = known.lock().unwrap().clone();
    let runs = soon("the end of all runs", async || {
        let (mut found, mut cursor) = (HashMap::new(), String::new());
        loop {
            let page = api.get(&format!("/runs?limit=500{cursor}")).await.expect(200);
            for run in page["items"].as_array().unwrap() {
                if !run["finished_at"].is_string() {
                    return None;
                }
                found.insert(run["id"].as_str().unwrap().to_owned(), run.clone());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Some(found),
            }
        }
    })
    .await;
    let mut sends: HashMap<(String, String), usize> = HashMap::new();
    for head in service.seen("/ok/") {
        let mut path = head.split(' ').nth(1).unwrap().split('/').skip(2);
        let key = (path.next().unwrap().to_owned(), path.next().unwrap().to_owned());
        *sends.entry(key).or_default() += 1;
    }
    assert!(sends.values().all(|times| *times == 1), "a step was sent twice");
    let (mut whole, mut interrupted) = (0, 0);
    for id in &known {
        let run = runs.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        let sent = |number: usize| sends.contains_key(&(number.to_string(), id.clone()));
        let steps = run["steps"].as_array().unwrap();
        if run["status"] == "succeeded" {
            assert!((1..=3).all(sent), "{run}");
            whole += 1;
            continue;
        }
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!("failed"), &json!("interrupted")),
            "{run}"
        );
        interrupted += 1;
        let at =
            steps.iter().position(|step| step["error"]["code"] == "interrupted").expect("it says which step");
        assert!(steps[..at].iter().all(|step| step["status"] == "succeeded"), "{run}");
        assert!(steps[at + 1..].iter().all(|step| step["status"] == "skipped"), "{run}");
        assert!((1..=at).all(sent) && !(at + 2..=3).any(sent), "{run}");
    }
    println!(
        "{KILLS} kills: {} runs acknowledged, {whole} whole, {interrupted} interrupted, {} sends",
        known.len(),
        sends.len()
    );
    assert!(whole > 0 && !known.is_empty());
    server.terminate();
    server.wait();
    audit_verify(&data);
}

/// Whoever loses their rights loses them for runs that wait, for those that go, and for those that they watch.
#[tokio::test]
async fn rights_end_in_the_middle() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    let steps = [
        step("first", service.url("/slow"), json!({"timeout_secs": 300})),
        step("second", service.url("/ok/second"), json!({})),
    ];
    owner.put("/automations/single", json!({"concurrency": 1, "steps": steps})).await.expect(201);
    let (member, auditor) = (server.client("member").await, server.client("auditor").await);
    let start = async || {
        let path = "/automations/single/runs";
        member.post(path, json!({"environment": "test"})).await.expect(201)["id"].as_str().unwrap().to_owned()
    };
    let runs = [start().await, start().await];
    soon("the first step", async || (service.seen("/slow").len() == 1).then_some(())).await;
    let url = format!("{}/v1/workspaces/default/runs/{}/events", owner.url, runs[0]);
    let mut watching = auditor.http.get(&url).bearer_auth(&auditor.token).send().await.unwrap();
    let mut heard = String::new();
    while !heard.contains("\"id\":\"first\"") {
        heard.push_str(std::str::from_utf8(&watching.chunk().await.unwrap().unwrap()).unwrap());
    }
    for gone in [&auditor, &member] {
        let account = gone.name.split(':').nth(1).unwrap();
        owner.delete(&format!("/service-accounts/{account}")).await.expect(204);
    }
    service.open();
    while let Some(chunk) = watching.chunk().await.unwrap() {
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(!heard.contains("succeeded") && !heard.contains("\"failed\""), "{heard}");
    for (id, sent) in runs.iter().zip([1, 0]) {
        let run = soon("the end", async || {
            let run = owner.get(&format!("/runs/{id}")).await.expect(200);
            run["finished_at"].is_string().then_some(run)
        })
        .await;
        assert_eq!(run["error"]["code"], "unauthenticated", "{run}");
        let done = run["steps"].as_array().unwrap().iter().filter(|step| step["status"] == "succeeded");
        assert_eq!(done.count(), sent, "{run}");
    }
    assert_eq!([service.seen("/slow").len(), service.seen("/ok/second").len()], [1, 0]);
}

/// No answer of a service makes a run, or a list of them, that cannot be read.
#[tokio::test]
async fn deep_answers() {
    let (server, service) = (Server::start().await, Service::start().await);
    let owner = &server.owner;
    owner.post("/secrets", secret(service.port)).await.expect(201);
    for depth in [90, 126] {
        let steps = ["one", "two"].map(|id| step(id, service.url(&format!("/deep/{depth}/{id}")), json!({})));
        publish(owner, "deep", steps.into()).await;
        let ran =
            owner.post("/automations/deep/runs?wait=30", json!({"environment": "test"})).await.expect(201);
        assert_eq!(ran["status"], "succeeded", "{ran}");
        let shown = owner.get(&format!("/runs/{}", ran["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(shown["steps"][1]["output"]["body"].is_array(), depth == 90);
        assert_eq!(owner.get("/runs").await.expect(200)["items"][0]["steps"].as_array().unwrap().len(), 2);
    }
}
