//! Automations: publish, show, delete.
//!
//! Publishing compiles the definition, checks that everything it references exists and that the publisher may use each
//! secret, and writes the automation's own grants, bound to the hash of exactly this content.

mod compiled;

use std::{collections::BTreeSet, sync::Arc};

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{
    Automation, AutomationId, Code, EnvironmentId, EnvironmentName, Problem, Right, SecretName, Target,
    Timestamp, Visibility, limits,
};
use tacit_store::automations as rows;

use crate::{
    Caller, Stop, Vault,
    access::{Access, Snapshot},
    authorize::require,
    literals::literal_warnings,
    new_id,
    precondition::definition_tag,
    settle, settle_change,
    triggers::republish_triggers,
};

pub(crate) use compiled::{Compiled, compile, fields_in, references};
use compiled::{Missing, address_warnings, all_unknown, check_auth_types, check_sent_fields, unknown};

/// What publishing did, or would do.
#[derive(Clone, Debug)]
pub struct PublishedAutomation {
    /// The name.
    pub name: SecretName,
    /// Where it is published.
    pub environment: EnvironmentName,
    /// SHA-256 of the definition.
    pub hash: [u8; 32],
    /// The secrets it references.
    pub secrets: Vec<String>,
    /// The variables it references.
    pub variables: Vec<String>,
    /// Whether the automation is new.
    pub created: bool,
    /// Whether the same definition was published there before.
    pub unchanged: bool,
    /// What the publisher should know.
    pub warnings: Vec<String>,
    /// What its `ETag` is.
    pub tag: String,
}

/// An automation in a list.
#[derive(Clone, Debug)]
pub struct AutomationListed {
    /// The name.
    pub name: SecretName,
    /// Free text.
    pub description: String,
    /// Where it is published.
    pub environments: Vec<EnvironmentName>,
    /// When it was last published.
    pub published_at: Timestamp,
}

pub(crate) fn object(id: AutomationId, name: &SecretName) -> Object {
    Object::new(ObjectKind::Automation, *id.as_bytes(), name.as_str())
}

impl Vault {
    /// Publishes a definition in the first environment that is not protected; with `dry_run` only checks it.
    ///
    /// # Errors
    /// `forbidden`, `validation_failed`, `placement_not_allowed`, `unknown_reference`.
    pub async fn publish_automation(
        &self,
        caller: &Caller,
        definition: &Automation,
        dry_run: bool,
    ) -> Result<PublishedAutomation, Problem> {
        settle_change!(self, caller, |access| self.publish_once(&access, definition, dry_run))
    }

    async fn publish_once(
        &self,
        access: &Access,
        definition: &Automation,
        dry_run: bool,
    ) -> Result<PublishedAutomation, Stop> {
        let workspace = access.view.workspace.id;
        let found = self.0.store.automation(workspace, &definition.name.key()).await?;
        let created = found.is_none();
        let automation = found.unwrap_or_else(|| rows::Automation {
            id: new_id!(AutomationId, access.now),
            name: definition.name.clone(),
            created_at: access.now,
        });
        let refuse = |problem| {
            self.refuse(access, Verb::AutomationPublish, object(automation.id, &definition.name), problem)
        };
        // Definitions go into the first environment that is not protected, whoever publishes.
        let environment = access.view.environments.iter().find(|environment| !environment.protected);
        let rights =
            environment.map_or(access.principal.rights, |environment| access.rights_in(environment.id));
        if let Err(problem) = require(rights, Right::AutomationWrite) {
            return Err(refuse(problem).await);
        }
        let compiled = match compile(definition) {
            Ok(compiled) => compiled,
            Err(problem) if problem.code == Code::PlacementNotAllowed => return Err(refuse(problem).await),
            Err(problem) => return Err(problem.into()),
        };
        let secrets = self.referenced(access, &compiled).await?;
        check_auth_types(&compiled, &secrets)?;
        if let Err(problem) = check_sent_fields(&compiled, &secrets) {
            return Err(refuse(problem).await);
        }
        for snapshot in &secrets {
            let rights = access.rights_on(&snapshot.secret, environment.map(|environment| environment.id));
            if let Err(problem) = require(rights, Right::SecretUse) {
                return Err(refuse(problem).await);
            }
        }
        let Some(environment) = environment else {
            return Err(Problem::new(
                Code::ProtectedEnvironment,
                "every environment of this workspace is protected",
            )
            .suggest("add one that is not, to publish in")
            .into());
        };
        let text = serde_json::to_string(definition).map_err(Problem::internal)?;
        if text.len() > limits::DEFINITION_BYTES_MAX {
            return Err(Problem::invalid(
                "steps",
                format!("make a definition of more than {} bytes", limits::DEFINITION_BYTES_MAX),
            )
            .into());
        }
        let hash = tacit_crypto::sha256(text.as_bytes());
        let before = self.0.store.published(workspace, automation.id).await?;
        let before = before.iter().find(|published| published.environment == environment.id);
        if let Some(before) = before {
            access.check_tag(&definition_tag(&before.hash))?;
        } else {
            // Whoever has seen one has seen another one than this.
            access.check_tag("")?;
        }
        let mut warnings = literal_warnings(definition);
        warnings.extend(address_warnings(&compiled, &secrets));
        let mut grants = Vec::new();
        for snapshot in &secrets {
            let pinned = pinned_origin(access, snapshot, environment.id, &compiled);
            if snapshot.secret.destinations.is_empty() && pinned.is_none() {
                warnings.push(format!(
                    "`{}` has no destination, so runs that use it will fail until it gets one",
                    snapshot.secret.name
                ));
            }
            if snapshot.value(environment.id).is_none() {
                warnings
                    .push(format!("`{}` has no value in `{}` yet", snapshot.secret.name, environment.name));
            }
            grants.push(rows::Grant {
                secret: snapshot.secret.id,
                hash,
                pinned,
                granted_by: access.principal.actor.to_string(),
                fields: compiled.fields_of(&snapshot.secret.name),
            });
        }
        let result = PublishedAutomation {
            name: definition.name.clone(),
            environment: environment.name.clone(),
            hash,
            secrets: secrets.iter().map(|snapshot| snapshot.secret.name.to_string()).collect(),
            variables: compiled.variables.keys().cloned().collect(),
            created,
            unchanged: before.is_some_and(|before| before.hash == hash),
            warnings,
            tag: definition_tag(&hash),
        };
        if dry_run {
            return Ok(result);
        }
        let published = rows::Published {
            environment: environment.id,
            definition: text,
            hash,
            published_at: access.now,
            published_by: access.principal.author().to_string(),
        };
        let detail = Detail { definition_hash: Some(hash), ..Detail::default() };
        let mut event = self.event(
            access,
            Verb::AutomationPublish,
            object(automation.id, &definition.name),
            Outcome::Succeeded,
            detail,
        );
        event.environment = Some(environment.name.clone());
        let mut change = self.change(access).bump();
        if created {
            change = change.and(rows::insert(workspace, &automation));
        }
        change = change
            .and_all(rows::publish(workspace, automation.id, &published, &grants))
            .and_all(republish_triggers(workspace, automation.id, environment.id, definition))
            .record(&event);
        self.0.store.write(change).await?;
        Ok(result)
    }

    /// The secrets that a definition names. What is not there, variables too, is refused, all of it at once.
    async fn referenced(&self, access: &Access, compiled: &Compiled) -> Result<Vec<Arc<Snapshot>>, Stop> {
        let mut found: Vec<Arc<Snapshot>> = Vec::new();
        let mut missing = Vec::new();
        for name in &compiled.secrets {
            let parsed: SecretName = name.parse().map_err(Problem::internal)?;
            let snapshot = self.snapshot_or_deleted(&access.view, &parsed.key()).await?;
            let snapshot = snapshot
                .filter(|snapshot| snapshot.secret.deleted_at.is_none() && access.sees(&snapshot.secret));
            let Some(snapshot) = snapshot else {
                let steps: BTreeSet<_> =
                    compiled.fields_of(&parsed).into_iter().map(|(step, _)| step).collect();
                missing.push(Missing { what: "secret", name: name.clone(), steps });
                continue;
            };
            // Names ignore case: two spellings are one secret and one grant.
            if !found.iter().any(|other| other.secret.id == snapshot.secret.id) {
                found.push(snapshot);
            }
        }
        for (name, steps) in &compiled.variables {
            let known = match name.parse::<SecretName>() {
                Ok(parsed) => {
                    let found = self.0.store.variable(access.view.workspace.id, &parsed.key()).await?;
                    found.is_some_and(|variable| access.sees_folder(&variable.folder))
                }
                Err(_) => false,
            };
            if !known {
                missing.push(Missing { what: "variable", name: name.clone(), steps: steps.clone() });
            }
        }
        if missing.is_empty() { Ok(found) } else { Err(all_unknown(missing).into()) }
    }

    /// An automation's definition in an environment, or in the first unprotected one if none is named; and its tag.
    ///
    /// # Errors
    /// `not_found`, `not_deployed`.
    pub async fn show_automation(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: Option<&EnvironmentName>,
    ) -> Result<(String, String), Problem> {
        settle!(self, caller, |access| async {
            let (_, found) = self.published_automation(&access, name, environment).await?;
            let tag = definition_tag(&found.hash);
            Ok((found.definition, tag))
        })
    }

    /// What is published of an automation in an environment, or in the first unprotected one if none is named.
    pub(crate) async fn published_automation(
        &self,
        access: &Access,
        name: &SecretName,
        environment: Option<&EnvironmentName>,
    ) -> Result<(rows::Automation, rows::Published), Stop> {
        let automation = self.automation(access, name).await?;
        let environment = match environment {
            Some(name) => Some(access.environment(name)?),
            None => access.view.environments.iter().find(|environment| !environment.protected),
        };
        let published = self.0.store.published(access.view.workspace.id, automation.id).await?;
        // A definition names secrets: it is for those who may list all of its environment.
        let found = published.into_iter().find(|published| {
            environment.is_some_and(|environment| environment.id == published.environment)
                && access.rights_in(published.environment).has(Right::SecretList)
        });
        Ok((automation, found.ok_or_else(|| not_deployed(name))?))
    }

    /// Automations by name, and the key after which the next page begins.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_automations(
        &self,
        caller: &Caller,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<AutomationListed>, Option<String>), Problem> {
        settle!(self, caller, |access| self.list_automations_once(&access, after, limit))
    }

    async fn list_automations_once(
        &self,
        access: &Access,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<AutomationListed>, Option<String>), Stop> {
        require_list(access)?;
        let found = self.0.store.automations(access.view.workspace.id, after, limit).await?;
        let next =
            if found.len() == limit { found.last().map(|automation| automation.name.key()) } else { None };
        let mut listed = Vec::with_capacity(found.len());
        for automation in found {
            let mut published = self.0.store.published(access.view.workspace.id, automation.id).await?;
            published.retain(|published| access.rights_in(published.environment).has(Right::SecretList));
            if published.is_empty() {
                continue;
            }
            let newest = published.iter().max_by_key(|published| published.published_at);
            let definition: Option<Automation> =
                newest.and_then(|published| serde_json::from_str(&published.definition).ok());
            listed.push(AutomationListed {
                name: automation.name,
                description: definition.map(|definition| definition.description).unwrap_or_default(),
                environments: published
                    .iter()
                    .filter_map(|p| Some(access.environment_named(p.environment)?.name.clone()))
                    .collect(),
                published_at: newest.map_or(automation.created_at, |published| published.published_at),
            });
        }
        Ok((listed, next))
    }

    /// Removes an automation everywhere.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn delete_automation(&self, caller: &Caller, name: &SecretName) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let automation = self.automation(&access, name).await?;
            // It goes from everywhere, so the right must count everywhere.
            if let Err(problem) = require(access.principal.rights, Right::AutomationWrite) {
                return Err(self
                    .refuse(&access, Verb::AutomationDelete, object(automation.id, name), problem)
                    .await);
            }
            let published = self.0.store.published(access.view.workspace.id, automation.id).await?;
            // What runs in protected environments is for those who deploy there.
            let protected = access.view.environments.iter().filter(|environment| environment.protected);
            let mut deployed = protected.filter(|e| published.iter().any(|p| p.environment == e.id));
            let undeployed =
                deployed.try_for_each(|environment| require(access.rights_in(environment.id), Right::Deploy));
            if let Err(mut problem) = undeployed {
                problem.detail = format!(
                    "`{name}` is published in a protected environment, and to take it away there needs the right `deploy`"
                );
                return Err(self
                    .refuse(&access, Verb::AutomationDelete, object(automation.id, name), problem)
                    .await);
            }
            if access.has_condition() {
                // Of the definitions that it has, the one that `GET` shows.
                let shown = access.view.environments.iter().find(|environment| !environment.protected);
                let shown = published.iter().find(|p| shown.is_some_and(|e| e.id == p.environment));
                access
                    .check_tag(&shown.map_or(String::new(), |published| definition_tag(&published.hash)))?;
            }
            let event = self.event(
                &access,
                Verb::AutomationDelete,
                object(automation.id, name),
                Outcome::Succeeded,
                Detail::default(),
            );
            let statements = rows::delete(access.view.workspace.id, automation.id);
            self.0.store.write(self.change(&access).bump().and_all(statements).record(&event)).await?;
            Ok(())
        })
    }

    pub(crate) async fn automation(
        &self,
        access: &Access,
        name: &SecretName,
    ) -> Result<rows::Automation, Stop> {
        require_list(access)?;
        let workspace = access.view.workspace.id;
        let not_found = || Problem::not_found("automation");
        let found = self.0.store.automation(workspace, &name.key()).await?.ok_or_else(not_found)?;
        if !access.lists_everything() {
            let published = self.0.store.published(workspace, found.id).await?;
            let is_listed = |at: &rows::Published| access.rights_in(at.environment).has(Right::SecretList);
            if !published.iter().any(is_listed) {
                return Err(not_found().into());
            }
        }
        Ok(found)
    }
}

pub(crate) fn unknown_secret(name: &SecretName) -> Problem {
    unknown(format!("secrets.{name}"), "is not there: no secret of this workspace has that name".to_owned())
        .suggest("`tacit secrets list` shows the names; to create it: tacit secrets set")
}

pub(crate) fn not_deployed(name: &SecretName) -> Problem {
    Problem::new(Code::NotDeployed, format!("`{name}` is not published in this environment"))
        .suggest("publish it first, or name the environment it is published in")
}

fn require_list(access: &Access) -> Result<(), Problem> {
    access.may_list("automations")
}

/// The one origin that a secret without destinations may go to from this definition: written out, the same in every
/// step that uses it, and published by someone who may look at the value anyway.
pub(crate) fn pinned_origin(
    access: &Access,
    snapshot: &Snapshot,
    environment: EnvironmentId,
    compiled: &Compiled,
) -> Option<String> {
    let may_look = access.rights_on(&snapshot.secret, Some(environment)).has(Right::SecretReveal)
        && snapshot.secret.visibility == Visibility::Masked;
    if !snapshot.secret.destinations.is_empty() || !may_look {
        return None;
    }
    let mut origins = BTreeSet::new();
    for (_, step) in &compiled.steps {
        if step.slots().iter().any(|slot| slot.name.key() == snapshot.secret.name.key()) {
            let (target, _) = Target::parse_url(step.literal_origin()?).ok()?;
            origins.insert(target.to_string());
        }
    }
    if origins.len() == 1 { origins.pop_first() } else { None }
}
