//! The life of a value: set, reveal, versions, roll back, disable.

use axum::{Json as Out, extract::State, http::StatusCode};
use serde_json::{Map, Value};
use tacit_api::{
    DryRunQuery, FieldMap, NewVersion, Page, Problem as ProblemOut, PutValue, RevealRequest, Revealed,
    Rollback, VersionInfo, VersionState,
};
use tacit_model::SecretType;
use tacit_vault as vault;

use super::{Answer, environment, named};
use crate::{
    app::App,
    extract::{Json, Member, Path, Query},
    time,
};

type Place = (String, String, String);

/// Writes a new version of a value: the first one, or a rotation. With `dry_run` it is only checked, and the answer is 200.
#[utoipa::path(put, path = "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}", tag = "values", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path), DryRunQuery), request_body = PutValue, responses((status = 201, body = NewVersion), (status = 200, body = NewVersion), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn put(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<Place>,
    Query(query): Query<DryRunQuery>,
    Json(body): Json<PutValue>,
) -> Answer<(StatusCode, Out<NewVersion>)> {
    let dry_run = query.dry_run.unwrap_or(false);
    let (version, warnings) = app
        .vault
        .set_value(
            &caller,
            &named(&name, "secret")?,
            &environment(&env)?,
            &body.fields.0,
            body.reason.as_deref(),
            dry_run,
        )
        .await?;
    Ok((if dry_run { StatusCode::OK } else { StatusCode::CREATED }, Out(NewVersion { version, warnings })))
}

/// Takes a value away in one environment, at once and for good; its versions are destroyed.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}", tag = "values", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<Place>,
) -> Answer<StatusCode> {
    app.vault.delete_value(&caller, &named(&name, "secret")?, &environment(&env)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows the value of a masked secret to someone who holds `secret.reveal`. On the record before it is shown.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/reveal", tag = "values", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), request_body = RevealRequest, responses((status = 200, body = Revealed), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn reveal(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<Place>,
    Json(body): Json<RevealRequest>,
) -> Answer<Out<Revealed>> {
    let shown = app
        .vault
        .reveal(&caller, &named(&name, "secret")?, &environment(&env)?, body.reason.as_deref())
        .await?;
    let mut fields = Map::new();
    for (name, text) in &shown.fields {
        let value = match shown.kind {
            SecretType::Json => {
                serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string()))
            }
            _ => Value::String(text.to_string()),
        };
        fields.insert((*name).to_owned(), value);
    }
    Ok(Out(Revealed {
        fields: FieldMap(fields),
        version: shown.version,
        hide_after_secs: shown.hide_after_secs,
    }))
}

/// The versions of a value, newest first; destroyed ones without more than who wrote them, when and why.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/versions", tag = "values", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), responses((status = 200, body = Page<VersionInfo>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn versions(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<Place>,
) -> Answer<Out<Page<VersionInfo>>> {
    let found = app.vault.list_versions(&caller, &named(&name, "secret")?, &environment(&env)?).await?;
    let out = found.into_iter().map(|version| VersionInfo {
        version: version.version,
        created_at: time::print(version.created_at),
        created_by: version.created_by,
        current: version.state == vault::VersionState::Current,
        state: match version.state {
            vault::VersionState::Current => VersionState::Current,
            vault::VersionState::Kept => VersionState::Kept,
            vault::VersionState::Destroyed => VersionState::Destroyed,
        },
        reason: version.reason,
        destroyed_at: version.destroyed_at.map(time::print),
    });
    Ok(Out(Page::whole(out.collect())))
}

/// Makes an earlier version the current one, as a new version.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/rollback", tag = "values", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), request_body = Rollback, responses((status = 201, body = NewVersion), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn roll_back(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<Place>,
    Json(body): Json<Rollback>,
) -> Answer<(StatusCode, Out<NewVersion>)> {
    let version = app
        .vault
        .roll_back(
            &caller,
            &named(&name, "secret")?,
            &environment(&env)?,
            body.version,
            body.reason.as_deref(),
        )
        .await?;
    Ok((StatusCode::CREATED, Out(NewVersion { version, warnings: Vec::new() })))
}

/// Switches a value off in one environment, at once.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/disable", tag = "values", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn disable(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<Place>,
) -> Answer<StatusCode> {
    app.vault.set_disabled(&caller, &named(&name, "secret")?, Some(&environment(&env)?), true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Switches a value on again.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}/enable", tag = "values", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn enable(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<Place>,
) -> Answer<StatusCode> {
    app.vault.set_disabled(&caller, &named(&name, "secret")?, Some(&environment(&env)?), false).await?;
    Ok(StatusCode::NO_CONTENT)
}
