//! The vault from outside: what its callers can rely on, whatever happens to the file below it.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod definitions;
mod deployments;
mod destroyed;
mod ground;
mod histories;
mod leases;
mod once;
mod people;
mod revocation;
mod scopes;
mod speed;
mod tampering;
mod tokens;
mod widening;
