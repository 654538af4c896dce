//! The command line as a person or a script meets it: what it prints where, how it ends, and what it never takes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
};

use serde_json::{Value, json};

use crate::harness::{Server, TACIT};

/// A value that no output may hold.
const VALUE: &str = "sk_live_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6";

/// Somebody at a shell, with a configuration directory of their own and nothing else in the environment.
pub(crate) struct Shell {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) variables: Vec<(String, String)>,
}

/// How a command ended and what it printed.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Shell {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// Signed in by environment variables, as a script is.
    pub(crate) fn of(server: &Server) -> Self {
        let variables = [("TACIT_ADDR", &server.url), ("TACIT_TOKEN", &server.owner.token)];
        Self {
            variables: variables.map(|(name, value)| (name.to_owned(), value.clone())).to_vec(),
            ..Self::new()
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Ended {
        let output = assert_cmd::Command::new(TACIT)
            .args(arguments)
            .env_clear()
            .env("TACIT_CONFIG_DIR", self.directory.path().join("tacit"))
            .envs(self.variables.iter().cloned())
            .write_stdin(stdin)
            .output()
            .unwrap();
        Ended {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// It failed with this status, in two lines, with this in the first.
    #[track_caller]
    pub(crate) fn failed(self, status: i32, with: &str) -> Self {
        assert_eq!(self.status, status, "{}{}", self.stdout, self.stderr);
        let lines: Vec<_> = self.stderr.lines().skip_while(|line| !line.starts_with("error: ")).collect();
        assert!(lines.len() == 2 && lines[1].starts_with("  "), "{}", self.stderr);
        assert!(lines[0].contains(with), "{}", self.stderr);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("not JSON: {}", self.stdout))
    }

    #[track_caller]
    fn without(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "{}{}", self.stdout, self.stderr);
        self
    }
}

/// A service that sends back what it gets, from a thread, for as long as the test runs.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = vec![0; 65536];
            let read = stream.read(&mut buffer).unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {read}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&buffer[..read]);
        }
    });
    port
}

/// A value is set twice, looked after, taken back, switched off and on, deleted and restored, and never printed.
#[tokio::test]
async fn the_life_of_a_secret() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let made = shell.run_with(
        &["secrets", "set", "HubSpot API key – production", "--to", "api.hubapi.com", "-o", "json"],
        VALUE,
    );
    let made = made.ok().without(VALUE).json();
    assert_eq!((&made["version"], &made["created"]), (&json!(1), &json!(true)));
    let name = "HubSpot API key – production";
    let rotated = shell.run_with(
        &["secrets", "set", name, "--description", "for the CRM"],
        "sk_live_Hd7Js2Kf9Lw4Qe8Rt3Yu6Io1\n",
    );
    assert!(rotated.ok().stderr.contains("rotated: version 2 in test"));

    let shown = shell.run(&["secrets", "show", name]).ok().without(VALUE).stdout;
    assert!(
        shown.contains("for the CRM") && shown.contains("value=••••••••") && shown.contains("api.hubapi.com"),
        "{shown}"
    );
    let listed = shell.run(&["secrets", "list", "--search", "hubspot"]).ok().without(VALUE).stdout;
    assert!(listed.starts_with("NAME ") && listed.contains("test v2"), "{listed}");
    shell.run(&["secrets", "reveal", name]).failed(4, "(restricted_secret)");

    assert_eq!(
        shell.run(&["secrets", "versions", name, "-o", "json"]).ok().json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(shell.run(&["secrets", "rollback", name, "1", "-o", "json"]).ok().json()["version"], 3);
    shell.run(&["secrets", "disable", name]).ok();
    assert_eq!(shell.run(&["secrets", "show", name, "-o", "json"]).ok().json()["state"], "disabled");
    shell.run(&["secrets", "enable", name]).ok();
    shell.run(&["secrets", "disable", name, "--env", "test"]).ok();
    assert_eq!(
        shell.run(&["secrets", "show", name, "-o", "json"]).ok().json()["environments"]["test"]["disabled"],
        true
    );

    shell.run(&["secrets", "delete", name]).ok();
    shell.run(&["secrets", "show", name]).failed(4, "(not_found)");
    shell.run(&["secrets", "restore", name]).ok();
    shell.run(&["secrets", "show", name]).ok();
}

/// Types have fields: shown ones come as arguments and stay over a rotation, and a masked value is printed as it is.
#[tokio::test]
async fn types_and_reveal() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let set = ["secrets", "set", "DB", "--type", "basic_auth", "--masked"];
    shell.run_with(&set, "first").failed(2, "username");
    shell.run_with(&[&set[..], &["--field", "username=app"]].concat(), "first password\n").ok();
    shell.run_with(&["secrets", "set", "DB"], "second password\r\n").ok();
    assert_eq!(shell.run(&["secrets", "reveal", "DB"]).ok().stdout, "second password\n");
    assert_eq!(shell.run(&["secrets", "reveal", "DB", "--field", "username"]).ok().stdout, "app\n");
    shell.run(&["secrets", "reveal", "DB", "--field", "pin"]).failed(2, "no field");
    assert_eq!(
        shell.run(&["secrets", "reveal", "DB", "-o", "json"]).ok().json()["fields"]["password"],
        "second password"
    );
    shell.run_with(&["secrets", "set", "DB", "--type", "text"], "x").failed(1, "type");

    let document = "{\n  \"private_key\": \"a\\nb\",\n  \"id\": 7\n}\n";
    shell.run_with(&["secrets", "set", "GCP", "--type", "json", "--masked"], document).ok();
    let revealed: Value =
        serde_json::from_str(&shell.run(&["secrets", "reveal", "GCP"]).ok().stdout).unwrap();
    assert_eq!(revealed, serde_json::from_str::<Value>(document).unwrap());
    shell.run_with(&["secrets", "set", "BAD", "--type", "json"], VALUE).failed(2, "not JSON").without(VALUE);

    // The first value of an environment is not a rotation. Storage keys only ever go out as a signature.
    let live = shell.run_with(&["secrets", "set", "DB", "--env", "live", "--field", "username=app"], "third");
    assert!(live.ok().stderr.contains("DB is set: version 1 in live"));
    let set =
        ["secrets", "set", "BUCKET", "--type", "access_key", "--field", "access_key_id=AKIAIOSFODNN7EXAMPLE"];
    shell.run_with(&[&set[..], &["--to", "https://s3.example/receipts/**"]].concat(), VALUE).ok();
    let policy = shell.run(&["secrets", "policy", "BUCKET", "-o", "json"]).ok().json();
    assert_eq!(policy["destinations"][0]["places"], json!(["signature"]));
}

/// A value given as an argument is refused before anything is sent, and not repeated.
#[tokio::test]
async fn values_are_not_arguments() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let given = format!("KEY={VALUE}");
    let field = format!("value={VALUE}");
    for arguments in [
        &["secrets", "set", "KEY", VALUE][..],
        &["secrets", "set", "KEY", "--value", VALUE],
        &["secrets", "set", &given],
        &["secrets", "set", "KEY", "--field", &field],
        &["login", VALUE],
        &["login", "--token", VALUE],
    ] {
        shell.run_with(arguments, "from stdin").failed(2, "").without(VALUE);
    }
    let url = format!("https://user:{VALUE}@x.test");
    shell.run_with(&["secrets", "set", "KEY", "--to", &url], "v").failed(2, "--to").without(VALUE);
    shell.run_with(&["secrets", "set", "KEY"], "").failed(2, "holds nothing");
    assert_eq!(shell.run(&["secrets", "list", "-o", "json"]).ok().json()["items"], json!([]));
    assert!(!server.log().contains(VALUE));
}

/// Signing in keeps the token in a file that is its owner's alone, and the environment goes before it.
#[tokio::test]
async fn signing_in_and_out() {
    let server = Server::start().await;
    let mut shell = Shell::new();
    shell.run(&["whoami", "--addr", &server.url]).failed(3, "nobody is signed in");
    let wrong = "tct_1234567890";
    shell.run_with(&["login", "--addr", &server.url], wrong).failed(3, "").without(wrong);
    let token = server.owner.token.clone();
    shell.run_with(&["login", "--addr", &server.url], &format!("{token}\n")).ok().without(&token);
    let file = shell.directory.path().join("tacit").join("config.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let me = shell.run(&["whoami", "-o", "json"]).ok().without(&token).json();
    assert_eq!((&me["kind"], &me["workspaces"][0]["name"]), (&json!("user"), &json!("default")));

    shell.run(&["workspaces", "create", "acme"]).ok();
    shell.run(&["workspace", "use", "acme"]).ok();
    shell.run(&["vars", "set", "BASE_URL", "https://x.test"]).ok();
    assert_eq!(shell.run(&["vars", "show", "BASE_URL", "--env", "test"]).ok().stdout, "https://x.test\n");
    shell.run(&["vars", "show", "BASE_URL", "--workspace", "default"]).failed(4, "(not_found)");
    shell.variables.push(("TACIT_WORKSPACE".into(), "default".into()));
    shell.run(&["vars", "show", "BASE_URL"]).failed(4, "(not_found)");

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    shell.run(&["whoami"]).failed(1, "read by others").without(&token);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    shell.run(&["logout"]).ok();
    assert!(!std::fs::read_to_string(&file).unwrap().contains("tct_"));
    shell.run(&["whoami"]).failed(3, "");
}

/// The exit status says what kind of failure it was.
#[tokio::test]
async fn exit_statuses() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    shell.run(&["workspaces", "create", "default"]).failed(5, "(name_taken)");
    shell.run(&["secrets", "show", "NOBODY"]).failed(4, "(not_found)");
    shell.run(&["secrets", "show", ".."]).failed(4, "cannot be a name");
    assert_eq!(shell.run(&["secrets", "shwo", "NOBODY"]).status, 2);
    shell.run(&["whoami", "--addr", "http://127.0.0.1:1"]).failed(1, "cannot be reached");
    shell.run(&["whoami", "--addr", "127.0.0.1"]).failed(2, "address");
    let mut member = Shell::of(&server);
    member.variables[1].1 = server.client("member").await.token;
    member.run_with(&["secrets", "set", "K"], VALUE).failed(4, "(forbidden)").without(VALUE);
}

/// A sealed request prints the answer's body, and what is known of it on the other stream.
#[tokio::test]
async fn a_sealed_request() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let port = echo();
    let url = format!("http://127.0.0.1:{port}");
    shell.run_with(&["secrets", "set", "KEY", "--to", &url], VALUE).ok();
    let path = format!("{url}/v1/things");
    let sent = shell
        .run(&[
            "request",
            "post",
            &path,
            "--auth",
            "KEY",
            "-H",
            "X-Note: hello",
            "--query",
            "a=b c",
            "--form",
            "x=1",
        ])
        .ok()
        .without(VALUE);
    assert!(
        sent.stdout.starts_with("POST /v1/things?a=b") && sent.stdout.contains("hello"),
        "{}",
        sent.stdout
    );
    assert!(sent.stderr.starts_with("HTTP 200, "), "{}", sent.stderr);
    let sent =
        shell.run(&["request", "GET", &path, "--auth", "KEY", "-o", "json"]).ok().without(VALUE).json();
    assert!(sent["status"] == 200 && sent["redactions"].as_u64().unwrap() > 0, "{sent}");
    shell
        .run(&["request", "GET", "https://evil.example/", "--auth", "KEY"])
        .failed(4, "(destination_not_allowed)");

    let policy = shell
        .run(&["secrets", "policy", "KEY", "--to", &format!("{url}/v1/**"), "--method", "post", "-o", "json"])
        .ok()
        .json();
    assert_eq!(policy["destinations"][0]["methods"], json!(["POST"]));
    shell.run(&["request", "GET", &path, "--auth", "KEY"]).failed(4, "(destination_not_allowed)");
    let wider = shell.run(&["secrets", "policy", "KEY", "--to", &url]).failed(1, "(validation_failed)");
    assert!(wider.stderr.contains("tacit secrets set KEY --to"), "{}", wider.stderr);
    shell.run_with(&["secrets", "set", "KEY", "--to", &url], "sk_live_Hd7Js2Kf9Lw4Qe8Rt3Yu6Io1").ok();
    shell.run(&["request", "GET", &path, "--auth", "KEY"]).ok();
}

/// Destinations are added to or replaced, which is said; a refusal names the command that adds what is missing, no more.
#[tokio::test]
async fn aiming() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    let url = format!("http://127.0.0.1:{}", echo());
    let set = ["secrets", "set", "WIDE", "--masked", "--to", &format!("{url}/v1/a")];
    shell.run_with(&set, VALUE).ok();
    let refused = shell
        .run(&["request", "GET", &format!("{url}/v1/b"), "--auth", "WIDE"])
        .failed(4, "(destination_not_allowed)");
    let command = format!("secrets policy --add WIDE --to {url}/v1/b --method GET");
    assert!(refused.stderr.contains(&command), "{}", refused.stderr);
    let added = shell.run(&[&command.split(' ').collect::<Vec<_>>()[..], &["-o", "json"]].concat()).ok();
    assert!(!added.stderr.contains("replaced"), "{}", added.stderr);
    let paths: Vec<_> =
        added.json()["destinations"].as_array().unwrap().iter().map(|to| to["paths"].clone()).collect();
    assert_eq!(paths, [json!(["/v1/a"]), json!(["/v1/b"])]);
    shell.run(&["request", "GET", &format!("{url}/v1/b"), "--auth", "WIDE"]).ok();
    let replaced = shell.run(&["secrets", "policy", "WIDE", "--to", "api.example"]).ok();
    assert!(replaced.stderr.contains(&format!("{url}, {url} is replaced")), "{}", replaced.stderr);
    shell.run(&["secrets", "policy", "WIDE", "--add"]).failed(2, "nothing to add");
    // Whoever chose names and paths has nothing done by the shell of whoever pastes the command.
    let set = ["secrets", "set", "A $(id)", "--masked", "--to", &format!("{url}/v1/a")];
    shell.run_with(&set, VALUE).ok();
    let refused = shell.run(&["request", "GET", &format!("{url}/v1/a&id"), "--auth", "A $(id)"]);
    let command = format!("secrets policy --add 'A $(id)' --to '{url}/v1/a&id' --method GET");
    assert!(refused.stderr.contains(&command), "{}", refused.stderr);
    // A restricted secret is aimed wider with its value, and keeps where it went; the place is in the command.
    shell.run_with(&["secrets", "set", "TIGHT", "--to", &format!("{url}/v1/a")], VALUE).ok();
    let refused = shell
        .run(&["request", "GET", &format!("{url}/v1/b"), "-H", "X-Own: {{secrets.TIGHT}}"])
        .failed(4, "(destination_not_allowed)");
    let command = format!("secrets set --add TIGHT --to {url}/v1/b --method GET --place header:x-own");
    assert!(refused.stderr.to_lowercase().contains(&command.to_lowercase()), "{}", refused.stderr);
    let set = shell.run_with(&command.split(' ').collect::<Vec<_>>(), VALUE).ok();
    assert!(!set.stderr.contains("replaced"), "{}", set.stderr);
    shell.run(&["request", "GET", &format!("{url}/v1/b"), "-H", "X-Own: {{secrets.TIGHT}}"]).ok();
    shell.run(&["request", "GET", &format!("{url}/v1/a"), "--auth", "TIGHT"]).ok();
    let set = shell.run_with(&["secrets", "set", "TIGHT", "--to", "api.example"], VALUE).ok();
    assert!(set.stderr.contains("is replaced; --add keeps"), "{}", set.stderr);
}

/// An automation is published from YAML, run and shown; a run that fails fails the command.
#[tokio::test]
async fn automations_and_the_record() {
    let mut server = Server::start().await;
    let shell = Shell::of(&server);
    let port = echo();
    let url = format!("http://127.0.0.1:{port}");
    shell.run_with(&["secrets", "set", "KEY", "--to", &url], VALUE).ok();
    let definition = format!(
        "name: charge\nsteps:\n  - id: call\n    http:\n      url: {url}/{{{{input.path}}}}\n      auth: {{ secret: KEY }}\n"
    );
    let checked = shell.run_with(&["automations", "apply", "-f", "-", "--dry-run"], &definition).ok();
    assert!(
        checked.stderr.contains("would be created: published in test; secrets KEY"),
        "{}",
        checked.stderr
    );
    shell.run(&["automations", "show", "charge"]).failed(4, "(not_found)");
    // Where it is published is not for --env to say; what is said and cannot be is refused, and nothing is written.
    let apply = ["automations", "apply", "-f", "-"];
    let refused = shell.run_with(&[&apply[..], &["--env", "live"]].concat(), &definition);
    let refused = refused.failed(2, "published in `test`, and --env or TACIT_ENV says `live`");
    assert!(refused.stderr.contains("tacit deploy NAME --from test --to live"), "{}", refused.stderr);
    shell
        .run_with(&[&apply[..], &["--env", "nope"]].concat(), &definition)
        .failed(2, "no environment `nope`");
    let mut exported = Shell::of(&server);
    exported.variables.push(("TACIT_ENV".to_owned(), "live".to_owned()));
    exported.run_with(&apply, &definition).failed(2, "published in `test`");
    exported.run(&["automations", "import", "nowhere.json"]).failed(2, "published in `test`");
    shell.run(&["automations", "show", "charge"]).failed(4, "(not_found)");
    let created = shell.run_with(&[&apply[..], &["--env", "test"]].concat(), &definition).ok();
    assert!(created.stderr.contains("charge is created: published in test"), "{}", created.stderr);
    assert!(shell.run_with(&apply, &definition).ok().stderr.contains("charge is unchanged"));
    let changed = definition.replace("name: charge", "name: charge\ndescription: once");
    assert!(shell.run_with(&apply, &changed).ok().stderr.contains("charge is changed"));
    assert_eq!(shell.run(&["automations", "show", "charge"]).ok().json()["steps"][0]["id"], "call");
    shell
        .run_with(&["automations", "apply", "-f", "-"], "steps: []")
        .failed(2, "standard input has no `name`");

    let ran =
        shell.run(&["automations", "run", "charge", "--input", "{\"path\": \"v1\"}"]).ok().without(VALUE);
    assert!(
        ran.stdout.contains("charge in test  succeeded") && ran.stdout.contains("call  succeeded  200"),
        "{}",
        ran.stdout
    );
    shell.run(&["automations", "run", "charge", "--input", "{}"]).failed(1, "the run failed").without(VALUE);
    let runs = shell.run(&["runs", "list", "-o", "json"]).ok().json();
    assert_eq!(runs["items"].as_array().unwrap().len(), 2);
    shell.run(&["runs", "show", runs["items"][0]["id"].as_str().unwrap()]).ok();
    let usages = shell.run(&["secrets", "usages", "KEY", "-o", "json"]).ok().json();
    assert_eq!(usages["automations"][0]["name"], "charge");
    shell.run(&["secrets", "delete", "KEY"]).failed(5, "(secret_in_use)");
    shell.run(&["secrets", "delete", "KEY", "--force"]).ok();

    let listed = shell.run(&["audit", "list", "--verb", "secret.use", "--limit", "2"]).ok().without(VALUE);
    assert!(listed.stdout.contains("secret:KEY"), "{}", listed.stdout);
    let exported = shell.run(&["audit", "export"]).ok().without(VALUE).stdout;
    assert!(
        exported.lines().count() > 5
            && exported.lines().all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    assert!(server.stop().success());
    let verified =
        shell.run(&["audit", "verify", "--data", server.data.to_str().unwrap(), "-o", "json"]).ok().json();
    assert_eq!(verified["items"][0]["workspace"], "default");
}

/// Accounts and their tokens; a token's text is the only thing on standard output.
#[tokio::test]
async fn accounts_and_tokens() {
    let server = Server::start().await;
    let shell = Shell::of(&server);
    shell.run(&["service-accounts", "create", "ci", "--role", "auditor"]).ok();
    let token = shell.run(&["tokens", "create", "ci"]).ok().stdout;
    assert!(token.starts_with("tct_") && token.lines().count() == 1, "{token}");
    let mut ci = Shell::of(&server);
    ci.variables[1].1 = token.trim().to_owned();
    ci.run(&["audit", "list"]).ok();
    let tokens = shell.run(&["tokens", "list", "ci", "-o", "json"]).ok().without(token.trim()).json();
    shell.run(&["tokens", "revoke", "ci", tokens["items"][0]["id"].as_str().unwrap()]).ok();
    ci.run(&["audit", "list"]).failed(3, "");
    shell.run(&["service-accounts", "delete", "ci", "--yes"]).ok();
    assert!(shell.run(&["members", "list"]).ok().stdout.contains("owner"));
    shell.run(&["environments", "create", "staging"]).ok();
    assert!(shell.run(&["environments", "list"]).ok().stdout.contains("staging"));
    let kept =
        shell.run(&["workspaces", "set", "--version-keep-count", "3", "--yes", "-o", "json"]).ok().json();
    assert_eq!(kept["version_keep_count"], 3);
}

/// `init` prints the token once and refuses a second time; help, completions and the manual need nothing at all.
#[test]
fn without_a_server() {
    let shell = Shell::new();
    let data = shell.directory.path().join("data");
    let data = data.to_str().unwrap();
    let made = shell.run(&["init", "--data", data, "--json"]).ok().json();
    assert_eq!(made["workspace"], "default");
    shell.run(&["init", "--data", data]).failed(1, "").without(made["token"].as_str().unwrap());
    assert!(shell.run(&["secrets", "set", "--help"]).ok().stdout.contains("Example:"));
    assert!(shell.run(&["completions", "bash"]).ok().stdout.contains("complete -F"));
    assert!(shell.run(&["man"]).ok().stdout.contains(".TH tacit"));
    let pages = shell.directory.path().join("man");
    shell.run(&["man", "--dir", pages.to_str().unwrap()]).ok();
    assert!(pages.join("tacit-secrets-set.1").is_file());
}
