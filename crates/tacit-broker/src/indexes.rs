//! Indexes over what may come back in answers, kept while requests keep coming.
//!
//! Opening some values and laying out everything they could look like costs more than all the rest of a request. The result
//! depends on nothing but the vault's plan and the slots, so requests of the same kind share it. It holds values, in the one
//! form in which they are good for nothing but to be recognised; so it lives for a few seconds without a request, never
//! longer than the workspace's revision stands, and is wiped when the last answer that needs it is through. See
//! `docs/decisions/0020-indexes-outlive-requests.md`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tacit_redact::ScanSet;
use tacit_vault::{PlanId, Slot};
use tokio::time::Instant;

/// Without a request for so long, an index is wiped.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Bytes of all kept indexes together; beyond, an index serves its one request.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// An index, and what is known of the values in it.
#[derive(Clone)]
pub(crate) struct Index {
    pub(crate) scan: ScanSet,
    /// Whether a value that may come back is too short to be found.
    pub(crate) unscrubbable: bool,
    /// Which of the values in the request are, by slot.
    pub(crate) weak: Vec<bool>,
}

/// Which index it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct IndexKey {
    plan: PlanId,
    /// The parts of secrets that stand in the request: what they become on the way is looked for, too.
    slots: Vec<(String, Option<String>)>,
}

impl IndexKey {
    pub(crate) fn new(plan: &PlanId, slots: &[Slot]) -> Self {
        let part =
            |slot: &Slot| (slot.name.as_str().to_owned(), slot.field.as_ref().map(ToString::to_string));
        Self { plan: *plan, slots: slots.iter().map(part).collect() }
    }
}

/// The kept indexes. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Indexes(Arc<Kept>);

type Kept = Mutex<HashMap<IndexKey, (Index, Instant)>>;

impl Indexes {
    /// An index that was made for such a request before.
    pub(crate) fn find(&self, key: &IndexKey) -> Option<Index> {
        let mut kept = lock(&self.0);
        let (index, used) = kept.get_mut(key)?;
        *used = Instant::now();
        Some(index.clone())
    }

    /// Keeps an index until no request asks for it any more. Must run inside a Tokio runtime.
    pub(crate) fn keep(&self, key: IndexKey, index: &Index) {
        let mut kept = lock(&self.0);
        let bytes: usize = kept.values().map(|(index, _)| index.scan.heap_bytes()).sum();
        if bytes + index.scan.heap_bytes() > BYTES_MAX {
            return;
        }
        if kept.insert(key.clone(), (index.clone(), Instant::now())).is_none() {
            tokio::spawn(forget_when_idle(Arc::downgrade(&self.0), key));
        }
    }
}

async fn forget_when_idle(kept: Weak<Kept>, key: IndexKey) {
    let mut idle_at = Instant::now() + IDLE_MAX;
    loop {
        tokio::time::sleep_until(idle_at).await;
        let Some(kept) = kept.upgrade() else { return };
        let mut kept = lock(&kept);
        let Some((_, used)) = kept.get(&key) else { return };
        idle_at = *used + IDLE_MAX;
        if idle_at <= Instant::now() {
            kept.remove(&key);
            return;
        }
    }
}

fn lock(kept: &Kept) -> MutexGuard<'_, HashMap<IndexKey, (Index, Instant)>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let mut builder = ScanSet::builder();
        builder.add("[sealed:A]", b"Zq8WnX2vT7bLk4RmP9sD");
        Index { scan: builder.build(), unscrubbable: false, weak: Vec::new() }
    }

    /// One that is asked for stays, one that is not goes, and with it the values.
    #[tokio::test(start_paused = true)]
    async fn it_is_forgotten_when_idle() {
        let indexes = Indexes::default();
        let (asked, idle) = (IndexKey::new(&[1; 32], &[]), IndexKey::new(&[2; 32], &[]));
        indexes.keep(asked.clone(), &index());
        indexes.keep(idle.clone(), &index());
        for _ in 0..4 {
            tokio::time::sleep(IDLE_MAX / 2).await;
            assert!(indexes.find(&asked).is_some());
        }
        assert_eq!(lock(&indexes.0).len(), 1);
        tokio::time::sleep(IDLE_MAX * 2).await;
        assert!(lock(&indexes.0).is_empty());
    }
}
