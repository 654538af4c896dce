//! Triggers: where they fire, and on whose authority. Firing them is `firing`'s.
//!
//! A trigger fires on the authority of whoever enabled it, looked up anew each time and at each step: who may not run the
//! automation any more, or is no member any more, has no trigger that fires. Of what they may do a trigger has only what it
//! needs. Publishing a definition anew keeps its triggers enabled as far as it still has them.

mod firing;

use tacit_audit::{ActorKind, Detail, Outcome, Verb};
use tacit_crypto::token::{self, TokenHash, TokenKind, TokenText};
use tacit_model::{
    Automation, AutomationId, Code, EnvironmentId, EnvironmentName, Problem, Right, SecretName,
    ServiceAccountId, Timestamp, Trigger, UserId, WorkspaceId, trigger::Schedule,
};
use tacit_store::{Statement, automations::Published, principals::TokenOwner, triggers as rows};

use crate::{
    Caller, Precondition, Stop, Vault,
    access::Access,
    authorize::require,
    automations::{not_deployed, object},
    settle, settle_change,
};

pub use rows::Scheduled;

/// An automation's triggers in an environment.
#[derive(Clone, Debug)]
pub struct TriggersInfo {
    /// The environment.
    pub environment: EnvironmentName,
    /// The schedules of what is published there, and, where they are enabled, when each fires next and fired last.
    pub schedules: Vec<ScheduleInfo>,
    /// Whether what is published there has a webhook.
    pub webhook: bool,
    /// Whether the webhook has an address that is in force.
    pub has_address: bool,
    /// On whose authority they are enabled; `None` where they are not.
    pub enabled_by: Option<String>,
    /// Whether they can fire: they are enabled, and that authority still holds.
    pub fires: bool,
    /// Since when.
    pub enabled_at: Option<Timestamp>,
}

/// A schedule and its times.
#[derive(Clone, Debug)]
pub struct ScheduleInfo {
    /// As it is written.
    pub schedule: Schedule,
    /// When it fires next.
    pub next_at: Option<Timestamp>,
    /// When it fired last.
    pub last_at: Option<Timestamp>,
}

/// What enabling yields.
pub struct TriggersEnabled {
    /// The triggers as they are now.
    pub info: TriggersInfo,
    /// The webhook's token, seen only now.
    pub hook: Option<TokenText>,
}

/// The schedules of a definition, each with its place among the triggers.
fn schedules(definition: &Automation) -> Vec<(i64, &Schedule)> {
    let numbered = definition.triggers.iter().zip(0_i64..);
    numbered
        .filter_map(|(trigger, number)| match trigger {
            Trigger::Schedule(schedule) => Some((number, schedule)),
            Trigger::Webhook(_) => None,
        })
        .collect()
}

pub(crate) fn has_webhook(definition: &Automation) -> bool {
    definition.triggers.iter().any(|trigger| matches!(trigger, Trigger::Webhook(_)))
}

/// What keeps the triggers of an automation in step with what is published anew in an environment, if they are enabled there.
pub(crate) fn republish_triggers(
    workspace: WorkspaceId,
    automation: AutomationId,
    environment: EnvironmentId,
    definition: &Automation,
) -> Vec<Statement> {
    let mut statements = rows::reschedule(workspace, automation, environment, &schedules(definition));
    if !has_webhook(definition) {
        statements.push(rows::drop_hook(workspace, automation, environment));
    }
    statements
}

/// What enables the triggers of a definition in an environment, on the authority of whoever asks; and its webhook's token, if
/// it has none that it keeps. The caller of this has checked [`may_enable`].
///
/// # Errors
/// `forbidden` for an agent.
pub(crate) fn enable_triggers(
    access: &Access,
    automation: AutomationId,
    environment: EnvironmentId,
    definition: &Automation,
    kept: Option<[u8; 32]>,
) -> Result<(Vec<Statement>, Option<TokenText>), Problem> {
    let actor = &access.principal.actor;
    let owner = match actor.kind {
        ActorKind::User => TokenOwner::User(UserId::from_bytes(actor.id)),
        ActorKind::ServiceAccount => {
            TokenOwner::ServiceAccount(access.view.workspace.id, ServiceAccountId::from_bytes(actor.id))
        }
        // Something that ends with its session answers for nothing that goes on.
        _ => return Err(Problem::new(Code::Forbidden, "only people and service accounts enable triggers")),
    };
    let (text, hook) = match (has_webhook(definition), kept) {
        (true, None) => {
            let (text, hash) = token::generate(TokenKind::Hook);
            (Some(text), Some(*hash.as_bytes()))
        }
        (true, kept) => (None, kept),
        (false, _) => (None, None),
    };
    let enabled = rows::Enabled {
        automation,
        environment,
        credential: tacit_crypto::random_bytes(),
        owner,
        enabled_by: actor.to_string(),
        hook,
        created_at: access.now,
    };
    Ok((rows::enable(access.view.workspace.id, &enabled, &schedules(definition)), text))
}

/// Whether the caller may let triggers fire in an environment: that is a deployment, and runs on their authority.
pub(crate) fn may_enable(access: &Access, environment: EnvironmentId) -> Result<(), Problem> {
    let rights = access.rights_in(environment);
    require(rights, Right::Deploy)?;
    require(rights, Right::AutomationRun)
}

impl Vault {
    /// An automation's triggers, wherever it is published.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_triggers(
        &self,
        caller: &Caller,
        name: &SecretName,
    ) -> Result<Vec<TriggersInfo>, Problem> {
        settle!(self, caller, |access| async {
            let automation = self.automation(&access, name).await?;
            let published = self.0.store.published(access.view.workspace.id, automation.id).await?;
            let mut found = Vec::new();
            for published in published {
                if access.rights_in(published.environment).has(Right::SecretList) {
                    found.extend(self.triggers_info(&access, automation.id, &published).await?);
                }
            }
            found.sort_by(|one, other| one.environment.as_str().cmp(other.environment.as_str()));
            Ok(found)
        })
    }

    async fn triggers_info(
        &self,
        access: &Access,
        automation: AutomationId,
        published: &Published,
    ) -> Result<Option<TriggersInfo>, Stop> {
        let Some(environment) = access.environment_named(published.environment) else { return Ok(None) };
        let workspace = access.view.workspace.id;
        let definition: Automation =
            serde_json::from_str(&published.definition).map_err(Problem::internal)?;
        let enabled = self.0.store.triggers(workspace, automation).await?;
        let enabled = enabled.into_iter().find(|enabled| enabled.environment == environment.id);
        let rows = self.0.store.schedules(workspace, automation).await?;
        let schedules = schedules(&definition).into_iter().map(|(number, schedule)| {
            let row = rows.iter().find(|row| row.environment == environment.id && row.number == number);
            ScheduleInfo {
                schedule: schedule.clone(),
                next_at: row.and_then(|row| row.next_at).filter(|next| *next != rows::NEVER),
                last_at: row.and_then(|row| row.last_at),
            }
        });
        let fires = match &enabled {
            Some(enabled) => self.may_fire(access, enabled).await,
            None => false,
        };
        Ok(Some(TriggersInfo {
            environment: environment.name.clone(),
            schedules: schedules.collect(),
            webhook: has_webhook(&definition),
            has_address: enabled.as_ref().is_some_and(|enabled| enabled.hook.is_some()),
            fires,
            enabled_at: enabled.as_ref().map(|enabled| enabled.created_at),
            enabled_by: enabled.map(|enabled| enabled.enabled_by),
        }))
    }

    /// Whether the authority on which triggers were enabled still holds.
    pub(crate) async fn may_fire(&self, access: &Access, enabled: &rows::Enabled) -> bool {
        let caller = Caller {
            workspace: access.view.workspace.name.clone(),
            token: TokenHash::from_bytes(enabled.credential),
            now: access.now,
            request_id: access.request_id,
            precondition: Precondition::NONE,
        };
        let found = self.access(&caller).await;
        found.is_ok_and(|of| of.rights_in(enabled.environment).has(Right::AutomationRun))
    }

    /// Lets an automation's triggers fire in an environment from now on, on the authority of the caller. A webhook gets a
    /// token, unless it has one: whoever takes over does not cut off those who call it.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `not_deployed`; `validation_failed` if it has no triggers there.
    pub async fn enable_triggers(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<TriggersEnabled, Problem> {
        settle_change!(self, caller, |access| self.enable_once(&access, name, environment))
    }

    async fn enable_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<TriggersEnabled, Stop> {
        let (automation, published) =
            self.triggers_of(access, name, environment, Verb::TriggerEnable).await?;
        let definition: Automation =
            serde_json::from_str(&published.definition).map_err(Problem::internal)?;
        if definition.triggers.is_empty() {
            let message = "has none: a definition with `triggers` has to be published there";
            return Err(Problem::invalid("triggers", message).into());
        }
        let enabled = self.0.store.triggers(access.view.workspace.id, automation).await?;
        let enabled = enabled.into_iter().find(|enabled| enabled.environment == published.environment);
        let kept = enabled.and_then(|enabled| enabled.hook);
        let (statements, hook) =
            enable_triggers(access, automation, published.environment, &definition, kept)
                .map_err(Stop::from)?;
        self.write_triggers(access, automation, name, environment, Verb::TriggerEnable, statements).await?;
        let info = self.triggers_info(access, automation, &published).await?;
        let info = info.ok_or_else(|| Problem::not_found("environment"))?;
        Ok(TriggersEnabled { info, hook })
    }

    /// Lets an automation's triggers not fire any more in an environment. The webhook's token is worthless from then on.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `not_deployed`.
    pub async fn disable_triggers(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<TriggersInfo, Problem> {
        settle_change!(self, caller, |access| async {
            let (automation, published) =
                self.triggers_of(&access, name, environment, Verb::TriggerDisable).await?;
            let statements = rows::disable(access.view.workspace.id, automation, published.environment);
            let verb = Verb::TriggerDisable;
            self.write_triggers(&access, automation, name, environment, verb, statements.into()).await?;
            let info = self.triggers_info(&access, automation, &published).await?;
            info.ok_or_else(|| Problem::not_found("environment").into())
        })
    }

    /// Gives a webhook that is enabled another token.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `not_deployed`; `validation_failed` if no webhook is enabled there.
    pub async fn rotate_hook(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<TokenText, Problem> {
        settle_change!(self, caller, |access| async {
            let (automation, published) =
                self.triggers_of(&access, name, environment, Verb::TriggerRotate).await?;
            let workspace = access.view.workspace.id;
            let enabled = self.0.store.triggers(workspace, automation).await?;
            let is_enabled = |enabled: &rows::Enabled| {
                enabled.environment == published.environment && enabled.hook.is_some()
            };
            if !enabled.iter().any(is_enabled) {
                return Err(
                    Problem::invalid("webhook", "is not enabled there: enable the triggers first").into()
                );
            }
            let (text, hash) = token::generate(TokenKind::Hook);
            let statement = rows::set_hook(workspace, automation, published.environment, *hash.as_bytes());
            let verb = Verb::TriggerRotate;
            self.write_triggers(&access, automation, name, environment, verb, vec![statement]).await?;
            Ok(text)
        })
    }

    /// What is published, for somebody who may enable its triggers. A refusal is on the record.
    async fn triggers_of(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
        verb: Verb,
    ) -> Result<(AutomationId, Published), Stop> {
        let automation = self.automation(access, name).await?;
        let environment = access.environment(environment)?;
        if let Err(problem) = may_enable(access, environment.id) {
            let object = object(automation.id, &automation.name);
            let mut event = self.event(access, verb, object, Outcome::Allowed, Detail::default());
            event.environment = Some(environment.name.clone());
            return Err(self.refuse_event(access, event, problem).await);
        }
        let published = self.0.store.published(access.view.workspace.id, automation.id).await?;
        let published = published.into_iter().find(|published| published.environment == environment.id);
        Ok((automation.id, published.ok_or_else(|| not_deployed(name))?))
    }

    async fn write_triggers(
        &self,
        access: &Access,
        automation: AutomationId,
        name: &SecretName,
        environment: &EnvironmentName,
        verb: Verb,
        statements: Vec<Statement>,
    ) -> Result<(), Stop> {
        let object = object(automation, name);
        let mut event = self.event(access, verb, object, Outcome::Succeeded, Detail::default());
        event.environment = Some(environment.clone());
        // The authority of earlier runs goes with the row: whoever relied on it decides anew.
        self.0.store.write(self.change(access).bump().and_all(statements).record(&event)).await?;
        Ok(())
    }
}
