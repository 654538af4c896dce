//! Automations as they are written: steps that name secrets.
//!
//! This module knows the shape; which references are valid and who may publish them is `tacit-vault`'s.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{limits, name::SecretName, retry::Retry, sftp::SftpStep, storage::StorageStep, trigger::Trigger};

/// An automation's definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Automation {
    /// Its name, unique in the workspace.
    pub name: SecretName,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How many runs of it may go at once in an environment; the others wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// What starts it by itself, where a deployment enables that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenStep", into = "WrittenStep")]
pub struct Step {
    /// How later steps refer to this one: letters, digits, `_` and `-`.
    pub id: String,
    /// A condition on input, variables and earlier output; the step is skipped where it does not hold.
    pub when: Option<String>,
    /// What happens to the run when it fails.
    pub on_error: OnError,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// An HTTP request through the broker.
    Http(HttpStep),
    /// Something with a file on an SFTP server.
    Sftp(SftpStep),
    /// Something with an object in a bucket.
    Storage(StorageStep),
}

/// What a step's failure does to its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The run fails; no later step begins.
    #[default]
    Stop,
    /// Later steps go on; they see what this one brought, if it brought something, and with which code it failed.
    Continue,
}

/// A step as it is written: one key of several says what it does. An enum in serde's own way of writing one
/// (`flatten`) would let unknown fields pass.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    #[serde(default, skip_serializing_if = "OnError::is_stop")]
    on_error: OnError,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<HttpStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sftp: Option<SftpStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<StorageStep>,
}

impl TryFrom<WrittenStep> for Step {
    type Error = &'static str;

    fn try_from(written: WrittenStep) -> Result<Self, Self::Error> {
        let WrittenStep { id, when, on_error, http, sftp, storage } = written;
        let kind = match (http, sftp, storage) {
            (Some(http), None, None) => StepKind::Http(http),
            (None, Some(sftp), None) => StepKind::Sftp(sftp),
            (None, None, Some(storage)) => StepKind::Storage(storage),
            _ => return Err("a step is exactly one of `http`, `sftp` and `storage`"),
        };
        Ok(Self { id, when, on_error, kind })
    }
}

impl From<Step> for WrittenStep {
    fn from(step: Step) -> Self {
        let Step { id, when, on_error, kind } = step;
        let mut written = Self { id, when, on_error, http: None, sftp: None, storage: None };
        match kind {
            StepKind::Http(http) => written.http = Some(http),
            StepKind::Sftp(sftp) => written.sftp = Some(sftp),
            StepKind::Storage(storage) => written.storage = Some(storage),
        }
        written
    }
}

impl OnError {
    fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

/// An HTTP request: the fields of an `http` step, and of `POST …/requests`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpStep {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The URL; a template.
    pub url: String,
    /// The secret that authenticates the request; its type decides how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Headers: literal names, templates as values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    /// Query parameters: literal names, templates as values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// The statuses that count as success; by default every one below 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_status: Option<Vec<u16>>,
    /// JSON pointers: keep only these of a JSON answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// How many redirects to follow, each judged anew; 0 makes the redirect the answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redirects: u32,
    /// Seconds to wait for the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u64>,
    /// Whether it is sent again when it fails; not unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// Which secret authenticates a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Its name, literally.
    pub secret: SecretName,
}

/// A request body: exactly one of the forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Body {
    /// JSON whose strings are templates.
    Json(Value),
    /// A form: literal names, templates as values.
    Form(Map<String, Value>),
    /// Text; a template without secrets.
    Text(String),
}

fn get() -> String {
    "GET".to_owned()
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One thing that is wrong, with the field it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// A path such as `steps[0].http.url`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Issue {
    /// An issue.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Automation {
    /// Checks what serde cannot: counts, ids and limits.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.description.len() > limits::DESCRIPTION_BYTES_MAX {
            issues.push(Issue::new(
                "description",
                format!("must be at most {} bytes", limits::DESCRIPTION_BYTES_MAX),
            ));
        }
        if let Some(concurrency) = self.concurrency
            && !(1..=limits::RUNS_AT_ONCE_OF_AUTOMATION_MAX).contains(&i64::from(concurrency))
        {
            let message = format!("must be 1 to {}", limits::RUNS_AT_ONCE_OF_AUTOMATION_MAX);
            issues.push(Issue::new("concurrency", message));
        }
        if self.triggers.len() > limits::TRIGGERS_MAX {
            issues.push(Issue::new("triggers", format!("must be at most {}", limits::TRIGGERS_MAX)));
        }
        for (at, trigger) in self.triggers.iter().enumerate() {
            issues.extend(trigger.issues(&format!("triggers[{at}]")));
        }
        if self.steps.is_empty() || self.steps.len() > limits::STEPS_MAX {
            issues.push(Issue::new("steps", format!("must be 1 to {} steps", limits::STEPS_MAX)));
        }
        for (at, step) in self.steps.iter().enumerate() {
            let field = format!("steps[{at}]");
            let is_id = |id: &str| {
                (1..=63).contains(&id.len())
                    && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            };
            if !is_id(&step.id) {
                issues.push(Issue::new(format!("{field}.id"), "must be 1 to 63 letters, digits, `_` or `-`"));
            }
            if self.steps[..at].iter().any(|earlier| earlier.id == step.id) {
                issues.push(Issue::new(
                    format!("{field}.id"),
                    "is used by an earlier step; give each step its own",
                ));
            }
            issues.extend(step.kind.issues(&format!("{field}.{}.", step.kind.as_str())));
        }
        issues
    }
}

impl StepKind {
    /// The key under which it is written.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Sftp(_) => "sftp",
            Self::Storage(_) => "storage",
        }
    }

    /// Checks what serde cannot. `at` is put before each field's name.
    pub fn issues(&self, at: &str) -> Vec<Issue> {
        match self {
            Self::Http(http) => http.issues(at),
            Self::Sftp(sftp) => sftp.issues(at),
            Self::Storage(storage) => storage.issues(at),
        }
    }

    /// The secret that authenticates, if the step says one.
    pub fn auth(&self) -> Option<&Auth> {
        match self {
            Self::Http(http) => http.auth.as_ref(),
            Self::Sftp(sftp) => Some(&sftp.auth),
            Self::Storage(storage) => Some(&storage.auth),
        }
    }
}

impl HttpStep {
    /// Checks limits and the parts that are not templates. `at` is put before each field's name.
    pub fn issues(&self, at: &str) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut wrong =
            |field: &str, message: String| issues.push(Issue::new(format!("{at}{field}"), message));
        if !crate::target::is_sendable_method(&self.method) {
            wrong(
                "method",
                "must be a method in capitals, such as GET or POST; TRACE and CONNECT are never sent".into(),
            );
        }
        if self.headers.len() > limits::STEP_HEADERS_MAX {
            wrong("headers", format!("must be at most {}", limits::STEP_HEADERS_MAX));
        }
        if self.query.len() > limits::STEP_FIELDS_MAX {
            wrong("query", format!("must be at most {}", limits::STEP_FIELDS_MAX));
        }
        if matches!(&self.body, Some(Body::Form(fields)) if fields.len() > limits::STEP_FIELDS_MAX) {
            wrong("body.form", format!("must be at most {} fields", limits::STEP_FIELDS_MAX));
        }
        if self.redirects > limits::REDIRECTS_MAX {
            wrong("redirects", format!("must be at most {}", limits::REDIRECTS_MAX));
        }
        if self.timeout_secs.is_some_and(|secs| secs == 0 || secs > limits::STEP_TIMEOUT_SECS_MAX) {
            wrong("timeout_secs", format!("must be 1 to {}", limits::STEP_TIMEOUT_SECS_MAX));
        }
        if self.fields.iter().flatten().any(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            wrong("fields", "must be JSON pointers, such as /id".into());
        }
        if self.expect_status.iter().flatten().any(|status| !(100..=599).contains(status)) {
            wrong("expect_status", "must be statuses from 100 to 599".into());
        }
        if let Some(retry) = &self.retry {
            issues.extend(retry.issues(&format!("{at}retry.")));
        }
        issues
    }

    /// Seconds to wait for the whole answer.
    pub fn timeout_secs(&self) -> u64 {
        self.timeout_secs.unwrap_or(limits::STEP_TIMEOUT_SECS_DEFAULT)
    }

    /// Whether a status counts as success.
    pub fn expects(&self, status: u16) -> bool {
        self.expect_status.as_ref().map_or(status < 400, |expected| expected.contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A definition keeps what was written and nothing else.
    #[test]
    fn definitions_round_trip() {
        let written = json!({"name": "a", "concurrency": 1, "triggers": [{"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}}, {"webhook": {}}], "steps": [{"id": "s", "http": {"method": "POST", "url": "https://x.test/", "auth": {"secret": "K"}, "body": {"form": {"a": "{{input.a}}"}}, "expect_status": [200]}}]});
        let parsed: Automation = serde_json::from_value(written.clone()).unwrap();
        assert!(parsed.issues().is_empty());
        assert_eq!(serde_json::to_value(&parsed).unwrap(), written);
    }

    /// Every kind of step is written under its own key, and what is the default is not written.
    #[test]
    fn steps_of_every_kind() {
        let auth = json!({"secret": "K"});
        for step in [
            json!({"id": "a", "when": "input.a == 1", "on_error": "continue", "http": {"method": "GET", "url": "https://x.test/", "retry": {"attempts": 3}}}),
            json!({"id": "b", "sftp": {"host": "files.bank.example", "auth": auth, "put": {"path": "/in/a", "content": "{{steps.a.body}}"}}}),
            json!({"id": "c", "storage": {"endpoint": "https://s3.test", "bucket": "b", "auth": auth, "get": {"key": "k"}}}),
        ] {
            let parsed: Step = serde_json::from_value(step.clone()).unwrap();
            assert_eq!(parsed.kind.issues(""), [], "{step}");
            assert_eq!(serde_json::to_value(&parsed).unwrap(), step);
        }
        for bad in [
            json!({"id": "a"}),
            json!({"id": "a", "code": {}}),
            json!({"id": "a", "http": {"url": "u"}, "storage": {"endpoint": "e", "bucket": "b", "auth": auth, "get": {"key": "k"}}}),
            json!({"id": "a", "http": {"url": "u"}, "on_error": "retry"}),
            json!({"id": "a", "http": {"url": "u"}, "if": "true"}),
        ] {
            assert!(serde_json::from_value::<Step>(bad.clone()).is_err(), "{bad}");
        }
    }

    /// Unknown fields, two bodies and bad ids are refused.
    #[test]
    fn bad_definitions() {
        let parse = |value| serde_json::from_value::<Automation>(value);
        assert!(parse(json!({"name": "a", "steps": [], "cron": "x"})).is_err());
        assert!(parse(json!({"name": "a", "steps": [{"id": "s", "http": {"url": "u", "body": {"json": 1, "text": ""}}}]})).is_err());
        let twice = parse(json!({"name": "a", "steps": [{"id": "s", "http": {"url": "u"}}, {"id": "s", "http": {"url": "u", "method": "TRACE"}}]})).unwrap();
        assert_eq!(twice.issues().len(), 2);
        assert_eq!(parse(json!({"name": "a", "steps": []})).unwrap().issues().len(), 1);
        for none in [0, 33] {
            let written =
                json!({"name": "a", "concurrency": none, "steps": [{"id": "s", "http": {"url": "u"}}]});
            assert_eq!(parse(written).unwrap().issues()[0].field, "concurrency");
        }
    }
}
