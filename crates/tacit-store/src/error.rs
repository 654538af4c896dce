//! What can go wrong with a database, for those who must decide what to tell a client.

/// The database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be read or made.
    #[error("the data directory cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// Another process holds the directory.
    #[error("another tacit process is using this data directory")]
    InUse,
    /// Written by a later release.
    #[error(
        "the data directory was written by a newer version of tacit (schema {found}, this version knows {known})"
    )]
    Newer {
        /// What the directory says.
        found: i64,
        /// What this binary knows.
        known: i64,
    },
    /// Others may read the files.
    #[error("{0} can be read by other users of this machine")]
    LooseMode(&'static str),
    /// SQLite says no.
    #[error("the database cannot be opened: {0}")]
    Engine(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error.to_string())
    }
}

/// The database cannot be read. The text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("the database cannot be read: {0}")]
pub struct ReadError(pub(crate) String);

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// A change was not made; nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The workspace's revision is no longer the one the change was decided on: load again and decide again.
    #[error("the workspace changed in the meantime")]
    Stale,
    /// A name or another key is taken.
    #[error("the key is taken")]
    Taken,
    /// A row that the change counts on is not there, or not as expected.
    #[error("the row is gone or changed")]
    Conflict,
    /// The record cannot be written: disk full, database broken, shutting down.
    #[error("the record cannot be written: {0}")]
    Unavailable(String),
}
