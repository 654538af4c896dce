//! How many requests leases and agents have sent, where they may send only so many.
//!
//! Counted in memory: leases and agents' sessions end with the process, and their counts with them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

/// Counts by the id of the lease or session.
#[derive(Default)]
pub(crate) struct Budgets(Mutex<HashMap<[u8; 16], u64>>);

impl Budgets {
    /// Takes one of `max`; false if there is none left. Attempts count, whatever comes of them: else a program could ask
    /// without end for what it is refused.
    pub(crate) fn spend(&self, id: &[u8; 16], max: u64) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(*id).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        true
    }

    /// How many were taken.
    pub(crate) fn spent(&self, id: &[u8; 16]) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied().unwrap_or_default()
    }

    /// Everybody who has a count.
    pub(crate) fn ids(&self) -> HashSet<[u8; 16]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Forgets what has ended.
    pub(crate) fn forget(&self, id: &[u8; 16]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_once() {
        let budgets = Budgets::default();
        assert_eq!([0; 4].map(|_| budgets.spend(&[1; 16], 3)), [true, true, true, false]);
        assert!(budgets.spend(&[2; 16], 3));
        assert_eq!((budgets.spent(&[1; 16]), budgets.spent(&[3; 16])), (3, 0));
        budgets.forget(&[1; 16]);
        assert!(budgets.spend(&[1; 16], 3));
    }
}
