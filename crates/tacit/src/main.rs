//! `tacit`: the one binary. It serves, and it is every verb of the command line.
//!
//! What can be done is in [`cli`]; each noun has a file of its own. Verbs speak to a server through `tacit-client`, so
//! the command line can do nothing that the API cannot.
#![forbid(unsafe_code)]

mod account;
mod audit;
mod automations;
mod cli;
mod config;
mod deployments;
mod destination;
mod environments;
mod error;
mod grants;
mod help;
mod input;
mod leases;
mod mcp;
mod output;
mod person;
mod request;
mod run;
mod runs;
mod secrets;
mod server;
mod session;
mod sign_in;
mod vars;
mod workspaces;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The first thing of all: whatever speaks TLS later finds the one provider. It is only taken if it already is.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure);
            failure.exit.into()
        }
    }
}
