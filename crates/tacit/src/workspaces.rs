//! `workspaces`: tenants and their settings.

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_api::{CreateWorkspace, PageQuery, UpdateWorkspace, Workspace};
use tacit_client::every_page;

use crate::{
    config::UserFile,
    error::{Exit, Failure, Outcome},
    input,
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the workspaces this token belongs to.
    #[command(after_help = "Example:\n  tacit workspaces list")]
    List,
    /// Make a workspace.
    #[command(after_help = "Example:\n  tacit workspaces create acme")]
    Create {
        /// Its name: lower-case letters, digits and dashes.
        name: String,
    },
    Set(Set),
    /// Work in this workspace from now on.
    #[command(name = "use", after_help = "Example:\n  tacit workspaces use acme")]
    Use {
        /// Its name.
        name: String,
    },
}

/// Change the settings of the workspace.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit workspaces set --version-keep-days 30 --workspace acme")]
#[group(required = true, multiple = true)]
pub(crate) struct Set {
    /// For how many days earlier versions of a value are kept.
    #[arg(long, value_name = "DAYS")]
    version_keep_days: Option<i64>,
    /// How many versions of a value are kept.
    #[arg(long, value_name = "COUNT")]
    version_keep_count: Option<i64>,
    /// For how many days a deleted secret can be restored; 0 for not at all.
    #[arg(long, value_name = "DAYS")]
    deletion_window_days: Option<i64>,
    /// Whether values in protected environments may be deleted.
    #[arg(long, value_name = "true|false")]
    allow_protected_delete: Option<bool>,
    /// Whether looking at a value needs a reason.
    #[arg(long, value_name = "true|false")]
    reveal_needs_reason: Option<bool>,
    /// For how many seconds clients show a value that was looked at.
    #[arg(long, value_name = "SECS")]
    hide_after_secs: Option<i64>,
    /// For how many days a run's history is kept.
    #[arg(long, value_name = "DAYS")]
    run_keep_days: Option<i64>,
    /// Do not ask. Needed without a terminal to make a window smaller.
    #[arg(long, short)]
    yes: bool,
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let client = &session.client;
        match self {
            Self::List => {
                let all = every_page(async |cursor| {
                    client.workspaces(&PageQuery { cursor, limit: Some(500) }).await
                })
                .await?;
                session.out.list(all, &["NAME", "VERSIONS", "DELETION WINDOW", "CREATED"], |workspace| {
                    let kept =
                        format!("{} for {} days", workspace.version_keep_count, workspace.version_keep_days);
                    let window = format!("{} days", workspace.deletion_window_days);
                    vec![workspace.name.clone(), kept, window, workspace.created_at.clone()]
                })
            }
            Self::Create { name } => {
                let made = client.create_workspace(&CreateWorkspace { name }).await?;
                session
                    .out
                    .done(&made, &format!("{} is there, with the environments test and live", made.name))
            }
            Self::Set(set) => {
                let change = UpdateWorkspace {
                    version_keep_days: set.version_keep_days,
                    version_keep_count: set.version_keep_count,
                    deletion_window_days: set.deletion_window_days,
                    allow_protected_delete: set.allow_protected_delete,
                    reveal_needs_reason: set.reveal_needs_reason,
                    hide_after_secs: set.hide_after_secs,
                    run_keep_days: set.run_keep_days,
                };
                if !set.yes {
                    confirm_smaller(session, &change).await?;
                }
                let workspace = session.workspace().update(&change).await?;
                session.out.one(&workspace, &properties(&workspace))
            }
            Self::Use { name } => use_workspace(session, name).await,
        }
    }
}

/// Asks before a window becomes smaller, and says what that destroys.
async fn confirm_smaller(session: &Session, change: &UpdateWorkspace) -> Outcome {
    let workspace = session.workspace();
    let old = workspace.describe().await?;
    let is_smaller = |new: Option<i64>, old| new.is_some_and(|new| new < old);
    if is_smaller(change.version_keep_days, old.version_keep_days)
        || is_smaller(change.version_keep_count, old.version_keep_count)
    {
        let destroys = workspace.preview_update(change).await?.destroys_versions.unwrap_or_default();
        let what = match destroys {
            0 => "destroys nothing now".to_owned(),
            1 => "destroys 1 earlier version, for good".to_owned(),
            count => format!("destroys {count} earlier versions, for good"),
        };
        return input::confirm(&format!("Keep fewer versions? It {what}, and others sooner than before"));
    }
    if is_smaller(change.deletion_window_days, old.deletion_window_days) {
        let what = match change.deletion_window_days {
            Some(0) => "cannot be restored at all".to_owned(),
            days => format!("can be restored for {} days only", days.unwrap_or_default()),
        };
        return input::confirm(&format!(
            "Make the window smaller? What is deleted from now on {what}; what is deleted already keeps its date"
        ));
    }
    Ok(())
}

async fn use_workspace(session: &Session, name: String) -> Outcome {
    let me = session.client.who_am_i().await?;
    if !me.workspaces.iter().any(|workspace| workspace.name == name) {
        return Err(Failure {
            exit: Exit::NotPermitted,
            ..Failure::new(
                format!("this token belongs to no workspace `{name}`"),
                "`tacit whoami` shows where it belongs",
            )
        });
    }
    let path = UserFile { workspace: Some(name.clone()), ..UserFile::load()? }.save()?;
    session.out.done(&json!({"workspace": name, "file": path}), &format!("working in {name} from now on"))
}

fn properties(workspace: &Workspace) -> Vec<(&'static str, String)> {
    vec![
        ("name", workspace.name.clone()),
        ("version_keep_days", workspace.version_keep_days.to_string()),
        ("version_keep_count", workspace.version_keep_count.to_string()),
        ("deletion_window_days", workspace.deletion_window_days.to_string()),
        ("allow_protected_delete", workspace.allow_protected_delete.to_string()),
        ("reveal_needs_reason", workspace.reveal_needs_reason.to_string()),
        ("hide_after_secs", workspace.hide_after_secs.to_string()),
        ("run_keep_days", workspace.run_keep_days.to_string()),
    ]
}
