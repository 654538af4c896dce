//! Parked connections.
//!
//! A connection that carried one principal's secret must never carry another's request (attack F2: an upstream that
//! mixes up requests would hand the answer to the wrong one). So the key is the caller's [`PoolKey`] *and* the target,
//! and nothing is ever shared across keys.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tacit_model::Target;

use super::link::Link;

/// Who may share a connection: made by the caller from workspace, principal, set of secrets and policy revision.
///
/// Two requests with the same key could see each other's answers if an upstream is confused, so whatever must not
/// happen to be shared has to be part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolKey(pub [u8; 32]);

/// Says nothing: it is derived from identities.
impl std::fmt::Debug for PoolKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PoolKey(…)")
    }
}

/// A connection waits this long for its next request.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30);
/// And lives this long in all, so that a changed address or certificate is noticed on busy ones too.
const AGE_MAX: Duration = Duration::from_secs(300);
/// Parked connections per key and target, and in all.
const PER_KEY_MAX: usize = 64;
const TOTAL_MAX: usize = 512;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) key: PoolKey,
    pub(super) target: Target,
}

struct Parked {
    link: Link,
    since: Instant,
}

#[derive(Default)]
struct Shelves {
    by_place: HashMap<Place, Vec<Parked>>,
    total: usize,
    is_swept: bool,
}

/// The pool.
#[derive(Default)]
pub(super) struct Pool {
    shelves: Mutex<Shelves>,
}

impl Pool {
    /// Takes the connection that was parked last: it is the least likely to have been closed.
    pub(super) fn take(&self, place: &Place) -> Option<Link> {
        let mut shelves = self.lock();
        let shelf = shelves.by_place.get_mut(place)?;
        let parked = shelf.pop();
        if shelf.is_empty() {
            shelves.by_place.remove(place);
        }
        let parked = parked?;
        shelves.total -= 1;
        // The rest of the shelf is older still; the sweeper takes it.
        is_fresh(&parked).then_some(parked.link)
    }

    /// Parks a connection that is clean. A full pool closes it instead.
    pub(super) fn park(self: &Arc<Self>, place: Place, link: Link) {
        let parked = Parked { link, since: Instant::now() };
        if !is_fresh(&parked) {
            return;
        }
        let mut shelves = self.lock();
        if shelves.total >= TOTAL_MAX {
            sweep(&mut shelves);
            if shelves.total >= TOTAL_MAX {
                return;
            }
        }
        let shelf = shelves.by_place.entry(place).or_default();
        if shelf.len() >= PER_KEY_MAX {
            return;
        }
        shelf.push(parked);
        shelves.total += 1;
        if !shelves.is_swept {
            shelves.is_swept = true;
            drop(shelves);
            tokio::spawn(sweep_until_empty(Arc::downgrade(self)));
        }
    }

    /// How many are parked.
    pub(super) fn len(&self) -> usize {
        self.lock().total
    }

    /// Closes all parked connections.
    pub(super) fn clear(&self) {
        let mut shelves = self.lock();
        shelves.by_place.clear();
        shelves.total = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // Nothing in here can be left half done by a panic in a way that matters: at worst a count is off by one.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(parked: &Parked) -> bool {
    parked.since.elapsed() < IDLE_MAX && parked.link.age() < AGE_MAX
}

fn sweep(shelves: &mut Shelves) {
    let mut total = 0;
    shelves.by_place.retain(|_, shelf| {
        shelf.retain(is_fresh);
        total += shelf.len();
        !shelf.is_empty()
    });
    shelves.total = total;
}

/// One task while anything is parked, none otherwise: sockets of a quiet broker are closed too.
async fn sweep_until_empty(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_MAX / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut shelves = pool.lock();
        sweep(&mut shelves);
        if shelves.total == 0 {
            shelves.is_swept = false;
            return;
        }
    }
}
