//! What may come back in an answer, and what the destinations say about answers.
//!
//! An answer is looked through for more than what its request carried: what was created by one request is read by
//! another one. So every kept version, in every environment, of every secret that is bound to the host, was sent there
//! before, or may be used by the run, is opened for the scrubber alone.

use std::sync::Arc;

use tacit_model::{Place, Right, SecretId, Target, destination::ResponseRule, limits};
use tacit_store::secrets::Version;

use super::{PreparedUse, UseRequest, Using};
use crate::{
    Stop, Vault,
    access::{Access, AtHost, Snapshot},
    authorize::{self, Authorized, Scan},
};

/// Values that may come back in the answer: every kept version of a secret in one environment.
pub(super) struct Scanned {
    pub(super) proof: Authorized<Scan>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) versions: Arc<Vec<Version>>,
    pub(super) marker: String,
    pub(super) was_sent: bool,
}

fn living(at_host: &[AtHost]) -> impl Iterator<Item = &Snapshot> {
    at_host.iter().map(|other| &*other.snapshot).filter(|snapshot| snapshot.secret.deleted_at.is_none())
}

/// Whether a destination names scheme, host and port of the target.
pub(super) fn is_named(at_host: &[AtHost], target: &Target) -> bool {
    living(at_host).any(|snapshot| snapshot.secret.destinations.0.iter().any(|d| d.matches_origin(target)))
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
    living(at_host)
        .flat_map(|snapshot| {
            snapshot.secret.destinations.matching(
                request.target,
                request.method,
                request.path,
                request.environment,
            )
        })
        .map(|destination| destination.response)
        .max()
        .unwrap_or(ResponseRule::Scrub)
}

impl Vault {
    pub(super) async fn add_scans(
        &self,
        access: &Access,
        request: &UseRequest<'_>,
        grants: &[(SecretId, Option<String>)],
        at_host: &[AtHost],
        prepared: &mut PreparedUse,
    ) -> Result<(), Stop> {
        let mut candidates: Vec<Arc<Snapshot>> =
            prepared.used.iter().map(|used| Arc::clone(&used.snapshot)).collect();
        candidates.extend(at_host.iter().map(|other| Arc::clone(&other.snapshot)));
        candidates.extend(self.granted(access, grants).await?);
        candidates.sort_by_key(|snapshot| snapshot.secret.id);
        candidates.dedup_by_key(|snapshot| snapshot.secret.id);
        if candidates.len() > limits::SCANNED_SECRETS_MAX {
            prepared.response = ResponseRule::StatusOnly;
            return Ok(());
        }
        let is_used = |id: SecretId| prepared.used.iter().any(|used| used.snapshot.secret.id == id);
        let may_use = matches!(request.using, Using::Caller) && access.principal.has(Right::SecretUse);
        let mut scans = Vec::new();
        for snapshot in &candidates {
            let id = snapshot.secret.id;
            // The name is for those who may use the secret; to others it is somebody's secret.
            let marker = if may_use || is_used(id) {
                format!("[sealed:{}]", snapshot.secret.name)
            } else {
                "[sealed]".to_owned()
            };
            let was_sent = at_host.iter().any(|other| other.was_sent && other.snapshot.secret.id == id)
                && may_show_again(snapshot, request.target);
            for value in &snapshot.values {
                let proof = authorize::scan(snapshot, value.environment, access.view.revision);
                let versions = self.sealed_versions(&access.view, id, value.environment).await?;
                scans.push(Scanned {
                    proof,
                    snapshot: Arc::clone(snapshot),
                    versions,
                    marker: marker.clone(),
                    was_sent,
                });
            }
        }
        let mut others: Vec<SecretId> = candidates.iter().map(|snapshot| snapshot.secret.id).collect();
        others.retain(|id| !is_used(*id));
        if let Some(intent) = prepared.intents.first_mut() {
            intent.detail.secrets = others;
        }
        prepared.scans = scans;
        Ok(())
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
}

/// Whether the target may show again what it was sent: nobody gave their word that it does not, and the value may stand
/// where services store things (a body, a query, a path) and not only where they authenticate.
fn may_show_again(snapshot: &Snapshot, target: &Target) -> bool {
    let is_stored = |place: &Place| !matches!(place, Place::Auth | Place::Header(_) | Place::Signature);
    let mut there = snapshot.secret.destinations.0.iter().filter(|d| d.matches_origin(target)).peekable();
    there.peek().is_none()
        || there.any(|destination| destination.echoes && destination.places.iter().any(is_stored))
}
