//! `login`, `logout`, `whoami`: whose token is used.

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_api::WhoAmI;
use tacit_client::Client;

use crate::{
    config::{Flags, Settings, UserFile},
    error::{Failure, Outcome},
    input,
    output::{Output, talk, warn},
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    Login(Login),
    Logout(Logout),
    Whoami(WhoAmICommand),
}

/// Keep an address and a token in the user's configuration directory. Reads the token from a prompt or standard input.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit login --addr https://tacit.example.com\n  tacit login < token.txt")]
pub(crate) struct Login {
    /// A token is not given as an argument.
    #[arg(hide = true)]
    stray: Vec<String>,
    /// A token is not given as an argument.
    #[arg(long, hide = true)]
    token: Option<String>,
}

/// Forget the token. It stays valid until somebody revokes it.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit logout")]
pub(crate) struct Logout {}

/// Show whose token is used and what it may do.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit whoami")]
pub(crate) struct WhoAmICommand {}

impl Command {
    pub(crate) async fn run(self, flags: &Flags<'_>, out: Output) -> Outcome {
        match self {
            Self::Login(login) => login.run(flags, out).await,
            Self::Logout(_) => log_out(out),
            Self::Whoami(_) => who_am_i(Session::open(Settings::load(flags)?, None, out)?).await,
        }
    }
}

impl Login {
    async fn run(self, flags: &Flags<'_>, out: Output) -> Outcome {
        if !self.stray.is_empty() || self.token.is_some() {
            return Err(Failure::usage(
                "a token is not taken from the command line, where others can see it and the shell keeps it",
                "run `tacit login` and paste it when asked, or hand it in on standard input; revoke the one you typed",
            ));
        }
        let settings = Settings::load(flags)?;
        if is_open_http(&settings.addr) {
            warn(&[format!(
                "{} is not encrypted, and the token will travel to it in the clear",
                settings.addr
            )]);
        }
        let token = input::hidden("token")?.trim().to_owned();
        let client = Client::new(&settings.addr, &token)?;
        let me = client.who_am_i().await?;
        let workspace = choose_workspace(flags.workspace, &UserFile::load()?, &me);
        let path =
            UserFile { addr: Some(settings.addr.clone()), token: Some(token), workspace: workspace.clone() }
                .save()?;
        if std::env::var_os("TACIT_TOKEN").is_some_and(|token| !token.is_empty()) {
            warn(&["TACIT_TOKEN is set and goes before the token that was just kept".to_owned()]);
        }
        let place = workspace.as_deref().map(|name| format!(", workspace {name}")).unwrap_or_default();
        let answer = json!({"addr": settings.addr, "name": me.name, "workspace": workspace, "file": path});
        out.done(
            &answer,
            &format!("signed in to {} as {}{place}; kept in {}", settings.addr, me.name, path.display()),
        )
    }
}

/// The workspace that was asked for, the one of before if it is still ours, or the obvious one.
fn choose_workspace(asked: Option<&str>, before: &UserFile, me: &WhoAmI) -> Option<String> {
    let is_ours = |name: &str| me.workspaces.iter().any(|workspace| workspace.name == name);
    let before = before.workspace.clone().filter(|name| is_ours(name));
    asked.map(str::to_owned).or(before).or_else(|| match me.workspaces.as_slice() {
        [only] => Some(only.name.clone()),
        _ => None,
    })
}

fn log_out(out: Output) -> Outcome {
    let file = UserFile::load()?;
    if file.token.is_none() {
        return out.done(&json!({"signed_out": false}), "nobody was signed in");
    }
    UserFile { token: None, ..file }.save()?;
    out.done(&json!({"signed_out": true}), "signed out; the token itself stays valid until it is revoked")
}

async fn who_am_i(session: Session) -> Outcome {
    let me = session.client.who_am_i().await?;
    let mut properties = vec![("name", me.name.clone()), ("kind", me.kind.clone())];
    if me.instance_admin {
        properties.push(("instance", "administrator".to_owned()));
    }
    for workspace in &me.workspaces {
        properties.push((
            "workspace",
            format!("{} as {}: {}", workspace.name, workspace.role, workspace.rights.join(", ")),
        ));
    }
    session.out.one(&me, &properties)?;
    if session.out == Output::Table && me.workspaces.is_empty() {
        talk("this token belongs to no workspace");
    }
    Ok(())
}

/// Whether an address is neither encrypted nor on this machine.
fn is_open_http(addr: &str) -> bool {
    let Some(rest) = addr.strip_prefix("http://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    let host = if host.starts_with('[') { host.split_inclusive(']').next() } else { host.split(':').next() };
    !matches!(host, Some("localhost" | "[::1]")) && !host.is_some_and(|host| host.starts_with("127."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacit_api::Membership;

    /// A token is only sent in the clear with a warning, unless it stays on the machine.
    #[test]
    fn open_http() {
        for safe in
            ["https://tacit.example", "http://127.0.0.1:8200", "http://localhost:1/x", "http://[::1]:8200"]
        {
            assert!(!is_open_http(safe), "{safe}");
        }
        for open in ["http://tacit.example", "http://10.0.0.1:8200", "http://[2001:db8::1]:8200"] {
            assert!(is_open_http(open), "{open}");
        }
    }

    /// The workspace asked for, else the one of before, else the only one.
    #[test]
    fn workspace_choice() {
        let membership =
            |name: &str| Membership { name: name.into(), role: "owner".into(), rights: Vec::new() };
        let me = |names: &[&str]| WhoAmI {
            kind: "user".into(),
            name: "o".into(),
            instance_admin: false,
            workspaces: names.iter().map(|name| membership(name)).collect(),
        };
        let before = |name: &str| UserFile { workspace: Some(name.into()), ..UserFile::default() };
        assert_eq!(choose_workspace(Some("x"), &before("a"), &me(&["a"])).as_deref(), Some("x"));
        assert_eq!(choose_workspace(None, &before("a"), &me(&["a", "b"])).as_deref(), Some("a"));
        assert_eq!(choose_workspace(None, &before("gone"), &me(&["b"])).as_deref(), Some("b"));
        assert_eq!(choose_workspace(None, &UserFile::default(), &me(&["a", "b"])), None);
    }
}
