//! The fetches that are under way, and what came of the last ones: requests that miss the same token wait for one fetch, and
//! a token endpoint that gives none is left alone for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tacit_model::Problem;
use tacit_vault::TokenKey;
use tokio::sync::watch;

/// Things of which something is remembered; what is forgotten costs a request.
const REMEMBERED_MAX: usize = 4_096;
/// For how long nobody asks again after a fetch that failed. Each one more in a row doubles it.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a client says who it is (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// In `Authorization: Basic`, which every server must know.
    Header,
    /// In the form, which some servers want instead.
    Form,
}

/// What a fetch came to.
#[derive(Clone)]
pub(super) enum Landed {
    /// The token is there.
    Fetched,
    /// There is none, for nobody who waits for it.
    Failed(Problem),
    /// Whoever began it may not have it. That says nothing about others.
    Refused(Problem),
}

/// A fetch that is under way; its end, once it has one.
pub(super) type Flight = watch::Receiver<Option<Landed>>;

/// The fetches that are under way. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    under_way: Arc<Mutex<HashMap<TokenKey, Flight>>>,
    failed: Arc<Mutex<HashMap<TokenKey, Failed>>>,
    /// By token URL and client.
    manners: Arc<Mutex<HashMap<[String; 2], Manner>>>,
}

/// The last fetch of a token, which failed.
struct Failed {
    problem: Problem,
    until: Instant,
    pause: Duration,
}

/// A fetch that has to begin. Whoever comes after it is dropped needs another one.
pub(super) struct Departing {
    flights: Flights,
    key: TokenKey,
    end: watch::Sender<Option<Landed>>,
}

impl Flights {
    /// The fetch that is under way, or the means to begin one: then whoever asked must.
    ///
    /// # Errors
    /// What the last fetch failed with, if that was a moment ago.
    pub(super) fn join(&self, key: TokenKey, now: Instant) -> Result<(Flight, Option<Departing>), Problem> {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(&key) {
            return Ok((flight.clone(), None));
        }
        if let Some(failed) = lock(&self.failed).get(&key).filter(|failed| now < failed.until) {
            return Err(failed.problem.clone());
        }
        let (end, flight) = watch::channel(None);
        under_way.insert(key, flight.clone());
        Ok((flight, Some(Departing { flights: self.clone(), key, end })))
    }

    pub(super) fn manner(&self, of: &[String; 2]) -> Option<Manner> {
        lock(&self.manners).get(of).copied()
    }

    pub(super) fn learn_manner(&self, of: [String; 2], manner: Manner) {
        let mut manners = lock(&self.manners);
        make_room(&mut manners);
        manners.insert(of, manner);
    }

    pub(super) fn forget_manner(&self, of: &[String; 2]) {
        lock(&self.manners).remove(of);
    }
}

impl Departing {
    /// Tells everybody who waits, and remembers a failure for those who come next.
    pub(super) fn land(self, landed: Landed, now: Instant) {
        let mut failed = lock(&self.flights.failed);
        match &landed {
            Landed::Fetched => drop(failed.remove(&self.key)),
            Landed::Failed(problem) => {
                let last = failed.get(&self.key).map(|failed| failed.pause * 2);
                let pause = last.unwrap_or(PAUSE).min(PAUSE_MAX);
                make_room(&mut failed);
                failed.insert(self.key, Failed { problem: problem.clone(), until: now + pause, pause });
            }
            Landed::Refused(_) => {}
        }
        drop(failed);
        self.end.send_replace(Some(landed));
    }
}

impl Drop for Departing {
    fn drop(&mut self) {
        lock(&self.flights.under_way).remove(&self.key);
    }
}

fn make_room<K, V>(remembered: &mut HashMap<K, V>) {
    if remembered.len() >= REMEMBERED_MAX {
        remembered.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacit_model::{Code, EnvironmentId, SecretId, WorkspaceId};

    fn key() -> TokenKey {
        TokenKey {
            workspace: WorkspaceId::from_bytes([1; 16]),
            secret: SecretId::from_bytes([2; 16]),
            environment: EnvironmentId::from_bytes([3; 16]),
            version: 1,
            after: 0,
        }
    }

    fn failed() -> Landed {
        Landed::Failed(Problem::new(Code::UpstreamFailed, "gave no token"))
    }

    /// Who comes while a fetch is under way waits for it, and who comes after it begins another one; also when whoever was to
    /// fetch is gone.
    #[test]
    fn one_fetch_for_many() {
        let (flights, key, now) = (Flights::default(), key(), Instant::now());
        let (first, departing) = flights.join(key, now).unwrap();
        let (second, none) = flights.join(key, now).unwrap();
        assert!(none.is_none());
        departing.unwrap().land(Landed::Fetched, now);
        for flight in [&first, &second] {
            assert!(matches!(*flight.borrow(), Some(Landed::Fetched)));
        }
        let (mut flight, departing) = flights.join(key, now).unwrap();
        drop(departing.unwrap());
        assert!(flight.has_changed().is_err() && flight.borrow_and_update().is_none());
        assert!(flights.join(key, now).unwrap().1.is_some());
    }

    /// An endpoint that gives no token is asked again after a second, two, four, and every half minute in the end; one that
    /// gave one begins anew. That somebody may not have a token keeps nobody else waiting.
    #[test]
    fn a_pause_after_failures() {
        let (flights, key, mut now) = (Flights::default(), key(), Instant::now());
        let fetch = |landed, now| flights.join(key, now).unwrap().1.unwrap().land(landed, now);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            fetch(failed(), now);
            let pause = Duration::from_secs(pause);
            let early = flights.join(key, now + pause - Duration::from_millis(1));
            assert_eq!(early.err().unwrap().code, Code::UpstreamFailed);
            now += pause;
        }
        fetch(Landed::Refused(Problem::not_found("secret")), now);
        fetch(Landed::Fetched, now);
        fetch(failed(), now);
        assert!(flights.join(key, now + PAUSE).is_ok());
    }
}
