//! What a verb works with: a client, a workspace, an environment, and how to print.

use tacit_client::{Client, InWorkspace};

use crate::{
    config::Settings,
    error::{Exit, Failure, Outcome},
    output::Output,
};

/// One command's connection to the server.
pub(crate) struct Session {
    /// The client.
    pub(crate) client: Client,
    /// How to print.
    pub(crate) out: Output,
    /// The environment in which the command works.
    pub(crate) environment: String,
    /// The environment if it was named on the command line.
    pub(crate) named_environment: Option<String>,
    workspace: String,
}

impl Session {
    /// A session of whoever is signed in.
    pub(crate) fn open(settings: Settings, named_environment: Option<String>, out: Output) -> Outcome<Self> {
        let Some(token) = &settings.token else {
            return Err(Failure {
                exit: Exit::Unauthenticated,
                ..Failure::new("nobody is signed in", "run `tacit login`, or set TACIT_TOKEN")
            });
        };
        let client = Client::new(&settings.addr, token)?;
        Ok(Self {
            client,
            out,
            environment: settings.environment,
            named_environment,
            workspace: settings.workspace,
        })
    }

    /// The workspace of the command.
    pub(crate) fn workspace(&self) -> InWorkspace<'_> {
        self.client.workspace(&self.workspace)
    }
}
