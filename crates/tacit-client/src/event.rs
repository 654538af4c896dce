//! The record.

use tacit_api::{Event, EventQuery, Page};

use crate::{Error, InWorkspace};

impl InWorkspace<'_> {
    /// Events, newest first.
    ///
    /// # Errors
    /// `forbidden`; see [`Error`].
    pub async fn events(&self, query: &EventQuery) -> Result<Page<Event>, Error> {
        self.get(&["events"])?.query(query).page().await
    }
}
