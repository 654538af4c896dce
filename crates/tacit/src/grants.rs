//! `roles` and `grants`: who may do what, and where.

use clap::Subcommand;
use serde_json::json;
use tacit_api::{AccessReason, CreateGrant, CreateRole, Scope, SecretQuery, UpdateRole};

use crate::{
    error::{Failure, Outcome},
    input,
    output::{Output, talk, warn},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum RolesCommand {
    /// List the roles of the workspace with their rights.
    #[command(after_help = "Example:\n  tacit roles list")]
    List,
    /// Make a role. Its rights must be yours.
    #[command(after_help = "Example:\n  tacit roles create rotator secret.list secret.write")]
    Create {
        /// Its name.
        name: String,
        /// What it lets one do.
        #[arg(required = true)]
        rights: Vec<String>,
    },
    /// Give a role other rights; everybody who has it gets or loses them at once.
    #[command(after_help = "Example:\n  tacit roles update rotator secret.list")]
    Update {
        /// The role.
        name: String,
        /// All of its rights from now on.
        #[arg(required = true)]
        rights: Vec<String>,
    },
    /// Remove a role that nobody has.
    #[command(after_help = "Example:\n  tacit roles delete rotator")]
    Delete {
        /// The role.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum GrantsCommand {
    /// List grants: your own, those that you manage, and with `audit.read` all of them.
    #[command(after_help = "Example:\n  tacit grants list")]
    List,
    /// Give somebody a role in a part of the workspace, or with --everywhere in all of it.
    #[command(
        after_help = "Example:\n  tacit grants create editor user:anna@example.com --in-folder payments --in-env test --until 2027-01-01T00:00:00Z"
    )]
    Create {
        /// The role.
        role: String,
        /// To whom: user:NAME, service-account:NAME or automation:NAME.
        to: String,
        /// Only in this environment.
        #[arg(long, value_name = "NAME")]
        in_env: Option<String>,
        /// Only in this folder and those below it.
        #[arg(long, value_name = "PATH")]
        in_folder: Option<String>,
        /// Only for this secret.
        #[arg(long, value_name = "NAME")]
        secret: Option<String>,
        /// In the whole workspace, protected environments included.
        #[arg(long, conflicts_with_all = ["in_env", "in_folder", "secret"])]
        everywhere: bool,
        /// Until when, RFC 3339; without end unless said.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Withdraw a grant, at once.
    #[command(after_help = "Example:\n  tacit grants delete grt_0193b5a8")]
    Delete {
        /// Its id, as `grants list` shows it.
        id: String,
    },
}

impl RolesCommand {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        match self {
            Self::List => {
                let all = workspace.roles().await?.items;
                session
                    .out
                    .list(all, &["NAME", "RIGHTS"], |role| vec![role.name.clone(), role.rights.join(" ")])
            }
            Self::Create { name, rights } => {
                let made = workspace.create_role(&CreateRole { name, rights }).await?;
                session.out.done(&made, &format!("{} is there: {}", made.name, made.rights.join(" ")))
            }
            Self::Update { name, rights } => {
                let made = workspace.update_role(&name, &UpdateRole { rights }).await?;
                session.out.done(&made, &format!("{} is now: {}", made.name, made.rights.join(" ")))
            }
            Self::Delete { name, yes } => {
                if !yes {
                    input::confirm(&format!("Delete the role {name}?"))?;
                }
                workspace.delete_role(&name).await?;
                session.out.done(&json!({"name": name}), &format!("{name} is deleted"))
            }
        }
    }
}

/// A scope in words.
pub(crate) fn scope_text(scope: &Scope) -> String {
    let parts = [("secret", &scope.secret), ("folder", &scope.folder), ("environment", &scope.environment)];
    let said: Vec<String> =
        parts.iter().filter_map(|(what, name)| Some(format!("{what} {}", name.as_ref()?))).collect();
    if said.is_empty() { "the whole workspace".to_owned() } else { said.join(", ") }
}

/// The columns in which it is shown what somebody holds, and why.
pub(crate) const ACCESS_COLUMNS: [&str; 5] = ["ROLE", "BY", "WHERE", "UNTIL", "RIGHTS"];

/// One reason in these columns.
pub(crate) fn access_row(reason: &AccessReason) -> Vec<String> {
    let by = reason.grant.clone().unwrap_or_else(|| "membership".to_owned());
    let until = reason.until.clone().unwrap_or_else(|| "without end".to_owned());
    vec![reason.role.clone(), by, scope_text(&reason.scope), until, reason.rights.join(" ")]
}

/// Whether there may be something in both scopes. A secret's folder is not known here, so a secret and a folder may meet.
fn may_meet(one: &Scope, other: &Scope) -> bool {
    let same = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => true,
    };
    let is_below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let folders = match (&one.folder, &other.folder) {
        (Some(one), Some(other)) => is_below(one, other) || is_below(other, one),
        _ => true,
    };
    folders && same(&one.environment, &other.environment) && same(&one.secret, &other.secret)
}

/// A folder is there when something is in it, so a misspelt one is taken. This is only a hint: whoever may list nothing there
/// gets none.
async fn warn_of_nothing(session: &Session, folder: &str) {
    let query = SecretQuery { folder: Some(folder.to_owned()), limit: Some(1), ..SecretQuery::default() };
    if session.workspace().secrets(&query).await.is_ok_and(|page| page.items.is_empty()) {
        warn(&[format!("there is no secret in the folder {folder} that you may list; is it spelt right?")]);
    }
}

/// Withdraws a grant, and says what is left: in an emergency one grant less may change nothing.
async fn delete_grant(session: &Session, id: &str) -> Outcome {
    let workspace = session.workspace();
    let grant = workspace.grants().await?.items.into_iter().find(|grant| grant.id == id);
    workspace.delete_grant(id).await?;
    let mut left = Vec::new();
    // Whoever manages grants of one folder may not ask what somebody holds everywhere.
    if let Some(grant) = &grant
        && let Ok(standing) = workspace.member_access(&grant.to).await
    {
        let has_something = |reason: &AccessReason| !reason.rights.is_empty();
        left.extend(standing.because.into_iter().filter(has_something));
        left.retain(|reason| may_meet(&reason.scope, &grant.scope));
    }
    session.out.done(&json!({"id": id, "left": left}), &format!("{id} is withdrawn"))?;
    if let (Output::Table, Some(grant), false) = (session.out, grant, left.is_empty()) {
        talk(&format!("{} still has there:", grant.to));
        for reason in &left {
            let by = reason.grant.as_deref().unwrap_or("membership");
            talk(&format!(
                "  {} in {}, by {by}: {}",
                reason.role,
                scope_text(&reason.scope),
                reason.rights.join(" ")
            ));
        }
    }
    Ok(())
}

/// Who may use a secret or look at it, and why: one line for each reason.
pub(crate) async fn secret_access(session: &Session, name: &str) -> Outcome {
    let all = session.workspace().secret_access(name).await?.items;
    if session.out == Output::Json {
        return session.out.json(&all);
    }
    let lines: Vec<(String, AccessReason)> = all
        .into_iter()
        .flat_map(|accessor| {
            let principal = accessor.principal;
            accessor.because.into_iter().map(move |reason| (principal.clone(), reason))
        })
        .collect();
    session.out.list(lines, &["WHO", "RIGHTS", "BY ROLE", "IN", "UNTIL"], |(who, reason)| {
        let until = reason.until.clone().unwrap_or_else(|| "without end".to_owned());
        vec![who.clone(), reason.rights.join(" "), reason.role.clone(), scope_text(&reason.scope), until]
    })
}

impl GrantsCommand {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let workspace = session.workspace();
        match self {
            Self::List => {
                let all = workspace.grants().await?.items;
                session.out.list(all, &["ID", "ROLE", "TO", "WHERE", "UNTIL"], |grant| {
                    let until = grant.until.clone().unwrap_or_else(|| "without end".to_owned());
                    let until = if grant.ended { "ended".to_owned() } else { until };
                    vec![
                        grant.id.clone(),
                        grant.role.clone(),
                        grant.to.clone(),
                        scope_text(&grant.scope),
                        until,
                    ]
                })
            }
            Self::Create { role, to, in_env, in_folder, secret, everywhere, until } => {
                let scope = Scope { environment: in_env, folder: in_folder, secret };
                if scope == Scope::default() && !everywhere {
                    return Err(Failure::usage(
                        "without a scope the grant would reach the whole workspace, protected environments included",
                        "say where with --in-env, --in-folder or --secret, or say --everywhere",
                    ));
                }
                let made = workspace.create_grant(&CreateGrant { role, to, scope, until }).await?;
                let said =
                    format!("{} is {} in {} ({})", made.to, made.role, scope_text(&made.scope), made.id);
                session.out.done(&made, &said)?;
                if let Some(folder) = &made.scope.folder {
                    warn_of_nothing(session, folder).await;
                }
                Ok(())
            }
            Self::Delete { id } => delete_grant(session, &id).await,
        }
    }
}
