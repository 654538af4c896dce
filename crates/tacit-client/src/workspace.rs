//! Workspaces and their environments.

use tacit_api::{
    CreateEnvironment, CreateWorkspace, DryRunQuery, Environment, Page, PageQuery, UpdateWorkspace, Workspace,
};

use crate::{Client, Error, http::Call};

/// What can be done within one workspace. The methods stand in the file of their thing.
#[derive(Clone, Copy)]
pub struct InWorkspace<'a> {
    client: &'a Client,
    name: &'a str,
}

impl Client {
    /// The workspaces the token may know of.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn workspaces(&self, query: &PageQuery) -> Result<Page<Workspace>, Error> {
        self.get(&["v1", "workspaces"])?.query(query).page().await
    }

    /// Makes a workspace, with its environments `test` and `live`.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`; see [`Error`].
    pub async fn create_workspace(&self, new: &CreateWorkspace) -> Result<Workspace, Error> {
        self.post(&["v1", "workspaces"])?.json(new)?.answer().await
    }
}

impl<'a> InWorkspace<'a> {
    pub(crate) fn new(client: &'a Client, name: &'a str) -> Self {
        Self { client, name }
    }

    /// The workspace's name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Changes settings.
    ///
    /// # Errors
    /// `forbidden`, `validation_failed`; see [`Error`].
    pub async fn update(&self, change: &UpdateWorkspace) -> Result<Workspace, Error> {
        self.patch(&[])?.json(change)?.answer().await
    }

    /// What such a change would come to, without making it.
    ///
    /// # Errors
    /// `forbidden`, `validation_failed`, `protected_environment`; see [`Error`].
    pub async fn preview_update(&self, change: &UpdateWorkspace) -> Result<Workspace, Error> {
        self.patch(&[])?.query(&DryRunQuery { dry_run: Some(true) }).json(change)?.answer().await
    }

    /// The workspace with its settings.
    ///
    /// # Errors
    /// `not_found`; see [`Error`].
    pub async fn describe(&self) -> Result<Workspace, Error> {
        self.get(&[])?.answer().await
    }

    /// The environments.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn environments(&self) -> Result<Page<Environment>, Error> {
        self.get(&["environments"])?.page().await
    }

    /// Makes an environment.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`; see [`Error`].
    pub async fn create_environment(&self, new: &CreateEnvironment) -> Result<Environment, Error> {
        self.post(&["environments"])?.json(new)?.answer().await
    }

    pub(crate) fn get(&self, path: &[&str]) -> Result<Call, Error> {
        self.client.get(&self.path(path))
    }

    pub(crate) fn post(&self, path: &[&str]) -> Result<Call, Error> {
        self.client.post(&self.path(path))
    }

    pub(crate) fn put(&self, path: &[&str]) -> Result<Call, Error> {
        self.client.put(&self.path(path))
    }

    pub(crate) fn patch(&self, path: &[&str]) -> Result<Call, Error> {
        self.client.patch(&self.path(path))
    }

    pub(crate) fn delete(&self, path: &[&str]) -> Result<Call, Error> {
        self.client.delete(&self.path(path))
    }

    fn path<'b>(&'b self, rest: &[&'b str]) -> Vec<&'b str> {
        [&["v1", "workspaces", self.name], rest].concat()
    }
}
