//! `tacit run` as a person or a script meets it: the command works as it would alone, holds no credential, shows no
//! placeholder, and leaves nothing behind.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use pty_process::blocking as pty;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Client, Options, Server, TACIT};

const TOKEN: &str = "ghp_Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";

/// A server with one secret for one service, an editor who may not look at it, and a directory to work in.
struct Scene {
    server: Server,
    editor: Client,
    port: u16,
    directory: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::start().await;
        let port = service();
        let destination = json!({"host": "127.0.0.1", "scheme": "http", "port": port, "methods": ["GET"]});
        let secret = json!({
            "name": "API_KEY", "type": "bearer_token", "destinations": [destination],
            "values": {"test": {"token": TOKEN}, "live": {"token": TOKEN}},
        });
        server.owner.post("/secrets", secret).await.expect(201);
        let editor = server.client("editor").await;
        Self { server, editor, port, directory: tempfile::tempdir().unwrap() }
    }

    /// `tacit` with these arguments, as the editor.
    fn tacit(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(TACIT);
        command.args(arguments).env_clear().current_dir(self.directory.path());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.envs([("TACIT_ADDR", &self.server.url), ("TACIT_TOKEN", &self.editor.token)]);
        command.env("TACIT_CONFIG_DIR", self.directory.path().join("config"));
        command
            .env("XDG_RUNTIME_DIR", self.directory.path())
            .env("URL", format!("http://127.0.0.1:{}", self.port));
        command
    }

    /// `tacit run` of a shell script.
    fn script(&self, script: &str) -> Command {
        self.tacit(&["run", "--secret", "API_KEY", "--", "sh", "-c", script])
    }

    fn run(&self, script: &str) -> Ended {
        self.script(script).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Starts a script that says `ready` when it is. No signal is ignored, even if the tests themselves run under `nohup`.
    fn start(&self, script: &str) -> Started {
        self.start_under(&["env", "--default-signal"], script)
    }

    /// Starts a script by way of another command.
    fn start_under(&self, outer: &[&str], script: &str) -> Started {
        let inner = self.script(script);
        let mut command = Command::new(outer[0]);
        command.args(&outer[1..]).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Started::new(command.spawn().unwrap())
    }

    /// Nothing of a run is left: neither its directory nor its lease.
    #[track_caller]
    fn is_clean(&self) {
        let entries =
            std::fs::read_dir(self.directory.path()).unwrap().flatten().map(|entry| entry.file_name());
        let left: Vec<_> = entries.filter(|name| name.to_string_lossy().starts_with("tacit-run")).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    async fn open_leases(&self) -> Vec<Value> {
        self.server.owner.get("/leases").await.expect(200)["items"].as_array().unwrap().clone()
    }
}

/// A command that says when it is ready.
struct Started {
    child: Child,
    /// What was read of its output so far.
    first: Vec<u8>,
}

impl Started {
    fn new(child: Child) -> Self {
        let mut started = Self { child, first: Vec::new() };
        started.read_until(b"ready\n");
        started
    }

    fn read_until(&mut self, end: &[u8]) {
        let stdout = self.child.stdout.as_mut().unwrap();
        while !self.first.windows(end.len()).any(|window| window == end) {
            let mut chunk = [0; 1024];
            let read = stdout.read(&mut chunk).unwrap();
            assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&self.first));
            self.first.extend_from_slice(&chunk[..read]);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }

    fn end(self) -> Ended {
        let mut output = self.child.wait_with_output().unwrap();
        output.stdout.splice(..0, self.first);
        output.into()
    }
}

/// How a command ended and what it printed.
#[derive(Debug)]
struct Ended {
    status: i32,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A service that sends back what it gets, in a thread for each connection.
fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut buffer = vec![0; 65536];
                let read = stream.read(&mut buffer).unwrap();
                let right = String::from_utf8_lossy(&buffer[..read]).contains(&format!("Bearer {TOKEN}"));
                let head = format!(
                    "HTTP/1.1 200 OK\r\nx-right: {right}\r\ncontent-type: text/plain\r\ncontent-length: {read}\r\n\
                     connection: close\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&buffer[..read]);
            });
        }
    });
    port
}

/// The exit status is the command's own, or says why there was none.
#[tokio::test]
async fn exit_statuses() {
    let scene = Scene::new().await;
    assert_eq!(scene.run("exit 7").status, 7);
    assert_eq!(scene.run("kill -TERM $$").status, 128 + 15);
    assert_eq!(scene.run("kill -KILL $$").status, 128 + 9);
    std::fs::write(scene.directory.path().join("text"), "no program").unwrap();
    for (arguments, status, what) in [
        (&["--secret", "API_KEY", "no-such-program"][..], 127, "cannot start `no-such-program`"),
        (&["--secret", "API_KEY", "./text"], 126, "cannot start `./text`"),
        (&["--", "true"], 2, "no secret is named"),
        (&["--secret", "NOBODY", "true"], 1, "(unknown_reference)"),
        (&["--secret", "API_KEY", "--ttl", "5", "true"], 1, "(validation_failed)"),
        (&["--secret", "API_KEY=HTTP_PROXY", "true"], 2, "cannot be the name of a variable"),
        (&["--secret", "API_KEY"], 2, "<CMD>"),
    ] {
        let arguments = [&["run"], arguments].concat();
        let ended = Ended::from(scene.tacit(&arguments).output().unwrap());
        assert_eq!(ended.status, status, "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(what), "{arguments:?}: {}", ended.err);
        assert!(ended.out.is_empty());
    }
    scene.is_clean();
    assert!(scene.open_leases().await.is_empty());
}

/// The command holds a placeholder and the way to the relay, and neither the token nor anything else of Tacit's.
#[tokio::test]
async fn what_the_command_holds() {
    let scene = Scene::new().await;
    let mut command = scene.tacit(&["run", "--secret", "API_KEY", "--no-mask", "--", "sh", "-c"]);
    command
        .arg("env; cat; ls -l /proc/self/fd; stat -c %a $(dirname $SSL_CERT_FILE)")
        .env("TACIT_OTHER", "x");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from standard input\n").unwrap();
    let out = Ended::from(child.wait_with_output().unwrap()).out;
    let value = |name: &str| out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    assert_eq!((value("TACIT_TOKEN"), value("TACIT_OTHER"), value("TACIT_CONFIG_DIR")), (None, None, None));
    assert!(!out.contains(&scene.editor.token) && !out.contains("tct_ls_"), "{out}");
    assert_eq!((value("TACIT_RUN"), value("NO_PROXY"), value("no_proxy")), (Some("1"), Some(""), Some("")));
    assert!(value("API_KEY").unwrap().starts_with("tct_ph_"), "{out}");
    let proxy = value("HTTPS_PROXY").unwrap();
    assert!(proxy.starts_with("http://127.0.0.1:") && value("http_proxy") == Some(proxy), "{out}");
    let base_url = format!("TACIT_BASE_URL_127_0_0_1_{}", scene.port);
    assert_eq!(value(&base_url), Some(format!("{proxy}/to/-/127.0.0.1:{}", scene.port).as_str()), "{out}");
    assert!(out.contains("\nfrom standard input\n") && out.ends_with("\n700\n"), "{out}");
    let files = |out: &str| out.lines().filter(|line| line.contains(" -> ")).count();
    let plain = Command::new("sh").args(["-c", "ls -l /proc/self/fd"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(files(&out), files(&Ended::from(plain).out), "nothing of ours is open: {out}");
    scene.is_clean();
    assert!(scene.open_leases().await.is_empty());
}

/// Its requests carry the value, as a proxy's client or by a base URL, many at once; the answers do not have it.
#[tokio::test]
async fn requests() {
    let scene = Scene::new().await;
    let curl = "curl -sS -i -H \"Authorization: Bearer $API_KEY\"";
    // With a base URL curl honours the proxy variables, or does not.
    let base_url = format!("$TACIT_BASE_URL_127_0_0_1_{}/v1/things", scene.port);
    for target in ["$URL/v1/things", &base_url, &format!("--noproxy '*' {base_url}")] {
        let ended = scene.run(&format!("{curl} {target}"));
        assert_eq!(ended.status, 0, "{}", ended.err);
        assert!(
            ended.out.contains("x-right: true") && ended.out.contains("GET /v1/things "),
            "{}",
            ended.out
        );
        assert!(ended.out.contains("Bearer [sealed:API_KEY]") && !ended.out.contains(TOKEN), "{}", ended.out);
    }
    let many = format!("for at in $(seq 40); do {curl} $URL/v1/things/$at & done; wait");
    assert_eq!(scene.run(&many).out.matches("x-right: true").count(), 40);
    let refused = scene.run(&format!("{curl} -X POST $URL/v1/things"));
    assert!(refused.out.contains("destination_not_allowed"), "{}", refused.out);
}

/// Placeholders do not show in either stream, whole or in pieces; everything else goes through as it is.
#[tokio::test]
async fn masking() {
    let scene = Scene::new().await;
    let ended = scene.run(
        "echo \"a $API_KEY b\"; echo \"$API_KEY\" >&2; printf '%.20s' \"$API_KEY\"; sleep 0.5; \
         printf '%s\\n' \"$API_KEY\" | cut -c 21-; printf 'the last'",
    );
    assert_eq!((ended.status, ended.err.as_str()), (0, "[sealed:API_KEY]\n"));
    assert_eq!(ended.out, "a [sealed:API_KEY] b\n[sealed:API_KEY]\nthe last");
    let mut binary = scene.script("head -c 3000000 /dev/zero; printf '\\377\\000'");
    assert_eq!(binary.output().unwrap().stdout.len(), 3_000_002);
    // Both into one pipe: in the order in which they were written.
    let both = format!(
        "{TACIT} run --secret API_KEY -- sh -c 'for a in 1 2 3; do echo o$a; echo e$a >&2; done' 2>&1"
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &both])
        .envs(scene.tacit(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(Ended::from(shell.output().unwrap()).out, "o1\ne1\no2\ne2\no3\ne3\n");
    let open = Ended::from(
        scene
            .tacit(&["run", "--secret", "API_KEY", "--no-mask", "sh", "-c", "echo $API_KEY"])
            .output()
            .unwrap(),
    );
    assert!(open.out.starts_with("tct_ph_"), "{}", open.out);
}

/// A prompt that ends like the beginning of a placeholder is shown without waiting for more, and a process that is left
/// behind does not keep the command from ending.
#[tokio::test]
async fn nobody_waits() {
    let scene = Scene::new().await;
    let mut started = scene.start("echo ready; printf 'and what t'; sleep 60");
    let asked_at = Instant::now();
    started.read_until(b"and what t");
    assert!(asked_at.elapsed() < Duration::from_secs(20));
    started.signal(Signal::TERM);
    assert_eq!(started.end().status, 128 + 15);
    let asked_at = Instant::now();
    assert_eq!(scene.run("sleep 60 & echo done").out, "done\n");
    assert!(asked_at.elapsed() < Duration::from_secs(20));
    let mut reader_gone = scene.script("yes");
    let mut child = reader_gone.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 13), "as `yes | head` does");
}

/// Signals are the command's: it decides what they mean, and only then the lease ends.
#[tokio::test]
async fn signals() {
    let scene = Scene::new().await;
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        let started = scene.start(&format!(
            "trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.1; done"
        ));
        assert_eq!(scene.open_leases().await.len(), 1);
        started.signal(signal);
        let ended = started.end();
        assert_eq!((ended.status, ended.out), (9, format!("ready\ngot {name}\n")), "{}", ended.err);
        assert!(scene.open_leases().await.is_empty());
    }
    scene.is_clean();
}

/// What whoever started us had us ignore stays ignored, as under `nohup`.
#[tokio::test]
async fn ignored_signals_stay_ignored() {
    let scene = Scene::new().await;
    let started = scene
        .start_under(&["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"], "echo ready; sleep 1; echo survived");
    started.signal(Signal::HUP);
    let ended = started.end();
    assert_eq!((ended.status, ended.out.as_str()), (0, "ready\nsurvived\n"), "{}", ended.err);
}

/// A lease that is ended elsewhere takes the placeholders with it, and nothing else: the command goes on, and both it and
/// whoever sits there are told.
#[tokio::test]
async fn a_lease_that_ends_early() {
    let scene = Scene::new().await;
    let go = scene.directory.path().join("go");
    let script = format!(
        "echo ready; while [ ! -e {} ]; do sleep 0.1; done; \
         curl -sS -o body -w '%{{http_code}}\\n' -H \"Authorization: Bearer $API_KEY\" $URL/v1; cat body",
        go.display()
    );
    let started = scene.start(&script);
    let id = scene.open_leases().await[0]["id"].as_str().unwrap().to_owned();
    scene.server.owner.delete(&format!("/leases/{id}")).await.expect(204);
    std::fs::write(&go, "").unwrap();
    let ended = started.end();
    assert!(ended.out.starts_with("ready\n407\n") && ended.out.contains("\"unauthenticated\""), "{ended:?}");
    assert!(ended.err.contains("the lease of this run has ended") && ended.status == 0, "{ended:?}");
    scene.is_clean();
}

/// A lease is renewed while the command runs; when that is refused, it is said once.
#[tokio::test]
async fn renewing() {
    let scene = Scene::new().await;
    let arguments =
        ["run", "--secret", "API_KEY", "--ttl", "10", "--", "sh", "-c", "echo ready; sleep 22; echo end"];
    let mut command = scene.tacit(&arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Started::new(command.spawn().unwrap());
    tokio::time::sleep(Duration::from_secs(12)).await;
    let open = scene.open_leases().await;
    assert_eq!(open.len(), 1, "it was renewed");
    scene.server.owner.delete(&format!("/leases/{}", open[0]["id"].as_str().unwrap())).await.expect(204);
    let ended = started.end();
    assert_eq!((ended.status, ended.out.as_str()), (0, "ready\nend\n"));
    assert_eq!(ended.err.matches("the lease has ended").count(), 1, "{}", ended.err);
}

/// Without a server requests fail readably, the command goes on, and what could not be ended is said.
#[tokio::test]
async fn a_server_that_goes_away() {
    let mut scene = Scene::new().await;
    let go = scene.directory.path().join("go");
    let script = format!(
        "echo ready; while [ ! -e {} ]; do sleep 0.1; done; for at in 1 2; do curl -sS $URL/v1; done; exit 3",
        go.display()
    );
    let started = scene.start(&script);
    scene.server.kill();
    std::fs::write(&go, "").unwrap();
    let ended = started.end();
    assert_eq!(ended.status, 3);
    assert_eq!(ended.out.matches("\"upstream_failed\"").count(), 2, "{ended:?}");
    assert_eq!(ended.err.matches("the server cannot be reached").count(), 1, "{ended:?}");
    assert!(ended.err.contains("ends by itself within 900 seconds"), "{ended:?}");
    scene.is_clean();
}

/// A project says what it needs, by name; a value in the file stops everything.
#[tokio::test]
async fn projects() {
    let scene = Scene::new().await;
    let write = |text: &str| std::fs::write(scene.directory.path().join("tacit.toml"), text).unwrap();
    let below = scene.directory.path().join("src/deep");
    std::fs::create_dir_all(&below).unwrap();
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = scene.tacit(&[&["run", "--no-mask"], arguments].concat());
        Ended::from(command.current_dir(&below).envs(variables.iter().copied()).output().unwrap())
    };
    let environment =
        async || scene.server.owner.newest_event("verb=lease.create").await["environment"].clone();

    write("[secrets]\nGITHUB_TOKEN = { name = \"API_KEY\", shape = \"ghp\" }\n");
    let ended = run(&["sh", "-c", "echo $GITHUB_TOKEN"], &[]);
    assert!(ended.out.starts_with("ghp_") && ended.status == 0, "{ended:?}");
    assert_eq!(environment().await, "test");
    let ended = run(&["sh", "-c", "echo $GITHUB_TOKEN"], &[("TACIT_ENV", "live")]);
    assert!(ended.status == 2 && ended.err.contains("`live` is protected"), "{ended:?}");
    assert_eq!(run(&["--env", "live", "true"], &[]).status, 0);
    assert_eq!(environment().await, "live");

    write("environment = \"live\"\n[run]\nother_hosts = \"block\"\n[secrets]\nA = \"API_KEY\"\n");
    let ended = run(&["true"], &[]);
    assert!(
        ended.status == 2 && ended.err.contains("`live` is protected"),
        "a file names nothing: {ended:?}"
    );
    let ended = run(&["--env", "live", "sh", "-c", "echo $A; curl -sS http://127.0.0.1:9/"], &[]);
    assert!(ended.out.starts_with("tct_ph_") && ended.out.contains("destination_not_allowed"), "{ended:?}");
    assert_eq!(environment().await, "live");
    let ended = run(&["--secret", "API_KEY=B", "--env", "test", "sh", "-c", "echo $A/$B"], &[]);
    assert!(ended.out.starts_with("/tct_ph_"), "flags replace the file's secrets: {ended:?}");

    write(&format!("[secrets]\nAPI_KEY = \"{TOKEN}\"\n"));
    let ended = run(&["true"], &[]);
    assert!(ended.status == 2 && ended.err.contains("tacit.toml line 2 holds what looks like"), "{ended:?}");
    assert!(!ended.err.contains(TOKEN));
    write("[secret]\nA = \"API_KEY\"\n");
    assert!(run(&["true"], &[]).err.contains("tacit.toml line 1 has an unknown key: `secret`"));
}

/// A server with TLS is reached with TLS, the relay's connections too; one that is not trusted is not.
#[tokio::test]
async fn over_tls() {
    let mut scene = Scene::new().await;
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let path = |name: &str| scene.directory.path().join(name).display().to_string();
    std::fs::write(path("certificate.pem"), issued.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), issued.signing_key.serialize_pem()).unwrap();
    let arguments =
        ["--tls-cert".to_owned(), path("certificate.pem"), "--tls-key".to_owned(), path("key.pem")];
    scene.server.kill();
    let options = Options { arguments: arguments.to_vec(), ..Options::default() };
    let server = Server::on(&scene.server.data, &scene.server.owner.token, &options);
    let address = server.url.replace("127.0.0.1", "localhost");
    assert!(address.starts_with("https://"), "{address}");
    let mut command = scene.script("curl -sS -i -H \"Authorization: Bearer $API_KEY\" $URL/v1");
    command.env("TACIT_ADDR", &address).env("SSL_CERT_FILE", path("certificate.pem"));
    let ended = Ended::from(command.output().unwrap());
    assert!(ended.status == 0 && ended.out.contains("x-right: true"), "{ended:?}");
    let ended = Ended::from(command.env_remove("SSL_CERT_FILE").output().unwrap());
    assert!(ended.status == 1 && ended.err.contains("cannot be reached"), "{ended:?}");
}

/// Another user of the machine may connect to the port, and gets nothing for it. Only root can try.
#[tokio::test]
async fn strangers() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = Scene::new().await;
    let started = scene.start("echo $HTTP_PROXY; echo ready; sleep 60");
    let first = String::from_utf8_lossy(&started.first).into_owned();
    let proxy = first.lines().next().unwrap();
    let mut stranger = Command::new("curl");
    stranger.args(["-sS", "-x", proxy, "http://127.0.0.1:9/"]).uid(65534);
    let said = Ended::from(stranger.output().unwrap());
    assert!(said.out.contains("a connection from another user was refused"), "{said:?}");
    started.signal(Signal::TERM);
    assert!(started.end().err.contains("a connection from another user was refused"));
}

/// On a terminal the command has one of its own: the same size, its own session, keys that work, and no placeholder on
/// the screen. Ours is left as it was found.
#[tokio::test]
async fn terminals() {
    let scene = Scene::new().await;
    let (mut screen, slave) = pty::open().unwrap();
    screen.resize(pty_process::Size::new(33, 101)).unwrap();
    let watch = slave.as_fd().try_clone_to_owned().unwrap();
    let before = rustix::termios::tcgetattr(&watch).unwrap();
    let script =
        "tty; stty size; echo $API_KEY; printf 'and what t'; read line; echo \"got $line\"; sleep 60";
    let mut child = pty::Command::from(scene.script(script)).spawn(slave).unwrap();
    let mut shown = String::new();
    let mut until = |screen: &mut pty::Pty, text: &str| {
        while !shown.contains(text) {
            let mut chunk = [0; 1024];
            let read = screen.read(&mut chunk).unwrap();
            shown.push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
        shown.clone()
    };
    let first = until(&mut screen, "and what t");
    assert!(first.starts_with("/dev/pts/") && first.contains("33 101\r\n[sealed:API_KEY]\r\n"), "{first}");
    screen.write_all(b"typed\r").unwrap();
    until(&mut screen, "got typed");
    let local = |modes: &rustix::termios::Termios| modes.local_modes;
    assert_ne!(local(&rustix::termios::tcgetattr(&watch).unwrap()), local(&before), "keys go through");
    screen.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 2));
    assert_eq!(local(&rustix::termios::tcgetattr(&watch).unwrap()), local(&before));
    scene.is_clean();
}

/// Examples and the manual know the verb.
#[test]
fn help() {
    let output = Command::new(TACIT).args(["run", "--help"]).output().unwrap();
    let help = Ended::from(output).out;
    assert!(
        help.contains("tacit run --secret STRIPE_KEY -- npm test") && help.contains("no sandbox"),
        "{help}"
    );
}

/// Programs do not show why their proxy said no; we do, once.
#[tokio::test]
async fn refused_tunnels_are_explained() {
    let scene = Scene::new().await;
    let metadata = "curl -s -o /dev/null https://169.254.169.254/ ; ";
    let ended = scene.run(&format!("{metadata}{metadata}echo done"));
    assert_eq!((ended.status, ended.out.as_str()), (0, "done\n"), "{}", ended.err);
    let said: Vec<_> = ended.err.lines().filter(|line| line.contains("169.254.169.254")).collect();
    assert!(matches!(said[..], [line] if line.contains("(address_blocked)")), "{}", ended.err);
}
