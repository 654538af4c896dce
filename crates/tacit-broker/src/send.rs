//! A sealed request, or a step: one hop after the other, up to the answer.

use std::time::{Duration, Instant};

use tacit_model::{Code, EnvironmentName, HttpStep, Place, Problem, RequestPath, Target, limits};
use tacit_redact::ScanSet;
use tacit_template::Scope;
use tacit_vault::{Caller, HttpTemplate, SecretSlot, Slot, UseRequest, Using, Vault};

use crate::{
    Answer,
    faults::{outdated, wire_problem},
    indexes::Indexes,
    inject::scan_set,
    permit::{PendingOutcome, Permitted, Sent},
    render::{Draft, Fragment},
    tokens::Flights,
    wire::{Naming, ReadLimits, ResponseRule, Scrubbed, Wire},
};

/// The broker. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    pub(crate) vault: Vault,
    pub(crate) wire: Wire,
    pub(crate) indexes: Indexes,
    pub(crate) flights: Flights,
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

/// What came of one request.
pub(crate) struct Answered {
    pub(crate) scrubbed: Scrubbed,
    pub(crate) rule: ResponseRule,
    /// What it was searched for, for whoever makes something else of it.
    pub(crate) scans: Vec<ScanSet>,
    /// Whether the service refused a token that should be fetched anew.
    renews: bool,
}

/// What came of one hop.
enum Hop {
    Answered(Box<Answered>),
    Redirected { status: u16, location: String },
}

impl Broker {
    /// A broker over a vault and a wire.
    pub fn new(vault: Vault, wire: Wire) -> Self {
        Self { vault, wire, indexes: Indexes::default(), flights: Flights::default() }
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
            let slots = slots(&template.slots);
            let target = draft.target.clone();
            let (method, path) = (draft.method.clone(), draft.path.clone());
            let use_request = UseRequest {
                caller: request.caller,
                using: request.using,
                environment: request.environment,
                target: &target,
                method: &method,
                path: path.path(),
                other_path: None,
                slots: &slots,
                foreign_credential: template.foreign_credential,
            };
            let mut hop = self.hop(&use_request, &template.slots, &draft, deadline, hops_left > 0).await;
            if matches!(&hop, Ok(Hop::Answered(answered)) if answered.renews) {
                // Refused for its token, so nothing has happened; with a new one it is sent once more and not again.
                hop = self.hop(&use_request, &template.slots, &draft, deadline, hops_left > 0).await;
            }
            let hop = if is_first { hop } else { hop.map_err(|problem| refused_hop(problem, &target)) };
            match hop? {
                Hop::Answered(answered) => {
                    let Answered { scrubbed, rule, .. } = *answered;
                    return Ok(Answer::new(scrubbed, rule, request.step.fields.as_deref()));
                }
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

    /// Sends one request that follows no redirect, with its secrets in place.
    pub(crate) async fn send_once(
        &self,
        use_request: &UseRequest<'_>,
        slots: &[Slot],
        draft: &Draft,
        deadline: Instant,
    ) -> Result<Answered, Problem> {
        match self.hop(use_request, slots, draft, deadline, false).await? {
            Hop::Answered(answered) => Ok(*answered),
            Hop::Redirected { .. } => Err(Problem::internal("a redirect was followed unasked")),
        }
    }

    async fn hop(
        &self,
        use_request: &UseRequest<'_>,
        slots: &[Slot],
        draft: &Draft,
        deadline: Instant,
        may_follow: bool,
    ) -> Result<Hop, Problem> {
        let (permitted, mut outcome) =
            self.permit(use_request, slots, Naming::NotNamed, remaining(deadline)).await?;
        let hop = self.exchange(slots, draft, permitted, deadline, may_follow, &mut outcome).await;
        outcome.end(hop.as_ref().err().map(|problem| problem.code));
        hop
    }

    /// Sends and reads.
    async fn exchange(
        &self,
        slots: &[Slot],
        draft: &Draft,
        permitted: Permitted,
        deadline: Instant,
        may_follow: bool,
        outcome: &mut PendingOutcome,
    ) -> Result<Hop, Problem> {
        let Sent { received, scan, mut coverage, rule, shows_all, renews } =
            permitted.send(self, slots, draft, None, remaining(deadline), outcome).await?;
        let refused = |why: &str| Err(redirect_refused(&draft.target, why));
        if may_follow
            && matches!(received.status(), 301 | 302 | 303 | 307 | 308)
            && let Some(location) = received.redirect_location()
        {
            // What may not be shown may not be followed either: the next answer would show it. And a value too short to be
            // recognised, or one of too many to look for, could be anywhere in the new address.
            if !shows_all {
                return refused("a request whose answers may not be shown in full");
            }
            // A location that holds a value, in whatever form, would carry it to wherever it points.
            let (_, findings) = tacit_redact::scrub_text(&scan, &location);
            if findings.total() > 0 {
                outcome.findings = Some(findings.total());
                return refused("to an address that holds the secret's value");
            }
            if !self.vault.still_covers(&mut coverage).await {
                return Err(outdated(&draft.target));
            }
            return Ok(Hop::Redirected { status: received.status(), location });
        }
        let limits = ReadLimits {
            body_bytes_max: limits::RESPONSE_BODY_BYTES_MAX as u64,
            timeout: remaining(deadline),
        };
        let mut scrubbed =
            received.read(&scan, rule, limits).await.map_err(|error| wire_problem(&error, &draft.target))?;
        let mut scans = vec![scan];
        if rule != ResponseRule::StatusOnly {
            // What was written or bound while the answer came may be in it too.
            let (secrets, newer) = self.vault.open_newer(&coverage).await?;
            outcome.newer = secrets;
            if !newer.is_empty() {
                let (scan, unscrubbable) = scan_set(&newer, &[]);
                if unscrubbable {
                    return Err(outdated(&draft.target));
                }
                scrubbed.search_again(&scan, rule);
                scans.push(scan);
            }
        }
        outcome.body_bytes = Some(scrubbed.body.len() as u64);
        outcome.findings = Some(scrubbed.findings.total());
        metrics::counter!("tacit_broker_findings_total").increment(scrubbed.findings.total());
        Ok(Hop::Answered(Box::new(Answered { scrubbed, rule, scans, renews })))
    }
}

/// The slots as the decision needs them.
pub(crate) fn slots(slots: &[Slot]) -> Vec<SecretSlot> {
    slots.iter().map(|slot| SecretSlot { name: slot.name.clone(), place: slot.place.clone() }).collect()
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
fn refused_hop(mut problem: Problem, target: &Target) -> Problem {
    problem.unsent = false;
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

pub(crate) fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
