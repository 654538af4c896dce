//! `find_secrets`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tacit_api::SecretQuery;

use super::{Describes, Hints, LOOKS};
use crate::{
    Refusal,
    agent::{Agent, states},
    destination::summary,
};

/// Secrets of one page unless a client says.
const PAGE_DEFAULT: u32 = 20;
/// Secrets of one page at most.
const PAGE_MAX: u32 = 100;

pub(super) struct FindSecrets;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Part of a name, a description or a folder, ignoring case. Leave out to list all.
    #[serde(default)]
    search: Option<String>,
    /// Only secrets filed in this folder, such as `payments/eu`.
    #[serde(default)]
    folder: Option<String>,
    /// Only secrets of this type: `text`, `basic_auth`, `bearer_token`, `api_key` or `json`.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// How many at most; 20 unless said, 100 at most.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// What was found. Never holds a value.
    secrets: Vec<Found>,
    /// Pass it as `cursor` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// What to do with this.
    hint: String,
}

/// One secret.
#[derive(Serialize, JsonSchema)]
struct Found {
    /// Its name: how to refer to it everywhere.
    name: String,
    /// Its type, which decides how it authenticates a request.
    #[serde(rename = "type")]
    kind: String,
    /// What it is for.
    description: String,
    /// Where it is filed.
    folder: String,
    /// `active`, `disabled`, or `proposed` while it waits for a person to fill it.
    state: String,
    /// Per environment: `set`, `disabled` or `missing`.
    environments: BTreeMap<String, &'static str>,
    /// Where it may go, a line each. Empty means that it cannot be used here until a person adds a destination.
    destinations: Vec<String>,
}

impl Describes for FindSecrets {
    const NAME: &'static str = "find_secrets";
    const TITLE: &'static str = "Find secrets";
    const DESCRIPTION: &'static str = "Lists the credentials that are stored in this workspace, by name: what each is \
        for, in which environments it has a value, and to which services it may be sent. Call this first whenever a task \
        needs a key, token or password. Answers names and descriptions; values are never shown and never needed.";
    const HINTS: Hints = LOOKS;
    type Input = Input;
    type Output = Output;

    async fn run(agent: &Agent, input: Input) -> Result<Output, Refusal> {
        let limit = input.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Refusal::arguments(format_args!("`limit` must be 1 to {PAGE_MAX}")));
        }
        let query = SecretQuery {
            search: input.search,
            kind: input.kind,
            folder: input.folder,
            limit: Some(limit),
            cursor: input.cursor,
            ..SecretQuery::default()
        };
        let (found, next_cursor) = agent.secrets(&query).await?;
        let environments = agent.environments().await?;
        let secrets: Vec<Found> = found
            .into_iter()
            .map(|secret| Found {
                environments: states(&secret, &environments),
                destinations: secret.destinations.iter().map(summary).collect(),
                state: secret.state.as_str().to_owned(),
                name: secret.name,
                kind: secret.kind,
                description: secret.description,
                folder: secret.folder,
            })
            .collect();
        let hint = if secrets.is_empty() {
            "nothing fits; search for less, or ask for the credential with propose_secret"
        } else {
            "describe_secret shows how to use one; refer to it by its name"
        };
        Ok(Output { secrets, next_cursor, hint: hint.to_owned() })
    }
}
