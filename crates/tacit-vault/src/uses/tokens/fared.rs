//! How fetched tokens fared with the services that they were sent to: which of them is worth replacing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tacit_model::{EnvironmentId, SecretId, Timestamp};

/// A token that no service has taken yet is replaced no more often than this.
const RENEWAL_PAUSE_SECS: i64 = 10;
/// Values of which it is remembered how their tokens fared.
const FARED_MAX: usize = 4_096;

/// A token that stood in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedToken {
    pub(super) secret: SecretId,
    pub(super) environment: EnvironmentId,
    pub(super) serial: i64,
    /// Whether it may be replaced if the service refuses it.
    pub(super) may_renew: bool,
}

/// How the tokens of one value fared with the services they were sent to. In memory: what is forgotten costs one fetch.
#[derive(Clone, Copy, Default)]
struct Fared {
    /// The newest that a service took.
    taken: i64,
    /// The newest that a service refused and that is to be replaced.
    refused: i64,
    /// When that was.
    refused_at: Option<Timestamp>,
}

/// How tokens fared.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<(SecretId, EnvironmentId), Fared>>);

impl Tokens {
    pub(super) fn refused(&self, secret: SecretId, environment: EnvironmentId) -> i64 {
        self.with(|fared| fared.get(&(secret, environment)).map_or(0, |fared| fared.refused))
    }

    /// What a service answered to a token; whether it should be replaced and the request sent again.
    pub(super) fn heard(&self, token: UsedToken, status: u16, now: Timestamp) -> bool {
        self.with(|all| {
            if all.len() >= FARED_MAX && !all.contains_key(&(token.secret, token.environment)) {
                all.clear();
            }
            let fared = all.entry((token.secret, token.environment)).or_default();
            if status != 401 {
                fared.taken = fared.taken.max(token.serial);
                return false;
            }
            if token.serial <= fared.refused {
                return true;
            }
            // A service that takes no token at all must not make us fetch one for every request.
            let is_worth_it = fared.taken >= token.serial
                || fared.refused_at.is_none_or(|at| at.plus_secs(RENEWAL_PAUSE_SECS) <= now);
            let renews = token.may_renew && is_worth_it;
            if renews {
                fared.refused = token.serial;
                fared.refused_at = Some(now);
            }
            renews
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<(SecretId, EnvironmentId), Fared>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

    fn token(serial: i64) -> UsedToken {
        let (secret, environment) = (SecretId::from_bytes([1; 16]), EnvironmentId::from_bytes([2; 16]));
        UsedToken { secret, environment, serial, may_renew: true }
    }

    /// A token that worked is replaced when a service refuses it; one that never did, not for every request.
    #[test]
    fn a_refused_token_is_replaced_once() {
        let tokens = Tokens::default();
        assert!(!tokens.heard(token(1), 200, NOW));
        assert!(tokens.heard(token(1), 401, NOW), "it worked before");
        assert!(
            tokens.heard(token(1), 401, NOW),
            "another request with the same token waits for the same new one"
        );
        assert_eq!(tokens.refused(token(1).secret, token(1).environment), 1);
        assert!(!tokens.heard(token(2), 401, NOW), "the new one never worked");
        assert_eq!(tokens.refused(token(1).secret, token(1).environment), 1);
        assert!(tokens.heard(token(2), 401, NOW.plus_secs(RENEWAL_PAUSE_SECS)));
        assert!(!tokens.heard(token(3), 403, NOW.plus_secs(11)));
        assert!(
            tokens.heard(token(3), 401, NOW.plus_secs(11)),
            "a 403 is an answer to a token that was taken"
        );
    }

    /// One that may not be replaced is not, however well it fared.
    #[test]
    fn replacing_has_an_end() {
        let all = Tokens::default();
        assert!(!all.heard(token(1), 200, NOW));
        assert!(!all.heard(UsedToken { may_renew: false, ..token(1) }, 401, NOW));
        assert!(all.heard(token(1), 401, NOW));
    }
}
