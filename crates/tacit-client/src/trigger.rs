//! Triggers of automations.

use tacit_api::{Page, Triggers, TriggersEnabled, WebhookRotated};

use crate::{Error, InWorkspace};

impl InWorkspace<'_> {
    /// An automation's triggers, in each environment in which it is published.
    ///
    /// # Errors
    /// `not_found`; see [`Error`].
    pub async fn triggers(&self, automation: &str) -> Result<Page<Triggers>, Error> {
        self.get(&["automations", automation, "triggers"])?.page().await
    }

    /// Lets them fire in an environment, on the caller's authority. A webhook's new address is in the answer.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`; see [`Error`].
    pub async fn enable_triggers(
        &self,
        automation: &str,
        environment: &str,
    ) -> Result<TriggersEnabled, Error> {
        self.post(&["automations", automation, "triggers", environment, "enable"])?.answer().await
    }

    /// Lets them not fire any more.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`; see [`Error`].
    pub async fn disable_triggers(&self, automation: &str, environment: &str) -> Result<Triggers, Error> {
        self.post(&["automations", automation, "triggers", environment, "disable"])?.answer().await
    }

    /// Gives an enabled webhook another address.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`; see [`Error`].
    pub async fn rotate_webhook(&self, automation: &str, environment: &str) -> Result<WebhookRotated, Error> {
        self.post(&["automations", automation, "triggers", environment, "rotate"])?.answer().await
    }
}
