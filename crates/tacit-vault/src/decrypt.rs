//! The one decrypt path.
//!
//! 1. `authorize` makes a proof.
//! 2. [`Vault::record_intent`] makes the intent durable, on condition that the workspace is still at the proof's
//!    revision, and only then turns the proof into a [`Recorded`] one.
//! 3. [`Vault::open`] takes that and the record.
//!
//! The only other function here that takes ciphertext is [`Vault::reseal`], which yields ciphertext.

use tacit_audit::Event;
use tacit_crypto::{Place, Purpose, RecordContext, SecretValue, policy_hash};
use tacit_model::{Destinations, EnvironmentId, Problem, WorkspaceId};
use tacit_store::{
    Change, Statement,
    secrets::{Secret, Version},
    tokens::AccessToken,
};

use crate::{
    Stop, Vault,
    access::Snapshot,
    authorize::{Authorized, Reseal, Reveal, Scan, Use, Verb},
};

/// A proof whose intent is on the record. Made only by [`Vault::record_intent`].
pub(crate) struct Recorded<V: Verb>(Authorized<V>);

impl<V: Verb> Recorded<V> {
    pub(crate) fn environment(&self) -> EnvironmentId {
        self.0.environment()
    }
}

/// A sealed record, and what it was sealed as: a version of a value, or a token that was fetched with one.
#[derive(Clone, Copy)]
pub(crate) struct Sealed<'a> {
    number: i64,
    purpose: Purpose,
    record: &'a [u8],
}

impl<'a> From<&'a Version> for Sealed<'a> {
    fn from(version: &'a Version) -> Self {
        Self { number: version.version, purpose: Purpose::SecretValue, record: &version.sealed }
    }
}

impl<'a> From<&'a AccessToken> for Sealed<'a> {
    fn from(token: &'a AccessToken) -> Self {
        Self { number: token.serial, purpose: Purpose::FetchedToken, record: &token.sealed }
    }
}

/// The verbs that end in a value. Resealing does not.
pub(crate) trait Opens: Verb {}
impl Opens for Reveal {}
impl Opens for Use {}
impl Opens for Scan {}

impl Vault {
    /// Makes intents durable if nothing changed since they were authorized.
    ///
    /// `first_sent` remembers hosts that a value was never sent to before; it changes what must be looked for in answers
    /// from there, and so the revision.
    ///
    /// Returns the usable proofs and the revision at which they became so.
    ///
    /// One conditional write for all proofs of one act: after a revocation is acknowledged, no act that relied on the old
    /// right can begin, whatever was cached where.
    pub(crate) async fn record_intent<V: Opens>(
        &self,
        workspace: WorkspaceId,
        revision: i64,
        proofs: Vec<Authorized<V>>,
        events: &[Event],
        first_sent: Vec<Statement>,
    ) -> Result<(Vec<Recorded<V>>, i64), Stop> {
        self.record_intent_with(workspace, revision, proofs, events, first_sent, None).await
    }

    /// The same with a statement that must be so together with the intent: that this node has the run, and that the step
    /// has begun.
    pub(crate) async fn record_intent_with<V: Opens>(
        &self,
        workspace: WorkspaceId,
        revision: i64,
        proofs: Vec<Authorized<V>>,
        events: &[Event],
        first_sent: Vec<Statement>,
        beside: Option<Statement>,
    ) -> Result<(Vec<Recorded<V>>, i64), Stop> {
        if proofs.iter().any(|proof| proof.revision() != revision) || events.is_empty() {
            return Err(Problem::internal("a proof and its intent do not belong together").into());
        }
        let change = events.iter().fold(Change::new(workspace).only_at(revision), Change::record);
        let change = if first_sent.is_empty() { change } else { change.and_all(first_sent).bump() };
        let change = change.and_all(beside);
        let committed = self.0.store.write(change).await?;
        Ok((proofs.into_iter().map(Recorded).collect(), committed.revision))
    }

    /// Writes a change that is an act on a secret and has it on the record, and makes proofs to know the secret's values usable,
    /// so that they can be taken out of what was said about the act.
    pub(crate) async fn record_act(
        &self,
        change: Change,
        scans: Vec<Authorized<Scan>>,
    ) -> Result<Vec<Recorded<Scan>>, Stop> {
        if !scans.is_empty() && !change.has_events() {
            return Err(Problem::internal("an act without an event opens nothing").into());
        }
        self.0.store.write(change).await?;
        Ok(scans.into_iter().map(Recorded).collect())
    }

    /// A proof to know a value only so that it can be taken out of the answer of an act that is on the record.
    pub(crate) fn covered_by<V: Opens>(
        &self,
        _act: &[Recorded<V>],
        scan: Authorized<Scan>,
    ) -> Recorded<Scan> {
        Recorded(scan)
    }

    /// From ciphertext to a value.
    pub(crate) async fn open<V: Opens>(
        &self,
        workspace: WorkspaceId,
        proof: &Recorded<V>,
        snapshot: &Snapshot,
        sealed: impl Into<Sealed<'_>>,
    ) -> Result<SecretValue, Problem> {
        let Sealed { number, purpose, record } = sealed.into();
        let (secret, environment) = (proof.0.secret(), proof.0.environment());
        if snapshot.secret.id != secret {
            return Err(Problem::internal("a proof was presented for another secret"));
        }
        let generation = tacit_crypto::generation_of(record).map_err(Problem::internal)?;
        let key = self.0.keys.generation(workspace, environment, generation).await?;
        let what = (number, purpose);
        let context =
            self.context(workspace, environment, what, &snapshot.secret, &snapshot.secret.destinations);
        tacit_crypto::open(&key.handle, generation, &context, record).map_err(Problem::internal)
    }

    /// Seals a value for its place. Sealing needs no proof: it takes a value and yields ciphertext.
    pub(crate) async fn seal(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
        secret: &Secret,
        version: i64,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        self.seal_as((version, Purpose::SecretValue), workspace, environment, secret, plaintext).await
    }

    /// The same of a token that was fetched with a value.
    pub(crate) async fn seal_token(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
        secret: &Secret,
        serial: i64,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        self.seal_as((serial, Purpose::FetchedToken), workspace, environment, secret, plaintext).await
    }

    async fn seal_as(
        &self,
        what: (i64, Purpose),
        workspace: WorkspaceId,
        environment: EnvironmentId,
        secret: &Secret,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        let key = self.0.keys.newest(workspace, environment).await?;
        let context = self.context(workspace, environment, what, secret, &secret.destinations);
        tacit_crypto::seal(&key.handle, key.generation, &context, plaintext).map_err(Problem::internal)
    }

    /// From ciphertext to ciphertext: the same value under another policy, as another version or in another environment. One
    /// proof is for where it is and one for where it goes; within an environment they are the same.
    pub(crate) async fn reseal(
        &self,
        workspace: WorkspaceId,
        (here, there): (&Authorized<Reseal>, &Authorized<Reseal>),
        old: &Snapshot,
        sealed: impl Into<Sealed<'_>>,
        new_destinations: &Destinations,
        new_number: i64,
    ) -> Result<Vec<u8>, Problem> {
        let Sealed { number, purpose, record } = sealed.into();
        if old.secret.id != here.secret() || old.secret.id != there.secret() {
            return Err(Problem::internal("a proof was presented for another secret"));
        }
        if here.revision() != there.revision() {
            return Err(Problem::internal("two proofs were made from different revisions"));
        }
        let generation = tacit_crypto::generation_of(record).map_err(Problem::internal)?;
        let from_key = self.0.keys.generation(workspace, here.environment(), generation).await?;
        let to_key = self.0.keys.newest(workspace, there.environment()).await?;
        let (secret, destinations) = (&old.secret, &old.secret.destinations);
        let from = self.context(workspace, here.environment(), (number, purpose), secret, destinations);
        let to =
            self.context(workspace, there.environment(), (new_number, purpose), secret, new_destinations);
        tacit_crypto::reseal(
            Place { key: &from_key.handle, generation, context: &from },
            record,
            Place { key: &to_key.handle, generation: to_key.generation, context: &to },
        )
        .map_err(Problem::internal)
    }

    /// The place a record belongs to, rebuilt from where it was found. The type is part of the policy: a client secret read
    /// as a plain text would go where a text may go.
    fn context(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
        (number, purpose): (i64, Purpose),
        secret: &Secret,
        destinations: &Destinations,
    ) -> RecordContext {
        #[cfg(all(test, debug_assertions))]
        let (workspace, environment) = match crate::isolation::seals_for_nobody() {
            true => (WorkspaceId::from_bytes([0; 16]), EnvironmentId::from_bytes([0; 16])),
            false => (workspace, environment),
        };
        let mut policy = Vec::new();
        for part in [secret.kind.as_str(), secret.visibility.as_str()] {
            policy.extend_from_slice(part.as_bytes());
            policy.push(0);
        }
        policy.extend_from_slice(&destinations.canonical_bytes());
        RecordContext {
            instance: *self.0.instance.as_bytes(),
            workspace: *workspace.as_bytes(),
            environment: *environment.as_bytes(),
            secret: *secret.id.as_bytes(),
            version: number.unsigned_abs(),
            purpose,
            policy_hash: policy_hash(&policy),
        }
    }
}
