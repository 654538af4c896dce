//! The lease behind a run: taken before the command starts, renewed while it runs, ended with it.

use std::{cell::Cell, collections::BTreeMap, convert::Infallible, time::Duration};

use tacit_client::{
    Error, InWorkspace,
    api::{CreateLease, LeaseSecret},
};
use tokio::time::{Instant, sleep, timeout};

use super::{environment::check_alias, project::Wanted, say};
use crate::error::{Failure, Outcome};

/// How long a lease outlives a command that vanished without a word.
pub(super) const TTL_SECS_DEFAULT: u64 = 900;
/// How long to try to end it. If that fails it ends by itself.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon to try again when the server was not reached.
const RETRY: Duration = Duration::from_secs(5);

/// What is asked for.
pub(super) struct Terms {
    pub(super) secrets: Vec<Wanted>,
    pub(super) ttl_secs: u64,
    pub(super) block_other_hosts: bool,
}

/// A lease in force. Has no `Debug`: it has its token.
pub(super) struct Lease<'a> {
    workspace: InWorkspace<'a>,
    pub(super) id: String,
    pub(super) token: String,
    /// By alias.
    pub(super) placeholders: BTreeMap<String, String>,
    /// Names by alias.
    names: BTreeMap<String, String>,
    pub(super) ca_pem: String,
    /// Hosts that the secrets are for, as a base URL names them.
    pub(super) bound_hosts: Vec<String>,
    ttl: Duration,
    ended: Cell<bool>,
}

impl<'a> Lease<'a> {
    /// Takes one for the secrets that are wanted.
    pub(super) async fn take(workspace: InWorkspace<'a>, environment: &str, terms: &Terms) -> Outcome<Self> {
        let names = names_by_alias(&terms.secrets)?;
        let secrets = terms.secrets.iter().map(|wanted| LeaseSecret {
            name: wanted.name.clone(),
            alias: Some(wanted.alias()),
            shape: wanted.shape.clone(),
        });
        let new = CreateLease {
            environment: environment.to_owned(),
            secrets: secrets.collect(),
            ttl_secs: Some(terms.ttl_secs),
            other_hosts: Some(if terms.block_other_hosts { "block" } else { "tunnel" }.to_owned()),
            allow_from: Vec::new(),
            requests_max: None,
        };
        let given = workspace.create_lease(&new).await?;
        Ok(Self {
            workspace,
            id: given.id,
            token: given.token,
            placeholders: given.secrets,
            names,
            ca_pem: given.ca_pem,
            bound_hosts: given.base_urls.into_keys().collect(),
            ttl: Duration::from_secs(terms.ttl_secs),
            ended: Cell::new(false),
        })
    }

    /// The workspace's name.
    pub(super) fn workspace(&self) -> &str {
        self.workspace.name()
    }

    /// What must not show in the command's output, with the names that stand there instead.
    pub(super) fn marked(&self) -> impl Iterator<Item = (&str, &str)> {
        let name = |alias: &'_ String| self.names.get(alias).map_or("secret", String::as_str);
        let placeholders = self.placeholders.iter().map(move |(alias, text)| (text.as_str(), name(alias)));
        placeholders.chain([(self.token.as_str(), "lease")])
    }

    /// Renews it as long as this is polled. If it has ended, says so once, and waits for ever: the command goes on
    /// without.
    pub(super) async fn keep(&self) -> Infallible {
        let half = self.ttl / 2;
        let mut pause = half;
        let mut in_force_until = Instant::now() + self.ttl;
        let why = loop {
            sleep(pause).await;
            let asked_at = Instant::now();
            match self.workspace.renew_lease(&self.id).await {
                Ok(_) => (pause, in_force_until) = (half, asked_at + self.ttl),
                Err(error) if is_final(&error) || Instant::now() > in_force_until => break error,
                Err(_) => pause = RETRY.min(half),
            }
        };
        say(&format!("tacit run: the lease has ended: {why}"));
        say("  requests with placeholders are refused from now on; start the command again for a new one");
        std::future::pending().await
    }

    /// Ends it. The second time nothing happens.
    pub(super) async fn end(&self) {
        if self.ended.replace(true) {
            return;
        }
        match timeout(END_TIMEOUT, self.workspace.end_lease(&self.id)).await {
            Ok(Ok(())) => {}
            // It has ended already, or whoever took it has lost their rights, which ends it as well.
            Ok(Err(error)) if is_final(&error) => {}
            Ok(Err(_)) | Err(_) => say(&format!(
                "tacit run: the server was not reached to end the lease; it ends by itself within {} seconds",
                self.ttl.as_secs()
            )),
        }
    }
}

/// Whether asking again would bring the same answer.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::Problem(problem) if matches!(problem.status, 401 | 403 | 404 | 409))
}

/// Whose placeholder is in which variable.
fn names_by_alias(secrets: &[Wanted]) -> Outcome<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    for wanted in secrets {
        let alias = wanted.alias();
        check_alias(&alias)?;
        if names.insert(alias.clone(), wanted.name.clone()).is_some() {
            return Err(Failure::usage(
                format!("two secrets would be in the variable `{alias}`"),
                "give one of them another name with --secret NAME=ALIAS",
            ));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two secrets cannot share a variable, and none can have one that a run needs.
    #[test]
    fn variables_are_distinct() {
        let wanted = |arguments: &[&str]| -> Vec<Wanted> {
            arguments.iter().map(|argument| Wanted::from_argument(argument).unwrap()).collect()
        };
        let names = names_by_alias(&wanted(&["stripe-key", "other=KEY"])).unwrap();
        assert_eq!(names["STRIPE_KEY"], "stripe-key");
        assert_eq!(names["KEY"], "other");
        assert_eq!(names_by_alias(&wanted(&["a b", "a-b"])).unwrap_err().exit as u8, 2);
        assert_eq!(names_by_alias(&wanted(&["http proxy"])).unwrap_err().exit as u8, 2);
    }
}
