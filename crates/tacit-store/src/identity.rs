//! Who a database belongs to: its instance's id and the record that only its root key can make.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tacit_model::InstanceId;

use crate::{Store, StoreError, change::Statement, migrate, sqlite::DATABASE_FILE, value::args};

/// What must fit the root key before anything else is read or migrated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The instance.
    pub instance: InstanceId,
    /// A record that opens only under the instance's root key.
    pub key_check: Vec<u8>,
}

/// Whether a data directory has a database, whatever is in it. Its root key was made before it.
pub fn has_database(directory: &Path) -> bool {
    directory.join(DATABASE_FILE).exists()
}

/// Looks at a data directory without changing a byte of it. `None` when there is no database.
///
/// # Errors
/// It cannot be read, or is of a newer version.
pub fn peek(directory: &Path) -> Result<Option<Identity>, StoreError> {
    let file = directory.join(DATABASE_FILE);
    if !file.exists() {
        return Ok(None);
    }
    // `immutable`: no lock, no journal, no shared-memory file. After a kill there is a journal to be read with the file;
    // reading both leaves them as they are and makes only the index of the journal anew.
    let has_journal = file.with_extension("db-wal").metadata().is_ok_and(|journal| journal.len() > 0);
    let mut url = String::from("file:");
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                url.push(char::from(*byte))
            }
            other => url.push_str(&format!("%{other:02x}")),
        }
    }
    url.push_str(if has_journal { "?mode=ro" } else { "?immutable=1" });
    let connection =
        Connection::open_with_flags(url, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?;
    let found = migrate::schema_of(&connection)?;
    if found > migrate::SCHEMA {
        return Err(StoreError::Newer { found, known: migrate::SCHEMA });
    }
    if found == 0 {
        return Ok(None);
    }
    let read = |key: &str| {
        connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, Vec<u8>>(0))
            .optional()
    };
    let (Some(instance), Some(key_check)) = (read("instance")?, read("key_check")?) else { return Ok(None) };
    let Ok(instance) = <[u8; 16]>::try_from(instance) else {
        return Err(StoreError::Engine("the instance's id is damaged".to_owned()));
    };
    Ok(Some(Identity { instance: InstanceId::from_bytes(instance), key_check }))
}

/// Statements that give a new database its identity.
pub fn insert(identity: &Identity) -> Vec<Statement> {
    const SQL: &str = "INSERT INTO meta (key, value) VALUES (?1, ?2)";
    vec![
        Statement::new(SQL, args!["instance", &identity.instance.as_bytes()[..]]),
        Statement::new(SQL, args!["key_check", &identity.key_check[..]]),
    ]
}

impl Store {
    /// Whether the database has an identity, that is, whether initialisation was completed.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn is_initialised(&self) -> Result<bool, crate::ReadError> {
        Ok(self.row("SELECT 1 FROM meta WHERE key = 'instance'", &[]).await?.is_some())
    }
}
