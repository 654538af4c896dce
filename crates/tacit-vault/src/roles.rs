//! Custom roles: sets of rights under a name of the workspace's own.
//!
//! A role's rights are those of everybody who has it. So whoever makes or changes one holds all of its rights in the whole
//! workspace, and nobody changes a role that they have themselves: a role never gains under somebody's feet what its changer
//! could not have given.

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{Code, Problem, Right, Rights, Role, RoleId, RoleRef, SecretName, limits};
use tacit_store::roles as rows;

use crate::{
    Caller, Stop, Vault,
    access::{Access, View},
    authorize::require,
    new_id, settle_change,
};

/// A role as a list shows it.
#[derive(Clone, Debug)]
pub struct RoleInfo {
    /// The name.
    pub name: String,
    /// What it lets one do.
    pub rights: Rights,
    /// Whether it comes with Tacit.
    pub built_in: bool,
}

fn object(role: &rows::Role) -> Object {
    Object::new(ObjectKind::Role, *role.id.as_bytes(), role.name.as_str())
}

fn info(role: &rows::Role) -> RoleInfo {
    RoleInfo { name: role.name.to_string(), rights: role.rights, built_in: false }
}

impl View {
    /// A role by name, whatever its case: names of roles are unique ignoring it, built-in ones among them.
    pub(crate) fn role_named(&self, name: &str) -> Result<RoleRef, Problem> {
        let unknown = || {
            Problem::invalid("role", "is no role of this workspace, and none of owner, admin, editor, operator, member and auditor")
                .suggest("`tacit roles list` shows them")
        };
        let key = name.parse::<SecretName>().map_err(|_| unknown())?.key();
        if let Ok(role) = key.parse::<Role>() {
            return Ok(RoleRef::BuiltIn(role));
        }
        let found = self.roles.iter().find(|role| role.name.key() == key);
        found.map(|role| RoleRef::Custom(role.id)).ok_or_else(unknown)
    }
}

impl Vault {
    /// The roles of the workspace, built-in ones first.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_roles(&self, caller: &Caller) -> Result<Vec<RoleInfo>, Problem> {
        let access = self.access(caller).await?;
        let built_in =
            |role: &Role| RoleInfo { name: role.as_str().to_owned(), rights: role.rights(), built_in: true };
        Ok(Role::ALL.iter().map(built_in).chain(access.view.roles.iter().map(info)).collect())
    }

    /// Makes a role.
    ///
    /// # Errors
    /// `forbidden`, also for rights that the caller lacks; `name_taken`, `validation_failed`.
    pub async fn create_role(
        &self,
        caller: &Caller,
        name: &SecretName,
        rights: Rights,
    ) -> Result<RoleInfo, Problem> {
        settle_change!(self, caller, |access| self.create_role_once(&access, name, rights))
    }

    async fn create_role_once(
        &self,
        access: &Access,
        name: &SecretName,
        rights: Rights,
    ) -> Result<RoleInfo, Stop> {
        let role = rows::Role {
            id: new_id!(RoleId, access.now),
            name: name.clone(),
            rights,
            created_at: access.now,
            updated_at: access.now,
        };
        if let Err(problem) = may_define(access, rights) {
            return Err(self.refuse(access, Verb::RoleCreate, object(&role), problem).await);
        }
        // Built-in names are taken in every spelling that is the same name.
        if access.view.role_named(name.as_str()).is_ok() {
            return Err(Problem::new(Code::NameTaken, format!("there is a role named `{name}` already"))
                .suggest("choose another name")
                .into());
        }
        if access.view.roles.len() >= limits::ROLES_MAX {
            let message = format!("is one role more than a workspace holds ({})", limits::ROLES_MAX);
            return Err(Problem::invalid("name", message).into());
        }
        let event =
            self.event(access, Verb::RoleCreate, object(&role), Outcome::Succeeded, Detail::default());
        let change =
            self.change(access).bump().and(rows::insert(access.view.workspace.id, &role)).record(&event);
        self.0.store.write(change).await?;
        Ok(info(&role))
    }

    /// Gives a role other rights, which everybody who has it gets or loses at once.
    ///
    /// # Errors
    /// `forbidden`, also for added rights that the caller lacks, and for a role of the caller's own; `not_found`.
    pub async fn update_role(
        &self,
        caller: &Caller,
        name: &SecretName,
        rights: Rights,
    ) -> Result<RoleInfo, Problem> {
        settle_change!(self, caller, |access| self.update_role_once(&access, name, rights))
    }

    async fn update_role_once(
        &self,
        access: &Access,
        name: &SecretName,
        rights: Rights,
    ) -> Result<RoleInfo, Stop> {
        let old = self.own_role(access, name)?;
        let added = rights.minus(old.rights);
        let is_own = access.principal.holdings.iter().any(|held| held.role == RoleRef::Custom(old.id));
        let checked = may_define(access, added).and_then(|()| match is_own && !added.is_none() {
            true => {
                Err(Problem::new(Code::Forbidden, "nobody adds rights to a role that they have themselves")
                    .suggest("ask somebody else who may"))
            }
            false => Ok(()),
        });
        if let Err(problem) = checked {
            return Err(self.refuse(access, Verb::RoleUpdate, object(&old), problem).await);
        }
        let new = rows::Role { rights, updated_at: access.now, ..old };
        let event = self.event(access, Verb::RoleUpdate, object(&new), Outcome::Succeeded, Detail::default());
        let change =
            self.change(access).bump().and(rows::update(access.view.workspace.id, &new)).record(&event);
        self.0.store.write(change).await?;
        Ok(info(&new))
    }

    /// Removes a role that nobody has.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `role_in_use`.
    pub async fn delete_role(&self, caller: &Caller, name: &SecretName) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let role = self.own_role(&access, name)?;
            if let Err(problem) = may_define(&access, Rights::NONE) {
                return Err(self.refuse(&access, Verb::RoleDelete, object(&role), problem).await);
            }
            let workspace = access.view.workspace.id;
            let holders = self.0.store.role_holders_count(workspace, role.id).await?;
            if holders > 0 {
                let problem = Problem::new(
                    Code::RoleInUse,
                    format!("`{name}` is the role of {holders} memberships, accounts, invitations or grants"),
                )
                .suggest(
                    "give them another role or withdraw them first: tacit members list, tacit grants list",
                );
                return Err(self.refuse(&access, Verb::RoleDelete, object(&role), problem).await);
            }
            let event =
                self.event(&access, Verb::RoleDelete, object(&role), Outcome::Succeeded, Detail::default());
            let change = self.change(&access).bump().and(rows::delete(workspace, role.id)).record(&event);
            self.0.store.write(change).await?;
            Ok(())
        })
    }

    /// A role of the workspace's own; built-in ones are not to be changed.
    fn own_role(&self, access: &Access, name: &SecretName) -> Result<rows::Role, Stop> {
        let key = name.key();
        if key.parse::<Role>().is_ok() {
            return Err(Problem::new(
                Code::ImmutableField,
                format!("`{key}` comes with Tacit and stays as it is"),
            )
            .suggest("make a role of your own: tacit roles create")
            .into());
        }
        let found = access.view.roles.iter().find(|role| role.name.key() == key);
        found.cloned().ok_or_else(|| Problem::not_found("role").into())
    }
}

/// Roles count everywhere, so their rights must be held everywhere.
fn may_define(access: &Access, rights: Rights) -> Result<(), Problem> {
    require(access.principal.rights, Right::GrantManage)?;
    let given = access.principal.rights_to_give(&tacit_model::Scope::WORKSPACE, None, access.now);
    if given.covers(rights) {
        return Ok(());
    }
    let missing = rights.minus(given);
    Err(Problem::new(
        Code::Forbidden,
        format!("a role may only have rights that you hold yourself, in the whole workspace and without end; you do not so hold {missing}"),
    )
    .suggest("leave them out, or ask an owner"))
}
