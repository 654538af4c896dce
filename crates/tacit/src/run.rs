//! `run`: a command with placeholders in its environment and the server as its proxy.
//!
//! The order of things: find out what is wanted, take a lease, open a port that relays to the server, start the command
//! with variables that lead there, wait for it, end the lease. Whatever fails or is asked to stop in between, the lease
//! is ended and the run's directory removed.

mod child;
mod environment;
mod lease;
mod link;
mod looks;
mod mask;
mod peer;
mod pkcs12;
mod project;
mod pump;
mod relay;
mod signals;
mod terminal;
mod trust;

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    process::Command,
    sync::Arc,
};

use clap::Args;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use self::{
    child::Running,
    environment::Environment,
    lease::{Lease, Terms},
    link::Link,
    mask::Patterns,
    project::{Project, Wanted},
    relay::Relay,
    signals::Signals,
    trust::TrustDirectory,
};
use crate::{
    cli,
    config::{Flags, Settings, UserFile},
    error::{Failure, Outcome},
    output::{self, Output},
    session::Session,
};

/// The exit status of shells when there is no such command, and when it cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Run a command that uses secrets without having them.
///
/// The command finds a placeholder in its environment for each secret. Its requests go through
/// the server, which puts the value in where the secret's destinations allow it, and takes it
/// out of what comes back. The lease behind it ends with the command, whose exit status is
/// passed on.
///
/// A file tacit.toml, in the working directory or one above it, can say what a project needs:
///
///   environment = "test"
///   [secrets]
///   STRIPE_KEY = "stripe-key"
///
/// This is no sandbox: the command runs as you, and can read what you can read.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  tacit run --secret STRIPE_KEY -- npm test\n  tacit run --secret stripe-key=STRIPE_API_KEY --block-other-hosts -- python3 settle.py\n  tacit run -- npm test"
)]
pub(crate) struct Run {
    /// A secret that the command needs, and the variable for its placeholder unless it is the name in upper case.
    /// Given once or more, these are all: the secrets of tacit.toml are left out.
    #[arg(long = "secret", value_name = "NAME[=ALIAS]")]
    secrets: Vec<String>,
    /// Refuse requests to hosts that none of the secrets is for. Otherwise they pass unread.
    #[arg(long)]
    block_other_hosts: bool,
    /// Seconds after which the lease ends if this command is gone; it is renewed as long as it is not.
    #[arg(long, value_name = "SECS", default_value_t = lease::TTL_SECS_DEFAULT)]
    ttl: u64,
    /// Let the command write to your terminal itself, placeholders and all.
    #[arg(long)]
    no_mask: bool,
    /// The command.
    #[arg(value_name = "CMD")]
    program: OsString,
    /// What it is given.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Run {
    /// Does not come back unless it failed before there was a command: the process ends as the command did.
    pub(crate) fn run(self, flags: &Flags<'_>, out: Output) -> Outcome {
        let status = cli::block_on(self.carry_out(flags, out))?;
        // Everything that has to be put in order has been. What is left are threads that wait for keys.
        std::process::exit(status.into())
    }

    async fn carry_out(self, flags: &Flags<'_>, out: Output) -> Outcome<u8> {
        let directory = std::env::current_dir().map_err(|error| {
            Failure::new(format!("the working directory is gone: {error}"), "change to one that exists")
        })?;
        let project = Project::find(&directory, project::home().as_deref())?;
        let terms = self.terms(&project)?;
        let (settings, named) = settings(flags, &project)?;
        let address = settings.addr.clone();
        let session = Session::open(settings, named, out)?;
        let mut signals = Signals::listen().map_err(|error| system("listen to signals", &error))?;

        let lease = tokio::select! {
            lease = take(&session, &terms) => lease?,
            // A lease that was just being made ends by itself.
            signal = signals.next_end() => return Ok(status_of(signal)),
        };
        let ended = self.under(&lease, &address, &mut signals).await;
        lease.end().await;
        ended
    }

    /// What to ask for: flags over file.
    fn terms(&self, project: &Project) -> Outcome<Terms> {
        let wanted: Vec<Wanted> = if self.secrets.is_empty() {
            project.secrets.clone()
        } else {
            self.secrets.iter().map(|argument| Wanted::from_argument(argument)).collect::<Outcome<_>>()?
        };
        if wanted.is_empty() {
            return Err(Failure::usage(
                "no secret is named, neither with --secret nor in a tacit.toml",
                "for example `tacit run --secret STRIPE_KEY -- npm test`",
            ));
        }
        Ok(Terms {
            secrets: wanted,
            ttl_secs: self.ttl,
            block_other_hosts: self.block_other_hosts || project.block_other_hosts.unwrap_or_default(),
        })
    }

    /// Everything that needs the lease.
    async fn under(&self, lease: &Lease<'_>, address: &str, signals: &mut Signals) -> Outcome<u8> {
        let trust = TrustDirectory::make(&lease.ca_pem, &|name| std::env::var_os(name))?;
        if !trust.has_system_roots {
            say(
                "tacit run: this system's list of roots was not found; name it in SSL_CERT_FILE, or hosts without a \
                 secret cannot be verified",
            );
        }
        let relay = Relay::open().await.map_err(|error| system("open a port", &error))?;
        let environment = Environment::new(
            relay.port(),
            &trust,
            &lease.placeholders,
            &lease.bound_hosts,
            std::env::vars_os(),
        );
        let link = Link::new(address, lease.workspace(), &lease.id, &lease.token)?;
        let relaying = tokio::spawn(relay.run(link));

        let mask = (!self.no_mask).then(|| Arc::new(Patterns::new(lease.marked())));
        let mut running = match child::start(self.command(&environment), mask) {
            Ok(running) => running,
            Err(error) => return Ok(self.cannot_start(&error)),
        };
        allow_many_connections();
        wait(&running, lease, signals).await?;

        relaying.abort();
        let output = running.last_output();
        let output = async {
            tokio::select! {
                _ = tokio::task::spawn_blocking(output) => {}
                // Whoever reads our output takes their time, and somebody does not want to wait for them.
                _ = signals.next_end() => {}
            }
        };
        tokio::join!(output, lease.end());
        running.finish().map_err(|error| system("ask how the command ended", &error))
    }

    fn command(&self, environment: &Environment) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        for name in &environment.removed {
            command.env_remove(name);
        }
        command.envs(&environment.set);
        command
    }

    fn cannot_start(&self, error: &io::Error) -> u8 {
        let what = format!("cannot start `{}`: {error}", self.program.to_string_lossy());
        let (status, hint) = match error.kind() {
            io::ErrorKind::NotFound => (NOT_FOUND, "check its name, and that it is in PATH"),
            _ => (NOT_EXECUTABLE, "check that it is a program that you may execute"),
        };
        output::failure(&Failure::new(what, hint));
        status
    }
}

/// Until the command has ended: passes signals on and keeps the lease alive.
async fn wait(running: &Running, lease: &Lease<'_>, signals: &mut Signals) -> Outcome {
    let mut end = running.end().map_err(|error| system("wait for the command", &error))?;
    let keeping = lease.keep();
    tokio::pin!(keeping);
    loop {
        tokio::select! {
            _ = &mut end => return Ok(()),
            signal = signals.next() => running.pass_on(signal),
            never = &mut keeping => match never {},
        }
    }
}

/// Each connection of the command is two of ours. Only now, because the command inherits the limit that it would have had
/// without us.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    // Where this is refused, the limit is as high as it gets.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The layers of settings, with the project's file between environment variables and the user's file.
fn settings(flags: &Flags<'_>, project: &Project) -> Outcome<(Settings, Option<String>)> {
    let mut file = UserFile::load()?;
    file.workspace = project.workspace.clone().or(file.workspace);
    let variable = |name: &str| std::env::var(name).ok();
    let mut settings = Settings::resolve(flags, variable, &file);
    let is_said = flags.environment.is_some() || variable("TACIT_ENV").is_some_and(|value| !value.is_empty());
    if !is_said && let Some(environment) = &project.environment {
        settings.environment.clone_from(environment);
    }
    // Only what is typed counts as named: a file in a directory is no decision to use what is protected.
    Ok((settings, flags.environment.map(str::to_owned)))
}

/// Takes the lease, in an environment that may be used without being named.
async fn take<'a>(session: &'a Session, terms: &Terms) -> Outcome<Lease<'a>> {
    let environment = session.acting_environment().await?;
    Lease::take(session.workspace(), environment, terms).await
}

fn status_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(1)
}

fn system(what: &str, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {what}: {error}"), "check the system's limits on files and processes")
}

/// A line for people on standard error, also while the terminal is raw and a line break alone is none.
fn say(line: &str) {
    let end = if io::stderr().is_terminal() { "\r\n" } else { "\n" };
    // There is nobody left to tell if this fails.
    let _ = write!(io::stderr(), "{}{end}", output::clean(line));
}
