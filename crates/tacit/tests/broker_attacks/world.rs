//! The one world that most cases share: a server process, a good and an evil upstream, names, and a certificate
//! authority. Each case has a workspace, hosts and values of its own in it (see [`crate::scene`]).

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock},
};

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    authority::{Authority, VALID},
    harness::{Client, TACIT},
    names::Names,
    upstream::Upstream,
    upstream_h2::UpstreamH2,
};

/// What a case gets.
pub(crate) struct World {
    pub(crate) url: String,
    /// Where the API and the proxy listen.
    pub(crate) address: SocketAddr,
    /// The instance's owner, in the workspace `default`.
    pub(crate) owner: Client,
    pub(crate) pid: u32,
    /// Allowed, and hostile.
    pub(crate) good: Upstream,
    /// Allowed, hostile, and speaks HTTP/2 alone.
    pub(crate) good_h2: UpstreamH2,
    /// The attacker's.
    pub(crate) evil: Upstream,
    pub(crate) names: Names,
    pub(crate) authority: Authority,
    log: PathBuf,
    /// Every value that a case planted, with the case's name.
    planted: Mutex<Vec<(String, String)>>,
    /// Its input stays open as long as we live.
    _keeper: Child,
}

/// The shared world, made when it is first asked for.
pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| runtime().block_on(World::start(&[], &[])))
}

/// Where all cases and all upstreams run: it must not end with the first test.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
    })
}

/// Names that the upstreams' certificate is good for.
const NAMES: &[&str] = &["good.test", "*.good.test", "evil.test", "*.evil.test", "*.cdn.test", "127.0.0.1"];

/// Nothing drops a static, so somebody else must end the server when the tests have: a shell that waits for the end of
/// its standard input.
const KEEPER: &str = r#"
exec 3<&0
"$@" &
child=$!
echo "pid $child"
{ cat <&3 >/dev/null; kill -9 $child 2>/dev/null; sleep 0.1; rm -rf "$ATTACKS_DIRECTORY"; } &
wait $child
echo "ended"
"#;

impl World {
    /// A world of its own for a case that cannot share one, with more arguments of `tacit serve` and more variables in
    /// its environment. It lives as long as the tests.
    pub(crate) async fn own(arguments: &[&str], environment: &[(&str, &str)]) -> &'static Self {
        Box::leak(Box::new(Self::start(arguments, environment).await))
    }

    async fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap().keep();
        let data = directory.join("data");
        let output = Command::new(TACIT).args(["init", "--json", "--data"]).arg(&data).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();

        let authority = Authority::new();
        let ca = directory.join("upstream-ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let names = Names::start().await;
        let log = directory.join("log.txt");
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "keeper", TACIT, "serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .args(["--allow-private", "127.0.0.0/8", "--upstream-ca"])
            .arg(&ca)
            .args(["--nameserver", &names.address.to_string()])
            .args(arguments)
            .env("ATTACKS_DIRECTORY", &directory)
            .env("TACIT_LOG", "trace,hyper=info,rustls=info,h2=info")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap());
        let mut keeper = command.spawn().unwrap();
        let (pid, url) = announced(&mut keeper, &log);
        let owner = Client::new(&url, made["token"].as_str().unwrap());
        Self {
            address: url.rsplit('/').next().unwrap().parse().unwrap(),
            url,
            owner,
            pid,
            good: Upstream::start(authority.leaf(NAMES, VALID)).await,
            good_h2: UpstreamH2::start(authority.leaf(NAMES, VALID)).await,
            evil: Upstream::start(authority.leaf(NAMES, VALID)).await,
            names,
            authority,
            log,
            planted: Mutex::default(),
            _keeper: keeper,
        }
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> Vec<u8> {
        std::fs::read(&self.log).unwrap_or_default()
    }

    /// Where its database is.
    pub(crate) fn data(&self) -> PathBuf {
        self.log.with_file_name("data")
    }

    /// Notes a value that must never be in the log.
    pub(crate) fn plant(&self, case: &str, value: &str) {
        self.planted.lock().unwrap().push((case.to_owned(), value.to_owned()));
    }

    /// Whether a value of a case is in the log; which case's and which line.
    pub(crate) fn logged_value_of(&self, case: &str) -> Option<String> {
        let log = self.log();
        let planted = self.planted.lock().unwrap();
        planted.iter().filter(|(owner, _)| owner == case).find_map(|(_, value)| {
            let unpredictable = value.strip_prefix("sk_live_").unwrap_or(value);
            let at = memchr::memmem::find(&log, &unpredictable.as_bytes()[..16])?;
            Some(String::from_utf8_lossy(&log[at.saturating_sub(200)..log.len().min(at + 100)]).into_owned())
        })
    }
}

/// Process id and URL, as the keeper and the server print them.
fn announced(keeper: &mut Child, log: &Path) -> (u32, String) {
    let mut pid = None;
    // The rest of the output is never read: the server says nothing more there.
    for line in BufReader::new(keeper.stdout.as_mut().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(number) = line.strip_prefix("pid ") {
            pid = number.parse().ok();
        } else if let Some(url) = line.strip_prefix("tacit: ready on ") {
            return (pid.unwrap(), url.to_owned());
        } else if line == "ended" {
            break;
        }
    }
    panic!("the server did not start: {}", std::fs::read_to_string(log).unwrap_or_default());
}
