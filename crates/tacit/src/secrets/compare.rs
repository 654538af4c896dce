//! `secrets compare`: which values are the same in two environments. Nobody sees one.

use std::time::Duration;

use clap::Args;
use tacit_api::{CompareQuery, Likeness};
use tacit_client::every_page;

use crate::{error::Outcome, output::talk, session::Session};

/// Between two tries of a page.
const PAUSE: Duration = Duration::from_secs(10);

/// Compare the values of two environments without showing them, and say which are used more than once.
///
/// Values with fewer than 16 unpredictable characters compare as unknown: an answer would help to guess them.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit secrets compare --from test --to live\n  tacit secrets compare --from test --to live --all"
)]
pub(crate) struct Compare {
    /// One environment.
    #[arg(long, value_name = "NAME", default_value = "test")]
    from: String,
    /// The other one.
    #[arg(long, value_name = "NAME", default_value = "live")]
    to: String,
    /// List those that are as they should be, too: different in both, and used once.
    #[arg(long)]
    all: bool,
}

impl Compare {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let query =
            CompareQuery { from: self.from.clone(), to: self.to.clone(), limit: Some(500), cursor: None };
        let workspace = session.workspace();
        let mut compared = every_page(async |cursor| {
            let query = CompareQuery { cursor, ..query.clone() };
            loop {
                match workspace.compare(&query).await {
                    // Of so many secrets that the pages of one comparison are more than a minute allows.
                    Err(error) if query.cursor.is_some() && error.code() == Some("rate_limited") => {
                        talk("comparing is limited in how often: waiting to go on");
                        tokio::time::sleep(PAUSE).await;
                    }
                    done => return done,
                }
            }
        })
        .await?;
        if !self.all {
            compared.retain(|one| one.result != Likeness::Different || !one.reused_with.is_empty());
        }
        session.out.list(compared, &["NAME", "RESULT", "MISSING IN", "REUSED WITH"], |one| {
            vec![
                one.name.clone(),
                one.result.as_str().to_owned(),
                one.missing_in.join(", "),
                one.reused_with.join(", "),
            ]
        })
    }
}
