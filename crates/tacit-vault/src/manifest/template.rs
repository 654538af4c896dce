//! One automation to take elsewhere: its definition, and what each thing that it names has to be. No value is in it, not even
//! a variable's, and nothing of who has what where.

use tacit_audit::{Detail, Outcome, Verb};
use tacit_model::{Automation, EnvironmentName, Problem, SecretName};
use tacit_store::Change;

use super::{Manifest, ManifestSecret, ManifestVariable};
use crate::{
    Caller, NewSecret, Stop, Vault,
    access::Access,
    automations::{object, references},
    settle,
    variables::root_folder,
};

impl Vault {
    /// An automation's definition as a manifest, as it is published in an environment or in the first unprotected one.
    ///
    /// # Errors
    /// `not_found`, `not_deployed`; `audit_unavailable`.
    pub async fn automation_template(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: Option<&EnvironmentName>,
    ) -> Result<Manifest, Problem> {
        settle!(self, caller, |access| self.template_once(&access, name, environment))
    }

    async fn template_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: Option<&EnvironmentName>,
    ) -> Result<Manifest, Stop> {
        let (automation, published) = self.published_automation(access, name, environment).await?;
        let definition: Automation =
            serde_json::from_str(&published.definition).map_err(Problem::internal)?;
        let what = object(automation.id, &automation.name);
        let event =
            self.event(access, Verb::ConfigurationExport, what, Outcome::Succeeded, Detail::default());
        self.0.store.write(Change::new(access.view.workspace.id).record(&event)).await?;
        let (secrets, variables) = references(&definition)?;
        let mut manifest = Manifest::default();
        for name in secrets {
            let Ok(name) = name.parse::<SecretName>() else { continue };
            let found = self.snapshot_or_deleted(&access.view, &name.key()).await?;
            // What is gone, or not the caller's to know of, is only a name in the definition.
            let found = found.filter(|found| {
                found.secret.deleted_at.is_none()
                    && access.sees(&found.secret)
                    && !manifest.secrets.iter().any(|other| other.secret.name == found.secret.name)
            });
            let Some(found) = found else { continue };
            let secret = NewSecret {
                name: found.secret.name.clone(),
                kind: found.secret.kind,
                visibility: found.secret.visibility,
                description: found.secret.description.clone(),
                folder: root_folder(),
                destinations: found.secret.destinations.clone(),
                values: Vec::new(),
                rotate_every_days: None,
                expires_at: None,
                reason: None,
            };
            manifest.secrets.push(ManifestSecret { secret, environments: Vec::new() });
        }
        for name in variables {
            let Ok(name) = name.parse::<SecretName>() else { continue };
            let found = self.0.store.variable(access.view.workspace.id, &name.key()).await?;
            let Some(found) = found.filter(|found| access.sees_folder(&found.folder)) else { continue };
            manifest.variables.push(ManifestVariable {
                name: found.name,
                description: found.description,
                folder: root_folder(),
                environments: Vec::new(),
            });
        }
        manifest.add(&published.definition)?;
        Ok(manifest)
    }
}
