//! `account` and `join`: what a person does with their own account.

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_api::{AcceptInvitation, ChangePassword, Confirm, ConfirmCode, session::SignedInWith};
use tacit_client::Client;

use crate::{
    config::{Flags, Settings},
    error::Outcome,
    input,
    output::{Output, data, talk},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum AccountCommand {
    /// Show one's own account.
    #[command(after_help = "Example:\n  tacit account show")]
    Show,
    /// Set a password, or another one. Asks for the old one if there is one, a code if there is a second factor, and the new
    /// one; or takes these as lines of standard input. All other sessions end.
    #[command(after_help = "Example:\n  tacit account password")]
    Password,
    /// List where one is signed in, and the token of set-up as long as it counts.
    #[command(after_help = "Example:\n  tacit account sessions")]
    Sessions,
    /// End a session by its id.
    #[command(after_help = "Example:\n  tacit account end-session ses_0193b5a8")]
    EndSession {
        /// Its id, as `account sessions` shows it.
        id: String,
    },
    /// A second factor: codes of an app.
    #[command(
        subcommand,
        after_help = "Example:\n  tacit account second-factor begin\n  tacit account second-factor confirm"
    )]
    SecondFactor(SecondFactorCommand),
    /// Make new recovery codes instead of those before and print them, this once.
    #[command(after_help = "Example:\n  tacit account recovery-codes")]
    RecoveryCodes,
}

#[derive(Subcommand)]
pub(crate) enum SecondFactorCommand {
    /// Begin a second factor: asks for the password and prints what the app needs, this once. It counts when its first code is confirmed.
    #[command(after_help = "Example:\n  tacit account second-factor begin")]
    Begin,
    /// Let the second factor count, by its first code. Prints the recovery codes, this once.
    #[command(after_help = "Example:\n  tacit account second-factor confirm")]
    Confirm,
    /// Remove the second factor, with password and a code.
    #[command(after_help = "Example:\n  tacit account second-factor disable")]
    Disable,
}

fn password_and_code() -> Outcome<Confirm> {
    let mut given = input::hidden_each(&["password", "code (if there is a second factor)"])?;
    let code = given.pop().filter(|code| !code.is_empty());
    Ok(Confirm { password: given.pop().unwrap_or_default(), code })
}

fn print_codes(out: Output, codes: &[String]) -> Outcome {
    if out == Output::Json {
        return out.json(&json!({"recovery_codes": codes}));
    }
    talk("recovery codes, shown this once; each signs you in once when the app is lost:");
    data(&codes.join("\n"))
}

impl AccountCommand {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let (client, out) = (&session.client, session.out);
        match self {
            Self::Show => {
                let account = client.account().await?;
                let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
                let properties = [
                    ("name", account.name.clone()),
                    ("password", yes(account.has_password)),
                    ("second factor", yes(account.has_second_factor)),
                    ("recovery codes", account.recovery_codes.to_string()),
                    ("since", account.created_at.clone()),
                ];
                out.one(&account, &properties)
            }
            Self::Password => {
                // Only what is needed is asked for, so that standard input has no line that stands for nothing.
                let account = client.account().await?;
                let (has_one, has_factor) =
                    (account.has_password, account.has_password && account.has_second_factor);
                let asked = [("old password", has_one), ("code", has_factor), ("new password", true)];
                let asked: Vec<&str> =
                    asked.into_iter().filter(|(_, is_needed)| *is_needed).map(|(what, _)| what).collect();
                let mut given = input::hidden_each(&asked)?.into_iter();
                let mut next = |is_asked: bool| if is_asked { given.next() } else { None };
                let change = ChangePassword {
                    current: next(has_one),
                    code: next(has_factor),
                    new: next(true).unwrap_or_default(),
                };
                client.change_password(&change).await?;
                out.done(&json!({"changed": true}), "the password is set; other sessions have ended")
            }
            Self::Sessions => {
                let all = client.sessions().await?.items;
                out.list(all, &["ID", "KIND", "FROM", "SINCE", "UNTIL"], |session| {
                    let kind = match session.kind {
                        SignedInWith::Token => "token",
                        SignedInWith::Cookie => "cookie",
                        SignedInWith::Setup => "token of set-up",
                    };
                    let kind = format!("{kind}{}", if session.current { " (this one)" } else { "" });
                    vec![
                        session.id.clone(),
                        kind,
                        session.address.clone().unwrap_or_default(),
                        session.created_at.clone(),
                        session.expires_at.clone().unwrap_or_else(|| "without end".to_owned()),
                    ]
                })
            }
            Self::EndSession { id } => {
                client.sign_out(&id).await?;
                out.done(&json!({"id": id}), &format!("{id} has ended"))
            }
            Self::SecondFactor(SecondFactorCommand::Begin) => {
                let password = input::hidden_each(&["password"])?.pop().unwrap_or_default();
                let made = client.enrol_second_factor(&Confirm { password, code: None }).await?;
                if out == Output::Json {
                    return out.json(&made);
                }
                talk("enter this in the app, then: tacit account second-factor confirm");
                data(&format!("{}\n{}", made.secret, made.uri))
            }
            Self::SecondFactor(SecondFactorCommand::Confirm) => {
                let code = input::hidden_each(&["code"])?.pop().unwrap_or_default();
                let made = client.confirm_second_factor(&ConfirmCode { code }).await?;
                print_codes(out, &made.recovery_codes)
            }
            Self::SecondFactor(SecondFactorCommand::Disable) => {
                client.disable_second_factor(&password_and_code()?).await?;
                out.done(&json!({"second_factor": false}), "signing in needs no code any more")
            }
            Self::RecoveryCodes => {
                let made = client.renew_recovery_codes(&password_and_code()?).await?;
                print_codes(out, &made.recovery_codes)
            }
        }
    }
}

/// Accept an invitation. Asks for its token and a password; or takes them, and a code, as lines of standard input.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit join --addr https://tacit.example.com")]
pub(crate) struct Join {}

impl Join {
    pub(crate) async fn run(self, flags: &Flags<'_>, out: Output) -> Outcome {
        let settings = Settings::load(flags)?;
        let asked =
            ["invitation", "password (a new one, or your account's)", "code (if there is a second factor)"];
        let mut given = input::hidden_each(&asked)?.into_iter();
        let asked = AcceptInvitation {
            token: given.next().unwrap_or_default().trim().to_owned(),
            password: given.next().unwrap_or_default(),
            code: given.next().filter(|code| !code.is_empty()),
        };
        let joined = Client::new(&settings.addr, "")?.accept_invitation(&asked).await?;
        let said = format!(
            "{} is a member of {}; to sign in: tacit login --user {}",
            joined.name, joined.workspace, joined.name
        );
        out.done(&joined, &said)
    }
}
