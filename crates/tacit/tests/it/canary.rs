//! The canary test: values are planted, used in every place towards an upstream that sends everything back, and then
//! looked for in everything that anybody but the upstream could see.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    disguise::{DISGUISES, Detector},
    harness::{Client, Options, Server},
    hostile::Hostile,
};

const TEXT: &str = "Vt4Kq9Zr2Xw7Ls5Np8Jd3Hf6Gb1Mc0Ty9Ue4Ia7Q";
const OLD_BEARER: &str = "sk_live_Wm3Xn8Lr5Qt2Yp7Zc4Vb9Kf6Hd1Js0Gu";
const BEARER: &str = "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
const LIVE_BEARER: &str = "sk_live_Bx6Cy1Dz9Ea4Fb7Gc2Hd5Ie8Jf3Kg0Lh";
/// Characters that each encoding writes in a way of its own.
const PASSWORD: &str = "Hy7/Ju+2&Ki9<Lo4>Mp6\"Nq1'Or8=Ps3%Qt5";
const API_KEY: &str = "Rk2Sl7Tm4Un9Vo1Wp6Xq3Yr8Zs5At0BuCv2D";
const LEAF: &str = "Dw9Ex4Fy7Gz2Ha5Ib8Jc3Kd6Le1Mf0Ng9Oh4";
const DEEP_LEAF: &str = "Pi7Qj2Rk5Sl8Tm3Un6Vo1Wp4Xq9Yr0Zs7At2";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nTm9wZTAxWkt4c1E3dkxwV2pSOHRZbk42bUNkM0ZqSzVhSGcy\na1E5elhWNExwVzhzUnQxWWJONm1DZDNGaks1YVp4OHdMbTJQ\n-----END PRIVATE KEY-----\n";
const PEM_LINE: &str = "a1E5elhWNExwVzhzUnQxWWJONm1DZDNGaks1YVp4OHdMbTJQ";
/// Bound to the upstream and never used: what it sends back of it must not come through either.
const IDLE: &str = "Cq1Dr6Es3Ft8Gu5Hv0Iw7Jx2Ky9Lz4Ma1Nb6O";

const VALUES: &[&str] =
    &[TEXT, OLD_BEARER, BEARER, LIVE_BEARER, API_KEY, LEAF, DEEP_LEAF, IDLE, PASSWORD, PEM];

fn pair() -> String {
    STANDARD.encode(format!("app-user:{PASSWORD}"))
}

fn detector() -> Detector {
    let pair = pair();
    let unprefixed =
        VALUES.iter().filter(|value| **value != PEM).map(|v| v.strip_prefix("sk_live_").unwrap_or(v));
    // Of the pair only what the password makes: the rest is the user's name, which shows in metadata.
    Detector::new(unprefixed.chain([PEM_LINE, &pair[16..]]))
}

/// A server that logs all it can, libraries included.
async fn talkative() -> Server {
    let environment = vec![("TACIT_LOG".to_owned(), "trace".to_owned())];
    Server::start_with(Options { environment, ..Options::default() }).await
}

/// Plants the values, each bound to the upstream in every place there is.
async fn plant(owner: &Client, hostile: &Hostile) {
    let places = json!({"places": ["auth", "header:X-Custom", "query:k", "path", "json:/deep/0/secret", "form:secret"]});
    let destinations = json!([hostile.destination(places)]);
    for (name, kind, fields) in [
        ("TEXT", "text", json!({"value": TEXT})),
        ("BEARER", "bearer_token", json!({"token": OLD_BEARER})),
        ("LOGIN", "basic_auth", json!({"username": "app-user", "password": PASSWORD})),
        ("KEY", "api_key", json!({"header": "X-Canary-Key", "key": API_KEY})),
        ("DOC", "json", json!({"content": {"a": LEAF, "b": [{"c": DEEP_LEAF}], "port": 5432}})),
        ("PEM", "text", json!({"value": PEM})),
        ("IDLE", "text", json!({"value": IDLE})),
    ] {
        let secret =
            json!({"name": name, "type": kind, "destinations": destinations, "values": {"test": fields}});
        owner.post("/secrets", secret).await.expect(201);
    }
    owner.put("/secrets/BEARER/values/test", json!({"fields": {"token": BEARER}})).await.expect(201);
    owner.put("/secrets/BEARER/values/live", json!({"fields": {"token": LIVE_BEARER}})).await.expect(201);
    hostile.tell(VALUES);
    hostile.tell(&[&pair()]);
}

/// One step for each place and type, with what the upstream must have received.
fn steps(hostile: &Hostile, mode: &str) -> Vec<(Value, String)> {
    let url = hostile.url(&format!("/{mode}"));
    let step = |more: Value| {
        let mut step = json!({"url": url, "timeout_secs": 60});
        for (name, value) in more.as_object().unwrap() {
            step[name] = value.clone();
        }
        step
    };
    vec![
        (step(json!({"auth": {"secret": "TEXT"}})), format!("Bearer {TEXT}")),
        (step(json!({"auth": {"secret": "BEARER"}})), format!("Bearer {BEARER}")),
        (step(json!({"auth": {"secret": "LOGIN"}})), format!("Basic {}", pair())),
        (step(json!({"headers": {"Authorization": "Basic {{secrets.LOGIN}}"}})), format!("Basic {}", pair())),
        (step(json!({"auth": {"secret": "KEY"}})), format!("x-canary-key: {API_KEY}")),
        (step(json!({"headers": {"X-Custom": "v1={{secrets.TEXT}}"}})), format!("v1={TEXT}")),
        (step(json!({"query": {"k": "{{secrets.TEXT}}"}})), format!("k={TEXT}")),
        (step(json!({"url": format!("{url}/{{{{secrets.BEARER}}}}/x")})), format!("/{BEARER}/x")),
        (
            step(
                json!({"method": "POST", "body": {"json": {"deep": [{"secret": "{{secrets.DOC.b[0].c}}"}]}}}),
            ),
            format!("\"secret\":\"{DEEP_LEAF}\""),
        ),
        (
            step(json!({"method": "POST", "body": {"json": {"deep": [{"secret": "{{secrets.PEM}}"}]}}})),
            PEM_LINE.to_owned(),
        ),
        (
            step(json!({"method": "POST", "body": {"form": {"secret": "{{secrets.PEM}}"}}})),
            PEM_LINE.to_owned(),
        ),
        (step(json!({"headers": {"X-Custom": "{{secrets.DOC.a}}"}})), LEAF.to_owned()),
    ]
}

fn in_test(step: &Value) -> Value {
    let mut request = step.clone();
    request["environment"] = json!("test");
    request
}

/// Everything that can be asked for or found on the disk afterwards.
async fn assert_nothing_kept(server: &Server, detector: &Detector) {
    for path in [
        "/events?limit=500",
        "/runs?limit=500",
        "/secrets",
        "/variables",
        "/automations",
        "/service-accounts",
        "/metrics",
        "/openapi.json",
    ] {
        let reply = server.owner.get(path).await;
        reply.expect(200);
        detector.assert_clean(&reply.text, path);
    }
    detector.assert_clean(server.owner.every_run().await, "the runs");
    let log = server.log();
    assert!(log.contains("\"level\":\"DEBUG\""), "the log is not at its most talkative");
    for line in log.lines() {
        if let Some(found) = detector.find(line.as_bytes(), 1) {
            panic!("the log holds {found}: {line}");
        }
    }
    for (path, bytes) in server.files() {
        assert!(detector.find(&bytes, 1).is_none(), "{} holds a value", path.display());
    }
}

/// C1, C13, K1, J7: every place and type, by sealed request and in a run; the upstream gets the real value, and no
/// answer, history, record, log, metric or file holds one.
#[tokio::test]
async fn canaries_in_every_place() {
    let (server, hostile, detector) = (talkative().await, Hostile::start().await, detector());
    plant(&server.owner, &hostile).await;
    let editor = server.client("editor").await;
    let mut definition = Vec::new();
    for (number, (step, sent)) in steps(&hostile, "raw").into_iter().enumerate() {
        let reply = editor.post("/requests", in_test(&step)).await;
        reply.expect(200);
        assert!(hostile.last().contains(&sent), "{step}: {}", hostile.last());
        assert!(reply.json()["redactions"].as_u64().unwrap() >= 8, "{}", reply.text);
        detector.assert_clean(&reply.text, &step.to_string());
        definition.push(json!({"id": format!("s{number}"), "http": step}));
    }
    let before = hostile.count();
    editor.put("/automations/all-places", json!({"steps": definition})).await.expect(201);
    let run = editor.post("/automations/all-places/runs?wait=60", json!({"environment": "test"})).await;
    let id = run.expect(201)["id"].as_str().unwrap().to_owned();
    assert_eq!(run.json()["status"], "succeeded", "{}", run.text);
    assert_eq!(hostile.count() - before, definition.len());
    detector.assert_clean(&run.text, "the run");
    detector.assert_clean(editor.get(&format!("/runs/{id}")).await.text, "the run's history");
    assert_nothing_kept(&server, &detector).await;
}

/// D1 to D8, C8, C11, C12: an upstream writes every value it ever got, used now or not, old or new, of any environment,
/// in every disguise.
#[tokio::test]
async fn canaries_in_every_disguise() {
    let (server, hostile, detector) = (talkative().await, Hostile::start().await, detector());
    plant(&server.owner, &hostile).await;
    let editor = server.client("editor").await;
    let mut leaks = Vec::new();
    for (number, (mode, _)) in DISGUISES.iter().filter(|(mode, _)| *mode != "base64-twice").enumerate() {
        let steps = steps(&hostile, mode);
        let (step, _) = &steps[number % steps.len()];
        let reply = editor.post("/requests", in_test(step)).await;
        reply.expect(200);
        // And once more without a secret in the request: what was stored earlier is read later.
        let later = editor
            .post("/requests", json!({"environment": "test", "url": hostile.url(&format!("/{mode}"))}))
            .await;
        later.expect(200);
        for reply in [&reply, &later] {
            if let Some(found) = detector.find(reply.text.as_bytes(), 3) {
                leaks.push(format!("{mode}: {found}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert_nothing_kept(&server, &detector).await;
}

/// C2 to C7, D9, E1, E3, E6: framing, codings, headers, trailers and interim answers are no way around the scrubber.
#[tokio::test]
async fn canaries_in_every_part_of_an_answer() {
    let (server, hostile, detector) = (talkative().await, Hostile::start().await, detector());
    plant(&server.owner, &hostile).await;
    let editor = server.client("editor").await;
    let modes = [
        "json",
        "json-escaped",
        "status",
        "headers",
        "header-names",
        "reason",
        "interim",
        "trailers",
        "byte-by-byte",
        "drip",
        "gzip",
        "gzip-members",
        "deflate",
        "deflate-raw",
        "br",
        "zstd",
        "stacked",
        "big",
    ];
    for (number, mode) in modes.iter().enumerate() {
        let steps = steps(&hostile, mode);
        let (step, sent) = &steps[number % steps.len()];
        let reply = editor.post("/requests", in_test(step)).await;
        let answer = reply.expect(200);
        assert!(hostile.received(sent), "{mode}");
        if *mode == "big" {
            // Too long to be read in every way; its end is what matters.
            detector.assert_clean(&reply.text[reply.text.len() - 20_000..], mode);
        } else {
            detector.assert_clean(&reply.text, mode);
        }
        assert!(answer["headers"].get("content-encoding").is_none(), "{mode}");
        if *mode == "header-names" {
            assert_eq!(answer["headers"]["x-kept"], "1", "{}", reply.text);
        }
    }
    assert_nothing_kept(&server, &detector).await;
}

/// D9, D10, C15, E7: what cannot be scanned to its end is withheld whole, and the refusal says nothing of it.
#[tokio::test]
async fn answers_that_cannot_be_scanned_are_withheld() {
    let (server, hostile, detector) = (talkative().await, Hostile::start().await, detector());
    plant(&server.owner, &hostile).await;
    let editor = server.client("editor").await;
    let mut failures = Vec::new();
    for (mode, code) in [
        ("mislabelled", "response_unscannable"),
        ("unknown-coding", "response_unscannable"),
        ("stacked-thrice", "response_unscannable"),
        ("bomb", "response_unscannable"),
        ("huge", "response_unscannable"),
        ("partial", "response_unscannable"),
        ("cut", "upstream_failed"),
        ("not-http", "upstream_failed"),
    ] {
        let step = json!({"environment": "test", "url": hostile.url(&format!("/{mode}")), "auth": {"secret": "BEARER"}});
        let reply = editor.post("/requests", step).await;
        let problem = reply.refused(502, code);
        assert!(problem["suggestion"].is_string() || code == "upstream_failed", "{mode}");
        detector.assert_clean(&reply.text, mode);
        failures.push(code);
    }
    server.owner.event_soon("verb=secret.use&outcome=failed").await;
    while recorded_failures(&server.owner).await.len() < failures.len() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(recorded_failures(&server.owner).await, failures);
    assert_nothing_kept(&server, &detector).await;
}

/// The codes of the uses of `BEARER` that failed after they were allowed, oldest first.
async fn recorded_failures(owner: &Client) -> Vec<String> {
    let events = owner.get("/events?verb=secret.use&outcome=failed&object=secret:BEARER").await.expect(200);
    events["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| event["code"].as_str().unwrap().to_owned())
        .collect()
}

/// The rules `status_only` and `block`, and values too short to be taken out: nothing of the answer but its status.
#[tokio::test]
async fn strict_response_rules() {
    let (server, hostile) = (Server::start().await, Hostile::start().await);
    for (name, value, rule, echoes) in
        [("A", TEXT, "status_only", true), ("B", API_KEY, "block", true), ("PIN", "471100", "scrub", true)]
    {
        let destination = hostile.destination(
            json!({"response": rule, "echoes": echoes, "paths": [format!("/{name}"), "/raw", "/headers"]}),
        );
        let made = server
            .owner
            .post(
                "/secrets",
                json!({"name": name, "destinations": [destination], "values": {"test": {"value": value}}}),
            )
            .await;
        assert_eq!(
            made.expect(201)["warnings"].to_string().contains("unpredictable"),
            name == "PIN",
            "{}",
            made.text
        );
        for mode in ["raw", "headers"] {
            hostile.tell(&[value]);
            let reply = server.owner.post("/requests", json!({"environment": "test", "url": hostile.url(&format!("/{mode}")), "auth": {"secret": name}})).await;
            let answer = reply.expect(200);
            assert_eq!(
                (&answer["status"], &answer["body"]),
                (&json!(200), &Value::Null),
                "{name} {mode}: {}",
                reply.text
            );
            assert_eq!(answer["headers"], json!({}), "{name} {mode}");
            assert!(!reply.text.contains(value), "{name} {mode}");
        }
    }
}
