//! A lease's token in hands that it is not for: it was good, and came from an address that the lease does not name.
//!
//! Whoever has the token can do that as often as they like, so the record gets one of these for each lease and minute,
//! whatever the addresses. The log has the address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use tacit_audit::{Detail, Outcome, Verb};
use tacit_model::{LeaseId, Problem, Timestamp};

use super::{Lease, object};
use crate::{
    Stop, Vault,
    access::{Access, unauthenticated},
    busy,
};

/// Seconds in which one of these is recorded for a lease.
const ONE_PER_SECS: i64 = 60;

/// When a lease's last one was recorded. Holds no more than were recorded in the last minute.
#[derive(Default)]
pub(crate) struct Elsewhere(Mutex<HashMap<LeaseId, Timestamp>>);

impl Elsewhere {
    /// Whether this one is recorded.
    fn is_next(&self, lease: LeaseId, now: Timestamp) -> bool {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: Timestamp| now < at.plus_secs(ONE_PER_SECS);
        if recorded.get(&lease).is_some_and(|at| is_recent(*at)) {
            return false;
        }
        recorded.retain(|_, at| is_recent(*at));
        recorded.insert(lease, now);
        true
    }
}

impl Vault {
    /// Refuses a token that is used from an address it is not for, and puts that on the record now and then.
    pub(super) async fn refuse_elsewhere(&self, access: &Access, lease: &Lease, source: IpAddr) -> Problem {
        if !self.0.elsewhere.is_next(lease.id, access.now) {
            return unauthenticated();
        }
        tracing::warn!(lease = %lease.id, %source, "a lease's token was used from an address it is not for");
        let detail = Detail { lease: Some(lease.id), ..Detail::default() };
        let mut event = self.event(access, Verb::RequestSend, object(lease.id), Outcome::Allowed, detail);
        event.environment = Some(lease.environment.clone());
        match self.refuse_event(access, event, unauthenticated()).await {
            Stop::Problem(problem) => problem,
            Stop::Stale => busy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One a minute for each lease, and nothing is kept of those before.
    #[test]
    fn now_and_then() {
        let elsewhere = Elsewhere::default();
        let (one, other) = (LeaseId::from_bytes([1; 16]), LeaseId::from_bytes([2; 16]));
        let at = Timestamp::from_millis(1_700_000_000_000);
        let is_next = |lease, secs| elsewhere.is_next(lease, at.plus_secs(secs));
        assert_eq!([is_next(one, 0), is_next(one, 1), is_next(one, 59)], [true, false, false]);
        assert_eq!([is_next(other, 30), is_next(one, 60), is_next(one, 119)], [true, true, false]);
        assert!(is_next(other, 200));
        assert_eq!(elsewhere.0.lock().unwrap().len(), 1);
    }
}
