//! An instance of Tacit with a token, and what is asked of it outside of what is measured.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    connection::{Connection, Route, request},
    process::{Memory, Served},
};

/// A running instance with one workspace.
pub(crate) struct Instance {
    pub(crate) served: Served,
    pub(crate) token: String,
    pub(crate) data: PathBuf,
}

/// What the one writer has done so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Written {
    pub(crate) events: u64,
    pub(crate) commits: u64,
}

/// Makes a data directory; gives back the owner's token.
pub(crate) fn init(tacit: &Path, data: &Path) -> anyhow::Result<String> {
    let output = Command::new(tacit)
        .args(["init", "--json", "--data"])
        .arg(data)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} does not run", tacit.display()))?;
    anyhow::ensure!(output.status.success(), "tacit init ended with {}", output.status);
    let made: Value = serde_json::from_slice(&output.stdout)?;
    Ok(made["token"].as_str().context("tacit init printed no token")?.to_owned())
}

/// Serves a data directory on a free port of loopback.
pub(crate) fn serve(tacit: &Path, data: &Path, options: &[&OsStr]) -> anyhow::Result<Served> {
    let mut command = Command::new(tacit);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .args(options)
        .stderr(Stdio::inherit());
    Served::start(command)
}

impl Instance {
    /// A new instance in a directory that is not there yet.
    pub(crate) fn start(tacit: &Path, data: &Path, options: &[&OsStr]) -> anyhow::Result<Self> {
        let token = init(tacit, data)?;
        Ok(Self { served: serve(tacit, data, options)?, token, data: data.to_owned() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.served.address
    }

    pub(crate) fn memory(&self) -> Memory {
        self.served.memory()
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.served.stop()
    }

    /// Creates a secret with a value of 64 characters in the environment `test`.
    pub(crate) fn create_secret(
        &self,
        name: &str,
        kind: &str,
        field: &str,
        destinations: &Value,
    ) -> anyhow::Result<()> {
        let body = json!({
            "name": name, "type": kind, "visibility": "masked",
            "destinations": destinations, "values": {"test": {field: random_value()?}},
        });
        self.ask("POST", "/v1/workspaces/default/secrets", &body.to_string(), 201)?;
        Ok(())
    }

    /// What the server counted.
    pub(crate) fn written(&self) -> anyhow::Result<Written> {
        let text = self.ask("GET", "/metrics", "", 200)?;
        let count = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once(' '))
                .find(|(key, _)| *key == name)
                .and_then(|(_, number)| number.parse().ok())
                .unwrap_or_default()
        };
        Ok(Written { events: count("tacit_store_events_total"), commits: count("tacit_store_commits_total") })
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str, status: u16) -> anyhow::Result<String> {
        let request = request(method, path, self.address(), &self.token, body);
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let mut connection = Connection::open(&Route::plain(self.address())).await?;
            let answer = connection.exchange(&request).await?;
            let text = String::from_utf8_lossy(answer.body).into_owned();
            anyhow::ensure!(
                answer.status == status,
                "{method} {path} was answered with {}: {text}",
                answer.status
            );
            Ok(text)
        })
    }
}

/// Too unpredictable for the server to call it weak, which would change what it does with answers.
fn random_value() -> anyhow::Result<String> {
    use std::io::Read;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
