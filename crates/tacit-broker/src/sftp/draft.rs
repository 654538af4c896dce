//! From a compiled SFTP step and its data to what is to be done: the server settled, every path in its one form.

use base64::{Engine, engine::general_purpose::STANDARD};
use tacit_model::{Code, Host, Problem, Scheme, Target, limits};
use tacit_template::{Scope, Template};
use tacit_vault::{SftpActionTemplate, SftpTemplate};

use crate::render::{percent_encode, plain};

/// What is to be done, and where.
pub(super) struct Draft {
    pub(super) target: Target,
    pub(super) action: Action,
}

/// What is to be done.
pub(super) enum Action {
    Put { path: RemotePath, content: Vec<u8> },
    Get(RemotePath),
    List(RemotePath),
    Delete(RemotePath),
    Rename { from: RemotePath, to: RemotePath },
}

/// An absolute path that can be read one way only.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RemotePath {
    /// As the server gets it.
    pub(super) sent: String,
    /// As the policy looks at it: percent-encoded, like the path of a request.
    pub(super) judged: String,
}

impl Draft {
    /// # Errors
    /// `unknown_reference` for data that is not there, `validation_failed` for a host or a path that cannot be read one way
    /// only.
    pub(super) fn render(template: &SftpTemplate, scope: &dyn Scope) -> Result<Self, Problem> {
        let host = plain(&template.host, "sftp.host", scope)?;
        let host = Host::parse(&host).map_err(|error| Problem::invalid("sftp.host", error.to_string()))?;
        let target = Target::new(Scheme::Sftp, host, template.port);
        let path = |field: &str, template: &Template| {
            let text = plain(template, field, scope)?;
            RemotePath::parse(&text).map_err(|why| Problem::invalid(field, why))
        };
        let action = match &template.action {
            SftpActionTemplate::Put { path: at, content, is_base64 } => Action::Put {
                path: path("sftp.put.path", at)?,
                content: content_of(content, *is_base64, "sftp.put.content", scope)?,
            },
            SftpActionTemplate::Get(at) => Action::Get(path("sftp.get.path", at)?),
            SftpActionTemplate::List(at) => Action::List(path("sftp.list.path", at)?),
            SftpActionTemplate::Delete(at) => Action::Delete(path("sftp.delete.path", at)?),
            SftpActionTemplate::Rename { from, to } => {
                Action::Rename { from: path("sftp.rename.from", from)?, to: path("sftp.rename.to", to)? }
            }
        };
        Ok(Self { target, action })
    }
}

/// What is to be in a file or an object.
pub(crate) fn content_of(
    template: &Template,
    is_base64: bool,
    field: &str,
    scope: &dyn Scope,
) -> Result<Vec<u8>, Problem> {
    let text = plain(template, field, scope)?;
    let content = if is_base64 {
        STANDARD.decode(text.trim()).map_err(|_| Problem::invalid(field, "is not base64"))?
    } else {
        text.into_bytes()
    };
    let limit = limits::REQUEST_BODY_BYTES_MAX;
    if content.len() > limit {
        return Err(Problem::new(Code::PayloadTooLarge, format!("`{field}` would be over {limit} bytes"))
            .suggest("send less"));
    }
    Ok(content)
}

impl RemotePath {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("must be an absolute path, such as /in/receipt.json");
        };
        if text.len() > limits::REMOTE_PATH_BYTES_MAX {
            return Err("is longer than a path may be");
        }
        // A backslash is a separator to some servers.
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return Err("must hold no control characters and no backslashes");
        }
        let is_normal = |segment: &str| !matches!(segment, "" | "." | "..");
        if !rest.is_empty() && !rest.split('/').all(is_normal) {
            return Err("must be in its normal form: no `.`, `..` or empty segments");
        }
        let judged = text.split('/').map(|segment| percent_encode(segment.as_bytes())).collect::<Vec<_>>();
        Ok(Self { sent: text.to_owned(), judged: judged.join("/") })
    }
}

impl Action {
    /// As destinations name it.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Put { .. } => "PUT",
            Self::Get(_) => "GET",
            Self::List(_) => "LIST",
            Self::Delete(_) => "DELETE",
            Self::Rename { .. } => "RENAME",
        }
    }

    pub(super) fn path(&self) -> &RemotePath {
        match self {
            Self::Put { path, .. }
            | Self::Get(path)
            | Self::List(path)
            | Self::Delete(path)
            | Self::Rename { from: path, .. } => path,
        }
    }

    /// Where a file is moved to.
    pub(super) fn other_path(&self) -> Option<&RemotePath> {
        match self {
            Self::Rename { to, .. } => Some(to),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M7: a path is absolute and climbs nowhere, however it is spelled, and data adds no second reading to it.
    #[test]
    fn m7_paths() {
        for bad in [
            "",
            "a",
            "~/a",
            "/../a",
            "/a/..",
            "/a/../b",
            "/./a",
            "//a",
            "/a//b",
            "/a/",
            "/a\\..\\b",
            "/a\0b",
            "/a\nb",
        ] {
            assert!(RemotePath::parse(bad).is_err(), "{bad:?}");
        }
        for (good, judged) in [
            ("/", "/"),
            ("/in/receipt.json", "/in/receipt.json"),
            ("/a b/ü%2f", "/a%20b/%C3%BC%252f"),
            ("/...", "/..."),
        ] {
            assert_eq!(RemotePath::parse(good).map(|path| path.judged).as_deref(), Ok(judged));
        }
    }
}
