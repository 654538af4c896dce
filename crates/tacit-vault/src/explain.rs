//! Who may do what, and why: the same rights that decide, laid open.
//!
//! Nothing here is computed in another way than decisions are: it lists what principals hold and asks the same questions.

use tacit_audit::{Object, ObjectKind, Verb};
use tacit_model::{
    AutomationId, EnvironmentName, GrantId, Problem, Right, Rights, Scope, SecretName, Timestamp, Visibility,
    name::Folder,
};

use crate::{
    Caller, Stop, Vault,
    access::{Access, Holding, Snapshot},
    authorize::require,
    grants::Grantee,
    secrets::object_of,
    settle,
};

/// Why somebody has rights: a role by membership, by a grant, or what an automation was published with.
#[derive(Clone, Debug)]
pub struct Reason {
    /// The role; of what an automation was published with, `published`.
    pub role: String,
    /// The rights that come from it here.
    pub rights: Rights,
    /// The grant; none for membership and for what was published.
    pub grant: Option<GrantId>,
    /// Where it counts.
    pub environment: Option<EnvironmentName>,
    /// Where it counts.
    pub folder: Option<Folder>,
    /// Where it counts: the secret's name, or its id for those who may not know the name.
    pub secret: Option<String>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// Somebody who may use a secret or look at it.
#[derive(Clone, Debug)]
pub struct Accessor {
    /// As grants name them: `user:NAME`, `service-account:NAME`, `automation:NAME`.
    pub principal: String,
    /// The environments in which they may use it.
    pub uses_in: Vec<EnvironmentName>,
    /// The environments in which they may look at it. None of a restricted secret.
    pub reveals_in: Vec<EnvironmentName>,
    /// Why.
    pub because: Vec<Reason>,
}

/// What a principal may do.
#[derive(Clone, Debug)]
pub struct Standing {
    /// As grants name it.
    pub principal: String,
    /// What it may do in the whole workspace.
    pub rights: Rights,
    /// Everything it holds, and where.
    pub because: Vec<Reason>,
}

impl Vault {
    /// Who may use a secret or look at it, and why. For those who manage grants of it, and with `audit.read`.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn secret_access(&self, caller: &Caller, name: &SecretName) -> Result<Vec<Accessor>, Problem> {
        settle!(self, caller, |access| async {
            let snapshot = self.snapshot(&access, name).await?;
            if !access.principal.has(Right::AuditRead) {
                let rights = access.rights_on(&snapshot.secret, None);
                if let Err(problem) = require(rights, Right::GrantManage) {
                    return Err(self
                        .refuse(&access, Verb::AccessExplain, object_of(&snapshot), problem)
                        .await);
                }
            }
            let workspace = access.view.workspace.id;
            let mut found = Vec::new();
            for member in self.0.store.members(workspace).await? {
                let id = member.user.as_bytes();
                let held = self.holdings(&access.view, id, member.role, member.until).await?;
                found
                    .extend(self.accessor(&access, &snapshot, format!("user:{}", member.name), &held).await?);
            }
            for account in self.0.store.service_accounts(workspace).await? {
                let held = self.holdings(&access.view, account.id.as_bytes(), account.role, None).await?;
                let principal = format!("service-account:{}", account.name);
                found.extend(self.accessor(&access, &snapshot, principal, &held).await?);
            }
            found.extend(self.automations_with_access(&access, &snapshot).await?);
            Ok(found)
        })
    }

    async fn accessor(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        principal: String,
        held: &[Holding],
    ) -> Result<Option<Accessor>, Stop> {
        let wanted = Rights::of(&[Right::SecretUse, Right::SecretReveal]);
        let is_restricted = snapshot.secret.visibility == Visibility::Restricted;
        // Membership that has ended takes everything with it.
        if held.first().is_some_and(|membership| !membership.lasts(access.now, Some(access.now))) {
            return Ok(None);
        }
        let live = held.iter().filter(|held| held.lasts(access.now, Some(access.now)));
        let mut accessor =
            Accessor { principal, uses_in: Vec::new(), reveals_in: Vec::new(), because: Vec::new() };
        for held in live {
            let here = Scope::secret(snapshot.secret.id, &snapshot.secret.folder, None);
            let rights = held.rights.and(wanted);
            let rights = if is_restricted { rights.without(Right::SecretReveal) } else { rights };
            if rights.is_none() || !held.scope.covers_in_some_environment(&here) {
                continue;
            }
            for environment in &access.view.environments {
                let scope = Scope { environment: Some(environment.id), ..here.clone() };
                let covers = held.scope.covers(&scope);
                let add = |right, list: &mut Vec<EnvironmentName>| {
                    if covers && rights.has(right) && !list.contains(&environment.name) {
                        list.push(environment.name.clone());
                    }
                };
                add(Right::SecretUse, &mut accessor.uses_in);
                add(Right::SecretReveal, &mut accessor.reveals_in);
            }
            accessor.because.push(self.reason(access, held, rights).await?);
        }
        Ok((!accessor.because.is_empty()).then_some(accessor))
    }

    /// Automations that were published with the secret, or were granted it beside.
    async fn automations_with_access(
        &self,
        access: &Access,
        snapshot: &Snapshot,
    ) -> Result<Vec<Accessor>, Stop> {
        let workspace = access.view.workspace.id;
        let mut found: Vec<Accessor> = Vec::new();
        let mut add = |name: String, environment: EnvironmentName, reason: Reason| {
            let principal = format!("automation:{name}");
            let at = found.iter().position(|other| other.principal == principal).unwrap_or_else(|| {
                found.push(Accessor {
                    principal,
                    uses_in: Vec::new(),
                    reveals_in: Vec::new(),
                    because: Vec::new(),
                });
                found.len() - 1
            });
            if !found[at].uses_in.contains(&environment) {
                found[at].uses_in.push(environment);
            }
            found[at].because.push(reason);
        };
        let use_alone = Rights::of(&[Right::SecretUse]);
        for (name, environment) in self.0.store.automations_using(workspace, snapshot.secret.id).await? {
            let Some(environment) = access.environment_named(environment) else { continue };
            let reason = Reason {
                role: "published".to_owned(),
                rights: use_alone,
                grant: None,
                environment: Some(environment.name.clone()),
                folder: None,
                secret: Some(snapshot.secret.name.to_string()),
                until: None,
            };
            add(name.to_string(), environment.name.clone(), reason);
        }
        for grant in self.0.store.grants(workspace).await? {
            let is_meant = grant.kind == "automation" && grant.scope.secret == Some(snapshot.secret.id);
            let held = access.view.holding(&grant);
            if !is_meant || !held.lasts(access.now, Some(access.now)) || !held.rights.has(Right::SecretUse) {
                continue;
            }
            let id = AutomationId::from_bytes(grant.principal);
            let Some(automation) = self.0.store.automation_by_id(workspace, id).await? else { continue };
            for published in self.0.store.published(workspace, id).await? {
                let scope =
                    Scope::secret(snapshot.secret.id, &snapshot.secret.folder, Some(published.environment));
                let Some(environment) = access.environment_named(published.environment) else { continue };
                if grant.hash == Some(published.hash) && held.scope.covers(&scope) {
                    let reason = self.reason(access, &held, use_alone).await?;
                    add(automation.name.to_string(), environment.name.clone(), reason);
                }
            }
        }
        Ok(found)
    }

    /// What a principal may do and why: about oneself, and for those who manage members or grants or read the record.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn member_access(&self, caller: &Caller, who: &Grantee) -> Result<Standing, Problem> {
        settle!(self, caller, |access| async {
            let is_own = who.to_string() == access.principal.actor.to_string();
            let may = [Right::MemberManage, Right::GrantManage, Right::AuditRead];
            if !is_own && !may.iter().any(|right| access.principal.has(*right)) {
                let Err(problem) = require(access.principal.rights, Right::MemberManage) else {
                    return Err(Problem::internal("a right is there and is not").into());
                };
                let object = Object::new(ObjectKind::Member, [0; 16], &who.to_string());
                return Err(self.refuse(&access, Verb::AccessExplain, object, problem).await);
            }
            let workspace = access.view.workspace.id;
            let (principal, held) = match who {
                Grantee::User(name) => {
                    let members = self.0.store.members(workspace).await?;
                    let member = members.into_iter().find(|member| member.name.key() == name.key());
                    let member = member.ok_or_else(|| Problem::not_found("member"))?;
                    let id = member.user.as_bytes();
                    let held = self.holdings(&access.view, id, member.role, member.until).await?;
                    (format!("user:{}", member.name), held)
                }
                Grantee::ServiceAccount(name) => {
                    let found = self.0.store.service_account_named(workspace, &name.key()).await?;
                    let account = found.ok_or_else(|| Problem::not_found("service account"))?;
                    let held = self.holdings(&access.view, account.id.as_bytes(), account.role, None).await?;
                    (format!("service-account:{}", account.name), held)
                }
                Grantee::Automation(name) => {
                    let found = self.automation(&access, name).await?;
                    let grants = self.0.store.grants_of(workspace, found.id.as_bytes()).await?;
                    let held = grants.iter().map(|grant| access.view.holding(grant)).collect();
                    (format!("automation:{}", found.name), held)
                }
            };
            // Membership that has ended takes everything with it; an automation has none.
            let is_over = held
                .first()
                .is_some_and(|first| first.grant.is_none() && !first.lasts(access.now, Some(access.now)));
            let live: Vec<&Holding> =
                held.iter().filter(|held| !is_over && held.lasts(access.now, Some(access.now))).collect();
            let wide = live.iter().filter(|held| held.scope == Scope::WORKSPACE);
            let rights = wide.fold(Rights::NONE, |sum, held| sum.or(held.rights));
            let mut because = Vec::with_capacity(live.len());
            for held in live {
                because.push(self.reason(&access, held, held.rights).await?);
            }
            Ok(Standing { principal, rights, because })
        })
    }

    /// What the caller holds now, and where.
    pub(crate) async fn own_reasons(&self, access: &Access) -> Result<Vec<Reason>, Problem> {
        let held = access.principal.holdings.iter();
        let mut because = Vec::new();
        for held in held.filter(|held| held.lasts(access.now, Some(access.now))) {
            because.push(self.reason(access, held, held.rights).await.map_err(|stop| match stop {
                Stop::Problem(problem) => problem,
                Stop::Stale => crate::busy(),
            })?);
        }
        Ok(because)
    }

    async fn reason(&self, access: &Access, held: &Holding, rights: Rights) -> Result<Reason, Stop> {
        let secret = match held.scope.secret {
            Some(id) => {
                let row = self.0.store.secret_by_id(access.view.workspace.id, id).await?;
                let seen = row.filter(|secret| access.sees(secret)).map(|secret| secret.name.to_string());
                Some(seen.unwrap_or_else(|| id.to_string()))
            }
            None => None,
        };
        let environment = held.scope.environment.and_then(|id| access.environment_named(id));
        Ok(Reason {
            role: held.role_name.clone(),
            rights,
            grant: held.grant,
            environment: environment.map(|found| found.name.clone()),
            folder: held.scope.folder.clone(),
            secret,
            until: held.until,
        })
    }
}
