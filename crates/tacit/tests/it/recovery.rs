//! Coming back: what is listed as a way in and ends by its id, and what helps when every way in is lost.

use std::process::Command;

use serde_json::json;

use crate::{
    cli::Shell,
    harness::{Client, Options, Server, TACIT},
    people::person,
    totp,
};

const PASSWORD: &str = "correct horse battery staple";

/// The token of set-up is a row without end, and ends by its id once there is a password to come back with.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_set_up() {
    let server = Server::start().await;
    let (owner, shell) = (&server.owner, Shell::of(&server));
    let listed = owner.get("/v1/sessions").await.expect(200);
    let row = &listed["items"][0];
    assert_eq!((&row["kind"], &row["current"]), (&json!("setup"), &json!(true)));
    assert!(row.get("expires_at").is_none() && row.get("address").is_none(), "{row}");
    let id = row["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("tok_"));
    let shown = shell.run(&["account", "sessions"]).ok().stdout;
    assert!(shown.contains("token of set-up (this one)") && shown.contains("without end"), "{shown}");
    // It is nobody else's to end, and the last way in stays.
    let anna = person(&server, owner, "anna@example.com", "owner").await;
    anna.delete(&format!("/v1/sessions/{id}")).await.refused(404, "not_found");
    shell.run(&["account", "end-session", &id]).failed(4, "only way to sign in");
    shell.run_with(&["account", "password"], &format!("{PASSWORD}\n")).ok();
    owner.get("/v1/whoami").await.expect(200);
    shell.run(&["account", "end-session", &id]).ok();
    owner.get("/v1/whoami").await.refused(401, "unauthenticated");
    let back = Shell { variables: vec![("TACIT_ADDR".to_owned(), server.url.clone())], ..Shell::new() };
    back.run_with(&["login", "--user", "owner"], &format!("{PASSWORD}\n")).ok();
    let sessions = back.run(&["account", "sessions"]).ok().stdout;
    assert!(!sessions.contains("set-up"), "{sessions}");
    let event = back.run(&["audit", "list", "--verb", "token.revoke", "-o", "json"]).ok().stdout;
    assert!(event.contains("token:owner"), "{event}");
}

/// Without password, app and codes: whoever has the data directory and its key lets somebody in again, and every way in of
/// before has ended. Not while a server holds the directory.
#[tokio::test(flavor = "multi_thread")]
async fn recovery() {
    let mut server = Server::start().await;
    let owner = server.owner.clone();
    let anna = person(&server, &owner, "anna@example.com", "admin").await;
    owner.post("/v1/workspaces", json!({"name": "other"})).await.expect(201);
    owner.in_workspace("other").post("/members", json!({"name": "anna@example.com"})).await.expect(201);
    let begun = anna.post("/v1/account/second-factor", json!({"password": PASSWORD})).await.expect(201);
    let code = totp::code_now(begun["secret"].as_str().unwrap());
    anna.post("/v1/account/second-factor/confirm", json!({"code": code})).await.expect(200);
    let data = server.data.clone();
    let recover = |more: &[&str]| {
        let output = Command::new(TACIT)
            .args(["recover", "-o", "json", "--data"])
            .arg(&data)
            .args(more)
            .env_remove("TACIT_ROOT_KEY")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (status, _, said) = recover(&["--user", "anna@example.com"]);
    assert!(status == 1 && said.contains("stop the other process"), "{said}");
    anna.get("/v1/whoami").await.expect(200);
    assert!(server.stop().success());
    let (status, _, said) = recover(&["--user", "nobody@example.com"]);
    assert!(status == 1 && said.contains("no such person"), "{said}");
    let token_of = |output: (i32, String, String), name: &str| {
        assert_eq!(output.0, 0, "{}", output.2);
        let made: serde_json::Value = serde_json::from_str(&output.1).unwrap();
        assert_eq!(made["name"], name);
        made["token"].as_str().unwrap().to_owned()
    };
    let annas = token_of(recover(&["--user", "ANNA@example.com"]), "anna@example.com");
    let owners = token_of(recover(&[]), "owner");

    let again = Server::on(&data, &owners, &Options::default());
    for old in [&owner, &anna] {
        let old = Client::new(&again.url, &old.token);
        old.get("/v1/whoami").await.refused(401, "unauthenticated");
    }
    let anna = Client::new(&again.url, &annas);
    let account = anna.get("/v1/account").await.expect(200);
    assert_eq!((&account["has_password"], &account["has_second_factor"]), (&json!(false), &json!(false)));
    // What they are is unchanged.
    assert_eq!(anna.get("/v1/whoami").await.expect(200)["workspaces"].as_array().unwrap().len(), 2);
    let old = json!({"name": "anna@example.com", "password": PASSWORD});
    anna.post("/v1/sessions", old).await.refused(401, "unauthenticated");
    let other = "another correct horse";
    anna.put("/v1/account/password", json!({"new": other})).await.expect(204);
    anna.post("/v1/sessions", json!({"name": "anna@example.com", "password": other})).await.expect(201);
    for workspace in ["default", "other"] {
        let owner = again.owner.in_workspace(workspace);
        let event = owner.newest_event("verb=member.reset&object=member:anna@example.com").await;
        assert_eq!(
            (&event["actor"], &event["outcome"]),
            (&json!("system:tacit"), &json!("succeeded")),
            "{event}"
        );
        let event = owner.newest_event("verb=member.reset").await;
        assert_eq!(event["object"], "member:owner");
    }
    for (path, bytes) in again.files() {
        for token in [&annas, &owners] {
            let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
            assert!(!found, "a token in {}", path.display());
        }
    }
    let empty = tempfile::tempdir().unwrap();
    let ended = Shell::new().run(&["recover", "--data", empty.path().to_str().unwrap()]);
    ended.failed(1, "no data directory");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
