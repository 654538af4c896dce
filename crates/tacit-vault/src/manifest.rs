//! A workspace's configuration as one document: what secrets and variables there are, where they may go, and which
//! automations name them. References only. A value is in none of it, and bringing it into another workspace says which values
//! are missing there.

mod mapping;
mod template;

use std::collections::BTreeSet;

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{Automation, EnvironmentName, Problem, Right, Scope, SecretName, limits, name::Folder};
use tacit_store::{Change, secrets::Filter};

use crate::{
    Caller, NewSecret, Stop, VariablePatch, Vault, access::Access, authorize::require,
    automations::references, literals::literal_warnings, settle,
};

/// A secret without its values, and where it has some.
pub struct ManifestSecret {
    /// What it is made of; without values.
    pub secret: NewSecret,
    /// The environments it has a value in.
    pub environments: Vec<EnvironmentName>,
}

/// A variable without its values, and where it has some.
#[derive(Clone, Debug)]
pub struct ManifestVariable {
    /// The name.
    pub name: SecretName,
    /// Free text.
    pub description: String,
    /// The folder.
    pub folder: Folder,
    /// The environments it has a value in.
    pub environments: Vec<EnvironmentName>,
}

/// The document.
#[derive(Default)]
pub struct Manifest {
    /// Secrets by name.
    pub secrets: Vec<ManifestSecret>,
    /// Variables by name.
    pub variables: Vec<ManifestVariable>,
    /// Automations by name, as they are published in the first environment that is not protected.
    pub automations: Vec<Automation>,
    /// Of what was exported: fields of definitions that seem to hold a credential, which then travels with them.
    pub warnings: Vec<String>,
}

impl Manifest {
    /// Adds a definition as it is stored.
    fn add(&mut self, definition: &str) -> Result<(), Problem> {
        let definition: Automation = serde_json::from_str(definition).map_err(Problem::internal)?;
        let name = &definition.name;
        let warnings = literal_warnings(&definition).into_iter().map(|warning| format!("{name}: {warning}"));
        self.warnings.extend(warnings);
        self.automations.push(definition);
        Ok(())
    }
}

/// What an import did with one thing, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is there already and stays as it is.
    Exists,
    /// It is there already, of another type or visibility, or is a variable where a secret is wanted.
    Differs,
    /// It was made.
    Created,
    /// It was published.
    Published,
    /// It was left alone, because of what is missing.
    Skipped,
}

/// One thing of an import.
#[derive(Clone, Debug)]
pub struct ImportedItem {
    /// Its name.
    pub name: SecretName,
    /// Its name in the manifest, where that was mapped to another one.
    pub from: Option<SecretName>,
    /// What was done with it.
    pub what: Imported,
    /// Environments where it needs a value and has none.
    pub missing_in: Vec<EnvironmentName>,
    /// What it names that is not there.
    pub missing: Vec<String>,
    /// What its publisher should know.
    pub warnings: Vec<String>,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    /// Secrets.
    pub secrets: Vec<ImportedItem>,
    /// Variables.
    pub variables: Vec<ImportedItem>,
    /// Automations.
    pub automations: Vec<ImportedItem>,
    /// Environments that the manifest names and this workspace does not have.
    pub unknown_environments: Vec<String>,
}

impl Vault {
    /// The configuration of the workspace, as far as the caller may list it.
    ///
    /// # Errors
    /// `not_found` without `secret.list`; `audit_unavailable`.
    pub async fn export_manifest(&self, caller: &Caller) -> Result<Manifest, Problem> {
        settle!(self, caller, |access| self.export_once(&access))
    }

    async fn export_once(&self, access: &Access) -> Result<Manifest, Stop> {
        crate::secrets::require_list(access)?;
        let workspace = access.view.workspace.id;
        let object = workspace_object(access);
        let event =
            self.event(access, Verb::ConfigurationExport, object, Outcome::Succeeded, Detail::default());
        self.0.store.write(Change::new(workspace).record(&event)).await?;
        let mut manifest = Manifest {
            secrets: self.exported_secrets(access).await?,
            variables: self.exported_variables(access).await?,
            ..Manifest::default()
        };
        self.export_automations(access, &mut manifest).await?;
        Ok(manifest)
    }

    async fn exported_secrets(&self, access: &Access) -> Result<Vec<ManifestSecret>, Stop> {
        let mut exported = Vec::new();
        let mut filter = Filter { limit: limits::PAGE_ROWS_MAX, ..Filter::default() };
        loop {
            let page = self.0.store.secrets(access.view.workspace.id, &filter).await?;
            filter.after = page.last().map(|listed| listed.key.clone());
            let is_last = page.len() < filter.limit;
            for listed in page {
                if !access.sees(&listed.secret) {
                    continue;
                }
                let overview = self.overview_of(access, listed.secret, Vec::new()).await?;
                let environments = overview.values.into_iter().map(|value| value.environment).collect();
                let secret = overview.secret;
                let secret = NewSecret {
                    name: secret.name,
                    kind: secret.kind,
                    visibility: secret.visibility,
                    description: secret.description,
                    folder: secret.folder,
                    destinations: secret.destinations,
                    values: Vec::new(),
                    rotate_every_days: secret.rotate_every_days,
                    expires_at: secret.expires_at,
                    reason: None,
                };
                exported.push(ManifestSecret { secret, environments });
            }
            if is_last {
                return Ok(exported);
            }
        }
    }

    async fn exported_variables(&self, access: &Access) -> Result<Vec<ManifestVariable>, Stop> {
        let mut exported = Vec::new();
        let mut after = String::new();
        loop {
            let page =
                self.0.store.variables(access.view.workspace.id, &after, limits::PAGE_ROWS_MAX).await?;
            let is_last = page.len() < limits::PAGE_ROWS_MAX;
            after = page.last().map(|variable| variable.name.key()).unwrap_or_default();
            for variable in page.into_iter().filter(|variable| access.sees_folder(&variable.folder)) {
                let overview = self.variable_overview(access, variable).await?;
                exported.push(ManifestVariable {
                    name: overview.name,
                    description: overview.description,
                    folder: overview.folder,
                    environments: overview.values.into_iter().map(|(environment, _)| environment).collect(),
                });
            }
            if is_last {
                return Ok(exported);
            }
        }
    }

    async fn export_automations(&self, access: &Access, manifest: &mut Manifest) -> Result<(), Stop> {
        let Some(environment) = access.view.environments.iter().find(|e| !e.protected) else {
            return Ok(());
        };
        if !access.rights_in(environment.id).has(Right::SecretList) {
            return Ok(());
        }
        let workspace = access.view.workspace.id;
        let mut after = String::new();
        loop {
            let page = self.0.store.automations(workspace, &after, limits::PAGE_ROWS_MAX).await?;
            let is_last = page.len() < limits::PAGE_ROWS_MAX;
            after = page.last().map(|automation| automation.name.key()).unwrap_or_default();
            for automation in page {
                let published = self.0.store.published(workspace, automation.id).await?;
                let here = published.into_iter().find(|published| published.environment == environment.id);
                if let Some(here) = here {
                    manifest.add(&here.definition)?;
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Makes what a manifest names and is not there, without values, publishes automations that have all they need, and says
    /// what is missing. With `dry_run` it only says. `names` are other names for secrets and variables, the manifest's
    /// first: what is named so is looked for, and made, under the new name.
    ///
    /// # Errors
    /// `forbidden` for what the caller may not make; `validation_failed`. What was made before stays.
    pub async fn import_manifest(
        &self,
        caller: &Caller,
        mut manifest: Manifest,
        names: &[(SecretName, SecretName)],
        dry_run: bool,
    ) -> Result<ImportReport, Problem> {
        let access = self.access(caller).await?;
        let old = |names: Vec<&SecretName>| names.into_iter().cloned().collect::<Vec<_>>();
        let old_secrets = old(manifest.secrets.iter().map(|wanted| &wanted.secret.name).collect());
        let old_variables = old(manifest.variables.iter().map(|wanted| &wanted.name).collect());
        mapping::Names::new(names, &manifest)?.apply(&mut manifest)?;
        let manifest = &wanting_values(&access, manifest);
        let mut report = ImportReport::default();
        self.begin_import(&access, dry_run).await.map_err(settled)?;
        for wanted in &manifest.secrets {
            let name = &wanted.secret.name;
            let mut warnings = Vec::new();
            let (what, has) = match self.describe_secret(caller, name).await {
                Ok(found) => {
                    if !wanted.secret.destinations.is_within(&found.secret.destinations) {
                        warnings.push(format!("`{name}` may not go everywhere that the document says"));
                    }
                    let is_alike = found.secret.kind == wanted.secret.kind
                        && found.secret.visibility == wanted.secret.visibility;
                    let has = found.values.into_iter().map(|value| value.environment).collect();
                    (if is_alike { Imported::Exists } else { Imported::Differs }, has)
                }
                Err(problem) if problem.code == tacit_model::Code::NotFound => {
                    let what = if dry_run {
                        self.would_make_secret(&access, &wanted.secret).await.map_err(settled)?
                    } else {
                        self.made(self.create_secret(caller, &wanted.secret, false).await.map(drop))?
                    };
                    (what, Vec::new())
                }
                Err(problem) => return Err(problem),
            };
            let item =
                item(&access, name, what, &wanted.environments, &has, &mut report.unknown_environments);
            report.secrets.push(ImportedItem { warnings, ..item });
        }
        for wanted in &manifest.variables {
            let (what, has) = match self.describe_variable(caller, &wanted.name).await {
                Ok(found) => (Imported::Exists, found.values.into_iter().map(|(name, _)| name).collect()),
                Err(problem) if problem.code == tacit_model::Code::NotFound => {
                    let patch = VariablePatch {
                        description: Some(wanted.description.clone()),
                        folder: Some(wanted.folder.clone()),
                    };
                    let what = if dry_run {
                        self.would_make_variable(&access, wanted).await.map_err(settled)?
                    } else {
                        self.made(self.create_variable(caller, &wanted.name, &patch, &[]).await.map(drop))?
                    };
                    (what, Vec::new())
                }
                Err(problem) => return Err(problem),
            };
            let item = item(
                &access,
                &wanted.name,
                what,
                &wanted.environments,
                &has,
                &mut report.unknown_environments,
            );
            report.variables.push(item);
        }
        for (item, old) in report.secrets.iter_mut().zip(&old_secrets) {
            item.from = Some(old.clone()).filter(|old| *old != item.name);
        }
        for (item, old) in report.variables.iter_mut().zip(&old_variables) {
            item.from = Some(old.clone()).filter(|old| *old != item.name);
        }
        for automation in &manifest.automations {
            let item = self.import_automation(caller, manifest, automation, dry_run).await?;
            report.automations.push(item);
        }
        Ok(report)
    }

    /// What would become of a secret that is not there, as far as the caller is told. Whoever may not make it is refused, as by
    /// the import itself: else a preview would tell anybody which names are taken by what they may not know of.
    async fn would_make_secret(&self, access: &Access, new: &NewSecret) -> Result<Imported, Stop> {
        let object = Object::new(ObjectKind::Secret, [0; 16], new.name.as_str());
        self.check_new(access, new, &object).await?;
        self.would_make(access, &new.name).await
    }

    /// The same for a variable.
    async fn would_make_variable(&self, access: &Access, new: &ManifestVariable) -> Result<Imported, Stop> {
        self.require_variable_write(access, &new.name, &Scope::folder(&new.folder)).await?;
        self.would_make(access, &new.name).await
    }

    async fn would_make(&self, access: &Access, name: &SecretName) -> Result<Imported, Stop> {
        let is_taken = self.name_is_taken(access, name).await?;
        Ok(if is_taken { Imported::Differs } else { Imported::Created })
    }

    fn made(&self, made: Result<(), Problem>) -> Result<Imported, Problem> {
        match made {
            Ok(()) => Ok(Imported::Created),
            // A variable where a secret is wanted, or the other way round.
            Err(problem) if problem.code == tacit_model::Code::NameTaken => Ok(Imported::Differs),
            Err(problem) => Err(problem),
        }
    }

    async fn import_automation(
        &self,
        caller: &Caller,
        manifest: &Manifest,
        automation: &Automation,
        dry_run: bool,
    ) -> Result<ImportedItem, Problem> {
        let (secrets, variables) = references(automation)?;
        let (mut missing, mut awaits) = (Vec::new(), false);
        for name in secrets {
            let parsed: Option<SecretName> = name.parse().ok();
            let comes = parsed.as_ref().is_some_and(|parsed| {
                dry_run && manifest.secrets.iter().any(|wanted| wanted.secret.name.key() == parsed.key())
            });
            let is_there = match &parsed {
                Some(parsed) => self.describe_secret(caller, parsed).await.is_ok(),
                None => false,
            };
            awaits |= comes && !is_there;
            if !comes && !is_there {
                missing.push(format!("secret:{name}"));
            }
        }
        for name in variables {
            let parsed: Option<SecretName> = name.parse().ok();
            let comes = parsed.as_ref().is_some_and(|parsed| {
                dry_run && manifest.variables.iter().any(|wanted| wanted.name.key() == parsed.key())
            });
            let is_there = match &parsed {
                Some(parsed) => self.describe_variable(caller, parsed).await.is_ok(),
                None => false,
            };
            awaits |= comes && !is_there;
            if !comes && !is_there {
                missing.push(format!("variable:{name}"));
            }
        }
        let what = if missing.is_empty() { Imported::Published } else { Imported::Skipped };
        let mut warnings = Vec::new();
        let before = self.show_automation(caller, &automation.name, None).await.ok();
        let text = serde_json::to_string(automation).map_err(Problem::internal)?;
        // A preview is refused as the import would be; where an automation names what only comes with the import, that is not
        // known yet.
        if what == Imported::Published && !awaits {
            warnings = self.publish_automation(caller, automation, dry_run).await?.warnings;
        }
        if what == Imported::Published && before.is_some_and(|(before, _)| before != text) {
            let name = &automation.name;
            warnings.push(format!("another definition was published as `{name}`, and this one replaces it"));
        }
        Ok(ImportedItem {
            name: automation.name.clone(),
            from: None,
            what,
            missing_in: Vec::new(),
            missing,
            warnings,
        })
    }

    /// Whether the caller may import anything at all, and an event unless it is only a preview.
    async fn begin_import(&self, access: &Access, dry_run: bool) -> Result<(), Stop> {
        let object = workspace_object(access);
        let may = [Right::SecretWrite, Right::VariableWrite, Right::AutomationWrite];
        let rights = access.principal.rights_somewhere(access.now);
        if !may.iter().any(|right| rights.has(*right))
            && let Err(problem) = require(rights, Right::SecretWrite)
        {
            return Err(self.refuse(access, Verb::ConfigurationImport, object, problem).await);
        }
        if dry_run {
            return Ok(());
        }
        let event =
            self.event(access, Verb::ConfigurationImport, object, Outcome::Succeeded, Detail::default());
        self.0.store.write(Change::new(access.view.workspace.id).record(&event)).await?;
        Ok(())
    }
}

/// What is said where nothing is tried again.
fn settled(stop: Stop) -> Problem {
    match stop {
        Stop::Problem(problem) => problem,
        Stop::Stale => crate::busy(),
    }
}

fn workspace_object(access: &Access) -> Object {
    let workspace = &access.view.workspace;
    Object::new(ObjectKind::Configuration, *workspace.id.as_bytes(), workspace.name.as_str())
}

fn item(
    access: &Access,
    name: &SecretName,
    what: Imported,
    wanted: &[EnvironmentName],
    has: &[EnvironmentName],
    unknown: &mut Vec<String>,
) -> ImportedItem {
    let (mut missing_in, mut missing) = (Vec::new(), Vec::new());
    for environment in wanted {
        if !access.view.environments.iter().any(|known| known.name == *environment) {
            if !unknown.iter().any(|name| name == environment.as_str()) {
                unknown.push(environment.to_string());
            }
            missing.push(format!("environment:{environment}"));
        } else if !has.contains(environment) {
            missing_in.push(environment.clone());
        }
    }
    ImportedItem { name: name.clone(), from: None, what, missing_in, missing, warnings: Vec::new() }
}

/// What an imported automation names needs a value where the automation is published, whatever the manifest says.
fn wanting_values(access: &Access, mut manifest: Manifest) -> Manifest {
    let Some(here) = access.view.environments.iter().find(|environment| !environment.protected) else {
        return manifest;
    };
    let mut needed = BTreeSet::new();
    for automation in &manifest.automations {
        if let Ok((secrets, variables)) = references(automation) {
            let names = secrets.iter().chain(&variables);
            needed.extend(names.filter_map(|name| Some(name.parse::<SecretName>().ok()?.key())));
        }
    }
    let want = |name: &SecretName, environments: &mut Vec<EnvironmentName>| {
        if needed.contains(&name.key()) && !environments.contains(&here.name) {
            environments.push(here.name.clone());
        }
    };
    for wanted in &mut manifest.secrets {
        want(&wanted.secret.name, &mut wanted.environments);
    }
    for wanted in &mut manifest.variables {
        want(&wanted.name, &mut wanted.environments);
    }
    manifest
}
