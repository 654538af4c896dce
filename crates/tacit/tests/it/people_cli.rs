//! People, roles and grants on the command line.

use serde_json::Value;

use crate::{cli::Shell, harness::Server, totp};

const PASSWORD: &str = "correct horse battery staple";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Invited, joined, signed in, with a second factor, signed out; nothing of it on a command line.
#[tokio::test(flavor = "multi_thread")]
async fn a_person() {
    let server = Server::start().await;
    let owner = Shell::of(&server);
    let anna = Shell { variables: vec![("TACIT_ADDR".to_owned(), server.url.clone())], ..Shell::new() };
    let invited = owner.run(&["members", "invite", "anna@example.com", "--role", "editor"]).ok();
    let invitation = invited.stdout.trim().to_owned();
    assert!(invitation.starts_with("tct_iv_") && invited.stderr.contains("tacit join"));
    assert!(!owner.run(&["members", "invitations"]).ok().stdout.contains(&invitation));
    anna.run_with(&["join"], &format!("{invitation}\nshort\n")).failed(1, "validation_failed");
    anna.run_with(&["join"], &format!("{invitation}\n{PASSWORD}\n")).ok();
    anna.run_with(&["join"], &format!("{invitation}\n{PASSWORD}\n")).failed(3, "unauthenticated");
    anna.run_with(&["login", "--user", "anna@example.com"], "wrong password\n").failed(3, "unauthenticated");
    anna.run_with(&["login", "--user", "anna@example.com"], &format!("{PASSWORD}\n")).ok();
    let me = anna.run(&["whoami"]).ok().stdout;
    assert!(me.contains("anna@example.com") && me.contains("default as editor"), "{me}");
    let begun = anna.run_with(&["account", "second-factor", "begin"], &format!("{PASSWORD}\n")).ok().stdout;
    let secret = begun.lines().next().unwrap().to_owned();
    let code = totp::code(&secret, totp::now() - 30);
    anna.run_with(&["account", "second-factor", "confirm"], "abc\n").failed(3, "code of this moment");
    let codes = anna.run_with(&["account", "second-factor", "confirm"], &format!("{code}\n")).ok().stdout;
    let codes: Vec<&str> = codes.lines().collect();
    assert_eq!(codes.len(), 10);
    anna.run_with(&["login", "--user", "anna@example.com"], &format!("{PASSWORD}\n"))
        .failed(3, "unauthenticated");
    let lines = format!("{PASSWORD}\n{}\n", totp::code_now(&secret));
    anna.run_with(&["login", "--user", "anna@example.com"], &lines).ok();
    let account = json(&anna.run(&["account", "show", "-o", "json"]).ok().stdout);
    assert_eq!((&account["has_second_factor"], &account["recovery_codes"]), (&true.into(), &10.into()));
    let sessions = json(&anna.run(&["account", "sessions", "-o", "json"]).ok().stdout);
    assert_eq!(sessions.as_array().or(sessions["items"].as_array()).unwrap().len(), 2, "{sessions}");
    let lines = format!("{PASSWORD}\n{}\nanother correct horse\n", codes[0]);
    anna.run_with(&["account", "password"], &lines).ok();
    anna.run_with(
        &["account", "second-factor", "disable"],
        &format!("another correct horse\n{}\n", codes[1]),
    )
    .ok();
    // Without a second factor there is no line for its code.
    let lines = "another correct horse\nyet another horse\n";
    anna.run_with(&["account", "password"], lines).ok();
    anna.run_with(&["account", "password"], "yet another horse\nanother correct horse\n").ok();
    let none = anna.run_with(&["account", "second-factor", "confirm"], "123456\n");
    assert!(none.failed(4, "not_found").stderr.contains("second-factor begin"));
    let wrong = anna.run_with(&["login"], "tct_u_x\n").failed(3, "token");
    assert!(!wrong.stderr.contains("run `tacit login`"), "{}", wrong.stderr);
    anna.run(&["logout"]).ok();
    anna.run(&["whoami"]).failed(3, "nobody is signed in");
    anna.run_with(&["login", "--user", "anna@example.com"], "another correct horse\n").ok();
    anna.run(&["logout", "--everywhere"]).ok();
    for name in ["owner", "anna@example.com"] {
        assert!(owner.run(&["members", "list"]).ok().stdout.contains(name));
    }
    owner.run(&["members", "remove", "owner", "--yes"]).failed(5, "last_owner");
    owner.run(&["members", "set", "anna@example.com", "--role", "owner"]).ok();
    owner.run(&["members", "set", "anna@example.com", "--role", "nothing"]).failed(1, "validation_failed");
    owner.run(&["members", "remove", "anna@example.com", "--yes"]).ok();
    owner.run(&["members", "remove", "anna@example.com", "--yes"]).failed(4, "not_found");
}

/// Roles, grants, and why somebody may.
#[tokio::test(flavor = "multi_thread")]
async fn grants_and_why() {
    let server = Server::start().await;
    let owner = Shell::of(&server);
    owner
        .run_with(&["secrets", "set", "KEY", "--to", "api.example.com"], "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu")
        .ok();
    owner.run(&["roles", "create", "rotator", "secret.list", "secret.write"]).ok();
    owner.run(&["roles", "create", "bad", "secret.everything"]).failed(1, "validation_failed");
    assert!(owner.run(&["roles", "list"]).ok().stdout.contains("secret.list secret.write"));
    owner.run(&["service-accounts", "create", "ci", "--role", "rotator"]).ok();
    let made = owner.run(&[
        "grants",
        "create",
        "editor",
        "service-account:ci",
        "--secret",
        "KEY",
        "--in-env",
        "test",
        "--until",
        "2099-01-01T00:00:00Z",
    ]);
    let said = made.ok();
    assert!((said.stdout + &said.stderr).contains("secret KEY, environment test"));
    let listed = owner.run(&["grants", "list", "-o", "json"]).ok().stdout;
    let listed = json(&listed);
    let first = listed.get(0).or(listed["items"].get(0)).unwrap();
    let id = first["id"].as_str().unwrap().to_owned();
    let why = owner.run(&["secrets", "access", "KEY"]).ok().stdout;
    for part in ["user:owner", "service-account:ci", "secret.use", "editor", "2099-01-01"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let held = owner.run(&["members", "access", "service-account:ci"]).ok().stdout;
    assert!(held.contains("rotator") && held.contains("secret KEY, environment test"), "{held}");
    owner.run(&["roles", "delete", "rotator", "--yes"]).failed(5, "role_in_use");
    owner.run(&["roles", "update", "rotator", "secret.list"]).ok();
    owner.run(&["grants", "delete", &id]).ok();
    owner.run(&["grants", "delete", &id]).failed(4, "not_found");
    owner.run(&["service-accounts", "delete", "ci", "--yes"]).ok();
    owner.run(&["roles", "delete", "rotator", "--yes"]).ok();
}

/// The same grant is there once; one for everything wants to be said; withdrawing one says what is left.
#[tokio::test(flavor = "multi_thread")]
async fn equal_grants() {
    let server = Server::start().await;
    let owner = Shell::of(&server);
    owner.run(&["service-accounts", "create", "ci"]).ok();
    let create = |more: &[&str]| {
        let all = [&["grants", "create", "editor", "service-account:ci", "-o", "json"], more].concat();
        owner.run(&all)
    };
    create(&[]).failed(2, "the whole workspace");
    assert_eq!(create(&["--everywhere", "--in-env", "test"]).status, 2);
    let id = |text: &str| json(text)["id"].as_str().unwrap().to_owned();
    let first = id(&create(&["--in-env", "test"]).ok().stdout);
    let again = create(&["--in-env", "test"]).failed(5, "name_taken");
    assert!(again.stderr.contains(&first), "{}", again.stderr);
    let longer = create(&["--in-env", "test", "--until", "2099-01-01T00:00:00Z"]).failed(5, &first);
    assert!(longer.stderr.contains(&format!("tacit grants delete {first}")), "{}", longer.stderr);
    // Another role, another part and another grantee are other grants.
    let made = create(&["--in-env", "test", "--in-folder", "pay"]).ok();
    assert!(made.stderr.contains("no secret in the folder pay"), "{}", made.stderr);
    let folder = id(&made.stdout);
    create(&["--in-env", "live"]).ok();
    let all = id(&create(&["--everywhere"]).ok().stdout);
    let said = owner.run(&["grants", "delete", &first]).ok().stderr;
    for part in ["still has there", &folder, &all, "by membership", "folder pay, environment test"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("environment live"), "{said}");
    let left = json(&owner.run(&["grants", "delete", &all, "-o", "json"]).ok().stdout);
    assert_eq!(left["left"].as_array().unwrap().len(), 3, "{left}");
    create(&["--in-env", "test"]).ok();
}

/// What one holds by membership and by each grant is told apart, and a part of a workspace does not pass for all of it.
#[tokio::test(flavor = "multi_thread")]
async fn whoami_and_parts() {
    let server = Server::start().await;
    let owner = Shell::of(&server);
    owner.run(&["service-accounts", "create", "ci", "--role", "member"]).ok();
    owner.run(&["roles", "create", "runner", "automation.run"]).ok();
    owner.run(&["service-accounts", "create", "part", "--role", "runner"]).ok();
    let by = |account: &str| {
        let token = owner.run(&["tokens", "create", account]).ok().stdout.trim().to_owned();
        let variables = [("TACIT_ADDR", server.url.clone()), ("TACIT_TOKEN", token)];
        Shell { variables: variables.map(|(name, value)| (name.to_owned(), value)).to_vec(), ..Shell::new() }
    };
    let part = by("part");
    let none = part.run(&["secrets", "list"]).failed(4, "no secrets that you may list");
    assert!(none.stderr.contains("tacit whoami"));
    owner.run(&["grants", "create", "editor", "service-account:part", "--in-folder", "pay"]).ok();
    let me = part.run(&["whoami"]).ok().stdout;
    for line in
        ["membership                            the whole workspace", "default    editor  grt_", "folder pay"]
    {
        assert!(me.contains(line), "{line}: {me}");
    }
    let me = json(&part.run(&["whoami", "-o", "json"]).ok().stdout);
    assert_eq!(me["workspaces"][0]["rights"], serde_json::json!(["automation.run"]));
    assert_eq!(me["workspaces"][0]["because"].as_array().unwrap().len(), 2, "{me}");
    assert!(part.run(&["secrets", "export"]).ok().stderr.contains("perhaps not all"));
    assert_eq!(by("ci").run(&["secrets", "export"]).ok().stderr, "");
}

/// What has ended is marked, an end is repeated, and a typing error is not a clean record.
#[tokio::test(flavor = "multi_thread")]
async fn ends_and_words() {
    let server = Server::start().await;
    let owner = Shell::of(&server);
    crate::people::person(&server, &server.owner, "anna@example.com", "member").await;
    let said = owner.run(&["members", "set", "anna@example.com", "--until", "2099-01-01T00:00:00Z"]).ok();
    assert!(said.stderr.contains("is member until 2099-01-01"), "{}", said.stderr);
    owner.run(&["service-accounts", "create", "ci"]).ok();
    let soon = crate::people::jiff_in(2);
    owner.run(&["tokens", "create", "ci", "--expires-at", &soon]).ok();
    owner.run(&["members", "set", "anna@example.com", "--until", &soon]).ok();
    for _ in 1..32 {
        server
            .owner
            .post("/service-accounts/ci/tokens", json(&format!(r#"{{"expires_at": "{soon}"}}"#)))
            .await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(2300)).await;
    for list in [&["tokens", "list", "ci"][..], &["members", "list"]] {
        let listed = owner.run(list).ok().stdout;
        assert!(listed.contains("ended 20"), "{listed}");
    }
    // Those whose time is over take no room.
    owner.run(&["tokens", "create", "ci"]).ok();
    let unknown = owner.run(&["audit", "list", "--verb", "secret.revealed"]).failed(1, "secret.reveal,");
    assert!(!unknown.stderr.contains("grant.create"));
    owner.run(&["audit", "list", "--verb", "nothing"]).failed(1, "grant.create");
    owner.run(&["audit", "list", "--outcome", "deny"]).failed(1, "denied");
    let problem = server.owner.get("/secrets?limit=abc").await.refused(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "limit");
    let problem = server.owner.get("/secrets?state=bogus").await.refused(422, "validation_failed");
    assert!(problem["detail"].as_str().unwrap().contains("disabled"), "{problem}");
    // A name that a deleted secret has: whoever may bring it back is told so.
    owner.run_with(&["secrets", "set", "GONE"], "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu").ok();
    owner.run(&["secrets", "delete", "GONE", "--yes"]).ok();
    let taken = owner.run_with(&["secrets", "set", "GONE"], "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu");
    assert!(taken.failed(5, "name_taken").stderr.contains("tacit secrets restore GONE"));
}
