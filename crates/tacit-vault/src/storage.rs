//! A storage step, compiled: its endpoint is settled by text and variables, and its secret signs and is never sent.

use tacit_model::{Place, Problem, StorageAction, StorageStep};
use tacit_template::{Reference, Template};

use crate::{Slot, plain::PlainFields};

/// A storage step, compiled.
#[derive(Clone, Debug)]
pub struct StorageTemplate {
    /// Where the storage is.
    pub endpoint: Template,
    /// Its region, if the step says it.
    pub region: Option<Template>,
    /// The bucket.
    pub bucket: Template,
    /// What is done.
    pub action: StorageActionTemplate,
    /// Its one secret.
    pub slots: Vec<Slot>,
}

/// What a storage step does.
#[derive(Clone, Debug)]
pub enum StorageActionTemplate {
    /// Writes an object.
    Put {
        /// Its key.
        key: Template,
        /// What is to be in it.
        content: Template,
        /// Whether the content is written in base64.
        is_base64: bool,
        /// What the content is.
        content_type: Option<Template>,
    },
    /// Reads an object.
    Get(Template),
    /// Names objects whose keys begin like this.
    List(Option<Template>),
    /// Removes an object.
    Delete(Template),
}

impl StorageTemplate {
    /// Compiles a step. `at` is put before each field's name in what is wrong.
    ///
    /// # Errors
    /// `validation_failed` or `placement_not_allowed`, with every issue found.
    pub fn compile(step: &StorageStep, at: &str) -> Result<Self, Problem> {
        let mut fields = PlainFields::new(at, step.issues(at));
        let endpoint = fields.host("endpoint", &step.endpoint);
        let region = step.region.as_ref().map(|region| fields.host("region", region));
        let bucket = fields.text("bucket", &step.bucket);
        let action = action(&mut fields, &step.action);
        fields.finish()?;
        let unparsed = || Problem::internal("a field was neither parsed nor refused");
        let slot =
            Slot { name: step.auth.secret.clone(), field: None, place: Place::Signature, by_type: true };
        Ok(Self {
            endpoint: endpoint.ok_or_else(unparsed)?,
            region: region.map(|region| region.ok_or_else(unparsed)).transpose()?,
            bucket: bucket.ok_or_else(unparsed)?,
            action: action.ok_or_else(unparsed)?,
            slots: vec![slot],
        })
    }

    /// Every reference that is not a secret.
    pub fn data_references(&self) -> Vec<&Reference> {
        let mut templates = vec![&self.endpoint, &self.bucket];
        templates.extend(&self.region);
        match &self.action {
            StorageActionTemplate::Put { key, content, content_type, .. } => {
                templates.extend([key, content]);
                templates.extend(content_type);
            }
            StorageActionTemplate::Get(key) | StorageActionTemplate::Delete(key) => templates.push(key),
            StorageActionTemplate::List(prefix) => templates.extend(prefix),
        }
        templates.into_iter().flat_map(Template::references).collect()
    }

    /// The endpoint, if it is written out and so the same for every run.
    pub fn literal_origin(&self) -> Option<&str> {
        self.endpoint.is_literal().then(|| self.endpoint.source())
    }
}

fn action(fields: &mut PlainFields, action: &StorageAction) -> Option<StorageActionTemplate> {
    Some(match action {
        StorageAction::Put(put) => StorageActionTemplate::Put {
            key: fields.text("put.key", &put.key)?,
            content: fields.text("put.content", &put.content)?,
            is_base64: put.content_encoding.is_some(),
            content_type: match &put.content_type {
                Some(kind) => Some(fields.text("put.content_type", kind)?),
                None => None,
            },
        },
        StorageAction::Get(key) => StorageActionTemplate::Get(fields.text("get.key", &key.key)?),
        StorageAction::Delete(key) => StorageActionTemplate::Delete(fields.text("delete.key", &key.key)?),
        StorageAction::List(list) => StorageActionTemplate::List(match &list.prefix {
            Some(prefix) => Some(fields.text("list.prefix", prefix)?),
            None => None,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tacit_model::Code;

    fn compile(step: serde_json::Value) -> Result<StorageTemplate, Problem> {
        StorageTemplate::compile(&serde_json::from_value(step).unwrap(), "")
    }

    /// The secret signs, no data forms the endpoint, and no secret stands in a key or in content.
    #[test]
    fn places_of_secrets() {
        let good = compile(json!({"endpoint": "https://s3.test", "bucket": "b", "auth": {"secret": "K"},
            "put": {"key": "{{input.name}}.json", "content": "{{steps.a.body}}", "content_type": "application/json"}}))
        .unwrap();
        assert_eq!(good.slots[0].place, Place::Signature);
        assert_eq!((good.data_references().len(), good.literal_origin()), (2, Some("https://s3.test")));
        for step in [
            json!({"endpoint": "https://{{input.h}}", "bucket": "b", "auth": {"secret": "K"}, "get": {"key": "a"}}),
            json!({"endpoint": "https://s3.test", "region": "{{input.r}}", "bucket": "b", "auth": {"secret": "K"}, "get": {"key": "a"}}),
            json!({"endpoint": "https://s3.test", "bucket": "{{secrets.K}}", "auth": {"secret": "K"}, "get": {"key": "a"}}),
            json!({"endpoint": "https://s3.test", "bucket": "b", "auth": {"secret": "K"}, "get": {"key": "{{secrets.K}}"}}),
            json!({"endpoint": "https://s3.test", "bucket": "b", "auth": {"secret": "K"}, "list": {"prefix": "{{secrets.K}}"}}),
            json!({"endpoint": "https://s3.test", "bucket": "b", "auth": {"secret": "K"}, "put": {"key": "a", "content": "{{secrets.K}}"}}),
        ] {
            assert_eq!(compile(step.clone()).unwrap_err().code, Code::PlacementNotAllowed, "{step}");
        }
    }
}
