//! Where automations' triggers fire, on whose authority, and when schedules are due.

use tacit_model::{
    AutomationId, EnvironmentId, ServiceAccountId, Timestamp, UserId, WorkspaceId, WorkspaceName,
    trigger::Schedule,
};

use crate::{
    ReadError, Statement, Store,
    principals::TokenOwner,
    value::{Row, args},
};

/// An automation's triggers, enabled in an environment.
#[derive(Clone, Debug)]
pub struct Enabled {
    /// The automation.
    pub automation: AutomationId,
    /// The environment.
    pub environment: EnvironmentId,
    /// The hash of a token that nobody has: what its runs act with.
    pub credential: [u8; 32],
    /// On whose authority they fire.
    pub owner: TokenOwner,
    /// As the record names them.
    pub enabled_by: String,
    /// SHA-256 of the webhook's token.
    pub hook: Option<[u8; 32]>,
    /// Since when.
    pub created_at: Timestamp,
}

/// A schedule that is enabled.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The automation.
    pub automation: AutomationId,
    /// The environment.
    pub environment: EnvironmentId,
    /// Its place among the definition's triggers.
    pub number: i64,
    /// Its times.
    pub cron: String,
    /// Whose clock.
    pub timezone: String,
    /// When it fires next; `None` where that is not worked out yet.
    pub next_at: Option<Timestamp>,
    /// When it fired last.
    pub last_at: Option<Timestamp>,
}

/// A time that never comes: of a schedule that has no next time.
pub const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

fn enabled(workspace: WorkspaceId, mut row: Row) -> Result<Enabled, ReadError> {
    let (automation, environment, credential) = (row.take()?, row.take()?, row.take()?);
    let (user, account): (Option<UserId>, Option<ServiceAccountId>) = (row.take()?, row.take()?);
    let owner = match (user, account) {
        (Some(user), _) => TokenOwner::User(user),
        (None, Some(account)) => TokenOwner::ServiceAccount(workspace, account),
        (None, None) => return Err(ReadError("triggers were enabled by nobody".to_owned())),
    };
    Ok(Enabled {
        automation,
        environment,
        credential,
        owner,
        enabled_by: row.take()?,
        hook: row.take()?,
        created_at: row.take()?,
    })
}

fn scheduled(mut row: Row) -> Result<Scheduled, ReadError> {
    Ok(Scheduled {
        workspace: row.take()?,
        automation: row.take()?,
        environment: row.take()?,
        number: row.take()?,
        cron: row.take()?,
        timezone: row.take()?,
        next_at: row.take()?,
        last_at: row.take()?,
    })
}

impl Store {
    /// Where an automation's triggers are enabled.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn triggers(
        &self,
        workspace: WorkspaceId,
        automation: AutomationId,
    ) -> Result<Vec<Enabled>, ReadError> {
        const SQL: &str = "SELECT automation, environment, credential, user_id, service_account, enabled_by, hook, created_at
             FROM triggers WHERE workspace = ?1 AND automation = ?2";
        let rows = self.rows(SQL, &args![workspace, automation]).await?;
        rows.into_iter().map(|row| enabled(workspace, row)).collect()
    }

    /// On whose authority a trigger's credential acts.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn trigger_of_credential(
        &self,
        credential: &[u8; 32],
    ) -> Result<Option<(WorkspaceId, Enabled)>, ReadError> {
        const SQL: &str = "SELECT workspace, automation, environment, credential, user_id, service_account, enabled_by, hook, created_at
             FROM triggers WHERE credential = ?1";
        let found = self.row(SQL, &args![*credential]).await?;
        found
            .map(|mut row| {
                let workspace = row.take()?;
                Ok((workspace, enabled(workspace, row)?))
            })
            .transpose()
    }

    /// The triggers to which a webhook's token belongs, and in which workspace they are.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn trigger_of_hook(
        &self,
        hook: &[u8; 32],
    ) -> Result<Option<(WorkspaceName, WorkspaceId, Enabled)>, ReadError> {
        const SQL: &str = "SELECT w.name, w.id, t.automation, t.environment, t.credential, t.user_id, t.service_account, t.enabled_by, t.hook, t.created_at
             FROM triggers t JOIN workspaces w ON w.id = t.workspace WHERE t.hook = ?1";
        let found = self.row(SQL, &args![*hook]).await?;
        found
            .map(|mut row| {
                let (name, workspace) = (row.parse()?, row.take()?);
                Ok((name, workspace, enabled(workspace, row)?))
            })
            .transpose()
    }

    /// The schedules of an automation where its triggers are enabled.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn schedules(
        &self,
        workspace: WorkspaceId,
        automation: AutomationId,
    ) -> Result<Vec<Scheduled>, ReadError> {
        const SQL: &str = "SELECT workspace, automation, environment, number, cron, timezone, next_at, last_at FROM schedules
             WHERE workspace = ?1 AND automation = ?2 ORDER BY environment, number";
        self.rows(SQL, &args![workspace, automation]).await?.into_iter().map(scheduled).collect()
    }

    /// Schedules of all workspaces whose time has come, the oldest first, and those whose time is not worked out yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn due_schedules(&self, now: Timestamp, limit: usize) -> Result<Vec<Scheduled>, ReadError> {
        const SQL: &str = "SELECT workspace, automation, environment, number, cron, timezone, next_at, last_at FROM schedules
             WHERE next_at IS NULL OR next_at <= ?1 ORDER BY next_at LIMIT ?2";
        self.rows(SQL, &args![now, limit as i64]).await?.into_iter().map(scheduled).collect()
    }

    /// When the next schedule of any workspace is due.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn next_schedule_at(&self) -> Result<Option<Timestamp>, ReadError> {
        const SQL: &str = "SELECT min(next_at) FROM schedules WHERE next_at IS NOT NULL";
        Ok(self.row(SQL, &[]).await?.map(|mut row| row.take()).transpose()?.flatten())
    }
}

/// Lets an automation's triggers fire in an environment, on another authority than before if they did already.
pub fn enable(workspace: WorkspaceId, enabled: &Enabled, schedules: &[(i64, &Schedule)]) -> Vec<Statement> {
    let (user, account) = match enabled.owner {
        TokenOwner::User(user) => (Some(user), None),
        TokenOwner::ServiceAccount(_, account) => (None, Some(account)),
    };
    let mut statements = vec![Statement::new(
        "INSERT INTO triggers (workspace, automation, environment, credential, user_id, service_account, enabled_by, hook, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (workspace, automation, environment) DO UPDATE SET credential = excluded.credential, user_id = excluded.user_id,
           service_account = excluded.service_account, enabled_by = excluded.enabled_by, hook = excluded.hook, created_at = excluded.created_at",
        args![
            workspace,
            enabled.automation,
            enabled.environment,
            enabled.credential,
            user,
            account,
            enabled.enabled_by.as_str(),
            enabled.hook,
            enabled.created_at
        ],
    )];
    statements.extend(reschedule(workspace, enabled.automation, enabled.environment, schedules));
    statements
}

/// Replaces the schedules of an automation in an environment, if its triggers are enabled there. One that stays as it was keeps
/// its times: publishing anew at the moment at which it is due must not make it miss that.
pub fn reschedule(
    workspace: WorkspaceId,
    automation: AutomationId,
    environment: EnvironmentId,
    schedules: &[(i64, &Schedule)],
) -> Vec<Statement> {
    let upserts = schedules.iter().map(|(number, schedule)| {
        Statement::new(
            "INSERT INTO schedules (workspace, automation, environment, number, cron, timezone, next_at, last_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, NULL, NULL WHERE EXISTS
             (SELECT 1 FROM triggers WHERE workspace = ?1 AND automation = ?2 AND environment = ?3)
             ON CONFLICT (workspace, automation, environment, number) DO UPDATE SET
               next_at = CASE WHEN schedules.cron = excluded.cron AND schedules.timezone = excluded.timezone THEN schedules.next_at END,
               cron = excluded.cron, timezone = excluded.timezone",
            args![
                workspace,
                automation,
                environment,
                *number,
                schedule.cron.as_str(),
                schedule.timezone.as_str()
            ],
        )
    });
    let mut statements: Vec<Statement> = upserts.collect();
    let numbers: Vec<i64> = schedules.iter().map(|(number, _)| *number).collect();
    // Places of which no schedule is any more: before the first, between two, after the last.
    let mut from = 0;
    for to in numbers.into_iter().chain([i64::MAX]) {
        if from < to {
            statements.push(Statement::new(
                "DELETE FROM schedules WHERE workspace = ?1 AND automation = ?2 AND environment = ?3 AND number >= ?4 AND number < ?5",
                args![workspace, automation, environment, from, to],
            ));
        }
        from = to.saturating_add(1);
    }
    statements
}

/// Gives the webhook another token.
pub fn set_hook(
    workspace: WorkspaceId,
    automation: AutomationId,
    environment: EnvironmentId,
    hook: [u8; 32],
) -> Statement {
    Statement::exactly_one(
        "UPDATE triggers SET hook = ?4 WHERE workspace = ?1 AND automation = ?2 AND environment = ?3",
        args![workspace, automation, environment, hook],
    )
}

/// Takes a webhook's token away, of a definition that has no webhook any more.
pub fn drop_hook(workspace: WorkspaceId, automation: AutomationId, environment: EnvironmentId) -> Statement {
    Statement::new(
        "UPDATE triggers SET hook = NULL WHERE workspace = ?1 AND automation = ?2 AND environment = ?3",
        args![workspace, automation, environment],
    )
}

/// Lets triggers not fire any more in an environment, if they do.
pub fn disable(
    workspace: WorkspaceId,
    automation: AutomationId,
    environment: EnvironmentId,
) -> [Statement; 2] {
    [
        Statement::new(
            "DELETE FROM schedules WHERE workspace = ?1 AND automation = ?2 AND environment = ?3",
            args![workspace, automation, environment],
        ),
        Statement::new(
            "DELETE FROM triggers WHERE workspace = ?1 AND automation = ?2 AND environment = ?3",
            args![workspace, automation, environment],
        ),
    ]
}

/// The same in every environment; the automation is about to be removed.
pub fn disable_everywhere(workspace: WorkspaceId, automation: AutomationId) -> [Statement; 2] {
    let key = || args![workspace, automation];
    [
        Statement::new("DELETE FROM schedules WHERE workspace = ?1 AND automation = ?2", key()),
        Statement::new("DELETE FROM triggers WHERE workspace = ?1 AND automation = ?2", key()),
    ]
}

/// Moves a schedule on from the time at which it is due: on condition that nobody did. `fired` says whether it fires now.
pub fn advance(schedule: &Scheduled, next_at: Timestamp, fired: Option<Timestamp>) -> Statement {
    Statement::exactly_one(
        "UPDATE schedules SET next_at = ?5, last_at = coalesce(?6, last_at)
         WHERE workspace = ?1 AND automation = ?2 AND environment = ?3 AND number = ?4 AND next_at IS ?7 AND cron = ?8 AND timezone = ?9",
        args![
            schedule.workspace,
            schedule.automation,
            schedule.environment,
            schedule.number,
            next_at,
            fired,
            schedule.next_at,
            schedule.cron.as_str(),
            schedule.timezone.as_str()
        ],
    )
}
