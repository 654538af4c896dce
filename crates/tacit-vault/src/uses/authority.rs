//! On whose authority a request is made: the caller's own, a run's or a lease's. Each is looked at anew for each request.

use std::sync::Arc;

use tacit_audit::{Actor, Detail, MethodText, Object, ObjectKind, Outcome, StepText, TargetText, Verb};
use tacit_model::{Code, EnvironmentId, EnvironmentName, Problem, Right, Scope, SecretId};
use tacit_store::secrets::Secret;

use super::{UseRequest, Using};
use crate::{
    Stop, Vault,
    access::{Access, unauthenticated},
    authorize::{Authority, require},
    leases::Lease,
};

/// What an authority comes down to at this moment.
pub(super) enum Basis {
    /// The caller's rights.
    Rights,
    /// A run's grants: secrets, each perhaps pinned to an origin.
    Grants(Vec<(SecretId, Option<String>)>),
    /// The rights of whoever took the lease, and the lease as it is.
    Lease(Arc<Lease>),
}

impl Basis {
    /// What counts for one secret.
    pub(super) fn of(&self, access: &Access, secret: &Secret, environment: EnvironmentId) -> Authority<'_> {
        let rights = || access.rights_on(secret, Some(environment));
        match self {
            Self::Rights => Authority::Rights(rights()),
            Self::Grants(grants) => match grants.iter().find(|(granted, _)| *granted == secret.id) {
                Some((_, pinned)) => Authority::Grant { pinned: pinned.as_deref() },
                None => Authority::NoGrant,
            },
            Self::Lease(lease) if lease.binds(secret.id) => Authority::Leased(rights()),
            Self::Lease(_) => Authority::NotLeased,
        }
    }

    /// Whether it may be told that there is such a secret. A definition's names are known to who published it.
    pub(super) fn may_know(&self, access: &Access, secret: &Secret, environment: EnvironmentId) -> bool {
        matches!(self, Self::Grants(_)) || access.may_name(secret, environment)
    }

    /// Whether a request without a secret may be made: by whoever may use some secret of the environment.
    pub(super) fn check_bare(&self, access: &Access, environment: &EnvironmentName) -> Result<(), Problem> {
        match self {
            Self::Rights | Self::Lease(_) => {
                let environment = access.environment(environment)?.id;
                require(access.principal.rights_somewhere_in(environment, access.now), Right::SecretUse)
            }
            Self::Grants(_) => Ok(()),
        }
    }

    /// Whether the name of a secret that came back may be told.
    pub(super) fn may_name(&self, access: &Access, secret: &Secret) -> bool {
        match self {
            Self::Rights => access.rights_on(secret, None).has(Right::SecretUse),
            Self::Grants(_) => false,
            Self::Lease(lease) => lease.binds(secret.id),
        }
    }
}

impl Vault {
    /// What the request's authority comes down to now, or a refusal on the record.
    pub(super) async fn basis(&self, access: &Access, request: &UseRequest<'_>) -> Result<Basis, Stop> {
        match request.using {
            Using::Caller => Ok(Basis::Rights),
            Using::Run { .. } => self.run_grants(access, request).await.map(Basis::Grants),
            Using::Lease(lease) => self.leased(access, request, lease).await,
        }
    }

    /// For a lease: that it is in force, is the caller's, and is for this environment.
    async fn leased(&self, access: &Access, request: &UseRequest<'_>, lease: &Lease) -> Result<Basis, Stop> {
        let is_here = lease.workspace_id == access.view.workspace.id && lease.creator == request.caller.token;
        let live = if is_here { self.live_lease(&access.view, lease.id, access.now).await? } else { None };
        let problem = match live {
            None => unauthenticated(),
            Some(live) if live.environment != *request.environment => Problem::new(
                Code::Forbidden,
                format!("this lease is for the environment `{}`", live.environment),
            )
            .suggest("take another lease for another environment"),
            Some(live) => return Ok(Basis::Lease(live)),
        };
        let object = super::request_object(access, request);
        let intent = self.intent(access, request, Verb::RequestSend, object);
        Err(self.refuse_event(access, intent, problem).await)
    }

    /// Takes one from what a lease, and the agent who sends, may send. A refusal is on the record.
    pub(super) async fn spend(&self, access: &Access, request: &UseRequest<'_>) -> Result<(), Stop> {
        if matches!(request.using, Using::Run { .. }) {
            return Ok(());
        }
        let object = super::request_object(access, request);
        if let Using::Lease(lease) = request.using
            && let Some(max) = lease.requests_max
            && !self.0.budgets.spend(lease.id.as_bytes(), max)
        {
            let problem = Problem::new(Code::RateLimited, format!("this lease has sent its {max} requests"))
                .suggest("take a new lease");
            let intent = self.intent(access, request, Verb::RequestSend, object);
            return Err(self.refuse_event(access, intent, problem).await);
        }
        self.spend_of_agent(access, Verb::RequestSend, object).await
    }

    /// For a run: that the trigger may still run it, that what runs is still what is published, and what it may use.
    async fn run_grants(
        &self,
        access: &Access,
        request: &UseRequest<'_>,
    ) -> Result<Vec<(SecretId, Option<String>)>, Stop> {
        let Using::Run { ticket, .. } = request.using else { return Ok(Vec::new()) };
        let workspace = access.view.workspace.id;
        let environment = access.environment(request.environment)?.id;
        let published = self.0.store.published(workspace, ticket.automation).await?;
        let is_current = published
            .iter()
            .any(|published| published.environment == environment && published.hash == ticket.hash);
        let problem = match require(access.rights_in(environment), Right::AutomationRun) {
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
                Outcome::Allowed,
                request_detail(access, request),
            );
            (event.actor, event.on_behalf_of) = principals(access, request);
            return Err(self.refuse_event(access, event, problem).await);
        }
        let grants = self.0.store.automation_grants(workspace, ticket.automation, environment).await?;
        let published = grants.into_iter().filter(|grant| grant.hash == ticket.hash);
        let mut usable: Vec<_> = published.map(|grant| (grant.secret, grant.pinned)).collect();
        usable.extend(self.granted_beside(access, request, ticket, environment).await?);
        Ok(usable)
    }

    /// What the automation was granted beside what it was published with, for the definition that runs.
    async fn granted_beside(
        &self,
        access: &Access,
        request: &UseRequest<'_>,
        ticket: &crate::RunTicket,
        environment: EnvironmentId,
    ) -> Result<Vec<(SecretId, Option<String>)>, Stop> {
        let workspace = access.view.workspace.id;
        let mut usable = Vec::new();
        for grant in self.0.store.grants_of(workspace, ticket.automation.as_bytes()).await? {
            let is_live = grant.until.is_none_or(|end| end > request.caller.now);
            let (Some(id), true) = (grant.scope.secret, is_live && grant.hash == Some(ticket.hash)) else {
                continue;
            };
            let Some(secret) = self.0.store.secret_by_id(workspace, id).await? else { continue };
            let scope = Scope::secret(id, &secret.folder, Some(environment));
            if grant.scope.covers(&scope) && access.view.role(grant.role).1.has(Right::SecretUse) {
                usable.push((id, None));
            }
        }
        Ok(usable)
    }
}

/// Who acts, and for whom.
pub(super) fn principals(access: &Access, request: &UseRequest<'_>) -> (Actor, Option<Actor>) {
    match request.using {
        Using::Caller | Using::Lease(_) => {
            (access.principal.actor.clone(), access.principal.on_behalf_of.clone())
        }
        Using::Run { ticket, .. } => (ticket.actor(), Some(access.principal.actor.clone())),
    }
}

/// What every event of a request says about it.
pub(super) fn request_detail(access: &Access, request: &UseRequest<'_>) -> Detail {
    let (run, step, lease) = match request.using {
        Using::Caller => (None, None, None),
        Using::Run { ticket, step } => (Some(ticket.run), StepText::new(step), None),
        Using::Lease(lease) => (None, None, Some(lease.id)),
    };
    Detail {
        target: Some(TargetText::new(request.target)),
        method: MethodText::new(request.method),
        policy_revision: Some(access.view.revision.unsigned_abs()),
        run,
        step,
        lease,
        ..Detail::default()
    }
}
