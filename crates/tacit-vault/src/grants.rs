//! Grants: roles in a part of the workspace, perhaps for a while.
//!
//! Nobody grants what they do not hold there for as long, and nobody grants to themselves. What a grant is about is bound
//! by id, so that nothing made later under an old name inherits it. Moving things between folders changes whom grants of
//! folders reach, so a move that widens is held to the rules of granting ([`Vault::check_move`]).

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{
    AutomationId, Code, EnvironmentName, GrantId, Problem, Right, Rights, RoleRef, Scope, SecretId,
    SecretName, ServiceAccountId, Timestamp, UserId, limits, name::Folder,
};
use tacit_store::grants::{self as rows, Grant};

use crate::{
    Caller, Stop, Vault,
    access::{Access, Holding},
    authorize::require,
    new_id, settle, settle_change,
};

/// Who gets a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// A person of the workspace.
    User(SecretName),
    /// A machine's account.
    ServiceAccount(SecretName),
    /// A published automation, as it is published now.
    Automation(SecretName),
}

/// A grant to make.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The name of the role.
    pub role: String,
    /// To whom.
    pub to: Grantee,
    /// Only in this environment.
    pub environment: Option<EnvironmentName>,
    /// Only in this folder and those below it.
    pub folder: Option<Folder>,
    /// Only for this secret.
    pub secret: Option<SecretName>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A grant as a list shows it.
#[derive(Clone, Debug)]
pub struct GrantInfo {
    /// The id.
    pub id: GrantId,
    /// The name of the role.
    pub role: String,
    /// To whom, such as `user:anna@example.com`.
    pub to: String,
    /// Only in this environment.
    pub environment: Option<EnvironmentName>,
    /// Only in this folder and those below it.
    pub folder: Option<Folder>,
    /// Only for this secret: its name, or its id for those who may not know the name.
    pub secret: Option<String>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Whether it has ended, or its automation was published anew since.
    pub ended: bool,
    /// When made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// What a grantee's name stands for.
struct Found {
    kind: &'static str,
    id: [u8; 16],
    name: SecretName,
}

impl Vault {
    /// Makes a grant.
    ///
    /// # Errors
    /// `forbidden`, also for rights that the caller does not hold there for as long, and for a grant to oneself;
    /// `name_taken` for an equal one that counts; `not_found`, `validation_failed`.
    pub async fn create_grant(&self, caller: &Caller, new: &NewGrant) -> Result<GrantInfo, Problem> {
        if new.until.is_some_and(|end| end <= caller.now) {
            return Err(Problem::invalid("until", "must be in the future"));
        }
        if new.folder.as_ref().is_some_and(|folder| folder.as_str().is_empty()) {
            return Err(Problem::invalid("scope.folder", "must name a folder; leave it out for all of them"));
        }
        settle_change!(self, caller, |access| self.create_grant_once(&access, new))
    }

    async fn create_grant_once(&self, access: &Access, new: &NewGrant) -> Result<GrantInfo, Stop> {
        let id = new_id!(GrantId, access.now);
        let environment = new.environment.as_ref().map(|name| access.environment(name)).transpose()?;
        let environment = environment.map(|found| found.id);
        let secret = match &new.secret {
            Some(name) => Some(self.snapshot(access, name).await?),
            None => None,
        };
        let scope = Scope {
            environment,
            folder: new.folder.clone(),
            secret: secret.as_ref().map(|found| found.secret.id),
        };
        // What the caller holds for one secret, it may hold because of the secret's folder.
        let held = Scope {
            folder: new.folder.clone().or_else(|| secret.as_ref().map(|found| found.secret.folder.clone())),
            ..scope.clone()
        };
        let to = new.to.to_string();
        let object = |role: &str| Object::new(ObjectKind::Grant, *id.as_bytes(), &format!("{role} to {to}"));
        if let Err(problem) = require(access.rights_at(&held), Right::GrantManage) {
            return Err(self.refuse(access, Verb::GrantCreate, object(""), problem).await);
        }
        let role = access.view.role_named(&new.role)?;
        let (role_name, rights) = access.view.role(role);
        let found = self.grantee(access, &new.to).await?;
        if let Err(problem) = may_grant(access, &found.id, rights, &held, new.until) {
            return Err(self.refuse(access, Verb::GrantCreate, object(&role_name), problem).await);
        }
        let hash = match &new.to {
            Grantee::Automation(_) => Some(self.granted_definition(access, found.id, rights, &scope).await?),
            Grantee::User(_) | Grantee::ServiceAccount(_) => None,
        };
        let workspace = access.view.workspace.id;
        let others = self.0.store.grants(workspace).await?;
        let is_equal = |other: &&Grant| {
            let is_live = other.until.is_none_or(|end| end > access.now);
            is_live
                && other.hash == hash
                && (other.principal, other.role, &other.scope) == (found.id, role, &scope)
        };
        if let Some(other) = others.iter().find(is_equal) {
            return Err(granted_already(other, &to, &role_name, new.until).into());
        }
        if others.len() >= limits::GRANTS_MAX {
            let message = format!("is one grant more than a workspace holds ({})", limits::GRANTS_MAX);
            return Err(Problem::invalid("to", message).into());
        }
        let grant = Grant {
            id,
            principal: found.id,
            kind: found.kind.to_owned(),
            role,
            scope,
            until: new.until,
            hash,
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
        };
        let detail = Detail { role: built_in(role), ..Detail::default() };
        let mut event = self.event(access, Verb::GrantCreate, object(&role_name), Outcome::Succeeded, detail);
        event.environment.clone_from(&new.environment);
        let change = self.change(access).bump().and(rows::insert(workspace, &grant)).record(&event);
        self.0.store.write(change).await?;
        Ok(GrantInfo {
            id,
            role: role_name,
            to: format!("{}:{}", found.kind, found.name),
            environment: new.environment.clone(),
            folder: new.folder.clone(),
            secret: secret.map(|found| found.secret.name.to_string()),
            until: new.until,
            ended: false,
            created_at: grant.created_at,
            created_by: grant.created_by,
        })
    }

    /// An automation uses what its definition names, and nothing else. A grant to it counts for one secret and for the
    /// definition that whoever grants can look at now: what is published later must find a publisher who may.
    async fn granted_definition(
        &self,
        access: &Access,
        automation: [u8; 16],
        rights: Rights,
        scope: &Scope,
    ) -> Result<[u8; 32], Stop> {
        if scope.secret.is_none() {
            return Err(Problem::invalid(
                "scope.secret",
                "must name a secret: an automation gets them one by one",
            )
            .into());
        }
        if !rights.has(Right::SecretUse) {
            return Err(Problem::invalid(
                "role",
                "must have `secret.use`: an automation can do nothing else with a secret",
            )
            .into());
        }
        let published =
            self.0.store.published(access.view.workspace.id, AutomationId::from_bytes(automation)).await?;
        let mut hashes: Vec<[u8; 32]> = published
            .iter()
            .filter(|at| scope.environment.is_none_or(|environment| environment == at.environment))
            .map(|at| at.hash)
            .collect();
        hashes.dedup();
        match hashes.as_slice() {
            [only] => Ok(*only),
            [] => Err(Problem::invalid("to", "is not published there").into()),
            _ => {
                Err(Problem::invalid("scope.environment", "must say which of its definitions is meant")
                    .into())
            }
        }
    }

    /// Withdraws a grant, at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn delete_grant(&self, caller: &Caller, id: GrantId) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let workspace = access.view.workspace.id;
            // Who manages none is told so, whether there is this one or not.
            if let Err(problem) = require(access.principal.rights_somewhere(access.now), Right::GrantManage) {
                let object = Object::new(ObjectKind::Grant, *id.as_bytes(), "");
                return Err(self.refuse(&access, Verb::GrantDelete, object, problem).await);
            }
            let found = self.0.store.grant(workspace, id).await?;
            let Some(grant) = found else {
                return Err(Problem::not_found("grant").into());
            };
            let held = self.held_scope(&access, &grant).await?;
            let object = self.grant_object(&access, &grant).await?;
            if let Err(problem) = require(access.rights_at(&held), Right::GrantManage) {
                // One that is managed by others is known to whoever has it, and to whoever reads the record.
                let may_know =
                    grant.principal == access.principal.actor.id || access.principal.has(Right::AuditRead);
                let problem = if may_know { problem } else { Problem::not_found("grant") };
                return Err(self.refuse(&access, Verb::GrantDelete, object, problem).await);
            }
            let detail = Detail { role: built_in(grant.role), ..Detail::default() };
            let mut event = self.event(&access, Verb::GrantDelete, object, Outcome::Succeeded, detail);
            event.environment = environment_name(&access, &grant);
            let change = self.change(&access).bump().and(rows::delete(workspace, id)).record(&event);
            self.0.store.write(change).await?;
            Ok(())
        })
    }

    /// Grants, oldest first: one's own, those one manages, and with `audit.read` all of them.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_grants(&self, caller: &Caller) -> Result<Vec<GrantInfo>, Problem> {
        settle!(self, caller, |access| async {
            let mut listed = Vec::new();
            for grant in self.0.store.grants(access.view.workspace.id).await? {
                let is_own = grant.principal == access.principal.actor.id;
                if is_own
                    || access.principal.has(Right::AuditRead)
                    || access.rights_at(&self.held_scope(&access, &grant).await?).has(Right::GrantManage)
                {
                    listed.push(self.grant_info(&access, grant).await?);
                }
            }
            Ok(listed)
        })
    }

    async fn grant_info(&self, access: &Access, grant: Grant) -> Result<GrantInfo, Stop> {
        let workspace = access.view.workspace.id;
        let secret = match grant.scope.secret {
            Some(id) => {
                let row = self.0.store.secret_by_id(workspace, id).await?;
                let named = row.filter(|secret| access.sees(secret)).map(|secret| secret.name.to_string());
                Some(named.unwrap_or_else(|| id.to_string()))
            }
            None => None,
        };
        let is_stale = match grant.hash {
            Some(hash) => {
                let automation = AutomationId::from_bytes(grant.principal);
                let published = self.0.store.published(workspace, automation).await?;
                !published.iter().any(|at| at.hash == hash)
            }
            None => false,
        };
        Ok(GrantInfo {
            role: access.view.role(grant.role).0,
            to: self.grantee_name(access, &grant).await?,
            environment: environment_name(access, &grant),
            secret,
            ended: is_stale || grant.until.is_some_and(|end| end <= access.now),
            id: grant.id,
            folder: grant.scope.folder,
            until: grant.until,
            created_at: grant.created_at,
            created_by: grant.created_by,
        })
    }

    /// What must be held to manage a grant: where it counts, and for one secret the folder that it is in.
    async fn held_scope(&self, access: &Access, grant: &Grant) -> Result<Scope, Stop> {
        let mut scope = grant.scope.clone();
        if let (Some(secret), None) = (scope.secret, &scope.folder) {
            let found = self.0.store.secret_by_id(access.view.workspace.id, secret).await?;
            scope.folder = found.map(|secret| secret.folder);
        }
        Ok(scope)
    }

    async fn grant_object(&self, access: &Access, grant: &Grant) -> Result<Object, Stop> {
        let (role, _) = access.view.role(grant.role);
        let name = format!("{role} to {}", self.grantee_name(access, grant).await?);
        Ok(Object::new(ObjectKind::Grant, *grant.id.as_bytes(), &name))
    }

    async fn grantee_name(&self, access: &Access, grant: &Grant) -> Result<String, Stop> {
        let (workspace, id) = (access.view.workspace.id, grant.principal);
        let name = match grant.kind.as_str() {
            "user" => self.0.store.user(UserId::from_bytes(id)).await?.map(|user| user.name),
            "service-account" => {
                let account =
                    self.0.store.service_account(workspace, ServiceAccountId::from_bytes(id)).await?;
                account.map(|account| account.name)
            }
            _ => self
                .0
                .store
                .automation_by_id(workspace, AutomationId::from_bytes(id))
                .await?
                .map(|found| found.name),
        };
        Ok(format!("{}:{}", grant.kind, name.map(|name| name.to_string()).unwrap_or_default()))
    }

    async fn grantee(&self, access: &Access, to: &Grantee) -> Result<Found, Stop> {
        let workspace = access.view.workspace.id;
        match to {
            Grantee::User(name) => {
                let not_found = || Problem::not_found("member");
                let user = self.0.store.user_named(&name.key()).await?.ok_or_else(not_found)?;
                // Somebody of another workspace is nobody here.
                self.0.store.member(workspace, user.id).await?.ok_or_else(not_found)?;
                Ok(Found { kind: "user", id: *user.id.as_bytes(), name: user.name })
            }
            Grantee::ServiceAccount(name) => {
                let found = self.0.store.service_account_named(workspace, &name.key()).await?;
                let account = found.ok_or_else(|| Problem::not_found("service account"))?;
                Ok(Found { kind: "service-account", id: *account.id.as_bytes(), name: account.name })
            }
            Grantee::Automation(name) => {
                let found = self.automation(access, name).await?;
                Ok(Found { kind: "automation", id: *found.id.as_bytes(), name: found.name })
            }
        }
    }

    /// Whether a secret (or, without one, a variable) may move between folders, as far as the rights of others go.
    ///
    /// Grants of the new folder and those above it begin to reach what moves there. Whoever would gain by that gets it from
    /// the mover: so the mover holds `grant.manage` and what is gained, and never gains it themselves.
    pub(crate) async fn check_move(
        &self,
        access: &Access,
        secret: Option<SecretId>,
        from: &Folder,
        to: &Folder,
    ) -> Result<(), Stop> {
        for grant in self.0.store.grants(access.view.workspace.id).await? {
            let is_live = grant.until.is_none_or(|end| end > access.now);
            let reaches = |folder: &Folder| {
                grant.scope.folder.as_ref().is_some_and(|granted| granted.contains(folder))
                    && grant.scope.secret.is_none_or(|granted| secret == Some(granted))
            };
            if !is_live || !reaches(to) || reaches(from) {
                continue;
            }
            let before = Scope { environment: grant.scope.environment, folder: Some(from.clone()), secret };
            let (_, rights) = access.view.role(grant.role);
            let held = self.held_by(access, &grant).await?;
            let held =
                held.iter().filter(|held| held.lasts(access.now, grant.until) && held.scope.covers(&before));
            let gained = rights.minus(held.fold(Rights::NONE, |sum, held| sum.or(held.rights)));
            if !gained.is_none() {
                require(access.rights_at(&before), Right::GrantManage)
                    .map_err(|problem| explain_move(problem, to))?;
                may_grant(access, &grant.principal, gained, &before, grant.until)
                    .map_err(|problem| explain_move(problem, to))?;
            }
        }
        Ok(())
    }

    /// What the principal of a grant holds, by membership and grants.
    pub(crate) async fn held_by(&self, access: &Access, grant: &Grant) -> Result<Vec<Holding>, Stop> {
        let (workspace, id) = (access.view.workspace.id, grant.principal);
        let membership = match grant.kind.as_str() {
            "user" => {
                let member = self.0.store.member(workspace, UserId::from_bytes(id)).await?;
                member.map(|member| (member.role, member.until))
            }
            "service-account" => {
                let account =
                    self.0.store.service_account(workspace, ServiceAccountId::from_bytes(id)).await?;
                account.map(|account| (account.role, None))
            }
            _ => None,
        };
        match membership {
            Some((role, until)) => Ok(self.holdings(&access.view, &id, role, until).await?),
            None => Ok(Vec::new()),
        }
    }
}

/// Nobody hands out what they do not hold there for as long, and nobody hands anything to themselves.
pub(crate) fn may_grant(
    access: &Access,
    to: &[u8; 16],
    rights: Rights,
    scope: &Scope,
    until: Option<Timestamp>,
) -> Result<(), Problem> {
    if *to == access.principal.actor.id {
        return Err(Problem::new(Code::Forbidden, "nobody grants anything to themselves")
            .suggest("ask somebody else who may grant it"));
    }
    let given = access.principal.rights_to_give(scope, until, access.now);
    if given.covers(rights) {
        return Ok(());
    }
    let missing = rights.minus(given);
    Err(Problem::new(
        Code::Forbidden,
        format!("you can only grant what you hold in that scope for as long; you do not so hold {missing}"),
    )
    .suggest("grant a smaller role, a narrower scope or an earlier end, or ask an owner"))
}

/// Two equal grants would make withdrawing one of them look like the end of it.
fn granted_already(other: &Grant, to: &str, role: &str, until: Option<Timestamp>) -> Problem {
    let id = other.id;
    let problem = |what: &str| Problem::new(Code::NameTaken, format!("{to} is {role} there already, {what}"));
    if other.until == until {
        return problem(&format!("by {id}")).suggest("there is nothing to do; `tacit grants list` shows it");
    }
    problem(&format!("until another time, by {id}"))
        .suggest(format!("to give it another end: tacit grants delete {id}, and grant it anew"))
}

fn explain_move(problem: Problem, to: &Folder) -> Problem {
    Problem::new(
        problem.code,
        format!(
            "in the folder `{to}` somebody gains rights over it, so moving it there is granting them: {}",
            problem.detail
        ),
    )
    .suggest("ask somebody who may grant those rights to move it")
}

pub(crate) fn built_in(role: RoleRef) -> Option<tacit_model::Role> {
    match role {
        RoleRef::BuiltIn(role) => Some(role),
        RoleRef::Custom(_) => None,
    }
}

fn environment_name(access: &Access, grant: &Grant) -> Option<EnvironmentName> {
    let found = access.environment_named(grant.scope.environment?)?;
    Some(found.name.clone())
}

impl std::fmt::Display for Grantee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::ServiceAccount(name) => write!(f, "service-account:{name}"),
            Self::Automation(name) => write!(f, "automation:{name}"),
        }
    }
}

impl std::str::FromStr for Grantee {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::invalid("to", "must be user:NAME, service-account:NAME or automation:NAME");
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let name = name.parse().map_err(|_| wrong())?;
        match kind {
            "user" => Ok(Self::User(name)),
            "service-account" => Ok(Self::ServiceAccount(name)),
            "automation" => Ok(Self::Automation(name)),
            _ => Err(wrong()),
        }
    }
}
