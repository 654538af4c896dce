//! `automations triggers`: what starts an automation by itself, where, and on whose authority.

use clap::Subcommand;
use tacit_api::Triggers;

use crate::{
    error::Outcome,
    output::{Output, data},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List an automation's schedules and webhook, in each environment in which it is published.
    #[command(after_help = "Example:\n  tacit automations triggers list settle-invoices")]
    List {
        /// Its name.
        name: String,
    },
    /// Let the triggers fire in --env, on your authority: they stop when you may not run the automation any more. The
    /// webhook's address is printed once, and stays if it has one.
    #[command(after_help = "Example:\n  tacit automations triggers enable settle-invoices --env test")]
    Enable {
        /// Its name.
        name: String,
    },
    /// Let them not fire any more in --env. The webhook's address is worthless from then on.
    #[command(after_help = "Example:\n  tacit automations triggers disable settle-invoices --env test")]
    Disable {
        /// Its name.
        name: String,
    },
    /// Give the webhook in --env another address, printed once; the one before is worthless.
    #[command(after_help = "Example:\n  tacit automations triggers rotate settle-invoices --env test")]
    Rotate {
        /// Its name.
        name: String,
    },
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (workspace, environment) = (session.workspace(), session.environment.as_str());
        match self {
            Self::List { name } => {
                let rows = workspace.triggers(&name).await?.items;
                session.out.list(rows, &["ENV", "FIRES", "ON BEHALF OF", "WHAT", "NEXT"], |triggers| {
                    let next = triggers.schedules.iter().filter_map(|at| at.next_at.clone()).min();
                    vec![
                        triggers.environment.clone(),
                        fires(triggers),
                        triggers.enabled_by.clone().unwrap_or_default(),
                        kinds(triggers),
                        next.unwrap_or_default(),
                    ]
                })
            }
            Self::Enable { name } => {
                let enabled = workspace.enable_triggers(&name, environment).await?;
                if session.out == Output::Json {
                    return session.out.json(&enabled);
                }
                let mut text =
                    format!("{name} fires in {environment} from now on: {}\n", kinds(&enabled.triggers));
                match &enabled.webhook_url {
                    Some(url) => text.push_str(&format!("webhook, shown only now: {url}\n")),
                    None if enabled.triggers.webhook => {
                        text.push_str("the webhook keeps its address; `tacit automations triggers rotate` makes another\n");
                    }
                    None => {}
                }
                data(&text)
            }
            Self::Disable { name } => {
                let triggers = workspace.disable_triggers(&name, environment).await?;
                session.out.done(&triggers, &format!("{name} does not fire in {environment} any more"))
            }
            Self::Rotate { name } => {
                let rotated = workspace.rotate_webhook(&name, environment).await?;
                if session.out == Output::Json {
                    return session.out.json(&rotated);
                }
                data(&format!("webhook, shown only now: {}\n", rotated.webhook_url))
            }
        }
    }
}

/// Whether they fire, and if not although they are enabled, why.
fn fires(triggers: &Triggers) -> String {
    match (triggers.enabled, triggers.fires) {
        (true, true) => "yes",
        (true, false) => "no: they may not run it any more",
        (false, _) => "no",
    }
    .to_owned()
}

/// Schedules and webhook in a few words.
fn kinds(triggers: &Triggers) -> String {
    let schedules = triggers.schedules.iter().map(|at| format!("{} ({})", at.cron, at.timezone));
    let webhook = triggers.webhook.then(|| match triggers.enabled && !triggers.webhook_has_address {
        true => "webhook without an address: enable again".to_owned(),
        false => "webhook".to_owned(),
    });
    schedules.chain(webhook).collect::<Vec<_>>().join(", ")
}
