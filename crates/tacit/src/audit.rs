//! `audit`: the record.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_api::{Event, EventQuery};

use crate::{
    error::Outcome,
    output::{Output, json_line},
    session::Session,
};

/// Events per request.
const PAGE_ROWS: u32 = 500;

#[derive(Subcommand)]
pub(crate) enum Command {
    List(List),
    Export(Export),
    Verify(Verify),
}

/// Which events.
#[derive(Args)]
struct Filter {
    /// Only by this actor, such as user:owner.
    #[arg(long)]
    actor: Option<String>,
    /// Only of this verb, such as secret.use.
    #[arg(long)]
    verb: Option<String>,
    /// Only about this thing, such as secret:STRIPE_KEY.
    #[arg(long)]
    object: Option<String>,
    /// Only with this outcome: allowed, denied, succeeded or failed.
    #[arg(long)]
    outcome: Option<String>,
    /// Not before this moment, RFC 3339.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this moment, RFC 3339.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// List events, newest first.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit audit list --verb secret.use --outcome denied")]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// How many at most.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Print all events, newest first, one JSON object per line.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit audit export --since 2026-01-01T00:00:00Z > events.jsonl")]
pub(crate) struct Export {
    #[command(flatten)]
    filter: Filter,
}

/// Prove that the record in a data directory is whole. Needs no server and no token.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit audit verify --data ./tacit-data")]
pub(crate) struct Verify {
    /// The data directory.
    #[arg(long, env = "TACIT_DATA", default_value = "./tacit-data", value_name = "DIR")]
    data: PathBuf,
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Export(export) => export.run(session).await,
            Self::Verify(verify) => verify.run(session.out),
        }
    }
}

impl Filter {
    fn query(&self) -> EventQuery {
        EventQuery {
            actor: self.actor.clone(),
            verb: self.verb.clone(),
            object: self.object.clone(),
            outcome: self.outcome.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            ..EventQuery::default()
        }
    }
}

impl List {
    async fn run(self, session: &Session) -> Outcome {
        let mut events: Vec<Event> = Vec::new();
        let mut query = self.filter.query();
        while events.len() < self.limit {
            query.limit = Some(u32::try_from(self.limit - events.len()).unwrap_or(PAGE_ROWS).min(PAGE_ROWS));
            let page = session.workspace().events(&query).await?;
            events.extend(page.items);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        events.truncate(self.limit);
        session.out.list(
            events,
            &["SEQ", "AT", "ACTOR", "VERB", "OBJECT", "OUTCOME", "ENV", "DETAIL"],
            |event| {
                let outcome = match &event.code {
                    Some(code) => format!("{} ({code})", event.outcome),
                    None => event.outcome.clone(),
                };
                let environment = event.environment.clone().unwrap_or_default();
                vec![
                    event.seq.to_string(),
                    event.at.clone(),
                    event.actor.clone(),
                    event.verb.clone(),
                    event.object.clone(),
                    outcome,
                    environment,
                    detail(event),
                ]
            },
        )
    }
}

/// What of the rest is worth a look in a table.
fn detail(event: &Event) -> String {
    let text = |name: &str| match event.details.get(name) {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(value @ serde_json::Value::Number(_)) => Some(value.to_string()),
        _ => None,
    };
    let mut parts = Vec::new();
    parts.extend(text("version").map(|version| format!("version {version}")));
    parts.extend([text("method"), text("target")].into_iter().flatten());
    parts.extend(text("status").map(|status| format!("→ {status}")));
    parts.extend(text("findings").map(|findings| {
        let plural = if findings == "1" { "" } else { "s" };
        format!("{findings} redaction{plural}")
    }));
    parts.extend(event.reason.as_ref().map(|reason| format!("“{reason}”")));
    parts.join(" ")
}

impl Export {
    async fn run(self, session: &Session) -> Outcome {
        let mut query = EventQuery { limit: Some(PAGE_ROWS), ..self.filter.query() };
        loop {
            let page = session.workspace().events(&query).await?;
            page.items.iter().try_for_each(json_line)?;
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                return Ok(());
            }
        }
    }
}

impl Verify {
    /// Reads the files themselves.
    pub(crate) fn run(self, out: Output) -> Outcome {
        let verified = tacit_server::verify_record(&self.data)?;
        let items: Vec<_> = verified
            .into_iter()
            .map(|record| json!({"workspace": record.workspace, "events": record.size, "root": record.root}))
            .collect();
        out.list(items, &["WORKSPACE", "EVENTS", "ROOT", "RECORD"], |item| {
            let text = |name: &str| item[name].as_str().map_or_else(|| item[name].to_string(), str::to_owned);
            vec![text("workspace"), text("events"), text("root"), "whole".to_owned()]
        })
    }
}
