//! `describe_secret`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tacit_api::{Destination, Secret, SecretState};

use super::{Describes, Hints, LOOKS};
use crate::{
    Refusal,
    agent::Agent,
    destination::{example, places, reference, summary},
};

pub(super) struct DescribeSecret;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The secret's name, as find_secrets shows it.
    name: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// Its name.
    name: String,
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
    /// `restricted` (nobody ever reads it back) or `masked`.
    visibility: String,
    /// What it is for.
    description: String,
    /// Where it is filed.
    folder: String,
    /// `active`, `disabled`, or `proposed` while it waits for a person to fill it.
    state: String,
    /// Per environment: `set`, `disabled` or `missing`.
    environments: BTreeMap<String, &'static str>,
    /// Where it may go.
    destinations: Vec<Where>,
    /// Where its proposer would have it go. Not in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggested_destinations: Vec<String>,
    /// When it stops to be of use, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// How to use it.
    how_to_use: HowToUse,
}

/// A destination.
#[derive(Serialize, JsonSchema)]
struct Where {
    /// In one line.
    summary: String,
    /// A host; `*.` stands for one label.
    host: String,
    /// Methods; empty for any.
    methods: Vec<String>,
    /// Paths, `*` for one segment and `/**` for the rest; empty for any.
    paths: Vec<String>,
    /// Places in the request where it may stand, such as `auth` or `header:X-Key`.
    places: Vec<String>,
    /// Environments; empty for any.
    environments: Vec<String>,
}

/// Ready to be filled in: `…` stands for what only you know.
#[derive(Serialize, JsonSchema)]
struct HowToUse {
    /// Arguments of send_request.
    #[serde(skip_serializing_if = "Option::is_none")]
    send_request: Option<Map<String, Value>>,
    /// A step of save_automation.
    #[serde(skip_serializing_if = "Option::is_none")]
    automation_step: Option<Map<String, Value>>,
    /// How it is written where the example's place does not fit.
    reference: String,
    /// What else to know.
    notes: Vec<String>,
}

impl Describes for DescribeSecret {
    const NAME: &'static str = "describe_secret";
    const TITLE: &'static str = "Describe a secret";
    const DESCRIPTION: &'static str = "Shows one credential: its type, where it may go (hosts, methods, paths), in which \
        place of a request it may stand, in which environments it has a value, and ready-made arguments for send_request \
        and a step for save_automation. Never shows a value.";
    const HINTS: Hints = LOOKS;
    type Input = Input;
    type Output = Output;

    async fn run(agent: &Agent, input: Input) -> Result<Output, Refusal> {
        let secret = agent.secret(&input.name).await?;
        let environments = agent.states(&secret).await?;
        Ok(Output {
            how_to_use: how_to_use(&secret),
            environments,
            destinations: secret.destinations.iter().map(describe).collect(),
            suggested_destinations: secret.suggested_destinations.iter().map(summary).collect(),
            state: secret.state.as_str().to_owned(),
            name: secret.name,
            kind: secret.kind,
            visibility: secret.visibility,
            description: secret.description,
            folder: secret.folder,
            expires_at: secret.expires_at,
        })
    }
}

fn describe(destination: &Destination) -> Where {
    Where {
        summary: summary(destination),
        host: destination.host.clone(),
        methods: destination.methods.clone(),
        paths: destination.paths.clone(),
        places: places(destination),
        environments: destination.environments.clone(),
    }
}

fn how_to_use(secret: &Secret) -> HowToUse {
    let mut notes = Vec::new();
    match secret.state {
        SecretState::Proposed => notes.push(format!(
            "it has no value yet: a person fills it with `tacit secrets set {}`",
            quoted(&secret.name)
        )),
        SecretState::Active | SecretState::Due => {}
        SecretState::Overdue => notes.push("It should have been rotated already.".to_owned()),
        SecretState::Expired => {
            notes.push("The date of its end has passed, so its service may refuse it.".to_owned())
        }
        _ => notes.push("it is switched off or deleted and cannot be used now".to_owned()),
    }
    let first = secret.destinations.first();
    match first {
        None => notes.push(
            "it has no destination, so it cannot be used here: a person who may aim secrets adds one with `tacit secrets \
             policy`"
                .to_owned(),
        ),
        Some(destination) if places(destination) != ["auth"] => {
            notes.push("it may stand only in the places that the destination names".to_owned());
        }
        Some(_) => notes.push("with `auth` its type decides how the request is authenticated".to_owned()),
    }
    // What SFTP servers and storage services take is no request of one's own.
    let is_for_steps = |to: &&Destination| {
        to.scheme.as_deref() == Some("sftp") || places(to).iter().all(|place| place == "signature")
    };
    if first.is_some_and(|to| is_for_steps(&to)) {
        notes.push("it works in `sftp` or `storage` steps of automations, and not in requests".to_owned());
    }
    let arguments = first.filter(|to| !is_for_steps(to)).map(|destination| example(secret, destination));
    let step = arguments.clone().map(|mut http| {
        http.remove("environment");
        if let Some(auth) = http.get_mut("auth") {
            *auth = json!({"secret": secret.name});
        }
        Map::from_iter([("id".to_owned(), json!("call")), ("http".to_owned(), Value::Object(http))])
    });
    HowToUse { send_request: arguments, automation_step: step, reference: reference(&secret.name), notes }
}

/// A name as a shell takes it. Names hold no quotes.
pub(super) fn quoted(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
        name.to_owned()
    } else {
        format!("'{name}'")
    }
}
