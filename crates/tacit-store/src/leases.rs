//! Leases: placeholders handed out together. Only hashes of them, and of the lease's token, are stored.

use tacit_model::{EnvironmentId, LeaseId, SecretId, Timestamp, WorkspaceId, WorkspaceName};

use crate::{
    ReadError, Statement, Store,
    value::{Row, args},
};

/// A lease.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The id.
    pub id: LeaseId,
    /// SHA-256 of its token.
    pub token: [u8; 32],
    /// SHA-256 of the token that asked for it.
    pub creator: [u8; 32],
    /// The id of whom that token belongs to.
    pub principal: [u8; 16],
    /// The id of the person or account for whom that one acts.
    pub behalf_of: Option<[u8; 16]>,
    /// As the record names its creator.
    pub created_by: String,
    /// For which environment.
    pub environment: EnvironmentId,
    /// `tunnel` or `block`.
    pub other_hosts: String,
    /// Address ranges in CIDR form, separated by commas.
    pub allow_from: String,
    /// Requests it is limited to.
    pub requests_max: Option<i64>,
    /// Seconds that a renewal adds.
    pub ttl_secs: i64,
    /// When made.
    pub created_at: Timestamp,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
    /// When it ends however often it is renewed.
    pub ends_at_latest: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

/// A secret of a lease.
#[derive(Clone, Debug)]
pub struct LeaseSecret {
    /// Under which name the program finds the placeholder.
    pub alias: String,
    /// Which secret it stands for.
    pub secret: SecretId,
    /// SHA-256 of the placeholder.
    pub placeholder: [u8; 32],
}

fn lease(mut row: Row) -> Result<Lease, ReadError> {
    Ok(Lease {
        id: row.take()?,
        token: row.take()?,
        creator: row.take()?,
        principal: row.take()?,
        behalf_of: row.take()?,
        created_by: row.take()?,
        environment: row.take()?,
        other_hosts: row.take()?,
        allow_from: row.take()?,
        requests_max: row.take()?,
        ttl_secs: row.take()?,
        created_at: row.take()?,
        expires_at: row.take()?,
        ends_at_latest: row.take()?,
        ended_at: row.take()?,
    })
}

impl Store {
    /// To which workspace a lease's token belongs, and to which lease there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn lease_of_token(
        &self,
        token: &[u8; 32],
    ) -> Result<Option<(WorkspaceName, LeaseId)>, ReadError> {
        const SQL: &str =
            "SELECT w.name, l.id FROM leases l JOIN workspaces w ON w.id = l.workspace WHERE l.token = ?1";
        let found = self.row(SQL, &args![*token]).await?;
        found.map(|mut row| Ok((row.parse()?, row.take()?))).transpose()
    }

    /// A lease, ended ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn lease(&self, workspace: WorkspaceId, id: LeaseId) -> Result<Option<Lease>, ReadError> {
        const SQL: &str = "SELECT id, token, creator, principal, behalf_of, created_by, environment, other_hosts, allow_from, requests_max,
             ttl_secs, created_at, expires_at, ends_at_latest, ended_at FROM leases WHERE workspace = ?1 AND id = ?2";
        self.row(SQL, &args![workspace, id]).await?.map(lease).transpose()
    }

    /// The secrets of a lease, by alias.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn lease_secrets(
        &self,
        workspace: WorkspaceId,
        lease: LeaseId,
    ) -> Result<Vec<LeaseSecret>, ReadError> {
        const SQL: &str = "SELECT alias, secret, placeholder FROM lease_secrets WHERE workspace = ?1 AND lease = ?2 ORDER BY alias";
        let secret = |mut row: Row| {
            Ok(LeaseSecret { alias: row.take()?, secret: row.take()?, placeholder: row.take()? })
        };
        self.rows(SQL, &args![workspace, lease]).await?.into_iter().map(secret).collect()
    }

    /// Leases, open ones first and newest first: of one principal and of those who act for it, or of everybody.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn leases(
        &self,
        workspace: WorkspaceId,
        of: Option<&[u8; 16]>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Lease>, ReadError> {
        const SQL: &str = "SELECT id, token, creator, principal, behalf_of, created_by, environment, other_hosts, allow_from, requests_max,
             ttl_secs, created_at, expires_at, ends_at_latest, ended_at FROM leases
             WHERE workspace = ?1 AND (?2 IS NULL OR principal = ?2 OR behalf_of = ?2)
             ORDER BY (ended_at IS NOT NULL OR expires_at <= ?3), id DESC LIMIT ?4";
        let args = args![workspace, of.copied(), now, limit as i64];
        self.rows(SQL, &args).await?.into_iter().map(lease).collect()
    }

    /// How many leases of one principal are open.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn open_leases_count(
        &self,
        workspace: WorkspaceId,
        principal: &[u8; 16],
        now: Timestamp,
    ) -> Result<i64, ReadError> {
        const SQL: &str = "SELECT count(*) FROM leases WHERE workspace = ?1 AND principal = ?2 AND ended_at IS NULL AND expires_at > ?3";
        self.row(SQL, &args![workspace, *principal, now]).await?.map_or(Ok(0), |mut row| row.take())
    }

    /// The leases of a workspace that nobody ended and whose time is not over.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn open_leases(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<Vec<LeaseId>, ReadError> {
        const SQL: &str =
            "SELECT id FROM leases WHERE workspace = ?1 AND ended_at IS NULL AND expires_at > ?2 ORDER BY id";
        self.rows(SQL, &args![workspace, now]).await?.into_iter().map(|mut row| row.take()).collect()
    }

    /// How many leases ended before a time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn leases_ended_before(
        &self,
        workspace: WorkspaceId,
        time: Timestamp,
    ) -> Result<i64, ReadError> {
        const SQL: &str =
            "SELECT count(*) FROM leases WHERE workspace = ?1 AND coalesce(ended_at, expires_at) < ?2";
        self.row(SQL, &args![workspace, time]).await?.map_or(Ok(0), |mut row| row.take())
    }
}

/// Makes a lease.
pub fn insert(workspace: WorkspaceId, lease: &Lease, secrets: &[LeaseSecret]) -> Vec<Statement> {
    let mut statements = vec![Statement::new(
        "INSERT INTO leases (workspace, id, token, creator, principal, behalf_of, created_by, environment, other_hosts, allow_from,
         requests_max, ttl_secs, created_at, expires_at, ends_at_latest, ended_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        args![
            workspace,
            lease.id,
            lease.token,
            lease.creator,
            lease.principal,
            lease.behalf_of,
            lease.created_by.as_str(),
            lease.environment,
            lease.other_hosts.as_str(),
            lease.allow_from.as_str(),
            lease.requests_max,
            lease.ttl_secs,
            lease.created_at,
            lease.expires_at,
            lease.ends_at_latest,
            lease.ended_at
        ],
    )];
    statements.extend(secrets.iter().map(|secret| {
        Statement::new(
            "INSERT INTO lease_secrets (workspace, lease, alias, secret, placeholder) VALUES (?1, ?2, ?3, ?4, ?5)",
            args![workspace, lease.id, secret.alias.as_str(), secret.secret, secret.placeholder],
        )
    }));
    statements
}

/// Gives a lease that is open another end.
pub fn renew(workspace: WorkspaceId, id: LeaseId, expires_at: Timestamp) -> Statement {
    Statement::exactly_one(
        "UPDATE leases SET expires_at = ?3 WHERE workspace = ?1 AND id = ?2 AND ended_at IS NULL",
        args![workspace, id, expires_at],
    )
}

/// Ends a lease that nobody ended yet.
pub fn end(workspace: WorkspaceId, id: LeaseId, now: Timestamp) -> Statement {
    Statement::exactly_one(
        "UPDATE leases SET ended_at = ?3 WHERE workspace = ?1 AND id = ?2 AND ended_at IS NULL",
        args![workspace, id, now],
    )
}

/// Forgets the leases that ended before a time.
pub fn delete_ended_before(workspace: WorkspaceId, time: Timestamp) -> [Statement; 2] {
    [
        Statement::new(
            "DELETE FROM lease_secrets WHERE workspace = ?1 AND lease IN
             (SELECT id FROM leases WHERE workspace = ?1 AND coalesce(ended_at, expires_at) < ?2)",
            args![workspace, time],
        ),
        Statement::new(
            "DELETE FROM leases WHERE workspace = ?1 AND coalesce(ended_at, expires_at) < ?2",
            args![workspace, time],
        ),
    ]
}
