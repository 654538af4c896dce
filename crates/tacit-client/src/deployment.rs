//! Deployments.

use tacit_api::{CreateDeployment, Deployment, Page, PageQuery};

use crate::{Error, InWorkspace};

impl InWorkspace<'_> {
    /// Deploys, or with `dry_run` only says what would be done.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`, `no_value_in_environment`, `unknown_reference`, `secret_disabled`; see
    /// [`Error`].
    pub async fn deploy(&self, new: &CreateDeployment) -> Result<Deployment, Error> {
        self.post(&["deployments"])?.json(new)?.answer().await
    }

    /// Says what would be done, with a tag of what that was made from.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub async fn plan_deployment(&self, new: &CreateDeployment) -> Result<(Deployment, String), Error> {
        let new = CreateDeployment { dry_run: true, ..new.clone() };
        self.post(&["deployments"])?.json(&new)?.tagged_answer().await
    }

    /// Deploys, if that is still what a plan with this tag said.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy), and `version_conflict`.
    pub async fn deploy_as_planned(&self, new: &CreateDeployment, tag: &str) -> Result<Deployment, Error> {
        self.post(&["deployments"])?.if_match(tag).json(new)?.answer().await
    }

    /// Deployments, newest first, without their differences.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn deployments(&self, query: &PageQuery) -> Result<Page<Deployment>, Error> {
        self.get(&["deployments"])?.query(query).page().await
    }

    /// One deployment.
    ///
    /// # Errors
    /// `not_found`; see [`Error`].
    pub async fn deployment(&self, id: &str) -> Result<Deployment, Error> {
        self.get(&["deployments", id])?.answer().await
    }

    /// Takes a deployment back, as a whole.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `version_conflict`; see [`Error`].
    pub async fn roll_back_deployment(&self, id: &str) -> Result<Deployment, Error> {
        self.post(&["deployments", id, "rollback"])?.answer().await
    }
}
