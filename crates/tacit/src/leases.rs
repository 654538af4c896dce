//! `leases`, `agents`: who holds placeholders and sessions now, ending them, and making a session for an agent.

use clap::Subcommand;
use serde_json::json;
use tacit_api::{CreateAgentSession, SessionQuery};

use crate::{
    error::Outcome,
    output::{Output, data, talk},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum LeasesCommand {
    /// List open leases: your own and your agents', everybody's if you may read the record.
    #[command(after_help = "Example:\n  tacit leases list\n  tacit leases list --all")]
    List {
        /// List those too that are over.
        #[arg(long)]
        all: bool,
    },
    /// End a lease, at once: its placeholders are worth nothing from then on.
    #[command(after_help = "Example:\n  tacit leases end lea_0193b5a8")]
    End {
        /// Its id, as `leases list` shows it.
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum AgentsCommand {
    /// List open sessions of agents: those that act for you, everybody's if you may read the record.
    #[command(after_help = "Example:\n  tacit agents list\n  tacit agents list --all")]
    List {
        /// List those too that are over.
        #[arg(long)]
        all: bool,
    },
    /// Make a session for an agent that acts for you, and print its token, this once.
    ///
    /// It has a part of your rights: it finds and uses secrets and writes automations, and never reads a value. `tacit mcp`
    /// makes a session by itself; this is for clients that come in over HTTP, or that are given a token of their own.
    #[command(
        after_help = "Example:\n  tacit agents create triage\n  tacit agents create triage --ttl 3600 --requests-max 100\n  TACIT_TOKEN=$(tacit agents create triage) tacit mcp"
    )]
    Create {
        /// What the agent is called on the record.
        name: String,
        /// Seconds until its session ends, 60 to 86400 [default: 28800].
        #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(60..=86400))]
        ttl: Option<u64>,
        /// How many requests it may send [default: 500].
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
        requests_max: Option<u64>,
    },
    /// End an agent's session, and the leases that it took, at once.
    #[command(after_help = "Example:\n  tacit agents end ags_0193b5a8")]
    End {
        /// Its id, as `agents list` shows it.
        id: String,
    },
}

fn query(all: bool) -> SessionQuery {
    SessionQuery { all: all.then_some(true) }
}

impl LeasesCommand {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        match self {
            Self::List { all } => {
                let found = workspace.leases(&query(all)).await?.items;
                let headers = ["ID", "STATE", "ENV", "SECRETS", "FROM", "BY", "EXPIRES"];
                session.out.list(found, &headers, |lease| {
                    let secrets: Vec<_> = lease.secrets.values().map(String::as_str).collect();
                    vec![
                        lease.id.clone(),
                        lease.state.as_str().to_owned(),
                        lease.environment.clone(),
                        secrets.join(", "),
                        lease.allow_from.join(", "),
                        lease.created_by.clone(),
                        lease.ended_at.clone().unwrap_or_else(|| lease.expires_at.clone()),
                    ]
                })
            }
            Self::End { id } => {
                workspace.end_lease(&id).await?;
                session.out.done(&json!({"id": id}), &format!("{id} has ended"))
            }
        }
    }
}

impl AgentsCommand {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        match self {
            Self::List { all } => {
                let found = workspace.agent_sessions(&query(all)).await?.items;
                session.out.list(found, &["ID", "NAME", "STATE", "FOR", "REQUESTS", "EXPIRES"], |agent| {
                    vec![
                        agent.id.clone(),
                        agent.name.clone(),
                        agent.state.as_str().to_owned(),
                        agent.created_by.clone(),
                        format!("{} of {}", agent.requests, agent.requests_max),
                        agent.ended_at.clone().unwrap_or_else(|| agent.expires_at.clone()),
                    ]
                })
            }
            Self::Create { name, ttl, requests_max } => {
                let new = CreateAgentSession { name, ttl_secs: ttl, requests_max };
                let given = workspace.create_agent_session(&new).await?;
                if session.out == Output::Json {
                    return session.out.json(&given);
                }
                talk(&format!(
                    "{} for {}, until {} and for {} requests; its token is shown this once:",
                    given.id, given.name, given.expires_at, given.requests_max
                ));
                data(&given.token)
            }
            Self::End { id } => {
                workspace.end_agent_session(&id).await?;
                session.out.done(&json!({"id": id}), &format!("{id} has ended, and so have its leases"))
            }
        }
    }
}
