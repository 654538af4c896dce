//! `secrets edit`: what is said about a secret, without touching its value.

use clap::Args;
use tacit_api::UpdateSecret;

use crate::{
    error::{Failure, Outcome},
    session::Session,
};

/// Change what is said about a secret: its description, folder and dates. Its values stay.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit secrets edit STRIPE_KEY --folder payments/eu --expires-at 2027-12-31T00:00:00Z\n  tacit secrets edit STRIPE_KEY --expires-at never"
)]
pub(crate) struct Edit {
    /// Its name.
    name: String,
    #[command(flatten)]
    change: Change,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// What it is for; empty for nothing.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where to file it; empty for nowhere.
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// When the credential ends, RFC 3339; or never.
    #[arg(long, value_name = "TIME|never")]
    expires_at: Option<String>,
    /// After how many days to remind of a rotation; or never.
    #[arg(long, value_name = "DAYS|never")]
    rotate_every_days: Option<String>,
}

/// What stands for no date.
const NEVER: &str = "never";

impl Edit {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let Change { description, folder, expires_at, rotate_every_days } = self.change;
        let change = UpdateSecret {
            description: description.map(Some),
            folder: folder.map(Some),
            expires_at: expires_at.map(|text| (text != NEVER).then_some(text)),
            rotate_every_days: rotate_every_days.as_deref().map(days).transpose()?,
            ..UpdateSecret::default()
        };
        let secret = session.workspace().update_secret(&self.name, &change).await?;
        session.out.one(&secret, &super::properties(&secret))
    }
}

fn days(text: &str) -> Outcome<Option<i64>> {
    if text == NEVER {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Failure::usage("--rotate-every-days is no number of days", "write a number, such as 90, or never")
    })
}
