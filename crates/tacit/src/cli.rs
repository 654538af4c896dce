//! Everything that can be said: the one definition from which help, completions and man pages come.

use clap::{Args, Parser, Subcommand};

use crate::{
    account, audit, automations, config, deployments, environments,
    error::{Failure, Outcome},
    grants, help, leases, mcp,
    output::Output,
    person, request, run, runs, secrets, server,
    session::Session,
    sign_in, vars, workspaces,
};

/// Keeps a team's credentials and does the talking for them.
///
/// Name a secret; Tacit puts its value where it is needed, only where it may go, and never shows it.
#[derive(Parser)]
#[command(
    name = "tacit",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Example:\n  tacit init --data ./tacit-data && tacit serve --data ./tacit-data\n  tacit login\n  tacit secrets set STRIPE_KEY --to api.stripe.com\n  tacit request GET https://api.stripe.com/v1/charges --auth STRIPE_KEY"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every verb understands. Flag over environment over user file over default.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// How to print data.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Output,
    /// The workspace to work in [env: TACIT_WORKSPACE] [default: default].
    #[arg(long, global = true, value_name = "NAME")]
    workspace: Option<String>,
    /// The environment to work in; name a protected one with each command [env: TACIT_ENV] [default: test].
    #[arg(long, global = true, value_name = "NAME")]
    env: Option<String>,
    /// Where the server is [env: TACIT_ADDR] [default: http://127.0.0.1:8200].
    #[arg(long, global = true, value_name = "URL")]
    addr: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Server(server::Command),
    #[command(flatten)]
    SignIn(sign_in::Command),
    /// Secrets: credentials that are named, used and never shown.
    #[command(
        subcommand,
        visible_alias = "secret",
        after_help = "Example:\n  tacit secrets set STRIPE_KEY --to api.stripe.com\n  tacit secrets list --search stripe\n  tacit secrets access STRIPE_KEY"
    )]
    Secrets(secrets::Command),
    /// Variables: plain settings beside the secrets.
    #[command(
        subcommand,
        visible_alias = "variables",
        after_help = "Example:\n  tacit vars set REGION eu\n  tacit vars list"
    )]
    Vars(vars::Command),
    /// Automations: steps that name secrets.
    #[command(subcommand, visible_alias = "automation", after_help = "Example:\n  tacit automations list")]
    Automations(automations::Command),
    /// Runs of automations.
    #[command(subcommand, after_help = "Example:\n  tacit runs list")]
    Runs(runs::Command),
    Deploy(deployments::Deploy),
    /// Deployments: what was moved from one environment into another.
    #[command(subcommand, visible_alias = "deployment", after_help = "Example:\n  tacit deployments list")]
    Deployments(deployments::Command),
    Request(request::Request),
    Run(run::Run),
    Mcp(mcp::Mcp),
    /// Leases: placeholders that programs hold instead of values.
    #[command(subcommand, visible_alias = "lease", after_help = "Example:\n  tacit leases list")]
    Leases(leases::LeasesCommand),
    /// Sessions of agents that act for somebody.
    #[command(subcommand, visible_alias = "agent", after_help = "Example:\n  tacit agents list")]
    Agents(leases::AgentsCommand),
    /// Workspaces: tenants with their own secrets, people and record.
    #[command(
        subcommand,
        visible_alias = "workspace",
        after_help = "Example:\n  tacit workspaces list\n  tacit workspaces set --version-keep-days 14"
    )]
    Workspaces(workspaces::Command),
    /// Environments, such as test and live.
    #[command(subcommand, visible_alias = "envs", after_help = "Example:\n  tacit environments list")]
    Environments(environments::Command),
    /// One's own account: password, sessions, second factor.
    #[command(
        subcommand,
        after_help = "Example:\n  tacit account password\n  tacit account sessions\n  tacit account second-factor begin"
    )]
    Account(person::AccountCommand),
    /// The people of the workspace.
    #[command(
        subcommand,
        after_help = "Example:\n  tacit members invite anna@example.com --role editor\n  tacit members access anna@example.com"
    )]
    Members(account::MembersCommand),
    /// Accounts for machines.
    #[command(
        subcommand,
        after_help = "Example:\n  tacit service-accounts create ci --role editor\n  tacit tokens create ci --expires-at 2027-01-01T00:00:00Z"
    )]
    ServiceAccounts(account::AccountsCommand),
    /// Tokens of service accounts.
    #[command(
        subcommand,
        after_help = "Example:\n  tacit tokens create ci --expires-at 2027-01-01T00:00:00Z\n  tacit tokens list ci"
    )]
    Tokens(account::TokensCommand),
    /// Roles: sets of rights under a name.
    #[command(
        subcommand,
        visible_alias = "role",
        after_help = "Example:\n  tacit roles create on-call secret.list secret.use secret.reveal\n  tacit roles list"
    )]
    Roles(grants::RolesCommand),
    /// Grants: roles in a part of the workspace, perhaps for a while.
    #[command(
        subcommand,
        visible_alias = "grant",
        after_help = "Example:\n  tacit grants create editor user:anna@example.com --in-env test\n  tacit grants list"
    )]
    Grants(grants::GrantsCommand),
    /// The record: who did what, and that nothing of it was changed.
    #[command(
        subcommand,
        after_help = "Example:\n  tacit audit list --verb secret.use --outcome denied\n  tacit audit verify --data ./tacit-data"
    )]
    Audit(audit::Command),
    #[command(flatten)]
    Help(help::Command),
}

impl Cli {
    /// Does what was said.
    pub(crate) fn run(self) -> Outcome {
        let Self { global, command } = self;
        match command {
            Command::Server(command) => command.run(global.output),
            Command::Help(command) => command.run(),
            Command::Audit(audit::Command::Verify(verify)) => verify.run(global.output),
            Command::Mcp(mcp) => mcp.run(&global.flags()),
            Command::Run(run) => run.run(&global.flags(), global.output),
            Command::SignIn(command) => block_on(command.run(&global.flags(), global.output)),
            command => {
                let settings = config::Settings::load(&global.flags())?;
                let session = Session::open(settings, global.env, global.output)?;
                block_on(command.run(&session))
            }
        }
    }
}

impl Global {
    fn flags(&self) -> config::Flags<'_> {
        config::Flags {
            addr: self.addr.as_deref(),
            workspace: self.workspace.as_deref(),
            environment: self.env.as_deref(),
        }
    }
}

impl Command {
    async fn run(self, session: &Session) -> Outcome {
        match self {
            Self::Secrets(command) => command.run(session).await,
            Self::Vars(command) => command.run(session).await,
            Self::Automations(command) => command.run(session).await,
            Self::Runs(command) => command.run(session).await,
            Self::Deploy(deploy) => deploy.run(session).await,
            Self::Deployments(command) => command.run(session).await,
            Self::Request(request) => request.run(session).await,
            Self::Leases(command) => command.run(session).await,
            Self::Agents(command) => command.run(session).await,
            Self::Workspaces(command) => command.run(session).await,
            Self::Environments(command) => command.run(session).await,
            Self::Account(command) => command.run(session).await,
            Self::Members(command) => command.run(session).await,
            Self::ServiceAccounts(command) => command.run(session).await,
            Self::Tokens(command) => command.run(session).await,
            Self::Roles(command) => command.run(session).await,
            Self::Grants(command) => command.run(session).await,
            Self::Audit(command) => command.run(session).await,
            // These need no session or make their own, and `Cli::run` has run them.
            Self::Server(_) | Self::SignIn(_) | Self::Run(_) | Self::Mcp(_) | Self::Help(_) => Ok(()),
        }
    }
}

/// Runs one verb. `serve` makes a runtime of its own, so none is made before it is known that one is needed.
pub(crate) fn block_on<T>(verb: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(format!("cannot start: {error}"), "check the system's limits on files and processes")
    })?;
    runtime.block_on(verb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        let path = format!("{path} {}", command.get_name());
        if command.get_name() != "help" {
            found.push((path.trim().to_owned(), command.clone()));
        }
        for sub in command.get_subcommands() {
            leaves(sub, &path, found);
        }
    }

    /// The definition is consistent, and every verb says what it does and shows an example of itself.
    #[test]
    fn every_verb_has_help_with_an_example() {
        Cli::command().debug_assert();
        let mut root = Cli::command();
        root.build();
        let mut found = Vec::new();
        leaves(&root, "", &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for (path, command) in found.iter().filter(|(path, _)| !path.split(' ').any(|word| word == "help")) {
            assert!(command.get_about().is_some(), "{path} says nothing");
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                example.starts_with("Example:\n") && example.contains(path.as_str()),
                "{path} has no example"
            );
        }
    }

    /// Every example in the help is a command.
    #[test]
    fn examples_parse() {
        let mut root = Cli::command();
        root.build();
        let mut found = Vec::new();
        leaves(&root, "", &mut found);
        for (path, command) in found {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter_map(|line| line.trim().strip_prefix("tacit ")) {
                let words = words(line.split([';', '|', '<', '>', '&']).next().unwrap_or_default());
                let words = std::iter::once("tacit".to_owned()).chain(words);
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{path}: {line}: {error}");
                }
            }
        }
    }

    /// Splits as a shell would, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
