//! An agent's session with a server, and all that a tool may ask of one.
//!
//! The person's token opens the session and ends it; in between, only the session's own token is used. No call here
//! answers with a value.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;
use tacit_api::{
    CreateAgentSession, Environment, ProposeSecret, Published, Run, Secret, SecretQuery, SendRequest,
    SentResponse, StartRun,
};
use tacit_client::{Client, DefinitionFormat, Error, InWorkspace};
use tacit_model::SecretName;
use tokio::sync::OnceCell;

use crate::Refusal;

/// What every token of an agent's session begins with.
const AGENT_TOKEN: &str = "tct_ag_";
/// What an agent is called that does not say.
const NAMELESS: &str = "mcp-client";

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The workspace.
    pub workspace: String,
    /// The environment in which tools work unless they are told another; never a protected one.
    pub environment: String,
    /// What the agent is called on the record; the client's own name unless said.
    pub name: Option<String>,
    /// Seconds until the session ends; the server's choice unless said.
    pub ttl_secs: Option<u64>,
    /// How many requests it may send; the server's choice unless said.
    pub requests_max: Option<u64>,
}

/// One client's session. It is opened when it is first needed and ended once. Has no `Debug`: it holds tokens.
pub struct Session {
    person: Client,
    /// Whether the token that was given is an agent's already.
    given: bool,
    settings: Settings,
    client_name: OnceLock<String>,
    opened: OnceCell<Opened>,
    ended: AtomicBool,
}

struct Opened {
    agent: Agent,
    /// Absent if the token was given: then whoever made the session ends it.
    id: Option<String>,
}

impl Session {
    /// A session for whoever holds this token. Sends nothing yet.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn new(client: &Client, token: &str, settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            person: client.with_token(token)?,
            given: token.starts_with(AGENT_TOKEN),
            settings,
            client_name: OnceLock::new(),
            opened: OnceCell::new(),
            ended: AtomicBool::new(false),
        })
    }

    /// What the client calls itself; the first name counts.
    pub(crate) fn introduce(&self, client_name: &str) {
        let _ = self.client_name.set(client_name.to_owned());
    }

    /// The agent, after exchanging the token if that did not happen yet. A session is opened once: one that has expired
    /// stays expired.
    ///
    /// # Errors
    /// Whatever the server says to the exchange, and `unauthenticated` after the end.
    pub(crate) async fn agent(&self) -> Result<&Agent, Refusal> {
        if self.ended.load(Ordering::Acquire) {
            return Err(over("it was ended"));
        }
        let opened = self.opened.get_or_try_init(|| self.open()).await?;
        if self.ended.load(Ordering::Acquire) {
            // It was ended while it was being opened, when there was nothing to end yet.
            self.end().await;
            return Err(over("it was ended"));
        }
        Ok(&opened.agent)
    }

    async fn open(&self) -> Result<Opened, Refusal> {
        let settings = &self.settings;
        let agent = |client| Agent {
            client,
            workspace: settings.workspace.clone(),
            environment: settings.environment.clone(),
            until: None,
        };
        if self.given {
            return Ok(Opened { agent: agent(self.person.clone()), id: None });
        }
        let new = CreateAgentSession {
            name: agent_name(
                settings.name.as_ref().or_else(|| self.client_name.get()).map_or(NAMELESS, String::as_str),
            ),
            ttl_secs: settings.ttl_secs,
            requests_max: settings.requests_max,
        };
        let made = self.person.workspace(&settings.workspace).create_agent_session(&new).await?;
        let client = self.person.with_token(&made.token)?;
        Ok(Opened { agent: Agent { until: Some(made.expires_at), ..agent(client) }, id: Some(made.id) })
    }

    /// Ends the session, if there is one to end. A server that is gone has ended it already.
    pub async fn end(&self) {
        self.ended.store(true, Ordering::Release);
        if let Some(Opened { id: Some(id), .. }) = self.opened.get() {
            let _ = self.person.workspace(&self.settings.workspace).end_agent_session(id).await;
        }
    }
}

/// A name that the server takes, whatever a client calls itself.
fn agent_name(text: &str) -> String {
    let cleaned: String = text
        .chars()
        .map(|c| if c.is_control() || "\"'`\\/{}".contains(c) { '-' } else { c })
        .take(64)
        .collect();
    let cleaned = cleaned.trim();
    match cleaned.parse::<SecretName>() {
        Ok(name) => name.to_string(),
        Err(_) => NAMELESS.to_owned(),
    }
}

fn over(how: &str) -> Refusal {
    Refusal::new("unauthenticated", format!("this agent's session is over: {how}")).suggest(
        "it is not renewed by itself: tell the person, who can connect again for a new one or look at what was done \
         with `tacit audit list`",
    )
}

/// What a tool may ask of a server.
pub(crate) struct Agent {
    client: Client,
    workspace: String,
    environment: String,
    until: Option<String>,
}

impl Agent {
    fn at(&self) -> InWorkspace<'_> {
        self.client.workspace(&self.workspace)
    }

    /// A refusal in words that fit an agent.
    fn refusal(&self, error: Error) -> Refusal {
        let refusal = Refusal::from(error);
        if refusal.code != "unauthenticated" {
            return refusal;
        }
        let how = match &self.until {
            Some(until) => format!(
                "it expired (it was to end at {until}), was ended, or the person it acts for lost their access"
            ),
            None => "its token has ended".to_owned(),
        };
        Refusal { request_id: refusal.request_id, ..over(&how) }
    }

    /// One page of the secrets.
    pub(crate) async fn secrets(
        &self,
        query: &SecretQuery,
    ) -> Result<(Vec<Secret>, Option<String>), Refusal> {
        let page = self.at().secrets(query).await.map_err(|error| self.refusal(error))?;
        Ok((page.items, page.next_cursor))
    }

    /// One secret's metadata.
    pub(crate) async fn secret(&self, name: &str) -> Result<Secret, Refusal> {
        self.at().secret(name).await.map_err(|error| self.refusal(error))
    }

    /// The environments of the workspace.
    pub(crate) async fn environments(&self) -> Result<Vec<Environment>, Refusal> {
        Ok(self.at().environments().await.map_err(|error| self.refusal(error))?.items)
    }

    /// The environment to work in: the one that was named, else the default, unless that one is protected.
    pub(crate) async fn environment(&self, named: Option<String>) -> Result<String, Refusal> {
        if let Some(named) = named {
            return Ok(named);
        }
        let all = self.environments().await?;
        if all.iter().any(|environment| environment.protected && environment.name == self.environment) {
            return Err(Refusal::new(
                "validation_failed",
                format!("`{}` is a protected environment and has to be named in each call", self.environment),
            )
            .suggest("set `environment`, after asking the person whether it is meant"));
        }
        Ok(self.environment.clone())
    }

    /// One sealed request.
    pub(crate) async fn send(&self, request: &SendRequest) -> Result<SentResponse, Refusal> {
        self.at().send(request).await.map_err(|error| self.refusal(error))
    }

    /// Publishes a definition, or only checks it.
    pub(crate) async fn apply(
        &self,
        name: &str,
        definition: &Value,
        dry_run: bool,
    ) -> Result<Published, Refusal> {
        let text = definition.to_string();
        let applied = self.at().apply_automation(name, DefinitionFormat::Json, text, dry_run).await;
        applied.map_err(|error| self.refusal(error))
    }

    /// Starts a run and waits for its end.
    pub(crate) async fn start_run(
        &self,
        name: &str,
        start: &StartRun,
        wait_secs: u64,
    ) -> Result<Run, Refusal> {
        self.at().start_run(name, start, wait_secs).await.map_err(|error| self.refusal(error))
    }

    /// One run.
    pub(crate) async fn run(&self, id: &str) -> Result<Run, Refusal> {
        self.at().run(id).await.map_err(|error| self.refusal(error))
    }

    /// An empty slot.
    pub(crate) async fn propose(&self, proposal: &ProposeSecret) -> Result<Secret, Refusal> {
        self.at().propose_secret(proposal).await.map_err(|error| self.refusal(error))
    }

    /// Per environment of the workspace: whether a secret has a value there that can be used.
    pub(crate) async fn states(&self, secret: &Secret) -> Result<BTreeMap<String, &'static str>, Refusal> {
        Ok(states(secret, &self.environments().await?))
    }
}

/// `set`, `disabled` or `missing` for each environment.
pub(crate) fn states(secret: &Secret, environments: &[Environment]) -> BTreeMap<String, &'static str> {
    let state = |environment: &Environment| match secret.environments.get(&environment.name) {
        None => "missing",
        Some(value) if value.disabled => "disabled",
        Some(_) => "set",
    };
    environments.iter().map(|environment| (environment.name.clone(), state(environment))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a client calls itself, the record gets a name.
    #[test]
    fn names_of_agents() {
        assert_eq!(agent_name("some-client"), "some-client");
        assert_eq!(agent_name(" My \"IDE\"/{1}\n"), "My -IDE---1--");
        assert_eq!(agent_name(""), NAMELESS);
        assert_eq!(agent_name(".."), NAMELESS);
        assert_eq!(agent_name(&"x".repeat(500)).len(), 64);
    }
}
