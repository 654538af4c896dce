//! An SFTP step, compiled: its host is settled by text and variables, and its secret stands in `auth` alone.

use tacit_model::{Place, Problem, SftpAction, SftpStep};
use tacit_template::{Reference, Template};

use crate::{Slot, plain::PlainFields};

/// An SFTP step, compiled.
#[derive(Clone, Debug)]
pub struct SftpTemplate {
    /// The server.
    pub host: Template,
    /// Its port.
    pub port: u16,
    /// What is done.
    pub action: SftpActionTemplate,
    /// Its one secret.
    pub slots: Vec<Slot>,
}

/// What an SFTP step does.
#[derive(Clone, Debug)]
pub enum SftpActionTemplate {
    /// Writes a file.
    Put {
        /// The file.
        path: Template,
        /// What is to be in it.
        content: Template,
        /// Whether the content is written in base64.
        is_base64: bool,
    },
    /// Reads a file.
    Get(Template),
    /// Names what is in a folder.
    List(Template),
    /// Removes a file.
    Delete(Template),
    /// Gives a file another name.
    Rename {
        /// The path it has.
        from: Template,
        /// The path it gets.
        to: Template,
    },
}

impl SftpTemplate {
    /// Compiles a step. `at` is put before each field's name in what is wrong.
    ///
    /// # Errors
    /// `validation_failed` or `placement_not_allowed`, with every issue found.
    pub fn compile(step: &SftpStep, at: &str) -> Result<Self, Problem> {
        let mut fields = PlainFields::new(at, step.issues(at));
        let host = fields.host("host", &step.host);
        let action = action(&mut fields, &step.action);
        fields.finish()?;
        let (Some(host), Some(action)) = (host, action) else {
            return Err(Problem::internal("a field was neither parsed nor refused"));
        };
        let slot = Slot { name: step.auth.secret.clone(), field: None, place: Place::Auth, by_type: true };
        Ok(Self { host, port: step.port(), action, slots: vec![slot] })
    }

    /// Every reference that is not a secret.
    pub fn data_references(&self) -> Vec<&Reference> {
        let templates = match &self.action {
            SftpActionTemplate::Put { path, content, .. } => vec![path, content],
            SftpActionTemplate::Rename { from, to } => vec![from, to],
            SftpActionTemplate::Get(path)
            | SftpActionTemplate::List(path)
            | SftpActionTemplate::Delete(path) => vec![path],
        };
        self.host.references().chain(templates.into_iter().flat_map(Template::references)).collect()
    }
}

fn action(fields: &mut PlainFields, action: &SftpAction) -> Option<SftpActionTemplate> {
    let mut path = |field: &str, source: &str| {
        let template = fields.text(field, source)?;
        // What a relative path means is the server's to say; where it begins with data, that is looked at when it is known.
        if template.is_literal() && !source.starts_with('/') {
            fields.wrong(field, "must be an absolute path, such as /in/receipt.json");
        }
        Some(template)
    };
    Some(match action {
        SftpAction::Put(put) => SftpActionTemplate::Put {
            path: path("put.path", &put.path)?,
            content: fields.text("put.content", &put.content)?,
            is_base64: put.content_encoding.is_some(),
        },
        SftpAction::Get(at) => SftpActionTemplate::Get(path("get.path", &at.path)?),
        SftpAction::List(at) => SftpActionTemplate::List(path("list.path", &at.path)?),
        SftpAction::Delete(at) => SftpActionTemplate::Delete(path("delete.path", &at.path)?),
        SftpAction::Rename(rename) => {
            let (from, to) = (path("rename.from", &rename.from), path("rename.to", &rename.to));
            SftpActionTemplate::Rename { from: from?, to: to? }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tacit_model::Code;

    fn compile(step: serde_json::Value) -> Result<SftpTemplate, Problem> {
        SftpTemplate::compile(&serde_json::from_value(step).unwrap(), "")
    }

    /// The secret stands in `auth` and nowhere else, and no data forms the host.
    #[test]
    fn places_of_secrets() {
        let good = compile(json!({"host": "{{vars.BANK}}", "auth": {"secret": "K"},
            "put": {"path": "/in/{{input.name}}", "content": "{{steps.a.body}}"}}))
        .unwrap();
        assert_eq!((good.slots.len(), good.data_references().len()), (1, 3));
        for step in [
            json!({"host": "{{secrets.K}}", "auth": {"secret": "K"}, "get": {"path": "/a"}}),
            json!({"host": "{{input.host}}", "auth": {"secret": "K"}, "get": {"path": "/a"}}),
            json!({"host": "{{steps.a.host}}.test", "auth": {"secret": "K"}, "get": {"path": "/a"}}),
            json!({"host": "x.test", "auth": {"secret": "K"}, "get": {"path": "/{{secrets.K}}"}}),
            json!({"host": "x.test", "auth": {"secret": "K"}, "put": {"path": "/a", "content": "{{secrets.K}}"}}),
            json!({"host": "x.test", "auth": {"secret": "K"}, "rename": {"from": "/a", "to": "/{{secrets.K}}"}}),
        ] {
            assert_eq!(compile(step.clone()).unwrap_err().code, Code::PlacementNotAllowed, "{step}");
        }
    }

    /// A path is absolute, and a template is one.
    #[test]
    fn bad_fields() {
        for (step, field) in [
            (json!({"host": "x.test", "auth": {"secret": "K"}, "get": {"path": "a"}}), "get.path"),
            (json!({"host": "x.test", "auth": {"secret": "K"}, "list": {"path": "."}}), "list.path"),
            (json!({"host": "x.test", "auth": {"secret": "K"}, "get": {"path": "/{{nope}}"}}), "get.path"),
            (json!({"host": "", "auth": {"secret": "K"}, "get": {"path": "/a"}}), "host"),
        ] {
            assert_eq!(compile(step.clone()).unwrap_err().issues[0].field, field, "{step}");
        }
    }
}
