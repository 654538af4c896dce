//! The life of a value: set, reveal, versions, roll back, disable.

use axum::{Json as Out, extract::State, http::StatusCode};
use serde_json::{Map, Value};
use tacit_api::{
    FieldMap, NewVersion, Page, Problem as ProblemOut, PutValue, RevealRequest, Revealed, Rollback,
    VersionInfo,
};
use tacit_model::SecretType;

use super::{Answer, environment, named};
use crate::{
    app::App,
    extract::{Json, Member, Path},
    time,
};

type Place = (String, String, String);

/// Writes a new version of a value: the first one, or a rotation.
#[utoipa::path(put, path = "/v1/workspaces/{workspace}/secrets/{name}/values/{environment}", tag = "values", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), request_body = PutValue, responses((status = 201, body = NewVersion), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn put(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<Place>,
    Json(body): Json<PutValue>,
) -> Answer<(StatusCode, Out<NewVersion>)> {
    let (version, warnings) = app
        .vault
        .set_value(
            &caller,
            &named(&name, "secret")?,
            &environment(&env)?,
            &body.fields.0,
            body.reason.as_deref(),
        )
        .await?;
    Ok((StatusCode::CREATED, Out(NewVersion { version, warnings })))
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

/// The kept versions of a value, newest first.
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
        current: version.current,
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
    let version =
        app.vault.roll_back(&caller, &named(&name, "secret")?, &environment(&env)?, body.version).await?;
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
