//! Starting: options, the composed instance, and what runs beside the requests.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tacit_broker::{
    Broker,
    proxy::Proxy,
    wire::{EgressPolicy, Wire, WireConfig},
};
use tacit_model::Problem;
use tacit_runner::Runner;
use tacit_vault::{FirstOwner, Vault, open_instance};

use crate::{app::App, listen, mcp::Hosts, observe, root_key::root_key, router, time};

/// Where the root key comes from.
#[derive(Clone, Debug)]
pub enum RootKeySource {
    /// A file; the default is `root.key` in the data directory.
    File(PathBuf),
    /// An environment variable with the file's content.
    Env(String),
}

/// What `tacit init` needs.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The data directory.
    pub data: PathBuf,
    /// Where the root key is or will be; `None` for `DIR/root.key`.
    pub root_key: Option<RootKeySource>,
}

/// What `tacit init` made. The token is shown once; therefore no `Debug`.
pub struct Initialised {
    /// The first workspace.
    pub workspace: String,
    /// The owner's name.
    pub owner: String,
    /// The owner's token.
    pub token: String,
}

/// Whom `tacit recover` let in again. The token is shown once; therefore no `Debug`.
pub struct Recovered {
    /// The person's name.
    pub name: String,
    /// The token.
    pub token: String,
}

/// What `tacit serve` needs.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The data directory.
    pub data: PathBuf,
    /// Where the root key is; `None` for `DIR/root.key`.
    pub root_key: Option<RootKeySource>,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Certificate chain and key, both PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether to listen without TLS beyond loopback.
    pub plain_http: bool,
    /// Ranges the broker may dial when a destination names them, in CIDR form.
    pub allow_private: Vec<String>,
    /// More roots for upstreams, PEM.
    pub upstream_ca: Option<PathBuf>,
    /// Names this server is reached by, beside those of its certificate.
    pub public_hosts: Vec<String>,
    /// Name servers for upstreams; none means the system's.
    pub nameservers: Vec<SocketAddr>,
}

/// Something that stops the process, in two lines: what happened, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct StartError {
    /// What happened.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl StartError {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        let what = problem.cause().map_or_else(|| problem.detail.clone(), str::to_owned);
        Self::new(what, problem.suggestion.clone().unwrap_or_else(|| "look at the message above".to_owned()))
    }
}

/// A workspace's record that was checked from its first event to its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedRecord {
    /// The workspace.
    pub workspace: String,
    /// How many events there are.
    pub size: u64,
    /// The Merkle root over them, in hex.
    pub root: String,
}

/// Seconds between two looks for what is past its window or due.
const UPKEEP_EVERY_SECS: u64 = 60;

/// Every how many rounds to look thoroughly.
const UPKEEP_THOROUGH_ROUNDS: u64 = 60;

/// Seconds that runs may go on after the signal to stop, when no request waits for them any more.
const RUN_DRAIN_SECS_MAX: u64 = 30;

/// Sets up a data directory that has no instance yet.
///
/// # Errors
/// There is one already, or the disk refuses.
pub fn init(options: &InitOptions) -> Result<Initialised, StartError> {
    if tacit_store::identity::peek(&options.data)
        .map_err(|error| StartError::new(error.to_string(), "choose another directory"))?
        .is_some()
    {
        return Err(StartError::new(
            format!("{} is initialised already; nothing was changed", options.data.display()),
            format!(
                "start it with `tacit serve --data {}`, or choose another directory",
                options.data.display()
            ),
        ));
    }
    let root = root_key(
        &options.data,
        options.root_key.as_ref(),
        !tacit_store::identity::has_database(&options.data),
    )?;
    runtime()?.block_on(async {
        let (vault, owner) = open_instance(&options.data, root, time::now()).await?;
        vault.store().close();
        let owner = owner.ok_or_else(|| {
            StartError::new(
                "the directory was initialised by somebody else in this moment",
                "start it with `tacit serve`",
            )
        })?;
        Ok(Initialised {
            workspace: owner.workspace.to_string(),
            owner: owner.owner.to_string(),
            token: owner.token.dangerous_expose().to_owned(),
        })
    })
}

/// Lets somebody in again who cannot sign in any more: `user`, or who administers the instance. Refuses while a server holds
/// the directory.
///
/// # Errors
/// There is no instance, or no such person; the directory is in use; the root key is another one.
pub fn recover(options: &InitOptions, user: Option<&str>) -> Result<Recovered, StartError> {
    if !tacit_store::identity::has_database(&options.data) {
        return Err(StartError::new(
            format!("{} is no data directory that was initialised", options.data.display()),
            "name one with --data",
        ));
    }
    let name = user.map(str::parse::<tacit_model::SecretName>).transpose();
    let name = name.map_err(|error| StartError::new(error.to_string(), "name a person with --user"))?;
    let root = root_key(&options.data, options.root_key.as_ref(), false)?;
    runtime()?.block_on(async {
        let now = time::now();
        let (vault, _) = open_instance(&options.data, root, now).await?;
        let recovered = vault.recover(name.as_ref(), now).await;
        vault.store().close();
        let recovered = recovered?;
        Ok(Recovered {
            name: recovered.name.to_string(),
            token: recovered.token.dangerous_expose().to_owned(),
        })
    })
}

/// Serves until SIGTERM or SIGINT, finishes what is in flight, and returns.
///
/// # Errors
/// Anything that keeps it from starting.
pub fn serve(options: ServeOptions) -> Result<(), StartError> {
    observe::start_logging();
    observe::quiet_panics();
    let hardened = tacit_crypto::harden_process();
    tracing::debug!(?hardened, "process hardened");
    runtime()?.block_on(serve_until_stopped(options))
}

async fn serve_until_stopped(options: ServeOptions) -> Result<(), StartError> {
    let listener = listen::bind(&options).await?;
    let address = listener.address();
    let wire = wire(&options, address)?;
    let hosts = Arc::new(Hosts::new(&options)?);
    let is_new = !tacit_store::identity::has_database(&options.data);
    let root = root_key(&options.data, options.root_key.as_ref(), is_new)?;
    let (vault, owner) = open_instance(&options.data, root, time::now()).await?;
    let metrics = observe_metrics()?;
    let broker = Broker::new(vault.clone(), wire);
    let runner = Runner::new(vault.clone(), broker.clone());
    let recovered = vault.recover_runs(time::now(), true).await?;
    if recovered.interrupted > 0 {
        tracing::warn!(
            interrupted = recovered.interrupted,
            "steps were going when the server stopped; what they had sent is not known, so their runs are marked failed"
        );
    }
    if recovered.put_back > 0 {
        tracing::info!(put_back = recovered.put_back, "runs go on where they were when the server stopped");
    }
    let (leases, agents) = (
        vault.end_abandoned_leases(time::now()).await?,
        vault.end_abandoned_agent_sessions(time::now()).await?,
    );
    if leases + agents > 0 {
        tracing::warn!(
            leases,
            agents,
            "leases and agents' sessions were open when the server stopped; they are ended"
        );
    }
    let proxy = Proxy::new(broker.clone());
    let url = listener.url().into();
    let app = App {
        vault: vault.clone(),
        broker,
        proxy: proxy.clone(),
        runner: runner.clone(),
        url,
        hosts,
        metrics,
    };
    let upkeep = tokio::spawn(keep_up(vault.clone()));
    let queue = tokio::spawn(runner.clone().work());
    let schedules = tokio::spawn(runner.clone().keep_schedules());
    // Before anybody is told that there is something to stop.
    let stop = {
        let (signal, runner) = (stop_signal(), runner.clone());
        async move {
            signal.await;
            // What waits is for the next start, and who watches is told no more.
            runner.close();
        }
    };
    announce(&listener.url(), owner.as_ref());
    listener.serve(router::router(app), proxy, stop).await;
    upkeep.abort();
    let ended = async {
        let _ = schedules.await;
        runner.idle().await;
    };
    let ended = tokio::time::timeout(Duration::from_secs(RUN_DRAIN_SECS_MAX), ended).await;
    // Until here it kept the claims on the runs that were still going.
    queue.abort();
    if ended.is_err() {
        tracing::warn!(
            "some runs were still going; the next start goes on with them, but for those of which a step was going"
        );
    }
    vault.store().close();
    Ok(())
}

fn wire(options: &ServeOptions, address: SocketAddr) -> Result<Wire, StartError> {
    let mut allow_private = Vec::new();
    for range in &options.allow_private {
        let range = range.parse().map_err(|_| {
            StartError::new(
                format!("--allow-private {range} is not a range"),
                "write it in CIDR form, such as 10.0.0.0/8",
            )
        })?;
        allow_private.push(range);
    }
    let extra_roots_pem = match &options.upstream_ca {
        None => None,
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            StartError::new(
                format!("{} cannot be read: {error}", path.display()),
                "name a PEM file with --upstream-ca",
            )
        })?),
    };
    let policy = EgressPolicy {
        allow_private,
        loopback_literals: address.ip().is_loopback(),
        own_listeners: vec![address],
    };
    let nameservers = (!options.nameservers.is_empty()).then(|| options.nameservers.clone());
    Wire::new(WireConfig { policy, extra_roots_pem, nameservers }).map_err(|error| {
        StartError::new(
            error.to_string(),
            "check --upstream-ca and the system's certificate store (package ca-certificates)",
        )
    })
}

fn observe_metrics() -> Result<metrics_exporter_prometheus::PrometheusHandle, StartError> {
    metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().map_err(|error| {
        StartError::new(format!("metrics cannot be set up: {error}"), "start one server in a process")
    })
}

/// What the person at the terminal needs first. Standard output: it is what `serve` has to say.
#[expect(clippy::print_stdout, reason = "the only lines that serve prints")]
fn announce(url: &str, owner: Option<&FirstOwner>) {
    if let Some(owner) = owner {
        println!("tacit: initialised workspace `{}`; owner `{}`", owner.workspace, owner.owner);
        println!("tacit: the owner's token, shown only now: {}", owner.token.dangerous_expose());
        println!("tacit: sign in with: tacit login --addr {url}");
    }
    println!("tacit: ready on {url}");
}

/// What values need without anybody asking, again and again. Thoroughly at the start, every hour, and when a setting changed.
async fn keep_up(vault: Vault) {
    let mut every = tokio::time::interval(Duration::from_secs(UPKEEP_EVERY_SECS));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0_u64;
    loop {
        let is_wanted = tokio::select! {
            _ = every.tick() => false,
            () = vault.upkeep_wanted() => true,
        };
        let thorough = is_wanted || round.is_multiple_of(UPKEEP_THOROUGH_ROUNDS);
        round += 1;
        match vault.keep_up(time::now(), thorough).await {
            Ok(done) => {
                // Counts alone: a name of a secret is on no metric.
                metrics::gauge!("tacit_secrets_due").set(done.due as f64);
                metrics::gauge!("tacit_secrets_overdue").set(done.overdue as f64);
                metrics::gauge!("tacit_secrets_expired").set(done.expired as f64);
                metrics::counter!("tacit_versions_destroyed_total").increment(done.destroyed as u64);
                metrics::counter!("tacit_secrets_purged_total").increment(done.purged as u64);
                if done.purged + done.destroyed + done.reminded > 0 {
                    tracing::info!(
                        purged = done.purged,
                        destroyed = done.destroyed,
                        reminded = done.reminded,
                        "what is past its window is destroyed, what is due is on the record"
                    );
                }
            }
            Err(problem) => {
                tracing::error!(cause = problem.cause(), "what is past its window could not be destroyed")
            }
        }
    }
}

/// Catches the signals now, and ends when one comes.
fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let caught = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = caught else {
            tracing::warn!("signals cannot be caught; the server ends only when it is killed");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, StartError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        StartError::new(
            format!("the runtime cannot be started: {error}"),
            "check the limits on threads and files",
        )
    })
}

/// Checks the records of every workspace in a data directory, offline or beside a running server.
///
/// # Errors
/// The first event that is not as it was written, or a directory that cannot be read.
pub fn verify_record(data: &Path) -> Result<Vec<VerifiedRecord>, StartError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        StartError::new(error.to_string(), "name a data directory with --data")
    };
    let store = tacit_store::Store::open_for_reading(data).map_err(|error| unreadable(&error))?;
    runtime()?.block_on(async {
        let mut verified = Vec::new();
        for workspace in store.workspaces().await.map_err(|error| unreadable(&error))? {
            let mut verifier = tacit_audit::LogVerifier::new();
            let mut next = 0;
            loop {
                let page = store.events_from(workspace.id, next, 1000).await.map_err(|error| unreadable(&error))?;
                for event in &page {
                    verifier.check(event.seq.unsigned_abs(), &event.bytes, &event.leaf).map_err(|error| {
                        StartError::new(
                            format!("the record of `{}` is not whole: {error}", workspace.name),
                            "keep the data directory as it is, and compare with a backup: events were changed, cut or damaged",
                        )
                    })?;
                }
                let Some(last) = page.last() else { break };
                next = last.seq + 1;
            }
            let report = verifier.report();
            let root = report.root.iter().map(|byte| format!("{byte:02x}")).collect();
            verified.push(VerifiedRecord { workspace: workspace.name.to_string(), size: report.size, root });
        }
        Ok(verified)
    })
}
