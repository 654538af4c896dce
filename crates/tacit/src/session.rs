//! What a verb works with: a client, a workspace, an environment, and how to print.

use tacit_client::{Client, InWorkspace};

use crate::{
    config::Settings,
    error::{Exit, Failure, Outcome},
    output::{Output, talk},
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

    /// Its name.
    pub(crate) fn workspace_name(&self) -> &str {
        &self.workspace
    }

    /// The environment to act in. A protected one is named with each command: what is exported in a shell, or stands in a
    /// file, is no decision to act there.
    pub(crate) async fn acting_environment(&self) -> Outcome<&str> {
        let name = &self.environment;
        if self.named_environment.is_none() && self.is_protected(name).await? {
            return Err(Failure::usage(
                format!("the environment `{name}` is protected"),
                format!("name it on the command line, with --env {name}"),
            ));
        }
        Ok(name)
    }

    /// Whether an environment is protected. One that is not there is not; the server says so.
    pub(crate) async fn is_protected(&self, name: &str) -> Outcome<bool> {
        let environments = self.workspace().environments().await?;
        Ok(environments.items.iter().any(|known| known.name == name && known.protected))
    }

    /// For verbs that mean every environment unless --env names one: TACIT_ENV does not narrow them, and whoever set it may
    /// think so.
    pub(crate) fn say_every_environment(&self) {
        let exported = std::env::var("TACIT_ENV").unwrap_or_default();
        if self.named_environment.is_none() && !exported.is_empty() {
            talk(&format!(
                "TACIT_ENV={exported} does not narrow this: it is every environment without --env"
            ));
        }
    }

    /// The workspace of the command.
    pub(crate) fn workspace(&self) -> InWorkspace<'_> {
        self.client.workspace(&self.workspace)
    }
}
