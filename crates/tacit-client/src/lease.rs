//! Leases.

use tacit_api::{CreateLease, GivenLease, Lease, Page, RenewedLease, SessionQuery};

use crate::{Error, InWorkspace};

impl InWorkspace<'_> {
    /// Takes a lease. Its token and its placeholders are in this answer and never again.
    ///
    /// # Errors
    /// `forbidden`, `secret_disabled`, `no_value_in_environment`, `destination_required`, `validation_failed`,
    /// `rate_limited`; see [`Error`].
    pub async fn create_lease(&self, new: &CreateLease) -> Result<GivenLease, Error> {
        self.post(&["leases"])?.json(new)?.answer().await
    }

    /// One's own leases, without tokens and placeholders; everybody's for those who may read the record.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn leases(&self, query: &SessionQuery) -> Result<Page<Lease>, Error> {
        self.get(&["leases"])?.query(query).page().await
    }

    /// Lets a lease live longer.
    ///
    /// # Errors
    /// `not_found` once it has ended; see [`Error`].
    pub async fn renew_lease(&self, id: &str) -> Result<RenewedLease, Error> {
        self.post(&["leases", id, "renew"])?.answer().await
    }

    /// Ends a lease at once.
    ///
    /// # Errors
    /// `forbidden`, `not_found`; see [`Error`].
    pub async fn end_lease(&self, id: &str) -> Result<(), Error> {
        self.delete(&["leases", id])?.done().await
    }
}
