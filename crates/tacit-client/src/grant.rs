//! Roles and grants.

use tacit_api::{Accessor, CreateGrant, CreateRole, Grant, Page, Role, Standing, UpdateRole};

use crate::{Error, InWorkspace};

impl InWorkspace<'_> {
    /// The roles of the workspace, built-in ones first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn roles(&self) -> Result<Page<Role>, Error> {
        self.get(&["roles"])?.page().await
    }

    /// Makes a role.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`; see [`Error`].
    pub async fn create_role(&self, new: &CreateRole) -> Result<Role, Error> {
        self.post(&["roles"])?.json(new)?.answer().await
    }

    /// Gives a role other rights.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`; see [`Error`].
    pub async fn update_role(&self, name: &str, new: &UpdateRole) -> Result<Role, Error> {
        self.patch(&["roles", name])?.json(new)?.answer().await
    }

    /// Removes a role that nobody has.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `role_in_use`; see [`Error`].
    pub async fn delete_role(&self, name: &str) -> Result<(), Error> {
        self.delete(&["roles", name])?.done().await
    }

    /// Grants: one's own, those one manages, and with `audit.read` all of them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn grants(&self) -> Result<Page<Grant>, Error> {
        self.get(&["grants"])?.page().await
    }

    /// Makes a grant.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`; see [`Error`].
    pub async fn create_grant(&self, new: &CreateGrant) -> Result<Grant, Error> {
        self.post(&["grants"])?.json(new)?.answer().await
    }

    /// Who may use a secret or look at it, and why.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn secret_access(&self, name: &str) -> Result<Page<Accessor>, Error> {
        self.get(&["secrets", name, "access"])?.page().await
    }

    /// What a principal may do, and why.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn member_access(&self, who: &str) -> Result<Standing, Error> {
        self.get(&["members", who, "access"])?.answer().await
    }

    /// Withdraws a grant, at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn delete_grant(&self, id: &str) -> Result<(), Error> {
        self.delete(&["grants", id])?.done().await
    }
}
