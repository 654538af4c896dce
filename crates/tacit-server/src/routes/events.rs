//! The record.

use axum::{Json as Out, extract::State};
use tacit_api::{Event, EventQuery, Page, Problem as ProblemOut};
use tacit_audit::Verb;
use tacit_model::Problem;
use tacit_vault::EventFilter;

use super::{Answer, cursor, from_cursor, limit};
use crate::{
    app::App,
    extract::{Member, Query},
    time,
};

/// Events, newest first.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/events", tag = "events", params(("workspace" = String, Path), EventQuery), responses((status = 200, body = Page<Event>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<EventQuery>,
) -> Answer<Out<Page<Event>>> {
    let before = from_cursor(query.cursor.as_deref())?
        .map(|seq| seq.parse::<i64>())
        .transpose()
        .map_err(|_| Problem::invalid("cursor", "is not one that a list gave"))?;
    if let Some(verb) = &query.verb {
        check_verb(verb)?;
    }
    if query.outcome.as_deref().is_some_and(|outcome| !OUTCOMES.contains(&outcome)) {
        return Err(Problem::invalid("outcome", format!("must be one of {}", OUTCOMES.join(", "))).into());
    }
    let filter = EventFilter {
        since: time::parse_opt("since", query.since.as_deref())?,
        until: time::parse_opt("until", query.until.as_deref())?,
        actor: query.actor,
        verb: query.verb,
        object: query.object,
        outcome: query.outcome,
        before,
        limit: limit(query.limit)?,
    };
    let (found, next) = app.vault.list_events(&caller, &filter).await?;
    let items = found
        .iter()
        .map(|recorded| {
            let event = Event::from_recorded(recorded.seq, &recorded.event)?;
            Ok::<_, serde_json::Error>(Event { reason: recorded.reason.clone(), ..event })
        })
        .collect::<Result<Vec<_>, _>>();
    Ok(Out(Page {
        items: items.map_err(Problem::internal)?,
        next_cursor: next.map(|seq| cursor(&seq.to_string())),
    }))
}

/// How an event may have ended.
const OUTCOMES: [&str; 4] = ["allowed", "denied", "succeeded", "failed"];

/// A verb that is none would find nothing, and a typing error would read as a clean record.
fn check_verb(written: &str) -> Result<(), Problem> {
    if written.parse::<Verb>().is_ok() {
        return Ok(());
    }
    let noun = written.split('.').next().unwrap_or_default();
    let all = || Verb::ALL.iter().map(|verb| verb.as_str());
    let of_noun: Vec<&str> = all().filter(|verb| verb.split('.').next() == Some(noun)).collect();
    let known = if of_noun.is_empty() { all().collect() } else { of_noun };
    Err(Problem::invalid("verb", format!("is none that the record knows; it has {}", known.join(", "))))
}
