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
    new_id, settle, settle_change,
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
            .and(principals::insert_member(id, owner, Role::Owner, now))
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
        let mine = match owner {
            Owner::Account(TokenOwner::User(user)) => {
                self.0.store.workspaces_of(user).await.map_err(Problem::internal)?
            }
            Owner::Account(TokenOwner::ServiceAccount(workspace, _)) => vec![workspace],
            Owner::Agent(session, _) => vec![session.workspace],
        };
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

    /// Changes a workspace's settings.
    ///
    /// # Errors
    /// `forbidden`, `validation_failed`.
    pub async fn update_workspace(
        &self,
        caller: &Caller,
        patch: SettingsPatch,
    ) -> Result<WorkspaceInfo, Problem> {
        for (field, value, least, most) in [
            ("version_keep_days", patch.version_keep_days, 0, 3650),
            ("version_keep_count", patch.version_keep_count, 1, 100),
            ("deletion_window_days", patch.deletion_window_days, 0, 3650),
        ] {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                return Err(Problem::invalid(field, format!("must be {least} to {most}")));
            }
        }
        settle_change!(self, caller, |access| self.update_workspace_once(&access, patch))
    }

    async fn update_workspace_once(
        &self,
        access: &Access,
        patch: SettingsPatch,
    ) -> Result<WorkspaceInfo, Stop> {
        let mut workspace = access.view.workspace.clone();
        let object = Object::new(ObjectKind::Workspace, *workspace.id.as_bytes(), workspace.name.as_str());
        if let Err(problem) = require(access.principal.rights, Right::WorkspaceManage) {
            return Err(self.refuse(access, Verb::WorkspaceUpdate, object, problem).await);
        }
        let old = workspace.settings;
        workspace.settings = rows::Settings {
            version_keep_days: patch.version_keep_days.unwrap_or(old.version_keep_days),
            version_keep_count: patch.version_keep_count.unwrap_or(old.version_keep_count),
            deletion_window_days: patch.deletion_window_days.unwrap_or(old.deletion_window_days),
            allow_protected_delete: patch.allow_protected_delete.unwrap_or(old.allow_protected_delete),
        };
        let event = self.event(access, Verb::WorkspaceUpdate, object, Outcome::Succeeded, Detail::default());
        let change = self
            .change(access)
            .bump()
            .and(rows::update_settings(workspace.id, &workspace.settings))
            .record(&event);
        self.0.store.write(change).await?;
        Ok(info(workspace))
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

    /// The members of the workspace, with their roles.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_members(&self, caller: &Caller) -> Result<Vec<principals::Member>, Problem> {
        settle!(self, caller, |access| async { Ok(self.0.store.members(access.view.workspace.id).await?) })
    }
}

fn info(workspace: rows::Workspace) -> WorkspaceInfo {
    WorkspaceInfo { name: workspace.name, settings: workspace.settings, created_at: workspace.created_at }
}
