//! Agents' sessions, and the proposals that agents make.

use tacit_api::{
    AgentSession, CreateAgentSession, GivenAgentSession, Page, ProposeSecret, Secret, SessionQuery,
};

use crate::{Error, InWorkspace};

impl InWorkspace<'_> {
    /// Makes a session for an agent that acts for the caller. Its token is in this answer and never again.
    ///
    /// # Errors
    /// `forbidden` for an agent, `validation_failed`, `rate_limited`; see [`Error`].
    pub async fn create_agent_session(&self, new: &CreateAgentSession) -> Result<GivenAgentSession, Error> {
        self.post(&["agent-sessions"])?.json(new)?.answer().await
    }

    /// The sessions one made, without their tokens; everybody's for those who may read the record.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agent_sessions(&self, query: &SessionQuery) -> Result<Page<AgentSession>, Error> {
        self.get(&["agent-sessions"])?.query(query).page().await
    }

    /// Ends a session, and the leases that its agent took, at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn end_agent_session(&self, id: &str) -> Result<(), Error> {
        self.delete(&["agent-sessions", id])?.done().await
    }

    /// Proposes a secret: an empty slot that somebody with `secret.write` fills.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`, `rate_limited`; see [`Error`].
    pub async fn propose_secret(&self, new: &ProposeSecret) -> Result<Secret, Error> {
        self.post(&["proposals"])?.json(new)?.answer().await
    }
}
