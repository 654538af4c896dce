//! Whether an answer was searched for everything that may be in it by now.
//!
//! An answer can take hours. A value that is written meanwhile, or a secret that is bound to its host, is not among what it
//! is searched for, and a service that pushes what it is sent would push it into that answer too. So before a piece of an
//! answer is released it is asked whether the workspace changed, which costs a look into memory; and if it did, whether
//! there is anything new to look for. The order makes that enough: a value leaves after it is known, and comes back after
//! it left.

use std::sync::Arc;

use tacit_model::{EnvironmentId, Problem, SecretId, SecretType, WorkspaceId};
use tacit_store::{secrets::Version, tokens::AccessToken};

use super::{ScannedValue, scans::ScanPlan};
use crate::{
    Stop, Vault,
    access::{Snapshot, View},
    authorize::{self, Use},
    busy,
};

/// Something that an answer was not searched for.
enum Newer {
    Version(Version),
    Token(AccessToken),
}

/// What an answer is searched for.
pub struct Coverage {
    workspace: WorkspaceId,
    plan: Arc<ScanPlan>,
    /// The revision at which this was all there was to look for.
    revision: i64,
}

impl Coverage {
    pub(super) fn new(workspace: WorkspaceId, plan: Arc<ScanPlan>, revision: i64) -> Self {
        Self { workspace, plan, revision }
    }
}

impl Vault {
    /// Whether an answer that was searched for this may still be released. What cannot be told is a no.
    pub async fn still_covers(&self, coverage: &mut Coverage) -> bool {
        let is_unchanged =
            self.0.store.revision(coverage.workspace).await.is_ok_and(|now| now == coverage.revision);
        if is_unchanged {
            return true;
        }
        let Ok(Some(view)) = self.view(&coverage.plan.workspace).await else { return false };
        if view.workspace.id != coverage.workspace
            || !self.newer(&view, coverage).await.is_ok_and(|newer| newer.is_empty())
        {
            return false;
        }
        coverage.revision = view.revision;
        true
    }

    /// The values that an answer was not searched for and that may have been in it by now: for one that was read whole, and
    /// can be searched again. And whose they are, for the record.
    ///
    /// # Errors
    /// The database cannot be read, or a value cannot be opened.
    pub async fn open_newer(
        &self,
        coverage: &Coverage,
    ) -> Result<(Vec<SecretId>, Vec<ScannedValue>), Problem> {
        if self.0.store.revision(coverage.workspace).await.map_err(Problem::internal)? == coverage.revision {
            return Ok((Vec::new(), Vec::new()));
        }
        let view =
            self.view(&coverage.plan.workspace).await?.filter(|view| view.workspace.id == coverage.workspace);
        let view = view.ok_or_else(|| Problem::not_found("workspace"))?;
        let newer = self.newer(&view, coverage).await.map_err(|stop| match stop {
            Stop::Problem(problem) => problem,
            Stop::Stale => busy(),
        })?;
        let mut secrets: Vec<SecretId> = newer.iter().map(|(snapshot, ..)| snapshot.secret.id).collect();
        secrets.sort();
        secrets.dedup();
        let mut opened = Vec::with_capacity(newer.len());
        for (snapshot, environment, newer) in newer {
            let proof = authorize::scan(&snapshot, environment, view.revision);
            let proof = self.covered_by::<Use>(&[], proof);
            let workspace = coverage.workspace;
            let (kind, fields) = match newer {
                Newer::Version(version) => {
                    (snapshot.secret.kind, self.open_fields(workspace, &proof, &snapshot, &version).await?)
                }
                Newer::Token(token) => {
                    let fields = self.open_token_fields(workspace, &proof, &snapshot, &token).await?;
                    (SecretType::BearerToken, fields)
                }
            };
            // Whose it is was not decided on, so no name is told; and a short one is taken for one that may be there.
            let marker = "[sealed]".to_owned();
            opened.push(ScannedValue { marker, kind, fields, was_sent: true });
        }
        Ok((secrets, opened))
    }

    /// Versions and tokens at a view that are looked for now and were not then.
    async fn newer(
        &self,
        view: &View,
        coverage: &Coverage,
    ) -> Result<Vec<(Arc<Snapshot>, EnvironmentId, Newer)>, Stop> {
        let at_host = self.at_host(view, &coverage.plan.host).await?;
        let mut snapshots: Vec<Arc<Snapshot>> =
            at_host.iter().map(|other| Arc::clone(&other.snapshot)).collect();
        for id in &coverage.plan.secrets {
            if snapshots.iter().any(|known| known.secret.id == *id) {
                continue;
            }
            if let Some(secret) = self.0.store.secret_by_id(view.workspace.id, *id).await? {
                snapshots.push(Arc::new(self.with_values(view, secret).await?));
            }
        }
        let mut newer = Vec::new();
        for snapshot in snapshots {
            let id = snapshot.secret.id;
            for value in &snapshot.values {
                let environment = value.environment;
                let versions = self.sealed_versions(view, id, environment).await?;
                let is_new = |version: &&Version| {
                    !coverage.plan.versions.contains(&(id, environment, version.version))
                };
                let of_secret = |newer| (Arc::clone(&snapshot), environment, newer);
                newer
                    .extend(versions.iter().filter(is_new).map(|new| of_secret(Newer::Version(new.clone()))));
                let tokens = self.sealed_tokens(view, &snapshot.secret, environment).await?;
                let is_new =
                    |token: &&AccessToken| !coverage.plan.tokens.contains(&(id, environment, token.serial));
                newer.extend(tokens.iter().filter(is_new).map(|new| of_secret(Newer::Token(new.clone()))));
            }
        }
        Ok(newer)
    }
}
