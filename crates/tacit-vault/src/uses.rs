//! The use of secrets in one request: decide, put on the record, open.
//!
//! [`Vault::prepare_use`] decides and yields proofs. [`Vault::record_use`] makes the intent durable; the broker does
//! this while it connects. [`Vault::open_use`] yields the values, to the broker alone, for one request. In between lies
//! nothing that another caller could reach.

use std::{net::IpAddr, sync::Arc};

use tacit_audit::{
    Actor, Code as RecordedCode, Detail, Event, MethodText, Object, ObjectKind, Outcome as EventOutcome,
    RuleText, StepText, TargetText, Verb,
};
use tacit_model::{
    Code, Destination, EnvironmentName, EventId, Fields, Place, Problem, Right, SecretId, SecretName,
    SecretType, Target, Timestamp, WorkspaceId, destination::ResponseRule, limits,
};
use tacit_store::{Change, secrets::Version};

use crate::{
    Caller, RunTicket, Stop, Vault,
    access::{Access, Snapshot},
    authorize::{self, Authority, Authorized, Purpose, Scan, Use, require},
    automations::unknown_secret,
    busy,
    decrypt::Recorded,
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
    scans: Vec<Scanned>,
    intents: Vec<Event>,
    /// The strictest word of the destinations about the answer.
    pub response: ResponseRule,
    /// Whether a destination names the target's host, so that allowed private ranges may be dialled.
    pub is_named: bool,
    /// What connections may be shared by: the same workspace, principal, secrets and policy.
    pub pool_key: [u8; 32],
}

/// A value that goes into the request.
struct Used {
    snapshot: Arc<Snapshot>,
    versions: Arc<Vec<Version>>,
    /// The version in force.
    current: i64,
    /// Whether a destination that allows it may send back what it gets.
    echoes: bool,
}

/// Values that may come back in the answer: every kept version of a secret in one environment.
struct Scanned {
    proof: Authorized<Scan>,
    snapshot: Arc<Snapshot>,
    versions: Arc<Vec<Version>>,
    marker: String,
}

/// A prepared use whose intent is durable.
pub struct RecordedUse {
    prepared: PreparedUse,
    recorded: Vec<Recorded<Use>>,
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
    /// Every value that may come back: marker, type, fields.
    pub scan: Vec<(String, SecretType, Fields)>,
    /// What is needed to record the outcome.
    pub intents: Intents,
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
    /// Microseconds from the decision to the end.
    pub duration_us: Option<u64>,
}

impl Vault {
    /// Decides whether a request may carry its secrets. A refusal is on the record when this returns.
    ///
    /// # Errors
    /// Any refusal of the contract, in its order: right, state, destination, placement.
    pub async fn prepare_use(&self, request: &UseRequest<'_>) -> Result<PreparedUse, Problem> {
        crate::settle!(self, request.caller, |access| self.prepare_use_once(&access, request))
    }

    async fn prepare_use_once(&self, access: &Access, request: &UseRequest<'_>) -> Result<PreparedUse, Stop> {
        let environment = access.environment(request.environment)?.clone();
        let grants = self.run_grants(access, request).await?;
        let (actor, on_behalf_of) = principals(access, request);
        let bound = self.bound_to(&access.view, request.target.host()).await?;
        let mut prepared = PreparedUse {
            workspace: access.view.workspace.id,
            revision: access.view.revision,
            proofs: Vec::new(),
            used: Vec::new(),
            scans: Vec::new(),
            intents: Vec::new(),
            response: ResponseRule::Scrub,
            is_named: bound.iter().any(|snapshot| {
                snapshot.secret.destinations.0.iter().any(|d| d.matches_origin(request.target))
            }),
            pool_key: [0; 32],
        };
        let event = |verb, object| {
            let mut event =
                self.event(access, verb, object, EventOutcome::Allowed, request_detail(access, request));
            event.actor = actor.clone();
            event.on_behalf_of.clone_from(&on_behalf_of);
            event.environment = Some(environment.name.clone());
            event
        };
        for slot in request.slots {
            let Some(snapshot) = self.snapshot_or_deleted(&access.view, &slot.name.key()).await? else {
                return Err(unknown_secret(&slot.name).into());
            };
            let mut intent = event(Verb::SecretUse, object_of(&snapshot));
            intent.detail.places = vec![slot.place.clone()];
            let purpose = Purpose {
                target: request.target,
                method: request.method,
                path: request.path,
                place: &slot.place,
                environment: environment.id,
                environment_name: &environment.name,
            };
            let authority = match &grants {
                None => Authority::Rights(access.principal.rights),
                Some(grants) => match grants.iter().find(|(secret, _)| *secret == snapshot.secret.id) {
                    Some((_, pinned)) => Authority::Grant { pinned: pinned.as_deref() },
                    None => Authority::NoGrant,
                },
            };
            let permitted =
                match authorize::use_in_request(authority, &snapshot, &purpose, access.view.revision) {
                    Ok(permitted) => permitted,
                    Err(problem) => {
                        let problem = if may_aim(access) { problem } else { without_aim(problem) };
                        return Err(self.refuse_event(access, intent, problem).await);
                    }
                };
            let versions = self.sealed_versions(&access.view, snapshot.secret.id, environment.id).await?;
            let version = current_version(&snapshot, environment.id, &versions)?;
            intent.detail.version = Some(version.version.unsigned_abs());
            intent.detail.rule = permitted.destination.map(|destination| rule_of(destination, request.path));
            prepared.response = prepared.response.max(permitted.response);
            let echoes = permitted.echoes;
            prepared.proofs.push(permitted.proof);
            let current = version.version;
            prepared.used.push(Used {
                snapshot: Arc::clone(&snapshot),
                versions: Arc::clone(&versions),
                current,
                echoes,
            });
            match prepared.intents.iter_mut().find(|other| other.object == intent.object) {
                Some(other) => other.detail.places.extend(intent.detail.places),
                None => prepared.intents.push(intent),
            }
        }
        if prepared.intents.is_empty() {
            if grants.is_none()
                && let Err(problem) = require(access.principal.rights, Right::SecretUse)
            {
                let refused = event(
                    Verb::RequestSend,
                    Object::new(ObjectKind::Request, access.request_id, request.method),
                );
                return Err(self.refuse_event(access, refused, problem).await);
            }
            prepared.intents.push(event(
                Verb::RequestSend,
                Object::new(ObjectKind::Request, access.request_id, request.method),
            ));
        }
        if request.foreign_credential
            && let Some(owner) = bound.iter().find(|snapshot| is_exclusive_there(snapshot, request.target))
        {
            let problem = Problem::new(
                Code::ForeignCredential,
                format!("a request to {} may carry no credential but stored secrets, because a secret is bound there exclusively", request.target),
            )
            .suggest("store the credential as a secret with this destination, or have someone who may aim set `exclusive: false`");
            let refused = match prepared.intents.pop() {
                Some(intent) if intent.verb == Verb::SecretUse => intent,
                _ => event(Verb::SecretUse, object_of(owner)),
            };
            return Err(self.refuse_event(access, refused, problem).await);
        }
        let granted = self.granted(access, grants.as_deref().unwrap_or_default()).await?;
        let candidates = prepared
            .used
            .iter()
            .map(|used| &used.snapshot)
            .chain(bound.iter())
            .chain(&granted)
            .map(Arc::clone)
            .collect();
        self.add_scans(access, request, candidates, &mut prepared).await?;
        prepared.pool_key = pool_key(access, &actor, &prepared);
        Ok(prepared)
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

    /// The secrets that a run may use anywhere: what one service got, another one may send back.
    async fn granted(
        &self,
        access: &Access,
        grants: &[(SecretId, Option<String>)],
    ) -> Result<Vec<Arc<Snapshot>>, Stop> {
        let mut granted = Vec::with_capacity(grants.len());
        for (id, _) in grants {
            if let Some(secret) = self.0.store.secret_by_id(access.view.workspace.id, *id).await? {
                granted.push(Arc::new(self.with_values(&access.view, secret).await?));
            }
        }
        Ok(granted)
    }

    /// Everything that could come back: every kept version, in every environment, of every secret that is bound to the
    /// host, granted to the run, or used now.
    async fn add_scans(
        &self,
        access: &Access,
        request: &UseRequest<'_>,
        mut candidates: Vec<Arc<Snapshot>>,
        prepared: &mut PreparedUse,
    ) -> Result<(), Stop> {
        candidates.sort_by_key(|snapshot| snapshot.secret.id);
        candidates.dedup_by_key(|snapshot| snapshot.secret.id);
        if candidates.len() > limits::SCANNED_SECRETS_MAX {
            prepared.response = prepared.response.max(ResponseRule::StatusOnly);
            return Ok(());
        }
        let mut scans = Vec::new();
        for snapshot in &candidates {
            let used_now = prepared.used.iter().any(|used| used.snapshot.secret.id == snapshot.secret.id);
            let may_name = used_now
                || (matches!(request.using, Using::Caller) && access.principal.has(Right::SecretUse));
            let marker =
                if may_name { format!("[sealed:{}]", snapshot.secret.name) } else { "[sealed]".to_owned() };
            for value in &snapshot.values {
                let proof = authorize::scan(snapshot, value.environment, access.view.revision);
                let versions =
                    self.sealed_versions(&access.view, snapshot.secret.id, value.environment).await?;
                scans.push(Scanned {
                    proof,
                    snapshot: Arc::clone(snapshot),
                    versions,
                    marker: marker.clone(),
                });
            }
        }
        let is_used = |id: SecretId| prepared.used.iter().any(|used| used.snapshot.secret.id == id);
        let mut others: Vec<SecretId> = scans.iter().map(|scan| scan.snapshot.secret.id).collect();
        others.retain(|id| !is_used(*id));
        others.dedup();
        if let Some(intent) = prepared.intents.first_mut() {
            intent.detail.secrets = others;
        }
        prepared.scans = scans;
        Ok(())
    }

    /// For a run: that the trigger may still run it, that what runs is still what is published, and what it may use.
    async fn run_grants(
        &self,
        access: &Access,
        request: &UseRequest<'_>,
    ) -> Result<Option<Vec<(SecretId, Option<String>)>>, Stop> {
        let Using::Run { ticket, .. } = request.using else { return Ok(None) };
        let workspace = access.view.workspace.id;
        let environment = access.environment(request.environment)?.id;
        let published = self.0.store.published(workspace, ticket.automation).await?;
        let is_current = published
            .iter()
            .any(|published| published.environment == environment && published.hash == ticket.hash);
        let problem = match require(access.principal.rights, Right::AutomationRun) {
            Err(problem) => Some(problem),
            Ok(())
                if ticket.workspace != workspace
                    || ticket.environment != *request.environment
                    || !is_current =>
            {
                Some(
                    Problem::new(
                        Code::NotDeployed,
                        format!("`{}` was published anew or removed while it ran", ticket.automation_name),
                    )
                    .suggest("start it again"),
                )
            }
            Ok(()) => None,
        };
        if let Some(problem) = problem {
            let mut event = self.event(
                access,
                Verb::SecretUse,
                Object::new(
                    ObjectKind::Automation,
                    *ticket.automation.as_bytes(),
                    ticket.automation_name.as_str(),
                ),
                EventOutcome::Allowed,
                request_detail(access, request),
            );
            (event.actor, event.on_behalf_of) = principals(access, request);
            return Err(self.refuse_event(access, event, problem).await);
        }
        let grants = self.0.store.automation_grants(workspace, ticket.automation, environment).await?;
        Ok(Some(
            grants
                .into_iter()
                .filter(|grant| grant.hash == ticket.hash)
                .map(|grant| (grant.secret, grant.pinned))
                .collect(),
        ))
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
            match self.record_intent(prepared.workspace, prepared.revision, proofs, &prepared.intents).await {
                Ok(recorded) => return Ok(RecordedUse { prepared, recorded }),
                Err(Stop::Problem(problem)) => return Err(problem),
                Err(Stop::Stale) => prepared = self.prepare_use(request).await?,
            }
        }
        Err(busy())
    }

    /// The values of a request whose intent is on the record.
    ///
    /// # Errors
    /// `internal` if a record does not open: it was moved, changed or sealed with another key.
    pub async fn open_use(&self, used: RecordedUse) -> Result<Opened, Problem> {
        let RecordedUse { prepared, recorded } = used;
        let workspace = prepared.workspace;
        let mut values = Vec::with_capacity(recorded.len());
        for (proof, Used { snapshot, versions, current, echoes }) in recorded.iter().zip(&prepared.used) {
            let Some(version) = versions.iter().find(|version| version.version == *current) else {
                return Err(Problem::internal("a version vanished"));
            };
            let fields = self.open_fields(workspace, proof, snapshot, version).await?;
            let (name, kind) = (snapshot.secret.name.clone(), snapshot.secret.kind);
            values.push(OpenedValue { name, kind, fields, echoes: *echoes });
        }
        let mut scan = Vec::new();
        for Scanned { proof, snapshot, versions, marker } in prepared.scans {
            let proof = self.covered_by(&recorded, proof);
            for version in versions.iter() {
                let fields = self.open_fields(workspace, &proof, &snapshot, version).await?;
                scan.push((marker.clone(), snapshot.secret.kind, fields));
            }
        }
        Ok(Opened { values, scan, intents: Intents { workspace, events: prepared.intents } })
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
            change = change.record(&outcome_of(intent, outcome, now));
        }
        self.0.store.write_soon(change);
    }

    /// Puts the end of a recorded use on the record that never came to open its values.
    pub fn abandon_use(&self, used: RecordedUse, outcome: &Outcome, now: Timestamp) {
        let intents = Intents { workspace: used.prepared.workspace, events: used.prepared.intents };
        self.finish_use(&intents, outcome, now);
    }
}

impl RecordedUse {
    /// What the destinations say about the answer.
    pub fn response(&self) -> ResponseRule {
        self.prepared.response
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
            status: outcome.status,
            address: outcome.address,
            body_bytes: outcome.body_bytes,
            findings: outcome.findings,
            duration_us: outcome.duration_us,
            request_id: intent.detail.request_id,
            ..Detail::default()
        },
        ..intent.clone()
    }
}

fn principals(access: &Access, request: &UseRequest<'_>) -> (Actor, Option<Actor>) {
    match request.using {
        Using::Caller => (access.principal.actor.clone(), None),
        Using::Run { ticket, .. } => (ticket.actor(), Some(access.principal.actor.clone())),
    }
}

fn request_detail(access: &Access, request: &UseRequest<'_>) -> Detail {
    let (run, step) = match request.using {
        Using::Caller => (None, None),
        Using::Run { ticket, step } => (Some(ticket.run), StepText::new(step)),
    };
    Detail {
        target: Some(TargetText::new(request.target)),
        method: MethodText::new(request.method),
        policy_revision: Some(access.view.revision.unsigned_abs()),
        run,
        step,
        ..Detail::default()
    }
}

fn rule_of(destination: &Destination, path: &str) -> RuleText {
    destination.paths.iter().find(|pattern| pattern.matches(path)).map_or_else(RuleText::any, RuleText::new)
}

fn is_exclusive_there(snapshot: &Snapshot, target: &Target) -> bool {
    snapshot
        .secret
        .destinations
        .0
        .iter()
        .any(|destination| destination.exclusive && destination.matches_origin(target))
}

/// The destination to add is told to those who may add it.
fn may_aim(access: &Access) -> bool {
    access.principal.has(Right::SecretPolicy)
}

fn without_aim(mut problem: Problem) -> Problem {
    if problem.destination.take().is_some() {
        problem.suggestion =
            Some("ask someone who may aim this secret (an owner or admin) to add the destination".to_owned());
    }
    problem
}

fn pool_key(access: &Access, actor: &Actor, prepared: &PreparedUse) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(64 + prepared.used.len() * 16);
    bytes.extend_from_slice(access.view.workspace.id.as_bytes());
    bytes.extend_from_slice(&access.view.revision.to_be_bytes());
    bytes.extend_from_slice(&actor.id);
    bytes.extend_from_slice(&access.principal.actor.id);
    for used in &prepared.used {
        bytes.extend_from_slice(used.snapshot.secret.id.as_bytes());
    }
    tacit_crypto::sha256(&bytes)
}
