//! The configuration of a workspace, out and in. Never with a value.

use std::collections::BTreeMap;

use axum::{Json as Out, extract::State};
use serde_json::Value;
use tacit_api::{
    ImportQuery, ImportReport, Imported, ImportedItem, Manifest, ManifestSecret, ManifestVariable,
    Problem as ProblemOut,
};
use tacit_model::{Automation, EnvironmentName, Problem};
use tacit_vault::{self as vault, NewSecret};

use super::{Answer, destinations, environment_in, folder, new_name, secrets};
use crate::{
    app::App,
    extract::{Json, Member, Query},
    time,
};

/// The version of the document.
const VERSION: u32 = 1;

/// What there is in the workspace and what it needs: references, never values.
#[utoipa::path(get, path = "/v1/workspaces/{workspace}/export", tag = "configuration", params(("workspace" = String, Path)), responses((status = 200, body = Manifest), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn export(State(app): State<App>, Member(caller): Member) -> Answer<Out<Manifest>> {
    Ok(Out(out(app.vault.export_manifest(&caller).await?)?))
}

/// A manifest on the wire.
pub(crate) fn out(manifest: vault::Manifest) -> Result<Manifest, Problem> {
    let names = |environments: Vec<EnvironmentName>| environments.iter().map(ToString::to_string).collect();
    let automations: Result<Vec<Value>, _> = manifest.automations.iter().map(serde_json::to_value).collect();
    Ok(Manifest {
        version: VERSION,
        secrets: manifest
            .secrets
            .into_iter()
            .map(|exported| ManifestSecret {
                name: exported.secret.name.to_string(),
                kind: exported.secret.kind.as_str().to_owned(),
                visibility: exported.secret.visibility.as_str().to_owned(),
                description: exported.secret.description,
                folder: exported.secret.folder.to_string(),
                destinations: exported
                    .secret
                    .destinations
                    .0
                    .iter()
                    .filter_map(secrets::destination_out)
                    .collect(),
                rotate_every_days: exported.secret.rotate_every_days,
                expires_at: exported.secret.expires_at.map(time::print),
                environments: names(exported.environments),
            })
            .collect(),
        variables: manifest
            .variables
            .into_iter()
            .map(|variable| ManifestVariable {
                name: variable.name.to_string(),
                description: variable.description,
                folder: variable.folder.to_string(),
                environments: names(variable.environments),
            })
            .collect(),
        automations: automations.map_err(Problem::internal)?,
        warnings: manifest.warnings,
        map: BTreeMap::new(),
    })
}

/// Makes what a manifest names and is not there, without values, and says what is missing.
#[utoipa::path(post, path = "/v1/workspaces/{workspace}/import", tag = "configuration", params(("workspace" = String, Path), ImportQuery), request_body = Manifest, responses((status = 200, body = ImportReport), (status = "4XX", body = ProblemOut)))]
pub(crate) async fn import(
    State(app): State<App>,
    Member(caller): Member,
    Query(query): Query<ImportQuery>,
    Json(body): Json<Manifest>,
) -> Answer<Out<ImportReport>> {
    let mut map = Vec::with_capacity(body.map.len());
    for (from, to) in &body.map {
        let field = format!("map.{from}");
        map.push((new_name(&field, from)?, new_name(&field, to)?));
    }
    let manifest = parse(body)?;
    let report = app.vault.import_manifest(&caller, manifest, &map, query.dry_run.unwrap_or(false)).await?;
    let items = |items: Vec<vault::ImportedItem>| items.into_iter().map(item_out).collect();
    // Triggers of what was imported anew may be enabled already.
    app.runner.replan();
    Ok(Out(ImportReport {
        secrets: items(report.secrets),
        variables: items(report.variables),
        automations: items(report.automations),
        unknown_environments: report.unknown_environments,
    }))
}

fn item_out(item: vault::ImportedItem) -> ImportedItem {
    ImportedItem {
        name: item.name.to_string(),
        from: item.from.map(|from| from.to_string()),
        result: match item.what {
            vault::Imported::Exists => Imported::Exists,
            vault::Imported::Differs => Imported::Differs,
            vault::Imported::Created => Imported::Created,
            vault::Imported::Published => Imported::Published,
            vault::Imported::Skipped => Imported::Skipped,
        },
        missing_in: item.missing_in.iter().map(ToString::to_string).collect(),
        missing: item.missing,
        warnings: item.warnings,
    }
}

fn parse(body: Manifest) -> Result<vault::Manifest, Problem> {
    if body.version != VERSION {
        return Err(Problem::invalid("version", format!("must be {VERSION}, as an export has it")));
    }
    let mut manifest = vault::Manifest::default();
    for (at, written) in body.secrets.iter().enumerate() {
        manifest.secrets.push(secret(written).map_err(|problem| placed(problem, &format!("secrets[{at}]")))?);
    }
    for (at, written) in body.variables.into_iter().enumerate() {
        let variable = vault::ManifestVariable {
            name: new_name(&format!("variables[{at}].name"), &written.name)?,
            folder: folder(&written.folder)?,
            environments: environments(&written.environments)?,
            description: written.description,
        };
        manifest.variables.push(variable);
    }
    for (at, written) in body.automations.into_iter().enumerate() {
        let automation: Automation = serde_json::from_value(written).map_err(|_| {
            Problem::invalid(format!("automations[{at}]"), "is not the definition of an automation")
        })?;
        let issues = tacit_runner::schedule::issues(&automation);
        if !issues.is_empty() {
            return Err(placed(Problem::invalid_fields(issues), &format!("automations[{at}]")));
        }
        manifest.automations.push(automation);
    }
    Ok(manifest)
}

fn secret(written: &ManifestSecret) -> Result<vault::ManifestSecret, Problem> {
    Ok(vault::ManifestSecret {
        secret: NewSecret {
            name: new_name("name", &written.name)?,
            kind: secrets::kind(&written.kind)?,
            visibility: secrets::visibility(&written.visibility)?,
            description: written.description.clone(),
            folder: folder(&written.folder)?,
            destinations: destinations(&written.destinations)?,
            values: Vec::new(),
            rotate_every_days: written.rotate_every_days,
            expires_at: time::parse_opt("expires_at", written.expires_at.as_deref())?,
            reason: None,
        },
        environments: environments(&written.environments)?,
    })
}

fn environments(written: &[String]) -> Result<Vec<EnvironmentName>, Problem> {
    written.iter().map(|name| environment_in("environments", name)).collect()
}

/// A problem of one of many, with where it is.
fn placed(mut problem: Problem, place: &str) -> Problem {
    for issue in &mut problem.issues {
        issue.field = format!("{place}.{}", issue.field);
    }
    problem.detail = format!("{place}: {}", problem.detail);
    problem
}
