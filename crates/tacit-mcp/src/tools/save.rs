//! `save_automation`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tacit_model::trigger::{Schedule, Trigger, Webhook};
use tacit_template::{JsonTemplate, Reference};

use super::{
    Describes, Hints,
    describe::quoted,
    request::{Body, Named},
};
use crate::{Refusal, agent::Agent};

pub(super) struct SaveAutomation;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Its name, such as fetch-charges. An automation of this name is replaced.
    name: String,
    /// What it does, in a sentence.
    #[serde(default)]
    description: Option<String>,
    /// How many runs of it may go at once in an environment, 1 to 32; the others wait.
    #[serde(default)]
    #[schemars(range(min = 1, max = 32))]
    concurrency: Option<u32>,
    /// What starts it by itself, such as [{"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}}].
    #[serde(default)]
    triggers: Vec<When>,
    /// What it does, in order; 1 to 64 steps.
    steps: Vec<Step>,
    /// Only check it, save nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Exactly one of `schedule` and `webhook`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum When {
    /// At certain times.
    Schedule(Times),
    /// When somebody calls its address: {}.
    Webhook(Nothing),
}

/// Times.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Times {
    /// Five fields: minute, hour, day of the month, month, day of the week. "0 6 * * MON-FRI" is six o'clock on weekdays.
    cron: String,
    /// Whose clock, such as Europe/Berlin; UTC unless said.
    #[serde(default)]
    timezone: Option<String>,
}

/// Nothing to say.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// One step.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// How later steps refer to this one: letters, digits, `_` and `-`.
    id: String,
    /// A condition, such as `steps.charge.status == 201 and input.amount > 100`; without it the step always runs. Never
    /// about a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    /// `stop` (the run fails; so unless said) or `continue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_error: Option<OnError>,
    /// An HTTP request.
    http: Http,
}

/// What a step's failure does to its run.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnError {
    /// The run fails.
    Stop,
    /// Later steps go on.
    Continue,
}

/// When a request that failed is sent again. Only what is safe to repeat is.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Retry {
    /// How often at most, the first time included.
    #[schemars(range(min = 1, max = 10))]
    attempts: u32,
    /// Milliseconds until the second time; twice as long each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300_000))]
    backoff_ms: Option<u64>,
    /// Whether it may be sent again although the service may have acted on it. Ask a person before you say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeat_unsafe: Option<bool>,
}

/// A request. Texts may hold {{secrets.NAME}} (as the whole value of a header, parameter or field), {{vars.NAME}},
/// {{input.PATH}}, {{steps.ID.body.PATH}}, {{env}} and {{run.id}}.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Http {
    /// GET unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// The absolute URL. Its host is written out or a variable; never {{input}}, {{steps}} or a secret.
    url: String,
    /// The secret that authenticates the request: {"secret": "NAME"}. Its type decides how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<Named>,
    /// Headers.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    headers: Map<String, Value>,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    query: Map<String, Value>,
    /// The body: exactly one of {"json": …}, {"form": {…}}, {"text": "…"}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Body>,
    /// Statuses that count as success; by default every one below 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect_status: Option<Vec<u16>>,
    /// Keep only these of a JSON answer: JSON pointers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<String>>,
    /// How many redirects to follow; 0 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 5))]
    redirects: Option<u32>,
    /// Seconds to wait for the whole answer; 20 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    timeout_secs: Option<u64>,
    /// When it is sent again; never unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// Whether it was saved; false for a dry run.
    saved: bool,
    /// Its name.
    name: String,
    /// In which environment it is published, or would be.
    environment: String,
    /// SHA-256 of exactly this content: what it may use is granted to that.
    hash: String,
    /// The secrets it refers to, by name.
    secrets: Vec<String>,
    /// The variables it refers to.
    variables: Vec<String>,
    /// How many triggers are stored with it.
    triggers: usize,
    /// What to know before it runs.
    warnings: Vec<String>,
    /// Secrets that have no value there yet, and what a person does about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_secrets: Vec<Missing>,
    /// What happens next, and what does not.
    notes: Vec<String>,
}

/// A secret that has no value where the automation runs.
#[derive(Serialize, JsonSchema)]
struct Missing {
    /// Its name.
    name: String,
    /// What a person does.
    command: String,
}

impl Describes for SaveAutomation {
    const NAME: &'static str = "save_automation";
    const TITLE: &'static str = "Save an automation";
    const DESCRIPTION: &'static str = "Saves steps that can be run again and again: HTTP requests that name their \
        credentials. Use it for whatever should happen repeatedly or on a schedule; send_request is for once. It is \
        published in the first environment that is not protected (test) and runs with run_automation. Triggers are stored \
        with it; they do not fire until a person enables them there or deploys with them. Replaces an automation of the \
        same name.";
    const HINTS: Hints = Hints { reads_only: false, destructive: true, idempotent: true, open_world: false };
    type Input = Input;
    type Output = Output;

    async fn run(agent: &Agent, input: Input) -> Result<Output, Refusal> {
        let triggers: Vec<Trigger> = input.triggers.into_iter().map(Trigger::from).collect();
        let definition = Definition {
            name: &input.name,
            description: input.description.as_deref(),
            concurrency: input.concurrency,
            triggers: &triggers,
            steps: &input.steps,
        };
        let definition =
            serde_json::to_value(&definition).map_err(|error| Refusal::new("internal", error.to_string()))?;
        let published = match agent.apply(&input.name, &definition, input.dry_run).await {
            Ok(published) => published,
            Err(refusal) if refusal.code == "unknown_reference" => {
                return Err(with_missing(agent, refusal, &input.steps).await);
            }
            Err(refusal) => return Err(refusal),
        };
        let mut missing_secrets = Vec::new();
        for name in &published.secrets {
            let secret = agent.secret(name).await?;
            if !secret.environments.contains_key(&published.environment) {
                let command = format!("tacit secrets set {} --env {}", quoted(name), published.environment);
                missing_secrets.push(Missing { name: name.clone(), command });
            }
        }
        Ok(Output {
            saved: !input.dry_run,
            notes: notes(input.dry_run, &triggers),
            name: published.name,
            environment: published.environment,
            hash: published.hash,
            secrets: published.secrets,
            variables: published.variables,
            triggers: triggers.len(),
            warnings: published.warnings,
            missing_secrets,
        })
    }
}

/// What is sent: as the contract writes it, with nothing that was not said.
#[derive(Serialize)]
struct Definition<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    triggers: &'a [Trigger],
    steps: &'a [Step],
}

impl From<When> for Trigger {
    fn from(when: When) -> Self {
        match when {
            When::Schedule(times) => Self::Schedule(Schedule {
                cron: times.cron,
                timezone: times.timezone.unwrap_or_else(|| "UTC".to_owned()),
            }),
            When::Webhook(Nothing {}) => Self::Webhook(Webhook {}),
        }
    }
}

fn notes(dry_run: bool, triggers: &[Trigger]) -> Vec<String> {
    let mut notes = Vec::new();
    if dry_run {
        notes.push("this was a dry run: nothing was saved".to_owned());
    }
    if !triggers.is_empty() {
        notes.push(
            "the triggers are stored and shown with the automation, and do not fire by being saved: a person enables them \
             (`tacit automations triggers enable`, or a deployment). Until then it runs with run_automation, or with `tacit \
             automations run`. If this automation's triggers are enabled there already, these fire from now on instead"
                .to_owned(),
        );
    }
    notes
}

/// The refusal, with the names that are not there and what to do about them.
async fn with_missing(agent: &Agent, refusal: Refusal, steps: &[Step]) -> Refusal {
    let mut missing = Vec::new();
    for name in secret_names(steps) {
        if matches!(agent.secret(&name).await, Err(refusal) if refusal.code == "not_found") {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return refusal;
    }
    let suggestion = format!(
        "find_secrets lists the names there are; ask for {} with propose_secret, then save again",
        missing.join(", ")
    );
    Refusal { missing_secrets: missing, ..refusal.suggest(suggestion) }
}

fn secret_names(steps: &[Step]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for step in steps {
        names.extend(step.http.auth.as_ref().map(|auth| auth.secret.clone()));
        let Ok(value) = serde_json::to_value(&step.http) else { continue };
        let Ok(template) = JsonTemplate::parse(&value) else { continue };
        names.extend(template.references().filter_map(|reference| match reference {
            Reference::Secret(secret) => Some(secret.name.clone()),
            _ => None,
        }));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn steps(http: Value) -> Vec<Step> {
        serde_json::from_value(json!([{"id": "a", "http": http}])).unwrap()
    }

    /// Names are found wherever a reference may stand.
    #[test]
    fn names() {
        let found = secret_names(&steps(
            json!({"url": "https://x.test/{{secrets.PATH}}", "auth": {"secret": "A"},
            "headers": {"X": "{{secrets[\"Any name\"]}}", "Y": "{{vars.V}}"}, "body": {"form": {"k": "{{secrets.B.token}}"}}}),
        ));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["A", "Any name", "B", "PATH"]);
    }

    /// A definition is sent as it was said, and the model reads it.
    #[test]
    fn definitions() {
        let steps = steps(json!({"url": "https://x.test/", "body": {"json": {"a": 1}}}));
        let triggers: Vec<When> =
            serde_json::from_value(json!([{"schedule": {"cron": "0 6 * * *"}}, {"webhook": {}}])).unwrap();
        let triggers: Vec<Trigger> = triggers.into_iter().map(Trigger::from).collect();
        let definition = Definition {
            name: "n",
            description: None,
            concurrency: Some(2),
            triggers: &triggers,
            steps: &steps,
        };
        let written = serde_json::to_value(&definition).unwrap();
        assert_eq!(
            written,
            json!({"name": "n", "concurrency": 2, "triggers": [{"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}}, {"webhook": {}}],
                "steps": [{"id": "a", "http": {"url": "https://x.test/", "body": {"json": {"a": 1}}}}]})
        );
        let read: tacit_model::Automation = serde_json::from_value(written).unwrap();
        assert!(read.issues().is_empty());
        assert!(notes(false, &triggers)[0].contains("do not fire"));
        assert!(notes(false, &[]).is_empty());
    }
}
