//! The embedded engine: SQLite in WAL mode, one writer, readers that are called inline.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rusqlite::{Connection, OpenFlags};
use tacit_model::WorkspaceId;

use crate::{
    Change, Committed, ReadError, StoreError, WriteError, migrate, search,
    value::{Row, Val},
    writer::Writer,
};

/// The database's name in the data directory.
pub(crate) const DATABASE_FILE: &str = "tacit.db";
const LOCK_FILE: &str = "tacit.lock";
/// Read connections kept open; more are opened for a moment when all are busy.
const READERS_IDLE_MAX: usize = 8;
const STATEMENTS_CACHED: usize = 128;

/// The last revision known of each workspace. Exact, because the writer is this process's and the only one.
pub(crate) type Revisions = Arc<RwLock<HashMap<WorkspaceId, i64>>>;

#[derive(Clone)]
pub(crate) struct Sqlite(Arc<Inner>);

struct Inner {
    file: PathBuf,
    readers: Mutex<Vec<Connection>>,
    revisions: Revisions,
    /// None where the database was opened only for reading.
    writer: Option<Writer>,
    /// Held for as long as the database is open for writing.
    _lock: Option<fs::File>,
}

impl Sqlite {
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        if !directory.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let lock = lock(directory)?;
        let file = directory.join(DATABASE_FILE);
        refuse_loose_mode(&file)?;
        // SQLite makes its files with the process's umask; this one is made by us, and the others copy its mode.
        drop(fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&file)?);
        let mut connection = Connection::open_with_flags(
            &file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        set_up_writer(&connection)?;
        migrate::migrate(&mut connection)?;
        search::index_missing(&mut connection)?;
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let revisions = Revisions::default();
        let writer = Writer::start(connection, Arc::clone(&revisions))?;
        Ok(Self(Arc::new(Inner {
            file,
            readers: Mutex::default(),
            revisions,
            writer: Some(writer),
            _lock: Some(lock),
        })))
    }

    pub(crate) fn open_for_reading(directory: &Path) -> Result<Self, StoreError> {
        let file = directory.join(DATABASE_FILE);
        if !file.exists() {
            return Err(StoreError::Io(std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "there is no database in it",
            )));
        }
        let inner = Inner {
            file,
            readers: Mutex::default(),
            revisions: Revisions::default(),
            writer: None,
            _lock: None,
        };
        let found = migrate::schema_of(&inner.open_reader()?)?;
        if found > migrate::SCHEMA {
            return Err(StoreError::Newer { found, known: migrate::SCHEMA });
        }
        Ok(Self(Arc::new(inner)))
    }

    pub(crate) async fn write(&self, change: Change) -> Result<Committed, WriteError> {
        let result = self.submit(change)?;
        result.await.unwrap_or_else(|_| Err(WriteError::Unavailable("the writer has stopped".to_owned())))
    }

    fn submit(&self, change: Change) -> Result<crate::writer::Pending, WriteError> {
        match &self.0.writer {
            Some(writer) => writer.submit(change),
            None => Err(WriteError::Unavailable("the database was opened only for reading".to_owned())),
        }
    }

    pub(crate) fn write_soon(&self, change: Change) {
        let queued = self.0.writer.as_ref().map(|writer| writer.submit_unwaited(change));
        if let Some(Err(error)) = queued {
            tracing::error!(%error, "an outcome could not be recorded");
        }
    }

    pub(crate) fn revision(&self, workspace: WorkspaceId) -> Result<i64, ReadError> {
        let known = self.0.revisions.read().unwrap_or_else(PoisonError::into_inner).get(&workspace).copied();
        if let Some(revision) = known {
            return Ok(revision);
        }
        let rows = self.rows("SELECT revision FROM workspaces WHERE id = ?1", &[workspace.into()])?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(0) };
        let read = row.take()?;
        // Only where nothing is known yet: a newer number that the writer published meanwhile stays.
        Ok(*self.0.revisions.write().unwrap_or_else(PoisonError::into_inner).entry(workspace).or_insert(read))
    }

    /// Runs a query on this thread: a read by key takes microseconds, a hand-over to another thread more than that.
    pub(crate) fn rows(&self, sql: &'static str, args: &[Val]) -> Result<Vec<Row>, ReadError> {
        let connection = self.reader()?;
        #[cfg(all(feature = "dangerous-switches", debug_assertions))]
        let sql = &*crate::dangerous::widened(sql);
        let rows = query(&connection, sql, args)?;
        let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_IDLE_MAX {
            readers.push(connection);
        }
        Ok(rows)
    }

    fn reader(&self) -> Result<Connection, ReadError> {
        if let Some(connection) = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(connection);
        }
        Ok(self.0.open_reader()?)
    }

    pub(crate) fn close(&self) {
        if let Some(writer) = &self.0.writer {
            writer.close();
        }
    }
}

impl Inner {
    fn open_reader(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(
            &self.file,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.execute_batch(
            "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA mmap_size=0; PRAGMA busy_timeout=5000;",
        )?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        Ok(connection)
    }
}

fn query(connection: &Connection, sql: &str, args: &[Val]) -> rusqlite::Result<Vec<Row>> {
    use rusqlite::types::ValueRef;
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut found = statement.query(rusqlite::params_from_iter(args))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(match row.get_ref(column)? {
                ValueRef::Null => Val::Null,
                ValueRef::Integer(number) => Val::I64(number),
                ValueRef::Text(text) => Val::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Val::Blob(bytes.to_vec()),
                ValueRef::Real(_) => {
                    return Err(rusqlite::Error::InvalidColumnType(
                        column,
                        String::new(),
                        rusqlite::types::Type::Real,
                    ));
                }
            });
        }
        rows.push(Row::new(values));
    }
    Ok(rows)
}

/// `synchronous=FULL` because an acknowledged event must survive a power cut; no memory mapping because an I/O error
/// there is a signal, not an error; `secure_delete` because what is destroyed must be gone from the file.
fn set_up_writer(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;
         PRAGMA secure_delete=ON; PRAGMA mmap_size=0; PRAGMA busy_timeout=5000; PRAGMA wal_autocheckpoint=4000;",
    )?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(())
}

fn lock(directory: &Path) -> Result<fs::File, StoreError> {
    let file =
        fs::OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join(LOCK_FILE))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse),
        Err(error) => Err(StoreError::Io(error.into())),
    }
}

fn refuse_loose_mode(file: &Path) -> Result<(), StoreError> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            Err(StoreError::LooseMode(DATABASE_FILE))
        }
        _ => Ok(()),
    }
}
