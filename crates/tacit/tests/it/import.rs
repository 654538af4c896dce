//! Files of values on the command line: what goes in comes out, byte by byte, and what is shown before are names.

use serde_json::{Value, json};

use crate::{cli::Shell, harness::Server};

/// Values that break parsers.
fn values() -> Vec<(&'static str, String)> {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQ==\n-----END PRIVATE KEY-----\n";
    vec![
        ("PLAIN", "simple".to_owned()),
        ("QUOTES", "it's \"quoted\" `here`".to_owned()),
        ("DOLLAR", "$HOME ${PATH} $(id) $$".to_owned()),
        ("HASH", "a#b #c".to_owned()),
        ("EQUALS", "=a=b==".to_owned()),
        ("CRLF", "one\r\ntwo\r\n".to_owned()),
        ("PEM", pem.to_owned()),
        ("PEM_CRLF", pem.replace('\n', "\r\n")),
        ("BACKSLASH", "C:\\new\\table\\".to_owned()),
        ("SPACES", "  both ends  ".to_owned()),
        ("UNICODE", "pässwörd 🔑 \u{202e}".to_owned()),
        ("TAB", "a\tb".to_owned()),
        ("JSON", r#"{"a": "b\n", "c": [1]}"#.to_owned()),
    ]
}

async fn check(server: &Server) {
    for (name, value) in values() {
        let shown =
            server.owner.post(&format!("/secrets/{name}/values/test/reveal"), json!({})).await.expect(200);
        assert_eq!(shown["fields"]["value"], value, "{name}");
    }
}

/// Dotenv, JSON and YAML: each writes the same values, over those of the one before.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_in_comes_out() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let file = |name: &str, text: String| {
        let path = shell.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    let dotenv: String = values()
        .iter()
        .map(|(name, value)| format!("export {name}=\"{}\" # {name}\n", escaped(value)))
        .collect();
    let dotenv = file("secrets.env", dotenv);
    let all =
        Value::Object(values().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect());
    let json = file("secrets.json", all.to_string());
    // JSON is YAML.
    let yaml = file("secrets.yaml", all.to_string());

    let preview = shell.run(&["secrets", "import", &dotenv, "--dry-run"]);
    assert_eq!(preview.status, 0, "{}", preview.stderr);
    assert!(preview.stdout.contains("PEM_CRLF") && preview.stdout.contains("create"), "{}", preview.stdout);
    for (name, value) in values() {
        let line = value.lines().next().unwrap_or_default().trim();
        assert!(name == "PLAIN" || !preview.stdout.contains(line), "{name} is shown");
    }
    assert!(server.owner.get("/secrets").await.expect(200)["items"].as_array().unwrap().is_empty());

    let done = shell.run(&["secrets", "import", &dotenv, "--masked", "--folder", "imported", "--yes"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(!format!("{}{}", done.stdout, done.stderr).contains("simple"));
    check(&server).await;
    assert_eq!(server.owner.get("/secrets/PEM").await.expect(200)["folder"], "imported");
    for (number, path) in [json, yaml].iter().enumerate() {
        let done = shell.run(&["secrets", "import", path, "--yes", "--reason", "moved"]);
        assert_eq!(done.status, 0, "{}", done.stderr);
        check(&server).await;
        let secret = server.owner.get("/secrets/PEM").await.expect(200);
        assert_eq!(secret["environments"]["test"]["version"], 2 + number);
    }
    assert_eq!(server.owner.newest_event("verb=secret.rotate").await["reason"], "moved");
    let new = file("more.env", "PLAIN=other\nNEW='value'\n".to_owned());
    assert_eq!(shell.run(&["secrets", "import", &new, "--new-only", "--yes", "--masked"]).status, 0);
    check(&server).await;
    let missing = file("bad.env", "A=1\nB=\"hunter2\n".to_owned());
    let refused = shell.run(&["secrets", "import", &missing, "--yes"]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("line 2") && !refused.stderr.contains("hunter2"), "{}", refused.stderr);
    server.owner.get("/secrets/A").await.refused(404, "not_found");
}

/// Types by the file, and an existing secret's type where the file says none.
#[tokio::test(flavor = "multi_thread")]
async fn types_are_kept() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let basic = json!({"name": "DB", "type": "basic_auth", "visibility": "masked", "values": {"test": {"username": "app", "password": "one"}}});
    server.owner.post("/secrets", basic).await.expect(201);
    let path = shell.directory.path().join("x.json");
    let text = json!({"DB": "two", "API": {"type": "api_key", "header": "X-Key", "key": "k"}, "CONFIG": {"a": ["b"]}});
    std::fs::write(&path, text.to_string()).unwrap();
    let done = shell.run(&["secrets", "import", path.to_str().unwrap(), "--masked", "--yes"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let reveal = async |name: &str| {
        server.owner.post(&format!("/secrets/{name}/values/test/reveal"), json!({})).await.expect(200)["fields"].clone()
    };
    assert_eq!(reveal("DB").await, json!({"username": "app", "password": "two"}));
    assert_eq!(reveal("API").await, json!({"header": "X-Key", "key": "k"}));
    assert_eq!(reveal("CONFIG").await, json!({"content": {"a": ["b"]}}));
}

/// A file with something wrong in it writes nothing, not even what stands before, and the preview says so, too.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_wrong_file_is_written() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let basic = json!({"name": "DB", "type": "basic_auth", "values": {"test": {"username": "app", "password": "one"}}});
    server.owner.post("/secrets", basic).await.expect(201);
    server.owner.post("/secrets", json!({"name": "CONFIG", "type": "json"})).await.expect(201);
    for (name, text, why) in [
        ("empty.env", "FIRST=1\nDEBUG=\n".to_owned(), "without a value: DEBUG"),
        (
            "long.env",
            format!("FIRST=1\nLONG={}\n", "hunter2".repeat(10_000)),
            "LONG has more than 65536 bytes",
        ),
        ("name.json", json!({"FIRST": "1", "a/b": "hunter2"}).to_string(), "`a/b` cannot be the name"),
        (
            "type.json",
            json!({"FIRST": "1", "DB": {"type": "text", "value": "hunter2"}}).to_string(),
            "DB is of type basic_auth",
        ),
        (
            "field.json",
            json!({"FIRST": "1", "X": {"type": "api_key", "key": "hunter2"}}).to_string(),
            "has no header",
        ),
        (
            "twice.json",
            "{\"FIRST\": \"1\", \"X\": {\"k\": \"hunter2\", \"k\": \"hunter2\"}}".to_owned(),
            "a name twice",
        ),
        ("config.env", "FIRST=1\nCONFIG=hunter2\n".to_owned(), "the value of CONFIG is not taken"),
        ("nul.env", "FIRST=1\n\0=hunter2\n".to_owned(), "line 2"),
    ] {
        let path = shell.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        for flag in ["--dry-run", "--yes"] {
            let refused = shell.run(&["secrets", "import", path.to_str().unwrap(), flag]);
            assert_eq!(refused.status, 2, "{name}: {}", refused.stderr);
            assert!(
                refused.stderr.contains(why) && !refused.stderr.contains("hunter2"),
                "{}",
                refused.stderr
            );
        }
    }
    let latin = shell.directory.path().join("latin.env");
    std::fs::write(&latin, b"FIRST=1\nA=p\xe4ss\n").unwrap();
    let refused = shell.run(&["secrets", "import", latin.to_str().unwrap(), "--yes"]);
    assert!(refused.status != 0 && refused.stderr.contains("is not UTF-8"), "{}", refused.stderr);
    server.owner.get("/secrets/FIRST").await.refused(404, "not_found");
    let path = shell.directory.path().join("config.env");
    std::fs::write(&path, "CONFIG='{\"b\": 1, \"a\": [\"x\"]}'\n").unwrap();
    let done = shell.run(&["secrets", "import", path.to_str().unwrap(), "--yes"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(server.owner.get("/secrets/CONFIG").await.expect(200)["environments"]["test"]["version"], 1);
}

/// The other new verbs: what they print, and that none of it is a value.
#[tokio::test(flavor = "multi_thread")]
async fn other_verbs() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let value = "7hG2kQ9zXv4LpW8sRt1YbN6mC3dF5gJ0";
    let set = |arguments: &[&str], stdin: &str| {
        let ended = shell.run_with(arguments, stdin);
        assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.stderr);
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains(value));
        ended
    };
    set(&["secrets", "set", "KEY", "--masked"], value);
    set(&["secrets", "set", "KEY", "--reason", "monthly"], value);
    set(&["secrets", "set", "KEY", "--env", "live"], value);
    let versions = set(&["secrets", "versions", "KEY"], "");
    assert!(
        versions.stdout.contains("current")
            && versions.stdout.contains("kept")
            && versions.stdout.contains("monthly")
    );
    let compared = set(&["secrets", "compare", "--from", "test", "--to", "live"], "");
    assert!(compared.stdout.contains("same"), "{}", compared.stdout);
    let exported = set(&["secrets", "export"], "");
    let manifest: Value = serde_json::from_str(&exported.stdout).unwrap();
    assert_eq!(manifest["secrets"][0]["name"], "KEY");
    let path = shell.directory.path().join("manifest.json");
    std::fs::write(&path, &exported.stdout).unwrap();
    set(&["workspaces", "create", "production"], "");
    let imported = set(&["secrets", "import", path.to_str().unwrap(), "--workspace", "production"], "");
    assert!(
        imported.stdout.contains("created") && imported.stdout.contains("value in live"),
        "{}",
        imported.stdout
    );
    set(&["secrets", "delete", "KEY", "--env", "test", "--yes"], "");
    let versions = set(&["secrets", "versions", "KEY"], "");
    assert!(
        versions.stdout.contains("destroyed") && !versions.stdout.contains("current"),
        "{}",
        versions.stdout
    );
    let key = shell.directory.path().join("passphrase");
    std::fs::write(&key, "correct horse\n").unwrap();
    let field = format!("passphrase={}", key.display());
    let encrypted = include_str!("../../../tacit-crypto/tests/keys/ed25519-encrypted");
    set(
        &[
            "secrets",
            "set",
            "bank",
            "--type",
            "sftp_private_key",
            "--field",
            "username=u",
            "--field-file",
            &field,
        ],
        encrypted,
    );
    let listed = set(&["secrets", "list", "--state", "active"], "");
    assert!(listed.stdout.contains("bank"));
    let audit = set(&["audit", "list"], "");
    assert!(audit.stdout.contains("monthly"), "{}", audit.stdout);
}
