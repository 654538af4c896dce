//! Variables.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{
    CreateVariable, Page, PageQuery, Problem as ProblemOut, PutVariable, UpdateVariable, Variable,
};
use tacit_model::{Code, Problem};
use tacit_vault::{VariableOverview, VariablePatch};

use super::{
    Answer, Tagged, cursor, environment, environment_in, folder, from_cursor, limit, named, new_name,
};
use crate::{
    app::App,
    extract::{Json, Member, Path, Query},
    precondition::etag,
    time,
};

fn tagged(variable: VariableOverview) -> Tagged<Variable> {
    (etag(&variable.tag), Out(out(variable)))
}

fn out(variable: VariableOverview) -> Variable {
    Variable {
        name: variable.name.to_string(),
        description: variable.description,
        folder: variable.folder.to_string(),
        values: variable
            .values
            .into_iter()
            .map(|(environment, value)| (environment.to_string(), value))
            .collect(),
        created_at: time::print(variable.created_at),
        updated_at: time::print(variable.updated_at),
    }
}

/// Variables by name, with their values.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/variables", tag = "variables", params(("workspace" = String, Path), PageQuery), responses((status = 200, body = Page<Variable>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<PageQuery>,
) -> Answer<Out<Page<Variable>>> {
    let after = from_cursor(query.cursor.as_deref())?.unwrap_or_default();
    let (found, next) = app.vault.list_variables(&caller, &after, limit(query.limit)?).await?;
    Ok(Out(Page { items: found.into_iter().map(out).collect(), next_cursor: next.as_deref().map(cursor) }))
}

/// Makes a variable, with its first values.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/variables", tag = "variables", params(("workspace" = String, Path)), request_body = CreateVariable, responses((status = 201, body = Variable), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<CreateVariable>,
) -> Answer<(StatusCode, Tagged<Variable>)> {
    let mut values = Vec::with_capacity(body.values.len());
    for (environment, value) in body.values {
        values.push((environment_in(&format!("values.{environment}"), &environment)?, value));
    }
    let patch = VariablePatch {
        description: body.description,
        folder: body.folder.as_deref().map(folder).transpose()?,
    };
    let made = app.vault.create_variable(&caller, &new_name("name", &body.name)?, &patch, &values).await?;
    Ok((StatusCode::CREATED, tagged(made)))
}

/// A variable with its values.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/variables/{name}", tag = "variables", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Variable), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn show(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<Tagged<Variable>> {
    Ok(tagged(app.vault.describe_variable(&caller, &named(&name, "variable")?).await?))
}

/// Changes a variable's description or folder.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace}/variables/{name}", tag = "variables", params(("workspace" = String, Path), ("name" = String, Path)), request_body = UpdateVariable, responses((status = 200, body = Variable), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn update(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Json(body): Json<UpdateVariable>,
) -> Answer<Tagged<Variable>> {
    if body.name.is_some() {
        return Err(Problem::new(Code::ImmutableField, "`name` is fixed when a variable is created")
            .suggest("make a new variable and delete the old one")
            .into());
    }
    let patch = VariablePatch {
        // Cleared by `null` as by an empty text.
        description: body.description.map(Option::unwrap_or_default),
        folder: body.folder.map(|text| folder(text.as_deref().unwrap_or_default())).transpose()?,
    };
    Ok(tagged(app.vault.update_variable(&caller, &named(&name, "variable")?, &patch).await?))
}

/// Removes a variable.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/variables/{name}", tag = "variables", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<StatusCode> {
    app.vault.delete_variable(&caller, &named(&name, "variable")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets a variable's value in an environment.
#[utoipa::path(put, path = "/v1/workspaces/{workspace}/variables/{name}/values/{environment}", tag = "variables", params(("workspace" = String, Path), ("name" = String, Path), ("environment" = String, Path)), request_body = PutVariable, responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn put(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name, env)): Path<(String, String, String)>,
    Json(body): Json<PutVariable>,
) -> Answer<StatusCode> {
    app.vault.set_variable(&caller, &named(&name, "variable")?, &environment(&env)?, &body.value).await?;
    Ok(StatusCode::NO_CONTENT)
}
