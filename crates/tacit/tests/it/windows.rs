//! Windows that become smaller: what was promised to be kept is kept.

use serde_json::{Value, json};

use crate::{
    cli::Shell,
    harness::{Client, Server},
};

async fn rotate(owner: &Client, name: &str, environment: &str, times: usize) {
    for number in 0..times {
        let fields = json!({"value": format!("{number}Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu")});
        owner
            .put(&format!("/secrets/{name}/values/{environment}"), json!({"fields": fields}))
            .await
            .expect(201);
    }
}

async fn kept(owner: &Client, name: &str, environment: &str) -> usize {
    let all = owner.get(&format!("/secrets/{name}/values/{environment}/versions")).await.expect(200);
    all["items"].as_array().unwrap().iter().filter(|version| version["state"] != "destroyed").count()
}

async fn settings(owner: &Client, change: Value) -> Value {
    owner.patch("", change).await.expect(200)
}

/// A deleted secret keeps the date that was said when it was deleted: a smaller window shortens nothing, a larger one may
/// lengthen it, and the name is taken until then.
#[tokio::test]
async fn a_deleted_secret_keeps_its_date() {
    let server = Server::start().await;
    let owner = &server.owner;
    for name in ["FIRST", "SECOND"] {
        owner.post("/secrets", json!({"name": name})).await.expect(201);
    }
    let until = owner.delete("/secrets/FIRST").await.expect(200)["restorable_until"].clone();
    assert!(until.is_string());
    for days in [1, 0] {
        settings(owner, json!({"deletion_window_days": days})).await;
    }
    // What is deleted from now on is for good; the upkeep that the change asks for has run when this one is gone.
    owner.delete("/secrets/SECOND").await.expect(200);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    owner.post("/secrets", json!({"name": "FIRST"})).await.refused(409, "name_taken");
    owner.post("/secrets/FIRST/restore", json!({})).await.expect(200);
    owner.post("/secrets/SECOND/restore", json!({})).await.refused(404, "not_found");
    assert!(owner.newest_event("verb=secret.purge&object=secret:FIRST").await.is_null());
}

/// A smaller window for versions destroys at once what is beyond it, and says how many; a dry run says so and does nothing.
/// In protected environments it destroys nothing, unless the workspace allows deleting there.
#[tokio::test]
async fn fewer_versions() {
    let server = Server::start().await;
    let owner = &server.owner;
    owner.post("/secrets", json!({"name": "KEY"})).await.expect(201);
    rotate(owner, "KEY", "test", 5).await;
    let change = json!({"version_keep_count": 2});
    let said = owner.patch("?dry_run=true", change.clone()).await.expect(200);
    assert_eq!((&said["destroys_versions"], &said["version_keep_count"]), (&json!(3), &json!(2)));
    assert_eq!(owner.get("").await.expect(200)["version_keep_count"], 10);
    assert_eq!(kept(owner, "KEY", "test").await, 5);

    rotate(owner, "KEY", "live", 3).await;
    for change in [json!({"version_keep_count": 2}), json!({"version_keep_days": 6})] {
        for path in ["", "?dry_run=true"] {
            owner.patch(path, change.clone()).await.refused(409, "protected_environment");
        }
    }
    // Nothing there is beyond these.
    assert_eq!(settings(owner, json!({"version_keep_count": 3})).await["destroys_versions"], 2);
    assert!(settings(owner, json!({"version_keep_days": 8})).await["destroys_versions"].is_null());
    assert_eq!(kept(owner, "KEY", "live").await, 3);

    let allowed = json!({"version_keep_count": 2, "allow_protected_delete": true});
    assert_eq!(settings(owner, allowed).await["destroys_versions"], 2);
    for _ in 0..50 {
        if kept(owner, "KEY", "live").await == 2 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the versions beyond the window are still there");
}

/// The command asks before a window becomes smaller, says what that destroys, and without a terminal wants --yes.
#[tokio::test]
async fn the_command_asks() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    server.owner.post("/secrets", json!({"name": "KEY"})).await.expect(201);
    rotate(&server.owner, "KEY", "test", 4).await;
    let set = |arguments: &[&str]| shell.run(&[&["workspaces", "set"], arguments].concat());
    let refused = set(&["--version-keep-count", "1"]).failed(2, "destroys 3 earlier versions, for good");
    assert!(refused.stderr.contains("add --yes"), "{}", refused.stderr);
    set(&["--version-keep-days", "0"]).failed(2, "destroys 3 earlier versions");
    set(&["--deletion-window-days", "0"]).failed(2, "cannot be restored at all");
    assert_eq!(kept(&server.owner, "KEY", "test").await, 4);
    set(&["--deletion-window-days", "30", "--version-keep-count", "20"]).ok();
    set(&["--deletion-window-days", "1", "--yes"]).ok();
}
