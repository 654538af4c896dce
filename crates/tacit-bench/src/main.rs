//! `tacit-bench`: what the server costs beside what it is compared with.
//!
//! Absolute numbers of a shared machine say little. So everything here is measured in pairs, in one run, in rounds that
//! alternate between the two sides, and printed as a ratio or a difference beside what was aimed at. Missing an aim
//! fails nothing: whoever reads the table decides.
#![forbid(unsafe_code)]

mod aims;
mod bare;
mod compare;
mod connection;
mod disk;
mod instance;
mod load;
mod process;
mod proxies;
mod report;
mod reveal;
mod runs;
mod schedules;
mod sealed;
mod start;
mod stats;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::{instance::Instance, load::Effort, process::Served, report::Report};

#[derive(Parser)]
#[command(
    name = "tacit-bench",
    about = "Measures a tacit server beside what it is compared with, in one run"
)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Role {
    /// The other side: the same HTTP library, answering 200 bytes to everything
    Bare {
        /// Where to listen on loopback; 0 lets the system choose
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// A certificate chain, to serve over TLS
        #[arg(long, value_name = "FILE", requires = "key")]
        cert: Option<PathBuf>,
        /// Its key
        #[arg(long, value_name = "FILE", requires = "cert")]
        key: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Options {
    /// The server's binary; by default the one beside this program
    #[arg(long, value_name = "FILE")]
    tacit: Option<PathBuf>,
    /// Where data directories are made: the file system whose flushes are paid for
    #[arg(long, value_name = "DIR", overrides_with = "dir")]
    dir: Option<PathBuf>,
    /// A few hundred requests in all, to see that everything still works
    #[arg(long)]
    quick: bool,
    /// Rounds of each measurement; the median is printed
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds that one side of a round is measured
    #[arg(long, default_value_t = 1.2)]
    secs: f64,
    /// Only these: reveal, sealed, runs, schedules, proxy, start
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these numbers of clients
    #[arg(long, value_name = "N", value_delimiter = ',')]
    clients: Vec<usize>,
    #[command(flatten)]
    peers: proxies::Peers,
    /// Also write the results here
    #[arg(long, value_name = "FILE", overrides_with = "json")]
    json: Option<PathBuf>,
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) effort: Effort,
    pub(crate) starts: usize,
    pub(crate) flushes: usize,
    pub(crate) schedules: usize,
    pub(crate) rest: Duration,
}

impl Options {
    fn plan(&self) -> Plan {
        if self.quick {
            return Plan {
                rounds: 1,
                effort: Effort::requests(200),
                starts: 2,
                flushes: 50,
                schedules: 64,
                rest: Duration::from_millis(200),
            };
        }
        Plan {
            rounds: self.rounds.max(1),
            effort: Effort::time(Duration::from_secs_f64(self.secs)),
            starts: 20,
            flushes: 300,
            schedules: 10_000,
            rest: Duration::from_secs(2),
        }
    }

    /// Those of a measurement's numbers of clients that are asked for.
    fn clients(&self, all: &[usize]) -> Vec<usize> {
        all.iter()
            .copied()
            .filter(|clients| self.clients.is_empty() || self.clients.contains(clients))
            .collect()
    }

    fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == what)
    }
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.role {
        Some(Role::Bare { port, cert, key }) => {
            let tls = cert.zip(key).map(|(cert, key)| bare::acceptor(&cert, &key)).transpose()?;
            bare::serve(port, tls)
        }
        None => measure(&cli.options),
    }
}

fn measure(options: &Options) -> anyhow::Result<()> {
    let plan = options.plan();
    let tacit = match &options.tacit {
        Some(file) => file.clone(),
        None => std::env::current_exe()?.with_file_name("tacit"),
    };
    anyhow::ensure!(tacit.is_file(), "{} is not there; build it, or name it with --tacit", tacit.display());
    let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let directory = tempfile::Builder::new()
        .prefix("tacit-bench-")
        .tempdir_in(&parent)
        .context("no directory for the data")?;
    let mut report = Report::new(&tacit, directory.path(), options.quick)?;
    report.flush = Some(disk::flushes(directory.path(), plan.flushes)?);
    if options.wants("start") {
        report.start = Some(start::measure(&tacit, directory.path(), plan)?);
    }
    if options.wants("reveal") || options.wants("sealed") {
        let bare = Served::bare()?;
        let instance = Instance::start(&tacit, &directory.path().join("load"), &[])?;
        if options.wants("reveal") {
            report.reveal = reveal::measure(&instance, &bare, &options.clients(&reveal::CLIENTS), plan)?;
        }
        if options.wants("sealed") {
            report.sealed = sealed::measure(&instance, &bare, &options.clients(&sealed::CLIENTS), plan)?;
        }
        report.memory_after_load = Some(instance.memory());
        instance.stop()?;
    }
    if options.wants("runs") || options.wants("schedules") {
        let bare = Served::bare()?;
        let instance = Instance::start(&tacit, &directory.path().join("runs"), &[])?;
        if options.wants("runs") {
            report.runs = runs::measure(&instance, &bare, &options.clients(&runs::CLIENTS), plan)?;
        }
        if options.wants("schedules") {
            report.schedules = Some(schedules::measure(&instance, &bare, plan.schedules)?);
        }
        instance.stop()?;
    }
    if options.wants("proxy") {
        let clients = options.clients(&proxies::CLIENTS);
        report.proxies = Some(proxies::measure(&tacit, directory.path(), &clients, &options.peers, plan)?);
    }
    report.print()?;
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}
