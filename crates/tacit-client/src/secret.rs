//! Secrets.

use tacit_api::{
    CompareQuery, Comparison, CreateSecret, DeleteQuery, Deleted, DryRunQuery, ImportQuery, ImportReport,
    Manifest, NewVersion, Page, PutValue, RevealRequest, Revealed, Rollback, Secret, SecretQuery,
    UpdateSecret, Usage, VersionInfo,
};

use crate::{Error, InWorkspace};

const DRY_RUN: DryRunQuery = DryRunQuery { dry_run: Some(true) };

impl InWorkspace<'_> {
    /// Secrets, without their values.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn secrets(&self, query: &SecretQuery) -> Result<Page<Secret>, Error> {
        self.get(&["secrets"])?.query(query).page().await
    }

    /// One secret, without its values.
    ///
    /// # Errors
    /// `not_found`; see [`Error`].
    pub async fn secret(&self, name: &str) -> Result<Secret, Error> {
        self.get(&["secrets", name])?.answer().await
    }

    /// Makes a secret.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`; see [`Error`].
    pub async fn create_secret(&self, new: &CreateSecret) -> Result<Secret, Error> {
        self.post(&["secrets"])?.json(new)?.answer().await
    }

    /// Whether a secret would be made, without making it.
    ///
    /// # Errors
    /// As of [`Self::create_secret`].
    pub async fn check_secret(&self, new: &CreateSecret) -> Result<Secret, Error> {
        self.post(&["secrets"])?.query(&DRY_RUN).json(new)?.answer().await
    }

    /// Changes a secret's description, folder, dates or destinations.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `immutable_field`, `validation_failed`; see [`Error`].
    pub async fn update_secret(&self, name: &str, change: &UpdateSecret) -> Result<Secret, Error> {
        self.patch(&["secrets", name])?.json(change)?.answer().await
    }

    /// Takes a secret's value away in one environment, for good.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `no_value_in_environment`, `protected_environment`; see [`Error`].
    pub async fn delete_value(&self, name: &str, environment: &str) -> Result<(), Error> {
        self.delete(&["secrets", name, "values", environment])?.done().await
    }

    /// Compares the values of two environments, without a look at them.
    ///
    /// # Errors
    /// `not_found`, `rate_limited`; see [`Error`].
    pub async fn compare(&self, query: &CompareQuery) -> Result<Page<Comparison>, Error> {
        self.get(&["compare"])?.query(query).page().await
    }

    /// The configuration of the workspace: references, never values.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn export(&self) -> Result<Manifest, Error> {
        self.get(&["export"])?.answer().await
    }

    /// Makes what a manifest names and is not there, and says what is missing; with `dry_run` only says.
    ///
    /// # Errors
    /// `forbidden`, `validation_failed`; see [`Error`].
    pub async fn import(&self, manifest: &Manifest, dry_run: bool) -> Result<ImportReport, Error> {
        let query = ImportQuery { dry_run: dry_run.then_some(true) };
        self.post(&["import"])?.query(&query).json(manifest)?.answer().await
    }

    /// Deletes a secret; with `force`, although something depends on it.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `secret_in_use`, `protected_environment`; see [`Error`].
    pub async fn delete_secret(&self, name: &str, force: bool) -> Result<Deleted, Error> {
        let query = DeleteQuery { force: force.then_some(true) };
        self.delete(&["secrets", name])?.query(&query).answer_if_any().await
    }

    /// Brings a deleted secret back, while its deletion window lasts.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn restore_secret(&self, name: &str) -> Result<Secret, Error> {
        self.post(&["secrets", name, "restore"])?.answer().await
    }

    /// What depends on a secret.
    ///
    /// # Errors
    /// `not_found`; see [`Error`].
    pub async fn secret_usages(&self, name: &str) -> Result<Usage, Error> {
        self.get(&["secrets", name, "usages"])?.answer().await
    }

    /// Sets a secret's value in an environment: the first one, or a rotation.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`; see [`Error`].
    pub async fn set_value(
        &self,
        name: &str,
        environment: &str,
        value: &PutValue,
    ) -> Result<NewVersion, Error> {
        self.put(&["secrets", name, "values", environment])?.json(value)?.answer().await
    }

    /// Whether a value would be set, without setting it.
    ///
    /// # Errors
    /// As of [`Self::set_value`].
    pub async fn check_value(
        &self,
        name: &str,
        environment: &str,
        value: &PutValue,
    ) -> Result<NewVersion, Error> {
        self.put(&["secrets", name, "values", environment])?.query(&DRY_RUN).json(value)?.answer().await
    }

    /// Shows a value to somebody who may look.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `restricted_secret`, `secret_disabled`, `no_value_in_environment`; see [`Error`].
    pub async fn reveal(
        &self,
        name: &str,
        environment: &str,
        why: &RevealRequest,
    ) -> Result<Revealed, Error> {
        self.post(&["secrets", name, "values", environment, "reveal"])?.json(why)?.answer().await
    }

    /// The versions of a value that are kept, newest first.
    ///
    /// # Errors
    /// `not_found`; see [`Error`].
    pub async fn versions(&self, name: &str, environment: &str) -> Result<Page<VersionInfo>, Error> {
        self.get(&["secrets", name, "values", environment, "versions"])?.page().await
    }

    /// Makes an earlier version current, as a new one.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn roll_back(&self, name: &str, environment: &str, to: &Rollback) -> Result<NewVersion, Error> {
        self.post(&["secrets", name, "values", environment, "rollback"])?.json(to)?.answer().await
    }

    /// Switches a secret off, at once: in one environment, or everywhere.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `no_value_in_environment`; see [`Error`].
    pub async fn disable_secret(&self, name: &str, environment: Option<&str>) -> Result<(), Error> {
        self.switch(name, environment, "disable").await
    }

    /// Switches a secret on again: in one environment, or as a whole.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `no_value_in_environment`; see [`Error`].
    pub async fn enable_secret(&self, name: &str, environment: Option<&str>) -> Result<(), Error> {
        self.switch(name, environment, "enable").await
    }

    async fn switch(&self, name: &str, environment: Option<&str>, verb: &str) -> Result<(), Error> {
        let call = match environment {
            Some(environment) => self.post(&["secrets", name, "values", environment, verb])?,
            None => self.post(&["secrets", name, verb])?,
        };
        call.done().await
    }
}
