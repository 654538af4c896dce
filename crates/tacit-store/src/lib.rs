//! The database: statements, migrations, the one writer.
//!
//! Only this crate speaks SQL. It stores and finds rows; what they mean and who may have them is decided in
//! `tacit-vault`, and values arrive here sealed. Every function takes the workspace, and every statement has it in its
//! key.
//!
//! Two things are done here and nowhere else: a [`Change`] makes its mutation, its events and its condition on the
//! workspace's revision one transaction; and the [writer](Store::write) puts everything that waits into one commit, so
//! that durability is paid per batch.
#![forbid(unsafe_code)]

mod change;
#[cfg(all(feature = "dangerous-switches", debug_assertions))]
pub mod dangerous;
mod error;
mod migrate;
mod search;
mod sqlite;
mod value;
mod writer;

pub mod agent_sessions;
pub mod automations;
pub mod deployments;
pub mod events;
pub mod fingerprints;
pub mod grants;
pub mod idempotency;
pub mod identity;
pub mod keys;
pub mod leases;
pub mod people;
pub mod principals;
pub mod reasons;
pub mod references;
pub mod reminders;
pub mod roles;
pub mod runs;
pub mod secrets;
pub mod tokens;
pub mod triggers;
pub mod variables;
pub mod workspaces;

use std::path::Path;

use tacit_model::WorkspaceId;

pub use change::{Change, NewEvent, Statement};
pub use error::{ReadError, StoreError, WriteError};
pub use identity::Identity;
pub use writer::Committed;

/// A handle on the database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: sqlite::Sqlite,
}

impl Store {
    /// Opens the embedded database in a data directory, creating or migrating it.
    ///
    /// # Errors
    /// Another process has it, it is of a newer version, or the disk refuses.
    pub fn open_embedded(directory: &Path) -> Result<Self, StoreError> {
        Ok(Self { engine: sqlite::Sqlite::open(directory)? })
    }

    /// Opens the embedded database only for reading, beside a process that serves it or without one.
    ///
    /// # Errors
    /// There is none, it is of a newer version, or it cannot be read.
    pub fn open_for_reading(directory: &Path) -> Result<Self, StoreError> {
        Ok(Self { engine: sqlite::Sqlite::open_for_reading(directory)? })
    }

    /// Makes a change durable, together with whatever else waits.
    ///
    /// When this returns `Ok`, statements and events are on disk. When it returns an error, nothing of the change is.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write(&self, change: Change) -> Result<Committed, WriteError> {
        self.engine.write(change).await
    }

    /// Queues a change whose end nobody waits for: the outcome of something whose intent is durable already.
    ///
    /// It is written with the next commit. A crash before that loses it, and leaves an intent without an outcome.
    pub fn write_soon(&self, change: Change) {
        self.engine.write_soon(change);
    }

    /// The workspace's revision: a number that every change to rights, policies or values increases.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn revision(&self, workspace: WorkspaceId) -> Result<i64, ReadError> {
        self.engine.revision(workspace)
    }

    async fn rows(&self, sql: &'static str, args: &[value::Val]) -> Result<Vec<value::Row>, ReadError> {
        self.engine.rows(sql, args)
    }

    async fn row(&self, sql: &'static str, args: &[value::Val]) -> Result<Option<value::Row>, ReadError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Finishes what waits, makes the database file whole and closes it.
    pub fn close(&self) {
        self.engine.close();
    }
}
