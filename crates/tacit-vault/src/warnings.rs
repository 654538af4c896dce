//! What an owner is told when a secret is saved: values too weak to be recognised, places known to be dangerous.

use tacit_model::{Destinations, Fields, SecretName, SecretType};
use tacit_redact::strength;

/// The warning that a value cannot be taken out of an answer.
pub(crate) fn weakness(kind: SecretType, name: &SecretName, fields: &Fields) -> Option<String> {
    let weak = match kind {
        SecretType::Json => false,
        _ => fields.hidden(kind).any(|(_, text)| !strength(text.as_bytes()).is_scrubbable()),
    };
    weak.then(|| {
        format!(
            "`{name}` has fewer than 16 unpredictable characters, so it cannot be taken out of answers: over HTTP only the status comes back, \
             until its destination says `echoes: false`. Use a longer value if the service offers one."
        )
    })
}

/// Hosts that are known to send back, publish or mint, and what their owner should think of.
const CATALOGUE: &[(&str, &str)] = &[
    ("httpbin.org", "echoes what it is sent, and everyone may read its code but not its logs"),
    ("postman-echo.com", "echoes what it is sent"),
    ("webhook.site", "publishes what it is sent"),
    ("requestbin.com", "publishes what it is sent"),
    ("pipedream.net", "publishes what it is sent to whoever made the endpoint"),
    (
        "hooks.slack.com",
        "is a place where anyone with the address can post; the address itself is the secret",
    ),
    ("script.google.com", "runs code of whoever wrote the script; name the script in `paths`"),
    ("s3.amazonaws.com", "serves everybody's buckets; name yours in `paths`"),
    ("storage.googleapis.com", "serves everybody's buckets; name yours in `paths`"),
    (
        "api.github.com",
        "can mint further credentials and publish content; name the methods and `paths` you need",
    ),
    ("gitlab.com", "can mint further credentials and publish content; name the methods and `paths` you need"),
    ("sts.amazonaws.com", "mints credentials that work outside Tacit"),
    ("iam.amazonaws.com", "mints credentials that work outside Tacit"),
];

/// What is known of the hosts that a secret may go to.
pub(crate) fn destination_warnings(destinations: &Destinations) -> Vec<String> {
    let mut warnings = Vec::new();
    for destination in &destinations.0 {
        let host = destination.host.to_string();
        for (known, why) in CATALOGUE {
            let matches = host == *known || host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.'));
            if matches && (destination.paths.is_empty() || !why.contains("`paths`")) {
                warnings.push(format!("{host} {why}"));
            }
        }
        if destination.scheme == tacit_model::Scheme::Http && !destination.host.is_loopback() {
            warnings
                .push(format!("{host} is spoken to without TLS: whoever is on the way can read the value"));
        }
    }
    warnings
}
