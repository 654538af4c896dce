//! `environments`: where the same name has different values.

use clap::Subcommand;
use tacit_api::CreateEnvironment;

use crate::{error::Outcome, session::Session};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the environments of the workspace.
    #[command(after_help = "Example:\n  tacit environments list")]
    List,
    /// Make an environment.
    #[command(after_help = "Example:\n  tacit environments create staging")]
    Create {
        /// Its name: lower-case letters, digits and dashes.
        name: String,
        /// It keeps its values: nothing is deleted there unless the workspace allows it.
        #[arg(long)]
        protected: bool,
    },
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        match self {
            Self::List => {
                let all = session.workspace().environments().await?.items;
                session.out.list(all, &["NAME", "PROTECTED", "CREATED"], |environment| {
                    let protected = if environment.protected { "yes" } else { "no" };
                    vec![environment.name.clone(), protected.to_owned(), environment.created_at.clone()]
                })
            }
            Self::Create { name, protected } => {
                let made =
                    session.workspace().create_environment(&CreateEnvironment { name, protected }).await?;
                session.out.done(&made, &format!("{} is there", made.name))
            }
        }
    }
}
