//! Leases: placeholders that stand for values in the requests of one principal, in one environment, for a while.
//!
//! What is stored of a lease's token and of its placeholders are hashes. A lease gives nobody a right: it remembers with
//! which token it was asked for, and whoever that token belongs to is looked up, with their rights, each time it is used.
//! It is bound to secrets by id, so that another secret under the same name is another one.
//!
//! Ending one is a change that increases the revision, so that nothing that was decided before can begin after it. Making
//! one is not: there is nothing to take back.

mod create;
mod elsewhere;
mod live;

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::{
    placeholder::Shape,
    token::{TokenHash, TokenText},
};
use tacit_model::{
    Code, Destination, Destinations, EnvironmentId, EnvironmentName, LeaseId, OtherHosts, Problem, Right,
    SecretId, SecretName, SecretType, Timestamp, WorkspaceId, WorkspaceName, limits,
};
use tacit_store::{Change, leases as rows};

use crate::{
    Caller, Stop, Vault,
    access::{Access, Snapshot},
    authorize::require,
    settle, settle_change,
};
pub(crate) use elsewhere::Elsewhere;

/// What a lease is asked for with.
#[derive(Clone, Debug)]
pub struct NewLease {
    /// For which environment. It is frozen in the lease.
    pub environment: EnvironmentName,
    /// For which secrets.
    pub secrets: Vec<LeaseSecret>,
    /// Seconds until it ends unless it is renewed; [`limits::LEASE_TTL_SECS_DEFAULT`] if it does not say.
    pub ttl_secs: Option<u64>,
    /// What becomes of requests to other hosts.
    pub other_hosts: OtherHosts,
    /// From where it may be used; none means from where it was asked for, and nowhere else.
    pub allow_from: Vec<IpNet>,
    /// How many requests it may send.
    pub requests_max: Option<u64>,
}

/// A secret that a lease is asked for.
#[derive(Clone, Debug)]
pub struct LeaseSecret {
    /// Its name.
    pub name: SecretName,
    /// Under which name the program finds the placeholder; none means [`default_alias`](tacit_model::lease::default_alias).
    pub alias: Option<String>,
    /// What the placeholder looks like.
    pub shape: Shape,
}

/// A new lease: the only time its token and its placeholders are seen.
pub struct LeaseGiven {
    /// The lease.
    pub lease: Arc<Lease>,
    /// Its token.
    pub token: TokenText,
    /// Placeholders by alias, in the order in which they were asked for.
    pub placeholders: Vec<(String, TokenText)>,
}

/// A lease that was in force when it was looked at. Made only here; whether it still is, [`Vault::current_lease`] says.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The id.
    pub id: LeaseId,
    /// In which workspace.
    pub workspace: WorkspaceName,
    /// For which environment.
    pub environment: EnvironmentName,
    /// What becomes of requests to other hosts.
    pub other_hosts: OtherHosts,
    /// When it ends unless it was renewed since.
    pub expires_at: Timestamp,
    /// Its secrets, but for those that are gone for good.
    pub secrets: Vec<LeasedSecret>,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) creator: TokenHash,
    pub(crate) requests_max: Option<u64>,
    allow_from: Vec<IpNet>,
}

/// A secret of a lease.
#[derive(Clone, Debug)]
pub struct LeasedSecret {
    /// Its id, by which it is bound.
    pub secret: SecretId,
    /// Its name.
    pub name: SecretName,
    /// Under which name the program finds the placeholder.
    pub alias: String,
    /// Its type.
    pub kind: SecretType,
    /// The header that an `api_key` goes into, in lower case.
    pub own_header: Option<String>,
    /// Where it may go, in every environment.
    pub destinations: Destinations,
    placeholder: TokenHash,
}

impl Lease {
    /// Whoever took the lease, at another time.
    pub fn caller(&self, now: Timestamp, request_id: [u8; 16]) -> Caller {
        Caller {
            workspace: self.workspace.clone(),
            token: self.creator,
            now,
            request_id,
            precondition: crate::Precondition::NONE,
        }
    }

    /// The secret that a placeholder stands for in this lease.
    pub fn find(&self, placeholder: &TokenHash) -> Option<&LeasedSecret> {
        self.secrets.iter().find(|secret| secret.placeholder == *placeholder)
    }

    /// Where its secrets may go in its environment: the hosts that are bound, and what certificates may be made for.
    pub fn destinations(&self) -> Vec<Destination> {
        let is_here =
            |d: &&Destination| d.environments.is_empty() || d.environments.contains(&self.environment);
        let mut destinations: Vec<Destination> = Vec::new();
        for destination in self.secrets.iter().flat_map(|secret| &secret.destinations.0).filter(is_here) {
            if !destinations.contains(destination) {
                destinations.push(destination.clone());
            }
        }
        destinations
    }

    /// Whether it has a placeholder for a secret.
    pub(crate) fn binds(&self, secret: SecretId) -> bool {
        self.secrets.iter().any(|bound| bound.secret == secret)
    }

    /// Whether it may be used from an address.
    fn allows_from(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.allow_from.iter().any(|range| range.contains(&source))
    }
}

/// A lease as a list shows it: no token, no placeholder.
#[derive(Clone, Debug)]
pub struct LeaseInfo {
    /// The id.
    pub id: LeaseId,
    /// For which environment.
    pub environment: EnvironmentName,
    /// Aliases, and the secrets they stand for.
    pub secrets: Vec<(String, SecretName)>,
    /// What becomes of requests to other hosts.
    pub other_hosts: OtherHosts,
    /// From where it may be used.
    pub allow_from: Vec<String>,
    /// How many requests it may send.
    pub requests_max: Option<u64>,
    /// How many of them it sent.
    pub requests: u64,
    /// Who took it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
    /// When it ends however often it is renewed.
    pub ends_at_latest: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

/// Rows of a list.
const LISTED_MAX: usize = limits::PAGE_ROWS_MAX;

fn object(id: LeaseId) -> Object {
    Object::new(ObjectKind::Lease, *id.as_bytes(), &id.to_string())
}

fn not_found() -> Problem {
    Problem::not_found("lease").suggest("`tacit leases list` shows those that are open")
}

impl Vault {
    /// Lets a lease of the caller's live longer: by as much as it was given first, and never beyond its latest end.
    ///
    /// # Errors
    /// `forbidden` without `secret.use`, `not_found` if it is not the caller's or has ended.
    pub async fn renew_lease(&self, caller: &Caller, id: LeaseId) -> Result<LeaseInfo, Problem> {
        settle_change!(self, caller, |access| async {
            if let Err(problem) = require(access.principal.rights_somewhere(access.now), Right::SecretUse) {
                return Err(self.refuse(&access, Verb::LeaseRenew, object(id), problem).await);
            }
            let workspace = access.view.workspace.id;
            let is_open = |row: &rows::Lease| row.ended_at.is_none() && row.expires_at > access.now;
            let found = self.0.store.lease(workspace, id).await?;
            let Some(mut row) =
                found.filter(|row| is_open(row) && row.principal == access.principal.actor.id)
            else {
                return Err(not_found().into());
            };
            let expires_at = access.now.plus_secs(row.ttl_secs).min(row.ends_at_latest);
            row.expires_at = row.expires_at.max(expires_at);
            let detail = Detail { lease: Some(id), ..Detail::default() };
            let event = self.event(&access, Verb::LeaseRenew, object(id), Outcome::Succeeded, detail);
            let renewed = rows::renew(workspace, id, row.expires_at);
            self.0.store.write(self.change(&access).and(renewed).record(&event)).await?;
            self.lease_info(&access, row).await
        })
    }

    /// Ends a lease at once: nothing that was decided on it before can begin after this returns. Ending one that has ended
    /// already is nothing new and no error.
    ///
    /// One's own (or one's agents') leases, and with `member.manage` everybody's.
    ///
    /// # Errors
    /// `not_found`; `forbidden` for those who can have none of their own, and for those who may know of it.
    pub async fn end_lease(&self, caller: &Caller, id: LeaseId) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let workspace = access.view.workspace.id;
            let found = self.0.store.lease(workspace, id).await?;
            let may_have_some = access.principal.rights_somewhere(access.now).has(Right::SecretUse);
            let row = match found {
                Some(row) if is_own(&access, &row) || access.principal.has(Right::MemberManage) => row,
                None if access.principal.has(Right::MemberManage) || may_have_some => {
                    return Err(not_found().into());
                }
                // The same for what is not there as for what is somebody else's, unless the caller may know which it is.
                Some(_) if may_have_some && !access.principal.has(Right::AuditRead) => {
                    return Err(self.refuse(&access, Verb::LeaseRevoke, object(id), not_found()).await);
                }
                _ => {
                    let missing = may_not_manage();
                    return Err(self.refuse(&access, Verb::LeaseRevoke, object(id), missing).await);
                }
            };
            if row.ended_at.is_some() {
                return Ok(());
            }
            let detail = Detail { lease: Some(id), ..Detail::default() };
            let event = self.event(&access, Verb::LeaseRevoke, object(id), Outcome::Succeeded, detail);
            let end = rows::end(workspace, id, access.now);
            self.0.store.write(self.change(&access).bump().and(end).record(&event)).await?;
            self.0.budgets.forget(id.as_bytes());
            Ok(())
        })
    }

    /// Leases, open ones first, then newest first: one's own and one's agents', with `audit.read` everybody's.
    ///
    /// # Errors
    /// `unauthenticated`, `not_found`.
    pub async fn list_leases(&self, caller: &Caller) -> Result<Vec<LeaseInfo>, Problem> {
        settle!(self, caller, |access| async {
            let own = access.principal.actor.id;
            let of = if access.principal.has(Right::AuditRead) { None } else { Some(&own) };
            let found = self.0.store.leases(access.view.workspace.id, of, access.now, LISTED_MAX).await?;
            let mut infos = Vec::with_capacity(found.len());
            for row in found {
                infos.push(self.lease_info(&access, row).await?);
            }
            Ok(infos)
        })
    }

    async fn lease_info(&self, access: &Access, row: rows::Lease) -> Result<LeaseInfo, Stop> {
        let workspace = access.view.workspace.id;
        let mut secrets = Vec::new();
        for secret in self.0.store.lease_secrets(workspace, row.id).await? {
            if let Some(found) = self.0.store.secret_by_id(workspace, secret.secret).await? {
                secrets.push((secret.alias, found.name));
            }
        }
        let environment = access
            .environment_named(row.environment)
            .ok_or_else(|| Problem::internal("a lease's environment is gone"))?;
        Ok(LeaseInfo {
            id: row.id,
            environment: environment.name.clone(),
            secrets,
            other_hosts: row.other_hosts.parse().unwrap_or(OtherHosts::Block),
            allow_from: row.allow_from.split(',').map(str::to_owned).collect(),
            requests_max: row.requests_max.map(i64::unsigned_abs),
            requests: self.0.budgets.spent(row.id.as_bytes()),
            created_by: row.created_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            ends_at_latest: row.ends_at_latest,
            ended_at: row.ended_at,
        })
    }

    /// Ends what was open when the process stopped: its certificate authorities and counts were in memory. Returns how
    /// many there were.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn end_abandoned_leases(&self, now: Timestamp) -> Result<u64, Problem> {
        let mut ended = 0;
        for workspace in self.0.store.workspaces().await.map_err(Problem::internal)? {
            let open = self.0.store.open_leases(workspace.id, now).await.map_err(Problem::internal)?;
            if open.is_empty() {
                continue;
            }
            ended += open.len() as u64;
            let mut change = Change::new(workspace.id).bump();
            for id in open {
                let mut event = self.system_event(workspace.id, now, Verb::LeaseRevoke, object(id));
                event.detail.lease = Some(id);
                change = change.and(rows::end(workspace.id, id, now)).record(&event);
            }
            self.0.store.write(change).await.map_err(Problem::audit_unavailable)?;
        }
        Ok(ended)
    }

    /// The open leases of a principal whose session ends, ended in the same change.
    pub(crate) async fn and_end_leases_of(
        &self,
        access: &Access,
        principal: [u8; 16],
        mut change: Change,
    ) -> Result<Change, Stop> {
        let workspace = access.view.workspace.id;
        for row in self.0.store.leases(workspace, Some(&principal), access.now, LISTED_MAX).await? {
            if row.ended_at.is_some() || row.expires_at <= access.now {
                continue;
            }
            let detail = Detail { lease: Some(row.id), ..Detail::default() };
            let event = self.event(access, Verb::LeaseRevoke, object(row.id), Outcome::Succeeded, detail);
            change = change.and(rows::end(workspace, row.id, access.now)).record(&event);
        }
        Ok(change)
    }
}

fn may_not_manage() -> Problem {
    Problem::new(
        Code::Forbidden,
        format!(
            "this needs the right `{}`, which you do not hold here, or a lease of your own",
            Right::MemberManage
        ),
    )
    .suggest("ask an owner or admin of the workspace to end it")
}

/// One's own: taken by oneself or by an agent of one's own.
fn is_own(access: &Access, row: &rows::Lease) -> bool {
    row.principal == access.principal.actor.id || row.behalf_of == Some(access.principal.actor.id)
}

/// A secret as the proxy needs to know it.
fn leased(
    snapshot: &Snapshot,
    environment: EnvironmentId,
    alias: String,
    placeholder: TokenHash,
) -> LeasedSecret {
    let secret = &snapshot.secret;
    let shown = snapshot.value(environment).filter(|_| secret.kind == SecretType::ApiKey);
    let own_header = shown.and_then(|value| {
        let shown: serde_json::Value = serde_json::from_str(&value.shown).ok()?;
        Some(shown.get("header")?.as_str()?.to_ascii_lowercase())
    });
    LeasedSecret {
        secret: secret.id,
        name: secret.name.clone(),
        alias,
        kind: secret.kind,
        own_header,
        destinations: secret.destinations.clone(),
        placeholder,
    }
}
