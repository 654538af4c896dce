//! Somebody who can write the database but has no key gets no value out of it, wherever they move what they find.

use tacit_model::{Code, Visibility};

use crate::ground::{Ground, NOW};

const FIRST: &str = "first-Zq8Wn3Lk5Rt7Yp2Xc9";
const SECOND: &str = "second-Hd7Js2Kf9Lw4Qe8Rt3";
const LIVE: &str = "live-Mf6Vb4Xc9Yp2Rt7Lk5";
const OTHER: &str = "other-Ty6Hn4Bg7Vf3Cd9Xs2";
const HIDDEN: &str = "hidden-Pl0Ok9Ij8Uh7Yg6Tf5";
const ELSEWHERE: &str = "elsewhere-Qa1Ws2Ed3Rf4Tg5";
const ALL: &[&str] = &[FIRST, SECOND, LIVE, OTHER, HIDDEN, ELSEWHERE];

const SHOWN_IN_TEST: &str = "secret = (SELECT id FROM secrets WHERE name = 'shown') AND environment = (SELECT e.id FROM environments e JOIN workspaces w ON w.id = e.workspace WHERE e.name = 'test' AND w.name = 'default')";

/// `shown` with two versions in `test` and one in `live`, `other` beside it, `hidden` that nobody may see, and a secret of
/// the same name in another workspace.
async fn ground() -> Ground {
    let ground = Ground::new().await;
    ground
        .create("shown", Visibility::Masked, &["api.example.com"], &[("test", FIRST), ("live", LIVE)])
        .await;
    assert_eq!(ground.rotate("shown", "test", SECOND).await, 2);
    ground.create("other", Visibility::Masked, &["api.example.com"], &[("test", OTHER)]).await;
    ground.create("hidden", Visibility::Restricted, &["api.example.com"], &[("test", HIDDEN)]).await;
    let second = "second".parse().unwrap();
    ground.vault.create_workspace(ground.owner.token, NOW, &second).await.unwrap();
    let there = tacit_vault::Caller { workspace: second, ..ground.owner.clone() };
    ground.create_in(&there, "shown", Visibility::Masked, &["api.example.com"], &[("test", ELSEWHERE)]).await;
    ground
}

/// The sealed record of a secret in an environment of a workspace.
fn sealed(workspace: &str, secret: &str, environment: &str, version: i64) -> String {
    format!(
        "(SELECT v.sealed FROM secret_versions v JOIN workspaces w ON w.id = v.workspace JOIN secrets s ON s.workspace = v.workspace AND s.id = v.secret
          JOIN environments e ON e.workspace = v.workspace AND e.id = v.environment
          WHERE w.name = '{workspace}' AND s.name = '{secret}' AND e.name = '{environment}' AND v.version = {version})"
    )
}

/// Neither a reveal nor a use of the secret yields anything, and both say `internal` and no more.
async fn assert_closed(ground: &Ground, what: &str, name: &str, environment: &str, url: &str) {
    let results = [
        ground.reveal(name, environment).await.map(|value| vec![value]),
        ground.use_it(name, environment, url).await,
    ];
    for (way, result) in ["reveal", "use"].iter().zip(results) {
        match result {
            Ok(values) => panic!("{what}: a {way} yields {values:?}"),
            Err(problem) => {
                assert_eq!(problem.code, Code::Internal, "{what}: {way}: {}", problem.detail);
                let told = format!(
                    "{} {} {}",
                    problem.detail,
                    problem.suggestion.clone().unwrap_or_default(),
                    problem.cause().unwrap_or_default()
                );
                assert!(ALL.iter().all(|value| !told.contains(value)), "{what}: {way}: {told}");
            }
        }
    }
}

const HERE: &str = "https://api.example.com/v1";

/// Without tampering a copy of the file opens, so that what follows means something.
#[tokio::test]
async fn an_honest_copy_opens() {
    let ground = ground().await.tampered("").await.unwrap();
    assert_eq!(ground.reveal("shown", "test").await.unwrap(), SECOND);
    assert_eq!(ground.reveal("shown", "live").await.unwrap(), LIVE);
    let used = ground.use_it("shown", "test", HERE).await.unwrap();
    assert_eq!(used[0], SECOND);
    assert!(
        used.contains(&FIRST.to_owned()) && used.contains(&HIDDEN.to_owned()),
        "all that may come back is scrubbed"
    );
    assert_eq!(ground.reveal("hidden", "test").await.unwrap_err().code, Code::RestrictedSecret);
    assert_eq!(
        ground.use_it("shown", "test", "https://evil.example/").await.unwrap_err().code,
        Code::DestinationNotAllowed
    );
}

/// A sealed record moved to another place is closed there.
#[tokio::test]
async fn moved_records_do_not_open() {
    let ground = ground().await;
    let sources = [
        ("another secret's", sealed("default", "other", "test", 1)),
        ("a restricted secret's", sealed("default", "hidden", "test", 1)),
        ("another environment's", sealed("default", "shown", "live", 1)),
        ("an earlier version's", sealed("default", "shown", "test", 1)),
        ("another workspace's", sealed("second", "shown", "test", 1)),
        ("an empty", "x''".to_owned()),
        ("a short", "x'0100000001'".to_owned()),
        ("a zero", "zeroblob(200)".to_owned()),
        ("a cut", format!("substr({}, 1, length({0}) - 1)", sealed("default", "shown", "test", 2))),
        ("a longer", format!("CAST({} || x'00' AS BLOB)", sealed("default", "shown", "test", 2))),
    ];
    for (what, source) in sources {
        let tampered = ground
            .tampered(&format!(
                "UPDATE secret_versions SET sealed = {source} WHERE {SHOWN_IN_TEST} AND version = 2"
            ))
            .await
            .unwrap();
        assert_closed(&tampered, &format!("{what} record"), "shown", "test", HERE).await;
    }
    // Exchanged within one secret: both are closed.
    let exchange = format!(
        "CREATE TEMP TABLE old AS SELECT version, sealed FROM secret_versions WHERE {SHOWN_IN_TEST};
         UPDATE secret_versions SET sealed = (SELECT sealed FROM old WHERE old.version = 3 - secret_versions.version) WHERE {SHOWN_IN_TEST}"
    );
    assert_closed(&ground.tampered(&exchange).await.unwrap(), "exchanged versions", "shown", "test", HERE)
        .await;
    let renumber = format!(
        "UPDATE secret_versions SET version = -version WHERE {SHOWN_IN_TEST}; UPDATE secret_versions SET version = 1 - version WHERE {SHOWN_IN_TEST};
         UPDATE secret_values SET current = 3, latest = 3 WHERE {SHOWN_IN_TEST}"
    );
    assert_closed(&ground.tampered(&renumber).await.unwrap(), "renumbered versions", "shown", "test", HERE)
        .await;
}

/// One bit anywhere in a record closes it.
#[tokio::test]
async fn damaged_records_do_not_open() {
    let ground = ground().await;
    let length: u32 = {
        ground.vault.store().close();
        let database = rusqlite::Connection::open(ground.directory.path().join("tacit.db")).unwrap();
        database
            .query_row(
                &format!("SELECT length(sealed) FROM secret_versions WHERE {SHOWN_IN_TEST} AND version = 2"),
                [],
                |row| row.get(0),
            )
            .unwrap()
    };
    for at in (1..=length).step_by(9).chain([2, 3, 4, 5, length]) {
        let flipped = format!(
            "UPDATE secret_versions SET sealed = CAST(substr(sealed, 1, {before}) ||
               CASE hex(substr(sealed, {at}, 1)) WHEN '00' THEN x'01' ELSE x'00' END || substr(sealed, {after}) AS BLOB)
             WHERE {SHOWN_IN_TEST} AND version = 2",
            before = at - 1,
            after = at + 1
        );
        let tampered = ground.tampered(&flipped).await.unwrap();
        assert_closed(&tampered, &format!("byte {at} of {length}"), "shown", "test", HERE).await;
    }
}

/// The policy of a secret is part of what its values are sealed for.
#[tokio::test]
async fn a_changed_policy_does_not_open() {
    let ground = ground().await;
    let host = |host: &str| format!(r#"[{{"host":"{host}"}}]"#);
    for (what, policy, url) in [
        ("another host", host("evil.example"), "https://evil.example/"),
        (
            "one more host",
            r#"[{"host":"api.example.com"},{"host":"evil.example"}]"#.to_owned(),
            "https://evil.example/",
        ),
        ("a wildcard", host("*.example.com"), HERE),
        ("one more place", r#"[{"host":"api.example.com","places":["auth","query:key"]}]"#.to_owned(), HERE),
        ("no scrubbing of short values", r#"[{"host":"api.example.com","echoes":false}]"#.to_owned(), HERE),
        ("credentials of others", r#"[{"host":"api.example.com","exclusive":false}]"#.to_owned(), HERE),
        ("fewer paths", r#"[{"host":"api.example.com","paths":["/v1"]}]"#.to_owned(), HERE),
        ("none", "[]".to_owned(), "https://evil.example/"),
    ] {
        let tampered = ground
            .tampered(&format!("UPDATE secrets SET destinations = '{policy}' WHERE name = 'shown'"))
            .await
            .unwrap();
        assert_closed(&tampered, what, "shown", "test", url).await;
    }
    // A restricted secret made masked does not open for anybody, wherever it goes.
    let flipped =
        ground.tampered("UPDATE secrets SET visibility = 'masked' WHERE name = 'hidden'").await.unwrap();
    assert_closed(&flipped, "a restricted secret made masked", "hidden", "test", HERE).await;
    let both = ground
        .tampered("UPDATE secrets SET visibility = 'masked', destinations = '[]' WHERE name = 'hidden'")
        .await
        .unwrap();
    assert_closed(
        &both,
        "a restricted secret made masked and free",
        "hidden",
        "test",
        "https://evil.example/",
    )
    .await;
    let other_way =
        ground.tampered("UPDATE secrets SET visibility = 'restricted' WHERE name = 'shown'").await.unwrap();
    assert_eq!(other_way.use_it("shown", "test", HERE).await.unwrap_err().code, Code::Internal);
}

/// A value of one type is none of another.
#[tokio::test]
async fn a_changed_type_does_not_open() {
    let ground = ground().await;
    for kind in ["bearer_token", "basic_auth", "api_key", "json"] {
        let tampered = ground
            .tampered(&format!("UPDATE secrets SET kind = '{kind}' WHERE name = 'shown'"))
            .await
            .unwrap();
        assert_closed(&tampered, kind, "shown", "test", HERE).await;
    }
}

/// An earlier version that is still kept is not the current one because a column says so.
#[tokio::test]
async fn an_earlier_version_is_not_made_current() {
    let ground = ground().await;
    let current = ground
        .tampered(&format!("UPDATE secret_values SET current = 1 WHERE {SHOWN_IN_TEST}"))
        .await
        .unwrap();
    assert_closed(&current, "an earlier version made current", "shown", "test", HERE).await;
}

/// A column that points at a version that is not there yields nothing.
#[tokio::test]
async fn a_version_that_is_not_there_is_not_current() {
    let ground = ground().await;
    for current in [0, 3, -1, i64::MAX] {
        let tampered = ground
            .tampered(&format!("UPDATE secret_values SET current = {current} WHERE {SHOWN_IN_TEST}"))
            .await
            .unwrap();
        let (revealed, used) =
            (tampered.reveal("shown", "test").await, tampered.use_it("shown", "test", HERE).await);
        assert!(revealed.is_err() && used.is_err(), "{current}");
    }
}

/// A wrapped key that is another one's, damaged or renumbered unwraps nothing.
#[tokio::test]
async fn replaced_keys_do_not_unwrap() {
    let ground = ground().await;
    let environment = |workspace: &str, name: &str| {
        format!(
            "(SELECT e.id FROM environments e JOIN workspaces w ON w.id = e.workspace WHERE w.name = '{workspace}' AND e.name = '{name}')"
        )
    };
    let wrapped = |workspace: &str, name: &str| {
        format!("(SELECT wrapped FROM data_keys WHERE environment = {})", environment(workspace, name))
    };
    let workspace_key = |workspace: &str| {
        format!(
            "(SELECT wrapped FROM workspace_keys WHERE workspace = (SELECT id FROM workspaces WHERE name = '{workspace}'))"
        )
    };
    let of_test = format!("WHERE environment = {}", environment("default", "test"));
    let of_default = "WHERE workspace = (SELECT id FROM workspaces WHERE name = 'default')";
    let statements = [
        (
            "another environment's data key",
            format!("UPDATE data_keys SET wrapped = {} {of_test}", wrapped("default", "live")),
        ),
        (
            "another workspace's data key",
            format!("UPDATE data_keys SET wrapped = {} {of_test}", wrapped("second", "test")),
        ),
        (
            "another workspace's key",
            format!("UPDATE workspace_keys SET wrapped = {} {of_default}", workspace_key("second")),
        ),
        (
            "a workspace key as a data key",
            format!("UPDATE data_keys SET wrapped = {} {of_test}", workspace_key("default")),
        ),
        (
            "zeros as a data key",
            format!("UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) {of_test}"),
        ),
        ("an empty data key", format!("UPDATE data_keys SET wrapped = x'' {of_test}")),
        ("an empty workspace key", format!("UPDATE workspace_keys SET wrapped = x'' {of_default}")),
        ("another generation of a data key", format!("UPDATE data_keys SET generation = 2 {of_test}")),
        (
            "another generation of a workspace key",
            format!("UPDATE workspace_keys SET generation = 2 {of_default}"),
        ),
        ("another parent", format!("UPDATE data_keys SET parent = 2 {of_test}")),
        (
            "a parent and a workspace key renumbered",
            format!(
                "UPDATE data_keys SET parent = 2 {of_default}; UPDATE workspace_keys SET generation = 2 {of_default}"
            ),
        ),
        ("no data key", format!("DELETE FROM data_keys {of_test}")),
        ("no workspace key", format!("DELETE FROM workspace_keys {of_default}")),
        ("a negative generation", format!("UPDATE data_keys SET generation = -1 {of_test}")),
    ];
    for (what, statement) in statements {
        let tampered = ground.tampered(&statement).await.unwrap();
        assert_closed(&tampered, what, "shown", "test", HERE).await;
        // Nothing new is sealed with a key that is not the environment's either.
        let map = serde_json::json!({"value": FIRST});
        let sealed = tampered
            .vault
            .set_value(
                &tampered.owner,
                &"other".parse().unwrap(),
                &"test".parse().unwrap(),
                map.as_object().unwrap(),
                None,
                false,
            )
            .await;
        assert_eq!(sealed.unwrap_err().code, Code::Internal, "{what}");
    }
}

/// Another instance's name, or a damaged key check, is noticed before anything is opened for writing.
#[tokio::test]
async fn another_instance_is_not_opened() {
    let ground = ground().await;
    for statement in [
        "UPDATE meta SET value = randomblob(16) WHERE key = 'instance'",
        "UPDATE meta SET value = zeroblob(3) WHERE key = 'instance'",
        "UPDATE meta SET value = zeroblob(length(value)) WHERE key = 'key_check'",
        "UPDATE meta SET value = x'' WHERE key = 'key_check'",
    ] {
        let opened = ground.tampered(statement).await.map(drop);
        assert_eq!(opened.unwrap_err().code, Code::Internal, "{statement}");
    }
}
