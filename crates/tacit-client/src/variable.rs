//! Variables.

use tacit_api::{CreateVariable, Page, PageQuery, PutVariable, UpdateVariable, Variable};

use crate::{Error, InWorkspace};

impl InWorkspace<'_> {
    /// Variables with their values.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn variables(&self, query: &PageQuery) -> Result<Page<Variable>, Error> {
        self.get(&["variables"])?.query(query).page().await
    }

    /// One variable.
    ///
    /// # Errors
    /// `not_found`; see [`Error`].
    pub async fn variable(&self, name: &str) -> Result<Variable, Error> {
        self.get(&["variables", name])?.answer().await
    }

    /// Makes a variable.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`; see [`Error`].
    pub async fn create_variable(&self, new: &CreateVariable) -> Result<Variable, Error> {
        self.post(&["variables"])?.json(new)?.answer().await
    }

    /// Changes a variable's description or folder.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `immutable_field`; see [`Error`].
    pub async fn update_variable(&self, name: &str, change: &UpdateVariable) -> Result<Variable, Error> {
        self.patch(&["variables", name])?.json(change)?.answer().await
    }

    /// Sets a variable's value in an environment.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`; see [`Error`].
    pub async fn set_variable(&self, name: &str, environment: &str, value: &str) -> Result<(), Error> {
        let value = PutVariable { value: value.to_owned() };
        self.put(&["variables", name, "values", environment])?.json(&value)?.done().await
    }

    /// Deletes a variable.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn delete_variable(&self, name: &str) -> Result<(), Error> {
        self.delete(&["variables", name])?.done().await
    }
}
