//! Parked and shared connections.
//!
//! Over HTTP/1.1 a connection is parked between requests. Over HTTP/2 it is here from its first request on, and requests
//! join it.
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

use super::link::{Http1, Link, Shared};

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
/// Connections per key and target, and in all.
const PER_KEY_MAX: usize = 64;
const TOTAL_MAX: usize = 512;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) key: PoolKey,
    pub(super) target: Target,
}

struct Parked {
    link: Http1,
    since: Instant,
}

/// The connections of one place.
#[derive(Default)]
struct Shelf {
    parked: Vec<Parked>,
    shared: Vec<Arc<Shared>>,
}

impl Shelf {
    fn len(&self) -> usize {
        self.parked.len() + self.shared.len()
    }
}

#[derive(Default)]
struct Shelves {
    by_place: HashMap<Place, Shelf>,
    total: usize,
    is_swept: bool,
}

/// The pool.
#[derive(Default)]
pub(super) struct Pool {
    shelves: Mutex<Shelves>,
}

impl Pool {
    /// Room on a shared connection; else the connection that was parked last: it is the least likely to have been
    /// closed.
    pub(super) fn take(&self, place: &Place) -> Option<Link> {
        let mut shelves = self.lock();
        let shelf = shelves.by_place.get_mut(place)?;
        let before = shelf.len();
        shelf.shared.retain(is_shareable);
        // The oldest first, so that those of a busy moment are left to themselves afterwards.
        let joined = shelf.shared.iter().find_map(Shared::join);
        let parked = if joined.is_none() { shelf.parked.pop() } else { None };
        let after = shelf.len();
        if after == 0 {
            shelves.by_place.remove(place);
        }
        shelves.total -= before - after;
        if let Some(joined) = joined {
            return Some(Link::Http2(joined));
        }
        let parked = parked?;
        // The rest of the shelf is older still; the sweeper takes it.
        is_fresh(&parked).then_some(Link::Http1(parked.link))
    }

    /// Parks a connection that is clean. A full pool closes it instead.
    pub(super) fn park(self: &Arc<Self>, place: Place, link: Http1) {
        let parked = Parked { link, since: Instant::now() };
        if is_fresh(&parked) {
            self.put(place, |shelf| shelf.parked.push(parked));
        }
    }

    /// Lets others use a connection too. A full pool leaves it to the request that it was opened for.
    pub(super) fn share(self: &Arc<Self>, place: Place, shared: Arc<Shared>) {
        self.put(place, |shelf| shelf.shared.push(shared));
    }

    fn put(self: &Arc<Self>, place: Place, put: impl FnOnce(&mut Shelf)) {
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
        put(shelf);
        shelves.total += 1;
        if !shelves.is_swept {
            shelves.is_swept = true;
            drop(shelves);
            tokio::spawn(sweep_until_empty(Arc::downgrade(self)));
        }
    }

    /// How many are parked, or shared by nobody.
    pub(super) fn len(&self) -> usize {
        let shelves = self.lock();
        let idle = |shelf: &Shelf| {
            shelf.parked.len()
                + shelf.shared.iter().filter(|shared| shared.is_open() && shared.is_idle()).count()
        };
        shelves.by_place.values().map(idle).sum()
    }

    /// Closes all parked connections, and those that are shared as soon as their last request is over.
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

fn is_shareable(shared: &Arc<Shared>) -> bool {
    shared.is_open() && shared.idle_for() < IDLE_MAX && shared.age() < AGE_MAX
}

fn sweep(shelves: &mut Shelves) {
    let mut total = 0;
    shelves.by_place.retain(|_, shelf| {
        shelf.parked.retain(is_fresh);
        shelf.shared.retain(is_shareable);
        total += shelf.len();
        shelf.len() > 0
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
