//! What the vault relies on from any database.
//!
//! The tests in [`contract`] and [`statements`] speak to a [`Store`] and to nothing below it, and get it from one place,
//! so that the same tests can run against another engine. [`embedded`] is about the files of the embedded one.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod access;
mod contract;
mod deployments;
mod embedded;
mod ground;
mod life;
mod queue;
mod references;
mod statements;
