//! Who used which secret where: a summary of the record, for those who ask what a secret is for.
//!
//! A row is written with the outcome of a use, but at most once a minute for the same user and place: a busy automation
//! would otherwise write the same row with every request.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tacit_audit::{Event, ObjectKind, Verb};
use tacit_model::{SecretId, Timestamp, WorkspaceId};
use tacit_store::{
    Statement,
    references::{ObservedUse, observe},
};

use super::Outcome;

/// The same use is written again after this.
const WRITTEN_FOR_SECS: i64 = 60;
/// Uses that are remembered as written.
const WRITTEN_MAX: usize = 8_192;

/// Which use it is.
type Key = (WorkspaceId, SecretId, String, String, String);

/// What was written, and when.
#[derive(Default)]
pub(crate) struct Observed(Mutex<HashMap<Key, Timestamp>>);

impl Observed {
    /// What is to be written for the use that an intent announced and that ended like this.
    pub(super) fn of(&self, intent: &Event, outcome: &Outcome, now: Timestamp) -> Option<Statement> {
        // Without a connection nothing was sent.
        outcome.address?;
        if intent.verb != Verb::SecretUse || intent.object.kind != ObjectKind::Secret {
            return None;
        }
        let secret = SecretId::from_bytes(intent.object.id);
        let seen = ObservedUse {
            actor: intent.actor.to_string(),
            environment: intent.environment.as_ref()?.to_string(),
            target: intent.detail.target.as_ref()?.as_str().to_owned(),
            first_at: now,
            last_at: now,
        };
        let key =
            (intent.workspace, secret, seen.actor.clone(), seen.environment.clone(), seen.target.clone());
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.get(&key).is_some_and(|at| at.plus_secs(WRITTEN_FOR_SECS) > now) {
            return None;
        }
        if written.len() >= WRITTEN_MAX {
            written.clear();
        }
        written.insert(key, now);
        Some(observe(intent.workspace, secret, &seen))
    }
}
