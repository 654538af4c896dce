//! What the proxy asks of a lease: whose token is this, is it still in force, and where may its secrets go.
//!
//! A lease is kept with the view in which it was found in force. What ends one makes a new view; that its time is over is
//! looked up again, because a renewal makes none.

use std::{net::IpAddr, sync::Arc};

use tacit_crypto::token::TokenHash;
use tacit_model::{Code, LeaseId, OtherHosts, Problem, Right, Timestamp};
use tacit_store::leases as rows;

use super::{Lease, LeasedSecret, leased};
use crate::{
    Stop, Vault,
    access::{Access, Snapshot, View, unauthenticated},
    busy,
};

impl Vault {
    /// The lease that a token belongs to, in force and used from where it may be. For the proxy.
    ///
    /// # Errors
    /// Unknown, foreign, expired and ended tokens, those used from elsewhere, and those whose creator may not use secrets
    /// any more are one and the same `unauthenticated`. Of these, what is used from elsewhere is on the record, now and
    /// then.
    pub async fn lease_of_token(
        &self,
        token: TokenHash,
        source: IpAddr,
        request_id: [u8; 16],
        now: Timestamp,
    ) -> Result<Arc<Lease>, Problem> {
        let found = self.0.store.lease_of_token(token.as_bytes()).await.map_err(Problem::internal)?;
        let (workspace, id) = found.ok_or_else(unauthenticated)?;
        let view = self.view(&workspace).await?.ok_or_else(unauthenticated)?;
        let lease = self.live_lease(&view, id, now).await.map_err(problem)?.ok_or_else(unauthenticated)?;
        let access = self.user_of(&lease, now, request_id).await?.ok_or_else(unauthenticated)?;
        if lease.allows_from(source) {
            Ok(lease)
        } else {
            Err(self.refuse_elsewhere(&access, &lease, source).await)
        }
    }

    /// A lease as it is now, if it is still in force: not ended, its time not over, and whoever took it still somebody who
    /// may use secrets. Its secrets have their destinations of this moment. Cheap while nothing changes.
    ///
    /// # Errors
    /// `internal`, if the database cannot be read: nothing is known about the lease then.
    pub async fn current_lease(&self, lease: &Lease, now: Timestamp) -> Result<Option<Arc<Lease>>, Problem> {
        let Some(view) = self.view(&lease.workspace).await? else { return Ok(None) };
        let Some(current) = self.live_lease(&view, lease.id, now).await.map_err(problem)? else {
            return Ok(None);
        };
        let user = self.user_of(&current, now, [0; 16]).await?;
        Ok(user.map(|_| current))
    }

    /// Whoever took a lease, if they may still use secrets.
    async fn user_of(
        &self,
        lease: &Lease,
        now: Timestamp,
        request_id: [u8; 16],
    ) -> Result<Option<Access>, Problem> {
        match self.access(&lease.caller(now, request_id)).await {
            Ok(access) => {
                let Ok(environment) = access.environment(&lease.environment) else { return Ok(None) };
                let rights = access.principal.rights_somewhere_in(environment.id, now);
                Ok(rights.has(Right::SecretUse).then_some(access))
            }
            Err(problem) if problem.code == Code::Internal => Err(problem),
            Err(_) => Ok(None),
        }
    }

    /// A secret of a lease as it is now; `None` if it is gone for good.
    pub(crate) async fn bound_secret(
        &self,
        view: &View,
        bound: &LeasedSecret,
    ) -> Result<Option<Arc<Snapshot>>, Stop> {
        // By name because that is what a view keeps; what has the name now may be another one.
        let found = self.snapshot_or_deleted(view, &bound.name.key()).await?;
        Ok(found.filter(|snapshot| snapshot.secret.id == bound.secret))
    }

    /// A lease that is in force at a view's revision.
    pub(crate) async fn live_lease(
        &self,
        view: &View,
        id: LeaseId,
        now: Timestamp,
    ) -> Result<Option<Arc<Lease>>, Stop> {
        if let Some(lease) = view.leases.find(&id).filter(|lease| lease.expires_at > now) {
            return Ok(Some(lease));
        }
        let found = self.0.store.lease(view.workspace.id, id).await?;
        let Some(row) = found.filter(|row| row.ended_at.is_none() && row.expires_at > now) else {
            return Ok(None);
        };
        let mut secrets = Vec::new();
        for bound in self.0.store.lease_secrets(view.workspace.id, id).await? {
            // What was purged is gone, and its placeholder stands for nothing.
            let Some(secret) = self.0.store.secret_by_id(view.workspace.id, bound.secret).await? else {
                continue;
            };
            let snapshot = self.with_values(view, secret).await?;
            let placeholder = TokenHash::from_bytes(bound.placeholder);
            secrets.push(leased(&snapshot, row.environment, bound.alias, placeholder));
        }
        let lease = Arc::new(lease_of_row(view, row, secrets)?);
        view.leases.keep(id, Arc::clone(&lease));
        Ok(Some(lease))
    }
}

pub(super) fn lease_of_row(
    view: &View,
    row: rows::Lease,
    secrets: Vec<LeasedSecret>,
) -> Result<Lease, Problem> {
    let bad = |_| Problem::internal("a lease's row does not parse");
    let environment = view.environments.iter().find(|environment| environment.id == row.environment);
    let environment = environment.ok_or_else(|| Problem::internal("a lease's environment is gone"))?;
    Ok(Lease {
        id: row.id,
        workspace: view.workspace.name.clone(),
        environment: environment.name.clone(),
        other_hosts: row.other_hosts.parse::<OtherHosts>().map_err(bad)?,
        expires_at: row.expires_at,
        secrets,
        workspace_id: view.workspace.id,
        creator: TokenHash::from_bytes(row.creator),
        requests_max: row.requests_max.map(i64::unsigned_abs),
        allow_from: row
            .allow_from
            .split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| bad(()))?,
    })
}

fn problem(stop: Stop) -> Problem {
    match stop {
        Stop::Problem(problem) => problem,
        Stop::Stale => busy(),
    }
}
