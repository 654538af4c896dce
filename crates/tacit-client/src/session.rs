//! People: signing in, their account, invitations.

use tacit_api::{
    AcceptInvitation, Accepted, Account, ChangePassword, Confirm, ConfirmCode, CreateInvitation, Invitation,
    Page, RecoveryCodes, SecondFactor, Session, SignIn, SignedIn,
};

use crate::{Client, Error, InWorkspace};

impl Client {
    /// Signs a person in. Needs no token.
    ///
    /// # Errors
    /// `unauthenticated` whatever was wrong, `rate_limited`; see [`Error`].
    pub async fn sign_in(&self, asked: &SignIn) -> Result<SignedIn, Error> {
        self.post(&["v1", "sessions"])?.json(asked)?.answer().await
    }

    /// Where one is signed in.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden`; see [`Error`].
    pub async fn sessions(&self) -> Result<Page<Session>, Error> {
        self.get(&["v1", "sessions"])?.page().await
    }

    /// Ends one session; the one that asks by the word `current`.
    ///
    /// # Errors
    /// `unauthenticated`, `not_found`; see [`Error`].
    pub async fn sign_out(&self, id: &str) -> Result<(), Error> {
        self.delete(&["v1", "sessions", id])?.done().await
    }

    /// Ends all of one's sessions.
    ///
    /// # Errors
    /// `unauthenticated`; see [`Error`].
    pub async fn sign_out_everywhere(&self) -> Result<(), Error> {
        self.delete(&["v1", "sessions"])?.done().await
    }

    /// One's own account.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden`; see [`Error`].
    pub async fn account(&self) -> Result<Account, Error> {
        self.get(&["v1", "account"])?.answer().await
    }

    /// Sets another password. All other sessions end.
    ///
    /// # Errors
    /// `unauthenticated`, `validation_failed`, `rate_limited`; see [`Error`].
    pub async fn change_password(&self, change: &ChangePassword) -> Result<(), Error> {
        self.put(&["v1", "account", "password"])?.json(change)?.done().await
    }

    /// Begins a second factor.
    ///
    /// # Errors
    /// `unauthenticated`, `name_taken`; see [`Error`].
    pub async fn enrol_second_factor(&self, confirm: &Confirm) -> Result<SecondFactor, Error> {
        self.post(&["v1", "account", "second-factor"])?.json(confirm)?.answer().await
    }

    /// Lets a second factor count, by its first code.
    ///
    /// # Errors
    /// `unauthenticated`, `not_found`; see [`Error`].
    pub async fn confirm_second_factor(&self, code: &ConfirmCode) -> Result<RecoveryCodes, Error> {
        self.post(&["v1", "account", "second-factor", "confirm"])?.json(code)?.answer().await
    }

    /// Removes the second factor.
    ///
    /// # Errors
    /// `unauthenticated`, `not_found`; see [`Error`].
    pub async fn disable_second_factor(&self, confirm: &Confirm) -> Result<(), Error> {
        self.post(&["v1", "account", "second-factor", "disable"])?.json(confirm)?.done().await
    }

    /// Makes new recovery codes instead of those before.
    ///
    /// # Errors
    /// `unauthenticated`, `not_found`; see [`Error`].
    pub async fn renew_recovery_codes(&self, confirm: &Confirm) -> Result<RecoveryCodes, Error> {
        self.post(&["v1", "account", "recovery-codes"])?.json(confirm)?.answer().await
    }

    /// Accepts an invitation. Needs no token but the invitation's.
    ///
    /// # Errors
    /// `unauthenticated`, `validation_failed`, `rate_limited`; see [`Error`].
    pub async fn accept_invitation(&self, asked: &AcceptInvitation) -> Result<Accepted, Error> {
        self.post(&["v1", "invitations", "accept"])?.json(asked)?.answer().await
    }
}

impl InWorkspace<'_> {
    /// Invitations that can still be accepted.
    ///
    /// # Errors
    /// `forbidden`; see [`Error`].
    pub async fn invitations(&self) -> Result<Page<Invitation>, Error> {
        self.get(&["invitations"])?.page().await
    }

    /// Invites somebody. The token is in this answer and never again.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`; see [`Error`].
    pub async fn create_invitation(&self, new: &CreateInvitation) -> Result<Invitation, Error> {
        self.post(&["invitations"])?.json(new)?.answer().await
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn delete_invitation(&self, id: &str) -> Result<(), Error> {
        self.delete(&["invitations", id])?.done().await
    }
}
