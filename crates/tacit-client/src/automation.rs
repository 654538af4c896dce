//! Automations.

use serde_json::Value;
use tacit_api::{AutomationInfo, AutomationQuery, DryRunQuery, Manifest, Page, PageQuery, Published};

use crate::{Error, InWorkspace};

/// How a definition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl DefinitionFormat {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

impl InWorkspace<'_> {
    /// Automations, without their definitions.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn automations(&self, query: &PageQuery) -> Result<Page<AutomationInfo>, Error> {
        self.get(&["automations"])?.query(query).page().await
    }

    /// A definition, as it is published in an environment, or in the first unprotected one.
    ///
    /// # Errors
    /// `not_found`, `not_deployed`; see [`Error`].
    pub async fn automation(&self, name: &str, environment: Option<&str>) -> Result<Value, Error> {
        let query = AutomationQuery { environment: environment.map(str::to_owned) };
        self.get(&["automations", name])?.query(&query).answer().await
    }

    /// An automation to take elsewhere: a document that [`import`](Self::import) takes, without any value.
    ///
    /// # Errors
    /// `not_found`, `not_deployed`; see [`Error`].
    pub async fn automation_template(
        &self,
        name: &str,
        environment: Option<&str>,
    ) -> Result<Manifest, Error> {
        let query = AutomationQuery { environment: environment.map(str::to_owned) };
        self.get(&["automations", name, "template"])?.query(&query).answer().await
    }

    /// Publishes a definition in the first unprotected environment, or with `dry_run` only checks it. The text is sent
    /// as it is.
    ///
    /// # Errors
    /// `forbidden`, `validation_failed`, `unknown_reference`, `placement_not_allowed` and what a secret's policy says;
    /// see [`Error`].
    pub async fn apply_automation(
        &self,
        name: &str,
        format: DefinitionFormat,
        text: String,
        dry_run: bool,
    ) -> Result<Published, Error> {
        let query = DryRunQuery { dry_run: dry_run.then_some(true) };
        let call = self.put(&["automations", name])?.query(&query);
        call.body(format.content_type(), text.into_bytes()).answer().await
    }

    /// Deletes an automation, in every environment.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn delete_automation(&self, name: &str) -> Result<(), Error> {
        self.delete(&["automations", name])?.done().await
    }
}
