//! SFTP: one thing done with one file or folder of a server whose key is pinned.
//!
//! The way of a use is that of a request: decided, on the record, connected, looked at again, opened. Connecting includes
//! the server's proof of its key, so that no credential is opened for a server that has another one; authentication comes
//! after. What the server says, banners and messages, is dropped. What it has, names and contents, is searched like the
//! body of an answer.

mod draft;
mod files;
mod link;
mod protocol;

use std::time::{Duration, Instant};

use tacit_model::{EnvironmentName, Problem, SecretType, destination::ResponseRule};
use tacit_redact::ScanSet;
use tacit_template::Scope;
use tacit_vault::{Caller, OpenedValue, SftpTemplate, UseRequest, Using};
use zeroize::Zeroizing;

pub(crate) use self::draft::content_of;
use self::{
    draft::Draft,
    files::{Done, Files},
    link::{Credential, Link},
};
use crate::{
    Broker, Kept,
    faults::{outdated, timed_out},
    inject::scan_set,
    permit::{Means, PendingOutcome, Permitted},
    send::{remaining, slots},
    wire::Naming,
};

/// Something to be done on an SFTP server.
pub struct SftpRequest<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// On whose authority.
    pub using: Using<'a>,
    /// In which environment.
    pub environment: &'a EnvironmentName,
    /// The step, compiled.
    pub template: &'a SftpTemplate,
    /// Seconds for all of it.
    pub timeout_secs: u64,
    /// The data for its templates.
    pub scope: &'a (dyn Scope + Sync),
}

impl Broker {
    /// Does one thing on an SFTP server, and gives back what may be seen of it.
    ///
    /// # Errors
    /// Refusals in the contract's order, then `host_key_mismatch`, then what the wire and the server meet. Every refusal
    /// and every outcome is on the record.
    pub async fn sftp(&self, request: SftpRequest<'_>) -> Result<Kept, Problem> {
        let draft = Draft::render(request.template, request.scope)?;
        let deadline = Instant::now() + Duration::from_secs(request.timeout_secs);
        let slots = slots(&request.template.slots);
        let path = draft.action.path();
        let use_request = UseRequest {
            caller: request.caller,
            using: request.using,
            environment: request.environment,
            target: &draft.target,
            method: draft.action.method(),
            path: &path.judged,
            other_path: draft.action.other_path().map(|path| path.judged.as_str()),
            slots: &slots,
            foreign_credential: false,
        };
        let connect = async |means: Means| {
            Link::connect(&self.wire, &draft.target, means.naming, means.host_keys, deadline).await
        };
        let (permitted, mut outcome) = self
            .permit_over(&use_request, &request.template.slots, Naming::NotNamed, deadline, connect)
            .await?;
        let done = tokio::time::timeout(remaining(deadline), self.on_server(permitted, &draft, &mut outcome));
        let done = done.await.unwrap_or_else(|_| Err(timed_out(&draft.target)));
        outcome.end(done.as_ref().err().map(|problem| problem.code));
        done
    }

    /// Signs in, does it, and takes out of what came back what must not be shown.
    async fn on_server(
        &self,
        permitted: Permitted<Link>,
        draft: &Draft,
        outcome: &mut PendingOutcome,
    ) -> Result<Kept, Problem> {
        let rule = permitted.rule;
        let value =
            permitted.opened.values.first().ok_or_else(|| Problem::internal("a slot has no value"))?;
        let sent = match value.kind {
            SecretType::SftpPassword => {
                let password = value.fields.text("password").unwrap_or_default();
                vec![(format!("[sealed:{}]", value.name), Zeroizing::new(password.as_bytes().to_vec()))]
            }
            _ => Vec::new(),
        };
        let (mut link, opened, scan, unscrubbable) = permitted.search(self, &sent);
        drop(sent);
        let value = opened.values.first().ok_or_else(|| Problem::internal("a slot has no value"))?;
        link.sign_in(credential(value)?, &draft.target).await?;
        let tacit_vault::Opened { values, coverage, .. } = opened;
        // The server has what it needs, and nobody else needs it.
        drop(values);
        // A value that may come back and cannot be recognised keeps everything back, as over HTTP.
        let rule = if unscrubbable { rule.max(ResponseRule::StatusOnly) } else { rule };
        let shown = if rule == ResponseRule::StatusOnly { ScanSet::empty() } else { scan };
        let files = Files::open(&link, &draft.target).await?;
        let mut done = files.act(&draft.action, &shown).await;
        link.close().await;
        if let Ok(done) = &mut done
            && rule != ResponseRule::StatusOnly
        {
            // What was written or bound while it came may be in it too.
            let (secrets, newer) = self.vault.open_newer(&coverage).await?;
            outcome.newer = secrets;
            if !newer.is_empty() {
                let (scan, unscrubbable) = scan_set(&newer, &[]);
                if unscrubbable || !done.search_again(&scan) {
                    return Err(outdated(&draft.target));
                }
            }
        }
        let done = done?;
        outcome.body_bytes = Some(done.bytes);
        outcome.findings = Some(done.findings.total());
        metrics::counter!("tacit_broker_findings_total").increment(done.findings.total());
        Ok(kept(done, rule))
    }
}

/// What may be shown of what was done.
fn kept(done: Done, rule: ResponseRule) -> Kept {
    let redactions = done.findings.total();
    let withheld = match rule {
        ResponseRule::StatusOnly if done.has_content() => Some("status_only"),
        ResponseRule::Block if redactions > 0 => Some("block"),
        _ => None,
    };
    Kept { output: done.into_output(withheld), redactions }
}

/// What a secret signs in with.
fn credential(value: &OpenedValue) -> Result<Credential<'_>, Problem> {
    let text = |name| value.fields.text(name).unwrap_or_default();
    match value.kind {
        SecretType::SftpPassword => {
            Ok(Credential::Password { user: text("username"), password: text("password") })
        }
        SecretType::SftpPrivateKey => Ok(Credential::Key {
            user: text("username"),
            key: text("private_key"),
            passphrase: value.fields.text("passphrase"),
        }),
        other => Err(Problem::invalid(
            "sftp.auth",
            format!("names `{}`, whose type {} is not for SFTP", value.name, other.as_str()),
        )
        .suggest("name a secret of type sftp_password or sftp_private_key")),
    }
}
