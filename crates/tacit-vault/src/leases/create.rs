//! Handing out placeholders: the rules of what is asked for, then each secret in the contract's order, then the record.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use tacit_audit::{Detail, Outcome, Verb};
use tacit_crypto::{
    placeholder::generate_placeholder,
    token::{self, TokenHash, TokenKind},
};
use tacit_model::{
    Code, EnvironmentId, Issue, LeaseId, Problem, Right,
    lease::{default_alias, is_alias},
    limits,
};
use tacit_store::leases as rows;

use super::{LeaseGiven, LeaseSecret, LeasedSecret, NewLease, leased, live, object};
use crate::{
    Caller, Stop, Vault,
    access::{Access, Snapshot},
    authorize::{self, require},
    automations::unknown_secret,
    new_id,
    secrets::object_of,
    settle_change,
};

impl Vault {
    /// Hands out placeholders. Token and placeholders are in the answer and nowhere else.
    ///
    /// `source` is the address of whoever asks.
    ///
    /// # Errors
    /// `validation_failed`; then, for each secret and in the contract's order, `forbidden`, `secret_disabled`,
    /// `no_value_in_environment`, `destination_required`; `rate_limited` with too many open leases.
    pub async fn create_lease(
        &self,
        caller: &Caller,
        source: IpAddr,
        new: NewLease,
    ) -> Result<LeaseGiven, Problem> {
        let new = check(new, source)?;
        settle_change!(self, caller, |access| self.create_lease_once(&access, caller.token, &new))
    }

    async fn create_lease_once(
        &self,
        access: &Access,
        creator: TokenHash,
        new: &NewLease,
    ) -> Result<LeaseGiven, Stop> {
        let id = new_id!(LeaseId, access.now);
        let environment = access.environment(&new.environment)?.clone();
        let rights = access.principal.rights_somewhere_in(environment.id, access.now);
        if let Err(problem) = require(rights, Right::SecretUse) {
            return Err(self.refuse(access, Verb::LeaseCreate, object(id), problem).await);
        }
        let workspace = access.view.workspace.id;
        let principal = access.principal.actor.id;
        let open = self.0.store.open_leases_count(workspace, &principal, access.now).await?;
        if open >= limits::LEASES_PER_PRINCIPAL_MAX as i64 {
            let problem = Problem::new(
                Code::RateLimited,
                format!("you have {open} open leases, which is the limit"),
            )
            .suggest("end those that nobody needs any more (tacit leases list, tacit leases end), or wait until they expire");
            return Err(self.refuse(access, Verb::LeaseCreate, object(id), problem).await);
        }
        let mut secrets = Vec::with_capacity(new.secrets.len());
        let mut placeholders = Vec::with_capacity(new.secrets.len());
        for asked in &new.secrets {
            let snapshot = self.leasable(access, environment.id, asked).await?;
            let (text, placeholder) = generate_placeholder(asked.shape);
            let alias = asked.alias.clone().unwrap_or_else(|| default_alias(&asked.name));
            secrets.push(leased(&snapshot, environment.id, alias.clone(), placeholder));
            placeholders.push((alias, text));
        }
        let ttl_secs = new.ttl_secs.unwrap_or(limits::LEASE_TTL_SECS_DEFAULT).cast_signed();
        let (text, token) = token::generate(TokenKind::Lease);
        let row = rows::Lease {
            id,
            token: *token.as_bytes(),
            creator: *creator.as_bytes(),
            principal,
            behalf_of: access.principal.on_behalf_of.as_ref().map(|actor| actor.id),
            created_by: access.principal.actor.to_string(),
            environment: environment.id,
            other_hosts: new.other_hosts.as_str().to_owned(),
            allow_from: new.allow_from.iter().map(IpNet::to_string).collect::<Vec<_>>().join(","),
            requests_max: new.requests_max.map(u64::cast_signed),
            ttl_secs,
            created_at: access.now,
            expires_at: access.now.plus_secs(ttl_secs),
            ends_at_latest: access.now.plus_secs(limits::LEASE_LIFE_SECS_MAX.cast_signed()),
            ended_at: None,
        };
        let row_of = |secret: &LeasedSecret| rows::LeaseSecret {
            alias: secret.alias.clone(),
            secret: secret.secret,
            placeholder: *secret.placeholder.as_bytes(),
        };
        let secret_rows: Vec<_> = secrets.iter().map(row_of).collect();
        let detail = Detail {
            lease: Some(id),
            secrets: secrets.iter().map(|secret| secret.secret).collect(),
            ..Detail::default()
        };
        let mut event = self.event(access, Verb::LeaseCreate, object(id), Outcome::Succeeded, detail);
        event.environment = Some(environment.name);
        let statements = rows::insert(workspace, &row, &secret_rows);
        self.0.store.write(self.change(access).and_all(statements).record(&event)).await?;
        let lease = Arc::new(live::lease_of_row(&access.view, row, secrets)?);
        access.view.leases.keep(id, Arc::clone(&lease));
        Ok(LeaseGiven { lease, token: text, placeholders })
    }

    /// A secret that a lease may have a placeholder for, or a refusal on the record.
    async fn leasable(
        &self,
        access: &Access,
        environment: EnvironmentId,
        asked: &LeaseSecret,
    ) -> Result<Arc<Snapshot>, Stop> {
        let found = self.snapshot_or_deleted(&access.view, &asked.name.key()).await?;
        let Some(snapshot) = found.filter(|found| access.may_name(&found.secret, environment)) else {
            return Err(unknown_secret(&asked.name).into());
        };
        let rights = access.rights_on(&snapshot.secret, Some(environment));
        let Err(problem) = authorize::lease(rights, &snapshot, environment) else {
            return Ok(snapshot);
        };
        let mut event =
            self.event(access, Verb::LeaseCreate, object_of(&snapshot), Outcome::Allowed, Detail::default());
        event.environment = access.environment_named(environment).map(|e| e.name.clone());
        Err(self.refuse_event(access, event, problem).await)
    }
}

/// The rules that need no look at the workspace. Without ranges, the lease is bound to where it was asked for.
fn check(mut new: NewLease, source: IpAddr) -> Result<NewLease, Problem> {
    let mut issues = Vec::new();
    let mut issue = |field: String, message: String| issues.push(Issue::new(field, message));
    if !(1..=limits::LEASE_SECRETS_MAX).contains(&new.secrets.len()) {
        issue("secrets".to_owned(), format!("must be 1 to {}", limits::LEASE_SECRETS_MAX));
    }
    let mut aliases: Vec<String> = Vec::with_capacity(new.secrets.len());
    for (at, secret) in new.secrets.iter().enumerate() {
        let alias = secret.alias.clone().unwrap_or_else(|| default_alias(&secret.name));
        if !is_alias(&alias) {
            let message = "must be the name of a variable: letters, digits and `_`, no digit first";
            issue(format!("secrets[{at}].as"), message.to_owned());
        } else if aliases.contains(&alias) {
            let message = format!("`{alias}` is there twice; give one of the secrets another name with `as`");
            issue(format!("secrets[{at}].as"), message);
        }
        aliases.push(alias);
    }
    let (least, most) = (limits::LEASE_TTL_SECS_MIN, limits::LEASE_TTL_SECS_MAX);
    if new.ttl_secs.is_some_and(|ttl| !(least..=most).contains(&ttl)) {
        issue("ttl_secs".to_owned(), format!("must be {least} to {most}"));
    }
    if new.allow_from.len() > limits::LEASE_SOURCES_MAX {
        issue("allow_from".to_owned(), format!("must be at most {}", limits::LEASE_SOURCES_MAX));
    }
    if new.requests_max.is_some_and(|max| !(1..=limits::REQUESTS_BUDGET_MAX).contains(&max)) {
        issue("requests_max".to_owned(), format!("must be 1 to {}", limits::REQUESTS_BUDGET_MAX));
    }
    if !issues.is_empty() {
        return Err(Problem::invalid_fields(issues));
    }
    if new.allow_from.is_empty() {
        new.allow_from.push(source.to_canonical().into());
    }
    Ok(new)
}
