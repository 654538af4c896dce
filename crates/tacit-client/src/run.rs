//! Runs of automations.

use std::time::Duration;

use tacit_api::{Page, Run, RunsQuery, StartRun, WaitQuery};

use crate::{Error, InWorkspace};

impl InWorkspace<'_> {
    /// Starts a run and waits up to `wait_secs` for its end; it is `running` when they are over. A run that failed is
    /// an answer, not an error.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `not_deployed`; see [`Error`].
    pub async fn start_run(&self, automation: &str, start: &StartRun, wait_secs: u64) -> Result<Run, Error> {
        let query = WaitQuery { wait: (wait_secs > 0).then_some(wait_secs) };
        let call = self.post(&["automations", automation, "runs"])?.query(&query).json(start)?;
        call.patience(Duration::from_secs(wait_secs)).answer().await
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn runs(&self, query: &RunsQuery) -> Result<Page<Run>, Error> {
        self.get(&["runs"])?.query(query).page().await
    }

    /// One run.
    ///
    /// # Errors
    /// `not_found`; see [`Error`].
    pub async fn run(&self, id: &str) -> Result<Run, Error> {
        self.get(&["runs", id])?.answer().await
    }

    /// Stops a run: at once if it waits, before its next step if it goes.
    ///
    /// # Errors
    /// `not_found`, `forbidden`; see [`Error`].
    pub async fn cancel_run(&self, id: &str) -> Result<Run, Error> {
        self.post(&["runs", id, "cancel"])?.answer().await
    }
}
