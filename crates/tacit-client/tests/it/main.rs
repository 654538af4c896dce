//! The client against a server made of one thread and prepared answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

use tacit_client::{Client, Error, api, every_page};

/// Answers one request after another, each on its own connection, and hands back what it was asked.
struct Server {
    address: String,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    fn new(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let thread = std::thread::spawn(move || {
            answers.into_iter().map(|answer| answer_one(&listener, &answer)).collect()
        });
        Self { address, thread }
    }

    fn client(&self) -> Client {
        Client::new(&self.address, "tct_test").ok().unwrap()
    }

    fn asked(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn answer_one(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut asked = String::new();
    while !asked.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut asked).unwrap(), 0);
    }
    let length = asked
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    asked.push_str(&String::from_utf8(body).unwrap());
    stream.write_all(answer.as_bytes()).unwrap();
    asked
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// A request carries the token and its names in one segment each, and its answer is typed.
#[tokio::test]
async fn a_call() {
    let server = Server::new(&[&http("201 Created", r#"{"version":3}"#)]);
    let client = server.client();
    let fields = serde_json::json!({"value": "v"}).as_object().unwrap().clone();
    let value = api::PutValue { fields: api::FieldMap(fields), reason: None };
    let new = client.workspace("default").set_value("a/b c", "test", &value).await.unwrap();
    assert_eq!(new.version, 3);
    let asked = server.asked().remove(0);
    assert!(
        asked.starts_with("PUT /v1/workspaces/default/secrets/a%2Fb%20c/values/test HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("authorization: Bearer tct_test\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\n{\"fields\":{\"value\":\"v\"}}"), "{asked}");
}

/// A problem document is an error with its code; anything else that is not success says so without its body.
#[tokio::test]
async fn errors() {
    let problem = r#"{"type":"urn:x","title":"Not found","status":404,"code":"not_found","detail":"gone","request_id":"r","later":1}"#;
    let server = Server::new(&[&http("404 Not Found", problem), &http("502 Bad Gateway", "<p>hunter2</p>")]);
    let client = server.client();
    let error = client.workspace("w").secret("K").await.unwrap_err();
    assert!(error.is_not_found() && error.to_string() == "gone (not_found)", "{error}");
    let error = client.who_am_i().await.unwrap_err();
    assert!(
        matches!(error, Error::Unexpected { status: 502, .. }) && !error.to_string().contains("hunter2"),
        "{error}"
    );
    server.asked();
}

/// A redirect is not followed: the token would go where nobody meant it to.
#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let to = elsewhere.local_addr().unwrap();
    let server = Server::new(&[&format!(
        "HTTP/1.1 307 T\r\nlocation: http://{to}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )]);
    let error = server.client().who_am_i().await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { status: 307, .. }), "{error}");
    assert!(elsewhere.accept().is_err());
    server.asked();
}

/// Lists are walked to their end, and an empty answer to a deletion is success.
#[tokio::test]
async fn pages() {
    let page = |version, next: &str| {
        let seq = version;
        http(
            "200 OK",
            &format!(
                r#"{{"items":[{{"seq":{seq},"id":"e","at":"t","actor":"a","verb":"v","object":"o","outcome":"allowed"}}],"next_cursor":{next}}}"#
            ),
        )
    };
    let server = Server::new(&[
        &page(2, "\"c&1\""),
        &page(1, "null"),
        "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
    ]);
    let client = server.client();
    let workspace = client.workspace("w");
    let events =
        every_page(async |cursor| workspace.events(&api::EventQuery { cursor, ..Default::default() }).await);
    let seqs: Vec<i64> = events.await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [2, 1]);
    assert!(workspace.delete_secret("K", true).await.unwrap().restorable_until.is_none());
    let asked = server.asked();
    assert!(asked[0].starts_with("GET /v1/workspaces/w/events HTTP/1.1"), "{}", asked[0]);
    assert!(asked[1].starts_with("GET /v1/workspaces/w/events?cursor=c%261 HTTP/1.1"), "{}", asked[1]);
    assert!(asked[2].starts_with("DELETE /v1/workspaces/w/secrets/K?force=true HTTP/1.1"), "{}", asked[2]);
}

/// Nobody there is said in words.
#[tokio::test]
async fn unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::new(&format!("http://{free}"), "tct_x").ok().unwrap().who_am_i().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable(cause) if cause.contains("refused")), "{error}");
}
