//! Deployments: planned, done, listed, taken back.

use axum::{
    Json as Out,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode},
};
use tacit_api::{
    CreateDeployment, DeployedAutomation, DeployedHook, DeployedSecret, DeployedVariable, Deployment,
    DeploymentStatus, Difference, Page, PageQuery, Problem as ProblemOut, Relation,
};
use tacit_model::{DeploymentId, Problem, SecretName};
use tacit_vault::{self as vault, NewDeployment};

use super::{Answer, cursor, environment_in, from_cursor, limit, new_name};
use crate::{
    app::App,
    extract::{Json, Member, Path, Query},
    precondition::etag,
    time,
};

/// Deploys automations, and copies values if wanted; with `dry_run` only says what would be done. A plan's `ETag`, sent as
/// `If-Match`, makes sure that what is done is what was said.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/deployments", tag = "deployments", params(("workspace" = String, Path)), request_body = CreateDeployment, responses((status = 200, body = Deployment), (status = 201, body = Deployment), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn create(
    State(app): State<App>,
    Member(caller): Member,
    Json(body): Json<CreateDeployment>,
) -> Answer<(StatusCode, Option<[(HeaderName, HeaderValue); 1]>, Out<Deployment>)> {
    let new = NewDeployment {
        from: environment_in("from", &body.from)?,
        to: environment_in("to", &body.to)?,
        automations: names("automations", &body.automations)?,
        copy_secrets: names("copy_secrets", &body.copy_secrets)?,
        copy_variables: names("copy_variables", &body.copy_variables)?,
        enable_triggers: body.enable_triggers,
    };
    let deployed = app.vault.deploy(&caller, &new, body.dry_run).await?;
    // Schedules that fire from now on have their times worked out at once.
    app.runner.replan();
    let status = if body.dry_run { StatusCode::OK } else { StatusCode::CREATED };
    let tag = body.dry_run.then(|| etag(&deployed.deployment.tag));
    let hook = |(automation, token): (SecretName, tacit_crypto::token::TokenText)| DeployedHook {
        automation: automation.to_string(),
        token: token.dangerous_expose().to_owned(),
    };
    let hooks = deployed.hooks.into_iter().map(hook).collect();
    Ok((status, tag, Out(Deployment { hooks, ..out(deployed.deployment) })))
}

/// Deployments, newest first, without their differences.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/deployments", tag = "deployments", params(("workspace" = String, Path), PageQuery), responses((status = 200, body = Page<Deployment>), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<PageQuery>,
) -> Answer<Out<Page<Deployment>>> {
    let before = from_cursor(query.cursor.as_deref())?
        .map(|id| id.parse::<DeploymentId>())
        .transpose()
        .map_err(|_| Problem::invalid("cursor", "is not one that a list gave"))?;
    let rows = limit(query.limit)?;
    let found = app.vault.list_deployments(&caller, before, rows).await?;
    let last = found.last().and_then(|last| last.id);
    let next_cursor = last.filter(|_| found.len() == rows).map(|id| cursor(&id.to_string()));
    Ok(Out(Page { items: found.into_iter().map(out).collect(), next_cursor }))
}

/// A deployment.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/deployments/{id}", tag = "deployments", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 200, body = Deployment), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn show(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<Out<Deployment>> {
    Ok(Out(out(app.vault.show_deployment(&caller, parse(&id)?).await?)))
}

/// Takes a deployment back, as a whole: definitions, values as new versions, triggers.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/deployments/{id}/rollback", tag = "deployments", params(("workspace" = String, Path), ("id" = String, Path)), responses((status = 200, body = Deployment), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn roll_back(
    State(app): State<App>,
    Member(caller): Member,
    Path((_workspace, id)): Path<(String, String)>,
) -> Answer<Out<Deployment>> {
    let taken_back = app.vault.roll_back_deployment(&caller, parse(&id)?).await?;
    app.runner.replan();
    Ok(Out(out(taken_back)))
}

fn parse(id: &str) -> Result<DeploymentId, Problem> {
    id.parse().map_err(|_| Problem::not_found("deployment"))
}

fn names(field: &str, written: &[String]) -> Result<Vec<SecretName>, Problem> {
    let name = |(at, text): (usize, &String)| new_name(&format!("{field}[{at}]"), text);
    written.iter().enumerate().map(name).collect()
}

fn out(deployment: vault::Deployment) -> Deployment {
    let plan = deployment.plan;
    let status = match (deployment.id, deployment.rolled_back_at) {
        (None, _) => DeploymentStatus::Planned,
        (Some(_), None) => DeploymentStatus::Deployed,
        (Some(_), Some(_)) => DeploymentStatus::RolledBack,
    };
    Deployment {
        id: deployment.id.map(|id| id.to_string()),
        status,
        from: deployment.from.to_string(),
        to: deployment.to.to_string(),
        automations: plan.automations.into_iter().map(automation_out).collect(),
        secrets: plan.secrets.into_iter().map(secret_out).collect(),
        variables: plan.variables.into_iter().map(variable_out).collect(),
        missing: plan.missing,
        warnings: plan.warnings,
        enable_triggers: plan.enables_triggers,
        hooks: Vec::new(),
        created_at: time::print(deployment.created_at),
        created_by: deployment.created_by,
        rolled_back_at: deployment.rolled_back_at.map(time::print),
        rolled_back_by: deployment.rolled_back_by,
    }
}

fn automation_out(automation: vault::PlannedAutomation) -> DeployedAutomation {
    let difference =
        |found: vault::Difference| Difference { path: found.path, before: found.before, after: found.after };
    DeployedAutomation {
        name: automation.name.to_string(),
        result: relation(automation.relation),
        hash: automation.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        diff: automation.diff.into_iter().map(difference).collect(),
        triggers: automation.triggers,
    }
}

fn secret_out(secret: vault::PlannedSecret) -> DeployedSecret {
    DeployedSecret {
        name: secret.name.to_string(),
        kind: secret.kind,
        result: relation(secret.relation),
        needed: secret.is_needed,
        copied: secret.is_copied,
        replaces: secret.replaces,
        version: secret.version,
    }
}

fn variable_out(variable: vault::PlannedVariable) -> DeployedVariable {
    DeployedVariable {
        name: variable.name.to_string(),
        result: relation(variable.relation),
        needed: variable.is_needed,
        copied: variable.is_copied,
        replaces: variable.replaces,
    }
}

fn relation(relation: vault::Relation) -> Relation {
    match relation {
        vault::Relation::New => Relation::New,
        vault::Relation::Same => Relation::Same,
        vault::Relation::Different => Relation::Different,
        vault::Relation::Missing => Relation::Missing,
        vault::Relation::Unknown => Relation::Unknown,
    }
}
