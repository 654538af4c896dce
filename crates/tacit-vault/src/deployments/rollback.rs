//! Taking a deployment back, as a whole: definitions with what they might use, values, variables.
//!
//! Only as long as everything stands as the deployment left it: what somebody did since is not undone on the way. A value
//! that was there before comes back as a new version. One that the deployment brought is switched off: values are not taken
//! away from protected environments.

use tacit_audit::{Detail, Outcome, Verb};
use tacit_model::{Code, DeploymentId, Problem, Right, Scope, SecretName};
use tacit_store::{Change, automations, deployments as rows, secrets, tokens, triggers, variables};

use super::{
    Deployment, Move, parse, shown,
    undo::{Undo, UndoAutomation, UndoSecret, UndoVariable},
};
use crate::{
    Caller, Stop, Vault,
    access::{Access, Snapshot},
    authorize::require,
    automations::{fields_in, object},
    secrets::object_of,
    settle_change,
    triggers::republish_triggers,
};

impl Vault {
    /// Takes a deployment back.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; `version_conflict` if it was taken back already, or if something of it was changed since.
    pub async fn roll_back_deployment(
        &self,
        caller: &Caller,
        id: DeploymentId,
    ) -> Result<Deployment, Problem> {
        settle_change!(self, caller, |access| self.roll_back_deployment_once(&access, id))
    }

    async fn roll_back_deployment_once(&self, access: &Access, id: DeploymentId) -> Result<Deployment, Stop> {
        // Who may deploy nowhere is told so, whether there is this one or not.
        let row = match self.deployment_row(access, id).await {
            Ok(row) => row,
            Err(stop) => return Err(self.refuse_unseen(access, id, stop).await),
        };
        let environment = |id| {
            let found = access.environment_named(id);
            found.ok_or_else(|| Problem::internal("an environment of a deployment is gone"))
        };
        let move_ = Move { id, from: environment(row.from)?, to: environment(row.to)? };
        self.require_of_move(access, &move_, Verb::DeployRollback).await?;
        let undo: Undo = serde_json::from_str(&row.undo).map_err(Problem::internal)?;
        let change = match self.undone(access, &move_, &row, undo).await {
            Ok(change) => change,
            Err(stop) => return Err(self.refuse_move(access, &move_, Verb::DeployRollback, stop).await),
        };
        self.0.store.write(change).await?;
        let actor = access.principal.actor.to_string();
        let row = rows::Deployment { rolled_back_at: Some(access.now), rolled_back_by: Some(actor), ..row };
        shown(access, row)
    }

    async fn refuse_unseen(&self, access: &Access, id: DeploymentId, stop: Stop) -> Stop {
        let Err(problem) = require(access.principal.rights_somewhere(access.now), Right::Deploy) else {
            return stop;
        };
        let what = tacit_audit::Object::new(tacit_audit::ObjectKind::Deployment, *id.as_bytes(), "");
        self.refuse(access, Verb::DeployRollback, what, problem).await
    }

    /// Everything that taking it back writes.
    async fn undone(
        &self,
        access: &Access,
        move_: &Move<'_>,
        row: &rows::Deployment,
        undo: Undo,
    ) -> Result<Change, Stop> {
        if row.rolled_back_at.is_some() {
            let problem = Problem::new(Code::VersionConflict, "this deployment was rolled back already");
            return Err(problem.suggest("deploy again what should be there").into());
        }
        let actor = access.principal.actor.to_string();
        let workspace = access.view.workspace.id;
        let mut change = self
            .change(access)
            .bump()
            .and(rows::roll_back(workspace, row.id, access.now, &actor))
            .record(&self.move_event(access, move_, Verb::DeployRollback));
        for automation in undo.automations {
            change = self.undo_automation(access, move_, automation, change).await?;
        }
        for secret in undo.secrets {
            change = self.undo_secret(access, move_, &secret, change).await?;
        }
        for variable in undo.variables {
            change = self.undo_variable(access, move_, &variable, change).await?;
        }
        Ok(change)
    }

    async fn undo_automation(
        &self,
        access: &Access,
        move_: &Move<'_>,
        undo: UndoAutomation,
        change: Change,
    ) -> Result<Change, Stop> {
        let (workspace, to) = (access.view.workspace.id, move_.to);
        let published = self.0.store.published(workspace, undo.id).await?;
        if !published.iter().any(|now| now.environment == to.id && now.hash == undo.hash) {
            return Err(changed_since("automation", &undo.name, move_).into());
        }
        let what = object(undo.id, &undo.name);
        let Some(before) = undo.before else {
            let mut event =
                self.event(access, Verb::AutomationDelete, what, Outcome::Succeeded, Detail::default());
            event.environment = Some(to.name.clone());
            return Ok(change
                .and_all(triggers::disable(workspace, undo.id, to.id))
                .and_all(automations::unpublish(workspace, undo.id, to.id))
                .record(&event));
        };
        // The hash is made anew, so that what comes back is bound to what is there and not to what was said.
        let hash = tacit_crypto::sha256(before.definition.as_bytes());
        let is_own = before.published_by == access.principal.author().to_string();
        let mut grants = Vec::with_capacity(before.grants.len());
        for grant in before.grants {
            // What was purged since is named by nothing, not even by a grant.
            if let Some(secret) = self.0.store.secret_by_id(workspace, grant.secret).await? {
                // Somebody replaced it: to bring one's own back takes what it would take to deploy it.
                if is_own {
                    let rights = access.rights_on(&secret, Some(to.id));
                    require(rights, Right::SecretUse)?;
                    if grant.pinned.is_some() {
                        require(rights, Right::SecretReveal)?;
                    }
                }
                grants.push(automations::Grant {
                    secret: grant.secret,
                    hash,
                    pinned: grant.pinned,
                    granted_by: grant.granted_by,
                    fields: fields_in(&before.definition, &secret.name),
                });
            }
        }
        let published = automations::Published {
            environment: to.id,
            definition: before.definition,
            hash,
            published_at: access.now,
            published_by: before.published_by,
        };
        let detail = Detail { definition_hash: Some(hash), ..Detail::default() };
        let mut event = self.event(access, Verb::AutomationPublish, what, Outcome::Succeeded, detail);
        event.environment = Some(to.name.clone());
        let change =
            change.and_all(automations::publish(workspace, undo.id, &published, &grants)).record(&event);
        // Triggers that somebody switched off since stay off.
        Ok(match undo.triggers_enabled {
            true => {
                let definition = parse(&published.definition)?;
                let change = change.and_all(republish_triggers(workspace, undo.id, to.id, &definition));
                let enabled = self.0.store.triggers(workspace, undo.id).await?;
                let enabled = enabled.iter().find(|enabled| enabled.environment == to.id);
                match undo.hook {
                    // The webhook that went with the definition comes back with it, at its address.
                    Some(hook) if enabled.is_some_and(|enabled| enabled.hook.is_none()) => {
                        change.and(triggers::set_hook(workspace, undo.id, to.id, hook))
                    }
                    _ => change,
                }
            }
            false => change.and_all(triggers::disable(workspace, undo.id, to.id)),
        })
    }

    async fn undo_secret(
        &self,
        access: &Access,
        move_: &Move<'_>,
        undo: &UndoSecret,
        change: Change,
    ) -> Result<Change, Stop> {
        let (workspace, to) = (access.view.workspace.id, move_.to);
        let changed = || changed_since("secret", &undo.name, move_);
        let secret = self.0.store.secret_by_id(workspace, undo.id).await?;
        let secret = secret.filter(|secret| secret.deleted_at.is_none()).ok_or_else(changed)?;
        let snapshot: Snapshot = self.with_values(&access.view, secret).await?;
        require(access.rights_on(&snapshot.secret, Some(to.id)), Right::SecretWrite)?;
        // A later deployment that was taken back left the same value under another number.
        let current = snapshot.value(to.id).ok_or_else(changed)?.current;
        if !self.0.store.restores(workspace, undo.id, to.id, current, undo.version).await? {
            return Err(changed().into());
        }
        if undo.before == 0 {
            let mut event = self.event(
                access,
                Verb::SecretDisable,
                object_of(&snapshot),
                Outcome::Succeeded,
                Detail::default(),
            );
            event.environment = Some(to.name.clone());
            return Ok(change
                .and(secrets::set_value_disabled(workspace, undo.id, to.id, true))
                .and(tokens::end(workspace, undo.id, Some(to.id)))
                .record(&event));
        }
        let versions = self.sealed_versions(&access.view, undo.id, to.id).await?;
        let Some(old) = versions.iter().find(|version| version.version == undo.before) else {
            let what = format!(
                "version {} of `{}`, which was in force in `{}` before, is past its window and destroyed",
                undo.before, undo.name, to.name
            );
            return Err(Problem::new(Code::VersionConflict, what)
                .suggest("set the value anew, and deploy the definitions that should be there")
                .into());
        };
        let resealed = self.earlier_version(access, &snapshot, to, old).await?;
        let restore = rows::insert_restore(workspace, undo.id, to.id, resealed.version, undo.before);
        let change = change.and_all(resealed.statements).and(restore).record(&resealed.event);
        Ok(resealed.pruned.add_to(change))
    }

    async fn undo_variable(
        &self,
        access: &Access,
        move_: &Move<'_>,
        undo: &UndoVariable,
        change: Change,
    ) -> Result<Change, Stop> {
        let (workspace, to) = (access.view.workspace.id, move_.to);
        let changed = || changed_since("variable", &undo.name, move_);
        let variable = self.0.store.variable(workspace, &undo.name.key()).await?;
        let variable = variable.filter(|variable| variable.id == undo.id).ok_or_else(changed)?;
        let scope = Scope { environment: Some(to.id), ..Scope::folder(&variable.folder) };
        require(access.rights_at(&scope), Right::VariableWrite)?;
        let values = self.0.store.variable_values(workspace, undo.id).await?;
        if !values.iter().any(|(environment, value)| *environment == to.id && *value == undo.value) {
            return Err(changed().into());
        }
        let what = crate::variables::object(&variable);
        let mut event = self.event(access, Verb::VariableSet, what, Outcome::Succeeded, Detail::default());
        event.environment = Some(to.name.clone());
        let statement = match &undo.before {
            Some(before) => variables::set_value(workspace, undo.id, to.id, before, access.now),
            None => variables::delete_value(workspace, undo.id, to.id),
        };
        Ok(change.and(statement).record(&event))
    }
}

/// It does not stand as the deployment left it.
fn changed_since(what: &str, name: &SecretName, move_: &Move<'_>) -> Problem {
    let said = format!(
        "the {what} `{name}` was changed in `{}` since this deployment, which can only be rolled back as a whole",
        move_.to.name
    );
    Problem::new(Code::VersionConflict, said)
        .suggest("roll back what came after it first, or deploy what should be there")
}
