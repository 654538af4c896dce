//! Who is calling, and what their workspace looks like right now.
//!
//! A [`View`] is a workspace at one revision. It fills lazily and is thrown away whole when the revision moves, so that
//! there is nothing to invalidate. It holds ciphertext and policy, never values. It may even be out of date: whatever is
//! decided on it becomes real only through a write that is conditional on its revision.

mod principal;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

use tacit_audit::{Actor, ActorKind};
use tacit_crypto::token::TokenHash;
use tacit_model::{
    Code, EnvironmentId, EnvironmentName, Host, LeaseId, Problem, Right, Rights, RoleRef, Scope, SecretId,
    SecretName, SecretType, Timestamp, WorkspaceName, destination::HostPattern, limits, name::Folder,
};
use tacit_store::{
    agent_sessions::AgentSession,
    grants::Grant,
    principals::TokenOwner,
    roles,
    secrets::{Secret, Value, Version},
    tokens::AccessToken,
    workspaces::{Environment, Workspace},
};

use crate::{
    Stop, Vault,
    leases::Lease,
    precondition::Precondition,
    uses::{PlanId, ScanPlan},
};

pub use principal::{Holding, Principal};

/// Who asks, for which workspace, and when. Made at the edge, once for each request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The workspace that is asked for.
    pub workspace: WorkspaceName,
    /// The hash of the token that was presented.
    pub token: TokenHash,
    /// The time of the request.
    pub now: Timestamp,
    /// The request's id, for the record.
    pub request_id: [u8; 16],
    /// What a write is conditional on, besides what it needs anyway.
    pub precondition: Precondition,
}

/// Whose token it is.
pub(crate) enum Owner {
    /// A person's or an account's.
    Account(TokenOwner),
    /// An agent's, in its session; and whose the token is that it was made with.
    Agent(Box<AgentSession>, TokenOwner),
}

/// A secret as it is at one revision, with the state of its values.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) secret: Secret,
    pub(crate) values: Vec<Value>,
}

impl Snapshot {
    pub(crate) fn value(&self, environment: EnvironmentId) -> Option<&Value> {
        self.values.iter().find(|value| value.environment == environment)
    }
}

/// A secret that is bound to a host or was sent there.
pub(crate) struct AtHost {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) was_sent: bool,
}

/// Entries a view keeps of each kind; with more, the rest is read each time.
const ENTRIES_MAX: usize = 8192;
/// Plans it keeps: each names up to hundreds of values, and there is one for every host that somebody thinks of.
const PLANS_MAX: usize = 512;

pub(crate) struct Cache<K, V, const MAX: usize = ENTRIES_MAX>(RwLock<HashMap<K, V>>);

impl<K, V, const MAX: usize> Default for Cache<K, V, MAX> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Clone, const MAX: usize> Cache<K, V, MAX> {
    pub(crate) fn find<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(crate) fn keep(&self, key: K, value: V) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() < MAX || entries.contains_key(&key) {
            entries.insert(key, value);
        }
    }
}

/// A workspace at one revision.
pub(crate) struct View {
    pub(crate) workspace: Workspace,
    pub(crate) revision: i64,
    pub(crate) environments: Vec<Environment>,
    /// The workspace's own roles.
    pub(crate) roles: Vec<roles::Role>,
    principals: Cache<TokenHash, Arc<Principal>>,
    secrets: Cache<String, Arc<Snapshot>>,
    versions: Cache<(SecretId, EnvironmentId), Arc<Vec<Version>>>,
    tokens: Cache<(SecretId, EnvironmentId), Arc<Vec<AccessToken>>>,
    hosts: Cache<Host, Arc<Vec<AtHost>>>,
    /// Leases that were in force at this revision. What ends one increases the revision; that one is not there is never
    /// kept, because making one does not.
    pub(crate) leases: Cache<LeaseId, Arc<Lease>>,
    pub(crate) plans: Cache<PlanId, Arc<ScanPlan>, PLANS_MAX>,
}

/// A caller in their workspace: the ground on which a use case decides.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) view: Arc<View>,
    pub(crate) principal: Arc<Principal>,
    pub(crate) now: Timestamp,
    pub(crate) request_id: [u8; 16],
    pub(crate) precondition: Precondition,
}

impl Access {
    /// An environment of the workspace.
    pub(crate) fn environment(&self, name: &EnvironmentName) -> Result<&Environment, Problem> {
        self.view.environments.iter().find(|environment| environment.name == *name).ok_or_else(|| {
            let known = self.view.environments.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(", ");
            Problem::not_found("environment").suggest(format!("this workspace has {known}"))
        })
    }

    pub(crate) fn environment_named(&self, id: EnvironmentId) -> Option<&Environment> {
        self.view.environments.iter().find(|environment| environment.id == id)
    }

    /// What the caller may do everywhere in a scope.
    pub(crate) fn rights_at(&self, scope: &Scope) -> Rights {
        self.principal.rights_at(scope, self.now)
    }

    /// What the caller may do with a secret in one environment, or (`None`) in all of them at once.
    pub(crate) fn rights_on(&self, secret: &Secret, environment: Option<EnvironmentId>) -> Rights {
        self.rights_at(&Scope::secret(secret.id, &secret.folder, environment))
    }

    /// What the caller may do with everything of an environment.
    pub(crate) fn rights_in(&self, environment: EnvironmentId) -> Rights {
        self.rights_at(&Scope::environment(environment))
    }

    /// Whether the caller may know that a secret is there: `secret.list` in one environment is enough.
    pub(crate) fn sees(&self, secret: &Secret) -> bool {
        let scope = Scope::secret(secret.id, &secret.folder, None);
        self.principal.rights_in_some_environment(&scope, self.now).has(Right::SecretList)
    }

    /// Whether the caller may name a secret in a request: it may list it or use it there. To others it is not there.
    pub(crate) fn may_name(&self, secret: &Secret, environment: EnvironmentId) -> bool {
        self.sees(secret) || self.rights_on(secret, Some(environment)).has(Right::SecretUse)
    }

    /// The same for a variable in this folder.
    pub(crate) fn sees_folder(&self, folder: &Folder) -> bool {
        let scope = Scope::folder(folder);
        self.principal.rights_in_some_environment(&scope, self.now).has(Right::SecretList)
    }

    /// Whether there is anything at all that the caller may list.
    pub(crate) fn lists_something(&self) -> bool {
        self.principal.rights_somewhere(self.now).has(Right::SecretList)
    }

    /// The same as a refusal: of things nobody named, it is not said that there is no such one.
    pub(crate) fn may_list(&self, things: &str) -> Result<(), Problem> {
        if self.lists_something() {
            return Ok(());
        }
        Err(Problem::new(Code::NotFound, format!("there are no {things} that you may list"))
            .suggest("`tacit whoami` shows what you may do, and where"))
    }

    /// Whether the caller may list everything, everywhere.
    pub(crate) fn lists_everything(&self) -> bool {
        self.principal.rights.has(Right::SecretList)
    }
}

impl View {
    /// A role's name and rights. One that is gone has none.
    pub(crate) fn role(&self, role: RoleRef) -> (String, Rights) {
        match role {
            RoleRef::BuiltIn(role) => (role.as_str().to_owned(), role.rights()),
            RoleRef::Custom(id) => match self.roles.iter().find(|role| role.id == id) {
                Some(role) => (role.name.to_string(), role.rights),
                None => (String::new(), Rights::NONE),
            },
        }
    }

    /// What a grant comes to.
    pub(crate) fn holding(&self, grant: &Grant) -> Holding {
        let (role_name, rights) = self.role(grant.role);
        Holding {
            rights,
            scope: grant.scope.clone(),
            until: grant.until,
            role: grant.role,
            role_name,
            grant: Some(grant.id),
        }
    }
}

impl Vault {
    /// Who a token belongs to in the workspace that is asked for.
    ///
    /// Unknown, foreign and expired tokens are one answer; a workspace that is not there and one that the caller is
    /// not a member of are another one.
    pub(crate) async fn access(&self, caller: &Caller) -> Result<Access, Problem> {
        let view = self.view(&caller.workspace).await?;
        let Some(view) = view else {
            self.token_owner(caller.token, caller.now).await?;
            return Err(Problem::not_found("workspace"));
        };
        let principal = match view.principals.find(&caller.token) {
            Some(principal) => principal,
            None => {
                let principal = Arc::new(self.principal(&view, caller).await?);
                view.principals.keep(caller.token, Arc::clone(&principal));
                principal
            }
        };
        if principal.expires_at.is_some_and(|end| end <= caller.now) {
            return Err(unauthenticated());
        }
        let principal =
            Principal::at(&principal, caller.now).ok_or_else(|| Problem::not_found("workspace"))?;
        Ok(Access {
            view,
            principal,
            now: caller.now,
            request_id: caller.request_id,
            precondition: caller.precondition.clone(),
        })
    }

    /// Whether the caller belongs to the workspace at all: for the edge, before it reads a body.
    ///
    /// # Errors
    /// `unauthenticated`, `not_found`.
    pub async fn check_member(&self, caller: &Caller) -> Result<(), Problem> {
        self.access(caller).await.map(drop)
    }

    /// The workspace at its revision of this moment; `None` if there is no such workspace.
    pub(crate) async fn view(&self, name: &WorkspaceName) -> Result<Option<Arc<View>>, Problem> {
        let known = self.0.views.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(view) = known
            && self.0.store.revision(view.workspace.id).await.map_err(Problem::internal)? == view.revision
        {
            return Ok(Some(view));
        }
        let Some(workspace) = self.0.store.workspace(name).await.map_err(Problem::internal)? else {
            return Ok(None);
        };
        // The revision first: what is read after it may be newer than it says, and then the conditional write fails.
        let revision = self.0.store.revision(workspace.id).await.map_err(Problem::internal)?;
        let environments = self.0.store.environments(workspace.id).await.map_err(Problem::internal)?;
        let roles = self.0.store.roles(workspace.id).await.map_err(Problem::internal)?;
        let view = Arc::new(View {
            workspace,
            revision,
            environments,
            roles,
            principals: Cache::default(),
            secrets: Cache::default(),
            versions: Cache::default(),
            tokens: Cache::default(),
            hosts: Cache::default(),
            leases: Cache::default(),
            plans: Cache::default(),
        });
        self.0.views.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Arc::clone(&view));
        Ok(Some(view))
    }

    /// Whose a token is, and when it ends: an agent's at the latest with the one it was made with.
    pub(crate) async fn token_owner(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<(Owner, Option<Timestamp>), Problem> {
        if let Some((owner, expires_at)) = self.account_of(hash, now).await? {
            return Ok((Owner::Account(owner), expires_at));
        }
        let found = self.0.store.agent_session_of_token(hash.as_bytes()).await.map_err(Problem::internal)?;
        let session = found
            .filter(|session| session.ended_at.is_none() && session.expires_at > now)
            .ok_or_else(unauthenticated)?;
        let creator = TokenHash::from_bytes(session.creator);
        let (owner, creator_ends) = self.account_of(creator, now).await?.ok_or_else(unauthenticated)?;
        let expires_at = creator_ends.map_or(session.expires_at, |end| end.min(session.expires_at));
        Ok((Owner::Agent(Box::new(session), owner), Some(expires_at)))
    }

    /// The person or account with this token, unless it ended.
    async fn account_of(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<(TokenOwner, Option<Timestamp>)>, Problem> {
        let token = self.0.store.token(hash.as_bytes()).await.map_err(Problem::internal)?;
        if let Some(token) = token {
            let is_live = token.expires_at.is_none_or(|end| end > now);
            return Ok(is_live.then_some((token.owner, token.expires_at)));
        }
        let session = self.0.store.session(hash.as_bytes()).await.map_err(Problem::internal)?;
        let session = session.filter(|session| session.expires_at > now);
        Ok(session.map(|session| (TokenOwner::User(session.user), Some(session.expires_at))))
    }

    async fn principal(&self, view: &View, caller: &Caller) -> Result<Principal, Problem> {
        // No token has this hash: it stands for whoever enabled a trigger, and of what they may do for what that needs.
        let trigger = self.0.store.trigger_of_credential(caller.token.as_bytes()).await;
        if let Some((workspace, enabled)) = trigger.map_err(Problem::internal)? {
            if workspace != view.workspace.id {
                return Err(Problem::not_found("workspace"));
            }
            let mut principal = self.member_or_account(view, enabled.owner, None).await?;
            for holding in &mut principal.holdings {
                holding.rights = holding.rights.and(Rights::TRIGGER);
            }
            principal.rights = principal.rights.and(Rights::TRIGGER);
            return Ok(principal);
        }
        let (owner, expires_at) = self.token_owner(caller.token, caller.now).await?;
        match owner {
            Owner::Account(owner) => self.member_or_account(view, owner, expires_at).await,
            Owner::Agent(session, _) if session.workspace != view.workspace.id => {
                Err(Problem::not_found("workspace"))
            }
            // What its maker may do now, and of that only what agents may do at all.
            Owner::Agent(session, owner) => {
                let mut creator = self.member_or_account(view, owner, expires_at).await?;
                for holding in &mut creator.holdings {
                    holding.rights = holding.rights.and(Rights::AGENT);
                }
                Ok(Principal {
                    actor: Actor::new(ActorKind::Agent, *session.id.as_bytes(), session.name.as_str()),
                    rights: creator.rights.and(Rights::AGENT),
                    on_behalf_of: Some(creator.actor),
                    requests_max: Some(session.requests_max.unsigned_abs()),
                    ..creator
                })
            }
        }
    }

    /// A person or an account in a workspace.
    async fn member_or_account(
        &self,
        view: &View,
        owner: TokenOwner,
        expires_at: Option<Timestamp>,
    ) -> Result<Principal, Problem> {
        let not_here = || Problem::not_found("workspace");
        let (actor, role, until) = match owner {
            TokenOwner::User(user) => {
                let member = self.0.store.member(view.workspace.id, user).await.map_err(Problem::internal)?;
                let member = member.ok_or_else(not_here)?;
                let actor = Actor::new(ActorKind::User, *user.as_bytes(), member.name.as_str());
                (actor, member.role, member.until)
            }
            TokenOwner::ServiceAccount(workspace, id) => {
                if workspace != view.workspace.id {
                    return Err(not_here());
                }
                let account = self.0.store.service_account(workspace, id).await.map_err(Problem::internal)?;
                let account = account.ok_or_else(unauthenticated)?;
                (
                    Actor::new(ActorKind::ServiceAccount, *id.as_bytes(), account.name.as_str()),
                    account.role,
                    None,
                )
            }
        };
        let holdings = self.holdings(view, &actor.id, role, until).await?;
        let mut principal = Principal {
            actor,
            role: holdings.first().map(|membership| membership.role_name.clone()).unwrap_or_default(),
            rights: Rights::NONE,
            holdings,
            on_behalf_of: None,
            requests_max: None,
            expires_at,
        };
        principal.rights = principal.gather(|holding| holding.scope == Scope::WORKSPACE);
        Ok(principal)
    }

    /// What somebody with this role by membership holds, grants included. What has ended is among it.
    pub(crate) async fn holdings(
        &self,
        view: &View,
        principal: &[u8; 16],
        role: RoleRef,
        until: Option<Timestamp>,
    ) -> Result<Vec<Holding>, Problem> {
        let (role_name, rights) = view.role(role);
        let membership = Holding { rights, scope: Scope::WORKSPACE, until, role, role_name, grant: None };
        let grants = self.0.store.grants_of(view.workspace.id, principal).await.map_err(Problem::internal)?;
        Ok(std::iter::once(membership).chain(grants.iter().map(|grant| view.holding(grant))).collect())
    }

    /// A secret that is there (deleted ones count as gone) and that the caller may know of.
    pub(crate) async fn snapshot(&self, access: &Access, name: &SecretName) -> Result<Arc<Snapshot>, Stop> {
        let snapshot = self.snapshot_or_deleted(&access.view, &name.key()).await?;
        match snapshot {
            Some(snapshot) if snapshot.secret.deleted_at.is_none() && access.sees(&snapshot.secret) => {
                Ok(snapshot)
            }
            _ => Err(Problem::not_found("secret").into()),
        }
    }

    pub(crate) async fn snapshot_or_deleted(
        &self,
        view: &View,
        key: &str,
    ) -> Result<Option<Arc<Snapshot>>, Stop> {
        if let Some(snapshot) = view.secrets.find(key) {
            return Ok(Some(snapshot));
        }
        let Some(secret) = self.0.store.secret(view.workspace.id, key).await? else { return Ok(None) };
        let snapshot = Arc::new(self.with_values(view, secret).await?);
        view.secrets.keep(key.to_owned(), Arc::clone(&snapshot));
        Ok(Some(snapshot))
    }

    pub(crate) async fn with_values(&self, view: &View, secret: Secret) -> Result<Snapshot, Stop> {
        let values = self.0.store.values(view.workspace.id, secret.id).await?;
        Ok(Snapshot { secret, values })
    }

    /// The kept versions of a value, newest first, sealed.
    pub(crate) async fn sealed_versions(
        &self,
        view: &View,
        secret: SecretId,
        environment: EnvironmentId,
    ) -> Result<Arc<Vec<Version>>, Stop> {
        if let Some(versions) = view.versions.find(&(secret, environment)) {
            return Ok(versions);
        }
        let versions = Arc::new(self.0.store.versions(view.workspace.id, secret, environment).await?);
        view.versions.keep((secret, environment), Arc::clone(&versions));
        Ok(versions)
    }

    /// The kept tokens that were fetched with a value, newest first, sealed. Only client credentials have any.
    pub(crate) async fn sealed_tokens(
        &self,
        view: &View,
        secret: &Secret,
        environment: EnvironmentId,
    ) -> Result<Arc<Vec<AccessToken>>, Stop> {
        if secret.kind != SecretType::Oauth2ClientCredentials {
            return Ok(Arc::default());
        }
        if let Some(tokens) = view.tokens.find(&(secret.id, environment)) {
            return Ok(tokens);
        }
        let tokens = Arc::new(self.0.store.access_tokens(view.workspace.id, secret.id, environment).await?);
        view.tokens.keep((secret.id, environment), Arc::clone(&tokens));
        Ok(tokens)
    }

    /// The secrets bound to a host or sent there, one more than may be scanned for at most.
    pub(crate) async fn at_host(&self, view: &View, host: &Host) -> Result<Arc<Vec<AtHost>>, Stop> {
        if let Some(found) = view.hosts.find(host) {
            return Ok(found);
        }
        let keys = HostPattern::index_keys_for(host);
        let limit = limits::SCANNED_SECRETS_MAX + 1;
        let mut found = Vec::new();
        for (secret, was_sent) in self.0.store.secrets_at_host(view.workspace.id, &keys, limit).await? {
            found.push(AtHost { snapshot: Arc::new(self.with_values(view, secret).await?), was_sent });
        }
        let found = Arc::new(found);
        view.hosts.keep(host.clone(), Arc::clone(&found));
        Ok(found)
    }
}

pub(crate) fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated, "no valid token was presented")
        .suggest("send `Authorization: Bearer tct_…` with a token that has not ended, or run `tacit login`")
}
