//! Firing triggers: calls of webhooks, and schedules that are due.

use serde_json::Value;
use tacit_audit::{Actor, ActorKind, Code as RecordedCode, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::token::TokenHash;
use tacit_model::{AutomationId, Code, EnvironmentId, Problem, SecretName, Timestamp, WorkspaceId};
use tacit_store::{Change, Statement, WriteError, triggers as rows};

use super::Scheduled;
use crate::{Caller, Fired, Node, Precondition, RunQueued, Stop, Vault, busy, runs::input_text};

impl Vault {
    /// Whether there is such a webhook; asked before anything of a call is read.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn check_hook(&self, hook: TokenHash) -> Result<(), Problem> {
        let found = self.0.store.trigger_of_hook(hook.as_bytes()).await.map_err(Problem::internal)?;
        found.map(drop).ok_or_else(|| Problem::not_found("webhook"))
    }

    /// A call of a webhook: starts the run that it is for. A token that is unknown, rotated away or disabled finds nothing.
    ///
    /// # Errors
    /// `not_found`, `rate_limited`, `payload_too_large`, and what starting a run refuses.
    pub async fn fire_hook(
        &self,
        hook: TokenHash,
        input: &Value,
        node: Node,
        (now, request_id): (Timestamp, [u8; 16]),
    ) -> Result<RunQueued, Problem> {
        let not_found = || Problem::not_found("webhook");
        let found = self.0.store.trigger_of_hook(hook.as_bytes()).await.map_err(Problem::internal)?;
        let (name, workspace, enabled) = found.ok_or_else(not_found)?;
        let credential = TokenHash::from_bytes(enabled.credential);
        let id = AutomationId::to_string(&enabled.automation);
        self.0.hook_calls.take(&format!("{id} {}", enabled.environment), now)?;
        let input = input_text(input)?;
        let caller =
            Caller { workspace: name, token: credential, now, request_id, precondition: Precondition::NONE };
        let firing = Firing { workspace, automation: enabled.automation, environment: enabled.environment };
        let fired = self.fire(&caller, firing, (&input, Fired::Webhook), node, None).await;
        // Whoever has an address is told nothing of the rights of those who gave it to them.
        fired.map_err(|problem| match problem.code {
            Code::Unauthenticated | Code::Forbidden | Code::NotFound | Code::NotDeployed => not_found(),
            _ => problem,
        })
    }

    /// Fires a schedule that is due and moves it on, both or neither; `None` if somebody else did. One that may not fire any
    /// more is moved on too, so that it is refused once each time and not for ever.
    ///
    /// # Errors
    /// What starting a run refuses; `audit_unavailable`.
    pub async fn fire_schedule(
        &self,
        schedule: &Scheduled,
        next_at: Option<Timestamp>,
        node: Node,
        now: Timestamp,
    ) -> Result<Option<RunQueued>, Problem> {
        let next_at = next_at.unwrap_or(rows::NEVER);
        let workspace = schedule.workspace;
        let enabled =
            self.0.store.triggers(workspace, schedule.automation).await.map_err(Problem::internal)?;
        let enabled = enabled.into_iter().find(|enabled| enabled.environment == schedule.environment);
        let name = self.0.store.workspace_name(workspace).await.map_err(Problem::internal)?;
        let (Some(enabled), Some(name)) = (enabled, name) else { return Ok(None) };
        let caller = Caller {
            workspace: name,
            token: TokenHash::from_bytes(enabled.credential),
            now,
            request_id: [0; 16],
            precondition: Precondition::NONE,
        };
        let firing = Firing { workspace, automation: schedule.automation, environment: schedule.environment };
        let input = Value::Null.to_string();
        let advanced = || rows::advance(schedule, next_at, Some(now));
        match self.fire(&caller, firing, (&input, Fired::Schedule), node, Some(&advanced)).await {
            Ok(queued) => Ok(Some(queued)),
            // Of several nodes one moves it on.
            Err(problem) if problem.code == Code::VersionConflict => Ok(None),
            // Nothing was decided: it is due still.
            Err(problem) if matches!(problem.code, Code::AuditUnavailable | Code::Internal) => Err(problem),
            Err(problem) => {
                self.plan_schedule(schedule, Some(next_at)).await?;
                Err(problem)
            }
        }
    }

    /// Says when a schedule fires next, without firing it. False if it is not as it was.
    ///
    /// # Errors
    /// `audit_unavailable`.
    pub async fn plan_schedule(
        &self,
        schedule: &Scheduled,
        next_at: Option<Timestamp>,
    ) -> Result<bool, Problem> {
        let statement = rows::advance(schedule, next_at.unwrap_or(rows::NEVER), None);
        match self.0.store.write(Change::new(schedule.workspace).and(statement)).await {
            Ok(_) => Ok(true),
            Err(WriteError::Conflict) => Ok(false),
            Err(error) => Err(Problem::audit_unavailable(error)),
        }
    }

    /// The schedules of all workspaces that are due or not worked out yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn due_schedules(&self, now: Timestamp, limit: usize) -> Result<Vec<Scheduled>, Problem> {
        self.0.store.due_schedules(now, limit).await.map_err(Problem::internal)
    }

    /// When the next schedule of any workspace is due.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn next_schedule_at(&self) -> Result<Option<Timestamp>, Problem> {
        self.0.store.next_schedule_at().await.map_err(Problem::internal)
    }

    async fn fire(
        &self,
        caller: &Caller,
        firing: Firing,
        (input, fired): (&str, Fired),
        node: Node,
        beside: Option<&(dyn Fn() -> Statement + Sync)>,
    ) -> Result<RunQueued, Problem> {
        let found = self.0.store.automation_by_id(firing.workspace, firing.automation).await;
        let automation = found.map_err(Problem::internal)?.ok_or_else(|| Problem::not_found("automation"))?;
        let mut last = busy();
        for _ in 0..crate::ATTEMPTS {
            let access = match self.access(caller).await {
                Ok(access) => access,
                Err(problem) => {
                    return Err(self.refuse_firing(&firing, &automation.name, caller, problem).await);
                }
            };
            let environment = access.environment_named(firing.environment).map(|found| found.name.clone());
            let environment = environment.ok_or_else(|| Problem::not_found("environment"))?;
            let input = (input, Some(fired));
            let row = automation.clone();
            match self
                .queue_run(&access, caller, row, &environment, input, node, beside.map(|make| make()))
                .await
            {
                Ok(queued) => return Ok(queued),
                Err(Stop::Problem(problem)) => return Err(problem),
                // Perhaps because somebody else moved the schedule on: then it is theirs.
                Err(Stop::Stale) if beside.is_some() => return Err(last),
                Err(Stop::Stale) => last = busy(),
            }
        }
        Err(last)
    }

    /// Whoever enabled it is nobody here any more: on the record, as what the automation tried for them.
    async fn refuse_firing(
        &self,
        firing: &Firing,
        name: &SecretName,
        caller: &Caller,
        problem: Problem,
    ) -> Problem {
        let object = Object::new(ObjectKind::Automation, *firing.automation.as_bytes(), name.as_str());
        let mut event = self.system_event(firing.workspace, caller.now, Verb::RunStart, object);
        event.actor = Actor::new(ActorKind::Automation, *firing.automation.as_bytes(), name.as_str());
        event.outcome = Outcome::Denied(RecordedCode::new(problem.code.as_str()));
        match self.0.store.write(Change::new(firing.workspace).record(&event)).await {
            Ok(_) => problem,
            Err(error) => Problem::audit_unavailable(error),
        }
    }
}

/// Which automation fires where.
#[derive(Clone, Copy)]
struct Firing {
    workspace: WorkspaceId,
    automation: AutomationId,
    environment: EnvironmentId,
}
