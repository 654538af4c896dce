//! `propose_secret`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tacit_api::{Destination, ProposeSecret as Proposal};

use super::{Describes, Hints, describe::quoted};
use crate::{Refusal, agent::Agent, destination::summary};

pub(super) struct ProposeSecret;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// How it will be referred to, such as STRIPE_KEY. Fixed from then on.
    name: String,
    /// `text`, `basic_auth` (user name and password), `bearer_token`, `api_key` (a header of its own) or `json`; `text`
    /// unless said. Fixed from then on.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// What it is for and where a person gets it, in a sentence. Whoever fills it reads this.
    #[serde(default)]
    description: Option<String>,
    /// Where to file it, such as `payments/eu`.
    #[serde(default)]
    folder: Option<String>,
    /// Where it should be allowed to go. A person decides; nothing of this is in force before.
    #[serde(default)]
    suggested_destinations: Vec<Suggested>,
}

/// A destination, as narrow as the task allows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Suggested {
    /// The host alone, such as api.stripe.com.
    host: String,
    /// `https` unless said.
    #[serde(default)]
    scheme: Option<String>,
    /// The scheme's own unless said.
    #[serde(default)]
    port: Option<u16>,
    /// Such as ["GET"]; any unless said.
    #[serde(default)]
    methods: Vec<String>,
    /// Such as ["/v1/charges/**"]; any unless said.
    #[serde(default)]
    paths: Vec<String>,
    /// Where in the request: `auth` (the default), `header:NAME`, `query:NAME`, `path`, `json:/pointer`, `form:FIELD`.
    #[serde(default)]
    places: Option<Vec<String>>,
    /// Such as ["test"]; any unless said.
    #[serde(default)]
    environments: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The secret's name: refer to it by this from now on.
    name: String,
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
    /// `proposed`: there is no value yet.
    state: String,
    /// What you suggested. Not in force.
    suggested_destinations: Vec<String>,
    /// What the person has to do. Tell them.
    next: String,
    /// The command for it.
    command: String,
}

impl Describes for ProposeSecret {
    const NAME: &'static str = "propose_secret";
    const TITLE: &'static str = "Propose a secret";
    const DESCRIPTION: &'static str = "Asks for a credential that is not stored yet: makes an empty slot with a name, a \
        type and suggested destinations. A person has to fill in the value and decide where it may go; never ask them to \
        paste it into the conversation. Until then it cannot be used. Say what it is for in the description.";
    const HINTS: Hints =
        Hints { reads_only: false, destructive: false, idempotent: false, open_world: false };
    type Input = Input;
    type Output = Output;

    async fn run(agent: &Agent, input: Input) -> Result<Output, Refusal> {
        let destinations = input.suggested_destinations.into_iter().map(Destination::from).collect();
        let proposal = Proposal {
            name: input.name,
            kind: input.kind.unwrap_or_else(|| "text".to_owned()),
            // Who may ever look is not an agent's to widen.
            visibility: "restricted".to_owned(),
            description: input.description,
            folder: input.folder,
            destinations,
        };
        let made = agent.propose(&proposal).await?;
        Ok(Output {
            next: format!(
                "a person has to fill in the value of `{}` and say with --to where it may go; the command shows what was \
                 suggested, asks for the value and does not show it",
                made.name
            ),
            // Without the suggested destinations: who runs it should decide, and not find that it is decided.
            command: format!("tacit secrets set {}", quoted(&made.name)),
            state: made.state.as_str().to_owned(),
            suggested_destinations: made.suggested_destinations.iter().map(summary).collect(),
            name: made.name,
            kind: made.kind,
        })
    }
}

impl From<Suggested> for Destination {
    fn from(suggested: Suggested) -> Self {
        Self {
            scheme: suggested.scheme,
            port: suggested.port,
            methods: suggested.methods,
            paths: suggested.paths,
            places: suggested.places,
            environments: suggested.environments,
            ..Self::host(suggested.host)
        }
    }
}
