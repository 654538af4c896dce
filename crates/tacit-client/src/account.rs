//! Who may come in.

use tacit_api::{
    AddMember, CreateServiceAccount, CreateToken, Member, Page, PageQuery, ServiceAccount, Token,
    UpdateMember, WhoAmI,
};

use crate::{Client, Error, InWorkspace};

impl Client {
    /// Whose token this is and what it may do.
    ///
    /// # Errors
    /// `unauthenticated`; see [`Error`].
    pub async fn who_am_i(&self) -> Result<WhoAmI, Error> {
        self.get(&["v1", "whoami"])?.answer().await
    }
}

impl InWorkspace<'_> {
    /// The people of the workspace.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn members(&self, query: &PageQuery) -> Result<Page<Member>, Error> {
        self.get(&["members"])?.query(query).page().await
    }

    /// Makes somebody who has an account a member.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `name_taken`; see [`Error`].
    pub async fn add_member(&self, new: &AddMember) -> Result<Member, Error> {
        self.post(&["members"])?.json(new)?.answer().await
    }

    /// Gives a member another role or another end.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `last_owner`; see [`Error`].
    pub async fn update_member(&self, name: &str, change: &UpdateMember) -> Result<Member, Error> {
        self.patch(&["members", name])?.json(change)?.answer().await
    }

    /// Takes somebody out of the workspace.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `last_owner`; see [`Error`].
    pub async fn remove_member(&self, name: &str) -> Result<(), Error> {
        self.delete(&["members", name])?.done().await
    }

    /// The service accounts of the workspace.
    ///
    /// # Errors
    /// `forbidden`; see [`Error`].
    pub async fn service_accounts(&self, query: &PageQuery) -> Result<Page<ServiceAccount>, Error> {
        self.get(&["service-accounts"])?.query(query).page().await
    }

    /// Makes a service account.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`; see [`Error`].
    pub async fn create_service_account(&self, new: &CreateServiceAccount) -> Result<ServiceAccount, Error> {
        self.post(&["service-accounts"])?.json(new)?.answer().await
    }

    /// Deletes a service account; its tokens end at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn delete_service_account(&self, name: &str) -> Result<(), Error> {
        self.delete(&["service-accounts", name])?.done().await
    }

    /// The tokens of a service account, without their text.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn tokens(&self, account: &str) -> Result<Page<Token>, Error> {
        self.get(&["service-accounts", account, "tokens"])?.page().await
    }

    /// Makes a token for a service account. Its text is in this answer and never again.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`; see [`Error`].
    pub async fn create_token(&self, account: &str, new: &CreateToken) -> Result<Token, Error> {
        self.post(&["service-accounts", account, "tokens"])?.json(new)?.answer().await
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn revoke_token(&self, account: &str, id: &str) -> Result<(), Error> {
        self.delete(&["service-accounts", account, "tokens", id])?.done().await
    }
}
