//! Deleting, restoring and purging secrets.

use tacit_audit::{Detail, Outcome, Verb};
use tacit_model::{Code, Problem, Right, SecretName, Timestamp, WorkspaceId, limits};
use tacit_store::{Change, agent_sessions, automations, leases, secrets as rows};

use crate::{
    Caller, Stop, Vault,
    access::Access,
    secrets::{SecretOverview, object_of, require_list},
    settle, settle_change,
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
        require_list(access)?;
        let snapshot = self.snapshot(&access.view, name).await?;
        self.require_or_refuse(access, Right::SecretDelete, Verb::SecretDelete, &snapshot, None).await?;
        let settings = access.view.workspace.settings;
        let protected =
            access.view.environments.iter().find(|e| e.protected && snapshot.value(e.id).is_some());
        if let Some(environment) = protected.filter(|_| !settings.allow_protected_delete) {
            let problem = Problem::new(
                Code::ProtectedEnvironment,
                format!("`{name}` has a value in `{}`, which is protected: values there are not deleted", environment.name),
            )
            .suggest("disable the secret instead, which takes effect at once, or let an owner set `allow_protected_delete` for the workspace");
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
                .and(automations::delete_grants_of(workspace, snapshot.secret.id))
                .and_all(rows::purge(workspace, &snapshot.secret));
            None
        } else {
            let deleted = rows::Secret {
                deleted_at: Some(access.now),
                updated_at: access.now,
                ..snapshot.secret.clone()
            };
            change = change.and_all(rows::update(workspace, &deleted));
            Some(access.now.plus_secs(settings.deletion_window_days * 86_400))
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
        require_list(access)?;
        let found = self.snapshot_or_deleted(&access.view, &name.key()).await?;
        let Some(snapshot) = found else { return Err(Problem::not_found("secret").into()) };
        self.require_or_refuse(access, Right::SecretDelete, Verb::SecretRestore, &snapshot, None).await?;
        let window = access.view.workspace.settings.deletion_window_days * 86_400;
        match snapshot.secret.deleted_at {
            Some(at) if at.plus_secs(window) > access.now => {}
            _ => return Err(Problem::not_found("deleted secret").into()),
        }
        let restored = rows::Secret { deleted_at: None, updated_at: access.now, ..snapshot.secret.clone() };
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

    /// Who depends on a secret: automations by name, with the environment each is published in.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn secret_usages(
        &self,
        caller: &Caller,
        name: &SecretName,
    ) -> Result<Vec<(String, String)>, Problem> {
        settle!(self, caller, |access| async {
            require_list(&access)?;
            let snapshot = self.snapshot(&access.view, name).await?;
            let found = self.0.store.automations_using(access.view.workspace.id, snapshot.secret.id).await?;
            let named = |(name, environment)| {
                let environment =
                    access.environment_named(environment).map_or(String::new(), |e| e.name.to_string());
                (SecretName::to_string(&name), environment)
            };
            Ok(found.into_iter().map(named).collect())
        })
    }

    async fn dependents(&self, access: &Access, secret: &rows::Secret) -> Result<Vec<String>, Stop> {
        let found = self.0.store.automations_using(access.view.workspace.id, secret.id).await?;
        let mut names: Vec<String> =
            found.into_iter().map(|(name, _)| format!("automation:{name}")).collect();
        names.dedup();
        Ok(names)
    }

    /// Destroys what was deleted and is past its window, and forgets leases and agents' sessions that are long over. Returns
    /// how many secrets are gone.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn purge_due(&self, now: Timestamp) -> Result<usize, Problem> {
        let mut purged = 0;
        // Counts of what expired and was never ended.
        let mut stale = self.0.budgets.ids();
        for workspace in self.0.store.workspaces().await.map_err(Problem::internal)? {
            let before = now.plus_secs(-workspace.settings.deletion_window_days * 86_400);
            for secret in
                self.0.store.deleted_before(workspace.id, before).await.map_err(Problem::internal)?
            {
                let event = self.system_event(
                    workspace.id,
                    now,
                    Verb::SecretPurge,
                    tacit_audit::Object::new(
                        tacit_audit::ObjectKind::Secret,
                        *secret.id.as_bytes(),
                        secret.name.as_str(),
                    ),
                );
                let change = Change::new(workspace.id)
                    .bump()
                    .and(automations::delete_grants_of(workspace.id, secret.id))
                    .and_all(rows::purge(workspace.id, &secret))
                    .record(&event);
                self.0.store.write(change).await.map_err(Problem::audit_unavailable)?;
                purged += 1;
            }
            self.forget_ended(workspace.id, now).await?;
            for lease in self.0.store.open_leases(workspace.id, now).await.map_err(Problem::internal)? {
                stale.remove(lease.as_bytes());
            }
            let sessions = self.0.store.open_agent_sessions(workspace.id, None, now).await;
            for session in sessions.map_err(Problem::internal)? {
                stale.remove(session.id.as_bytes());
            }
        }
        stale.iter().for_each(|id| self.0.budgets.forget(id));
        Ok(purged)
    }

    /// What they did stays on the record.
    async fn forget_ended(&self, workspace: WorkspaceId, now: Timestamp) -> Result<(), Problem> {
        let store = &self.0.store;
        let before = now.plus_secs(-limits::ENDED_KEEP_DAYS * 86_400);
        let leases = store.leases_ended_before(workspace, before).await.map_err(Problem::internal)?;
        let sessions =
            store.agent_sessions_ended_before(workspace, before).await.map_err(Problem::internal)?;
        if leases + sessions == 0 {
            return Ok(());
        }
        let change = Change::new(workspace)
            .and_all(leases::delete_ended_before(workspace, before))
            .and(agent_sessions::delete_ended_before(workspace, before));
        store.write(change).await.map(drop).map_err(Problem::audit_unavailable)
    }
}
