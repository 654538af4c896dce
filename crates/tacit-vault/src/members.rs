//! The people of a workspace: add, change, remove.
//!
//! A workspace always has an owner: a person with the built-in role `owner` by a membership without end. What would leave
//! none is refused, whoever asks. Nobody acts on who has more rights than they do, and nobody gives themselves more.

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{Code, Problem, Right, Role, RoleRef, SecretName, Timestamp};
use tacit_store::{
    Change, grants,
    principals::{self as rows, Member},
};

use crate::{
    Caller, Stop, Vault, access::Access, accounts::may_give, authorize::require, grants::built_in, settle,
    settle_change,
};

/// A member as a list shows it.
#[derive(Clone, Debug)]
pub struct MemberInfo {
    /// The name.
    pub name: SecretName,
    /// The name of the role.
    pub role: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
}

pub(crate) fn object(member: &Member) -> Object {
    Object::new(ObjectKind::Member, *member.user.as_bytes(), member.name.as_str())
}

fn info(access: &Access, member: &Member) -> MemberInfo {
    MemberInfo {
        name: member.name.clone(),
        role: access.view.role(member.role).0,
        created_at: member.created_at,
        until: member.until,
    }
}

/// Whether somebody keeps a workspace from having no owner.
fn is_owner(member: &Member) -> bool {
    member.role == RoleRef::BuiltIn(Role::Owner) && member.until.is_none()
}

impl Vault {
    /// The members of the workspace, with their roles.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_members(&self, caller: &Caller) -> Result<Vec<MemberInfo>, Problem> {
        settle!(self, caller, |access| async {
            let found = self.0.store.members(access.view.workspace.id).await?;
            Ok(found.iter().map(|member| info(&access, member)).collect())
        })
    }

    /// Makes somebody who has an account in this instance a member, without an invitation. Only the instance's
    /// administrator, who knows who has an account, may; everybody else invites.
    ///
    /// # Errors
    /// `forbidden`, `not_found` for a person, `name_taken` for one who is a member.
    pub async fn add_member(
        &self,
        caller: &Caller,
        name: &SecretName,
        role: &str,
        until: Option<Timestamp>,
    ) -> Result<MemberInfo, Problem> {
        check_until(until, caller.now)?;
        settle_change!(self, caller, |access| async {
            let object = Object::new(ObjectKind::Member, [0; 16], name.as_str());
            let role = access.view.role_named(role)?;
            let (role_name, rights) = access.view.role(role);
            let checked = match self.is_instance_admin(&access).await? {
                true => may_give(&access, &role_name, rights, until),
                false => Err(match require(access.principal.rights, Right::MemberManage) {
                    Err(problem) => problem,
                    Ok(()) => Problem::new(
                        Code::Forbidden,
                        "only the instance's administrator adds people without an invitation",
                    )
                    .suggest("invite them: tacit members invite NAME"),
                }),
            };
            if let Err(problem) = checked {
                return Err(self.refuse(&access, Verb::MemberAdd, object, problem).await);
            }
            let workspace = access.view.workspace.id;
            let user =
                self.0.store.user_named(&name.key()).await?.ok_or_else(|| Problem::not_found("person"))?;
            if self.0.store.member(workspace, user.id).await?.is_some() {
                return Err(already_member(name).into());
            }
            let member = Member { user: user.id, name: user.name, role, created_at: access.now, until };
            let change = self.joining(&access, &member);
            self.0.store.write(change).await?;
            Ok(info(&access, &member))
        })
    }

    /// The change by which somebody becomes a member.
    pub(crate) fn joining(&self, access: &Access, member: &Member) -> Change {
        let detail = Detail { role: built_in(member.role), ..Detail::default() };
        let event = self.event(access, Verb::MemberAdd, object(member), Outcome::Succeeded, detail);
        let (workspace, now) = (access.view.workspace.id, access.now);
        self.change(access)
            .bump()
            .and(rows::insert_member(workspace, member.user, member.role, member.until, now))
            .record(&event)
    }

    async fn is_instance_admin(&self, access: &Access) -> Result<bool, Stop> {
        if access.principal.actor.kind != tacit_audit::ActorKind::User {
            return Ok(false);
        }
        let user = self.0.store.user(tacit_model::UserId::from_bytes(access.principal.actor.id)).await?;
        Ok(user.is_some_and(|user| user.instance_admin))
    }

    /// Gives a member another role or another end (`Some(None)` for none), at once.
    ///
    /// # Errors
    /// `forbidden`, also for members with rights that the caller lacks; `not_found`, `last_owner`.
    pub async fn update_member(
        &self,
        caller: &Caller,
        name: &SecretName,
        role: Option<&str>,
        until: Option<Option<Timestamp>>,
    ) -> Result<MemberInfo, Problem> {
        check_until(until.flatten(), caller.now)?;
        settle_change!(self, caller, |access| async {
            let old = self.member_to_change(&access, name, Verb::MemberUpdate, false).await?;
            let mut new = old.clone();
            if let Some(role) = role {
                new.role = access.view.role_named(role)?;
            }
            if let Some(until) = until {
                new.until = until;
            }
            let (role_name, rights) = access.view.role(new.role);
            let (_, had) = access.view.role(old.role);
            let is_own = *old.user.as_bytes() == access.principal.actor.id;
            let gains = !had.covers(rights) || longer(old.until, new.until);
            let checked =
                may_give(&access, &role_name, rights, new.until).and_then(|()| match is_own && gains {
                    true => Err(Problem::new(Code::Forbidden, "nobody gives themselves more than they have")
                        .suggest("ask somebody else who may")),
                    false => Ok(()),
                });
            let checked = match checked {
                Ok(()) if is_owner(&old) && !is_owner(&new) => self.check_not_last(&access, &old).await,
                other => other.map_err(Stop::from),
            };
            if let Err(stop) = checked {
                return Err(self.refuse_any(&access, Verb::MemberUpdate, object(&old), stop).await);
            }
            let detail = Detail { role: built_in(new.role), ..Detail::default() };
            let event = self.event(&access, Verb::MemberUpdate, object(&new), Outcome::Succeeded, detail);
            let statement = rows::update_member(access.view.workspace.id, new.user, new.role, new.until);
            self.0.store.write(self.change(&access).bump().and(statement).record(&event)).await?;
            Ok(info(&access, &new))
        })
    }

    /// Takes somebody out of the workspace, with their grants, at once. Everybody may leave; `member.manage` removes others.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `last_owner`.
    pub async fn remove_member(&self, caller: &Caller, name: &SecretName) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let member = self.member_to_change(&access, name, Verb::MemberRemove, true).await?;
            if is_owner(&member)
                && let Err(stop) = self.check_not_last(&access, &member).await
            {
                return Err(self.refuse_any(&access, Verb::MemberRemove, object(&member), stop).await);
            }
            let workspace = access.view.workspace.id;
            let event = self.event(
                &access,
                Verb::MemberRemove,
                object(&member),
                Outcome::Succeeded,
                Detail::default(),
            );
            let change = self
                .change(&access)
                .bump()
                .and(grants::delete_of(workspace, member.user.as_bytes()))
                .and(rows::delete_member(workspace, member.user))
                .record(&event);
            let change = self.and_end_leases_of(&access, *member.user.as_bytes(), change).await?;
            self.0.store.write(change).await?;
            Ok(())
        })
    }

    /// A member that the caller may act on: `member.manage`, and nothing that the member holds is beyond the caller.
    async fn member_to_change(
        &self,
        access: &Access,
        name: &SecretName,
        verb: Verb,
        may_be_oneself: bool,
    ) -> Result<Member, Stop> {
        let members = self.0.store.members(access.view.workspace.id).await?;
        let found = members.into_iter().find(|member| member.name.key() == name.key());
        let is_own =
            found.as_ref().is_some_and(|member| *member.user.as_bytes() == access.principal.actor.id);
        if is_own && may_be_oneself {
            return found.ok_or_else(|| Problem::not_found("member").into());
        }
        let nobody = || Object::new(ObjectKind::Member, [0; 16], name.as_str());
        if let Err(problem) = require(access.principal.rights, Right::MemberManage) {
            let object = found.as_ref().map_or_else(nobody, object);
            return Err(self.refuse(access, verb, object, problem).await);
        }
        let member = found.ok_or_else(|| Problem::not_found("member"))?;
        for held in self.holdings(&access.view, member.user.as_bytes(), member.role, member.until).await? {
            let counts = held.grant.is_none() || held.lasts(access.now, Some(access.now));
            if counts && !access.rights_at(&held.scope).covers(held.rights) {
                let problem = crate::accounts::not_above(&held.role_name);
                return Err(self.refuse(access, verb, object(&member), problem).await);
            }
        }
        Ok(member)
    }

    async fn check_not_last(&self, access: &Access, leaving: &Member) -> Result<(), Stop> {
        let members = self.0.store.members(access.view.workspace.id).await?;
        if members.iter().any(|member| member.user != leaving.user && is_owner(member)) {
            return Ok(());
        }
        Err(Problem::new(
            Code::LastOwner,
            format!(
                "`{}` is the only owner without an end, and a workspace is never without one",
                leaving.name
            ),
        )
        .suggest("make somebody else an owner first")
        .into())
    }

    /// Puts a refusal on the record, whatever its code.
    async fn refuse_any(&self, access: &Access, verb: Verb, object: Object, stop: Stop) -> Stop {
        match stop {
            Stop::Problem(problem) => self.refuse(access, verb, object, problem).await,
            Stop::Stale => Stop::Stale,
        }
    }
}

pub(crate) fn already_member(name: &SecretName) -> Problem {
    Problem::new(Code::NameTaken, format!("`{name}` is a member already"))
        .suggest("change the role instead: tacit members set NAME --role ROLE")
}

pub(crate) fn check_until(until: Option<Timestamp>, now: Timestamp) -> Result<(), Problem> {
    match until {
        Some(end) if end <= now => Err(Problem::invalid("until", "must be in the future")),
        _ => Ok(()),
    }
}

/// Whether one end is later than another.
fn longer(old: Option<Timestamp>, new: Option<Timestamp>) -> bool {
    match (old, new) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(old), Some(new)) => new > old,
    }
}
