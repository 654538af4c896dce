//! An SFTP step: one thing done with one file or folder of a server whose key is pinned.

use serde::{Deserialize, Serialize};

use crate::{
    automation::{Auth, Issue},
    limits,
};

/// An SFTP step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct SftpStep {
    /// The server; a template of text and variables.
    pub host: String,
    /// Its port; 22 unless said.
    pub port: Option<u16>,
    /// The secret that authenticates.
    pub auth: Auth,
    /// What is done.
    pub action: SftpAction,
    /// Seconds to wait for all of it.
    pub timeout_secs: Option<u64>,
}

/// What an SFTP step does. Paths and contents are templates without secrets.
#[derive(Clone, Debug, PartialEq)]
pub enum SftpAction {
    /// Writes a file.
    Put(SftpPut),
    /// Reads a file.
    Get(SftpPath),
    /// Names what is in a folder.
    List(SftpPath),
    /// Removes a file.
    Delete(SftpPath),
    /// Gives a file another name.
    Rename(SftpRename),
}

/// A file and what is to be in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpPut {
    /// The file.
    pub path: String,
    /// Its content.
    pub content: String,
    /// How `content` is written: `base64` for what is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<ContentEncoding>,
}

/// How content is written in a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentEncoding {
    /// Base64.
    Base64,
}

/// A file or folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpPath {
    /// Its path.
    pub path: String,
}

/// A file's name and its next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpRename {
    /// The path it has.
    pub from: String,
    /// The path it gets.
    pub to: String,
}

/// As it is written: one key of several says what is done.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    auth: Auth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put: Option<SftpPut>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    get: Option<SftpPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<SftpPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete: Option<SftpPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rename: Option<SftpRename>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_secs: Option<u64>,
}

impl TryFrom<Written> for SftpStep {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { host, port, auth, put, get, list, delete, rename, timeout_secs } = written;
        let mut actions = [
            put.map(SftpAction::Put),
            get.map(SftpAction::Get),
            list.map(SftpAction::List),
            delete.map(SftpAction::Delete),
            rename.map(SftpAction::Rename),
        ]
        .into_iter()
        .flatten();
        let (Some(action), None) = (actions.next(), actions.next()) else {
            return Err("an sftp step does exactly one of `put`, `get`, `list`, `delete` and `rename`");
        };
        Ok(Self { host, port, auth, action, timeout_secs })
    }
}

impl From<SftpStep> for Written {
    fn from(step: SftpStep) -> Self {
        let SftpStep { host, port, auth, action, timeout_secs } = step;
        let mut written = Self {
            host,
            port,
            auth,
            put: None,
            get: None,
            list: None,
            delete: None,
            rename: None,
            timeout_secs,
        };
        match action {
            SftpAction::Put(put) => written.put = Some(put),
            SftpAction::Get(path) => written.get = Some(path),
            SftpAction::List(path) => written.list = Some(path),
            SftpAction::Delete(path) => written.delete = Some(path),
            SftpAction::Rename(rename) => written.rename = Some(rename),
        }
        written
    }
}

impl SftpStep {
    /// Checks what serde cannot and what is not a template. `at` is put before each field's name.
    pub fn issues(&self, at: &str) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut wrong =
            |field: &str, message: String| issues.push(Issue::new(format!("{at}{field}"), message));
        if self.host.is_empty() {
            wrong("host", "must be the server's name".to_owned());
        }
        if self.port == Some(0) {
            wrong("port", "must be 1 to 65535".to_owned());
        }
        if self.timeout_secs.is_some_and(|secs| secs == 0 || secs > limits::STEP_TIMEOUT_SECS_MAX) {
            wrong("timeout_secs", format!("must be 1 to {}", limits::STEP_TIMEOUT_SECS_MAX));
        }
        for (field, path) in self.action.paths() {
            if path.is_empty() || path.len() > limits::REMOTE_PATH_BYTES_MAX || path.contains('\0') {
                let message = format!("must be a path of 1 to {} bytes", limits::REMOTE_PATH_BYTES_MAX);
                wrong(&format!("{}.{field}", self.action.as_str()), message);
            }
        }
        issues
    }

    /// The port that counts.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(22)
    }

    /// Seconds to wait for all of it.
    pub fn timeout_secs(&self) -> u64 {
        self.timeout_secs.unwrap_or(limits::STEP_TIMEOUT_SECS_DEFAULT)
    }
}

impl SftpAction {
    /// The key under which it is written.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Put(_) => "put",
            Self::Get(_) => "get",
            Self::List(_) => "list",
            Self::Delete(_) => "delete",
            Self::Rename(_) => "rename",
        }
    }

    /// Every path with its field's name, as written.
    pub fn paths(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Put(put) => vec![("path", &put.path)],
            Self::Get(path) | Self::List(path) | Self::Delete(path) => vec![("path", &path.path)],
            Self::Rename(rename) => vec![("from", &rename.from), ("to", &rename.to)],
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
            let mut step = json!({"host": "files.test", "auth": {"secret": "K"}});
            step.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
            step
        };
        for action in [
            json!({"put": {"path": "/a", "content": "YQ==", "content_encoding": "base64"}}),
            json!({"get": {"path": "/a"}, "port": 2222}),
            json!({"list": {"path": "."}, "timeout_secs": 5}),
            json!({"delete": {"path": "/a"}}),
            json!({"rename": {"from": "/a", "to": "/b"}}),
        ] {
            let parsed: SftpStep = serde_json::from_value(step(action.clone())).unwrap();
            assert_eq!(parsed.issues(""), [], "{action}");
            assert_eq!(serde_json::to_value(&parsed).unwrap(), step(action));
        }
        for action in [
            json!({}),
            json!({"get": {"path": "/a"}, "delete": {"path": "/a"}}),
            json!({"get": {"path": "/a", "mode": 1}}),
            json!({"exec": "ls"}),
        ] {
            assert!(serde_json::from_value::<SftpStep>(step(action.clone())).is_err(), "{action}");
        }
        let bad: SftpStep =
            serde_json::from_value(step(json!({"get": {"path": ""}, "port": 0, "timeout_secs": 0}))).unwrap();
        let fields: Vec<String> = bad.issues("s.").into_iter().map(|issue| issue.field).collect();
        assert_eq!(fields, ["s.port", "s.timeout_secs", "s.get.path"]);
    }
}
