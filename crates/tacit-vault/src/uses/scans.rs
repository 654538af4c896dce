//! What may come back in an answer, and what the destinations say about answers.
//!
//! An answer is looked through for more than what its request carried: what was created by one request is read by
//! another one. So every kept version, in every environment, of every secret that is bound to the host, was sent there
//! before, or may be used by the run or the lease, is opened for the scrubber alone.

use std::{collections::HashSet, sync::Arc};

use tacit_model::{
    Destination, EnvironmentId, Host, Place, Problem, SecretId, SecretType, Target, WorkspaceName,
    destination::ResponseRule, limits,
};
use tacit_store::{secrets::Version, tokens::AccessToken};

use super::{Basis, Decided, ScannedValue, Scans, UseRequest};
use crate::{
    Stop, Vault,
    access::{Access, AtHost, Snapshot},
    authorize,
};

/// Everything that may come back in the answers to one kind of request, sealed: it is the same for every request with the
/// same target, authority and secrets while the workspace does not change, and is kept with the view.
pub(crate) struct ScanPlan {
    /// Says which plan it is, to whoever keeps what was made from it.
    pub(super) id: PlanId,
    pub(super) workspace: WorkspaceName,
    pub(super) host: Host,
    pub(super) revision: i64,
    /// None if there are too many to look for.
    pub(super) scans: Option<Vec<Scanned>>,
    /// Whose values they are.
    pub(super) secrets: Vec<SecretId>,
    /// Those of them that the request does not carry.
    pub(super) others: Vec<SecretId>,
    pub(super) versions: HashSet<(SecretId, EnvironmentId, i64)>,
    /// The fetched tokens among them, by number.
    pub(super) tokens: HashSet<(SecretId, EnvironmentId, i64)>,
}

/// Which plan it is: derived from the workspace's revision and everything that the plan depends on.
pub type PlanId = [u8; 32];

/// Values that may come back in the answer: every kept version of a secret in one environment, and every kept token that
/// was fetched with one.
pub(super) struct Scanned {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) environment: EnvironmentId,
    pub(super) versions: Arc<Vec<Version>>,
    pub(super) tokens: Arc<Vec<AccessToken>>,
    pub(super) marker: String,
    pub(super) was_sent: bool,
}

/// Every version that is looked for.
fn versions(scans: &[Scanned]) -> HashSet<(SecretId, EnvironmentId, i64)> {
    let of = |scanned: &Scanned| {
        let (secret, environment) = (scanned.snapshot.secret.id, scanned.environment);
        scanned.versions.iter().map(move |known| (secret, environment, known.version)).collect::<Vec<_>>()
    };
    scans.iter().flat_map(of).collect()
}

/// Every token that is looked for.
fn tokens(scans: &[Scanned]) -> HashSet<(SecretId, EnvironmentId, i64)> {
    let of = |scanned: &Scanned| {
        let (secret, environment) = (scanned.snapshot.secret.id, scanned.environment);
        scanned.tokens.iter().map(move |known| (secret, environment, known.serial)).collect::<Vec<_>>()
    };
    scans.iter().flat_map(of).collect()
}

fn living(at_host: &[AtHost]) -> impl Iterator<Item = &Snapshot> {
    at_host.iter().map(|other| &*other.snapshot).filter(|snapshot| snapshot.secret.deleted_at.is_none())
}

/// Whether a destination names scheme, host and port of the target.
pub(super) fn is_named(at_host: &[AtHost], target: &Target) -> bool {
    living(at_host).any(|snapshot| snapshot.secret.destinations.0.iter().any(|d| d.matches_origin(target)))
}

/// Whether nothing is lost if nobody looks into what goes to the target and comes back: no destination there wants
/// other credentials kept out or answers kept back, and no value may have been stored there that could be shown again.
pub(super) fn bears_a_tunnel(at_host: &[AtHost], target: &Target) -> bool {
    let mut there = living(at_host)
        .flat_map(|snapshot| &snapshot.secret.destinations.0)
        .filter(|destination| destination.matches_origin(target));
    there.all(|d| !d.exclusive && d.response == ResponseRule::Scrub && !d.places.iter().any(is_stored))
        && !at_host.iter().any(|other| other.was_sent && may_show_again(&other.snapshot, target))
}

/// A secret that wants no other credential beside stored ones in requests to the target.
pub(super) fn exclusive_owner<'a>(at_host: &'a [AtHost], target: &Target) -> Option<&'a Snapshot> {
    let wants = |snapshot: &&Snapshot| {
        snapshot.secret.destinations.0.iter().any(|d| d.exclusive && d.matches_origin(target))
    };
    living(at_host).find(wants)
}

/// The strictest word of all destinations that mean this request, whether it carries their secrets or not: a rule about
/// answers would be worth little if one had only to ask again without the secret.
pub(super) fn rule_of_host(at_host: &[AtHost], request: &UseRequest<'_>) -> ResponseRule {
    let of_path = |path| {
        living(at_host).flat_map(move |snapshot| {
            let destinations = &snapshot.secret.destinations;
            destinations.matching(request.target, request.method, path, request.environment)
        })
    };
    of_path(request.path)
        .chain(request.other_path.into_iter().flat_map(of_path))
        .map(|destination| destination.response)
        .max()
        .unwrap_or(ResponseRule::Scrub)
}

impl Vault {
    /// What is looked for in the answer to a request with these secrets in it.
    pub(super) async fn scan_plan(
        &self,
        access: &Access,
        request: &UseRequest<'_>,
        basis: &Basis,
        at_host: &[AtHost],
        decided: &Decided,
        pool_key: &[u8; 32],
    ) -> Result<Arc<ScanPlan>, Stop> {
        let id = plan_id(request, pool_key);
        if let Some(plan) = access.view.plans.find(&id) {
            return Ok(plan);
        }
        let mut candidates: Vec<Arc<Snapshot>> =
            decided.used.iter().map(|used| Arc::clone(&used.snapshot)).collect();
        candidates.extend(at_host.iter().map(|other| Arc::clone(&other.snapshot)));
        candidates.extend(self.companions(access, basis).await?);
        candidates.sort_by_key(|snapshot| snapshot.secret.id);
        candidates.dedup_by_key(|snapshot| snapshot.secret.id);
        let scans = if candidates.len() > limits::SCANNED_SECRETS_MAX {
            candidates.clear();
            None
        } else {
            let mut scans = Vec::new();
            for snapshot in &candidates {
                let id = snapshot.secret.id;
                // The name is for those who may use the secret; to others it is somebody's secret.
                let marker = if basis.may_name(access, &snapshot.secret) || decided.has(id) {
                    format!("[sealed:{}]", snapshot.secret.name)
                } else {
                    "[sealed]".to_owned()
                };
                let was_sent = at_host.iter().any(|other| other.was_sent && other.snapshot.secret.id == id)
                    && may_show_again(snapshot, request.target);
                for value in &snapshot.values {
                    let versions = self.sealed_versions(&access.view, id, value.environment).await?;
                    let tokens =
                        self.sealed_tokens(&access.view, &snapshot.secret, value.environment).await?;
                    scans.push(Scanned {
                        snapshot: Arc::clone(snapshot),
                        environment: value.environment,
                        versions,
                        tokens,
                        marker: marker.clone(),
                        was_sent,
                    });
                }
            }
            Some(scans)
        };
        let secrets: Vec<SecretId> = candidates.iter().map(|snapshot| snapshot.secret.id).collect();
        let plan = Arc::new(ScanPlan {
            id,
            workspace: access.view.workspace.name.clone(),
            host: request.target.host().clone(),
            revision: access.view.revision,
            versions: versions(scans.as_deref().unwrap_or_default()),
            tokens: tokens(scans.as_deref().unwrap_or_default()),
            scans,
            others: secrets.iter().copied().filter(|id| !decided.has(*id)).collect(),
            secrets,
        });
        access.view.plans.keep(id, Arc::clone(&plan));
        Ok(plan)
    }

    /// The values that a plan names, for the scrubber alone.
    ///
    /// # Errors
    /// A value cannot be opened.
    pub async fn open_scans(&self, scans: &Scans) -> Result<Vec<ScannedValue>, Problem> {
        let mut opened = Vec::new();
        for scanned in scans.plan.scans.iter().flatten() {
            let Scanned { snapshot, environment, versions, tokens, marker, was_sent } = scanned;
            let proof = authorize::scan(snapshot, *environment, scans.plan.revision);
            let proof = self.covered_by(&scans.act, proof);
            for version in versions.iter() {
                let fields = self.open_fields(scans.workspace, &proof, snapshot, version).await?;
                let (marker, kind) = (marker.clone(), snapshot.secret.kind);
                opened.push(ScannedValue { marker, kind, fields, was_sent: *was_sent });
            }
            for token in tokens.iter() {
                let fields = self.open_token_fields(scans.workspace, &proof, snapshot, token).await?;
                let (marker, kind) = (marker.clone(), SecretType::BearerToken);
                opened.push(ScannedValue { marker, kind, fields, was_sent: *was_sent });
            }
        }
        Ok(opened)
    }

    /// The secrets that may be used anywhere on this authority: what one service got, another one may send back.
    async fn companions(&self, access: &Access, basis: &Basis) -> Result<Vec<Arc<Snapshot>>, Stop> {
        let mut companions = Vec::new();
        match basis {
            Basis::Rights => {}
            Basis::Grants(grants) => {
                for (id, _) in grants {
                    if let Some(secret) = self.0.store.secret_by_id(access.view.workspace.id, *id).await? {
                        companions.push(Arc::new(self.with_values(&access.view, secret).await?));
                    }
                }
            }
            Basis::Lease(lease) => {
                for bound in &lease.secrets {
                    companions.extend(self.bound_secret(&access.view, bound).await?);
                }
            }
        }
        Ok(companions)
    }
}

/// Whether the target may show again what its host was sent: nobody gave their word that it does not, and the value may
/// stand where services store things (a body, a query, a path) and not only where they authenticate. What was sent is known
/// by host, so every destination there counts, whatever its port.
fn may_show_again(snapshot: &Snapshot, target: &Target) -> bool {
    let at_host = |destination: &&Destination| destination.host.matches(target.host());
    let mut there = snapshot.secret.destinations.0.iter().filter(at_host).peekable();
    there.peek().is_none()
        || there.any(|destination| destination.echoes && destination.places.iter().any(is_stored))
}

/// Whether services store what stands in this place, and not only authenticate by it.
fn is_stored(place: &Place) -> bool {
    !matches!(place, Place::Auth | Place::Header(_) | Place::Signature)
}

/// Workspace, revision, principal, lease and secrets are in the key of the pool; the rest of what a plan depends on follows
/// from them, or is added here.
fn plan_id(request: &UseRequest<'_>, pool_key: &[u8; 32]) -> PlanId {
    let mut bytes = Vec::with_capacity(160);
    bytes.extend_from_slice(pool_key);
    bytes.extend_from_slice(request.environment.as_str().as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(request.target.to_string().as_bytes());
    tacit_crypto::sha256(&bytes)
}
