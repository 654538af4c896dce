//! Comparison without a look: which values are the same in two environments, and which are used more than once.
//!
//! Values are compared by fingerprints under a key of the workspace, which the server keeps to itself. Only a value that
//! nobody could guess has one (`guessable`); any other compares as `unknown`. Comparing is limited in how often, and recorded.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::SecretValue;
use tacit_model::{
    Code, EnvironmentName, Fields, Problem, Right, SecretName, SecretType, Timestamp, WorkspaceId, limits,
};
use tacit_store::{
    Change,
    fingerprints::{Pair, Print},
};

use crate::{Caller, Stop, Vault, access::Access, guessable::is_beyond_guessing, settle};

/// How two values relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// They are the same.
    Same,
    /// They are not.
    Different,
    /// There is none in at least one of the two environments.
    Missing,
    /// One of them is too easy to guess to say.
    Unknown,
}

/// What a comparison says about one secret.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The secret.
    pub name: SecretName,
    /// How its values relate.
    pub likeness: Likeness,
    /// Where of the two it has no value.
    pub missing_in: Vec<EnvironmentName>,
    /// Other secrets with the same value in some environment, by name; only so many.
    pub reused_with: Vec<SecretName>,
}

/// Who compared how often in the minute that is going on.
#[derive(Default)]
pub(crate) struct Comparisons(Mutex<HashMap<[u8; 16], (i64, u32)>>);

impl Comparisons {
    /// Takes one, or says in how many seconds there is one again.
    pub(crate) fn spend(&self, principal: &[u8; 16], now: Timestamp) -> Result<(), u64> {
        let minute = now.as_millis().div_euclid(60_000);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, (of, _)| *of == minute);
        let (_, count) = counts.entry(*principal).or_insert((minute, 0));
        *count += 1;
        let left_ms = 60_000 - now.as_millis().rem_euclid(60_000);
        if *count <= limits::COMPARISONS_PER_MINUTE_MAX {
            Ok(())
        } else {
            Err(1 + left_ms.unsigned_abs() / 1000)
        }
    }
}

impl Vault {
    /// The fingerprint of a value, if nobody can guess it.
    pub(crate) async fn fingerprint(
        &self,
        workspace: WorkspaceId,
        kind: SecretType,
        fields: &Fields,
    ) -> Result<Option<[u8; 32]>, Problem> {
        if !is_beyond_guessing(kind, fields) {
            return Ok(None);
        }
        let Some(text) = fields.text(kind.main_field()) else { return Ok(None) };
        let key = self.0.keys.fingerprint(workspace).await?;
        let value = SecretValue::from(text.as_bytes().to_vec());
        Ok(Some(tacit_crypto::fingerprint(&key, &value)))
    }

    /// Compares a page of secrets, by name; with the name key after which the next page begins.
    ///
    /// # Errors
    /// `not_found` for an environment or without `secret.list` in both; `rate_limited`; `audit_unavailable`.
    pub async fn compare(
        &self,
        caller: &Caller,
        from: &EnvironmentName,
        to: &EnvironmentName,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<Comparison>, Option<String>), Problem> {
        settle!(self, caller, |access| self.compare_once(&access, from, to, after, limit))
    }

    async fn compare_once(
        &self,
        access: &Access,
        from: &EnvironmentName,
        to: &EnvironmentName,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<Comparison>, Option<String>), Stop> {
        crate::secrets::require_list(access)?;
        let (from, to) = (access.environment(from)?, access.environment(to)?);
        if from.id == to.id {
            return Err(Problem::invalid("to", "must be another environment than `from`").into());
        }
        let workspace = access.view.workspace.id;
        let name = access.view.workspace.name.as_str();
        let object = Object::new(ObjectKind::Workspace, *workspace.as_bytes(), name);
        if let Err(secs) = self.0.comparisons.spend(&access.principal.actor.id, access.now) {
            let mut problem = Problem::new(
                Code::RateLimited,
                format!("more than {} comparisons in a minute", limits::COMPARISONS_PER_MINUTE_MAX),
            )
            .suggest(format!("wait {secs} seconds and try again"));
            problem.retry_after_secs = Some(secs);
            return Err(self.refuse(access, Verb::SecretCompare, object, problem).await);
        }
        // Before anything is said: an asking that cannot be recorded is not answered.
        let mut event =
            self.event(access, Verb::SecretCompare, object, Outcome::Succeeded, Detail::default());
        event.environment = Some(to.name.clone());
        self.0.store.write(Change::new(workspace).only_at(access.view.revision).record(&event)).await?;
        let (mut compared, mut last) = (Vec::new(), after.to_owned());
        loop {
            let pairs = self.0.store.pairs(workspace, from.id, to.id, &last, limit).await?;
            let is_last = pairs.len() < limit;
            for pair in pairs {
                last = pair.secret.name.key();
                let lists =
                    |environment| access.rights_on(&pair.secret, Some(environment)).has(Right::SecretList);
                if !lists(from.id) || !lists(to.id) {
                    continue;
                }
                let (in_from, in_to) = (pair.from.is_none(), pair.to.is_none());
                let missing = [(in_from, &from.name), (in_to, &to.name)];
                compared.push(Comparison {
                    likeness: likeness(pair.from.as_ref(), pair.to.as_ref()),
                    missing_in: missing
                        .iter()
                        .filter(|(is, _)| *is)
                        .map(|(_, name)| (*name).clone())
                        .collect(),
                    reused_with: self.reused_with(access, &pair).await?,
                    name: pair.secret.name,
                });
                if compared.len() == limit {
                    return Ok((compared, Some(last)));
                }
            }
            if is_last {
                return Ok((compared, None));
            }
        }
    }

    /// Other secrets with one of the pair's values, of those that the caller may list everywhere.
    async fn reused_with(&self, access: &Access, pair: &Pair) -> Result<Vec<SecretName>, Stop> {
        let mut names: Vec<SecretName> = Vec::new();
        for print in [&pair.from, &pair.to].into_iter().flatten() {
            let Some(fingerprint) = &print.fingerprint else { continue };
            let alike = self
                .0
                .store
                .secrets_alike(access.view.workspace.id, fingerprint, pair.secret.id, limits::REUSED_WITH_MAX)
                .await?;
            for other in alike {
                let may_know = access.rights_on(&other, None).has(Right::SecretList);
                if may_know && !names.contains(&other.name) {
                    names.push(other.name);
                }
            }
        }
        names.truncate(limits::REUSED_WITH_MAX);
        Ok(names)
    }
}

pub(crate) fn likeness(from: Option<&Print>, to: Option<&Print>) -> Likeness {
    let (Some(from), Some(to)) = (from, to) else { return Likeness::Missing };
    match (&from.fingerprint, &to.fingerprint) {
        // A user name beside a password is part of the value, and everybody sees it.
        (Some(a), Some(b)) if tacit_crypto::ct_eq(a, b) && from.shown == to.shown => Likeness::Same,
        (Some(_), Some(_)) => Likeness::Different,
        // Not even "different": it would say that the other one is not this guess.
        _ => Likeness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(fingerprint: Option<u8>, shown: &str) -> Print {
        Print { fingerprint: fingerprint.map(|byte| [byte; 32]), shown: shown.to_owned() }
    }

    /// Without two fingerprints nothing is said, neither yes nor no.
    #[test]
    fn likeness_needs_two_fingerprints() {
        let of = |from, to| likeness(from, to);
        let (a, b, weak) = (print(Some(1), "{}"), print(Some(2), "{}"), print(None, "{}"));
        assert_eq!(of(Some(&a), Some(&a)), Likeness::Same);
        assert_eq!(of(Some(&a), Some(&b)), Likeness::Different);
        let other = print(Some(1), "{\"username\":\"u\"}");
        assert_eq!(of(Some(&a), Some(&other)), Likeness::Different);
        assert_eq!(of(Some(&a), Some(&weak)), Likeness::Unknown);
        assert_eq!(of(Some(&weak), Some(&weak)), Likeness::Unknown);
        assert_eq!(of(Some(&a), None), Likeness::Missing);
        assert_eq!(of(None, None), Likeness::Missing);
    }

    /// So many in a minute, each principal for itself.
    #[test]
    fn comparisons_are_limited() {
        let comparisons = Comparisons::default();
        let now = Timestamp::from_millis(1_700_000_000_000);
        let taken = (0..50).filter(|_| comparisons.spend(&[1; 16], now).is_ok()).count();
        assert_eq!(taken, limits::COMPARISONS_PER_MINUTE_MAX as usize);
        assert_eq!(comparisons.spend(&[1; 16], now.plus_secs(20)), Err(21), "20 seconds into a minute");
        assert_eq!(comparisons.spend(&[2; 16], now), Ok(()));
        assert_eq!(comparisons.spend(&[1; 16], now.plus_secs(60)), Ok(()));
    }
}
