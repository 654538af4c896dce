//! The same thing at once, many times: what counts once counts once, and a workspace keeps its owner.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Reply, Server},
    people::person,
    totp,
};

const PASSWORD: &str = "correct horse battery staple";
/// As often as each is tried at once: below what an account may fail with.
const AT_ONCE: usize = 8;

/// The same request over connections of their own, all in flight together.
async fn at_once(client: &Client, method: &'static str, path: &str, body: &Value) -> Vec<Reply> {
    let one = |_| {
        let own = Client { http: Client::new(&client.url, "").http, ..client.clone() };
        let (path, body) = (path.to_owned(), (!body.is_null()).then(|| body.clone()));
        tokio::spawn(async move { own.send(method, &path, body).await })
    };
    let tasks: Vec<_> = (0..AT_ONCE).map(one).collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    replies
}

/// How many were answered like this; the rest was refused in one of these ways.
#[track_caller]
fn done(replies: &[Reply], status: u16, refusals: &[u16]) -> usize {
    for reply in replies {
        let is_known = reply.status == status || refusals.contains(&reply.status);
        assert!(is_known, "{} {}", reply.status, reply.text);
    }
    replies.iter().filter(|reply| reply.status == status).count()
}

/// An invitation, for somebody new and for somebody who is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_counts_once() {
    let server = Server::start().await;
    let (owner, nobody) = (&server.owner, Client::new(&server.url, ""));
    owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    for workspace in ["default", "other"] {
        let made =
            owner.in_workspace(workspace).post("/invitations", json!({"name": "anna@example.com"})).await;
        let accept = json!({"token": made.expect(201)["token"], "password": PASSWORD});
        let replies = at_once(&nobody, "POST", "/v1/invitations/accept", &accept).await;
        assert_eq!(done(&replies, 201, &[401, 409]), 1, "{workspace}");
    }
    let members = owner.get("/members").await.expect(200);
    assert_eq!(members["items"].as_array().unwrap().len(), 2);
    let path = "verb=member.add&outcome=succeeded&limit=10";
    let events = owner.get(&format!("/events?{path}")).await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
    // Two invitations of one new person, at once: one account, with the password of one of them.
    let (mut tokens, mut tasks) = (Vec::new(), Vec::new());
    for workspace in ["default", "other"] {
        let made =
            owner.in_workspace(workspace).post("/invitations", json!({"name": "bert@example.com"})).await;
        tokens.push(made.expect(201)["token"].clone());
    }
    for (at, token) in tokens.iter().enumerate() {
        let body = json!({"token": token, "password": format!("{PASSWORD} {at}")});
        let client = Client::new(&server.url, "");
        tasks.push(tokio::spawn(async move { client.post("/v1/invitations/accept", body).await }));
    }
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    assert_eq!(done(&replies, 201, &[401, 412]), 1);
    let mut signed_in = 0;
    for at in 0..2 {
        let body = json!({"name": "bert@example.com", "password": format!("{PASSWORD} {at}")});
        signed_in += usize::from(nobody.post("/v1/sessions", body).await.status == 201);
    }
    assert_eq!(signed_in, 1);
}

/// A code of an app and a recovery code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_counts_once() {
    let server = Server::start().await;
    let anna = person(&server, &server.owner, "anna@example.com", "member").await;
    let begun = anna.post("/v1/account/second-factor", json!({"password": PASSWORD})).await.expect(201);
    let secret = begun["secret"].as_str().unwrap().to_owned();
    let earlier = totp::code(&secret, totp::now() - 30);
    let made = anna.post("/v1/account/second-factor/confirm", json!({"code": earlier})).await.expect(200);
    let nobody = Client::new(&server.url, "");
    for code in [json!(totp::code_now(&secret)), made["recovery_codes"][0].clone()] {
        let body = json!({"name": "anna@example.com", "password": PASSWORD, "code": code});
        let replies = at_once(&nobody, "POST", "/v1/sessions", &body).await;
        assert_eq!(done(&replies, 201, &[401]), 1, "{code}");
    }
    assert_eq!(anna.get("/v1/account").await.expect(200)["recovery_codes"], 9);
}

/// Two owners demote or remove each other, or themselves, at the same time: one of them stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_stays_owner() {
    let server = Server::start().await;
    let owner = &server.owner;
    let second = person(&server, owner, "second@example.com", "owner").await;
    let demote = json!({"role": "admin"});
    for (method, of_first, of_second) in [
        ("PATCH", "second@example.com", "owner"),
        ("PATCH", "owner", "second@example.com"),
        ("DELETE", "second@example.com", "owner"),
    ] {
        let mut tasks = Vec::new();
        for (client, name) in [(owner.clone(), of_first), (second.clone(), of_second)] {
            let body = (method == "PATCH").then(|| demote.clone());
            let path = format!("/members/{name}");
            tasks.push(tokio::spawn(async move { client.send(method, &path, body).await }));
        }
        let mut replies = Vec::new();
        for task in tasks {
            replies.push(task.await.unwrap());
        }
        let status = if method == "PATCH" { 200 } else { 204 };
        assert_eq!(done(&replies, status, &[403, 404, 409]), 1, "{method}");
        // Whoever stayed brings the other one back.
        let stayed = if owner.get("/members").await.status == 200
            && owner.get("/v1/whoami").await.json()["workspaces"][0]["role"] == "owner"
        {
            owner
        } else {
            &second
        };
        let members = stayed.get("/members").await.expect(200);
        let owners = members["items"].as_array().unwrap().iter().filter(|member| member["role"] == "owner");
        assert_eq!(owners.count(), 1, "{members}");
        if method == "PATCH" {
            let other = if std::ptr::eq(stayed, owner) { "second@example.com" } else { "owner" };
            stayed.patch(&format!("/members/{other}"), json!({"role": "owner"})).await.expect(200);
        }
    }
}

/// A grant that is withdrawn while it is used as fast as can be: nothing that begins after the answer finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_grant_is_not_used() {
    let server = Server::start().await;
    let owner = &server.owner;
    let body = json!({"name": "KEY", "visibility": "masked", "folder": "a", "values": {"test": {"value": "Zq8Wn3Lk5Rt7Yp2Xc9Vb"}}});
    owner.post("/secrets", body).await.expect(201);
    let rights = json!({"name": "looker", "rights": ["secret.list", "secret.reveal"]});
    owner.post("/roles", rights).await.expect(201);
    for _ in 0..8 {
        // Somebody new each time: one may look only so often.
        let client = server.client("member").await;
        let grant = json!({"role": "looker", "to": client.name, "scope": {"folder": "a"}});
        let grant = owner.post("/grants", grant).await.expect(201);
        let withdrawn = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let looking = tokio::spawn({
            let (client, withdrawn) = (client.clone(), withdrawn.clone());
            async move {
                let mut seen = 0;
                loop {
                    let is_over = withdrawn.load(std::sync::atomic::Ordering::SeqCst);
                    let reply = client.post("/secrets/KEY/values/test/reveal", json!({})).await;
                    if is_over {
                        assert_eq!(reply.status, 403, "{}", reply.text);
                        return seen;
                    }
                    seen += u32::from(reply.status == 200);
                }
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        owner.delete(&format!("/grants/{}", grant["id"].as_str().unwrap())).await.expect(204);
        withdrawn.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(looking.await.unwrap() > 0, "it was used before");
    }
}
