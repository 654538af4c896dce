//! What a person or a machine holds in a workspace, and what that comes to somewhere.

use std::sync::Arc;

use tacit_audit::Actor;
use tacit_model::{EnvironmentId, GrantId, Right, Rights, RoleRef, Scope, Timestamp};

/// A set of rights that a principal has in a part of the workspace: by its membership, or by a grant.
#[derive(Clone, Debug)]
pub struct Holding {
    /// The rights.
    pub rights: Rights,
    /// Where they count.
    pub scope: Scope,
    /// When they end.
    pub until: Option<Timestamp>,
    /// The role they come from.
    pub role: RoleRef,
    /// The role's name.
    pub role_name: String,
    /// The grant they come from; none for those of membership.
    pub grant: Option<GrantId>,
}

impl Holding {
    fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|end| end > now)
    }

    /// Whether it counts now and until then.
    pub(crate) fn lasts(&self, now: Timestamp, until: Option<Timestamp>) -> bool {
        self.is_live(now) && self.outlasts(until)
    }

    /// Whether it lasts as long as something that ends then, or never.
    fn outlasts(&self, until: Option<Timestamp>) -> bool {
        match (self.until, until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own >= other,
        }
    }
}

/// A person or a machine in one workspace.
#[derive(Clone, Debug)]
pub struct Principal {
    /// As the record names it.
    pub actor: Actor,
    /// The name of the role it has here by its membership.
    pub role: String,
    /// What it may do in the whole workspace.
    pub rights: Rights,
    /// What it holds where, membership first.
    pub holdings: Vec<Holding>,
    /// For whom an agent acts: whoever made its session.
    pub on_behalf_of: Option<Actor>,
    /// How many requests an agent may send in its session.
    pub(crate) requests_max: Option<u64>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Principal {
    /// Whether the principal holds a right in the whole workspace.
    pub fn has(&self, right: Right) -> bool {
        self.rights.has(right)
    }

    /// Who answers for what the principal writes down: of an agent, whoever made its session.
    pub fn author(&self) -> &Actor {
        self.on_behalf_of.as_ref().unwrap_or(&self.actor)
    }

    /// What the principal may do everywhere in a scope: the rights of all that covers it and has not ended.
    pub fn rights_at(&self, scope: &Scope, now: Timestamp) -> Rights {
        self.gather(|holding| holding.is_live(now) && holding.scope.covers(scope))
    }

    /// The same in at least one environment: enough to know that something is there.
    pub fn rights_in_some_environment(&self, scope: &Scope, now: Timestamp) -> Rights {
        self.gather(|holding| holding.is_live(now) && holding.scope.covers_in_some_environment(scope))
    }

    /// What the principal may do somewhere.
    pub fn rights_somewhere(&self, now: Timestamp) -> Rights {
        self.gather(|holding| holding.is_live(now))
    }

    /// What the principal may do with something of an environment.
    pub fn rights_somewhere_in(&self, environment: EnvironmentId, now: Timestamp) -> Rights {
        let counts = |holding: &Holding| holding.scope.environment.is_none_or(|own| own == environment);
        self.gather(|holding| holding.is_live(now) && counts(holding))
    }

    /// What the principal may hand out in a scope until some time: what it holds there, for as long.
    pub fn rights_to_give(&self, scope: &Scope, until: Option<Timestamp>, now: Timestamp) -> Rights {
        self.gather(|holding| holding.lasts(now, until) && holding.scope.covers(scope))
    }

    pub(super) fn gather(&self, counts: impl Fn(&Holding) -> bool) -> Rights {
        let counting = self.holdings.iter().filter(|holding| counts(holding));
        counting.fold(Rights::NONE, |sum, holding| sum.or(holding.rights))
    }

    /// Whether it is an agent.
    pub fn is_agent(&self) -> bool {
        self.on_behalf_of.is_some()
    }

    /// The principal at a time: without what has ended by then. `None` if its membership has.
    pub(super) fn at(principal: &Arc<Self>, now: Timestamp) -> Option<Arc<Self>> {
        if principal.holdings.iter().all(|holding| holding.is_live(now)) {
            return Some(Arc::clone(principal));
        }
        let membership = principal.holdings.iter().find(|holding| holding.grant.is_none())?;
        if !membership.is_live(now) {
            return None;
        }
        let mut current = Self::clone(principal);
        current.holdings.retain(|holding| holding.is_live(now));
        current.rights = current.rights_at(&Scope::WORKSPACE, now);
        Some(Arc::new(current))
    }
}
