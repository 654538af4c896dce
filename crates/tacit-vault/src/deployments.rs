//! Deployments: automations, and values if wanted, from one environment into another, as a whole; and back as a whole.
//!
//! A deployment is planned and applied by the same code, in the same turn: what is applied is what a dry run said, or nothing.
//! It is how definitions come into protected environments. Who deploys needs `deploy` where things go; to copy a value they
//! need the right to write it there, and the value is sealed anew without being opened.

mod copies;
mod diff;
mod plan;
mod rollback;
mod undo;

use serde::{Deserialize, Serialize};
use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::token::{self, TokenKind, TokenText};
use tacit_model::{
    Automation, Code, DeploymentId, EnvironmentId, EnvironmentName, Issue, Problem, Right, SecretName,
    Timestamp, limits,
};
use tacit_store::{Change, automations, deployments as rows, triggers, variables, workspaces::Environment};

use crate::{
    Caller, Stop, Vault,
    access::Access,
    authorize::require,
    automations::object,
    new_id, settle, settle_change,
    triggers::{enable_triggers, republish_triggers},
};

pub use diff::Difference;
use undo::{Undo, UndoAutomation, UndoSecret, UndoVariable};

/// Deployments that are read at once for a list: each may hold megabytes of definitions.
const AT_ONCE: usize = 8;

/// What is to be deployed.
#[derive(Clone, Debug)]
pub struct NewDeployment {
    /// Where things come from.
    pub from: EnvironmentName,
    /// Where they go.
    pub to: EnvironmentName,
    /// Automations.
    pub automations: Vec<SecretName>,
    /// Secrets whose values are copied along.
    pub copy_secrets: Vec<SecretName>,
    /// Variables whose values are copied along.
    pub copy_variables: Vec<SecretName>,
    /// Whether the automations' triggers fire there from then on.
    pub enable_triggers: bool,
}

/// How something in one environment relates to what is in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// It is not in the target yet.
    New,
    /// It is the same in both.
    Same,
    /// It is not the same.
    Different,
    /// There is none in the target, and none comes.
    Missing,
    /// There is one in both; whether they are the same is not said.
    Unknown,
}

/// An automation of a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedAutomation {
    /// Its name.
    pub name: SecretName,
    /// How its definition relates to the one in the target.
    pub relation: Relation,
    /// SHA-256 of what is published.
    pub hash: [u8; 32],
    /// What changes in the target.
    pub diff: Vec<Difference>,
    /// How many triggers it has.
    pub triggers: usize,
}

/// A secret that an automation of the deployment needs, or whose value is copied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedSecret {
    /// Its name.
    pub name: SecretName,
    /// Its type; none of one that is not there.
    pub kind: Option<String>,
    /// How its values relate, as far as a comparison may say.
    pub relation: Relation,
    /// Whether an automation of the deployment names it.
    pub is_needed: bool,
    /// Whether its value is copied.
    pub is_copied: bool,
    /// Whether the copy takes the place of a value.
    pub replaces: bool,
    /// The copy's version in the target.
    pub version: Option<i64>,
}

/// A variable that an automation of the deployment needs, or whose value is copied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedVariable {
    /// Its name.
    pub name: SecretName,
    /// How its values relate.
    pub relation: Relation,
    /// Whether an automation of the deployment names it.
    pub is_needed: bool,
    /// Whether its value is copied.
    pub is_copied: bool,
    /// Whether the copy takes the place of a value.
    pub replaces: bool,
}

/// What a deployment does, or would do. It holds no value.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeploymentPlan {
    /// Automations by name.
    pub automations: Vec<PlannedAutomation>,
    /// Secrets by name.
    pub secrets: Vec<PlannedSecret>,
    /// Variables by name.
    pub variables: Vec<PlannedVariable>,
    /// What is needed and missing, such as `secret:STRIPE_KEY`. Unless it is empty, nothing can be deployed.
    pub missing: Vec<String>,
    /// What to know about it.
    pub warnings: Vec<String>,
    /// Whether triggers fire from then on.
    pub enables_triggers: bool,
}

/// A deployment, or the plan of one.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The id; none of a plan.
    pub id: Option<DeploymentId>,
    /// Where things come from.
    pub from: EnvironmentName,
    /// Where they go.
    pub to: EnvironmentName,
    /// What it does.
    pub plan: DeploymentPlan,
    /// When; of a plan, when it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was taken back.
    pub rolled_back_at: Option<Timestamp>,
    /// By whom it was taken back.
    pub rolled_back_by: Option<String>,
    /// Of a plan: what it was made from, for `If-Match`.
    pub tag: String,
}

/// What deploying did, or would do.
pub struct Deployed {
    /// The deployment, or its plan.
    pub deployment: Deployment,
    /// The tokens of webhooks that fire from now on, by automation; seen only now.
    pub hooks: Vec<(SecretName, TokenText)>,
}

impl Vault {
    /// Deploys, or with `dry_run` only says what would be done.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`, `validation_failed`; `no_value_in_environment` and `unknown_reference` when
    /// something needed is missing; `secret_disabled` for a copy; `version_conflict` if the plan that is meant is not the
    /// plan of now.
    pub async fn deploy(
        &self,
        caller: &Caller,
        new: &NewDeployment,
        dry_run: bool,
    ) -> Result<Deployed, Problem> {
        let counts = [
            ("automations", new.automations.len(), limits::DEPLOYMENT_AUTOMATIONS_MAX),
            ("copy_secrets", new.copy_secrets.len(), limits::DEPLOYMENT_COPIES_MAX),
            ("copy_variables", new.copy_variables.len(), limits::DEPLOYMENT_COPIES_MAX),
        ];
        if let Some((field, _, max)) = counts.iter().find(|(_, count, max)| count > max) {
            return Err(Problem::invalid(*field, format!("must be at most {max}")));
        }
        if counts.iter().all(|(_, count, _)| *count == 0) {
            return Err(Problem::invalid("automations", "must name what is to be deployed"));
        }
        if new.from == new.to {
            return Err(Problem::invalid("to", "must be another environment than `from`"));
        }
        settle_change!(self, caller, |access| self.deploy_once(&access, new, dry_run))
    }

    async fn deploy_once(
        &self,
        access: &Access,
        new: &NewDeployment,
        dry_run: bool,
    ) -> Result<Deployed, Stop> {
        let id = new_id!(DeploymentId, access.now);
        let (from, to) = (access.environment(&new.from)?.clone(), access.environment(&new.to)?.clone());
        let move_ = Move { id, from: &from, to: &to };
        self.require_of_move(access, &move_, Verb::Deploy).await?;
        let planned = match self.plan(access, &move_, new).await {
            Ok(planned) => planned,
            Err(stop) => return Err(self.refuse_move(access, &move_, Verb::Deploy, stop).await),
        };
        let deployment = |id: Option<DeploymentId>, plan: DeploymentPlan, tag: String| Deployment {
            id,
            from: from.name.clone(),
            to: to.name.clone(),
            plan,
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
            rolled_back_at: None,
            rolled_back_by: None,
            tag,
        };
        if dry_run {
            if let Some(compared) = &planned.compared {
                // Before anything is said: an asking that cannot be recorded is not answered.
                self.0.store.write(Change::new(access.view.workspace.id).record(compared)).await?;
            }
            let deployment = deployment(None, planned.plan, planned.tag);
            return Ok(Deployed { deployment, hooks: Vec::new() });
        }
        if let Some(problem) = missing(&planned.plan, &to.name) {
            return Err(self.refuse_move(access, &move_, Verb::Deploy, problem.into()).await);
        }
        access.check_tag(&planned.tag)?;
        let plan = planned.plan.clone();
        let (change, hooks) = self.deployed(access, &move_, planned).await?;
        self.0.store.write(change).await?;
        Ok(Deployed { deployment: deployment(Some(id), plan, String::new()), hooks })
    }

    /// Everything that a deployment writes: definitions with the automations' own grants, copies, what it takes to go back,
    /// and an event for each.
    async fn deployed(
        &self,
        access: &Access,
        move_: &Move<'_>,
        planned: plan::Planned,
    ) -> Result<(Change, Vec<(SecretName, TokenText)>), Stop> {
        let workspace = access.view.workspace.id;
        let to = move_.to;
        let (mut undo, mut hooks) = (Undo::default(), Vec::new());
        let mut change = self.change(access).bump().record(&self.move_event(access, move_, Verb::Deploy));
        if let Some(compared) = &planned.compared {
            change = change.record(compared);
        }
        for moving in planned.automations {
            let detail = Detail { definition_hash: Some(moving.published.hash), ..Detail::default() };
            let what = object(moving.id, &moving.name);
            let mut event =
                self.event(access, Verb::AutomationPublish, what.clone(), Outcome::Succeeded, detail);
            event.environment = Some(to.name.clone());
            change = change
                .and_all(automations::publish(workspace, moving.id, &moving.published, &moving.grants))
                .record(&event);
            let definition = &moving.definition;
            let has_all = !planned.plan.enables_triggers || !moving.lacks_triggers();
            let (verb, statements, hook) = match (has_all, &moving.enabled) {
                (true, _) => (None, republish_triggers(workspace, moving.id, to.id, definition), None),
                // They fire already, on somebody's authority, which stays. Only the webhook is new.
                (false, Some(_)) if moving.fires => {
                    let mut statements = republish_triggers(workspace, moving.id, to.id, definition);
                    let (text, hash) = token::generate(TokenKind::Hook);
                    statements.push(triggers::set_hook(workspace, moving.id, to.id, *hash.as_bytes()));
                    (Some(Verb::TriggerRotate), statements, Some(text))
                }
                // Of somebody who may not any more they are taken over, at their address.
                (false, enabled) => {
                    let kept = enabled.as_ref().and_then(|enabled| enabled.hook);
                    let (statements, hook) = enable_triggers(access, moving.id, to.id, definition, kept)?;
                    (Some(Verb::TriggerEnable), statements, hook)
                }
            };
            change = change.and_all(statements);
            if let Some(verb) = verb {
                event = self.event(access, verb, what, Outcome::Succeeded, Detail::default());
                event.environment = Some(to.name.clone());
                change = change.record(&event);
            }
            hooks.extend(hook.map(|hook| (moving.name.clone(), hook)));
            undo.automations.push(UndoAutomation {
                id: moving.id,
                name: moving.name,
                hash: moving.published.hash,
                before: moving.before,
                triggers_enabled: moving.fires,
                hook: moving.enabled.and_then(|enabled| enabled.hook),
            });
        }
        for copied in planned.secrets {
            let resealed = self.copied_version(access, &copied.snapshot, (move_.from, to)).await?;
            change = change.and_all(resealed.statements).record(&resealed.event);
            change = resealed.pruned.add_to(change);
            let secret = &copied.snapshot.secret;
            undo.secrets.push(UndoSecret {
                id: secret.id,
                name: secret.name.clone(),
                version: resealed.version,
                before: copied.snapshot.value(to.id).map_or(0, |value| value.current),
            });
        }
        for copied in planned.variables {
            let what = crate::variables::object(&copied.variable);
            let mut event =
                self.event(access, Verb::VariableSet, what, Outcome::Succeeded, Detail::default());
            event.environment = Some(to.name.clone());
            let (id, value) = (copied.variable.id, copied.value);
            change =
                change.and(variables::set_value(workspace, id, to.id, &value, access.now)).record(&event);
            undo.variables.push(UndoVariable {
                id,
                name: copied.variable.name,
                value,
                before: copied.before,
            });
        }
        let row = rows::Deployment {
            id: move_.id,
            from: move_.from.id,
            to: to.id,
            plan: serde_json::to_string(&planned.plan).map_err(Problem::internal)?,
            undo: serde_json::to_string(&undo).map_err(Problem::internal)?,
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
            rolled_back_at: None,
            rolled_back_by: None,
        };
        Ok((change.and(rows::insert(workspace, &row)), hooks))
    }

    /// A deployment.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn show_deployment(&self, caller: &Caller, id: DeploymentId) -> Result<Deployment, Problem> {
        settle!(self, caller, |access| async {
            let row = self.deployment_row(&access, id).await?;
            shown(&access, row)
        })
    }

    /// Deployments, newest first, without what is different between definitions.
    ///
    /// # Errors
    /// `not_found` for those who may not list.
    pub async fn list_deployments(
        &self,
        caller: &Caller,
        before: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, Problem> {
        settle!(self, caller, |access| async {
            if !access.lists_something() {
                return Err(Problem::not_found("deployment").into());
            }
            let (mut visible, mut before) = (Vec::new(), before);
            loop {
                let found = self.0.store.deployments(access.view.workspace.id, before, AT_ONCE).await?;
                let is_last = found.len() < AT_ONCE;
                before = found.last().map(|row| row.id);
                for row in found.into_iter().filter(|row| may_see(&access, row)) {
                    let mut deployment = shown(&access, row)?;
                    deployment
                        .plan
                        .automations
                        .iter_mut()
                        .for_each(|automation| automation.diff = Vec::new());
                    visible.push(deployment);
                }
                visible.truncate(limit);
                if is_last || visible.len() == limit {
                    return Ok(visible);
                }
            }
        })
    }

    /// A deployment that the caller may know of.
    async fn deployment_row(&self, access: &Access, id: DeploymentId) -> Result<rows::Deployment, Stop> {
        let found = self.0.store.deployment(access.view.workspace.id, id).await?;
        let found = found.filter(|row| may_see(access, row));
        found.ok_or_else(|| Problem::not_found("deployment").into())
    }

    /// What every move needs: the right to deploy where things go, and to see all of both environments, because a plan names
    /// everything that definitions name.
    async fn require_of_move(&self, access: &Access, move_: &Move<'_>, verb: Verb) -> Result<(), Stop> {
        let needs = [
            (Right::Deploy, move_.to.id),
            (Right::SecretList, move_.to.id),
            (Right::SecretList, move_.from.id),
        ];
        for (right, environment) in needs {
            if let Err(problem) = require(access.rights_in(environment), right) {
                return Err(self.refuse_move(access, move_, verb, problem.into()).await);
            }
        }
        Ok(())
    }

    fn move_event(&self, access: &Access, move_: &Move<'_>, verb: Verb) -> tacit_audit::Event {
        let name = format!("{} to {}", move_.from.name, move_.to.name);
        let what = Object::new(ObjectKind::Deployment, *move_.id.as_bytes(), &name);
        let mut event = self.event(access, verb, what, Outcome::Succeeded, Detail::default());
        event.environment = Some(move_.to.name.clone());
        event
    }

    /// Puts a refusal on the record; what is wrong with a request is not one.
    async fn refuse_move(&self, access: &Access, move_: &Move<'_>, verb: Verb, stop: Stop) -> Stop {
        match stop {
            Stop::Problem(problem)
                if ![Code::NotFound, Code::ValidationFailed, Code::Internal].contains(&problem.code) =>
            {
                let event = self.move_event(access, move_, verb);
                self.refuse_event(access, event, problem).await
            }
            other => other,
        }
    }
}

/// From where to where.
struct Move<'a> {
    id: DeploymentId,
    from: &'a Environment,
    to: &'a Environment,
}

/// Its plan names what both environments have: it is for those who may list all of both.
fn may_see(access: &Access, row: &rows::Deployment) -> bool {
    let lists = |environment: EnvironmentId| access.rights_in(environment).has(Right::SecretList);
    lists(row.from) && lists(row.to)
}

fn shown(access: &Access, row: rows::Deployment) -> Result<Deployment, Stop> {
    let name = |id| access.environment_named(id).map(|environment| environment.name.clone());
    let gone = || Problem::internal("an environment of a deployment is gone");
    Ok(Deployment {
        id: Some(row.id),
        from: name(row.from).ok_or_else(gone)?,
        to: name(row.to).ok_or_else(gone)?,
        plan: serde_json::from_str(&row.plan).map_err(Problem::internal)?,
        created_at: row.created_at,
        created_by: row.created_by,
        rolled_back_at: row.rolled_back_at,
        rolled_back_by: row.rolled_back_by,
        tag: String::new(),
    })
}

/// Why a plan cannot be applied: what is needed and missing.
fn missing(plan: &DeploymentPlan, to: &EnvironmentName) -> Option<Problem> {
    let first = plan.missing.first()?;
    let is_gone = |what: &String| {
        plan.secrets.iter().any(|secret| secret.kind.is_none() && *what == format!("secret:{}", secret.name))
    };
    let code =
        if plan.missing.iter().any(is_gone) { Code::UnknownReference } else { Code::NoValueInEnvironment };
    let others = match plan.missing.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let mut problem = Problem::new(code, format!("{first}{others} is needed in `{to}` and missing there"))
        .suggest("set the values there, or copy them along: copy_secrets, copy_variables");
    problem.issues = plan
        .missing
        .iter()
        .map(|what| Issue::new(what.replacen(':', "s.", 1), format!("is needed in `{to}` and missing there")))
        .collect();
    Some(problem)
}

/// A stored definition.
fn parse(definition: &str) -> Result<Automation, Problem> {
    serde_json::from_str(definition).map_err(Problem::internal)
}
