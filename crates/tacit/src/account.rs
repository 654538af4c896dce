//! `members`, `service-accounts`, `tokens`: who may come in.

use clap::Subcommand;
use serde_json::json;
use tacit_api::{
    AddMember, CreateInvitation, CreateServiceAccount, CreateToken, Member, PageQuery, UpdateMember,
};
use tacit_client::every_page;

use crate::{
    error::Outcome,
    grants::{ACCESS_COLUMNS, access_row},
    input,
    output::{Output, data, talk},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum MembersCommand {
    /// List the people of the workspace.
    #[command(after_help = "Example:\n  tacit members list")]
    List,
    /// Show what somebody may do, and why.
    #[command(
        after_help = "Example:\n  tacit members access anna@example.com\n  tacit members access service-account:ci"
    )]
    Access {
        /// A member's name, or user:NAME, service-account:NAME, automation:NAME.
        who: String,
    },
    /// Invite somebody and print the invitation, this once.
    #[command(after_help = "Example:\n  tacit members invite anna@example.com --role editor")]
    Invite {
        /// The name that the person will have, like an e-mail address.
        name: String,
        /// The role.
        #[arg(long, default_value = "member")]
        role: String,
        /// Until when the membership lasts, RFC 3339; without end unless said.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// List invitations that can still be accepted.
    #[command(after_help = "Example:\n  tacit members invitations")]
    Invitations,
    /// Take an invitation back.
    #[command(after_help = "Example:\n  tacit members uninvite inv_0193b5a8")]
    Uninvite {
        /// Its id, as `members invitations` shows it.
        id: String,
    },
    /// Make somebody who has an account a member, without an invitation; for the instance's administrator.
    #[command(after_help = "Example:\n  tacit members add anna@example.com --role editor")]
    Add {
        /// The person's name.
        name: String,
        /// The role.
        #[arg(long, default_value = "member")]
        role: String,
        /// Until when, RFC 3339; without end unless said.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Give a member another role or another end.
    #[command(
        after_help = "Example:\n  tacit members set anna@example.com --role admin\n  tacit members set anna@example.com --until 2027-01-01T00:00:00Z"
    )]
    Set {
        /// The member's name.
        name: String,
        /// The role.
        #[arg(long)]
        role: Option<String>,
        /// Until when, RFC 3339, or `never` for without end.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Take somebody, or oneself, out of the workspace.
    #[command(after_help = "Example:\n  tacit members remove anna@example.com")]
    Remove {
        /// The member's name.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
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
        let workspace = session.workspace();
        let said = |member: &Member| {
            let until = member.until.as_ref().map(|end| format!(" until {end}")).unwrap_or_default();
            format!("{} is {}{until}", member.name, member.role)
        };
        match self {
            Self::List => {
                let all = workspace.members(&PageQuery::default()).await?.items;
                session.out.list(all, &["NAME", "ROLE", "SINCE", "UNTIL"], |member| {
                    let until = member.until.clone().unwrap_or_else(|| "without end".to_owned());
                    let until = if member.ended { format!("ended {until}") } else { until };
                    vec![member.name.clone(), member.role.clone(), member.created_at.clone(), until]
                })
            }
            Self::Access { who } => {
                let standing = workspace.member_access(&who).await?;
                session.out.list(standing.because, &ACCESS_COLUMNS, access_row)
            }
            Self::Invite { name, role, until } => {
                let new = CreateInvitation { name, role, until, ttl_secs: None };
                let made = workspace.create_invitation(&new).await?;
                if session.out == Output::Json {
                    return session.out.json(&made);
                }
                talk(&format!(
                    "{} can join as {} until {} with `tacit join` and this invitation, shown this once:",
                    made.name, made.role, made.expires_at
                ));
                data(made.token.as_deref().unwrap_or_default())
            }
            Self::Invitations => {
                let all = workspace.invitations().await?.items;
                session.out.list(all, &["ID", "NAME", "ROLE", "BY", "UNTIL"], |invitation| {
                    vec![
                        invitation.id.clone(),
                        invitation.name.clone(),
                        invitation.role.clone(),
                        invitation.created_by.clone(),
                        invitation.expires_at.clone(),
                    ]
                })
            }
            Self::Uninvite { id } => {
                workspace.delete_invitation(&id).await?;
                session.out.done(&json!({"id": id}), &format!("{id} is taken back"))
            }
            Self::Add { name, role, until } => {
                let added = workspace.add_member(&AddMember { name, role, until }).await?;
                session.out.done(&added, &said(&added))
            }
            Self::Set { name, role, until } => {
                let until = until.map(|end| (end != "never").then_some(end));
                let changed = workspace.update_member(&name, &UpdateMember { role, until }).await?;
                session.out.done(&changed, &said(&changed))
            }
            Self::Remove { name, yes } => {
                if !yes {
                    input::confirm(&format!("Take {name} out of the workspace? Their grants go with them."))?;
                }
                workspace.remove_member(&name).await?;
                session.out.done(&json!({"name": name}), &format!("{name} is no member any more"))
            }
        }
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
                    let expires = if token.ended { format!("ended {expires}") } else { expires };
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
