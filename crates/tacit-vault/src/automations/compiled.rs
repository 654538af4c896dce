//! A definition, compiled: its steps, what they name, and whether each may stand where it does.

use std::collections::{BTreeMap, BTreeSet};

use tacit_model::{Automation, Code, Issue, Problem, SecretName, Target};
use tacit_template::{Condition, Reference};

use crate::{StepTemplate, access::Snapshot, steps::condition};

/// A definition whose steps compiled.
pub(crate) struct Compiled {
    /// By id.
    pub(super) steps: Vec<(String, StepTemplate)>,
    pub(crate) secrets: BTreeSet<String>,
    /// With the steps that name them.
    pub(crate) variables: BTreeMap<String, BTreeSet<String>>,
}

/// What a definition names and is not there.
pub(super) struct Missing {
    pub(super) what: &'static str,
    pub(super) name: String,
    pub(super) steps: BTreeSet<String>,
}

/// The secrets and variables that a definition names.
pub(crate) fn references(definition: &Automation) -> Result<(BTreeSet<String>, BTreeSet<String>), Problem> {
    let compiled = compile(definition)?;
    Ok((compiled.secrets, compiled.variables.into_keys().collect()))
}

pub(crate) fn compile(definition: &Automation) -> Result<Compiled, Problem> {
    let issues = definition.issues();
    if !issues.is_empty() {
        return Err(Problem::invalid_fields(issues));
    }
    let mut compiled = Compiled { steps: Vec::new(), secrets: BTreeSet::new(), variables: BTreeMap::new() };
    for (at, step) in definition.steps.iter().enumerate() {
        let template = StepTemplate::compile(&step.kind, &format!("steps[{at}]."))?;
        compiled.secrets.extend(template.slots().iter().map(|slot| slot.name.to_string()));
        let condition = condition(step, &format!("steps[{at}]."))?;
        let of_condition = condition.iter().flat_map(Condition::references);
        for reference in template.data_references().into_iter().chain(of_condition) {
            match reference {
                Reference::Var(name) => {
                    compiled.variables.entry(name.clone()).or_default().insert(step.id.clone());
                }
                Reference::Step { id, .. }
                    if !definition.steps[..at].iter().any(|earlier| earlier.id == *id) =>
                {
                    return Err(unknown(
                        format!("steps[{at}].{}", step.kind.as_str()),
                        format!("references the step `{id}`, which does not come before it"),
                    )
                    .suggest("reference an earlier step by its id"));
                }
                _ => {}
            }
        }
        compiled.steps.push((step.id.clone(), template));
    }
    Ok(compiled)
}

impl Compiled {
    /// The steps, by id, and the places in them that name a secret.
    pub(crate) fn fields_of(&self, secret: &SecretName) -> Vec<(String, String)> {
        let of_step = |(id, step): &(String, StepTemplate)| {
            let named = step.slots().iter().filter(|slot| slot.name.key() == secret.key());
            named.map(|slot| (id.clone(), slot.place.to_string())).collect::<Vec<_>>()
        };
        self.steps.iter().flat_map(of_step).collect()
    }
}

/// The same of a definition as it is stored.
pub(crate) fn fields_in(definition: &str, secret: &SecretName) -> Vec<(String, String)> {
    let compiled = serde_json::from_str(definition).ok().and_then(|definition| compile(&definition).ok());
    compiled.map(|compiled| compiled.fields_of(secret)).unwrap_or_default()
}

/// Whether each step's secret is of a type that the step can do something with.
pub(super) fn check_auth_types(
    compiled: &Compiled,
    secrets: &[std::sync::Arc<Snapshot>],
) -> Result<(), Problem> {
    for (at, (_, step)) in compiled.steps.iter().enumerate() {
        let types = step.auth_types();
        for slot in step.slots().iter().filter(|slot| slot.by_type && !types.is_empty()) {
            let found = secrets.iter().find(|snapshot| snapshot.secret.name.key() == slot.name.key());
            let Some(kind) = found.map(|snapshot| snapshot.secret.kind) else { continue };
            if !types.contains(&kind) {
                let names = types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ");
                return Err(Problem::invalid(
                    format!("steps[{at}].{}.auth", step.as_str()),
                    format!("names `{}`, whose type is {}; this needs {names}", slot.name, kind.as_str()),
                ));
            }
        }
    }
    Ok(())
}

/// Whether each part of a secret that is put into a request may be sent at all: a client secret goes to its token URL alone,
/// a private key nowhere.
pub(super) fn check_sent_fields(
    compiled: &Compiled,
    secrets: &[std::sync::Arc<Snapshot>],
) -> Result<(), Problem> {
    for (at, (_, step)) in compiled.steps.iter().enumerate() {
        for slot in step.slots().iter().filter(|slot| !slot.by_type) {
            let found = secrets.iter().find(|snapshot| snapshot.secret.name.key() == slot.name.key());
            let Some(kind) = found.map(|snapshot| snapshot.secret.kind) else { continue };
            let named = slot.field.as_ref().map(ToString::to_string);
            let field = named.as_deref().unwrap_or(kind.sent_field());
            if !kind.may_be_sent(field) {
                let field = format!("steps[{at}].{}", step.as_str());
                let message = format!(
                    "puts the {} of `{}` into a request, which never holds it",
                    kind.main_field(),
                    slot.name
                );
                let mut problem = Problem::new(Code::PlacementNotAllowed, format!("`{field}` {message}"))
                    .suggest("reference the secret without a field; of OAuth2 client credentials that is the access token");
                problem.issues = vec![Issue::new(field, message)];
                return Err(problem);
            }
        }
    }
    Ok(())
}

/// What is written out and cannot work: an address that is none, and one where a secret may not go.
pub(super) fn address_warnings(compiled: &Compiled, secrets: &[std::sync::Arc<Snapshot>]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (at, (_, step)) in compiled.steps.iter().enumerate() {
        let Some(origin) = step.literal_origin() else { continue };
        let field = format!("steps[{at}].{}", step.as_str());
        let Ok((target, _)) = Target::parse_url(origin) else {
            warnings.push(format!(
                "`{field}` names no absolute http:// or https:// address, so the step will fail"
            ));
            continue;
        };
        let named = |snapshot: &&std::sync::Arc<Snapshot>| {
            step.slots().iter().any(|slot| slot.name.key() == snapshot.secret.name.key())
        };
        for snapshot in secrets.iter().filter(named) {
            let destinations = &snapshot.secret.destinations.0;
            if !destinations.is_empty() && !destinations.iter().any(|to| to.matches_origin(&target)) {
                warnings.push(format!(
                    "`{}` may not go to {target}, where `{field}` sends it, so the step will fail until it may",
                    snapshot.secret.name
                ));
            }
        }
    }
    warnings
}

pub(super) fn unknown(field: impl Into<String>, message: String) -> Problem {
    let field = field.into();
    let mut problem = Problem::new(Code::UnknownReference, format!("`{field}` {message}"));
    problem.issues = vec![Issue::new(field, message)];
    problem
}

/// All names that are not there, each with the steps that name it.
pub(super) fn all_unknown(missing: Vec<Missing>) -> Problem {
    let issues: Vec<_> = missing
        .iter()
        .map(|Missing { what, name, steps }| {
            let steps = steps.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
            let message =
                format!("is not there: this workspace has no {what} of that name; named by {steps}");
            Issue::new(format!("{}.{name}", if *what == "secret" { "secrets" } else { "vars" }), message)
        })
        .collect();
    let names: Vec<_> = issues.iter().map(|issue| format!("`{}`", issue.field)).collect();
    let detail = match issues.as_slice() {
        [one] => format!("`{}` {}", one.field, one.message),
        _ => format!("{} are not there", names.join(", ")),
    };
    let mut problem = Problem::new(Code::UnknownReference, detail).suggest(
        "`tacit secrets list` and `tacit vars list` show the names; to create them: tacit secrets set, tacit vars set",
    );
    problem.issues = issues;
    problem
}
