//! Secrets, without their values.

use axum::{Json as Out, extract::State, http::StatusCode};
use tacit_api::{
    CreateSecret, DeleteQuery, Deleted, Destination, DryRunQuery, ObservedUse, Page, Problem as ProblemOut,
    Secret, SecretQuery, SecretState, UpdateSecret, Usage, UsingAutomation, UsingField, ValueState,
};
use tacit_model::{Code, Fields, Issue, Problem, SecretType, Visibility};
use tacit_vault::{NewSecret, Reminder, SecretFilter, SecretOverview, SecretPatch};

use super::{
    Answer, Tagged, cursor, destinations, environment_in, folder, from_cursor, limit, named, new_name,
};
use crate::{
    app::App,
    extract::{Json, Member, Path, Query},
    precondition::etag,
    time,
};

pub(crate) fn out(overview: SecretOverview) -> Secret {
    let SecretOverview { secret, values, warnings, reminder, tag: _ } = overview;
    let state = match (secret.deleted_at, secret.disabled, secret.proposed, reminder) {
        (Some(_), ..) => SecretState::Deleted,
        (None, true, ..) => SecretState::Disabled,
        (None, false, true, _) => SecretState::Proposed,
        (None, false, false, None) => SecretState::Active,
        (None, false, false, Some(Reminder::Due)) => SecretState::Due,
        (None, false, false, Some(Reminder::Overdue)) => SecretState::Overdue,
        (None, false, false, Some(Reminder::Expired)) => SecretState::Expired,
    };
    let value = |value: tacit_vault::ValueOverview| {
        let state = ValueState {
            version: value.version,
            set_at: time::print(value.set_at),
            disabled: value.disabled,
            fields: value.shown,
        };
        (value.environment.to_string(), state)
    };
    Secret {
        name: secret.name.to_string(),
        kind: secret.kind.as_str().to_owned(),
        visibility: secret.visibility.as_str().to_owned(),
        description: secret.description,
        folder: secret.folder.to_string(),
        state,
        system: false,
        destinations: secret.destinations.0.iter().filter_map(destination_out).collect(),
        suggested_destinations: secret.suggested_destinations.0.iter().filter_map(destination_out).collect(),
        environments: values.into_iter().map(value).collect(),
        rotate_every_days: secret.rotate_every_days,
        rotate_at: secret.rotate_at.map(time::print),
        expires_at: secret.expires_at.map(time::print),
        created_at: time::print(secret.created_at),
        created_by: secret.created_by,
        updated_at: time::print(secret.updated_at),
        deleted_at: secret.deleted_at.map(time::print),
        warnings,
    }
}

fn tagged(overview: SecretOverview) -> Tagged<Secret> {
    (etag(&overview.tag), Out(out(overview)))
}

pub(super) fn destination_out(destination: &tacit_model::Destination) -> Option<Destination> {
    serde_json::from_value(serde_json::to_value(destination).ok()?).ok()
}

pub(super) fn kind(text: &str) -> Result<SecretType, Problem> {
    text.parse().map_err(|()| {
        let known = SecretType::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        Problem::invalid("type", format!("is not a type of secret; there are {known}"))
    })
}

pub(super) fn visibility(text: &str) -> Result<Visibility, Problem> {
    text.parse().map_err(|()| Problem::invalid("visibility", "must be restricted or masked"))
}

/// Secrets by name. Values are never in it.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/secrets", tag = "secrets", params(("workspace" = String, Path), SecretQuery), responses((status = 200, body = Page<Secret>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<SecretQuery>,
) -> Answer<Out<Page<Secret>>> {
    let filter = SecretFilter {
        search: query.search,
        kind: query.kind.as_deref().map(kind).transpose()?,
        folder: query.folder,
        environment: query
            .environment
            .as_deref()
            .map(|name| environment_in("environment", name))
            .transpose()?,
        disabled: match query.state {
            Some(SecretState::Disabled) => Some(true),
            Some(SecretState::Deleted) | None => None,
            Some(_) => Some(false),
        },
        proposed: match query.state {
            Some(SecretState::Proposed) => Some(true),
            Some(SecretState::Disabled | SecretState::Deleted) | None => None,
            Some(_) => Some(false),
        },
        reminder: match query.state {
            Some(SecretState::Active) => Some(None),
            Some(SecretState::Due) => Some(Some(Reminder::Due)),
            Some(SecretState::Overdue) => Some(Some(Reminder::Overdue)),
            Some(SecretState::Expired) => Some(Some(Reminder::Expired)),
            Some(SecretState::Disabled | SecretState::Deleted | SecretState::Proposed) | None => None,
        },
        deleted: query.state == Some(SecretState::Deleted),
        after: from_cursor(query.cursor.as_deref())?,
        limit: limit(query.limit)?,
    };
    let (found, next) = app.vault.list_secrets(&caller, &filter).await?;
    Ok(Out(Page { items: found.into_iter().map(out).collect(), next_cursor: next.as_deref().map(cursor) }))
}

/// Makes a secret, with its first values. With `dry_run` it is only checked, and the answer is 200.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/secrets", tag = "secrets", params(("workspace" = String, Path), DryRunQuery), request_body = CreateSecret, responses((status = 201, body = Secret), (status = 200, body = Secret), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<DryRunQuery>,
    Json(body): Json<CreateSecret>,
) -> Answer<(StatusCode, Tagged<Secret>)> {
    let new = parse(body)?;
    let dry_run = query.dry_run.unwrap_or(false);
    let made = app.vault.create_secret(&caller, &new, dry_run).await?;
    Ok((if dry_run { StatusCode::OK } else { StatusCode::CREATED }, tagged(made)))
}

fn parse(body: CreateSecret) -> Result<NewSecret, Problem> {
    let kind = kind(&body.kind)?;
    let mut values = Vec::with_capacity(body.values.len());
    for (environment, fields) in &body.values {
        let fields = Fields::parse(kind, &fields.0).map_err(|(field, error)| {
            Problem::invalid(format!("values.{environment}.{field}"), error.to_string())
        })?;
        values.push((environment_in(&format!("values.{environment}"), environment)?, fields));
    }
    Ok(NewSecret {
        name: new_name("name", &body.name)?,
        kind,
        visibility: visibility(&body.visibility)?,
        description: body.description.unwrap_or_default(),
        folder: folder(body.folder.as_deref().unwrap_or_default())?,
        destinations: destinations(&body.destinations)?,
        values,
        rotate_every_days: body.rotate_every_days,
        expires_at: time::parse_opt("expires_at", body.expires_at.as_deref())?,
        reason: body.reason,
    })
}

/// What is known of a secret without its value.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/secrets/{name}", tag = "secrets", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Secret), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn show(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<Tagged<Secret>> {
    Ok(tagged(app.vault.describe_secret(&caller, &named(&name, "secret")?).await?))
}

/// Changes description, folder, dates or destinations. Name, type and visibility never change.
#[utoipa::path(patch, path = "/v1/workspaces/{workspace}/secrets/{name}", tag = "secrets", params(("workspace" = String, Path), ("name" = String, Path)), request_body = UpdateSecret, responses((status = 200, body = Secret), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn update(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Json(body): Json<UpdateSecret>,
) -> Answer<Tagged<Secret>> {
    let immutable = [
        ("name", body.name.is_some()),
        ("type", body.kind.is_some()),
        ("visibility", body.visibility.is_some()),
    ];
    if let Some((field, _)) = immutable.iter().find(|(_, given)| *given) {
        let mut problem =
            Problem::new(Code::ImmutableField, format!("`{field}` is fixed when a secret is created"))
                .suggest("make a new secret, let what depends on the old one use it, and delete the old one");
        problem.issues = vec![Issue::new(*field, "is fixed at creation")];
        return Err(problem.into());
    }
    let mut values = Vec::new();
    for (environment, fields) in body.values.unwrap_or_default() {
        values.push((environment_in(&format!("values.{environment}"), &environment)?, fields.0));
    }
    let patch = SecretPatch {
        // Cleared by `null` as by an empty text.
        description: body.description.map(Option::unwrap_or_default),
        folder: body.folder.map(|text| folder(text.as_deref().unwrap_or_default())).transpose()?,
        destinations: body.destinations.as_deref().map(destinations).transpose()?,
        values,
        rotate_every_days: body.rotate_every_days,
        expires_at: match body.expires_at {
            None => None,
            Some(text) => Some(time::parse_opt("expires_at", text.as_deref())?),
        },
        reason: body.reason,
    };
    Ok(tagged(app.vault.update_secret(&caller, &named(&name, "secret")?, &patch).await?))
}

/// Deletes a secret; it can be restored within the workspace's window.
#[utoipa::path(delete, path = "/v1/workspaces/{workspace}/secrets/{name}", tag = "secrets", params(("workspace" = String, Path), ("name" = String, Path), DeleteQuery), responses((status = 200, body = Deleted), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
) -> Answer<Out<Deleted>> {
    let deletion =
        app.vault.delete_secret(&caller, &named(&name, "secret")?, query.force.unwrap_or(false)).await?;
    Ok(Out(Deleted { restorable_until: deletion.restorable_until.map(time::print) }))
}

/// Takes a deleted secret back within its window.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/secrets/{name}/restore", tag = "secrets", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Secret), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn restore(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<Tagged<Secret>> {
    Ok(tagged(app.vault.restore_secret(&caller, &named(&name, "secret")?).await?))
}

/// What references a secret.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/secrets/{name}/usages", tag = "secrets", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Usage), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn usages(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<Out<Usage>> {
    let found = app.vault.secret_usages(&caller, &named(&name, "secret")?).await?;
    let field = |(step, field)| UsingField { step, field };
    let automation = |using: tacit_vault::UsingAutomation| UsingAutomation {
        name: using.name.to_string(),
        environment: using.environment.to_string(),
        fields: using.fields.into_iter().map(field).collect(),
    };
    let observed = |seen: tacit_vault::ObservedUse| ObservedUse {
        by: seen.actor,
        environment: seen.environment,
        target: seen.target,
        first_used_at: time::print(seen.first_at),
        last_used_at: time::print(seen.last_at),
    };
    Ok(Out(Usage {
        automations: found.automations.into_iter().map(automation).collect(),
        observed: found.observed.into_iter().map(observed).collect(),
    }))
}

/// Switches a secret off, in every environment, at once.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/secrets/{name}/disable", tag = "secrets", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn disable(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<StatusCode> {
    app.vault.set_disabled(&caller, &named(&name, "secret")?, None, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Switches a secret on again.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/secrets/{name}/enable", tag = "secrets", params(("workspace" = String, Path), ("name" = String, Path)), responses((status = 204), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn enable(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, name)): Path<(String, String)>,
) -> Answer<StatusCode> {
    app.vault.set_disabled(&caller, &named(&name, "secret")?, None, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use tacit_model::SecretType;

    /// The outside's table of types is the inside's.
    #[test]
    fn kinds_are_the_types() {
        let outside: Vec<_> = tacit_api::KINDS
            .iter()
            .map(|kind| {
                (
                    kind.name,
                    kind.main_field,
                    kind.fields
                        .iter()
                        .map(|field| (field.name, field.hidden, field.optional))
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let inside: Vec<_> = SecretType::ALL
            .iter()
            .map(|kind| {
                (
                    kind.as_str(),
                    kind.main_field(),
                    kind.fields()
                        .iter()
                        .map(|field| (field.name, field.secret, field.optional))
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(outside, inside);
    }
}
