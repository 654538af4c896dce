//! What happens to values without anybody asking: versions past their window are destroyed, what was deleted is purged,
//! dates that came near are put on the record.
//!
//! Every step is a change of its own with its events, so that it can be stopped anywhere and goes on where it was.

use tacit_audit::{Detail, Verb};
use tacit_model::{Problem, Timestamp, limits};
use tacit_store::{
    Change, WriteError, agent_sessions, automations, idempotency, leases, references,
    reminders::{self, Reminder},
    runs, secrets as rows, tokens,
    workspaces::{Environment, Workspace},
};

use crate::{Vault, usages::forgotten_before, versions::object_named};

/// Versions destroyed, and reminders recorded, in one change.
const BATCH_MAX: usize = 200;

/// What was done, and how things stand. Counts only: names are for those who may list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Secrets past their deletion window that are gone for good.
    pub purged: usize,
    /// Versions past their window that are destroyed.
    pub destroyed: usize,
    /// Reminders that were put on the record.
    pub reminded: usize,
    /// Secrets with a date that is near.
    pub due: i64,
    /// Secrets that should have been rotated.
    pub overdue: i64,
    /// Secrets whose credential has ended.
    pub expired: i64,
}

impl Vault {
    /// Waits until somebody changed for how long things are kept.
    pub async fn upkeep_wanted(&self) {
        self.0.upkeep_wanted.notified().await;
    }

    /// Does what is due in every workspace. With `thorough` it also looks for versions that are too many, which is only so
    /// after a setting changed: every write looks after its own.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn keep_up(&self, now: Timestamp, thorough: bool) -> Result<Upkeep, Problem> {
        let mut done = Upkeep::default();
        // Counts of what expired and was never ended.
        let mut stale = self.0.budgets.ids();
        for workspace in self.0.store.workspaces().await.map_err(Problem::internal)? {
            done.purged += self.purge_deleted(&workspace, now).await?;
            done.destroyed += self.destroy_past(&workspace, now, thorough).await?;
            done.reminded += self.record_reminders(&workspace, now).await?;
            let counts = self.0.store.reminder_counts(workspace.id, now).await.map_err(Problem::internal)?;
            done.due += counts[0];
            done.overdue += counts[1];
            done.expired += counts[2];
            self.forget_ended(&workspace, now).await?;
            self.forget_runs(&workspace, now).await?;
            for lease in self.0.store.open_leases(workspace.id, now).await.map_err(Problem::internal)? {
                stale.remove(lease.as_bytes());
            }
            let sessions = self.0.store.open_agent_sessions(workspace.id, None, now).await;
            for session in sessions.map_err(Problem::internal)? {
                stale.remove(session.id.as_bytes());
            }
        }
        stale.iter().for_each(|id| self.0.budgets.forget(id));
        Ok(done)
    }

    /// What was deleted and can no longer be restored.
    async fn purge_deleted(&self, workspace: &Workspace, now: Timestamp) -> Result<usize, Problem> {
        // Somebody may restore one in between, or make the window longer: each purge is of the workspace as it was looked at.
        let mut revision = self.0.store.revision(workspace.id).await.map_err(Problem::internal)?;
        let found = self.0.store.workspace(&workspace.name).await.map_err(Problem::internal)?;
        let Some(workspace) = found else { return Ok(0) };
        let before = now.plus_secs(-workspace.settings.deletion_window_days * 86_400);
        let due = self.0.store.deleted_before(workspace.id, before, now).await.map_err(Problem::internal)?;
        let mut purged = 0;
        for secret in &due {
            let object = object_named(secret.id, &secret.name);
            let change = Change::new(workspace.id)
                .only_at(revision)
                .bump()
                .settle()
                .and(automations::delete_grants_of(workspace.id, secret.id))
                .and_all(rows::purge(workspace.id, secret))
                .record(&self.system_event(workspace.id, now, Verb::SecretPurge, object));
            match self.0.store.write(change).await {
                Ok(committed) => {
                    revision = committed.revision;
                    purged += 1;
                }
                Err(WriteError::Unavailable(cause)) => return Err(Problem::audit_unavailable(cause)),
                // The next round is soon enough.
                Err(_) => break,
            }
        }
        Ok(purged)
    }

    /// Versions that were replaced too long ago, or that are too many.
    async fn destroy_past(
        &self,
        workspace: &Workspace,
        now: Timestamp,
        thorough: bool,
    ) -> Result<usize, Problem> {
        // As it is now: the round may have begun before the window was made longer.
        let found = self.0.store.workspace(&workspace.name).await.map_err(Problem::internal)?;
        let Some(workspace) = &found else { return Ok(0) };
        let oldest = now.plus_secs(-workspace.settings.version_keep_days * 86_400);
        let environments = self.0.store.environments(workspace.id).await.map_err(Problem::internal)?;
        let mut destroyed = 0;
        let counts = [None, thorough.then_some(workspace.settings.version_keep_count)];
        for count in counts.iter().take(1 + usize::from(thorough)) {
            loop {
                let past = self.0.store.versions_past_window(workspace.id, oldest, *count, BATCH_MAX).await;
                let past = past.map_err(Problem::internal)?;
                if past.is_empty() {
                    break;
                }
                // The revision moves, so that nobody holds on to what they have read of them.
                let change =
                    past.iter().fold(Change::new(workspace.id).bump().settle(), |change, version| {
                        let event = self.destroy_event(workspace, &environments, version, now);
                        let secret = (version.secret, version.environment);
                        let statement =
                            rows::destroy_version(workspace.id, secret.0, secret.1, version.version, now);
                        change.and(statement).record(&event)
                    });
                match self.0.store.write(change).await {
                    Ok(_) => destroyed += past.len(),
                    Err(WriteError::Unavailable(cause)) => return Err(Problem::audit_unavailable(cause)),
                    Err(_) => break,
                }
            }
        }
        Ok(destroyed)
    }

    fn destroy_event(
        &self,
        workspace: &Workspace,
        environments: &[Environment],
        version: &rows::PastVersion,
        now: Timestamp,
    ) -> tacit_audit::Event {
        let object = object_named(version.secret, &version.name);
        let mut event = self.system_event(workspace.id, now, Verb::SecretDestroy, object);
        event.detail = Detail { version: Some(version.version.unsigned_abs()), ..Detail::default() };
        let environment = environments.iter().find(|environment| environment.id == version.environment);
        event.environment = environment.map(|environment| environment.name.clone());
        event
    }

    /// One event when a secret becomes due, overdue or expired. That it no longer is, is what the rotation's event says.
    async fn record_reminders(&self, workspace: &Workspace, now: Timestamp) -> Result<usize, Problem> {
        let mut recorded = 0;
        loop {
            let changed = self.0.store.changed_reminders(workspace.id, now, BATCH_MAX).await;
            let changed = changed.map_err(Problem::internal)?;
            if changed.is_empty() {
                return Ok(recorded);
            }
            let mut change = Change::new(workspace.id);
            for secret in &changed {
                change = change.and(reminders::set_reminded(workspace.id, secret.secret, secret.reminder));
                let verb = match secret.reminder {
                    None => continue,
                    Some(Reminder::Due) => Verb::SecretDue,
                    Some(Reminder::Overdue) => Verb::SecretOverdue,
                    Some(Reminder::Expired) => Verb::SecretExpire,
                };
                let object = object_named(secret.secret, &secret.name);
                change = change.record(&self.system_event(workspace.id, now, verb, object));
                recorded += 1;
            }
            match self.0.store.write(change).await {
                Ok(_) => {}
                Err(WriteError::Unavailable(cause)) => return Err(Problem::audit_unavailable(cause)),
                Err(_) => return Ok(recorded),
            }
        }
    }

    /// Runs that ended too long ago. What they used stays on the record.
    async fn forget_runs(&self, workspace: &Workspace, now: Timestamp) -> Result<(), Problem> {
        let before = now.plus_secs(-workspace.settings.run_keep_days * 86_400);
        let mut left =
            self.0.store.runs_finished_before(workspace.id, before).await.map_err(Problem::internal)?;
        while left > 0 {
            let change =
                Change::new(workspace.id).and(runs::delete_finished_before(workspace.id, before, BATCH_MAX));
            self.0.store.write(change).await.map_err(Problem::audit_unavailable)?;
            left -= BATCH_MAX as i64;
        }
        Ok(())
    }

    /// Leases and agents' sessions that are long over, writes that are no longer remembered, fetched tokens past their time
    /// and uses of long ago. What they did stays on the record.
    async fn forget_ended(&self, workspace: &Workspace, now: Timestamp) -> Result<(), Problem> {
        let (store, id) = (&self.0.store, workspace.id);
        let before = now.plus_secs(-limits::ENDED_KEEP_DAYS * 86_400);
        let keys_before = now.plus_secs(-limits::IDEMPOTENCY_KEEP_HOURS * 3_600);
        let leases = store.leases_ended_before(id, before).await.map_err(Problem::internal)?;
        let sessions = store.agent_sessions_ended_before(id, before).await.map_err(Problem::internal)?;
        let keys = store.kept_writes_before(id, keys_before).await.map_err(Problem::internal)?;
        let mut change = Change::new(id);
        if leases + sessions > 0 {
            change = change
                .and_all(leases::delete_ended_before(id, before))
                .and(agent_sessions::delete_ended_before(id, before));
        }
        if keys > 0 {
            change = change.and(idempotency::forget_before(id, keys_before));
        }
        if store.access_tokens_past(id, now).await.map_err(Problem::internal)? > 0 {
            change = change.and(tokens::delete_past(id, now));
        }
        let seen_before = forgotten_before(now);
        if store.observed_before(id, seen_before).await.map_err(Problem::internal)? > 0 {
            change = change.and(references::forget_uses_before(id, seen_before));
        }
        if change.is_empty() {
            return Ok(());
        }
        store.write(change).await.map(drop).map_err(Problem::audit_unavailable)
    }
}
