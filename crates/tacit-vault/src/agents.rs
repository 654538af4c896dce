//! Agents' sessions: a principal of its own for a program that a person or an account lets act for them.
//!
//! An agent has of its maker's rights, as they are at each request, those that agents may have at all
//! ([`Rights::AGENT`](tacit_model::Rights::AGENT)): it uses, proposes and automates; it never looks, writes, aims, deletes
//! or manages, and it makes no other agent. Everything it does is on the record under its own name, with whom it acts for
//! beside it, and it may send only so many requests.

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::token::{self, TokenHash, TokenKind, TokenText};
use tacit_model::{AgentSessionId, Code, Problem, Right, SecretName, Timestamp, limits};
use tacit_store::{Change, agent_sessions as rows};

use crate::{Caller, Stop, Vault, access::Access, authorize::require, new_id, settle, settle_change};

/// What an agent's session is asked for with.
#[derive(Clone, Debug)]
pub struct NewAgentSession {
    /// What the agent is called on the record.
    pub name: SecretName,
    /// Seconds until it ends; [`limits::AGENT_SESSION_TTL_SECS_DEFAULT`] if it does not say.
    pub ttl_secs: Option<u64>,
    /// How many requests it may send; [`limits::AGENT_REQUESTS_DEFAULT`] if it does not say.
    pub requests_max: Option<u64>,
}

/// A new session: the only time its token is seen.
pub struct AgentSessionGiven {
    /// The session.
    pub info: AgentSessionInfo,
    /// Its token.
    pub token: TokenText,
}

/// A session as a list shows it.
#[derive(Clone, Debug)]
pub struct AgentSessionInfo {
    /// The id.
    pub id: AgentSessionId,
    /// What the agent is called.
    pub name: SecretName,
    /// For whom it acts.
    pub created_by: String,
    /// How many requests it may send.
    pub requests_max: u64,
    /// How many of them it sent.
    pub requests: u64,
    /// When made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

fn object(id: AgentSessionId, name: &SecretName) -> Object {
    Object::new(ObjectKind::AgentSession, *id.as_bytes(), name.as_str())
}

fn not_found() -> Problem {
    Problem::not_found("agent session").suggest("`tacit agents list` shows those that are open")
}

impl Vault {
    /// Makes a session for an agent that acts for the caller. Its token is in the answer and nowhere else.
    ///
    /// # Errors
    /// `validation_failed`; `forbidden` for an agent; `rate_limited` with too many open sessions.
    pub async fn create_agent_session(
        &self,
        caller: &Caller,
        new: &NewAgentSession,
    ) -> Result<AgentSessionGiven, Problem> {
        let (least, most) = (limits::AGENT_SESSION_TTL_SECS_MIN, limits::AGENT_SESSION_TTL_SECS_MAX);
        if new.ttl_secs.is_some_and(|ttl| !(least..=most).contains(&ttl)) {
            return Err(Problem::invalid("ttl_secs", format!("must be {least} to {most}")));
        }
        if new.requests_max.is_some_and(|max| !(1..=limits::REQUESTS_BUDGET_MAX).contains(&max)) {
            let message = format!("must be 1 to {}", limits::REQUESTS_BUDGET_MAX);
            return Err(Problem::invalid("requests_max", message));
        }
        settle_change!(self, caller, |access| self.create_agent_session_once(&access, caller.token, new))
    }

    async fn create_agent_session_once(
        &self,
        access: &Access,
        creator: TokenHash,
        new: &NewAgentSession,
    ) -> Result<AgentSessionGiven, Stop> {
        let id = new_id!(AgentSessionId, access.now);
        if access.principal.is_agent() {
            let problem = Problem::new(Code::Forbidden, "an agent cannot make another agent")
                .suggest("ask the person or account it acts for to make one");
            let object = object(id, &new.name);
            return Err(self.refuse(access, Verb::AgentSessionCreate, object, problem).await);
        }
        let workspace = access.view.workspace.id;
        let own = access.principal.actor.id;
        let open = self.0.store.open_agent_sessions(workspace, Some(&own), access.now).await?.len();
        if open >= limits::AGENT_SESSIONS_PER_PRINCIPAL_MAX {
            let problem = Problem::new(
                Code::RateLimited,
                format!("you have {open} open agent sessions, which is the limit"),
            )
            .suggest("end those that nobody needs any more: tacit agents list, tacit agents end");
            let object = object(id, &new.name);
            return Err(self.refuse(access, Verb::AgentSessionCreate, object, problem).await);
        }
        let (text, token) = token::generate(TokenKind::AgentSession);
        let ttl_secs = new.ttl_secs.unwrap_or(limits::AGENT_SESSION_TTL_SECS_DEFAULT).cast_signed();
        let row = rows::AgentSession {
            workspace,
            id,
            token: *token.as_bytes(),
            creator: *creator.as_bytes(),
            principal: own,
            created_by: access.principal.actor.to_string(),
            name: new.name.clone(),
            requests_max: new.requests_max.unwrap_or(limits::AGENT_REQUESTS_DEFAULT).cast_signed(),
            created_at: access.now,
            expires_at: access.now.plus_secs(ttl_secs),
            ended_at: None,
        };
        let event = self.event(
            access,
            Verb::AgentSessionCreate,
            object(id, &new.name),
            Outcome::Succeeded,
            Detail::default(),
        );
        self.0.store.write(self.change(access).and(rows::insert(&row)).record(&event)).await?;
        Ok(AgentSessionGiven { info: self.session_info(row), token: text })
    }

    /// Ends a session and the leases it took, at once: one's own, and with `member.manage` everybody's. Ending one that
    /// has ended already is nothing new and no error.
    ///
    /// # Errors
    /// `not_found`; `forbidden` for those who may know of it, but may not end it.
    pub async fn end_agent_session(&self, caller: &Caller, id: AgentSessionId) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let workspace = access.view.workspace.id;
            let Some(row) = self.0.store.agent_session(workspace, id).await? else {
                return Err(not_found().into());
            };
            if row.principal != access.principal.actor.id
                && let Err(problem) = require(access.principal.rights, Right::MemberManage)
            {
                let problem = if access.principal.has(Right::AuditRead) { problem } else { not_found() };
                return Err(self
                    .refuse(&access, Verb::AgentSessionRevoke, object(id, &row.name), problem)
                    .await);
            }
            if row.ended_at.is_some() {
                return Ok(());
            }
            let event = self.event(
                &access,
                Verb::AgentSessionRevoke,
                object(id, &row.name),
                Outcome::Succeeded,
                Detail::default(),
            );
            let change = self.change(&access).bump().and(rows::end(workspace, id, access.now)).record(&event);
            self.0.store.write(self.and_end_leases_of(&access, *id.as_bytes(), change).await?).await?;
            self.0.budgets.forget(id.as_bytes());
            Ok(())
        })
    }

    /// Sessions, open ones first, then newest first: one's own, with `audit.read` everybody's.
    ///
    /// # Errors
    /// `unauthenticated`, `not_found`.
    pub async fn list_agent_sessions(&self, caller: &Caller) -> Result<Vec<AgentSessionInfo>, Problem> {
        settle!(self, caller, |access| async {
            let own = access.principal.actor.id;
            let of = if access.principal.has(Right::AuditRead) { None } else { Some(&own) };
            let workspace = access.view.workspace.id;
            let found = self.0.store.agent_sessions(workspace, of, access.now, limits::PAGE_ROWS_MAX).await?;
            Ok(found.into_iter().map(|row| self.session_info(row)).collect())
        })
    }

    fn session_info(&self, row: rows::AgentSession) -> AgentSessionInfo {
        AgentSessionInfo {
            requests: self.0.budgets.spent(row.id.as_bytes()),
            id: row.id,
            name: row.name,
            created_by: row.created_by,
            requests_max: row.requests_max.unsigned_abs(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
        }
    }

    /// Ends what was open when the process stopped: what the sessions had sent was counted in memory. Returns how many
    /// there were.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn end_abandoned_agent_sessions(&self, now: Timestamp) -> Result<u64, Problem> {
        let mut ended = 0;
        for workspace in self.0.store.workspaces().await.map_err(Problem::internal)? {
            let open =
                self.0.store.open_agent_sessions(workspace.id, None, now).await.map_err(Problem::internal)?;
            if open.is_empty() {
                continue;
            }
            ended += open.len() as u64;
            let mut change = Change::new(workspace.id).bump();
            for row in open {
                let object = object(row.id, &row.name);
                let event = self.system_event(workspace.id, now, Verb::AgentSessionRevoke, object);
                change = change.and(rows::end(workspace.id, row.id, now)).record(&event);
            }
            self.0.store.write(change).await.map_err(Problem::audit_unavailable)?;
        }
        Ok(ended)
    }

    /// Takes one from what an agent may send. A refusal is on the record.
    pub(crate) async fn spend_of_agent(
        &self,
        access: &Access,
        verb: Verb,
        object: Object,
    ) -> Result<(), Stop> {
        let Some(max) = access.principal.requests_max else { return Ok(()) };
        if self.0.budgets.spend(&access.principal.actor.id, max) {
            return Ok(());
        }
        let problem =
            Problem::new(Code::RateLimited, format!("this agent's session has sent its {max} requests"))
                .suggest("have the person it acts for look at what it did (tacit audit list), and make a new session for it");
        Err(self.refuse(access, verb, object, problem).await)
    }
}
