//! A change: what is written in one transaction or not at all.

use tacit_audit::{Event, leaf_hash};
use tacit_model::WorkspaceId;

use crate::value::Val;

/// One statement, made by this crate's functions for a table; its SQL is nobody else's business.
#[derive(Debug)]
pub struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) args: Vec<Val>,
    /// Whether it must touch exactly one row; else the whole change is a [`crate::WriteError::Conflict`].
    pub(crate) exactly_one: bool,
}

impl Statement {
    pub(crate) fn new(sql: &'static str, args: impl Into<Vec<Val>>) -> Self {
        Self { sql, args: args.into(), exactly_one: false }
    }

    pub(crate) fn exactly_one(sql: &'static str, args: impl Into<Vec<Val>>) -> Self {
        Self { sql, args: args.into(), exactly_one: true }
    }
}

/// An event as it is stored: its bytes, their hash, and what it is found by.
#[derive(Debug)]
pub struct NewEvent {
    pub(crate) bytes: Vec<u8>,
    pub(crate) leaf: [u8; 32],
    pub(crate) at: i64,
    pub(crate) actor: String,
    pub(crate) verb: &'static str,
    pub(crate) object: String,
    pub(crate) outcome: &'static str,
}

impl From<&Event> for NewEvent {
    /// Encodes and hashes here, on the caller's thread, so that the one writer only writes.
    fn from(event: &Event) -> Self {
        let bytes = event.encode();
        Self {
            leaf: leaf_hash(&bytes),
            bytes,
            at: event.at.as_millis(),
            actor: event.actor.to_string(),
            verb: event.verb.as_str(),
            object: event.object.to_string(),
            outcome: event.outcome.as_str(),
        }
    }
}

/// Statements and events, written together: of one workspace, but for what [`Change::and_elsewhere`] adds.
#[derive(Debug)]
pub struct Change {
    pub(crate) workspace: WorkspaceId,
    pub(crate) expected_revision: Option<i64>,
    pub(crate) settles: bool,
    pub(crate) bumps_revision: bool,
    pub(crate) statements: Vec<Statement>,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) elsewhere: Vec<Change>,
}

impl Change {
    /// An empty change.
    pub fn new(workspace: WorkspaceId) -> Self {
        Self {
            workspace,
            expected_revision: None,
            settles: false,
            bumps_revision: false,
            statements: Vec::new(),
            events: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    /// What the change means to another workspace: its revision and events, in the same transaction. For people, who belong to
    /// several.
    #[must_use]
    pub fn and_elsewhere(mut self, other: Change) -> Self {
        debug_assert!(other.statements.is_empty() && other.expected_revision.is_none(), "only told of it");
        self.elsewhere.push(other);
        self
    }

    /// The change, workspace by workspace.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Change> {
        std::iter::once(self).chain(&self.elsewhere)
    }

    /// In the database file itself, not only in its journal, when it is acknowledged.
    #[must_use]
    pub fn settle(mut self) -> Self {
        self.settles = true;
        self
    }

    /// Only if the workspace is still at this revision.
    #[must_use]
    pub fn only_at(mut self, revision: i64) -> Self {
        self.expected_revision = Some(revision);
        self
    }

    /// Increases the revision: whatever was decided on the old one must be decided again.
    #[must_use]
    pub fn bump(mut self) -> Self {
        self.bumps_revision = true;
        self
    }

    /// Adds a statement.
    #[must_use]
    pub fn and(mut self, statement: Statement) -> Self {
        self.statements.push(statement);
        self
    }

    /// Adds statements.
    #[must_use]
    pub fn and_all(mut self, statements: impl IntoIterator<Item = Statement>) -> Self {
        self.statements.extend(statements);
        self
    }

    /// Adds all of another change of the same workspace, after what is there.
    #[must_use]
    pub fn and_all_of(mut self, other: Change) -> Self {
        debug_assert!(self.workspace == other.workspace, "a change is of one workspace");
        self.statements.extend(other.statements);
        self.events.extend(other.events);
        self.bumps_revision |= other.bumps_revision;
        self.elsewhere.extend(other.elsewhere);
        self
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.events.is_empty()
    }

    /// Whether it puts anything on the record.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Adds an event.
    #[must_use]
    pub fn record(mut self, event: &Event) -> Self {
        self.events.push(event.into());
        self
    }
}
