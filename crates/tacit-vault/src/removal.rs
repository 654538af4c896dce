//! Deleting, restoring and purging secrets.

use tacit_audit::{Detail, Outcome, Verb};
use tacit_model::{Code, Problem, Right, SecretName, Timestamp};
use tacit_store::{automations, secrets as rows, tokens, workspaces::Environment};

use crate::{
    Caller, Stop, Vault,
    access::Access,
    precondition::secret_tag,
    secrets::{SecretOverview, object_of},
    settle_change,
};

/// What a deletion did.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Until when it can be restored; `None` if it is gone for good.
    pub restorable_until: Option<Timestamp>,
}

impl Vault {
    /// Deletes a secret. Takes effect at once; runs that reference it fail and name it.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `secret_in_use` unless `force`, `protected_environment` unless the workspace allows it.
    pub async fn delete_secret(
        &self,
        caller: &Caller,
        name: &SecretName,
        force: bool,
    ) -> Result<Deletion, Problem> {
        settle_change!(self, caller, |access| self.delete_secret_once(&access, name, force))
    }

    async fn delete_secret_once(
        &self,
        access: &Access,
        name: &SecretName,
        force: bool,
    ) -> Result<Deletion, Stop> {
        let snapshot = self.snapshot(access, name).await?;
        self.require_or_refuse(access, Right::SecretDelete, Verb::SecretDelete, &snapshot, None).await?;
        access.check_tag(&secret_tag(access, &snapshot))?;
        let settings = access.view.workspace.settings;
        let kept = access.view.environments.iter().find(|e| e.protected && snapshot.value(e.id).is_some());
        if let Some(environment) = kept.filter(|_| !settings.allow_protected_delete) {
            let problem = protected(name, environment);
            return Err(self.refuse(access, Verb::SecretDelete, object_of(&snapshot), problem).await);
        }
        let dependents = self.dependents(access, &snapshot.secret).await?;
        if !dependents.is_empty() && !force {
            let mut problem = Problem::new(Code::SecretInUse, format!("`{name}` is used by {}", dependents.join(", ")))
                .suggest("change what depends on it first, or delete it all the same with force (`?force=true`, `--force`): those runs will fail and name it");
            problem.dependents = dependents;
            return Err(self.refuse(access, Verb::SecretDelete, object_of(&snapshot), problem).await);
        }
        let workspace = access.view.workspace.id;
        let mut event = self.event(
            access,
            Verb::SecretDelete,
            object_of(&snapshot),
            Outcome::Succeeded,
            Detail::default(),
        );
        let mut change = self.change(access).bump();
        let restorable_until = if settings.deletion_window_days == 0 {
            event.verb = Verb::SecretPurge;
            change = change
                .settle()
                .and(automations::delete_grants_of(workspace, snapshot.secret.id))
                .and_all(rows::purge(workspace, &snapshot.secret));
            None
        } else {
            let until = access.now.plus_secs(settings.deletion_window_days * 86_400);
            let deleted = rows::Secret {
                deleted_at: Some(access.now),
                purge_at: Some(until),
                updated_at: access.now,
                ..snapshot.secret.clone()
            };
            change = change.and_all(rows::update(workspace, &deleted)).and(tokens::end(
                workspace,
                snapshot.secret.id,
                None,
            ));
            Some(until)
        };
        self.0.store.write(change.record(&event)).await?;
        Ok(Deletion { restorable_until })
    }

    /// Takes a deleted secret back within its window.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn restore_secret(
        &self,
        caller: &Caller,
        name: &SecretName,
    ) -> Result<SecretOverview, Problem> {
        settle_change!(self, caller, |access| self.restore_secret_once(&access, name))
    }

    async fn restore_secret_once(&self, access: &Access, name: &SecretName) -> Result<SecretOverview, Stop> {
        let found = self.snapshot_or_deleted(&access.view, &name.key()).await?;
        let Some(snapshot) = found.filter(|found| access.sees(&found.secret)) else {
            return Err(Problem::not_found("secret").into());
        };
        self.require_or_refuse(access, Right::SecretDelete, Verb::SecretRestore, &snapshot, None).await?;
        access.check_tag(&secret_tag(access, &snapshot))?;
        if restorable_until(access, &snapshot.secret).is_none_or(|until| until <= access.now) {
            return Err(Problem::not_found("deleted secret").into());
        }
        let restored = rows::Secret {
            deleted_at: None,
            purge_at: None,
            updated_at: access.now,
            ..snapshot.secret.clone()
        };
        let event = self.event(
            access,
            Verb::SecretRestore,
            object_of(&snapshot),
            Outcome::Succeeded,
            Detail::default(),
        );
        let change = self
            .change(access)
            .bump()
            .and_all(rows::update(access.view.workspace.id, &restored))
            .record(&event);
        self.0.store.write(change).await?;
        self.overview_of(access, restored, Vec::new()).await
    }

    async fn dependents(&self, access: &Access, secret: &rows::Secret) -> Result<Vec<String>, Stop> {
        let found = self.0.store.automations_using(access.view.workspace.id, secret.id).await?;
        let mut names: Vec<String> =
            found.into_iter().map(|(name, _)| format!("automation:{name}")).collect();
        names.dedup();
        Ok(names)
    }
}

/// Until when a deleted secret can be restored: as it was said when it was deleted, or longer if the window is longer now.
pub(crate) fn restorable_until(access: &Access, secret: &rows::Secret) -> Option<Timestamp> {
    let window = access.view.workspace.settings.deletion_window_days * 86_400;
    let by_window = secret.deleted_at.map(|at| at.plus_secs(window));
    by_window.max(secret.deleted_at.and(secret.purge_at))
}

/// Why a value in a protected environment is not deleted.
pub(crate) fn protected(name: &SecretName, environment: &Environment) -> Problem {
    Problem::new(
        Code::ProtectedEnvironment,
        format!("`{name}` has a value in `{}`, which is protected: values there are not deleted", environment.name),
    )
    .suggest("disable it instead, which takes effect at once, or let an owner set `allow_protected_delete` for the workspace")
}
