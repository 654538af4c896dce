//! One sealed request.

use std::time::Duration;

use tacit_api::{SendRequest, SentResponse};

use crate::{Error, InWorkspace};

/// As long as any upstream may take.
const UPSTREAM_SECS: u64 = 300;

impl InWorkspace<'_> {
    /// Has a request sent with the secrets it names. Whatever the upstream answers is data, not an error.
    ///
    /// # Errors
    /// `forbidden`, `validation_failed`, `unknown_reference`, what a secret's policy says, `upstream_failed`,
    /// `upstream_timeout`; see [`Error`].
    pub async fn send(&self, request: &SendRequest) -> Result<SentResponse, Error> {
        let patience = Duration::from_secs(request.timeout_secs.unwrap_or(UPSTREAM_SECS).min(UPSTREAM_SECS));
        self.post(&["requests"])?.json(request)?.patience(patience).answer().await
    }
}
