//! Tests of the whole: a real server process, spoken to over HTTP and by the command line.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a helper that panics fails its test, which is what it is for"
)]

mod addresses;
mod agents;
mod canary;
mod careful;
mod cli;
#[cfg(feature = "acceptance")]
mod clients;
mod deploy;
mod disguise;
mod disk;
mod gains;
mod grants;
mod harness;
mod hostile;
#[cfg(feature = "acceptance")]
mod httpbin;
mod import;
mod kill;
mod leases;
mod life;
mod main_job;
mod mcp;
#[cfg(feature = "acceptance")]
mod mcp_client;
mod oauth;
#[cfg(feature = "acceptance")]
mod oauth_server;
mod oracles;
mod people;
mod people_cli;
mod proposals;
mod proxy;
mod queue;
mod races;
mod recovery;
mod redirects;
mod references;
mod refusals;
mod revoking;
mod rights;
mod routes;
mod run;
mod runs_left;
#[cfg(feature = "acceptance")]
mod sftp;
#[cfg(feature = "acceptance")]
mod sshd;
mod start;
#[cfg(feature = "acceptance")]
mod storage;
mod store_process;
mod subtle;
mod tenants;
mod totp;
mod triggers;
mod typed;
mod values;
mod windows;
