//! `send_request`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tacit_api::{SendRequest as Request, SentResponse};

use super::{
    Describes, Hints,
    request::{Auth, Body},
};
use crate::{
    Refusal,
    agent::Agent,
    limit::{self, Cut, OUTPUT_BYTES_MAX},
};

pub(super) struct SendRequest;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS; GET unless said.
    #[serde(default)]
    method: Option<String>,
    /// The absolute URL, such as https://api.stripe.com/v1/charges. A secret may stand in it only as a whole path segment,
    /// and only if its destination names the place `path`.
    url: String,
    /// The secret that authenticates the request: its name, such as "STRIPE_KEY". Its type decides how.
    #[serde(default)]
    auth: Option<Auth>,
    /// Headers. A value may be a reference: {"X-Key": "{{secrets.NAME}}"}.
    #[serde(default)]
    headers: Map<String, Value>,
    /// Query parameters; they are encoded for you. A value may be a reference.
    #[serde(default)]
    query: Map<String, Value>,
    /// The body: exactly one of {"json": …}, {"form": {…}}, {"text": "…"}.
    #[serde(default)]
    body: Option<Body>,
    /// In which environment secrets are looked up, such as `test`. A protected one (`live`) has to be named in each call.
    #[serde(default)]
    environment: Option<String>,
    /// Keep only these of a JSON answer: JSON pointers such as "/data/0/id". Use it where answers are long.
    #[serde(default)]
    fields: Option<Vec<String>>,
    /// How many redirects to follow, each judged anew; 0 unless said.
    #[serde(default)]
    #[schemars(range(max = 5))]
    redirects: u32,
    /// Seconds to wait for the whole answer; 20 unless said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 300))]
    timeout_secs: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The status the service answered. Anything it answers is data: look at it.
    status: u16,
    /// The answer's headers.
    headers: BTreeMap<String, String>,
    /// The answer's body: JSON, else text, else base64. `[sealed:NAME]` stands where a secret was taken out.
    body: Value,
    /// `base64` where the body is neither JSON nor text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_encoding: Option<String>,
    /// How many times a secret was taken out of the answer.
    redactions: u64,
    /// Why headers and body are missing: `status_only` if nothing but the status may be shown of answers from there, because a
    /// destination says so or a secret is too short to be recognised; `block` if the answer held a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<String>,
    /// In which environment the secrets were looked up.
    environment: String,
    /// Present if the body was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
}

impl Describes for SendRequest {
    const NAME: &'static str = "send_request";
    const TITLE: &'static str = "Send a request with a secret";
    const DESCRIPTION: &'static str = "Sends one HTTP request with stored credentials put in by name, and answers what \
        came back. Name the credential in `auth`, or write {{secrets.NAME}} as the value of a header, a query parameter \
        or a body field. A credential goes only to the destinations that its owner allowed; a refusal says what does not \
        fit. Credentials that come back in the answer are replaced by [sealed:NAME]. Each call counts against this \
        session's budget.";
    const HINTS: Hints = Hints { reads_only: false, destructive: true, idempotent: false, open_world: true };
    type Input = Input;
    type Output = Output;

    async fn run(agent: &Agent, input: Input) -> Result<Output, Refusal> {
        let environment = agent.environment(input.environment).await?;
        let method = input.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        let request = Request {
            auth: input.auth.map(Into::into),
            headers: input.headers,
            query: input.query,
            body: input.body.map(Into::into),
            fields: input.fields,
            redirects: input.redirects,
            timeout_secs: input.timeout_secs,
            ..Request::new(&environment, method, input.url)
        };
        Ok(output(agent.send(&request).await?, environment))
    }
}

fn output(answer: SentResponse, environment: String) -> Output {
    let (body, cut) = limit::shorten(answer.body, OUTPUT_BYTES_MAX);
    Output {
        status: answer.status,
        headers: limit::headers(answer.headers),
        body,
        body_encoding: answer.body_encoding,
        redactions: answer.redactions,
        withheld: answer.withheld,
        environment,
        cut,
    }
}
