//! `login`, `logout`, `whoami`: whose token is used.

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_api::{SignIn, WhoAmI, session::SessionKind};
use tacit_client::Client;

use crate::{
    config::{Flags, Settings, UserFile},
    error::{Exit, Failure, Outcome},
    grants::{ACCESS_COLUMNS, access_row},
    input,
    output::{Output, data, talk, warn},
    person::Join,
    session::Session,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    Login(Login),
    Logout(Logout),
    Whoami(WhoAmICommand),
    Join(Join),
}

/// Sign in with name and password, or keep a token that one has, in the user's configuration directory. What is secret comes from a prompt or standard input.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit login --addr https://tacit.example.com --user anna@example.com\n  tacit login < token.txt"
)]
pub(crate) struct Login {
    /// Sign in as this person: asks for password and code, or takes them as lines of standard input.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A token is not given as an argument.
    #[arg(hide = true)]
    stray: Vec<String>,
    /// A token is not given as an argument.
    #[arg(long, hide = true)]
    token: Option<String>,
}

/// Sign out: end the session and forget its token. A token that was made for a service account stays valid until somebody revokes it.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit logout\n  tacit logout --everywhere")]
pub(crate) struct Logout {
    /// End all of one's sessions, wherever they are.
    #[arg(long)]
    everywhere: bool,
}

/// Show whose token is used and what it may do.
#[derive(Args)]
#[command(after_help = "Example:\n  tacit whoami")]
pub(crate) struct WhoAmICommand {}

impl Command {
    pub(crate) async fn run(self, flags: &Flags<'_>, out: Output) -> Outcome {
        match self {
            Self::Login(login) => login.run(flags, out).await,
            Self::Logout(logout) => log_out(flags, logout.everywhere, out).await,
            Self::Join(join) => join.run(flags, out).await,
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
        let token = match &self.user {
            Some(name) => sign_in(&settings.addr, name).await?,
            None => input::hidden("token")?.trim().to_owned(),
        };
        let client = Client::new(&settings.addr, &token)?;
        let me = client.who_am_i().await.map_err(|error| {
            let failure = Failure::from(error);
            match failure.exit {
                Exit::Unauthenticated => {
                    failure.hint("check that the token is whole, of this server, and has not ended")
                }
                _ => failure,
            }
        })?;
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

/// A token for a person with a password.
async fn sign_in(addr: &str, name: &str) -> Outcome<String> {
    let mut given = input::hidden_each(&["password", "code (if there is a second factor)"])?.into_iter();
    let asked = SignIn {
        name: name.to_owned(),
        password: given.next().unwrap_or_default(),
        code: given.next().filter(|code| !code.is_empty()),
        kind: SessionKind::Token,
    };
    let signed_in = Client::new(addr, "")?.sign_in(&asked).await?;
    signed_in.token.ok_or_else(|| Failure::new("the server gave no token", "update tacit, here or there"))
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

async fn log_out(flags: &Flags<'_>, everywhere: bool, out: Output) -> Outcome {
    let file = UserFile::load()?;
    let settings = Settings::load(flags)?;
    let token = if everywhere { settings.token } else { file.token.clone() };
    let Some(token) = token else {
        return out.done(&json!({"signed_out": false}), "nobody was signed in");
    };
    let client = Client::new(&settings.addr, &token)?;
    let ended =
        if everywhere { client.sign_out_everywhere().await } else { client.sign_out("current").await };
    if everywhere {
        ended?;
        UserFile { token: None, ..file }.save()?;
        return out.done(&json!({"signed_out": true}), "signed out everywhere");
    }
    UserFile { token: None, ..file }.save()?;
    let said = match ended {
        Ok(()) => "signed out",
        // A token that is no session, or a server that is not there: here it is forgotten all the same.
        Err(_) => "signed out here; the token itself stays valid until it is revoked or ends",
    };
    out.done(&json!({"signed_out": true}), said)
}

async fn who_am_i(session: Session) -> Outcome {
    let me = session.client.who_am_i().await?;
    let mut properties = vec![("name", me.name.clone()), ("kind", me.kind.clone())];
    if me.instance_admin {
        properties.push(("instance", "administrator".to_owned()));
    }
    for workspace in &me.workspaces {
        properties.push(("workspace", format!("{} as {}", workspace.name, workspace.role)));
    }
    session.out.one(&me, &properties)?;
    if session.out == Output::Json {
        return Ok(());
    }
    if me.workspaces.is_empty() {
        talk("this token belongs to no workspace");
        return Ok(());
    }
    // Rights by membership and by each grant are not one sum: most count only in a part of the workspace.
    let held = me.workspaces.iter().flat_map(|workspace| {
        workspace.because.iter().map(|reason| (workspace.name.clone(), access_row(reason)))
    });
    let columns = ["WORKSPACE"].into_iter().chain(ACCESS_COLUMNS).collect::<Vec<_>>();
    data("")?;
    session.out.list(held.collect(), &columns, |(workspace, row)| {
        let mut cells = vec![workspace.clone()];
        cells.extend_from_slice(row);
        cells
    })
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
        let membership = |name: &str| Membership {
            name: name.into(),
            role: "owner".into(),
            rights: Vec::new(),
            because: Vec::new(),
        };
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
