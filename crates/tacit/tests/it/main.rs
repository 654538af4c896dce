//! Tests of the whole: a real server process, spoken to over HTTP and by the command line.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a helper that panics fails its test, which is what it is for"
)]

mod addresses;
mod canary;
mod cli;
mod disguise;
mod disk;
mod harness;
mod hostile;
#[cfg(feature = "acceptance")]
mod httpbin;
mod kill;
mod life;
mod main_job;
mod redirects;
mod refusals;
mod revoking;
mod rights;
mod routes;
mod start;
mod store_process;
mod subtle;
mod tenants;
