//! Service accounts and their tokens.

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::token::{self, TokenHash, TokenKind, TokenText};
use tacit_model::{
    Code, Problem, Right, Rights, Scope, SecretName, ServiceAccountId, Timestamp, TokenId, WorkspaceName,
    limits,
};
use tacit_store::{
    grants,
    principals::{self as rows, ServiceAccount, Token, TokenOwner},
};

use crate::{
    Caller, Principal, Stop, Vault,
    access::{Access, Owner, unauthenticated},
    authorize::require,
    explain::Reason,
    grants::built_in,
    new_id, settle, settle_change,
};

/// A service account as a list shows it.
#[derive(Clone, Debug)]
pub struct ServiceAccountInfo {
    /// The id.
    pub id: ServiceAccountId,
    /// The name.
    pub name: SecretName,
    /// The name of its role.
    pub role: String,
    /// When made.
    pub created_at: Timestamp,
}

/// A new token: the only time its text is seen.
pub struct NewToken {
    /// Its id, by which it is revoked.
    pub id: TokenId,
    /// Its text.
    pub text: TokenText,
    /// When made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Who a token belongs to.
#[derive(Clone, Debug)]
pub struct WhoAmI {
    /// `user`, `service-account` or `agent`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
    /// Whether it may make workspaces.
    pub instance_admin: bool,
    /// Workspaces, roles, and everything that is held there.
    pub workspaces: Vec<(WorkspaceName, Principal, Vec<Reason>)>,
}

fn object(account: &ServiceAccount) -> Object {
    Object::new(ObjectKind::ServiceAccount, *account.id.as_bytes(), account.name.as_str())
}

fn info(access: &Access, account: ServiceAccount) -> ServiceAccountInfo {
    let (role, _) = access.view.role(account.role);
    ServiceAccountInfo { id: account.id, name: account.name, role, created_at: account.created_at }
}

impl Vault {
    /// Who a token belongs to, and where it may do what.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub async fn who_am_i(&self, token: TokenHash, now: Timestamp) -> Result<WhoAmI, Problem> {
        let (owner, _) = self.token_owner(token, now).await?;
        let (kind, name, instance_admin) = match owner {
            Owner::Account(TokenOwner::User(id)) => {
                let user =
                    self.0.store.user(id).await.map_err(Problem::internal)?.ok_or_else(unauthenticated)?;
                ("user", user.name.to_string(), user.instance_admin)
            }
            Owner::Account(TokenOwner::ServiceAccount(workspace, id)) => {
                let account = self
                    .0
                    .store
                    .service_account(workspace, id)
                    .await
                    .map_err(Problem::internal)?
                    .ok_or_else(unauthenticated)?;
                ("service-account", account.name.to_string(), false)
            }
            Owner::Agent(session, _) => ("agent", session.name.to_string(), false),
        };
        let mut workspaces = Vec::new();
        for workspace in self.list_workspaces(token, now).await? {
            let caller = Caller {
                workspace: workspace.name.clone(),
                token,
                now,
                request_id: [0; 16],
                precondition: crate::Precondition::NONE,
            };
            match self.access(&caller).await {
                Ok(access) => {
                    let because = self.own_reasons(&access).await?;
                    workspaces.push((workspace.name, Principal::clone(&access.principal), because));
                }
                // It ended a moment ago, or with whoever an agent acts for.
                Err(problem) if problem.code == Code::NotFound => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(WhoAmI { kind, name, instance_admin, workspaces })
    }

    /// The workspace's service accounts.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn list_service_accounts(&self, caller: &Caller) -> Result<Vec<ServiceAccountInfo>, Problem> {
        settle!(self, caller, |access| async {
            self.may_list(&access, "").await?;
            let found = self.0.store.service_accounts(access.view.workspace.id).await?;
            Ok(found.into_iter().map(|account| info(&access, account)).collect())
        })
    }

    /// Makes a service account.
    ///
    /// # Errors
    /// `forbidden`, also for a role with rights that the caller lacks; `name_taken`.
    pub async fn create_service_account(
        &self,
        caller: &Caller,
        name: &SecretName,
        role: &str,
    ) -> Result<ServiceAccountInfo, Problem> {
        settle_change!(self, caller, |access| self.create_service_account_once(&access, name, role))
    }

    async fn create_service_account_once(
        &self,
        access: &Access,
        name: &SecretName,
        role: &str,
    ) -> Result<ServiceAccountInfo, Stop> {
        let role = access.view.role_named(role)?;
        let account = ServiceAccount {
            id: new_id!(ServiceAccountId, access.now),
            name: name.clone(),
            role,
            created_at: access.now,
        };
        let (role_name, rights) = access.view.role(role);
        if let Err(problem) = may_give(access, &role_name, rights, None) {
            return Err(self.refuse(access, Verb::ServiceAccountCreate, object(&account), problem).await);
        }
        let workspace = access.view.workspace.id;
        if self.0.store.service_account_named(workspace, &name.key()).await?.is_some() {
            return Err(Problem::new(
                Code::NameTaken,
                format!("there is a service account named `{name}` already"),
            )
            .suggest("choose another name")
            .into());
        }
        let detail = Detail { role: built_in(role), ..Detail::default() };
        let event =
            self.event(access, Verb::ServiceAccountCreate, object(&account), Outcome::Succeeded, detail);
        self.0
            .store
            .write(
                self.change(access)
                    .bump()
                    .and(rows::insert_service_account(workspace, &account))
                    .record(&event),
            )
            .await?;
        Ok(info(access, account))
    }

    /// Deletes a service account and ends its tokens at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn delete_service_account(&self, caller: &Caller, name: &SecretName) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let account = self.account(&access, name, Verb::ServiceAccountDelete).await?;
            let event = self.event(
                &access,
                Verb::ServiceAccountDelete,
                object(&account),
                Outcome::Succeeded,
                Detail::default(),
            );
            let workspace = access.view.workspace.id;
            let statements = rows::delete_service_account(workspace, account.id);
            let grants = grants::delete_of(workspace, account.id.as_bytes());
            let change = self.change(&access).bump().and_all(statements).and(grants).record(&event);
            self.0.store.write(change).await?;
            Ok(())
        })
    }

    /// Issues a token. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`.
    pub async fn create_token(
        &self,
        caller: &Caller,
        name: &SecretName,
        expires_at: Option<Timestamp>,
    ) -> Result<NewToken, Problem> {
        if expires_at.is_some_and(|end| end <= caller.now) {
            return Err(Problem::invalid("expires_at", "must be in the future"));
        }
        settle_change!(self, caller, |access| self.create_token_once(&access, name, expires_at))
    }

    async fn create_token_once(
        &self,
        access: &Access,
        name: &SecretName,
        expires_at: Option<Timestamp>,
    ) -> Result<NewToken, Stop> {
        let account = self.account(access, name, Verb::TokenCreate).await?;
        let workspace = access.view.workspace.id;
        let tokens = self.0.store.tokens_of(workspace, account.id).await?;
        let has_ended = |token: &&Token| token.expires_at.is_some_and(|end| end <= access.now);
        let ended: Vec<&Token> = tokens.iter().filter(has_ended).collect();
        if tokens.len() - ended.len() >= limits::TOKENS_PER_ACCOUNT_MAX {
            let message = format!(
                "has {} tokens, which is the limit; revoke one first",
                limits::TOKENS_PER_ACCOUNT_MAX
            );
            return Err(Problem::invalid("service_account", message).into());
        }
        let (text, hash) = token::generate(TokenKind::ServiceAccount);
        let stored = Token {
            id: new_id!(TokenId, access.now),
            hash: *hash.as_bytes(),
            owner: TokenOwner::ServiceAccount(workspace, account.id),
            created_at: access.now,
            expires_at,
        };
        let event =
            self.event(access, Verb::TokenCreate, object(&account), Outcome::Succeeded, Detail::default());
        // What has ended stays on the list until there is no room for it.
        let room = limits::TOKENS_PER_ACCOUNT_MAX.saturating_sub(tokens.len() + 1);
        let forgotten = if room == 0 { ended } else { Vec::new() };
        let forgotten = forgotten.iter().map(|token| rows::delete_token(workspace, account.id, token.id));
        let change = self.change(access).bump().and_all(forgotten).and(rows::insert_token(&stored));
        self.0.store.write(change.record(&event)).await?;
        Ok(NewToken { id: stored.id, text, created_at: stored.created_at, expires_at })
    }

    /// A service account's tokens, without their texts.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn list_tokens(&self, caller: &Caller, name: &SecretName) -> Result<Vec<Token>, Problem> {
        settle!(self, caller, |access| async {
            self.may_list(&access, name.as_str()).await?;
            let found = self.0.store.service_account_named(access.view.workspace.id, &name.key()).await?;
            let account = found.ok_or_else(|| Problem::not_found("service account"))?;
            Ok(self.0.store.tokens_of(access.view.workspace.id, account.id).await?)
        })
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn revoke_token(&self, caller: &Caller, name: &SecretName, id: TokenId) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let account = self.account(&access, name, Verb::TokenRevoke).await?;
            let workspace = access.view.workspace.id;
            if !self.0.store.tokens_of(workspace, account.id).await?.iter().any(|token| token.id == id) {
                return Err(Problem::not_found("token").into());
            }
            let event = self.event(
                &access,
                Verb::TokenRevoke,
                object(&account),
                Outcome::Succeeded,
                Detail::default(),
            );
            self.0
                .store
                .write(
                    self.change(&access)
                        .bump()
                        .and(rows::delete_token(workspace, account.id, id))
                        .record(&event),
                )
                .await?;
            Ok(())
        })
    }

    /// Whether accounts and their tokens may be looked at, or a refusal on the record.
    async fn may_list(&self, access: &Access, name: &str) -> Result<(), Stop> {
        let Err(problem) = require(access.principal.rights, Right::MemberManage) else { return Ok(()) };
        let object = Object::new(ObjectKind::ServiceAccount, [0; 16], name);
        Err(self.refuse(access, Verb::AccessExplain, object, problem).await)
    }

    /// The account a caller may manage: it exists, and holds nothing, by its role or by a grant, that the caller lacks there.
    /// Whoever could make a token for an account could act as it.
    async fn account(&self, access: &Access, name: &SecretName, verb: Verb) -> Result<ServiceAccount, Stop> {
        if let Err(problem) = require(access.principal.rights, Right::MemberManage) {
            return Err(self
                .refuse(
                    access,
                    verb,
                    Object::new(ObjectKind::ServiceAccount, [0; 16], name.as_str()),
                    problem,
                )
                .await);
        }
        let found = self.0.store.service_account_named(access.view.workspace.id, &name.key()).await?;
        let account = found.ok_or_else(|| Problem::not_found("service account"))?;
        for held in self.holdings(&access.view, account.id.as_bytes(), account.role, None).await? {
            let has_ended = held.until.is_some_and(|end| end <= access.now);
            let own = access.principal.rights_to_give(&held.scope, held.until, access.now);
            if !has_ended && !own.covers(held.rights) {
                let problem = not_above(&held.role_name);
                return Err(self.refuse(access, verb, object(&account), problem).await);
            }
        }
        Ok(account)
    }
}

/// Nobody hands out rights that they do not hold in the whole workspace for as long.
pub(crate) fn may_give(
    access: &Access,
    role_name: &str,
    rights: Rights,
    until: Option<Timestamp>,
) -> Result<(), Problem> {
    require(access.principal.rights, Right::MemberManage)?;
    let own = access.principal.rights_to_give(&Scope::WORKSPACE, until, access.now);
    if own.covers(rights) { Ok(()) } else { Err(not_above(role_name)) }
}

pub(crate) fn not_above(role: &str) -> Problem {
    Problem::new(
        Code::Forbidden,
        format!("the role `{role}` has rights that you do not hold there for as long, so you cannot give it or act on who has it"),
    )
    .suggest("give a smaller role, or ask an owner")
}
