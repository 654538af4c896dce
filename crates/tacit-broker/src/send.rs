//! One request from decision to answer.

use std::time::{Duration, Instant, SystemTime};

use tacit_model::{Code, EnvironmentName, HttpStep, Place, Problem, RequestPath, Target, Timestamp, limits};
use tacit_redact::ScanSet;
use tacit_template::Scope;
use tacit_vault::{Caller, HttpTemplate, Opened, Outcome, RecordedUse, SecretSlot, UseRequest, Using, Vault};

use crate::{
    Answer,
    inject::{Marked, inject, scan_set},
    render::{Draft, Fragment},
    wire::{Blocked, Connection, Naming, PoolKey, ReadLimits, ResponseRule, Scrubbed, Wire, WireError},
};

/// The broker. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    vault: Vault,
    wire: Wire,
}

/// A request to be sent.
pub struct SendRequest<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// On whose authority.
    pub using: Using<'a>,
    /// In which environment.
    pub environment: &'a EnvironmentName,
    /// The step as written: limits, redirects, fields.
    pub step: &'a HttpStep,
    /// The step, compiled.
    pub template: &'a HttpTemplate,
    /// The data for its templates.
    pub scope: &'a (dyn Scope + Sync),
}

/// What came of one hop.
enum Hop {
    Answered(Scrubbed),
    Redirected { status: u16, location: String },
}

impl Broker {
    /// A broker over a vault and a wire.
    pub fn new(vault: Vault, wire: Wire) -> Self {
        Self { vault, wire }
    }

    /// Sends a request with its secrets in place, and gives back what may be seen of the answer.
    ///
    /// # Errors
    /// Refusals in the contract's order, then what the wire meets. Every refusal and every outcome is on the record.
    pub async fn send(&self, request: SendRequest<'_>) -> Result<Answer, Problem> {
        let mut draft = Draft::render(request.template, request.scope)?;
        let mut template = request.template.clone();
        let deadline = Instant::now() + Duration::from_secs(request.step.timeout_secs());
        let mut hops_left = request.step.redirects;
        let mut is_first = true;
        loop {
            let slots = slots(&template);
            let target = draft.target.clone();
            let (method, path) = (draft.method.clone(), draft.path.clone());
            let use_request = UseRequest {
                caller: request.caller,
                using: request.using,
                environment: request.environment,
                target: &target,
                method: &method,
                path: path.path(),
                slots: &slots,
                foreign_credential: template.foreign_credential,
            };
            let hop = self.hop(&use_request, &template, &draft, deadline, hops_left > 0).await;
            let hop = if is_first { hop } else { hop.map_err(|problem| refused_hop(problem, &target)) };
            match hop? {
                Hop::Answered(scrubbed) => return Ok(Answer::new(scrubbed, request.step.fields.as_deref())),
                Hop::Redirected { status, location } => {
                    if let Err(problem) = follow(&mut template, &mut draft, status, &location) {
                        return Err(self.vault.refuse_use(&use_request, problem).await);
                    }
                    hops_left -= 1;
                    is_first = false;
                }
            }
        }
    }

    async fn hop(
        &self,
        use_request: &UseRequest<'_>,
        template: &HttpTemplate,
        draft: &Draft,
        deadline: Instant,
        may_follow: bool,
    ) -> Result<Hop, Problem> {
        let started = Instant::now();
        let prepared = self.vault.prepare_use(use_request).await?;
        let naming = if prepared.is_named { Naming::Named } else { Naming::NotNamed };
        let pool_key = PoolKey(prepared.pool_key);
        // The flush of the intent and the way to the upstream do not need each other; both must be done before a value
        // is opened.
        let (recorded, connected) = tokio::join!(
            self.vault.record_use(prepared, use_request),
            self.wire.connect(pool_key, &draft.target, naming, remaining(deadline)),
        );
        let mut recorded = recorded?;
        let mut outcome = Outcome::default();
        let (intents, hop) = match connected {
            Ok(connection) => {
                recorded = self.decided_anew(recorded, use_request).await?;
                let rule = recorded.response();
                outcome.address = Some(connection.address().ip());
                let (intents, opened) = self.vault.open_use(recorded).await;
                let hop = match opened {
                    Ok(opened) => {
                        exchange(
                            template,
                            draft,
                            &opened,
                            rule,
                            connection,
                            deadline,
                            may_follow,
                            &mut outcome,
                        )
                        .await
                    }
                    Err(problem) => Err(problem),
                };
                (intents, hop)
            }
            Err(error) => (recorded.into_intents(), Err(wire_problem(&error, &draft.target))),
        };
        outcome.duration_us = Some(micros(started));
        outcome.code = hop.as_ref().err().map(|problem| problem.code);
        self.vault.finish_use(&intents, &outcome, now());
        hop
    }

    /// A use whose decision still stands now that the connection does. Connecting may take as long as the upstream
    /// likes, and a revocation that was acknowledged meanwhile counts.
    async fn decided_anew(
        &self,
        mut recorded: RecordedUse,
        request: &UseRequest<'_>,
    ) -> Result<RecordedUse, Problem> {
        while !self.vault.is_current(&recorded).await? {
            let outcome = Outcome { code: Some(Code::VersionConflict), ..Outcome::default() };
            self.vault.finish_use(&recorded.into_intents(), &outcome, now());
            recorded = self.vault.record_use(self.vault.prepare_use(request).await?, request).await?;
        }
        Ok(recorded)
    }
}

/// Injects, sends and reads.
#[expect(clippy::too_many_arguments, reason = "one call site; the parts belong to one request")]
async fn exchange(
    template: &HttpTemplate,
    draft: &Draft,
    opened: &Opened,
    mut rule: ResponseRule,
    connection: Connection,
    deadline: Instant,
    may_follow: bool,
    outcome: &mut Outcome,
) -> Result<Hop, Problem> {
    let injected = inject(template, draft, opened)?;
    let refused = |why: &str| Err(redirect_refused(&draft.target, why));
    // The index is built while the upstream works on its answer.
    let sent = injected.sent;
    let (received, (scan, unscrubbable)) =
        tokio::join!(connection.send(injected.request, remaining(deadline)), async {
            build_scan_set(opened, &sent)
        });
    drop(sent);
    let unscrubbable = unscrubbable || injected.unscrubbable;
    let received = received.map_err(|error| wire_problem(&error, &draft.target))?;
    outcome.status = Some(received.status());
    outcome.address = Some(received.address().ip());
    if may_follow
        && matches!(received.status(), 301 | 302 | 303 | 307 | 308)
        && let Some(location) = received.redirect_location()
    {
        // What may not be shown may not be followed either: the next answer would show it. And a value too short to be
        // recognised, or one of too many to look for, could be anywhere in the new address.
        if unscrubbable || rule != ResponseRule::Scrub {
            return refused("a request whose answers may not be shown in full");
        }
        // A location that holds a value, in whatever form, would carry it to wherever it points.
        let (_, findings) = tacit_redact::scrub_text(&scan, &location);
        if findings.total() > 0 {
            outcome.findings = Some(findings.total());
            return refused("to an address that holds the secret's value");
        }
        return Ok(Hop::Redirected { status: received.status(), location });
    }
    if unscrubbable {
        rule = rule.max(ResponseRule::StatusOnly);
    }
    let limits =
        ReadLimits { body_bytes_max: limits::RESPONSE_BODY_BYTES_MAX as u64, timeout: remaining(deadline) };
    let scrubbed =
        received.read(&scan, rule, limits).await.map_err(|error| wire_problem(&error, &draft.target))?;
    outcome.body_bytes = Some(scrubbed.body.len() as u64);
    outcome.findings = Some(scrubbed.findings.total());
    metrics::counter!("tacit_broker_findings_total").increment(scrubbed.findings.total());
    Ok(Hop::Answered(scrubbed))
}

/// Bytes of values from which building the index is worth telling the runtime that this thread is busy.
const INDEX_INLINE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of values that are looked for in one answer; with more, nothing but the status is shown.
const INDEX_BYTES_MAX: usize = 256 * 1024;

fn build_scan_set(opened: &Opened, sent: &[Marked]) -> (ScanSet, bool) {
    let bytes: usize = opened
        .scan
        .iter()
        .flat_map(|scanned| scanned.fields.hidden(scanned.kind))
        .map(|(_, text)| text.len())
        .sum();
    if bytes > INDEX_BYTES_MAX {
        (ScanSet::empty(), true)
    } else if bytes > INDEX_INLINE_BYTES_MAX {
        tokio::task::block_in_place(|| scan_set(opened, sent))
    } else {
        scan_set(opened, sent)
    }
}

fn slots(template: &HttpTemplate) -> Vec<SecretSlot> {
    template
        .slots
        .iter()
        .map(|slot| SecretSlot { name: slot.name.clone(), place: slot.place.clone() })
        .collect()
}

fn redirect_refused(target: &Target, why: &str) -> Problem {
    Problem::new(Code::RedirectRefused, format!("{target} redirected {why}"))
        .suggest("request the final address yourself, with a destination for it")
}

/// Turns the draft towards where a redirect points. The next hop is judged as a request of its own.
fn follow(
    template: &mut HttpTemplate,
    draft: &mut Draft,
    status: u16,
    location: &str,
) -> Result<(), Problem> {
    let refused = |why: &str| redirect_refused(&draft.target, why);
    let base = format!("{}{}", draft.target, draft.path.path());
    let joined = url::Url::parse(&base)
        .and_then(|base| base.join(location))
        .map_err(|_| refused("to something that is not a URL"))?;
    let (target, path): (Target, RequestPath) = Target::parse_url(joined.as_str())
        .map_err(|_| refused("to a URL that cannot be read one way only"))?;
    if draft.target.scheme() == tacit_model::Scheme::Https && target.scheme() != tacit_model::Scheme::Https {
        return Err(refused("from https to http"));
    }
    let becomes_get = status == 303 || (matches!(status, 301 | 302) && draft.method == "POST");
    if becomes_get {
        draft.method = "GET".to_owned();
        draft.body = None;
    } else if draft.body.is_some() && target != draft.target {
        return Err(refused("a request with a body to another origin"));
    }
    // What stood in the old URL or body is not carried over; what stood in headers is judged for the new target.
    let stays = |place: &Place| match place {
        Place::Path | Place::Query(_) => false,
        Place::Json(_) | Place::Form(_) => draft.body.is_some(),
        Place::Auth | Place::Header(_) | Place::Signature => true,
    };
    if target != draft.target && !template.slots.iter().all(|slot| stays(&slot.place)) {
        // A secret that stood in the URL cannot be judged for another origin, which may have been told it in some form.
        return Err(refused("a request with a secret in its URL to another origin"));
    }
    let kept: Vec<usize> = (0..template.slots.len()).filter(|at| stays(&template.slots[*at].place)).collect();
    let renumber = |slot: usize| {
        kept.iter().position(|at| *at == slot).ok_or_else(|| Problem::internal("a slot was lost"))
    };
    for (_, fragments) in &mut draft.headers {
        for fragment in fragments {
            if let Fragment::Secret(slot) = fragment {
                *slot = renumber(*slot)?;
            }
        }
    }
    if draft.body.is_some() && kept.len() != template.slots.len() {
        // A body that is sent again keeps its slots; renumbering them is not worth the code for what nobody does.
        return Err(refused("a request with a secret in its URL and a body"));
    }
    if target != draft.target {
        // Another origin gets nothing that was meant for the first one, least of all somebody's own credential.
        draft.headers.retain(|(name, fragments)| {
            let has_secret = fragments.iter().any(|fragment| matches!(fragment, Fragment::Secret(_)));
            has_secret
                || ["accept", "accept-language", "user-agent"]
                    .iter()
                    .any(|plain| name.eq_ignore_ascii_case(plain))
        });
        template.foreign_credential = false;
    }
    template.slots = kept.iter().map(|at| template.slots[*at].clone()).collect();
    let query = path.query().map(|query| format!("?{query}")).unwrap_or_default();
    draft.path_and_query = vec![Fragment::Text(format!("{}{query}", path.path()))];
    draft.target = target;
    draft.path = path;
    Ok(())
}

/// A hop that is refused is a redirect that is refused: the step's own request was fine.
fn refused_hop(problem: Problem, target: &Target) -> Problem {
    match problem.code {
        Code::DestinationNotAllowed
        | Code::DestinationRequired
        | Code::PlacementNotAllowed
        | Code::AddressBlocked
        | Code::ForeignCredential => {
            let mut refused = Problem::new(
                Code::RedirectRefused,
                format!("the answer redirects to {target}, where this request may not go ({})", problem.code),
            );
            refused.suggestion.clone_from(&problem.suggestion);
            refused.destination.clone_from(&problem.destination);
            refused
        }
        _ => problem,
    }
}

fn wire_problem(error: &WireError, target: &Target) -> Problem {
    let problem = |code, what: &str| Problem::new(code, format!("{target} {what}"));
    match error {
        WireError::AddressBlocked(blocked) => address_blocked(*blocked, target),
        WireError::ResolveFailed => problem(Code::UpstreamFailed, "has a host name that does not resolve")
            .suggest("check the host's spelling and the server's resolver"),
        WireError::ConnectFailed => problem(Code::UpstreamFailed, "did not take the connection")
            .suggest("check that the service is up and the port is right"),
        WireError::TlsFailed(_) => problem(
            Code::UpstreamFailed,
            "has a TLS certificate that does not verify, or speaks no TLS 1.2 or newer",
        )
        .suggest(
            "if the service uses a private certificate authority, start the server with --upstream-ca FILE",
        ),
        WireError::RequestRefused(_) => Problem::invalid(
            "headers",
            "do not fit the limits of a request: at most 8 KiB each and 16 KiB together",
        )
        .suggest("send less in headers"),
        WireError::UpstreamFailed => problem(
            Code::UpstreamFailed,
            "broke the connection or answered with something that is not proper HTTP",
        ),
        WireError::Timeout(_) => problem(Code::UpstreamTimeout, "took too long")
            .suggest("raise the step's `timeout_secs`, or ask the service for less"),
        WireError::Unscannable => problem(
            Code::ResponseUnscannable,
            "answered in an encoding that cannot be scanned for secrets, so the answer is withheld",
        )
        .suggest("ask the service for gzip, deflate, br, zstd or no encoding"),
        WireError::TooLarge => problem(
            Code::ResponseUnscannable,
            "answered with more than may be read, so the answer is withheld",
        )
        .suggest("ask the service for less"),
    }
}

fn address_blocked(blocked: Blocked, target: &Target) -> Problem {
    let what = match blocked {
        Blocked::OwnListener => "is Tacit itself, which the broker never calls",
        Blocked::Metadata => "is a cloud metadata service, which is never called",
        Blocked::PlainHttp => "is plain http towards a public address",
        _ => "resolves to a loopback, private or reserved address",
    };
    let hint = match blocked {
        Blocked::OwnListener | Blocked::Metadata => "there is no switch for this",
        Blocked::PlainHttp => "use https",
        _ => {
            "if it should be reachable, give a secret a destination that names it and start the server with --allow-private CIDR (a server that listens on loopback reaches loopback addresses that a destination names with their port)"
        }
    };
    Problem::new(Code::AddressBlocked, format!("{target} {what}")).suggest(hint)
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
