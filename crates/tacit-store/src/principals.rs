//! People, service accounts, memberships and tokens.

use tacit_model::{RoleRef, SecretName, ServiceAccountId, Timestamp, TokenId, UserId, WorkspaceId};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name, unique in the instance.
    pub name: SecretName,
    /// Whether this person sets instance policy and makes workspaces.
    pub instance_admin: bool,
    /// When added.
    pub created_at: Timestamp,
}

/// A person in a workspace.
#[derive(Clone, Debug)]
pub struct Member {
    /// The person.
    pub user: UserId,
    /// The person's name.
    pub name: SecretName,
    /// The person's role here.
    pub role: RoleRef,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A machine's account in a workspace.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    /// The id.
    pub id: ServiceAccountId,
    /// The name, unique in the workspace.
    pub name: SecretName,
    /// Its role.
    pub role: RoleRef,
    /// When made.
    pub created_at: Timestamp,
}

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOwner {
    /// A person's.
    User(UserId),
    /// A service account's, in its workspace.
    ServiceAccount(WorkspaceId, ServiceAccountId),
}

/// What is kept of a token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// Whose it is.
    pub owner: TokenOwner,
    /// When made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

fn token(mut row: Row) -> Result<Token, ReadError> {
    let (id, hash) = (row.take()?, row.take()?);
    let (user, workspace, account) = (row.take()?, row.take()?, row.take()?);
    let owner = match (user, workspace, account) {
        (Some(user), _, _) => TokenOwner::User(user),
        (None, Some(workspace), Some(account)) => TokenOwner::ServiceAccount(workspace, account),
        _ => return Err(ReadError("a token belongs to nobody".to_owned())),
    };
    Ok(Token { id, hash, owner, created_at: row.take()?, expires_at: row.take()? })
}

impl Store {
    /// The token with this hash.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn token(&self, hash: &[u8; 32]) -> Result<Option<Token>, ReadError> {
        const SQL: &str = "SELECT id, hash, user_id, workspace, service_account, created_at, expires_at FROM tokens WHERE hash = ?1";
        self.row(SQL, &args![&hash[..]]).await?.map(token).transpose()
    }

    /// A service account's tokens, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tokens_of(
        &self,
        workspace: WorkspaceId,
        account: ServiceAccountId,
    ) -> Result<Vec<Token>, ReadError> {
        const SQL: &str =
            "SELECT id, hash, user_id, workspace, service_account, created_at, expires_at FROM tokens
             WHERE workspace = ?1 AND service_account = ?2 ORDER BY created_at, id";
        self.rows(SQL, &args![workspace, account]).await?.into_iter().map(token).collect()
    }

    /// The tokens that belong to a person without a session, oldest first: those of set-up.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tokens_of_user(&self, user: UserId) -> Result<Vec<Token>, ReadError> {
        const SQL: &str =
            "SELECT id, hash, user_id, workspace, service_account, created_at, expires_at FROM tokens
             WHERE user_id = ?1 ORDER BY created_at, id";
        self.rows(SQL, &args![user]).await?.into_iter().map(token).collect()
    }

    /// The person who administers the instance: whom set-up made.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn instance_admin(&self) -> Result<Option<User>, ReadError> {
        const SQL: &str = "SELECT id, name, instance_admin, created_at FROM users
             WHERE instance_admin ORDER BY created_at, id LIMIT 1";
        self.row(SQL, &args![]).await?.map(user).transpose()
    }

    /// A person.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, ReadError> {
        const SQL: &str = "SELECT id, name, instance_admin, created_at FROM users WHERE id = ?1";
        self.row(SQL, &args![id]).await?.map(user).transpose()
    }

    /// A person by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn user_named(&self, name_key: &str) -> Result<Option<User>, ReadError> {
        const SQL: &str = "SELECT id, name, instance_admin, created_at FROM users WHERE name_key = ?1";
        self.row(SQL, &args![name_key]).await?.map(user).transpose()
    }

    /// A person's membership of a workspace.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn member(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Member>, ReadError> {
        const SQL: &str =
            "SELECT u.id, u.name, m.role, m.created_at, m.until FROM members m JOIN users u ON u.id = m.user_id
             WHERE m.workspace = ?1 AND m.user_id = ?2";
        self.row(SQL, &args![workspace, user]).await?.map(member).transpose()
    }

    /// The members of a workspace.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn members(&self, workspace: WorkspaceId) -> Result<Vec<Member>, ReadError> {
        const SQL: &str =
            "SELECT u.id, u.name, m.role, m.created_at, m.until FROM members m JOIN users u ON u.id = m.user_id
             WHERE m.workspace = ?1 ORDER BY u.name_key";
        self.rows(SQL, &args![workspace]).await?.into_iter().map(member).collect()
    }

    /// The workspaces a person is a member of.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn workspaces_of(&self, user: UserId) -> Result<Vec<WorkspaceId>, ReadError> {
        const SQL: &str = "SELECT workspace FROM members WHERE user_id = ?1";
        self.rows(SQL, &args![user]).await?.into_iter().map(|mut row| row.take()).collect()
    }

    /// A service account.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn service_account(
        &self,
        workspace: WorkspaceId,
        id: ServiceAccountId,
    ) -> Result<Option<ServiceAccount>, ReadError> {
        const SQL: &str =
            "SELECT id, name, role, created_at FROM service_accounts WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(account).transpose()
    }

    /// A service account by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn service_account_named(
        &self,
        workspace: WorkspaceId,
        name_key: &str,
    ) -> Result<Option<ServiceAccount>, ReadError> {
        const SQL: &str =
            "SELECT id, name, role, created_at FROM service_accounts WHERE workspace = ?1 AND name_key = ?2";
        self.row(SQL, &args![workspace, name_key]).await?.map(account).transpose()
    }

    /// The service accounts of a workspace.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn service_accounts(&self, workspace: WorkspaceId) -> Result<Vec<ServiceAccount>, ReadError> {
        const SQL: &str =
            "SELECT id, name, role, created_at FROM service_accounts WHERE workspace = ?1 ORDER BY name_key";
        self.rows(SQL, &args![workspace]).await?.into_iter().map(account).collect()
    }
}

fn user(mut row: Row) -> Result<User, ReadError> {
    Ok(User { id: row.take()?, name: row.parse()?, instance_admin: row.take()?, created_at: row.take()? })
}

fn member(mut row: Row) -> Result<Member, ReadError> {
    Ok(Member {
        user: row.take()?,
        name: row.parse()?,
        role: row.parse()?,
        created_at: row.take()?,
        until: row.take()?,
    })
}

fn account(mut row: Row) -> Result<ServiceAccount, ReadError> {
    Ok(ServiceAccount { id: row.take()?, name: row.parse()?, role: row.parse()?, created_at: row.take()? })
}

/// Adds a person to the instance.
pub fn insert_user(user: &User) -> Statement {
    Statement::new(
        "INSERT INTO users (id, name, name_key, instance_admin, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        args![user.id, user.name.as_str(), user.name.key(), user.instance_admin, user.created_at],
    )
}

/// Makes a person a member of a workspace.
pub fn insert_member(
    workspace: WorkspaceId,
    user: UserId,
    role: RoleRef,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Statement {
    Statement::new(
        "INSERT INTO members (workspace, user_id, role, created_at, until) VALUES (?1, ?2, ?3, ?4, ?5)",
        args![workspace, user, role.to_string(), now, until],
    )
}

/// Gives a member another role or another end.
pub fn update_member(
    workspace: WorkspaceId,
    user: UserId,
    role: RoleRef,
    until: Option<Timestamp>,
) -> Statement {
    Statement::exactly_one(
        "UPDATE members SET role = ?3, until = ?4 WHERE workspace = ?1 AND user_id = ?2",
        args![workspace, user, role.to_string(), until],
    )
}

/// Takes a person out of a workspace.
pub fn delete_member(workspace: WorkspaceId, user: UserId) -> Statement {
    Statement::exactly_one(
        "DELETE FROM members WHERE workspace = ?1 AND user_id = ?2",
        args![workspace, user],
    )
}

/// Makes a service account.
pub fn insert_service_account(workspace: WorkspaceId, account: &ServiceAccount) -> Statement {
    Statement::new(
        "INSERT INTO service_accounts (workspace, id, name, name_key, role, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        args![
            workspace,
            account.id,
            account.name.as_str(),
            account.name.key(),
            account.role.to_string(),
            account.created_at
        ],
    )
}

/// Deletes a service account together with its tokens.
pub fn delete_service_account(workspace: WorkspaceId, id: ServiceAccountId) -> [Statement; 2] {
    [
        Statement::new(
            "DELETE FROM tokens WHERE workspace = ?1 AND service_account = ?2",
            args![workspace, id],
        ),
        Statement::exactly_one(
            "DELETE FROM service_accounts WHERE workspace = ?1 AND id = ?2",
            args![workspace, id],
        ),
    ]
}

/// Keeps a token's hash.
pub fn insert_token(token: &Token) -> Statement {
    let (user, workspace, account) = match token.owner {
        TokenOwner::User(user) => (Some(user), None, None),
        TokenOwner::ServiceAccount(workspace, account) => (None, Some(workspace), Some(account)),
    };
    Statement::new(
        "INSERT INTO tokens (hash, id, user_id, workspace, service_account, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        args![&token.hash[..], token.id, user, workspace, account, token.created_at, token.expires_at],
    )
}

/// Ends a service account's token.
pub fn delete_token(workspace: WorkspaceId, account: ServiceAccountId, id: TokenId) -> Statement {
    Statement::exactly_one(
        "DELETE FROM tokens WHERE workspace = ?1 AND service_account = ?2 AND id = ?3",
        args![workspace, account, id],
    )
}

/// Ends a token that belongs to a person without a session.
pub fn delete_token_of_user(user: UserId, id: TokenId) -> Statement {
    Statement::exactly_one("DELETE FROM tokens WHERE user_id = ?1 AND id = ?2", args![user, id])
}
