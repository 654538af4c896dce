//! A lease that is in force: which hosts are looked into under it, the certificates it is shown, and the signal that it
//! is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use tacit_model::{Destination, Host, Place, Problem, Scheme, SecretId, Target};
use tacit_vault::{Lease, Vault};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::ca::Authority;
use crate::permit::now;

/// How often it is looked whether a lease is still in force. What is open is cut this much after its end, and a little.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How long a lease that cannot be looked at, because the database cannot be read, counts as in force.
const UNKNOWN_MAX: Duration = Duration::from_secs(30);
/// Requests of one lease between their decision and their connection. Whoever hangs up does not end these, so without a
/// bound of their own there would be as many as somebody likes.
const BEGUN_MAX: usize = 128;

/// A lease in force.
pub(super) struct Live {
    /// As it was when it was made.
    pub(super) lease: Arc<Lease>,
    /// The destinations of that moment. A host that one of them names is never tunnelled to unread, even if it is taken
    /// away from its secret meanwhile.
    first: Vec<Destination>,
    authority: Authority,
    begun: Arc<Semaphore>,
    ended: watch::Sender<bool>,
}

/// Where a request or a tunnel goes, seen from a lease.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To a host that a secret is bound to.
    Bound(Target),
    /// To such a host, but not by this scheme or port.
    NotThisPort(Target),
    /// Elsewhere.
    Other(Target),
}

impl Live {
    pub(super) fn new(lease: Arc<Lease>, destinations: &[Destination]) -> Result<Self, Problem> {
        let hosts: Vec<_> = destinations.iter().map(|destination| destination.host.clone()).collect();
        Ok(Self {
            authority: Authority::new(&hosts, time::OffsetDateTime::now_utc()).map_err(Problem::internal)?,
            lease,
            first: destinations.to_vec(),
            begun: Arc::new(Semaphore::new(BEGUN_MAX)),
            ended: watch::Sender::new(false),
        })
    }

    /// The certificate that clients trust.
    pub(super) fn ca_pem(&self) -> String {
        self.authority.root_pem().to_owned()
    }

    /// Comes back when the lease is over, after telling everybody who waits for that.
    pub(super) async fn watch(&self, vault: &Vault) {
        let mut looks = Looks { known_at: Instant::now() };
        loop {
            let current = vault.current_lease(&self.lease, now()).await;
            if looks.say_it_is_over(&current.map(|current| current.is_some()), Instant::now()) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.ended.send_replace(true);
    }

    /// Waits for room to begin one more request, and takes it.
    pub(super) async fn begin(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.begun).acquire_owned().await.ok()
    }

    /// Waits for the end of the lease.
    pub(super) async fn ended(&self) {
        // The sender lives in here, so this comes back with `true` and not otherwise.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// TLS for clients that connect to this host through a tunnel.
    pub(super) fn server_config(&self, host: &Host) -> Result<Arc<ServerConfig>, Problem> {
        self.authority.server_config(host).map_err(Problem::internal)
    }

    /// Where a tunnel to an `https` target leads. Inside is TLS, if it is to be read at all; only a port that is bound for
    /// plain http alone is spoken to in plain.
    pub(super) fn way_of_tunnel(&self, lease: &Lease, target: Target) -> Way {
        let plain = Target::new(Scheme::Http, target.host().clone(), target.port());
        if self.is_bound(lease, |destination| destination.matches_origin(&target)) {
            // The certificates are good for the first hosts only: for one that came later, a new lease is needed.
            let has_certificate =
                self.first.iter().any(|destination| destination.host.matches(target.host()));
            if has_certificate { Way::Bound(target) } else { Way::NotThisPort(target) }
        } else if self.is_bound(lease, |destination| destination.matches_origin(&plain)) {
            Way::Bound(plain)
        } else {
            self.misfit_or_other(lease, target)
        }
    }

    /// Where a request to a URL goes: an `http` one stays `http` where a destination says so, and becomes `https` where a
    /// destination says that.
    pub(super) fn way_of_url(&self, lease: &Lease, target: Target) -> Way {
        if self.is_bound(lease, |destination| destination.matches_origin(&target)) {
            return Way::Bound(target);
        }
        if target.scheme() == Scheme::Http {
            let is_default = target.port() == Scheme::Http.default_port();
            let port = if is_default { Scheme::Https.default_port() } else { target.port() };
            let upgraded = Target::new(Scheme::Https, target.host().clone(), port);
            if self.is_bound(lease, |destination| destination.matches_origin(&upgraded)) {
                return Way::Bound(upgraded);
            }
        }
        self.misfit_or_other(lease, target)
    }

    fn misfit_or_other(&self, lease: &Lease, target: Target) -> Way {
        if self.is_bound(lease, |destination| destination.host.matches(target.host())) {
            Way::NotThisPort(target)
        } else {
            Way::Other(target)
        }
    }

    /// Whether a destination that was there at first, or is there now, does this.
    fn is_bound(&self, lease: &Lease, matches: impl Fn(&Destination) -> bool) -> bool {
        self.first.iter().any(&matches) || destinations_of(lease).any(|(_, destination)| matches(destination))
    }
}

/// What is known of a lease from looking at it. A look that fails tells nothing, and the next one may tell something; after
/// a while of these, what cannot be looked at counts as over.
struct Looks {
    known_at: Instant,
}

impl Looks {
    fn say_it_is_over(&mut self, look: &Result<bool, Problem>, now: Instant) -> bool {
        match look {
            Ok(is_in_force) => {
                self.known_at = now;
                !is_in_force
            }
            Err(problem) => {
                tracing::error!(cause = problem.cause(), "whether a lease is in force cannot be looked up");
                now.duration_since(self.known_at) >= UNKNOWN_MAX
            }
        }
    }
}

/// The destinations of a lease's secrets in its environment.
fn destinations_of(lease: &Lease) -> impl Iterator<Item = (SecretId, &Destination)> {
    let is_here = |d: &&Destination| d.environments.is_empty() || d.environments.contains(&lease.environment);
    lease.secrets.iter().flat_map(move |leased| {
        leased.destinations.0.iter().filter(is_here).map(|destination| (leased.secret, destination))
    })
}

/// The places that some of a lease's destinations name, by secret.
pub(super) fn places_where(lease: &Lease, matches: impl Fn(&Destination) -> bool) -> Vec<(SecretId, &Place)> {
    destinations_of(lease)
        .filter(|(_, destination)| matches(destination))
        .flat_map(|(secret, destination)| destination.places.iter().map(move |place| (secret, place)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that cannot be read for a moment ends no lease; one that cannot be read for long ends them.
    #[test]
    fn what_cannot_be_looked_at() {
        let start = Instant::now();
        let mut looks = Looks { known_at: start };
        let mut over = |secs, look| looks.say_it_is_over(&look, start + Duration::from_secs(secs));
        let unknown = || Err(Problem::internal("the database cannot be read"));
        assert!(!over(0, Ok(true)) && !over(29, unknown()) && !over(29, Ok(true)));
        assert!(!over(58, unknown()) && over(59, unknown()));
        assert!(!over(60, Ok(true)) && over(61, Ok(false)));
    }
}
