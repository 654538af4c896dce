//! Reading a whole record again, as `tacit audit verify` does, offline.

use crate::{
    canonical::DecodeError,
    event::Event,
    merkle::{Frontier, Hash, leaf_hash},
};

/// What a record turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// How many events it has.
    pub size: u64,
    /// The root over them, to be compared with a signed checkpoint of the same size.
    pub root: Hash,
}

/// Where a record is broken, and how. What lies before that place is as it was written; what lies behind is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq}: {what}")]
pub struct LogError {
    /// The number of the event that was expected, counted from 0.
    pub seq: u64,
    /// What is wrong with it.
    pub what: LogFault,
}

/// What can be wrong with one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// One or more are missing, doubled or out of order: this number was found instead.
    #[error("is missing; event {found} was found in its place")]
    Sequence {
        /// The number that was found.
        found: u64,
    },
    /// The bytes are not an event's canonical ones.
    #[error("{0}")]
    Bytes(#[from] DecodeError),
    /// The hash stored beside the bytes is not theirs.
    #[error("the stored hash does not belong to the stored bytes")]
    Leaf,
}

/// Checks a record event by event. For a caller who wants to know the root at the sizes of its checkpoints, too;
/// [`verify_log`] is the whole of it in one call.
#[derive(Clone, Debug, Default)]
pub struct LogVerifier {
    frontier: Frontier,
}

impl LogVerifier {
    /// Before the first event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the next event and returns it.
    ///
    /// After an error the verifier stands where it stood: the number it reports is the one that is broken.
    pub fn check(&mut self, seq: u64, bytes: &[u8], leaf: &Hash) -> Result<Event, LogError> {
        let expected = self.frontier.size();
        let fault = |what| LogError { seq: expected, what };
        if seq != expected {
            return Err(fault(LogFault::Sequence { found: seq }));
        }
        // The hash first: bytes that were changed are a changed record, whatever they decode to.
        if leaf_hash(bytes) != *leaf {
            return Err(fault(LogFault::Leaf));
        }
        let event = Event::decode(bytes).map_err(|error| fault(error.into()))?;
        self.frontier.push(*leaf);
        Ok(event)
    }

    /// Size and root of what was checked so far.
    pub fn report(&self) -> LogReport {
        LogReport { size: self.frontier.size(), root: self.frontier.root() }
    }
}

/// Checks a whole record: numbered from 0 without a gap, every event's bytes canonical, every stored hash theirs.
///
/// This alone proves only that the record is consistent with itself; somebody who can write to the database can write
/// a consistent one. That nothing was rewritten or cut follows when the root equals a signed checkpoint's that was
/// kept elsewhere.
pub fn verify_log<B: AsRef<[u8]>>(
    rows: impl IntoIterator<Item = (u64, B, Hash)>,
) -> Result<LogReport, LogError> {
    let mut verifier = LogVerifier::new();
    for (seq, bytes, leaf) in rows {
        verifier.check(seq, bytes.as_ref(), &leaf)?;
    }
    Ok(verifier.report())
}
