//! How often something may be tried: buckets that refill with time, one for each key.
//!
//! Counted in memory. A restart begins anew, which whoever guesses cannot bring about.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tacit_model::{Code, Problem, Timestamp};

/// Keys that are remembered. With more, those that are full again are forgotten first; if none is, new ones are refused.
const KEYS_MAX: usize = 100_000;

/// Buckets of one kind.
pub(crate) struct Pace {
    /// Tries at once.
    burst: i64,
    /// Milliseconds until one more.
    refill_ms: i64,
    /// When the bucket of a key will be full: that far in the future, as far as tries were taken.
    full_at: Mutex<HashMap<[u8; 32], i64>>,
}

impl Pace {
    pub(crate) fn new(burst: i64, refill_secs: i64) -> Self {
        Self { burst, refill_ms: refill_secs * 1000, full_at: Mutex::default() }
    }

    /// Takes a try, or says how many seconds there is none.
    pub(crate) fn take(&self, key: &str, now: Timestamp) -> Result<(), Problem> {
        let key = tacit_crypto::sha256(key.as_bytes());
        let now = now.as_millis();
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEYS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, full_at| *full_at > now);
            if buckets.len() >= KEYS_MAX {
                return Err(too_often(1));
            }
        }
        let full_at = buckets.entry(key).or_insert(now);
        // Never fuller of tries than all of them: a clock that was set back must not lock anybody out until it has caught up.
        *full_at = (*full_at).clamp(now, now + self.burst * self.refill_ms);
        let after = *full_at + self.refill_ms;
        let over_ms = after - now - self.burst * self.refill_ms;
        if over_ms > 0 {
            return Err(too_often(over_ms.div_euclid(1000) + 1));
        }
        *full_at = after;
        Ok(())
    }

    /// Fills a bucket: who got in was no guesser.
    pub(crate) fn reset(&self, key: &str) {
        let key = tacit_crypto::sha256(key.as_bytes());
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

fn too_often(secs: i64) -> Problem {
    let mut problem = Problem::new(Code::RateLimited, "this was tried too often")
        .suggest(format!("wait {secs} seconds and try again"));
    problem.retry_after_secs = Some(secs.unsigned_abs());
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A burst, then one try each time one has come back; keys do not share.
    #[test]
    fn tries_come_back_with_time() {
        let pace = Pace::new(3, 10);
        let at = |secs: i64| Timestamp::from_millis(secs * 1000);
        let tries = |key: &str, secs: i64| (0..5).filter(|_| pace.take(key, at(secs)).is_ok()).count();
        assert_eq!(tries("a", 100), 3);
        assert_eq!(pace.take("a", at(100)).err().unwrap().retry_after_secs, Some(11));
        assert_eq!((tries("a", 109), tries("a", 110), tries("b", 110)), (0, 1, 3));
        assert_eq!(tries("a", 1000), 3);
        assert_eq!((tries("a", 500), tries("a", 510)), (0, 1), "a clock that was set back");
        assert_eq!(tries("a", 1000), 3);
        pace.reset("a");
        assert_eq!(tries("a", 1000), 3);
    }
}
