//! Workspaces, their settings, their environments.

use tacit_audit::{Actor, ActorKind, Detail, Event, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::token::TokenHash;
use tacit_model::{
    Code, EnvironmentId, EnvironmentName, EventId, Problem, Right, Role, Timestamp, UserId, WorkspaceId,
    WorkspaceName, limits,
};
use tacit_store::{
    Change, WriteError,
    principals::{self, TokenOwner},
    workspaces as rows,
};

use crate::{
    Caller, Stop, Vault,
    access::{Access, Owner},
    authorize::require,
    new_id,
    precondition::settings_tag,
    settle_change,
};

/// A workspace, as its members see it.
#[derive(Clone, Debug)]
pub struct WorkspaceInfo {
    /// The name.
    pub name: WorkspaceName,
    /// The settings.
    pub settings: rows::Settings,
    /// When made.
    pub created_at: Timestamp,
    /// What its `ETag` is.
    pub tag: String,
    /// Of a change: how many earlier versions are beyond the windows it sets, and so destroyed.
    pub destroys_versions: Option<i64>,
}

/// An environment.
#[derive(Clone, Debug)]
pub struct EnvironmentInfo {
    /// The name.
    pub name: EnvironmentName,
    /// Whether it keeps its values.
    pub protected: bool,
    /// When made.
    pub created_at: Timestamp,
}

/// What may be changed of a workspace; what is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct SettingsPatch {
    /// Days an earlier version is kept.
    pub version_keep_days: Option<i64>,
    /// Versions that are kept.
    pub version_keep_count: Option<i64>,
    /// Days a deleted secret can be restored; 0 purges at once.
    pub deletion_window_days: Option<i64>,
    /// Whether values in protected environments may be deleted.
    pub allow_protected_delete: Option<bool>,
    /// Whether looking at a value needs a reason.
    pub reveal_needs_reason: Option<bool>,
    /// Seconds after which a client should hide a value that was looked at.
    pub hide_after_secs: Option<i64>,
    /// Days for which a run's history is kept.
    pub run_keep_days: Option<i64>,
}

/// A new workspace with its two environments and their keys.
pub(crate) struct Blueprint {
    pub(crate) workspace: rows::Workspace,
    pub(crate) environments: [rows::Environment; 2],
}

impl Blueprint {
    pub(crate) fn new(name: WorkspaceName, now: Timestamp) -> Self {
        let environment = |name: &str, protected, offset| rows::Environment {
            id: new_id!(EnvironmentId, now),
            name: name.parse().expect("the built-in environments have valid names"),
            protected,
            // Apart by a millisecond, so that `test` comes before `live` wherever they are listed.
            created_at: Timestamp::from_millis(now.as_millis() + offset),
        };
        Self {
            workspace: rows::Workspace {
                id: new_id!(WorkspaceId, now),
                name,
                settings: rows::Settings::default(),
                created_at: now,
            },
            environments: [environment("test", false, 0), environment("live", true, 1)],
        }
    }

    /// The change that makes it, with its first owner and the event of it.
    pub(crate) fn change(&self, vault: &Vault, owner: UserId, owner_name: &str) -> Result<Change, Problem> {
        let id = self.workspace.id;
        let now = self.workspace.created_at;
        let ids: Vec<EnvironmentId> = self.environments.iter().map(|e| e.id).collect();
        let event = Event {
            id: new_id!(EventId, now),
            at: now,
            workspace: id,
            actor: Actor::new(ActorKind::User, *owner.as_bytes(), owner_name),
            on_behalf_of: None,
            verb: Verb::WorkspaceCreate,
            object: Object::new(ObjectKind::Workspace, *id.as_bytes(), self.workspace.name.as_str()),
            outcome: Outcome::Succeeded,
            environment: None,
            detail: Detail::default(),
        };
        Ok(Change::new(id)
            .and(rows::insert(&self.workspace))
            .and_all(self.environments.iter().map(|environment| rows::insert_environment(id, environment)))
            .and_all(vault.0.keys.for_new_workspace(id, &ids)?)
            .and(principals::insert_member(id, owner, Role::Owner.into(), None, now))
            .record(&event))
    }
}

impl Vault {
    /// The workspaces a token's owner belongs to.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub async fn list_workspaces(
        &self,
        token: TokenHash,
        now: Timestamp,
    ) -> Result<Vec<WorkspaceInfo>, Problem> {
        let (owner, _) = self.token_owner(token, now).await?;
        // An agent is where its session is, as long as whoever it acts for is there.
        let (account, only) = match owner {
            Owner::Account(account) => (account, None),
            Owner::Agent(session, account) => (account, Some(session.workspace)),
        };
        let mut mine = match account {
            TokenOwner::User(user) => {
                let mut live = Vec::new();
                for workspace in self.0.store.workspaces_of(user).await.map_err(Problem::internal)? {
                    let member = self.0.store.member(workspace, user).await.map_err(Problem::internal)?;
                    if member.is_some_and(|member| member.until.is_none_or(|end| end > now)) {
                        live.push(workspace);
                    }
                }
                live
            }
            TokenOwner::ServiceAccount(workspace, _) => vec![workspace],
        };
        mine.retain(|workspace| only.is_none_or(|only| only == *workspace));
        let all = self.0.store.workspaces().await.map_err(Problem::internal)?;
        Ok(all.into_iter().filter(|workspace| mine.contains(&workspace.id)).map(info).collect())
    }

    /// Makes a workspace and its maker its owner. Only the instance's administrator may.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden`, `name_taken`.
    pub async fn create_workspace(
        &self,
        token: TokenHash,
        now: Timestamp,
        name: &WorkspaceName,
    ) -> Result<WorkspaceInfo, Problem> {
        let (owner, _) = self.token_owner(token, now).await?;
        let user = match owner {
            Owner::Account(TokenOwner::User(user)) => {
                self.0.store.user(user).await.map_err(Problem::internal)?
            }
            Owner::Account(TokenOwner::ServiceAccount(..)) | Owner::Agent(..) => None,
        };
        let Some(user) = user.filter(|user| user.instance_admin) else {
            return Err(Problem::new(Code::Forbidden, "only the instance's administrator makes workspaces")
                .suggest("ask the owner who set Tacit up"));
        };
        let taken = || {
            Problem::new(Code::NameTaken, format!("there is a workspace named `{name}` already"))
                .suggest("choose another name")
        };
        if self.0.store.workspace(name).await.map_err(Problem::internal)?.is_some() {
            return Err(taken());
        }
        let blueprint = Blueprint::new(name.clone(), now);
        match self.0.store.write(blueprint.change(self, user.id, user.name.as_str())?).await {
            Ok(_) => Ok(info(blueprint.workspace)),
            Err(WriteError::Taken) => Err(taken()),
            Err(error) => Err(Problem::audit_unavailable(error)),
        }
    }

    /// The caller's workspace.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn describe_workspace(&self, caller: &Caller) -> Result<WorkspaceInfo, Problem> {
        Ok(info(self.access(caller).await?.view.workspace.clone()))
    }

    /// Changes a workspace's settings; with `dry_run` only says what that would destroy.
    ///
    /// # Errors
    /// `forbidden`, `validation_failed`, `protected_environment` if a smaller window for versions would take some from a
    /// protected environment, unless the workspace allows it.
    pub async fn update_workspace(
        &self,
        caller: &Caller,
        patch: SettingsPatch,
        dry_run: bool,
    ) -> Result<WorkspaceInfo, Problem> {
        for (field, value, least, most) in [
            ("version_keep_days", patch.version_keep_days, 0, 3650),
            ("version_keep_count", patch.version_keep_count, 1, 100),
            ("deletion_window_days", patch.deletion_window_days, 0, 3650),
            ("hide_after_secs", patch.hide_after_secs, 5, 300),
            ("run_keep_days", patch.run_keep_days, 1, 3650),
        ] {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                return Err(Problem::invalid(field, format!("must be {least} to {most}")));
            }
        }
        settle_change!(self, caller, |access| self.update_workspace_once(&access, patch, dry_run))
    }

    async fn update_workspace_once(
        &self,
        access: &Access,
        patch: SettingsPatch,
        dry_run: bool,
    ) -> Result<WorkspaceInfo, Stop> {
        let mut workspace = access.view.workspace.clone();
        let object = Object::new(ObjectKind::Workspace, *workspace.id.as_bytes(), workspace.name.as_str());
        if let Err(problem) = require(access.principal.rights, Right::WorkspaceManage) {
            return Err(self.refuse(access, Verb::WorkspaceUpdate, object, problem).await);
        }
        let old = workspace.settings;
        access.check_tag(&settings_tag(&old))?;
        workspace.settings = rows::Settings {
            version_keep_days: patch.version_keep_days.unwrap_or(old.version_keep_days),
            version_keep_count: patch.version_keep_count.unwrap_or(old.version_keep_count),
            deletion_window_days: patch.deletion_window_days.unwrap_or(old.deletion_window_days),
            allow_protected_delete: patch.allow_protected_delete.unwrap_or(old.allow_protected_delete),
            reveal_needs_reason: patch.reveal_needs_reason.unwrap_or(old.reveal_needs_reason),
            hide_after_secs: patch.hide_after_secs.unwrap_or(old.hide_after_secs),
            run_keep_days: patch.run_keep_days.unwrap_or(old.run_keep_days),
        };
        let new = workspace.settings;
        let shrinks_days = new.version_keep_days < old.version_keep_days;
        let is_smaller = shrinks_days || new.version_keep_count < old.version_keep_count;
        let mut destroys = None;
        if is_smaller {
            let oldest = access.now.plus_secs(-new.version_keep_days * 86_400);
            let count = new.version_keep_count;
            destroys = Some(self.0.store.versions_beyond(workspace.id, oldest, count, false).await?);
            // With fewer days every earlier version goes sooner than it would have, if not at once.
            let sooner = if shrinks_days { Timestamp::from_millis(i64::MAX) } else { oldest };
            let kept = self.0.store.versions_beyond(workspace.id, sooner, count, true).await?;
            if kept > 0 && !new.allow_protected_delete {
                return Err(self.refuse(access, Verb::WorkspaceUpdate, object, keeps_versions(kept)).await);
            }
        }
        if dry_run {
            // The tag stays that of what is there: it is what a write that follows names.
            let tag = settings_tag(&old);
            return Ok(WorkspaceInfo { destroys_versions: destroys, tag, ..info(workspace) });
        }
        let event = self.event(access, Verb::WorkspaceUpdate, object, Outcome::Succeeded, Detail::default());
        let change = self
            .change(access)
            .bump()
            .and(rows::update_settings(workspace.id, &workspace.settings))
            .record(&event);
        self.0.store.write(change).await?;
        // What is beyond a window that became smaller is not kept until the next round.
        self.0.upkeep_wanted.notify_one();
        Ok(WorkspaceInfo { destroys_versions: destroys, ..info(workspace) })
    }

    /// The workspace's environments.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_environments(&self, caller: &Caller) -> Result<Vec<EnvironmentInfo>, Problem> {
        let access = self.access(caller).await?;
        let info = |e: &rows::Environment| EnvironmentInfo {
            name: e.name.clone(),
            protected: e.protected,
            created_at: e.created_at,
        };
        Ok(access.view.environments.iter().map(info).collect())
    }

    /// Adds an environment.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`.
    pub async fn create_environment(
        &self,
        caller: &Caller,
        name: &EnvironmentName,
        protected: bool,
    ) -> Result<EnvironmentInfo, Problem> {
        settle_change!(self, caller, |access| self.create_environment_once(&access, name, protected))
    }

    async fn create_environment_once(
        &self,
        access: &Access,
        name: &EnvironmentName,
        protected: bool,
    ) -> Result<EnvironmentInfo, Stop> {
        let environment = rows::Environment {
            id: new_id!(EnvironmentId, access.now),
            name: name.clone(),
            protected,
            created_at: access.now,
        };
        let object = Object::new(ObjectKind::Environment, *environment.id.as_bytes(), name.as_str());
        if let Err(problem) = require(access.principal.rights, Right::WorkspaceManage) {
            return Err(self.refuse(access, Verb::EnvironmentCreate, object, problem).await);
        }
        if access.view.environments.iter().any(|e| e.name == *name) {
            return Err(Problem::new(
                Code::NameTaken,
                format!("there is an environment named `{name}` already"),
            )
            .into());
        }
        if access.view.environments.len() >= limits::ENVIRONMENTS_MAX {
            return Err(Problem::invalid(
                "name",
                format!("is one environment more than a workspace holds ({})", limits::ENVIRONMENTS_MAX),
            )
            .into());
        }
        let workspace = access.view.workspace.id;
        let key = self.0.keys.for_new_environment(workspace, environment.id).await?;
        let event =
            self.event(access, Verb::EnvironmentCreate, object, Outcome::Succeeded, Detail::default());
        let change = self
            .change(access)
            .bump()
            .and(rows::insert_environment(workspace, &environment))
            .and(key)
            .record(&event);
        self.0.store.write(change).await?;
        Ok(EnvironmentInfo { name: environment.name, protected, created_at: environment.created_at })
    }
}

/// Why a window for versions does not become smaller. Counts only: whoever manages a workspace need not see its secrets.
fn keeps_versions(count: i64) -> Problem {
    Problem::new(
        Code::ProtectedEnvironment,
        format!("protected environments hold earlier versions ({count}) that would be destroyed sooner, and nothing is destroyed there"),
    )
    .suggest("if that is meant, set `allow_protected_delete` with it, and take it back afterwards")
}

fn info(workspace: rows::Workspace) -> WorkspaceInfo {
    WorkspaceInfo {
        name: workspace.name,
        settings: workspace.settings,
        created_at: workspace.created_at,
        tag: settings_tag(&workspace.settings),
        destroys_versions: None,
    }
}
