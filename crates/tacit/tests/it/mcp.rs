//! The door for agents, message by message: who comes in, whose session it is, when it is over, and that no tool gives a
//! value out.

use serde_json::{Value, json};

use crate::{
    disguise::Detector,
    harness::{Client, Reply, Server, TACIT},
    hostile::Hostile,
};

pub(crate) const CANARY: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

/// A server with a masked secret `STRIPE_KEY` that may go to an upstream that sends everything back.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) hostile: Hostile,
    pub(crate) detector: Detector,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let (server, hostile) = (Server::start().await, Hostile::start().await);
        let places = json!(["auth", "header:x-custom", "query:k"]);
        let destination = hostile.destination(json!({"places": places, "methods": ["GET", "POST"]}));
        let secret = json!({"name": "STRIPE_KEY", "visibility": "masked", "description": "charges", "folder": "payments",
            "destinations": [destination], "values": {"test": {"value": CANARY}}});
        server.owner.post("/secrets", secret).await.expect(201);
        Self { server, hostile, detector: Detector::new([CANARY]) }
    }

    /// Arguments for each of the eight tools, in an order in which each finds what it works on. `#` stands for the last run.
    pub(crate) fn calls(&self) -> Vec<(&'static str, Value)> {
        let url = self.hostile.url("/json");
        let step = json!({"id": "fetch", "http": {"url": url, "auth": {"secret": "STRIPE_KEY"}}});
        let daily = json!({"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}});
        vec![
            ("find_secrets", json!({"search": "charges"})),
            ("describe_secret", json!({"name": "STRIPE_KEY"})),
            (
                "send_request",
                json!({"url": url, "auth": "STRIPE_KEY", "headers": {"X-Custom": "{{secrets.STRIPE_KEY}}"}}),
            ),
            ("save_automation", json!({"name": "fetch-charges", "steps": [step], "triggers": [daily]})),
            ("run_automation", json!({"name": "fetch-charges", "environment": "test"})),
            ("get_run", json!({"id": "#"})),
            (
                "propose_secret",
                json!({"name": "NEW_KEY", "description": "for refunds", "suggested_destinations": [{"host": "api.example.com"}]}),
            ),
            (
                "explain_refusal",
                json!({"code": "destination_not_allowed", "secret": "STRIPE_KEY", "method": "DELETE", "url": url}),
            ),
        ]
    }

    /// What the calls brought, beyond that they brought no value.
    pub(crate) async fn assert_answers(&self, answers: &[Value]) {
        let [found, described, sent, saved, ran, looked, proposed, explained] = answers else {
            panic!("{answers:?}")
        };
        assert_eq!(found["secrets"][0]["name"], "STRIPE_KEY");
        assert_eq!(found["secrets"][0]["environments"], json!({"live": "missing", "test": "set"}));
        assert_eq!(described["how_to_use"]["send_request"]["auth"], "STRIPE_KEY");
        assert_eq!(
            described["how_to_use"]["automation_step"]["http"]["auth"],
            json!({"secret": "STRIPE_KEY"})
        );
        assert_eq!((&sent["status"], &sent["environment"]), (&json!(200), &json!("test")));
        assert!(sent["redactions"].as_u64().is_some_and(|count| count >= 2), "{sent}");
        assert!(self.hostile.received(CANARY), "the upstream got the value");
        assert_eq!((&saved["saved"], &saved["secrets"]), (&json!(true), &json!(["STRIPE_KEY"])));
        assert!(saved["notes"][0].as_str().unwrap().contains("do not fire"), "{saved}");
        assert_eq!((&ran["status"], &looked["status"]), (&json!("succeeded"), &json!("succeeded")), "{ran}");
        assert_eq!((&proposed["state"], &proposed["name"]), (&json!("proposed"), &json!("NEW_KEY")));
        assert_eq!(proposed["command"], "tacit secrets set NEW_KEY", "the person decides where it may go");
        let differences = &explained["comparison"]["destinations"][0]["differences"];
        assert_eq!(*differences, json!(["method: the request is DELETE, allowed are GET, POST"]));
        let definition = self.server.owner.get("/automations/fetch-charges").await.expect(200);
        assert_eq!(definition["triggers"][0]["schedule"]["cron"], "0 6 * * *");
        assert_eq!(definition["steps"][0]["http"]["auth"]["secret"], "STRIPE_KEY");
    }

    /// What the record says of an agent: under its name, and for whom.
    pub(crate) async fn assert_recorded(&self, agent: &str) {
        for verb in ["secret.use", "run.start", "automation.publish", "secret.propose"] {
            let event = self.server.owner.event_soon(&format!("verb={verb}&actor={agent}")).await;
            assert_eq!(event["on_behalf_of"], "user:owner", "{event}");
        }
        // What an automation does is its own, for whom it was started.
        let event = self.server.owner.event_soon("verb=secret.use&actor=automation:fetch-charges").await;
        assert_eq!(event["on_behalf_of"], agent, "{event}");
    }
}

/// Somebody at the door.
struct Visitor {
    client: Client,
    http: reqwest::Client,
    session: Option<String>,
    headers: Vec<(&'static str, String)>,
}

impl Visitor {
    fn new(client: &Client) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { client: client.clone(), http, session: None, headers: Vec::new() }
    }

    /// One that has shaken hands.
    async fn opened(client: &Client) -> Self {
        let mut visitor = Self::new(client);
        let reply = visitor.initialize().await;
        reply.expect(200);
        visitor.session = Some(reply.headers["mcp-session-id"].to_str().unwrap().to_owned());
        visitor
    }

    async fn initialize(&self) -> Reply {
        let client = json!({"name": "raw-client", "version": "1"});
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        self.message("initialize", params).await
    }

    async fn message(&self, method: &str, params: Value) -> Reply {
        self.request(
            "POST",
            json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string(),
        )
        .await
    }

    async fn request(&self, method: &str, body: String) -> Reply {
        let url = format!("{}/v1/workspaces/{}/mcp", self.client.url, self.client.workspace);
        let mut request = self
            .http
            .request(method.parse().unwrap(), url)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json");
        if !self.client.token.is_empty() {
            request = request.bearer_auth(&self.client.token);
        }
        for (name, value) in self
            .session
            .iter()
            .map(|id| ("mcp-session-id", id))
            .chain(self.headers.iter().map(|(n, v)| (*n, v)))
        {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        // A stream has one event with the message in it.
        let text = text
            .lines()
            .find_map(|line| line.strip_prefix("data: {"))
            .map_or(text.clone(), |rest| format!("{{{rest}"));
        Reply { status, headers, text }
    }

    /// A tool's result; never an error of the protocol.
    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let reply = self.message("tools/call", json!({"name": tool, "arguments": arguments})).await;
        let answer = reply.expect(200);
        assert!(answer.get("error").is_none(), "{tool}: {answer}");
        answer["result"].clone()
    }

    /// A tool's output.
    async fn output(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// A tool's refusal.
    async fn refused(&self, tool: &str, arguments: Value, code: &str) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(
            (&result["isError"], &result["structuredContent"]["code"]),
            (&json!(true), &json!(code)),
            "{result}"
        );
        result["structuredContent"].clone()
    }
}

/// All tools with the token of somebody who may see everything: the value is used, and nothing gives it out.
#[tokio::test]
async fn no_tool_gives_a_value_out() {
    let scene = Scene::new().await;
    scene.server.owner.post("/secrets/STRIPE_KEY/values/test/reveal", json!({})).await.expect(200);
    let agent = Visitor::opened(&scene.server.owner).await;
    let mut answers: Vec<Value> = Vec::new();
    for (tool, mut arguments) in scene.calls() {
        if arguments["id"] == "#" {
            arguments["id"] = answers.last().unwrap()["id"].clone();
        }
        let result = agent.call(tool, arguments).await;
        scene.detector.assert_clean(result.to_string(), tool);
        assert_eq!(result["isError"], false, "{tool}: {result}");
        answers.push(result["structuredContent"].clone());
    }
    scene.assert_answers(&answers).await;
    scene.assert_recorded("agent:raw-client").await;
    scene.detector.assert_clean(scene.server.log(), "the log");
    assert!(!scene.server.log().contains("find_secrets"), "messages are not logged");
}

/// Without a token, with a bad one and as a stranger: like every other route.
#[tokio::test]
async fn who_may_come_in() {
    let server = Server::start().await;
    server.owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    for method in ["POST", "GET", "DELETE"] {
        for token in ["", "tct_xx", "sk_live_1"] {
            let nobody = Visitor::new(&Client { token: token.to_owned(), ..server.owner.clone() });
            nobody.request(method, String::new()).await.refused(401, "unauthenticated");
        }
        let stranger = Visitor::new(&server.client("admin").await.in_workspace("other"));
        stranger.request(method, String::new()).await.refused(404, "not_found");
        let lost = Visitor::new(&server.owner.in_workspace("nowhere"));
        lost.request(method, String::new()).await.refused(404, "not_found");
    }
    let listening = Visitor::new(&server.owner).request("GET", String::new()).await;
    assert_eq!(listening.status, 405, "the server never speaks first");
}

/// A page that made a name of its own point here, and a page of somebody else's.
#[tokio::test]
async fn pages_stay_outside() {
    let server = Server::start().await;
    let mut visitor = Visitor::new(&server.owner);
    for (name, value) in [
        ("host", "evil.test:8200"),
        ("origin", "https://evil.test"),
        ("origin", "null"),
        ("origin", "http://localhost:6274"),
    ] {
        visitor.headers = vec![(name, value.to_owned())];
        visitor.initialize().await.refused(403, "forbidden");
    }
    let authority = server.url.trim_start_matches("http://").to_owned();
    visitor.headers = vec![("origin", server.url.clone()), ("host", authority)];
    visitor.initialize().await.expect(200);
}

/// A session is its token's alone, in its workspace alone, and gone when it is ended.
#[tokio::test]
async fn sessions_have_an_owner() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    let agent = Visitor::opened(owner).await;
    agent.output("find_secrets", json!({})).await;
    let other = scene.server.client("admin").await;
    for thief in [other.clone(), owner.in_workspace("other")] {
        let thief = Visitor { session: agent.session.clone(), ..Visitor::new(&thief) };
        thief.message("tools/list", json!({})).await.refused(404, "not_found");
        thief.request("DELETE", String::new()).await.refused(404, "not_found");
    }
    let open = owner.get("/agent-sessions").await.expect(200)["items"].clone();
    assert_eq!((&open[0]["name"], &open[0]["state"]), (&json!("raw-client"), &json!("open")), "{open}");
    assert_eq!(agent.request("DELETE", String::new()).await.status, 204);
    agent.message("tools/list", json!({})).await.refused(404, "not_found");
    let left = owner.get("/agent-sessions").await.text;
    assert!(!left.contains("\"open\""), "{left}");
    Visitor { session: Some("made-up".to_owned()), ..Visitor::new(owner) }
        .message("tools/list", json!({}))
        .await
        .refused(404, "not_found");
}

/// Messages that stand alone share one session per client's name.
#[tokio::test]
async fn messages_without_a_handshake() {
    let scene = Scene::new().await;
    let agent = Visitor::new(&scene.server.owner);
    for _ in 0..3 {
        agent.output("find_secrets", json!({})).await;
    }
    let open = scene.server.owner.get("/agent-sessions").await.expect(200);
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1), "{open}");
    assert_eq!(open["items"][0]["name"], "mcp-client", "who does not say");
}

/// An agent that comes with a token of its own: its budget is counted, its end is said, and nothing is renewed.
#[tokio::test]
async fn budget_and_end() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    let given = owner.post("/agent-sessions", json!({"name": "triage", "requests_max": 2})).await.expect(201);
    let client = Client { token: given["token"].as_str().unwrap().to_owned(), ..owner.clone() };
    let agent = Visitor::opened(&client).await;
    let request = json!({"url": scene.hostile.url("/plain"), "auth": "STRIPE_KEY"});
    for _ in 0..2 {
        agent.output("send_request", request.clone()).await;
    }
    let refusal = agent.refused("send_request", request.clone(), "rate_limited").await;
    assert!(
        refusal["detail"].as_str().unwrap().contains("2 requests") && refusal["suggestion"].is_string(),
        "{refusal}"
    );
    agent.output("find_secrets", json!({})).await;
    assert_eq!(
        owner.get("/agent-sessions").await.expect(200)["items"].as_array().map(Vec::len),
        Some(1),
        "used as it is"
    );
    let id = given["id"].as_str().unwrap();
    owner.delete(&format!("/agent-sessions/{id}")).await.expect(204);
    agent.message("tools/list", json!({})).await.refused(401, "unauthenticated");

    // One that was exchanged, and ended by the person while the client goes on.
    let agent = Visitor::opened(owner).await;
    let open = owner.get("/agent-sessions").await.expect(200)["items"].clone();
    let id =
        open.as_array().unwrap().iter().find(|session| session["state"] == "open").unwrap()["id"].clone();
    owner.delete(&format!("/agent-sessions/{}", id.as_str().unwrap())).await.expect(204);
    for _ in 0..2 {
        let refusal = agent.refused("find_secrets", json!({}), "unauthenticated").await;
        assert!(refusal["suggestion"].as_str().unwrap().contains("not renewed"), "{refusal}");
    }
}

/// What the server refuses is a tool's answer, with its code and what to do; and an agent has no right to a value that its
/// person has.
#[tokio::test]
async fn refusals() {
    let scene = Scene::new().await;
    let owner = &scene.server.owner;
    owner
        .post(
            "/secrets",
            json!({"name": "LOOSE", "visibility": "masked", "values": {"test": {"value": CANARY}}}),
        )
        .await
        .expect(201);
    let agent = Visitor::opened(owner).await;
    let url = scene.hostile.url("/plain");
    let refusal = agent
        .refused(
            "send_request",
            json!({"url": "https://evil.test/", "auth": "STRIPE_KEY"}),
            "destination_not_allowed",
        )
        .await;
    assert!(
        refusal["request_id"].is_string() && refusal["detail"].as_str().unwrap().contains("STRIPE_KEY"),
        "{refusal}"
    );
    agent.refused("send_request", json!({"url": url, "auth": "LOOSE"}), "destination_required").await;
    agent.refused("send_request", json!({"url": url, "auth": "NOPE"}), "unknown_reference").await;
    agent
        .refused(
            "send_request",
            json!({"url": url, "auth": "STRIPE_KEY", "method": "DELETE"}),
            "destination_not_allowed",
        )
        .await;
    agent
        .refused(
            "send_request",
            json!({"url": url, "auth": "STRIPE_KEY", "environment": "live"}),
            "no_value_in_environment",
        )
        .await;
    agent.refused("send_request", json!({"url": url, "token": "x"}), "validation_failed").await;
    agent.refused("describe_secret", json!({"name": "../x"}), "not_found").await;
    agent.refused("get_run", json!({"id": ".."}), "not_found").await;
    agent.refused("run_automation", json!({"name": "nothing"}), "not_found").await;
    agent.refused("propose_secret", json!({"name": "stripe_key"}), "name_taken").await;
    agent.refused("explain_refusal", json!({"code": "whatever"}), "validation_failed").await;
    let step = json!({"id": "a", "http": {"url": url, "auth": {"secret": "REFUND_KEY"}, "headers": {"X-A": "{{secrets.STRIPE_KEY}}"}}});
    let refusal =
        agent.refused("save_automation", json!({"name": "n", "steps": [step]}), "unknown_reference").await;
    assert_eq!(refusal["missing_secrets"], json!(["REFUND_KEY"]));
    assert!(refusal["suggestion"].as_str().unwrap().contains("propose_secret"), "{refusal}");
    let bad = json!([{"schedule": {"cron": "daily"}}]);
    let step = json!({"id": "a", "http": {"url": url}});
    let refusal = agent
        .refused(
            "save_automation",
            json!({"name": "n", "steps": [step], "triggers": bad}),
            "validation_failed",
        )
        .await;
    assert_eq!(refusal["errors"][0]["field"], "triggers[0].schedule.cron", "{refusal}");
}

/// What is checked is not saved; what lacks a value is said.
#[tokio::test]
async fn dry_runs_and_gaps() {
    let scene = Scene::new().await;
    let agent = Visitor::opened(&scene.server.owner).await;
    agent.output("propose_secret", json!({"name": "Refund key"})).await;
    let step =
        json!({"id": "a", "http": {"url": scene.hostile.url("/plain"), "auth": {"secret": "Refund key"}}});
    let definition = json!({"name": "refunds", "steps": [step], "dry_run": true});
    let checked = agent.output("save_automation", definition).await;
    assert_eq!((&checked["saved"], &checked["environment"]), (&json!(false), &json!("test")));
    assert_eq!(
        checked["missing_secrets"],
        json!([{"name": "Refund key", "command": "tacit secrets set 'Refund key' --env test"}])
    );
    agent.refused("run_automation", json!({"name": "refunds"}), "not_found").await;
}

/// Big answers are cut after they were scrubbed, and say so.
#[tokio::test]
async fn long_answers() {
    let scene = Scene::new().await;
    let agent = Visitor::opened(&scene.server.owner).await;
    let output =
        agent.output("send_request", json!({"url": scene.hostile.url("/big"), "auth": "STRIPE_KEY"})).await;
    let body = output["body"].as_str().unwrap();
    assert_eq!(body.len(), 48 * 1024);
    assert!(
        output["cut"]["bytes"].as_u64().is_some_and(|bytes| bytes > 4 * 1024 * 1024),
        "{}",
        output["cut"]
    );
    assert_eq!(output["redactions"], 1, "what is not shown was scrubbed too");
}

/// On standard output there is the protocol and nothing else; the end of input ends the session.
#[tokio::test]
async fn standard_input_and_output() {
    use std::io::{BufRead, BufReader, Write};
    let server = Server::start().await;
    let mut child = std::process::Command::new(TACIT)
        .args(["mcp", "--agent-name", "triage", "--ttl", "60", "--requests-max", "3"])
        .env("TACIT_ADDR", &server.url)
        .env("TACIT_TOKEN", &server.owner.token)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut say = |line: &str| {
        writeln!(input, "{line}").unwrap();
        serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()
    };
    // What cannot be read is answered, before the handshake and after it, and nothing else is lost by it.
    let unreadable =
        |answer: Value| assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)));
    unreadable(say("{ this is not"));
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let opened = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let opened = say(&opened.to_string());
    assert!(opened["result"]["instructions"].as_str().unwrap().contains("find_secrets"));
    let open = server.owner.get("/agent-sessions").await.expect(200)["items"][0].clone();
    assert_eq!((&open["name"], &open["requests_max"]), (&json!("triage"), &json!(3)));
    unreadable(say(&"x".repeat(5 * 1024 * 1024)));
    let listed = say(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string());
    assert_eq!(listed["id"], 2);
    drop(input);
    assert!(child.wait().unwrap().success());
    let left = server.owner.get("/agent-sessions").await.text;
    assert!(!left.contains("\"open\""), "{left}");
}

/// Nobody is signed in, and whoever starts the command by hand.
#[tokio::test]
async fn without_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(TACIT)
        .arg("mcp")
        .env_remove("TACIT_TOKEN")
        .env("TACIT_CONFIG_DIR", directory.path())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
}
