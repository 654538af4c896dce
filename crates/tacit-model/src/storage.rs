//! A storage step: one thing done with one object of a bucket, by requests that are signed.

use serde::{Deserialize, Serialize};

use crate::{
    automation::{Auth, Issue},
    limits,
    sftp::ContentEncoding,
};

/// A storage step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct StorageStep {
    /// Where the storage is, such as `https://s3.eu-central-1.amazonaws.com`; a template of text and variables.
    pub endpoint: String,
    /// Its region, for the signature; that of the secret unless said.
    pub region: Option<String>,
    /// The bucket; a template without secrets.
    pub bucket: String,
    /// The secret that signs.
    pub auth: Auth,
    /// What is done.
    pub action: StorageAction,
    /// Seconds to wait for all of it.
    pub timeout_secs: Option<u64>,
}

/// What a storage step does. Keys and contents are templates without secrets.
#[derive(Clone, Debug, PartialEq)]
pub enum StorageAction {
    /// Writes an object.
    Put(StoragePut),
    /// Reads an object.
    Get(StorageKey),
    /// Names the objects of a bucket.
    List(StorageList),
    /// Removes an object.
    Delete(StorageKey),
}

/// An object and what is to be in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoragePut {
    /// Its key.
    pub key: String,
    /// Its content.
    pub content: String,
    /// How `content` is written: `base64` for what is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<ContentEncoding>,
    /// What the content is, such as `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageKey {
    /// Its key.
    pub key: String,
}

/// Which objects to name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageList {
    /// What their keys begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// As it is written: one key of several says what is done.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    bucket: String,
    auth: Auth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put: Option<StoragePut>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    get: Option<StorageKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<StorageList>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete: Option<StorageKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_secs: Option<u64>,
}

impl TryFrom<Written> for StorageStep {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { endpoint, region, bucket, auth, put, get, list, delete, timeout_secs } = written;
        let mut actions = [
            put.map(StorageAction::Put),
            get.map(StorageAction::Get),
            list.map(StorageAction::List),
            delete.map(StorageAction::Delete),
        ]
        .into_iter()
        .flatten();
        let (Some(action), None) = (actions.next(), actions.next()) else {
            return Err("a storage step does exactly one of `put`, `get`, `list` and `delete`");
        };
        Ok(Self { endpoint, region, bucket, auth, action, timeout_secs })
    }
}

impl From<StorageStep> for Written {
    fn from(step: StorageStep) -> Self {
        let StorageStep { endpoint, region, bucket, auth, action, timeout_secs } = step;
        let mut written = Self {
            endpoint,
            region,
            bucket,
            auth,
            put: None,
            get: None,
            list: None,
            delete: None,
            timeout_secs,
        };
        match action {
            StorageAction::Put(put) => written.put = Some(put),
            StorageAction::Get(key) => written.get = Some(key),
            StorageAction::List(list) => written.list = Some(list),
            StorageAction::Delete(key) => written.delete = Some(key),
        }
        written
    }
}

impl StorageStep {
    /// Checks what serde cannot and what is not a template. `at` is put before each field's name.
    pub fn issues(&self, at: &str) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut wrong =
            |field: &str, message: String| issues.push(Issue::new(format!("{at}{field}"), message));
        if self.endpoint.is_empty() {
            wrong("endpoint", "must be a URL, such as https://s3.eu-central-1.amazonaws.com".to_owned());
        }
        if self.bucket.is_empty() {
            wrong("bucket", "must be the bucket's name".to_owned());
        }
        if self.timeout_secs.is_some_and(|secs| secs == 0 || secs > limits::STEP_TIMEOUT_SECS_MAX) {
            wrong("timeout_secs", format!("must be 1 to {}", limits::STEP_TIMEOUT_SECS_MAX));
        }
        if let Some(key) = self.action.key()
            && (key.is_empty() || key.len() > limits::REMOTE_PATH_BYTES_MAX)
        {
            let message = format!("must be 1 to {} bytes", limits::REMOTE_PATH_BYTES_MAX);
            wrong(&format!("{}.key", self.action.as_str()), message);
        }
        issues
    }

    /// Seconds to wait for all of it.
    pub fn timeout_secs(&self) -> u64 {
        self.timeout_secs.unwrap_or(limits::STEP_TIMEOUT_SECS_DEFAULT)
    }
}

impl StorageAction {
    /// The key under which it is written.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Put(_) => "put",
            Self::Get(_) => "get",
            Self::List(_) => "list",
            Self::Delete(_) => "delete",
        }
    }

    /// The object's key as written; a list has none.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Put(put) => Some(&put.key),
            Self::Get(key) | Self::Delete(key) => Some(&key.key),
            Self::List(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Exactly one thing is done, and it stays as it was written.
    #[test]
    fn one_action() {
        let step = |action: serde_json::Value| {
            let mut step =
                json!({"endpoint": "https://s3.test", "bucket": "receipts", "auth": {"secret": "K"}});
            step.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
            step
        };
        for action in [
            json!({"put": {"key": "a", "content": "{}", "content_type": "application/json"}}),
            json!({"get": {"key": "a"}, "region": "eu-central-1"}),
            json!({"list": {}}),
            json!({"list": {"prefix": "2026/"}, "timeout_secs": 5}),
            json!({"delete": {"key": "a"}}),
        ] {
            let parsed: StorageStep = serde_json::from_value(step(action.clone())).unwrap();
            assert_eq!(parsed.issues(""), [], "{action}");
            assert_eq!(serde_json::to_value(&parsed).unwrap(), step(action));
        }
        for action in [
            json!({}),
            json!({"get": {"key": "a"}, "list": {}}),
            json!({"get": {"key": "a", "range": 1}}),
            json!({"presign": {"key": "a"}}),
        ] {
            assert!(serde_json::from_value::<StorageStep>(step(action.clone())).is_err(), "{action}");
        }
        let bad: StorageStep =
            serde_json::from_value(step(json!({"get": {"key": ""}, "timeout_secs": 301}))).unwrap();
        let fields: Vec<String> = bad.issues("s.").into_iter().map(|issue| issue.field).collect();
        assert_eq!(fields, ["s.timeout_secs", "s.get.key"]);
    }
}
