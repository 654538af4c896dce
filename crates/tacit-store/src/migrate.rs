//! Migrations: numbered files, each applied once, in one transaction, its hash kept.

use rusqlite::{Connection, OptionalExtension};

use crate::StoreError;

/// Every migration of the embedded database, in order. A file that was released is never edited.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/sqlite/0001_start.sql")),
    (2, include_str!("../migrations/sqlite/0002_leases.sql")),
    (3, include_str!("../migrations/sqlite/0003_life.sql")),
    (4, include_str!("../migrations/sqlite/0004_access.sql")),
    (5, include_str!("../migrations/sqlite/0005_runs.sql")),
    (6, include_str!("../migrations/sqlite/0006_deployments.sql")),
    (7, include_str!("../migrations/sqlite/0007_references.sql")),
];

/// The newest schema this binary knows.
pub(crate) const SCHEMA: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// The table that stands before all others: what kind of database this is and how far it has come.
const META: &str = "CREATE TABLE IF NOT EXISTS meta (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS migrations (number INTEGER NOT NULL PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT;";

/// The schema a database is at; 0 when it has none.
pub(crate) fn schema_of(connection: &Connection) -> Result<i64, StoreError> {
    let exists = connection
        .query_row("SELECT 1 FROM sqlite_master WHERE name = 'migrations'", [], |_| Ok(()))
        .optional()?
        .is_some();
    if !exists {
        return Ok(0);
    }
    Ok(connection.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |row| row.get(0))?)
}

/// Brings a database to [`SCHEMA`].
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = schema_of(connection)?;
    if found > SCHEMA {
        return Err(StoreError::Newer { found, known: SCHEMA });
    }
    for (number, sql) in MIGRATIONS.iter().filter(|(number, _)| *number > found) {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(META)?;
        transaction.execute_batch(sql)?;
        transaction.execute(
            "INSERT INTO migrations (number, applied_at) VALUES (?1, unixepoch() * 1000)",
            [number],
        )?;
        transaction.commit()?;
    }
    Ok(())
}
