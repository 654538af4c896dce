//! `explain_refusal`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tacit_api::{Secret, SecretState};
use tacit_model::{Destination, EnvironmentName, Place, RequestPath, Target};

use super::{Describes, Hints, LOOKS};
use crate::{Refusal, agent::Agent, codes, destination::summary};

pub(super) struct ExplainRefusal;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The code of the refusal, such as destination_not_allowed.
    code: String,
    /// The secret that was to be used, to compare the request with what it allows.
    #[serde(default)]
    secret: Option<String>,
    /// The request's method; GET unless said.
    #[serde(default)]
    method: Option<String>,
    /// The request's URL.
    #[serde(default)]
    url: Option<String>,
    /// The request's environment.
    #[serde(default)]
    environment: Option<String>,
    /// Where in the request the secret stood: `auth`, `header:NAME`, `query:NAME`, `path`, `json:/pointer`, `form:FIELD`.
    #[serde(default)]
    place: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The code.
    code: String,
    /// What it means.
    meaning: String,
    /// What to do about it.
    what_to_do: String,
    /// Who can change it.
    who_can_change_it: String,
    /// The request beside what the secret allows; present if a secret was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

/// A request beside a secret.
#[derive(Serialize, JsonSchema)]
struct Comparison {
    /// The secret.
    secret: String,
    /// What stands against its use wherever it should go: its state, a missing value.
    obstacles: Vec<String>,
    /// For each destination what does not match.
    destinations: Vec<Compared>,
    /// In one sentence.
    verdict: String,
}

/// One destination beside the request.
#[derive(Serialize, JsonSchema)]
struct Compared {
    /// The destination in one line.
    destination: String,
    /// What does not match; empty if the request fits.
    differences: Vec<String>,
}

impl Describes for ExplainRefusal {
    const NAME: &'static str = "explain_refusal";
    const TITLE: &'static str = "Explain a refusal";
    const DESCRIPTION: &'static str = "Explains the code of a refusal: what it means, what to do, and who can change it. \
        With the secret, method and URL of the request it compares them with what the secret allows, and says exactly what \
        does not match. Use it before trying again; the same request will be refused again.";
    const HINTS: Hints = LOOKS;
    type Input = Input;
    type Output = Output;

    async fn run(agent: &Agent, input: Input) -> Result<Output, Refusal> {
        let Some(code) = codes::explained(&input.code) else {
            return Err(Refusal::arguments(format_args!("`code` is none of Tacit's: {}", codes::all())));
        };
        let comparison = match &input.secret {
            Some(name) => {
                let secret = agent.secret(name).await?;
                let environment = agent.environment(input.environment.clone()).await?;
                Some(compare(&secret, &input, &environment))
            }
            None => None,
        };
        Ok(Output {
            code: input.code,
            meaning: code.meaning.to_owned(),
            what_to_do: code.what_to_do.to_owned(),
            who_can_change_it: code.who.to_owned(),
            comparison,
        })
    }
}

fn compare(secret: &Secret, input: &Input, environment: &str) -> Comparison {
    let mut obstacles = Vec::new();
    match secret.state {
        // What is due can be used; whether what expired still is of use, its service says.
        SecretState::Active | SecretState::Due | SecretState::Overdue | SecretState::Expired => {}
        SecretState::Proposed => {
            obstacles.push("it is proposed and waits for a person to fill it".to_owned())
        }
        SecretState::Disabled => obstacles.push("it is switched off".to_owned()),
        SecretState::Deleted => obstacles.push("it is deleted".to_owned()),
    }
    match secret.environments.get(environment) {
        None => obstacles.push(format!("it has no value in `{environment}`")),
        Some(value) if value.disabled => obstacles.push(format!("it is switched off in `{environment}`")),
        Some(_) => {}
    }
    let mut destinations = Vec::new();
    let mut verdict = "name the `url`, too, to compare it with the destinations".to_owned();
    if let Some(url) = &input.url {
        match Target::parse_url(url) {
            Ok((target, path)) => {
                let request = Request {
                    target,
                    path,
                    method: input.method.as_deref().unwrap_or("GET").to_ascii_uppercase(),
                    environment,
                    place: input.place.as_deref().unwrap_or("auth"),
                };
                destinations = secret.destinations.iter().map(|written| request.beside(written)).collect();
                verdict = request.verdict(secret, &obstacles, &destinations);
            }
            Err(error) => verdict = format!("the URL {error}"),
        }
    }
    Comparison { secret: secret.name.clone(), obstacles, destinations, verdict }
}

/// The request that was refused.
struct Request<'a> {
    target: Target,
    path: RequestPath,
    method: String,
    environment: &'a str,
    place: &'a str,
}

impl Request<'_> {
    /// What the server looks at, in its order, by the server's own rules.
    fn beside(&self, written: &tacit_api::Destination) -> Compared {
        let parsed = serde_json::to_value(written).ok();
        let parsed = parsed.and_then(|value| serde_json::from_value::<Destination>(value).ok());
        let differences = match &parsed {
            Some(destination) => self.differences(destination),
            None => vec![
                "it has fields that this version does not know, so it cannot be compared here".to_owned(),
            ],
        };
        Compared { destination: summary(written), differences }
    }

    fn differences(&self, destination: &Destination) -> Vec<String> {
        let mut found = Vec::new();
        if !destination.host.matches(self.target.host()) {
            found.push(format!(
                "host: the request goes to {}, allowed is {}",
                self.target.host(),
                destination.host
            ));
        }
        if destination.scheme != self.target.scheme() {
            let (ours, theirs) = (self.target.scheme().as_str(), destination.scheme.as_str());
            found.push(format!("scheme: the request uses {ours}, allowed is {theirs}"));
        }
        if destination.port != self.target.port() {
            found.push(format!(
                "port: the request uses {}, allowed is {}",
                self.target.port(),
                destination.port
            ));
        }
        if !destination.methods.is_empty() && !destination.methods.contains(&self.method) {
            found.push(format!(
                "method: the request is {}, allowed are {}",
                self.method,
                destination.methods.join(", ")
            ));
        }
        let paths = &destination.paths;
        if !paths.is_empty() && !paths.iter().any(|pattern| pattern.matches(self.path.path())) {
            let allowed: Vec<String> = paths.iter().map(ToString::to_string).collect();
            found.push(format!(
                "path: the request asks for {}, allowed are {}",
                self.path.path(),
                allowed.join(", ")
            ));
        }
        let environments = &destination.environments;
        let is_meant = |name: &EnvironmentName| name.as_str() == self.environment;
        if !environments.is_empty() && !environments.iter().any(is_meant) {
            let allowed: Vec<&str> = environments.iter().map(EnvironmentName::as_str).collect();
            found.push(format!(
                "environment: the request is in {}, allowed are {}",
                self.environment,
                allowed.join(", ")
            ));
        }
        let places: Vec<String> = destination.places.iter().map(ToString::to_string).collect();
        match self.place.parse::<Place>() {
            Ok(place) if destination.places.contains(&place) => {}
            Ok(place) => {
                found.push(format!("place: the secret stands in {place}, allowed are {}", places.join(", ")))
            }
            Err(error) => found.push(format!("place: `{}` {error}", self.place)),
        }
        found
    }

    fn verdict(&self, secret: &Secret, obstacles: &[String], compared: &[Compared]) -> String {
        let aim = "someone with `secret.policy` and `secret.reveal` (owners and admins) can change where it may go: \
                   `tacit secrets policy`";
        if secret.destinations.is_empty() {
            return format!("it has no destination, so an agent cannot use it anywhere; {aim}");
        }
        if compared.iter().any(|one| one.differences.is_empty()) {
            return match obstacles {
                [] => format!(
                    "{} {} fits a destination; whatever refused it was something else than where it goes",
                    self.method, self.target
                ),
                _ => "it may go there, and the obstacles named above stand against it".to_owned(),
            };
        }
        // The one that is nearly right is the one that was meant.
        let nearest = compared.iter().min_by_key(|one| one.differences.len());
        let nearest = nearest.map(|one| one.differences.join("; ")).unwrap_or_default();
        format!(
            "no destination fits; of the nearest this does not match: {nearest}. If the request is right, {aim}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn secret(change: Value) -> Secret {
        let mut written = json!({"name": "K", "type": "text", "visibility": "restricted", "description": "", "folder": "",
            "state": "active", "system": false, "created_at": "t", "created_by": "user:owner", "updated_at": "t",
            "environments": {"test": {"version": 1, "set_at": "t", "disabled": false, "fields": {}}},
            "destinations": [{"host": "api.stripe.com", "methods": ["GET"], "paths": ["/v1/charges/**"]}, {"host": "x.test"}]});
        written.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(written).unwrap()
    }

    fn ask(secret: &Secret, input: Value) -> Comparison {
        let input: Input = serde_json::from_value(input).ok().unwrap();
        let environment = input.environment.clone().unwrap_or_else(|| "test".to_owned());
        compare(secret, &input, &environment)
    }

    /// Exactly what does not match, of each destination and of the nearest.
    #[test]
    fn differences() {
        let compared = ask(
            &secret(json!({})),
            json!({"code": "destination_not_allowed", "method": "post", "url": "https://api.stripe.com/v1/refunds?a=b"}),
        );
        assert_eq!(
            compared.destinations[0].differences,
            [
                "method: the request is POST, allowed are GET",
                "path: the request asks for /v1/refunds, allowed are /v1/charges/**"
            ]
        );
        assert_eq!(
            compared.destinations[1].differences,
            ["host: the request goes to api.stripe.com, allowed is x.test"]
        );
        assert!(
            compared.verdict.contains("host: the request goes to")
                && compared.verdict.contains("secret.policy")
        );

        let compared = ask(
            &secret(json!({})),
            json!({"code": "placement_not_allowed", "url": "http://x.test:81/", "place": "header:X-K"}),
        );
        assert_eq!(
            compared.destinations[1].differences,
            [
                "scheme: the request uses http, allowed is https",
                "port: the request uses 81, allowed is 443",
                "place: the secret stands in header:x-k, allowed are auth"
            ]
        );
    }

    /// What stands against any use is said apart from where it goes.
    #[test]
    fn obstacles() {
        let fits = json!({"code": "secret_disabled", "url": "https://x.test/", "environment": "live"});
        let compared = ask(&secret(json!({"state": "disabled"})), fits.clone());
        assert_eq!(compared.obstacles, ["it is switched off", "it has no value in `live`"]);
        assert!(compared.verdict.contains("obstacles"), "{}", compared.verdict);
        let compared = ask(&secret(json!({"destinations": []})), fits);
        assert!(compared.verdict.starts_with("it has no destination"), "{}", compared.verdict);
        let compared = ask(&secret(json!({})), json!({"code": "forbidden", "url": "https://x.test/"}));
        assert!(compared.verdict.contains("something else"), "{}", compared.verdict);
        let compared = ask(&secret(json!({})), json!({"code": "forbidden", "url": "https://u:p@x.test/"}));
        assert!(compared.verdict.contains("user name"), "{}", compared.verdict);
    }
}
