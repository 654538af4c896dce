//! Invitations: how a person gets into a workspace, and into the instance.
//!
//! An invitation is a token that counts once and for a while. Whoever accepts it gets no more than its inviter could give at
//! that moment: an invitation of somebody who was removed meanwhile is worth nothing. It makes an account where there is
//! none; where there is one it is accepted with that account's own password, and never sets another one.

use std::net::IpAddr;

use tacit_audit::{Actor, ActorKind, Code as RecordedCode, Detail, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::token::{self, TokenHash, TokenKind, TokenText};
use tacit_model::{
    Code, InvitationId, Problem, Right, Rights, Scope, SecretName, ServiceAccountId, Timestamp, UserId,
    WorkspaceName, limits,
};
use tacit_store::{
    Change, Statement,
    people::{self as rows, Invitation},
    principals::{self, User},
};

use crate::{
    By, Caller, Stop, Vault,
    access::{Access, Holding, View},
    accounts::may_give,
    authorize::require,
    grants::built_in,
    members::{already_member, check_until},
    new_id,
    second_factor::check_password,
    sessions::{pace_key, wrong},
    settle, settle_change,
};

/// Whom to invite.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// The name that the person will have, like an e-mail address.
    pub name: SecretName,
    /// The name of the role.
    pub role: String,
    /// Until when the membership lasts.
    pub until: Option<Timestamp>,
    /// Seconds until the invitation ends; [`limits::INVITATION_SECS_DEFAULT`] if it does not say.
    pub ttl_secs: Option<u64>,
}

/// An invitation as a list shows it.
#[derive(Clone, Debug)]
pub struct InvitationInfo {
    /// The id.
    pub id: InvitationId,
    /// Who is invited.
    pub name: SecretName,
    /// The name of the role.
    pub role: String,
    /// Until when the membership lasts.
    pub until: Option<Timestamp>,
    /// By whom.
    pub created_by: String,
    /// When made.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

/// An invitation to accept.
pub struct Acceptance<'a> {
    /// The hash of the invitation's token.
    pub token: TokenHash,
    /// The password: a new one, or that of the account which is there.
    pub password: &'a str,
    /// The code of that account's second factor.
    pub code: Option<&'a str>,
    /// Where it comes from.
    pub address: IpAddr,
    /// When, and in which request.
    pub by: By,
}

/// Who accepts, and what makes the account or takes the code.
struct Accepting {
    user: User,
    statements: Vec<Statement>,
}

fn object(invitation: &Invitation) -> Object {
    Object::new(ObjectKind::Invitation, *invitation.id.as_bytes(), invitation.name.as_str())
}

fn info(access: &Access, invitation: Invitation) -> InvitationInfo {
    InvitationInfo {
        role: access.view.role(invitation.role).0,
        id: invitation.id,
        name: invitation.name,
        until: invitation.until,
        created_by: invitation.created_by,
        created_at: invitation.created_at,
        expires_at: invitation.expires_at,
    }
}

fn not_valid() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "this invitation is not valid: it was accepted or taken back, or has ended",
    )
    .suggest("ask for a new one")
}

/// Like an e-mail address: something, one `@`, something with a dot or a plain host, and no spaces.
fn check_name(name: &SecretName) -> Result<(), Problem> {
    let is_fine = name.as_str().split_once('@').is_some_and(|(local, host)| {
        let is_part = |part: &str| {
            !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || matches!(c, '@' | ':' | ','))
        };
        is_part(local) && is_part(host)
    });
    if is_fine {
        Ok(())
    } else {
        Err(Problem::invalid("name", "must look like an e-mail address, such as anna@example.com"))
    }
}

impl Vault {
    /// Invites somebody. The token is in the answer and nowhere else.
    ///
    /// # Errors
    /// `forbidden`, also for a role with rights that the caller lacks; `name_taken` for a member, `validation_failed`.
    pub async fn create_invitation(
        &self,
        caller: &Caller,
        new: &NewInvitation,
    ) -> Result<(InvitationInfo, TokenText), Problem> {
        check_name(&new.name)?;
        check_until(new.until, caller.now)?;
        if new.ttl_secs.is_some_and(|ttl| !(60..=limits::INVITATION_SECS_MAX).contains(&ttl)) {
            return Err(Problem::invalid(
                "ttl_secs",
                format!("must be 60 to {}", limits::INVITATION_SECS_MAX),
            ));
        }
        settle_change!(self, caller, |access| async {
            let role = access.view.role_named(&new.role)?;
            let (text, token) = token::generate(TokenKind::Invitation);
            let ttl_secs = new.ttl_secs.unwrap_or(limits::INVITATION_SECS_DEFAULT).cast_signed();
            let invitation = Invitation {
                id: new_id!(InvitationId, access.now),
                token: *token.as_bytes(),
                name: new.name.clone(),
                role,
                until: new.until,
                inviter: access.principal.actor.id,
                created_by: access.principal.actor.to_string(),
                created_at: access.now,
                expires_at: access.now.plus_secs(ttl_secs),
            };
            let (role_name, rights) = access.view.role(role);
            if let Err(problem) = may_give(&access, &role_name, rights, new.until) {
                return Err(self.refuse(&access, Verb::InvitationCreate, object(&invitation), problem).await);
            }
            let workspace = access.view.workspace.id;
            let members = self.0.store.members(workspace).await?;
            if members.iter().any(|member| member.name.key() == new.name.key()) {
                return Err(already_member(&new.name).into());
            }
            let open = self.0.store.invitations(workspace).await?;
            if open.len() >= limits::INVITATIONS_MAX {
                return Err(Problem::new(
                    Code::RateLimited,
                    format!("{} invitations are open, which is the limit", open.len()),
                )
                .suggest("take some of them back: tacit members invitations")
                .into());
            }
            let detail = Detail { role: built_in(role), ..Detail::default() };
            let event =
                self.event(&access, Verb::InvitationCreate, object(&invitation), Outcome::Succeeded, detail);
            // The newest to somebody is the one that counts, and what has ended is forgotten.
            let is_over =
                |other: &&Invitation| other.name.key() == new.name.key() || other.expires_at <= access.now;
            let change = self
                .change(&access)
                .bump()
                .and_all(
                    open.iter().filter(is_over).map(|other| rows::delete_invitation(workspace, other.id)),
                )
                .and(rows::insert_invitation(workspace, &invitation))
                .record(&event);
            self.0.store.write(change).await?;
            Ok((info(&access, invitation), text))
        })
    }

    /// Invitations that can still be accepted, oldest first.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn list_invitations(&self, caller: &Caller) -> Result<Vec<InvitationInfo>, Problem> {
        settle!(self, caller, |access| async {
            if let Err(problem) = require(access.principal.rights, Right::MemberManage) {
                let object = Object::new(ObjectKind::Invitation, [0; 16], "");
                return Err(self.refuse(&access, Verb::InvitationCreate, object, problem).await);
            }
            let found = self.0.store.invitations(access.view.workspace.id).await?;
            let open = found.into_iter().filter(|invitation| invitation.expires_at > access.now);
            Ok(open.map(|invitation| info(&access, invitation)).collect())
        })
    }

    /// Takes an invitation back, at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn delete_invitation(&self, caller: &Caller, id: InvitationId) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            if let Err(problem) = require(access.principal.rights, Right::MemberManage) {
                let object = Object::new(ObjectKind::Invitation, *id.as_bytes(), "");
                return Err(self.refuse(&access, Verb::InvitationDelete, object, problem).await);
            }
            let workspace = access.view.workspace.id;
            let found = self.0.store.invitations(workspace).await?;
            let invitation = found.into_iter().find(|invitation| invitation.id == id);
            let invitation = invitation.ok_or_else(|| Problem::not_found("invitation"))?;
            let event = self.event(
                &access,
                Verb::InvitationDelete,
                object(&invitation),
                Outcome::Succeeded,
                Detail::default(),
            );
            let change =
                self.change(&access).bump().and(rows::delete_invitation(workspace, id)).record(&event);
            self.0.store.write(change).await?;
            Ok(())
        })
    }

    /// Accepts an invitation: makes the account where there is none, and the membership.
    ///
    /// Returns the workspace and the person's name.
    ///
    /// # Errors
    /// `unauthenticated` for an invitation that does not count (any more), and for a wrong password of an account that is
    /// there; `validation_failed` for a new password that is too short; `rate_limited`.
    pub async fn accept_invitation(
        &self,
        asked: &Acceptance<'_>,
    ) -> Result<(WorkspaceName, SecretName), Problem> {
        let found = self.0.store.workspace_of_invitation(asked.token.as_bytes()).await;
        let Some(name) = found.map_err(Problem::internal)? else {
            // Tokens cannot be guessed; this only keeps somebody from trying all day.
            self.0.sign_in_by_address.take(&pace_key(asked.address), asked.by.now)?;
            return Err(not_valid());
        };
        for _ in 0..crate::ATTEMPTS {
            let view = self.view(&name).await?.ok_or_else(not_valid)?;
            // Hashing a password takes a while, in which others may change the workspace: it is done before one's turn.
            let accepted = match self.accepting(&view, asked).await {
                Ok(accepting) => {
                    let turn = self.turn(view.workspace.id);
                    let _turn = turn.lock().await;
                    let view = self.view(&name).await?.ok_or_else(not_valid)?;
                    self.accept_once(&view, asked, accepting).await
                }
                Err(stop) => Err(stop),
            };
            match accepted {
                Ok(person) => return Ok((name, person)),
                Err(Stop::Problem(problem)) => return Err(problem),
                Err(Stop::Stale) => {}
            }
        }
        Err(crate::busy())
    }

    /// The invitation, if it counts at this moment.
    async fn open_invitation(&self, view: &View, asked: &Acceptance<'_>) -> Result<Invitation, Stop> {
        let now = asked.by.now;
        let found = self.0.store.invitations(view.workspace.id).await?;
        let invitation = found
            .into_iter()
            .find(|invitation| {
                tacit_crypto::ct_eq(&invitation.token, asked.token.as_bytes()) && invitation.expires_at > now
            })
            .ok_or_else(not_valid)?;
        let (_, rights) = view.role(invitation.role);
        let can_give = self.could_give(view, &invitation, now).await?;
        if !can_give.covers(rights) || invitation.until.is_some_and(|end| end <= now) {
            return Err(not_valid().into());
        }
        Ok(invitation)
    }

    /// The person who accepts: the one who is there and has just said their password, or a new one.
    async fn accepting(&self, view: &View, asked: &Acceptance<'_>) -> Result<Accepting, Stop> {
        let now = asked.by.now;
        let invitation = self.open_invitation(view, asked).await?;
        if let Some(known) = self.0.store.user_named(&invitation.name.key()).await? {
            let verified =
                self.verified(known.name.as_str(), asked.password, asked.code, asked.address, now).await?;
            let Ok((user, statements)) = verified else {
                self.record_wrong_acceptance(view, &invitation, asked).await?;
                return Err(wrong().into());
            };
            return Ok(Accepting { user, statements });
        }
        check_password("password", asked.password, invitation.name.as_str())?;
        let user =
            User { id: new_id!(UserId, now), name: invitation.name, instance_admin: false, created_at: now };
        let hash = self.hash_password(asked.password).await?;
        let statements = vec![principals::insert_user(&user), rows::set_password(user.id, &hash, now)];
        Ok(Accepting { user, statements })
    }

    async fn record_wrong_acceptance(
        &self,
        view: &View,
        invitation: &Invitation,
        asked: &Acceptance<'_>,
    ) -> Result<(), Stop> {
        let workspace = view.workspace.id;
        let mut event = self.system_event(workspace, asked.by.now, Verb::MemberAdd, object(invitation));
        event.outcome = Outcome::Denied(RecordedCode::new(Code::Unauthenticated.as_str()));
        event.detail.address = Some(asked.address.to_canonical());
        event.detail.request_id = Some(asked.by.request_id);
        self.0.store.write(Change::new(workspace).record(&event)).await?;
        Ok(())
    }

    async fn accept_once(
        &self,
        view: &View,
        asked: &Acceptance<'_>,
        accepting: Accepting,
    ) -> Result<SecretName, Stop> {
        let (workspace, now, user) = (view.workspace.id, asked.by.now, accepting.user);
        let invitation = self.open_invitation(view, asked).await?;
        if self.0.store.member(workspace, user.id).await?.is_some() {
            return Err(already_member(&user.name).into());
        }
        // Somebody got an account of this name a moment ago, and it is not for this password to say whose it is.
        let known = self.0.store.user_named(&invitation.name.key()).await?;
        if known.is_some_and(|known| known.id != user.id) {
            return Err(wrong().into());
        }
        let mut event = self.system_event(
            workspace,
            now,
            Verb::MemberAdd,
            Object::new(ObjectKind::Member, *user.id.as_bytes(), user.name.as_str()),
        );
        event.actor = Actor::new(ActorKind::User, *user.id.as_bytes(), user.name.as_str());
        event.detail.role = built_in(invitation.role);
        event.detail.request_id = Some(asked.by.request_id);
        let change = Change::new(workspace)
            .only_at(view.revision)
            .bump()
            .and_all(accepting.statements)
            .and(rows::delete_invitation(workspace, invitation.id))
            .and(principals::insert_member(workspace, user.id, invitation.role, invitation.until, now))
            .record(&event);
        self.0.store.write(change).await?;
        Ok(user.name)
    }

    /// What whoever made an invitation could give now, for as long as it says.
    async fn could_give(&self, view: &View, invitation: &Invitation, now: Timestamp) -> Result<Rights, Stop> {
        let (workspace, id) = (view.workspace.id, invitation.inviter);
        let role = match self.0.store.member(workspace, UserId::from_bytes(id)).await? {
            Some(member) => Some((member.role, member.until)),
            None => {
                let account =
                    self.0.store.service_account(workspace, ServiceAccountId::from_bytes(id)).await?;
                account.map(|account| (account.role, None))
            }
        };
        let Some((role, until)) = role else { return Ok(Rights::NONE) };
        if until.is_some_and(|end| end <= now) {
            return Ok(Rights::NONE);
        }
        let held = self.holdings(view, &id, role, until).await?;
        let sum = |counts: &dyn Fn(&Holding) -> bool| {
            let counting = held.iter().filter(|held| held.scope == Scope::WORKSPACE && counts(held));
            counting.fold(Rights::NONE, |sum, held| sum.or(held.rights))
        };
        if !sum(&|held| held.lasts(now, Some(now))).has(Right::MemberManage) {
            return Ok(Rights::NONE);
        }
        Ok(sum(&|held| held.lasts(now, invitation.until)))
    }
}
