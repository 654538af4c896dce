//! Service accounts and their tokens.

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::token::{self, TokenHash, TokenKind, TokenText};
use tacit_model::{
    Code, Problem, Right, Role, SecretName, ServiceAccountId, Timestamp, TokenId, WorkspaceName, limits,
};
use tacit_store::principals::{self as rows, ServiceAccount, Token, TokenOwner};

use crate::{
    Caller, Principal, Stop, Vault,
    access::{Access, Owner, unauthenticated},
    authorize::require,
    new_id, settle, settle_change,
};

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
    /// Workspaces and roles.
    pub workspaces: Vec<(WorkspaceName, Principal)>,
}

fn object(account: &ServiceAccount) -> Object {
    Object::new(ObjectKind::ServiceAccount, *account.id.as_bytes(), account.name.as_str())
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
            let caller = Caller { workspace: workspace.name.clone(), token, now, request_id: [0; 16] };
            workspaces.push((workspace.name, Principal::clone(&self.access(&caller).await?.principal)));
        }
        Ok(WhoAmI { kind, name, instance_admin, workspaces })
    }

    /// The workspace's service accounts.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn list_service_accounts(&self, caller: &Caller) -> Result<Vec<ServiceAccount>, Problem> {
        settle!(self, caller, |access| async {
            require(access.principal.rights, Right::MemberManage)?;
            Ok(self.0.store.service_accounts(access.view.workspace.id).await?)
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
        role: Role,
    ) -> Result<ServiceAccount, Problem> {
        settle_change!(self, caller, |access| self.create_service_account_once(&access, name, role))
    }

    async fn create_service_account_once(
        &self,
        access: &Access,
        name: &SecretName,
        role: Role,
    ) -> Result<ServiceAccount, Stop> {
        let account = ServiceAccount {
            id: new_id!(ServiceAccountId, access.now),
            name: name.clone(),
            role,
            created_at: access.now,
        };
        if let Err(problem) = may_manage(access, role) {
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
        let detail = Detail { role: Some(role), ..Detail::default() };
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
        Ok(account)
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
            let statements = rows::delete_service_account(access.view.workspace.id, account.id);
            self.0.store.write(self.change(&access).bump().and_all(statements).record(&event)).await?;
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
        if self.0.store.tokens_of(workspace, account.id).await?.len() >= limits::TOKENS_PER_ACCOUNT_MAX {
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
        self.0
            .store
            .write(self.change(access).bump().and(rows::insert_token(&stored)).record(&event))
            .await?;
        Ok(NewToken { id: stored.id, text, created_at: stored.created_at, expires_at })
    }

    /// A service account's tokens, without their texts.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn list_tokens(&self, caller: &Caller, name: &SecretName) -> Result<Vec<Token>, Problem> {
        settle!(self, caller, |access| async {
            require(access.principal.rights, Right::MemberManage)?;
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

    /// The account a caller may manage: it exists, and its role has no right that the caller lacks.
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
        if let Err(problem) = may_manage(access, account.role) {
            return Err(self.refuse(access, verb, object(&account), problem).await);
        }
        Ok(account)
    }
}

/// Nobody hands out rights that they do not hold.
fn may_manage(access: &Access, role: Role) -> Result<(), Problem> {
    require(access.principal.rights, Right::MemberManage)?;
    if access.principal.rights.covers(role.rights()) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        format!("the role `{}` has rights that you do not hold, so you cannot give it", role.as_str()),
    )
    .suggest("give a smaller role, or ask an owner"))
}
