//! What cannot be undone, or acts in a protected environment, is asked for or said twice.

use serde_json::json;

use crate::{cli::Shell, harness::Server};

const VALUE: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

/// Without a terminal these want --yes, do nothing without it, and say that there is no way back.
#[tokio::test]
async fn no_way_back() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let owner = &server.owner;
    let values = json!({"test": {"value": VALUE}});
    owner.post("/secrets", json!({"name": "KEY", "values": values})).await.expect(201);
    owner.post("/secrets", json!({"name": "OTHER", "values": values})).await.expect(201);
    owner.post("/variables", json!({"name": "URL", "values": {"test": "x"}})).await.expect(201);
    owner.post("/service-accounts", json!({"name": "ci", "role": "editor"})).await.expect(201);
    let step = json!({"id": "a", "http": {"url": "https://api.example.com/"}});
    owner.put("/automations/send", json!({"steps": [step]})).await.expect(201);
    let careful: [&[&str]; 4] = [
        &["secrets", "delete", "KEY", "--env", "test"],
        &["vars", "delete", "URL"],
        &["automations", "delete", "send"],
        &["service-accounts", "delete", "ci"],
    ];
    for arguments in careful {
        let refused = shell.run(arguments).failed(2, "nothing was done");
        assert!(refused.stderr.contains("add --yes"), "{}", refused.stderr);
        let done = shell.run(&[arguments, &["--yes"]].concat()).ok();
        assert!(arguments[0] == "service-accounts" || done.stderr.contains("for good"), "{}", done.stderr);
    }
    shell.run(&["members", "remove", "owner"]).failed(2, "nothing was done");

    // What can be restored needs no --yes; with a window of nothing it does.
    assert!(shell.run(&["secrets", "delete", "KEY"]).ok().stderr.contains("secrets restore"));
    owner.patch("", json!({"deletion_window_days": 0})).await.expect(200);
    shell.run(&["secrets", "delete", "OTHER"]).failed(2, "for good?");
    assert!(shell.run(&["secrets", "delete", "OTHER", "-y"]).ok().stderr.contains("deleted for good"));
}

/// A protected environment is named with each command, and an import into it wants --yes.
#[tokio::test]
async fn protected_environments_are_named() {
    let server = Server::start().await;
    let mut shell = Shell::of(&server);
    let file = shell.directory.path().join("a.env");
    std::fs::write(&file, format!("KEY={VALUE}\n")).unwrap();
    let file = file.to_str().unwrap();
    shell.run(&["secrets", "import", file, "--env", "live"]).failed(2, "nothing was done");
    let done = shell.run(&["secrets", "import", file, "--env", "live", "--yes"]).ok();
    assert!(done.stderr.contains("1 secret is written in live"), "{}", done.stderr);
    shell.run(&["secrets", "import", file]).ok();

    shell.variables.push(("TACIT_ENV".to_owned(), "live".to_owned()));
    let acts: [&[&str]; 6] = [
        &["secrets", "set", "KEY"],
        &["secrets", "import", file, "--yes"],
        &["secrets", "rollback", "KEY", "1"],
        &["secrets", "reveal", "KEY"],
        &["vars", "set", "URL", "x"],
        &["request", "GET", "https://api.example.com/"],
    ];
    for arguments in acts {
        let refused = shell.run_with(arguments, VALUE).failed(2, "`live` is protected");
        assert!(refused.stderr.contains("--env live"), "{}", refused.stderr);
    }
    shell.run_with(&["secrets", "set", "KEY", "--env", "live"], VALUE).ok();
    for verb in ["disable", "enable", "delete"] {
        let done = shell.run(&["secrets", verb, "KEY"]);
        assert!(done.stderr.contains("TACIT_ENV=live does not narrow this"), "{}", done.stderr);
    }
}

/// What the server would refuse of a file is found before anything is written; what is empty is named at once and can be
/// left out; and why it was written is kept for new names, too, without the values.
#[tokio::test]
async fn an_import_is_checked_first() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    server.owner.post("/variables", json!({"name": "TAKEN"})).await.expect(201);
    let file = |name: &str, text: &str| {
        let path = shell.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let taken = file("taken.env", &format!("FIRST={VALUE}\nTAKEN={VALUE}\n"));
    let login =
        json!({"FIRST": VALUE, "LOGIN": {"type": "basic_auth", "username": "a:b", "password": VALUE}});
    let login = file("login.json", &login.to_string());
    for flag in ["--dry-run", "--yes"] {
        shell.run(&["secrets", "import", &taken, flag]).failed(5, "TAKEN: ");
        assert_eq!(shell.run(&["secrets", "import", &login, flag]).status, 1);
        shell.run(&["secrets", "show", "FIRST"]).failed(4, "not_found");
    }
    let empty = file("empty.env", &format!("A=\nB={VALUE}\nC=\n"));
    shell.run(&["secrets", "import", &empty, "--yes"]).failed(2, "without a value: A, C");
    let because = format!("moved {VALUE} here");
    let import = ["secrets", "import", &empty, "--skip-empty", "--yes", "--reason", &because];
    shell.run(&import).ok();
    let versions = shell.run(&["secrets", "versions", "B"]).ok().stdout;
    assert!(versions.contains("moved [value] here") && !versions.contains(VALUE), "{versions}");
}

/// What is said about a secret changes without its value, and is cleared again; a variable answers for the environment that
/// was named, or not at all.
#[tokio::test]
async fn edits_and_variables() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let owner = &server.owner;
    owner.post("/secrets", json!({"name": "KEY", "values": {"test": {"value": VALUE}}})).await.expect(201);
    let end = "2099-01-01T00:00:00Z";
    let edit = ["secrets", "edit", "KEY", "--folder", "a/b", "--description", "x", "--expires-at", end];
    shell.run(&edit).ok();
    let shown = owner.get("/secrets/KEY").await.expect(200);
    assert_eq!((&shown["folder"], &shown["description"]), (&json!("a/b"), &json!("x")));
    assert!(shown["expires_at"].is_string());
    assert_eq!(shown["environments"]["test"]["version"], 1);
    shell.run(&["secrets", "edit", "KEY", "--expires-at", "never"]).ok();
    let cleared = json!({"folder": null, "description": null});
    let shown = owner.patch("/secrets/KEY", cleared).await.expect(200);
    assert_eq!((&shown["folder"], &shown["description"]), (&json!(""), &json!("")));
    assert!(shown["expires_at"].is_null());

    shell.run(&["vars", "set", "URL", "x", "--env", "live"]).ok();
    assert_eq!(shell.run(&["vars", "show", "URL", "--env", "live"]).ok().stdout, "x\n");
    shell.run(&["vars", "show", "URL", "--env", "test"]).failed(5, "no_value_in_environment");
}
