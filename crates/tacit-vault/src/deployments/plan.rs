//! What a deployment would do: looked up, judged and compared, before anything is written.

use std::{collections::BTreeMap, sync::Arc};

use tacit_audit::{Detail, Event, Object, ObjectKind, Outcome, Verb};
use tacit_model::{Automation, AutomationId, EnvironmentId, Problem, Right, Scope, SecretName, limits};
use tacit_store::{
    automations::{Grant, Published},
    fingerprints::Print,
    triggers::Enabled,
    variables as variable_rows,
    workspaces::Environment,
};

use super::{
    DeploymentPlan, Move, NewDeployment, PlannedAutomation, PlannedSecret, PlannedVariable, Relation, diff,
    parse,
    undo::{Before, BeforeGrant},
};
use crate::{
    Stop, Vault,
    access::{Access, Snapshot},
    authorize::{self, require},
    automations::{Compiled, compile, not_deployed, pinned_origin},
    compare::{Likeness, likeness},
    triggers::{has_webhook, may_enable},
};

/// A plan with what it takes to do it.
pub(super) struct Planned {
    pub(super) plan: DeploymentPlan,
    pub(super) automations: Vec<Moving>,
    pub(super) secrets: Vec<CopiedSecret>,
    pub(super) variables: Vec<CopiedVariable>,
    /// That values were compared for it.
    pub(super) compared: Option<Event>,
    /// A hash of everything it was made from.
    pub(super) tag: String,
}

/// An automation on its way.
pub(super) struct Moving {
    pub(super) id: AutomationId,
    pub(super) name: SecretName,
    pub(super) published: Published,
    pub(super) grants: Vec<Grant>,
    pub(super) before: Option<Before>,
    pub(super) definition: Automation,
    /// Its triggers, if they are enabled in the target already.
    pub(super) enabled: Option<Enabled>,
    /// Whether they fire: the authority on which they are enabled still holds.
    pub(super) fires: bool,
    compiled: Compiled,
}

impl Moving {
    /// Whether its triggers are to be enabled, or one of them that does not fire with the others yet: a webhook that is new.
    pub(super) fn lacks_triggers(&self) -> bool {
        let lacks = |enabled: &Enabled| enabled.hook.is_none() && has_webhook(&self.definition);
        !self.definition.triggers.is_empty() && (!self.fires || self.enabled.as_ref().is_none_or(lacks))
    }
}

/// A secret whose value is copied.
pub(super) struct CopiedSecret {
    pub(super) snapshot: Arc<Snapshot>,
}

/// A variable whose value is copied.
pub(super) struct CopiedVariable {
    pub(super) variable: variable_rows::Variable,
    pub(super) value: String,
    pub(super) before: Option<String>,
}

/// What a plan is made from, one line for each thing: its hash says whether two plans are the same.
#[derive(Default)]
struct Ground(Vec<String>);

impl Vault {
    /// Plans a deployment. The caller's right to deploy was looked at; what else it takes is looked at here.
    pub(super) async fn plan(
        &self,
        access: &Access,
        move_: &Move<'_>,
        new: &NewDeployment,
    ) -> Result<Planned, Stop> {
        let (mut ground, mut definition_bytes) = (Ground::default(), 0);
        let mut planned = Planned {
            plan: DeploymentPlan { enables_triggers: new.enable_triggers, ..DeploymentPlan::default() },
            automations: Vec::new(),
            secrets: Vec::new(),
            variables: Vec::new(),
            compared: None,
            tag: String::new(),
        };
        for name in &new.automations {
            if planned.automations.iter().any(|moving| moving.name.key() == name.key()) {
                continue;
            }
            let (moving, automation, left_out) = self.plan_automation(access, move_, name).await?;
            if left_out > 0 {
                let (name, to) = (&automation.name, &move_.to.name);
                let warning = format!(
                    "{left_out} more differences of `{name}` are not in the plan: compare its definition with that in `{to}`"
                );
                planned.plan.warnings.push(warning);
            }
            if new.enable_triggers && moving.lacks_triggers() {
                may_enable(access, move_.to.id).map_err(|problem| {
                    problem.suggest("leave its triggers switched off: enable_triggers: false")
                })?;
            }
            let before = moving.before.as_ref().map_or("", |before| &before.definition);
            definition_bytes += moving.published.definition.len() + before.len();
            if definition_bytes > limits::DEPLOYMENT_BYTES_MAX {
                let max = limits::DEPLOYMENT_BYTES_MAX;
                let message =
                    format!("have definitions of more than {max} bytes together; deploy fewer at once");
                return Err(Problem::invalid("automations", message).into());
            }
            ground.0.push(format!(
                "automation {} {:?} {:?} {}",
                moving.id,
                automation.hash,
                // Of the differences there may be more than are shown.
                tacit_crypto::sha256(before.as_bytes()),
                moving.lacks_triggers()
            ));
            planned.plan.automations.push(automation);
            planned.automations.push(moving);
        }
        self.plan_secrets(access, move_, new, &mut planned, &mut ground).await?;
        self.plan_variables(access, move_, new, &mut planned, &mut ground).await?;
        ground.0.push(format!("{} {} {}", move_.from.id, move_.to.id, new.enable_triggers));
        planned.tag = crate::precondition::tag(&ground.0);
        Ok(planned)
    }

    /// A definition, its place in the target, and how many differences the plan leaves out.
    async fn plan_automation(
        &self,
        access: &Access,
        move_: &Move<'_>,
        name: &SecretName,
    ) -> Result<(Moving, PlannedAutomation, usize), Stop> {
        let workspace = access.view.workspace.id;
        let automation = self.automation(access, name).await?;
        let published = self.0.store.published(workspace, automation.id).await?;
        let at = |environment: &Environment| published.iter().find(|p| p.environment == environment.id);
        let Some(source) = at(move_.from) else { return Err(not_deployed(name).into()) };
        let target = at(move_.to);
        let definition = parse(&source.definition)?;
        let compiled = compile(&definition)?;
        let after = serde_json::from_str(&source.definition).map_err(Problem::internal)?;
        let before = target.map(|target| serde_json::from_str(&target.definition)).transpose();
        let before: Option<serde_json::Value> = before.map_err(Problem::internal)?;
        let relation = match target {
            None => Relation::New,
            Some(target) if target.hash == source.hash => Relation::Same,
            Some(_) => Relation::Different,
        };
        let (diff, left_out) = diff::differences(before.as_ref(), &after);
        let planned = PlannedAutomation {
            name: automation.name.clone(),
            relation,
            hash: source.hash,
            diff,
            triggers: definition.triggers.len(),
        };
        let before = match target {
            Some(target) => {
                let grants = self.0.store.automation_grants(workspace, automation.id, move_.to.id).await?;
                let grants = grants.into_iter().map(|grant| BeforeGrant {
                    secret: grant.secret,
                    pinned: grant.pinned,
                    granted_by: grant.granted_by,
                });
                Some(Before {
                    definition: target.definition.clone(),
                    published_by: target.published_by.clone(),
                    grants: grants.collect(),
                })
            }
            None => None,
        };
        let enabled = self.0.store.triggers(workspace, automation.id).await?;
        let enabled = enabled.into_iter().find(|enabled| enabled.environment == move_.to.id);
        let fires = match &enabled {
            Some(enabled) => self.may_fire(access, enabled).await,
            None => false,
        };
        let moving = Moving {
            id: automation.id,
            grants: self.deployed_grants(access, move_, automation.id, source, &compiled).await?,
            published: Published { environment: move_.to.id, published_at: access.now, ..source.clone() },
            name: automation.name,
            before,
            enabled,
            fires,
            definition,
            compiled,
        };
        Ok((moving, planned, left_out))
    }

    /// What the automation may use in the target. Whoever wrote the definition held `secret.use` where they published it;
    /// `deploy` gives it the target's values. Nobody extends their own reach by it: who deploys what they published
    /// themselves needs `secret.use` in the target, as if they published there. So does who deploys what may not use a secret
    /// where it comes from: the name may have been given to another secret since it was published.
    async fn deployed_grants(
        &self,
        access: &Access,
        move_: &Move<'_>,
        automation: AutomationId,
        source: &Published,
        compiled: &Compiled,
    ) -> Result<Vec<Grant>, Stop> {
        let held =
            self.0.store.automation_grants(access.view.workspace.id, automation, move_.from.id).await?;
        let is_own = source.published_by == access.principal.author().to_string();
        let mut grants: Vec<Grant> = Vec::new();
        for name in &compiled.secrets {
            let Some(snapshot) = self.planned_secret(access, name).await? else { continue };
            let rights = access.rights_on(&snapshot.secret, Some(move_.to.id));
            let is_held =
                held.iter().any(|grant| grant.secret == snapshot.secret.id && grant.hash == source.hash);
            if is_own || !is_held {
                require(rights, Right::SecretUse)?;
            }
            if grants.iter().any(|grant| grant.secret == snapshot.secret.id) {
                continue;
            }
            grants.push(Grant {
                secret: snapshot.secret.id,
                hash: source.hash,
                pinned: pinned_origin(access, &snapshot, move_.to.id, compiled),
                granted_by: access.principal.actor.to_string(),
                fields: compiled.fields_of(&snapshot.secret.name),
            });
        }
        Ok(grants)
    }

    /// A secret by the name that a definition has for it, if it is there.
    async fn planned_secret(&self, access: &Access, name: &str) -> Result<Option<Arc<Snapshot>>, Stop> {
        let parsed: SecretName = name.parse().map_err(Problem::internal)?;
        let snapshot = self.snapshot_or_deleted(&access.view, &parsed.key()).await?;
        Ok(snapshot.filter(|snapshot| snapshot.secret.deleted_at.is_none()))
    }

    /// The secrets: which are there, how they differ, which are copied.
    async fn plan_secrets(
        &self,
        access: &Access,
        move_: &Move<'_>,
        new: &NewDeployment,
        planned: &mut Planned,
        ground: &mut Ground,
    ) -> Result<(), Stop> {
        let (from, to) = (move_.from.id, move_.to.id);
        // By key: definitions may spell a name in other letters than the secret itself.
        let mut wanted: BTreeMap<String, (SecretName, bool, bool)> = BTreeMap::new();
        for name in planned.automations.iter().flat_map(|moving| &moving.compiled.secrets) {
            let name: SecretName = name.parse().map_err(Problem::internal)?;
            wanted.entry(name.key()).or_insert((name, false, false)).1 = true;
        }
        for name in &new.copy_secrets {
            wanted.entry(name.key()).or_insert((name.clone(), false, false)).2 = true;
        }
        let mut may_compare = None;
        for (name, is_needed, is_copied) in wanted.into_values() {
            let Some(snapshot) = self.planned_secret(access, name.as_str()).await? else {
                if is_copied {
                    return Err(Problem::not_found("secret").into());
                }
                planned.plan.missing.push(format!("secret:{name}"));
                planned.plan.secrets.push(PlannedSecret {
                    name,
                    kind: None,
                    relation: Relation::Missing,
                    is_needed,
                    is_copied,
                    replaces: false,
                    version: None,
                });
                continue;
            };
            let replaces = is_copied && snapshot.value(to).is_some();
            let mut version = None;
            if is_copied {
                require(access.rights_on(&snapshot.secret, Some(to)), Right::SecretWrite)?;
                self.check_copy(access, &snapshot, (move_.from, move_.to)).await?;
                authorize::reseal_for_copy(
                    access.rights_on(&snapshot.secret, Some(to)),
                    &snapshot,
                    (from, to),
                    access.view.revision,
                )?;
                version = Some(self.next_version(access, &snapshot, to).await?);
            }
            let relation = match (snapshot.value(from).is_some(), snapshot.value(to).is_some()) {
                (_, false) if is_copied => Relation::New,
                (_, false) => Relation::Missing,
                (false, true) => Relation::Different,
                (true, true) => {
                    if may_compare.is_none() {
                        let spent = self.0.comparisons.spend(&access.principal.actor.id, access.now);
                        may_compare = Some(spent.is_ok());
                        planned.compared = Some(self.compared_event(access, move_.to));
                    }
                    // Who has asked too often is not told, and can deploy all the same.
                    match may_compare {
                        Some(true) => self.relation(access, &snapshot, (from, to)).await?,
                        _ => Relation::Unknown,
                    }
                }
            };
            if is_needed && relation == Relation::Missing {
                planned.plan.missing.push(format!("secret:{}", snapshot.secret.name));
            }
            if is_needed || is_copied {
                planned.plan.warnings.extend(warnings(&snapshot, move_.to, planned));
            }
            ground.0.push(format!(
                "secret {} {:?} {:?} {is_copied}",
                snapshot.secret.id,
                snapshot.value(from).map(|value| value.current),
                snapshot.value(to).map(|value| value.current),
            ));
            planned.plan.secrets.push(PlannedSecret {
                name: snapshot.secret.name.clone(),
                kind: Some(snapshot.secret.kind.as_str().to_owned()),
                relation,
                is_needed,
                is_copied,
                replaces,
                version,
            });
            if is_copied {
                planned.secrets.push(CopiedSecret { snapshot });
            }
        }
        Ok(())
    }

    fn compared_event(&self, access: &Access, to: &Environment) -> Event {
        let workspace = &access.view.workspace;
        let object = Object::new(ObjectKind::Workspace, *workspace.id.as_bytes(), workspace.name.as_str());
        let mut event =
            self.event(access, Verb::SecretCompare, object, Outcome::Succeeded, Detail::default());
        event.environment = Some(to.name.clone());
        event
    }

    /// How two values relate, by their fingerprints.
    async fn relation(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        (from, to): (EnvironmentId, EnvironmentId),
    ) -> Result<Relation, Stop> {
        let (from, to) = (self.print(access, snapshot, from).await?, self.print(access, snapshot, to).await?);
        Ok(match likeness(from.as_ref(), to.as_ref()) {
            Likeness::Same => Relation::Same,
            Likeness::Different => Relation::Different,
            Likeness::Missing => Relation::Missing,
            Likeness::Unknown => Relation::Unknown,
        })
    }

    async fn print(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        environment: EnvironmentId,
    ) -> Result<Option<Print>, Stop> {
        let versions = self.sealed_versions(&access.view, snapshot.secret.id, environment).await?;
        let version = crate::values::current_version(snapshot, environment, &versions)?;
        Ok(Some(Print { fingerprint: version.fingerprint, shown: version.shown.clone() }))
    }

    /// The variables, likewise. They are no secrets, so what differs is known.
    async fn plan_variables(
        &self,
        access: &Access,
        move_: &Move<'_>,
        new: &NewDeployment,
        planned: &mut Planned,
        ground: &mut Ground,
    ) -> Result<(), Stop> {
        let workspace = access.view.workspace.id;
        let mut wanted: BTreeMap<String, (String, bool, bool)> = BTreeMap::new();
        for name in planned.automations.iter().flat_map(|moving| moving.compiled.variables.keys()) {
            let key = name.parse::<SecretName>().map_or_else(|_| name.clone(), |name| name.key());
            wanted.entry(key).or_insert((name.clone(), false, false)).1 = true;
        }
        for name in &new.copy_variables {
            wanted.entry(name.key()).or_insert((name.to_string(), false, false)).2 = true;
        }
        for (key, (name, is_needed, is_copied)) in wanted {
            let Some(variable) = self.0.store.variable(workspace, &key).await? else {
                if is_copied {
                    return Err(Problem::not_found("variable").into());
                }
                planned.plan.missing.push(format!("variable:{name}"));
                continue;
            };
            let values = self.0.store.variable_values(workspace, variable.id).await?;
            let at = |id| values.iter().find(|(environment, _)| *environment == id).map(|(_, text)| text);
            let (source, target) = (at(move_.from.id), at(move_.to.id));
            let relation = match (source, target) {
                (Some(_), None) if is_copied => Relation::New,
                (_, None) => Relation::Missing,
                (Some(source), Some(target)) if source == target => Relation::Same,
                (_, Some(_)) => Relation::Different,
            };
            if is_needed && relation == Relation::Missing {
                planned.plan.missing.push(format!("variable:{}", variable.name));
            }
            ground.0.push(format!("variable {} {source:?} {target:?} {is_copied}", variable.id));
            planned.plan.variables.push(PlannedVariable {
                name: variable.name.clone(),
                relation,
                is_needed,
                is_copied,
                replaces: is_copied && target.is_some(),
            });
            if is_copied {
                let scope = Scope { environment: Some(move_.to.id), ..Scope::folder(&variable.folder) };
                require(access.rights_at(&scope), Right::VariableWrite)?;
                let value =
                    source.ok_or_else(|| crate::values::no_value(&variable.name, &move_.from.name))?;
                let (value, before) = (value.clone(), target.cloned());
                planned.variables.push(CopiedVariable { variable, value, before });
            }
        }
        Ok(())
    }
}

/// What will keep a needed secret from being used in the target, although it is there.
fn warnings(snapshot: &Snapshot, to: &Environment, planned: &Planned) -> Vec<String> {
    let secret = &snapshot.secret;
    let mut warnings = Vec::new();
    let is_off = secret.disabled || snapshot.value(to.id).is_some_and(|value| value.disabled);
    if is_off {
        warnings.push(format!("`{}` is disabled in `{}`", secret.name, to.name));
    }
    let is_pinned = planned.automations.iter().all(|moving| {
        let mut own = moving.grants.iter().filter(|grant| grant.secret == secret.id);
        own.all(|grant| grant.pinned.is_some())
    });
    let applies = secret
        .destinations
        .0
        .iter()
        .any(|one| one.environments.is_empty() || one.environments.contains(&to.name));
    if secret.destinations.is_empty() && !is_pinned {
        warnings.push(format!(
            "`{}` has no destination, so runs that use it will fail until it gets one",
            secret.name
        ));
    } else if !secret.destinations.is_empty() && !applies {
        warnings.push(format!("no destination of `{}` is for `{}`", secret.name, to.name));
    }
    warnings
}
