//! Access tokens: what a request with OAuth2 client credentials carries instead of the client secret.
//!
//! A token is fetched by the broker on the authority of the request that needs it. The fetch is a use of its own: decided
//! with the request's authority, its intent durable before the client secret is opened, its outcome written together with
//! the token. From then on the token is a value like others: sealed in the database, opened for one request at a time,
//! looked for in every answer in which its secret is. That a token was added moves the workspace's revision, so that every
//! process knows of it before it can come back from anywhere.

mod fared;

use std::sync::Arc;

pub(crate) use fared::Tokens;
pub use fared::UsedToken;

use serde_json::{Map, Value};
use tacit_audit::{MethodText, TargetText, Verb};
use tacit_model::{
    Code, EnvironmentId, Fields, Place, Problem, RequestPath, SecretId, SecretName, Target, Timestamp,
    WorkspaceId, destination::ResponseRule,
};
use tacit_store::{
    Change, WriteError, secrets,
    secrets::Version,
    tokens::{self, AccessToken},
};

use super::{Decided, Intents, Outcome, PreparedUse, RecordedUse, UseRequest, Used, outcome_of};
use crate::{
    ATTEMPTS, Stop, Vault,
    access::{Access, Snapshot},
    authorize::{Authorized, Use},
    busy,
    decrypt::Recorded,
    secrets::object_of,
};

/// How long a token is sent whose service did not say how long it lives.
const UNSAID_SECS: i64 = 300;
/// How long a token is sent at most.
const SENT_SECS_MAX: i64 = 24 * 3_600;
/// It is not sent any more so long before its end, or in the last quarter of a short life.
const MARGIN_SECS: i64 = 60;
/// Answers are searched for it so long after its end: nobody's clock is exact.
const KEPT_SECS: i64 = 3_600;
/// Tokens of one value that are replaced before their time while they still work. Whoever can have a service say 401 could
/// otherwise push one that works out of those that answers are searched for (`tacit_store::tokens` keeps sixteen).
const REPLACED_EARLY_MAX: usize = 8;

/// Whether a use has the token that it needs.
pub(super) enum TokenState {
    /// It needs none.
    NotNeeded,
    /// It must be fetched first.
    Missing(TokenKey),
    /// It is there, sealed. `may_renew` is whether it may be replaced if the service refuses it.
    There { token: AccessToken, may_renew: bool },
}

/// Which token is missing: requests that miss the same one wait for one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Fetched with this secret's value
    pub secret: SecretId,
    /// in this environment,
    pub environment: EnvironmentId,
    /// of this version. Scopes are part of it.
    pub version: i64,
    /// A service refused all up to this one.
    pub after: i64,
}

/// A permitted fetch.
pub struct PreparedFetch {
    fetch: Fetch,
    revision: i64,
    proof: Authorized<Use>,
    intents: Intents,
    /// Whether the client secret was never sent to this host before.
    is_first: bool,
    /// Where the token comes from.
    pub target: Target,
    /// The same, behind the authority.
    pub path: RequestPath,
}

/// A permitted fetch whose intent is durable.
pub struct RecordedFetch {
    fetch: Fetch,
    revision: i64,
    proof: Recorded<Use>,
    intents: Intents,
}

/// For which value a token is fetched.
pub struct Fetch {
    workspace: WorkspaceId,
    snapshot: Arc<Snapshot>,
    environment: EnvironmentId,
    version: Version,
    /// The greatest number that a token of this value has, or that was refused.
    newest: i64,
    token_url: String,
}

impl RecordedFetch {
    /// The intents alone, of a fetch that ends before the client secret is opened.
    pub fn into_intents(self) -> Intents {
        self.intents
    }
}

impl Fetch {
    /// The secret's name.
    pub fn name(&self) -> &SecretName {
        &self.snapshot.secret.name
    }
}

impl PreparedUse {
    /// The first token that the request needs and that is not there.
    pub fn lacks_token(&self) -> Option<TokenKey> {
        lacking(&self.used)
    }
}

impl RecordedUse {
    /// Whether it needs a token that is not there any more: its secret was rotated since it was decided.
    pub fn lacks_token(&self) -> bool {
        lacking(&self.prepared.used).is_some()
    }
}

fn lacking(used: &[Used]) -> Option<TokenKey> {
    used.iter().find_map(|used| if let TokenState::Missing(key) = &used.token { Some(*key) } else { None })
}

impl Vault {
    /// Whether a permitted use of a secret needs a token, and has it.
    pub(super) async fn token_state(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        environment: EnvironmentId,
        version: i64,
    ) -> Result<TokenState, Stop> {
        if snapshot.secret.kind != tacit_model::SecretType::Oauth2ClientCredentials {
            return Ok(TokenState::NotNeeded);
        }
        let tokens = self.sealed_tokens(&access.view, &snapshot.secret, environment).await?;
        let secret = snapshot.secret.id;
        let after = self.0.tokens.refused(secret, environment);
        let is_usable = |token: &&AccessToken| {
            token.version == version
                && token.serial > after
                && !token.ended
                && token.usable_until > access.now
        };
        Ok(match tokens.iter().find(is_usable) {
            Some(token) => TokenState::There {
                token: token.clone(),
                may_renew: replaced_early(&tokens, access.now) < REPLACED_EARLY_MAX,
            },
            None => {
                let workspace = access.view.workspace.id;
                TokenState::Missing(TokenKey { workspace, secret, environment, version, after })
            }
        })
    }

    /// Decides a request once more, without counting it: after a token was fetched for it.
    ///
    /// # Errors
    /// As [`Vault::prepare_use`], but for `rate_limited`.
    pub async fn decide_again(&self, request: &UseRequest<'_>) -> Result<PreparedUse, Problem> {
        self.decide_use(request).await
    }

    /// Decides whether a missing token may be fetched for a request: if the request may be made. `None` if the token is there
    /// by now. A refusal is on the record when this returns.
    ///
    /// # Errors
    /// As [`Vault::prepare_use`].
    pub async fn prepare_fetch(&self, request: &UseRequest<'_>) -> Result<Option<PreparedFetch>, Problem> {
        crate::settle!(self, request.caller, |access| self.prepare_fetch_once(&access, request))
    }

    async fn prepare_fetch_once(
        &self,
        access: &Access,
        request: &UseRequest<'_>,
    ) -> Result<Option<PreparedFetch>, Stop> {
        access.environment(request.environment)?;
        let basis = self.basis(access, request).await?;
        let mut decided = Decided::new(ResponseRule::Scrub);
        for slot in request.slots {
            self.decide_slot(access, request, &basis, slot, &mut decided).await?;
        }
        let uses = decided.used.into_iter().zip(decided.proofs);
        let is_missing = |used: &Used| matches!(used.token, TokenState::Missing(_));
        let Some((used, proof)) = uses.into_iter().find(|(used, _)| is_missing(used)) else {
            return Ok(None);
        };
        let Used { snapshot, versions, current, token, .. } = used;
        let TokenState::Missing(key) = token else { return Ok(None) };
        let version = versions.iter().find(|version| version.version == current).ok_or(Stop::Stale)?.clone();
        let shown: Map<String, Value> = serde_json::from_str(&version.shown).map_err(Problem::internal)?;
        let token_url = shown.get("token_url").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (target, path) = Target::parse_url(&token_url).map_err(Problem::internal)?;
        let at_host = self.at_host(&access.view, target.host()).await?;
        let was_sent = |id| at_host.iter().any(|other| other.was_sent && other.snapshot.secret.id == id);
        let tokens = self.sealed_tokens(&access.view, &snapshot.secret, key.environment).await?;
        let mut intent = self.intent(access, request, Verb::SecretUse, object_of(&snapshot));
        intent.detail.target = Some(TargetText::new(&target));
        intent.detail.method = MethodText::new("POST");
        intent.detail.places = vec![Place::Auth];
        intent.detail.version = Some(current.unsigned_abs());
        Ok(Some(PreparedFetch {
            is_first: !was_sent(key.secret),
            fetch: Fetch {
                workspace: access.view.workspace.id,
                newest: tokens.first().map_or(0, |token| token.serial).max(key.after),
                environment: key.environment,
                snapshot,
                version,
                token_url,
            },
            revision: access.view.revision,
            proof,
            intents: Intents { workspace: access.view.workspace.id, events: vec![intent] },
            target,
            path,
        }))
    }

    /// Makes the intent of a fetch durable. `None` if the workspace changed since it was decided: decide again.
    ///
    /// # Errors
    /// `audit_unavailable`.
    pub async fn record_fetch(&self, prepared: PreparedFetch) -> Result<Option<RecordedFetch>, Problem> {
        let PreparedFetch { fetch, revision, proof, intents, is_first, target, .. } = prepared;
        let secret = fetch.snapshot.secret.id;
        let sent = secrets::insert_sent(fetch.workspace, secret, &target.host().to_string());
        let first = if is_first { vec![sent] } else { Vec::new() };
        match self.record_intent(fetch.workspace, revision, vec![proof], &intents.events, first).await {
            Ok((mut recorded, revision)) => {
                let lost = || Problem::internal("an intent was lost");
                let proof = recorded.pop().ok_or_else(lost)?;
                Ok(Some(RecordedFetch { fetch, revision, proof, intents }))
            }
            Err(Stop::Stale) => Ok(None),
            Err(Stop::Problem(problem)) => Err(problem),
        }
    }

    /// Whether nothing changed in the workspace since the intent became durable.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn fetch_is_current(&self, recorded: &RecordedFetch) -> Result<bool, Problem> {
        let revision = self.0.store.revision(recorded.fetch.workspace).await.map_err(Problem::internal)?;
        Ok(revision == recorded.revision)
    }

    /// The client credentials for a fetch whose intent is on the record: for its token URL alone.
    pub async fn open_fetch(&self, recorded: RecordedFetch) -> (Intents, Result<(Fetch, Fields), Problem>) {
        let RecordedFetch { fetch, proof, intents, .. } = recorded;
        let opened = self.open_fields(fetch.workspace, &proof, &fetch.snapshot, &fetch.version).await;
        let checked = opened.and_then(|fields| {
            // Where it goes was read beside the sealed record, to connect before opening. What is sealed decides.
            if fields.text("token_url") == Some(fetch.token_url.as_str()) {
                Ok((fetch, fields))
            } else {
                Err(Problem::internal("a token URL is not the one that was sealed"))
            }
        });
        (intents, checked)
    }

    /// Keeps a fetched token, together with the outcome of its fetch. `lives_secs` is what the service said of its life.
    ///
    /// A token endpoint takes as long as it likes, so the token is sealed for what its secret is by then: under the policy of
    /// now, and not to be sent if the secret was switched off, deleted or changed meanwhile.
    ///
    /// # Errors
    /// The change cannot be written; then the token is worth nothing, and the outcome is not on the record.
    pub async fn keep_token(
        &self,
        fetch: &Fetch,
        token: &Fields,
        lives_secs: Option<i64>,
        (intents, outcome): (&Intents, &Outcome),
        now: Timestamp,
    ) -> Result<(), Problem> {
        let turn = self.turn(fetch.workspace);
        let _turn = turn.lock().await;
        for _ in 0..ATTEMPTS {
            // The revision first: what is read after it may be newer than it says, and then the conditional write fails.
            let revision = self.0.store.revision(fetch.workspace).await.map_err(Problem::internal)?;
            let mut change = Change::new(fetch.workspace).only_at(revision).bump();
            if let Some(snapshot) = self.snapshot_now(fetch).await? {
                let row = self.token_row(fetch, &snapshot, token, lives_secs, now).await?;
                let kept = tokens::insert(fetch.workspace, snapshot.secret.id, fetch.environment, &row, now);
                change = change.and_all(kept);
            }
            for intent in &intents.events {
                let seen = self.0.observed.of(intent, outcome, now);
                change = change.and_all(seen).record(&outcome_of(intent, outcome, now));
            }
            match self.0.store.write(change).await {
                Ok(_) => return Ok(()),
                Err(WriteError::Stale) => {}
                Err(error) => return Err(Problem::audit_unavailable(error)),
            }
        }
        Err(busy())
    }

    /// What the secret of a fetch is by now; none if it is gone.
    async fn snapshot_now(&self, fetch: &Fetch) -> Result<Option<Snapshot>, Problem> {
        let (store, id) = (&self.0.store, fetch.snapshot.secret.id);
        let secret = store.secret_by_id(fetch.workspace, id).await.map_err(Problem::internal)?;
        let Some(secret) = secret else { return Ok(None) };
        let values = store.values(fetch.workspace, id).await.map_err(Problem::internal)?;
        Ok(Some(Snapshot { secret, values }))
    }

    async fn token_row(
        &self,
        fetch: &Fetch,
        snapshot: &Snapshot,
        token: &Fields,
        lives_secs: Option<i64>,
        now: Timestamp,
    ) -> Result<AccessToken, Problem> {
        let secret = &snapshot.secret;
        let is_off = secret.disabled
            || secret.deleted_at.is_some()
            || snapshot.value(fetch.environment).is_none_or(|value| value.disabled);
        let serial = now.as_millis().max(fetch.newest + 1);
        let sealed =
            self.seal_token(fetch.workspace, fetch.environment, secret, serial, &token.encode()).await?;
        let (sent_secs, kept_secs) = lifetimes(lives_secs);
        Ok(AccessToken {
            serial,
            version: fetch.version.version,
            sealed,
            usable_until: now.plus_secs(sent_secs),
            kept_until: now.plus_secs(kept_secs),
            // Switched off and on again counts too: what was fetched before does not come back with the secret.
            ended: is_off || secret.updated_at != fetch.snapshot.secret.updated_at,
        })
    }

    /// What a service answered to a request with tokens in it. Returns whether one of them should be fetched anew and the
    /// request sent again: the service refused it, and it is worth a try.
    pub fn heard_of_tokens(&self, used: &[UsedToken], status: u16, now: Timestamp) -> bool {
        let mut renews = false;
        for token in used {
            renews |= self.0.tokens.heard(*token, status, now);
        }
        renews
    }

    /// What stands in a request of client credentials: what is shown of them, and the token.
    pub(super) async fn open_token(
        &self,
        workspace: WorkspaceId,
        proof: &Recorded<Use>,
        snapshot: &Snapshot,
        version: &Version,
        (token, may_renew): (&AccessToken, bool),
    ) -> Result<(Fields, UsedToken), Problem> {
        let fields = self.open_token_fields(workspace, proof, snapshot, token).await?;
        let shown: Map<String, Value> = serde_json::from_str(&version.shown).map_err(Problem::internal)?;
        let (secret, environment) = (snapshot.secret.id, proof.environment());
        let used = UsedToken { secret, environment, serial: token.serial, may_renew };
        Ok((Fields::with_access_token(&shown, &fields), used))
    }

    /// A token as the value that it is: a bearer token.
    pub(super) async fn open_token_fields<V: crate::decrypt::Opens>(
        &self,
        workspace: WorkspaceId,
        proof: &Recorded<V>,
        snapshot: &Snapshot,
        token: &AccessToken,
    ) -> Result<Fields, Problem> {
        let value = self.open(workspace, proof, snapshot, token).await?;
        Fields::decode(tacit_model::SecretType::BearerToken, value.dangerous_expose())
            .ok_or_else(|| Problem::internal("a token does not decode"))
    }
}

/// How many tokens, newest first, were replaced while they could still be sent, and may still work.
fn replaced_early(tokens: &[AccessToken], now: Timestamp) -> usize {
    let is_early = |next: &AccessToken, token: &AccessToken| {
        next.version == token.version
            && next.serial < token.usable_until.as_millis()
            && now < token.kept_until.plus_secs(-KEPT_SECS)
    };
    tokens.windows(2).filter(|pair| is_early(&pair[0], &pair[1])).count()
}

/// For how many seconds a token is sent, and looked for.
fn lifetimes(lives_secs: Option<i64>) -> (i64, i64) {
    let Some(lives) = lives_secs.map(|secs| secs.clamp(0, SENT_SECS_MAX)) else {
        // Nobody knows for how long it works.
        return (UNSAID_SECS, SENT_SECS_MAX);
    };
    let margin = MARGIN_SECS.min((lives + 3) / 4);
    ((lives - margin).max(1), lives + KEPT_SECS)
}

/// What is told where the token endpoint did not give a token: nothing of what it said.
pub fn no_token(name: &SecretName, code: Code, what: &str) -> Problem {
    Problem::new(code, format!("the token endpoint of `{name}` {what}")).suggest(
        "have someone who may write the secret check its client id, client secret, token URL and scopes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);

    /// A token is not sent in the last minute of its life, or the last quarter of a short one; never for longer than a day.
    #[test]
    fn lives_of_tokens() {
        assert_eq!(lifetimes(Some(3_600)).0, 3_540);
        assert_eq!(lifetimes(Some(60)).0, 45);
        assert_eq!(lifetimes(Some(4)).0, 3);
        assert_eq!(lifetimes(Some(3)).0, 2);
        assert_eq!(lifetimes(Some(1)).0, 1);
        assert_eq!(lifetimes(Some(0)).0, 1);
        assert_eq!(lifetimes(Some(-7)).0, 1);
        assert_eq!(lifetimes(Some(i64::MAX)).0, SENT_SECS_MAX - MARGIN_SECS);
        assert_eq!(lifetimes(None), (UNSAID_SECS, SENT_SECS_MAX));
    }

    /// Tokens that were replaced before their time count as long as they may work; those that ran out, or were fetched with
    /// other credentials, do not.
    #[test]
    fn replacing_has_an_end() {
        let at = |secs: i64, version| AccessToken {
            serial: NOW.plus_secs(secs).as_millis(),
            version,
            sealed: Vec::new(),
            usable_until: NOW.plus_secs(secs + 3_540),
            kept_until: NOW.plus_secs(secs + 3_600 + KEPT_SECS),
            ended: false,
        };
        let tokens = [at(7_000, 2), at(6_000, 2), at(5_000, 2), at(1_000, 2), at(900, 1)];
        assert_eq!(
            replaced_early(&tokens, NOW.plus_secs(7_000)),
            2,
            "the fourth ran out, the fifth is another's"
        );
        assert_eq!(replaced_early(&tokens, NOW.plus_secs(9_000)), 1, "the third is over");
        assert_eq!(replaced_early(&tokens[..1], NOW), 0);
    }
}
