//! The use of secrets in one request: decide, put on the record, open.
//!
//! [`Vault::prepare_use`] decides and yields proofs. [`Vault::record_use`] makes the intent durable; the broker does
//! this while it connects. [`Vault::open_use`] yields the values, to the broker alone, for one request. In between lies
//! nothing that another caller could reach.

mod authority;
mod coverage;
mod observed;
mod scans;
mod tokens;

use std::{net::IpAddr, sync::Arc};

use authority::{Basis, principals, request_detail};
pub use coverage::Coverage;
pub(crate) use observed::Observed;
pub use scans::PlanId;
pub(crate) use scans::ScanPlan;
use tokens::TokenState;
pub(crate) use tokens::Tokens;
pub use tokens::{Fetch, PreparedFetch, RecordedFetch, TokenKey, UsedToken, no_token};

use tacit_audit::{
    Code as RecordedCode, Detail, Event, MethodText, Object, ObjectKind, Outcome as EventOutcome, RuleText,
    Verb,
};
use tacit_model::{
    Code, Destination, EnvironmentName, EventId, Fields, HostKey, Place, Problem, Right, SecretId,
    SecretName, SecretType, Target, Timestamp, WorkspaceId, destination::ResponseRule,
};
use tacit_store::{
    Change, runs,
    secrets::{self, Version},
};

use crate::{
    Caller, RunTicket, Stop, Vault,
    access::{Access, Snapshot},
    authorize::{self, Authorized, Purpose, Use},
    automations::unknown_secret,
    busy,
    decrypt::Recorded,
    leases::Lease,
    new_id,
    secrets::object_of,
    values::current_version,
};

/// On whose authority secrets are used.
#[derive(Clone, Copy)]
pub enum Using<'a> {
    /// The caller's own: `POST …/requests`.
    Caller,
    /// A run's: the automation's grants, the published hash, and the trigger's right to run.
    Run {
        /// The run.
        ticket: &'a RunTicket,
        /// The step.
        step: &'a str,
    },
    /// A lease's: the rights of whoever took it, but for `secret.reveal`, and the secrets it has placeholders for. The
    /// caller is [`Lease::caller`].
    Lease(&'a Lease),
}

/// A secret that a request carries, and where.
#[derive(Clone, Debug)]
pub struct SecretSlot {
    /// Its name.
    pub name: SecretName,
    /// Its place.
    pub place: Place,
}

/// A request that is about to be sent, as far as the decision needs it.
pub struct UseRequest<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// On whose authority.
    pub using: Using<'a>,
    /// In which environment.
    pub environment: &'a EnvironmentName,
    /// Where to.
    pub target: &'a Target,
    /// The method.
    pub method: &'a str,
    /// The path in normal form; a segment that will hold a secret reads `{secret}`.
    pub path: &'a str,
    /// A second path that must be allowed like the first: where a file is moved to.
    pub other_path: Option<&'a str>,
    /// The secrets in it.
    pub slots: &'a [SecretSlot],
    /// Whether it also carries a credential that is not a stored secret.
    pub foreign_credential: bool,
}

/// A permitted request: proofs, and what the broker needs to know to connect.
pub struct PreparedUse {
    workspace: WorkspaceId,
    revision: i64,
    proofs: Vec<Authorized<Use>>,
    used: Vec<Used>,
    /// What is looked for in the answer.
    plan: Arc<ScanPlan>,
    /// The secrets that were never sent to this host before.
    first_sent: Vec<SecretId>,
    host_key: String,
    intents: Vec<Event>,
    /// The strictest word of the destinations about the answer.
    pub response: ResponseRule,
    /// Whether a destination names the target's host, so that allowed private ranges may be dialled.
    pub is_named: bool,
    /// The keys that an SFTP server may have: those of the destinations that allow this use.
    pub host_keys: Vec<HostKey>,
    /// Whether bytes may pass to the target unread, as far as the destinations there are concerned.
    pub bears_a_tunnel: bool,
    /// What connections may be shared by: the same workspace, principal, lease, secrets and policy.
    pub pool_key: [u8; 32],
}

/// What was decided about the secrets of a request.
struct Decided {
    proofs: Vec<Authorized<Use>>,
    used: Vec<Used>,
    intents: Vec<Event>,
    response: ResponseRule,
    host_keys: Vec<HostKey>,
}

impl Decided {
    fn new(response: ResponseRule) -> Self {
        Self { proofs: Vec::new(), used: Vec::new(), intents: Vec::new(), response, host_keys: Vec::new() }
    }

    fn has(&self, secret: SecretId) -> bool {
        self.used.iter().any(|used| used.snapshot.secret.id == secret)
    }
}

/// A value that goes into the request.
struct Used {
    snapshot: Arc<Snapshot>,
    versions: Arc<Vec<Version>>,
    /// The version in force.
    current: i64,
    /// Whether a destination that allows it may send back what it gets.
    echoes: bool,
    /// Whether the request needs a token that is fetched with the value.
    token: TokenState,
}

/// A prepared use whose intent is durable.
pub struct RecordedUse {
    prepared: PreparedUse,
    recorded: Vec<Recorded<Use>>,
    /// The workspace's revision when the intent became durable.
    revision: i64,
}

/// One value, in the order of the request's slots.
pub struct OpenedValue {
    /// The secret's name.
    pub name: SecretName,
    /// Its type.
    pub kind: SecretType,
    /// Its fields.
    pub fields: Fields,
    /// Whether the destination may send back what it gets.
    pub echoes: bool,
}

/// What the broker gets for one request.
pub struct Opened {
    /// Values by slot.
    pub values: Vec<OpenedValue>,
    /// The fetched tokens among them.
    pub tokens: Vec<UsedToken>,
    /// Every value that may come back, still sealed.
    pub scans: Scans,
    /// What this is all of.
    pub coverage: Coverage,
}

/// The values that may come back in the answer to a request that is on the record.
pub struct Scans {
    workspace: WorkspaceId,
    plan: Arc<ScanPlan>,
    act: Vec<Recorded<Use>>,
}

impl Scans {
    /// Which values these are. Whatever changes one of them changes this.
    pub fn id(&self) -> &PlanId {
        &self.plan.id
    }
}

/// A value that may come back in an answer.
pub struct ScannedValue {
    /// What stands in its place.
    pub marker: String,
    /// Its type.
    pub kind: SecretType,
    /// Its fields.
    pub fields: Fields,
    /// Whether it was sent to this host before in a place where services store things, and nobody promised that the host
    /// does not send it back: if it is too short to be recognised, nothing of an answer from there may be shown.
    pub was_sent: bool,
}

/// The intents of a request, to which its outcome belongs.
pub struct Intents {
    workspace: WorkspaceId,
    events: Vec<Event>,
}

/// How a request ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The code it failed with.
    pub code: Option<Code>,
    /// The upstream's status.
    pub status: Option<u16>,
    /// The address that was dialled.
    pub address: Option<IpAddr>,
    /// Bytes of the answer after scrubbing.
    pub body_bytes: Option<u64>,
    /// Findings of the scrubber.
    pub findings: Option<u64>,
    /// Secrets with values that were written while the answer came, opened to search it for them too.
    pub newer: Vec<SecretId>,
    /// Microseconds from the decision to the end.
    pub duration_us: Option<u64>,
}

impl Vault {
    /// Decides whether a request may carry its secrets. A refusal is on the record when this returns.
    ///
    /// # Errors
    /// Any refusal of the contract, in its order: right, state, destination, placement.
    ///
    /// `rate_limited` comes before all of these, and `unauthenticated` if the lease is not in force.
    pub async fn prepare_use(&self, request: &UseRequest<'_>) -> Result<PreparedUse, Problem> {
        match self.spend(&self.access(request.caller).await?, request).await {
            Ok(()) => self.decide_use(request).await,
            Err(Stop::Problem(problem)) => Err(problem),
            Err(Stop::Stale) => Err(busy()),
        }
    }

    async fn decide_use(&self, request: &UseRequest<'_>) -> Result<PreparedUse, Problem> {
        crate::settle!(self, request.caller, |access| self.prepare_use_once(&access, request))
    }

    async fn prepare_use_once(&self, access: &Access, request: &UseRequest<'_>) -> Result<PreparedUse, Stop> {
        access.environment(request.environment)?;
        let basis = self.basis(access, request).await?;
        let at_host = self.at_host(&access.view, request.target.host()).await?;
        let mut decided = Decided::new(scans::rule_of_host(&at_host, request));
        for slot in request.slots {
            self.decide_slot(access, request, &basis, slot, &mut decided).await?;
        }
        if request.slots.is_empty() {
            let intent = self.intent(access, request, Verb::RequestSend, request_object(access, request));
            if let Err(problem) = basis.check_bare(access, request.environment) {
                return Err(self.refuse_event(access, intent, problem).await);
            }
            decided.intents.push(intent);
        }
        if request.foreign_credential
            && let Some(owner) = scans::exclusive_owner(&at_host, request.target)
        {
            let intent = self.intent(access, request, Verb::SecretUse, object_of(owner));
            return Err(self.refuse_event(access, intent, foreign_credential(request.target)).await);
        }
        let mut first_sent = Vec::new();
        for used in &decided.used {
            let id = used.snapshot.secret.id;
            let known = at_host.iter().any(|other| other.was_sent && other.snapshot.secret.id == id);
            if !known && !first_sent.contains(&id) {
                first_sent.push(id);
            }
        }
        let pool_key = pool_key(access, request, &decided);
        let plan = self.scan_plan(access, request, &basis, &at_host, &decided, &pool_key).await?;
        if let Some(intent) = decided.intents.first_mut() {
            intent.detail.secrets = plan.others.clone();
        }
        let Decided { proofs, used, intents, response, host_keys } = decided;
        Ok(PreparedUse {
            workspace: access.view.workspace.id,
            revision: access.view.revision,
            proofs,
            used,
            response: if plan.scans.is_some() { response } else { ResponseRule::StatusOnly },
            plan,
            first_sent,
            host_key: request.target.host().to_string(),
            intents,
            is_named: scans::is_named(&at_host, request.target),
            host_keys,
            bears_a_tunnel: scans::bears_a_tunnel(&at_host, request.target),
            pool_key,
        })
    }

    /// Whether one secret may stand in its place of the request; if so, its proof and its intent.
    async fn decide_slot(
        &self,
        access: &Access,
        request: &UseRequest<'_>,
        basis: &Basis,
        slot: &SecretSlot,
        decided: &mut Decided,
    ) -> Result<(), Stop> {
        let environment = access.environment(request.environment)?;
        let found = self.snapshot_or_deleted(&access.view, &slot.name.key()).await?;
        let Some(snapshot) = found.filter(|found| basis.may_know(access, &found.secret, environment.id))
        else {
            return Err(unknown_secret(&slot.name).into());
        };
        let mut intent = self.intent(access, request, Verb::SecretUse, object_of(&snapshot));
        intent.detail.places = vec![slot.place.clone()];
        let purpose = Purpose {
            target: request.target,
            method: request.method,
            path: request.path,
            other_path: request.other_path,
            place: &slot.place,
            environment: environment.id,
            environment_name: &environment.name,
        };
        let permitted = match authorize::use_in_request(
            basis.of(access, &snapshot.secret, environment.id),
            &snapshot,
            &purpose,
            access.view.revision,
        ) {
            Ok(permitted) => permitted,
            Err(problem) => {
                let problem = if may_aim(access, &snapshot.secret) { problem } else { without_aim(problem) };
                return Err(self.refuse_event(access, intent, problem).await);
            }
        };
        let versions = self.sealed_versions(&access.view, snapshot.secret.id, environment.id).await?;
        let current = current_version(&snapshot, environment.id, &versions)?.version;
        intent.detail.version = Some(current.unsigned_abs());
        intent.detail.rule = permitted.destination.map(|destination| rule_of(destination, request.path));
        decided.response = decided.response.max(permitted.response);
        let echoes = permitted.echoes;
        decided.host_keys.extend(permitted.host_keys);
        decided.proofs.push(permitted.proof);
        let token = self.token_state(access, &snapshot, environment.id, current).await?;
        decided.used.push(Used { snapshot, versions, current, echoes, token });
        match decided.intents.iter_mut().find(|other| other.object == intent.object) {
            Some(other) => other.detail.places.extend(intent.detail.places),
            None => decided.intents.push(intent),
        }
        Ok(())
    }

    /// An event of this request, by whoever acts in it.
    fn intent(&self, access: &Access, request: &UseRequest<'_>, verb: Verb, object: Object) -> Event {
        let mut event =
            self.event(access, verb, object, EventOutcome::Allowed, request_detail(access, request));
        (event.actor, event.on_behalf_of) = principals(access, request);
        event.environment = Some(request.environment.clone());
        event
    }

    /// Puts on the record that a request was refused on its way, after it had been permitted. Returns what the caller is
    /// told.
    pub async fn refuse_use(&self, request: &UseRequest<'_>, problem: Problem) -> Problem {
        let access = match self.access(request.caller).await {
            Ok(access) => access,
            Err(problem) => return problem,
        };
        let mut intent = self.intent(&access, request, Verb::RequestSend, request_object(&access, request));
        if let Some(slot) = request.slots.first()
            && let Ok(Some(snapshot)) = self.snapshot_or_deleted(&access.view, &slot.name.key()).await
        {
            intent.verb = Verb::SecretUse;
            intent.object = object_of(&snapshot);
        }
        match self.refuse_event(&access, intent, problem).await {
            Stop::Problem(problem) => problem,
            Stop::Stale => busy(),
        }
    }

    /// Puts on the record that a request was refused before it could be judged, because of where a secret stands in it.
    /// Other broken rules are bad input and not refusals. Returns what the caller is told.
    pub async fn refuse_request(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        method: &str,
        problem: Problem,
    ) -> Problem {
        if problem.code != Code::PlacementNotAllowed {
            return problem;
        }
        let access = match self.access(caller).await {
            Ok(access) => access,
            Err(problem) => return problem,
        };
        let object = Object::new(ObjectKind::Request, access.request_id, method);
        let mut event = self.event(
            &access,
            Verb::RequestSend,
            object,
            EventOutcome::Allowed,
            Detail { method: MethodText::new(method), ..Detail::default() },
        );
        event.environment = Some(environment.clone());
        match self.refuse_event(&access, event, problem).await {
            Stop::Problem(problem) => problem,
            Stop::Stale => busy(),
        }
    }

    /// Makes the intent durable, deciding again if the workspace changed since.
    ///
    /// # Errors
    /// A refusal, if the second look refuses; `audit_unavailable`.
    pub async fn record_use(
        &self,
        mut prepared: PreparedUse,
        request: &UseRequest<'_>,
    ) -> Result<RecordedUse, Problem> {
        for _ in 0..crate::ATTEMPTS {
            let proofs = std::mem::take(&mut prepared.proofs);
            let sent = |id: &SecretId| secrets::insert_sent(prepared.workspace, *id, &prepared.host_key);
            let first_sent = prepared.first_sent.iter().map(sent).collect();
            let (workspace, revision) = (prepared.workspace, prepared.revision);
            let intents = &prepared.intents;
            let begins = match request.using {
                Using::Run { ticket, step } => {
                    Some(runs::begin_step(workspace, ticket.run, ticket.node, step))
                }
                Using::Caller | Using::Lease(_) => None,
            };
            match self.record_intent_with(workspace, revision, proofs, intents, first_sent, begins).await {
                Ok((recorded, revision)) => return Ok(RecordedUse { prepared, recorded, revision }),
                Err(Stop::Problem(problem)) => return Err(problem),
                Err(Stop::Stale) if !self.has_run(request).await? => return Err(lost_run()),
                Err(Stop::Stale) => prepared = self.decide_use(request).await?,
            }
        }
        Err(busy())
    }

    /// Whether this node still has the run that a request belongs to, if it belongs to one.
    async fn has_run(&self, request: &UseRequest<'_>) -> Result<bool, Problem> {
        let Using::Run { ticket, .. } = request.using else { return Ok(true) };
        let held = self.0.store.run_is_held(ticket.workspace, ticket.run, &ticket.node).await;
        held.map_err(Problem::internal)
    }

    /// Whether nothing changed in the workspace since the intent became durable. What took long to connect is decided
    /// again before its values are opened: a right that was withdrawn meanwhile is withdrawn for it too.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn is_current(&self, used: &RecordedUse) -> Result<bool, Problem> {
        let revision = self.0.store.revision(used.prepared.workspace).await.map_err(Problem::internal)?;
        Ok(revision == used.revision)
    }

    /// The values of a request whose intent is on the record, and the intents to which its outcome belongs.
    pub async fn open_use(&self, used: RecordedUse) -> (Intents, Result<Opened, Problem>) {
        let RecordedUse { mut prepared, recorded, revision } = used;
        let intents =
            Intents { workspace: prepared.workspace, events: std::mem::take(&mut prepared.intents) };
        (intents, self.open_prepared(prepared, recorded, revision).await)
    }

    async fn open_prepared(
        &self,
        prepared: PreparedUse,
        act: Vec<Recorded<Use>>,
        revision: i64,
    ) -> Result<Opened, Problem> {
        let workspace = prepared.workspace;
        let mut values = Vec::with_capacity(act.len());
        let mut tokens = Vec::new();
        for (proof, Used { snapshot, versions, current, echoes, token }) in act.iter().zip(&prepared.used) {
            let Some(version) = versions.iter().find(|version| version.version == *current) else {
                return Err(Problem::internal("a version vanished"));
            };
            let fields = match token {
                TokenState::NotNeeded => self.open_fields(workspace, proof, snapshot, version).await?,
                TokenState::There { token, may_renew } => {
                    let token = (token, *may_renew);
                    let (fields, used) = self.open_token(workspace, proof, snapshot, version, token).await?;
                    tokens.push(used);
                    fields
                }
                TokenState::Missing(_) => return Err(Problem::internal("a token was not fetched")),
            };
            let (name, kind) = (snapshot.secret.name.clone(), snapshot.secret.kind);
            values.push(OpenedValue { name, kind, fields, echoes: *echoes });
        }
        let coverage = Coverage::new(workspace, Arc::clone(&prepared.plan), revision);
        Ok(Opened { values, tokens, scans: Scans { workspace, plan: prepared.plan, act }, coverage })
    }

    async fn open_fields<V: crate::decrypt::Opens>(
        &self,
        workspace: WorkspaceId,
        proof: &Recorded<V>,
        snapshot: &Snapshot,
        version: &Version,
    ) -> Result<Fields, Problem> {
        let value = self.open(workspace, proof, snapshot, version).await?;
        Fields::decode(snapshot.secret.kind, value.dangerous_expose())
            .ok_or_else(|| Problem::internal("a value does not decode"))
    }

    /// Puts the outcome of a request on the record. Nobody waits for it.
    pub fn finish_use(&self, intents: &Intents, outcome: &Outcome, now: Timestamp) {
        let mut change = Change::new(intents.workspace);
        for intent in &intents.events {
            change = change
                .and_all(self.0.observed.of(intent, outcome, now))
                .record(&outcome_of(intent, outcome, now));
        }
        self.0.store.write_soon(change);
    }
}

impl RecordedUse {
    /// What the destinations say about the answer.
    pub fn response(&self) -> ResponseRule {
        self.prepared.response
    }

    /// The keys that an SFTP server may have.
    pub fn host_keys(&self) -> &[HostKey] {
        &self.prepared.host_keys
    }

    /// The intents alone, of a use that ends before its values are opened.
    pub fn into_intents(self) -> Intents {
        Intents { workspace: self.prepared.workspace, events: self.prepared.intents }
    }
}

fn outcome_of(intent: &Event, outcome: &Outcome, now: Timestamp) -> Event {
    Event {
        id: new_id!(EventId, now),
        at: now,
        outcome: match outcome.code {
            None => EventOutcome::Succeeded,
            // What the broker refuses on the way out is a refusal, although the intent was permitted.
            Some(code @ (Code::AddressBlocked | Code::RedirectRefused)) => {
                EventOutcome::Denied(RecordedCode::new(code.as_str()))
            }
            Some(code) => EventOutcome::Failed(RecordedCode::new(code.as_str())),
        },
        detail: Detail {
            intent: Some(intent.id),
            run: intent.detail.run,
            step: intent.detail.step.clone(),
            lease: intent.detail.lease,
            status: outcome.status,
            address: outcome.address,
            body_bytes: outcome.body_bytes,
            findings: outcome.findings,
            secrets: outcome.newer.clone(),
            duration_us: outcome.duration_us,
            request_id: intent.detail.request_id,
            ..Detail::default()
        },
        ..intent.clone()
    }
}

/// A node that was away for so long that another one took over does not send.
fn lost_run() -> Problem {
    Problem::new(Code::Interrupted, "this run was taken over elsewhere, so nothing was sent from here")
}

fn rule_of(destination: &Destination, path: &str) -> RuleText {
    destination.paths.iter().find(|pattern| pattern.matches(path)).map_or_else(RuleText::any, RuleText::new)
}

fn request_object(access: &Access, request: &UseRequest<'_>) -> Object {
    Object::new(ObjectKind::Request, access.request_id, request.method)
}

fn foreign_credential(target: &Target) -> Problem {
    Problem::new(
        Code::ForeignCredential,
        format!(
            "a request to {target} may carry no credential but stored secrets, because a secret is bound there exclusively"
        ),
    )
    .suggest("store the credential as a secret with this destination, or have someone who may aim set `exclusive: false`")
}

/// The destination to add is told to those who may add it.
fn may_aim(access: &Access, secret: &secrets::Secret) -> bool {
    access.rights_on(secret, None).has(Right::SecretPolicy)
}

fn without_aim(mut problem: Problem) -> Problem {
    if problem.destination.take().is_some() {
        problem.suggestion =
            Some("ask someone who may aim this secret (an owner or admin) to add the destination".to_owned());
    }
    problem
}

fn pool_key(access: &Access, request: &UseRequest<'_>, decided: &Decided) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(96 + decided.used.len() * 16);
    bytes.extend_from_slice(access.view.workspace.id.as_bytes());
    bytes.extend_from_slice(&access.view.revision.to_be_bytes());
    bytes.extend_from_slice(&principals(access, request).0.id);
    bytes.extend_from_slice(&access.principal.actor.id);
    // A grant ends without a new revision, and what could be named with it cannot be any more.
    for grant in access.principal.holdings.iter().filter_map(|held| held.grant) {
        bytes.extend_from_slice(grant.as_bytes());
    }
    if let Using::Lease(lease) = request.using {
        bytes.extend_from_slice(lease.id.as_bytes());
    }
    for used in &decided.used {
        bytes.extend_from_slice(used.snapshot.secret.id.as_bytes());
    }
    tacit_crypto::sha256(&bytes)
}
