//! `mcp`: tools for an AI agent, on standard input and output.
//!
//! Standard output belongs to the protocol: what is said to people goes to standard error.

use std::sync::Arc;

use clap::Args;
use tacit_client::Client;
use tacit_mcp::{Session, Settings, serve_stdio};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{self, Flags},
    error::{Exit, Failure, Outcome},
};

/// Serve tools to an AI agent on standard input and output (the Model Context Protocol).
///
/// An agent finds secrets by name and has requests sent with them; it never sees a value. It acts in a session of its own,
/// which ends with the command.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit mcp\n  tacit mcp --env staging --ttl 3600 --requests-max 100 --agent-name triage\n\nClients start it themselves; docs/agents.md shows how they are told to."
)]
pub(crate) struct Mcp {
    /// Seconds until the agent's session ends, 60 to 86400 [default: 28800].
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(60..=86400))]
    ttl: Option<u64>,
    /// How many requests the agent may send [default: 500].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    requests_max: Option<u64>,
    /// What the agent is called on the record [default: what the client calls itself].
    #[arg(long, value_name = "NAME")]
    agent_name: Option<String>,
}

impl Mcp {
    pub(crate) fn run(self, flags: &Flags<'_>) -> Outcome {
        let settings = config::Settings::load(flags)?;
        let Some(token) = &settings.token else {
            return Err(Failure {
                exit: Exit::Unauthenticated,
                ..Failure::new("nobody is signed in", "run `tacit login`, or set TACIT_TOKEN for the client")
            });
        };
        let client = Client::new(&settings.addr, token)?;
        let session = Settings {
            workspace: settings.workspace,
            environment: settings.environment,
            name: self.agent_name,
            ttl_secs: self.ttl,
            requests_max: self.requests_max,
        };
        let session = Arc::new(Session::new(&client, token, session)?);
        let cannot_start = |error: std::io::Error| {
            Failure::new(format!("cannot start: {error}"), "check the system's limits on files and processes")
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
        let served = runtime.block_on(async {
            let (mut terminate, mut interrupt) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let stop = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            Ok(serve_stdio(session, stop).await)
        });
        // A thread may still wait for standard input. There is nothing left to read it for.
        runtime.shutdown_background();
        served.map_err(cannot_start)?.map_err(|error| {
            Failure::new(
                format!("standard input does not speak the Model Context Protocol: {error}"),
                "let a client start this command; docs/agents.md shows how",
            )
        })
    }
}
