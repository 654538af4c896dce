//! The record, as far as it is read back.

use tacit_model::{Timestamp, WorkspaceId};

use crate::{ReadError, Store, value::args};

/// A stored event: the bytes that were hashed, and where they stand.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its place in the workspace's order, from 0.
    pub seq: i64,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Its leaf hash.
    pub leaf: [u8; 32],
}

/// What a list of events may be narrowed by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only by this actor, such as `user:owner`.
    pub actor: Option<String>,
    /// Only this verb.
    pub verb: Option<String>,
    /// Only on this object, such as `secret:STRIPE_KEY`.
    pub object: Option<String>,
    /// Only with this outcome.
    pub outcome: Option<String>,
    /// Only at or after this time.
    pub since: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// Only before this sequence number.
    pub before: Option<i64>,
    /// Rows at most.
    pub limit: usize,
}

impl Store {
    /// Events, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn events(
        &self,
        workspace: WorkspaceId,
        filter: &Filter,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        const SQL: &str = "SELECT seq, bytes, leaf FROM events WHERE workspace = ?1
               AND (?2 IS NULL OR seq < ?2) AND (?3 IS NULL OR actor = ?3) AND (?4 IS NULL OR verb = ?4) AND (?5 IS NULL OR object = ?5)
               AND (?6 IS NULL OR outcome = ?6) AND (?7 IS NULL OR at >= ?7) AND (?8 IS NULL OR at < ?8)
             ORDER BY seq DESC LIMIT ?9";
        let args = args![
            workspace,
            filter.before,
            filter.actor.as_deref(),
            filter.verb.as_deref(),
            filter.object.as_deref(),
            filter.outcome.as_deref(),
            filter.since,
            filter.until,
            filter.limit as i64
        ];
        let rows = self.rows(SQL, &args).await?;
        rows.into_iter()
            .map(|mut row| Ok(StoredEvent { seq: row.take()?, bytes: row.take()?, leaf: row.take()? }))
            .collect()
    }

    /// Events in their order, from a sequence number on: for verification and export.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn events_from(
        &self,
        workspace: WorkspaceId,
        seq: i64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        const SQL: &str =
            "SELECT seq, bytes, leaf FROM events WHERE workspace = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
        let rows = self.rows(SQL, &args![workspace, seq, limit as i64]).await?;
        rows.into_iter()
            .map(|mut row| Ok(StoredEvent { seq: row.take()?, bytes: row.take()?, leaf: row.take()? }))
            .collect()
    }
}
