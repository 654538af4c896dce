//! Sending a step again: how often, after how long, and when that is safe.

use serde::{Deserialize, Serialize};

use crate::{automation::Issue, limits};

/// When a step that failed is sent again.
///
/// Only what is safe to repeat is: a method that says so (GET, HEAD, OPTIONS, PUT, DELETE), a request with an
/// `Idempotency-Key`, or one that certainly was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often it is sent at most, the first time included.
    pub attempts: u32,
    /// Milliseconds until the second time; each later wait is twice as long, and a part of each is left to chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<u64>,
    /// Whether it may be sent again although the service may have acted on it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub repeat_unsafe: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it asks about by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Retry {
    /// Checks what serde cannot. `at` is put before each field's name.
    pub fn issues(&self, at: &str) -> Vec<Issue> {
        let mut issues = Vec::new();
        if !(1..=limits::RETRY_ATTEMPTS_MAX).contains(&self.attempts) {
            let message = format!("must be 1 to {}", limits::RETRY_ATTEMPTS_MAX);
            issues.push(Issue::new(format!("{at}attempts"), message));
        }
        if self.backoff_ms.is_some_and(|ms| ms == 0 || ms > limits::RETRY_BACKOFF_MS_MAX) {
            let message = format!("must be 1 to {}", limits::RETRY_BACKOFF_MS_MAX);
            issues.push(Issue::new(format!("{at}backoff_ms"), message));
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The limits, and no field beside them.
    #[test]
    fn limits() {
        let parse = |value| serde_json::from_value::<Retry>(value);
        assert!(parse(json!({"attempts": 3})).unwrap().issues("").is_empty());
        assert_eq!(parse(json!({"attempts": 0, "backoff_ms": 0})).unwrap().issues("").len(), 2);
        assert_eq!(parse(json!({"attempts": 11})).unwrap().issues("")[0].field, "attempts");
        assert!(parse(json!({})).is_err());
        assert!(parse(json!({"attempts": 1, "forever": true})).is_err());
    }
}
