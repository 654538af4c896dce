//! What a secret is for: the fields that name it, and who used it where.

use tacit_model::{EnvironmentName, Problem, Right, SecretName, Timestamp};
use tacit_store::references::ObservedUse;

use crate::{Caller, Stop, Vault, access::Access, settle};

/// What depends on a secret, and how it was used.
#[derive(Clone, Debug, Default)]
pub struct Usages {
    /// Published automations that name it, by name.
    pub automations: Vec<UsingAutomation>,
    /// Uses by whom and where, the latest first.
    pub observed: Vec<ObservedUse>,
}

/// A published automation that names a secret.
#[derive(Clone, Debug)]
pub struct UsingAutomation {
    /// Its name.
    pub name: SecretName,
    /// Where it is published.
    pub environment: EnvironmentName,
    /// The steps, and the places in them. Empty of what was published before they were kept.
    pub fields: Vec<(String, String)>,
}

impl Vault {
    /// Who depends on a secret, as far as the caller may know of them, and its uses: all of them for those who may read the
    /// record; for others their own, and those of automations in environments in which they may list everything.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn secret_usages(&self, caller: &Caller, name: &SecretName) -> Result<Usages, Problem> {
        settle!(self, caller, |access| self.secret_usages_once(&access, name))
    }

    async fn secret_usages_once(&self, access: &Access, name: &SecretName) -> Result<Usages, Stop> {
        let snapshot = self.snapshot(access, name).await?;
        let (workspace, secret) = (access.view.workspace.id, snapshot.secret.id);
        let mut automations: Vec<UsingAutomation> = Vec::new();
        for reference in self.0.store.references(workspace, secret).await? {
            let Some(environment) = access.environment_named(reference.environment) else { continue };
            if !access.rights_in(environment.id).has(Right::SecretList) {
                continue;
            }
            let fields = reference.step.zip(reference.field);
            match automations.last_mut() {
                Some(last) if last.name == reference.automation && last.environment == environment.name => {
                    last.fields.extend(fields);
                }
                _ => automations.push(UsingAutomation {
                    name: reference.automation,
                    environment: environment.name.clone(),
                    fields: fields.into_iter().collect(),
                }),
            }
        }
        let mut observed = self.0.store.observed_uses(workspace, secret).await?;
        observed.retain(|seen| may_know(access, seen));
        Ok(Usages { automations, observed })
    }
}

fn may_know(access: &Access, seen: &ObservedUse) -> bool {
    if access.principal.has(Right::AuditRead) || seen.actor == access.principal.actor.to_string() {
        return true;
    }
    let environment = access.view.environments.iter().find(|e| e.name.as_str() == seen.environment);
    seen.actor.starts_with("automation:")
        && environment.is_some_and(|environment| access.rights_in(environment.id).has(Right::SecretList))
}

/// Uses that were last seen longer ago than this are on the record alone.
pub(crate) fn forgotten_before(now: Timestamp) -> Timestamp {
    now.plus_secs(-tacit_model::limits::OBSERVED_KEEP_DAYS * 86_400)
}
