//! Comparison without a look.

use axum::{Json as Out, extract::State};
use tacit_api::{CompareQuery, Comparison, Likeness, Page, Problem as ProblemOut};

use super::{Answer, cursor, environment_in, from_cursor, limit};
use crate::{
    app::App,
    extract::{Member, Query},
};

/// Which secrets have the same value in two environments, and which values are used more than once. On the record, and
/// limited in how often.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/compare", tag = "values", params(("workspace" = String, Path), CompareQuery), responses((status = 200, body = Page<Comparison>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn compare(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<CompareQuery>,
) -> Answer<Out<Page<Comparison>>> {
    let (from, to) = (environment_in("from", &query.from)?, environment_in("to", &query.to)?);
    let after = from_cursor(query.cursor.as_deref())?.unwrap_or_default();
    let (found, next) = app.vault.compare(&caller, &from, &to, &after, limit(query.limit)?).await?;
    let out = found.into_iter().map(|compared| Comparison {
        name: compared.name.to_string(),
        result: match compared.likeness {
            tacit_vault::Likeness::Same => Likeness::Same,
            tacit_vault::Likeness::Different => Likeness::Different,
            tacit_vault::Likeness::Missing => Likeness::Missing,
            tacit_vault::Likeness::Unknown => Likeness::Unknown,
        },
        missing_in: compared.missing_in.iter().map(ToString::to_string).collect(),
        reused_with: compared.reused_with.iter().map(ToString::to_string).collect(),
    });
    Ok(Out(Page { items: out.collect(), next_cursor: next.as_deref().map(cursor) }))
}
