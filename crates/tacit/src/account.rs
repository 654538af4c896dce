//! `members`, `service-accounts`, `tokens`: who may come in.

use clap::Subcommand;
use serde_json::json;
use tacit_api::{CreateServiceAccount, CreateToken, PageQuery};
use tacit_client::every_page;

use crate::{
    error::Outcome,
    input,
    output::{Output, data, talk},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum MembersCommand {
    /// List the people of the workspace.
    #[command(after_help = "Example:\n  tacit members list")]
    List,
}

#[derive(Subcommand)]
pub(crate) enum AccountsCommand {
    /// List the service accounts of the workspace.
    #[command(after_help = "Example:\n  tacit service-accounts list")]
    List,
    /// Make a service account.
    #[command(
        after_help = "Example:\n  tacit service-accounts create ci --role member; tacit tokens create ci"
    )]
    Create {
        /// Its name.
        name: String,
        /// owner, admin, editor, operator, member or auditor.
        #[arg(long, default_value = "member")]
        role: String,
    },
    /// Delete a service account; its tokens end at once.
    #[command(after_help = "Example:\n  tacit service-accounts delete ci")]
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum TokensCommand {
    /// List the tokens of a service account, without their text.
    #[command(after_help = "Example:\n  tacit tokens list ci")]
    List {
        /// The service account.
        account: String,
    },
    /// Make a token for a service account and print it, this once.
    #[command(after_help = "Example:\n  tacit tokens create ci --expires-at 2027-01-01T00:00:00Z")]
    Create {
        /// The service account.
        account: String,
        /// Until when it works, RFC 3339; without end unless said.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// End a token at once.
    #[command(after_help = "Example:\n  tacit tokens revoke ci tok_0193b5a8")]
    Revoke {
        /// The service account.
        account: String,
        /// The token's id, as `tokens list` shows it.
        id: String,
    },
}

impl MembersCommand {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let Self::List = self;
        let workspace = session.workspace();
        let all = every_page(async |cursor| workspace.members(&PageQuery { cursor, limit: Some(500) }).await)
            .await?;
        session.out.list(all, &["NAME", "ROLE", "SINCE"], |member| {
            vec![member.name.clone(), member.role.clone(), member.created_at.clone()]
        })
    }
}

impl AccountsCommand {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        match self {
            Self::List => {
                let all = every_page(async |cursor| {
                    workspace.service_accounts(&PageQuery { cursor, limit: Some(500) }).await
                })
                .await?;
                session.out.list(all, &["NAME", "ROLE", "ID", "CREATED"], |account| {
                    vec![
                        account.name.clone(),
                        account.role.clone(),
                        account.id.clone(),
                        account.created_at.clone(),
                    ]
                })
            }
            Self::Create { name, role } => {
                let made = workspace.create_service_account(&CreateServiceAccount { name, role }).await?;
                session.out.done(
                    &made,
                    &format!(
                        "{} is there as {}; `tacit tokens create {}` makes a token",
                        made.name, made.role, made.name
                    ),
                )
            }
            Self::Delete { name, yes } => {
                if !yes {
                    input::confirm(&format!("Delete the service account {name}? Its tokens end at once."))?;
                }
                workspace.delete_service_account(&name).await?;
                session
                    .out
                    .done(&json!({"name": name}), &format!("{name} is deleted and its tokens have ended"))
            }
        }
    }
}

impl TokensCommand {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        match self {
            Self::List { account } => {
                let all = workspace.tokens(&account).await?.items;
                session.out.list(all, &["ID", "CREATED", "EXPIRES"], |token| {
                    let expires = token.expires_at.clone().unwrap_or_else(|| "never".to_owned());
                    vec![token.id.clone(), token.created_at.clone(), expires]
                })
            }
            Self::Create { account, expires_at } => {
                let made = workspace.create_token(&account, &CreateToken { expires_at }).await?;
                if session.out == Output::Json {
                    return session.out.json(&made);
                }
                talk(&format!("{} for {account}; it is shown this once:", made.id));
                data(made.token.as_deref().unwrap_or_default())
            }
            Self::Revoke { account, id } => {
                workspace.revoke_token(&account, &id).await?;
                session.out.done(&json!({"id": id}), &format!("{id} has ended"))
            }
        }
    }
}
