//! One request from its decision to the head of its answer: the only way on which values meet the wire.
//!
//! Steps, sealed requests and proxied requests all take it. [`Broker::permit`] decides, makes the intent durable while it
//! connects, looks again, and opens; [`Broker::permit_over`] is the same over something other than HTTP. [`Permitted::send`]
//! injects and sends. What comes after the head is the caller's:
//! a sealed request reads the answer, the proxy streams it.

use std::{
    net::IpAddr,
    ops::{Deref, DerefMut},
    time::{Duration, Instant, SystemTime},
};

use tacit_model::{Code, HostKey, Place, Problem, Timestamp};
use tacit_redact::ScanSet;
use tacit_vault::{Coverage, Intents, Opened, Outcome, RecordedUse, ScannedValue, Slot, UseRequest, Vault};
use tokio::net::TcpStream;

use crate::{
    Broker,
    faults::{host_key_mismatch, wire_problem},
    indexes::{Index, IndexKey},
    inject::{Marked, inject, scan_set, weak},
    render::Draft,
    send::remaining,
    wire::{Connection, Naming, OutboundBody, PoolKey, Received, ResponseRule},
};

/// A request that may be sent now: decided, on the record, connected, its values open.
pub(crate) struct Permitted<C = Connection> {
    pub(crate) opened: Opened,
    index: Searched,
    pub(crate) rule: ResponseRule,
    pub(crate) connection: C,
}

/// What a decision says about how to connect.
pub(crate) struct Means {
    pub(crate) pool_key: PoolKey,
    pub(crate) naming: Naming,
    /// The keys that an SFTP server may have.
    pub(crate) host_keys: Vec<HostKey>,
}

/// A way to the upstream.
pub(crate) trait Connected {
    /// The address that was dialled.
    fn address(&self) -> IpAddr;

    /// Whether it leads where the decision of now says.
    fn fits(&self, _host_keys: &[HostKey]) -> bool {
        true
    }
}

impl Connected for Connection {
    fn address(&self) -> IpAddr {
        self.address().ip()
    }
}

/// What the answer will be searched for.
enum Searched {
    /// There is an index already.
    Kept(Index),
    /// One is made of these while the upstream works, and kept under the key if there is one.
    ToBe(Option<IndexKey>, Vec<ScannedValue>),
}

/// A request that was sent, at the head of its answer.
pub(crate) struct Sent {
    pub(crate) received: Received,
    /// Everything that must not be in the answer.
    pub(crate) scan: ScanSet,
    /// Of what that is all.
    pub(crate) coverage: Coverage,
    /// What may be shown of the answer.
    pub(crate) rule: ResponseRule,
    /// Whether the answer may be shown whole once it is scrubbed.
    pub(crate) shows_all: bool,
    /// Whether the service refused a fetched token, and the request should be sent again with a new one.
    pub(crate) renews: bool,
}

impl Broker {
    /// Decides whether a request may be made, and does everything up to the moment at which it can be sent. `slots` are
    /// those of the request, as they will be filled; `unnamed` is what a host counts as that no destination names; `limit`
    /// is for fetching a token, if one is needed, and for connecting.
    ///
    /// Once this returned, the outcome is on the record however the request ends. It is not while this runs, so whoever
    /// may be dropped in the middle finishes it elsewhere (see `proxy/forward.rs`).
    pub(crate) async fn permit(
        &self,
        request: &UseRequest<'_>,
        slots: &[Slot],
        unnamed: Naming,
        limit: Duration,
    ) -> Result<(Permitted, PendingOutcome), Problem> {
        let deadline = Instant::now() + limit;
        self.permit_over(request, slots, unnamed, deadline, async |means: Means| {
            let limit = remaining(deadline);
            let connected = self.wire.connect(means.pool_key, request.target, means.naming, limit).await;
            connected.map_err(|error| {
                let mut problem = wire_problem(&error, request.target);
                problem.unsent = true;
                problem
            })
        })
        .await
    }

    /// The same over a way of one's own: `connect` is told what the decision says of it.
    pub(crate) async fn permit_over<C: Connected>(
        &self,
        request: &UseRequest<'_>,
        slots: &[Slot],
        unnamed: Naming,
        deadline: Instant,
        connect: impl AsyncFnOnce(Means) -> Result<C, Problem>,
    ) -> Result<(Permitted<C>, PendingOutcome), Problem> {
        let started = Instant::now();
        let prepared = self.prepared(request, deadline).await?;
        let means = Means {
            pool_key: PoolKey(prepared.pool_key),
            naming: if prepared.is_named { Naming::Named } else { unnamed },
            host_keys: prepared.host_keys.clone(),
        };
        // The flush of the intent and the way to the upstream do not need each other; both must be done before a value
        // is opened.
        let (recorded, connected) = tokio::join!(self.vault.record_use(prepared, request), connect(means));
        let recorded = recorded?;
        let connection = match connected {
            Ok(connection) => connection,
            Err(problem) => {
                PendingOutcome::new(&self.vault, recorded.into_intents(), started).end(Some(problem.code));
                return Err(problem);
            }
        };
        let recorded = self.decided_anew(recorded, request, deadline).await?;
        if !connection.fits(recorded.host_keys()) {
            let problem = host_key_mismatch(request.target);
            PendingOutcome::new(&self.vault, recorded.into_intents(), started).end(Some(problem.code));
            return Err(problem);
        }
        let rule = recorded.response();
        let (intents, opened) = self.vault.open_use(recorded).await;
        let mut outcome = PendingOutcome::new(&self.vault, intents, started);
        outcome.address = Some(connection.address());
        let opened = match opened {
            Ok(opened) => self.searched(&opened, slots).await.map(|index| (opened, index)),
            Err(problem) => Err(problem),
        };
        match opened {
            Ok((opened, index)) => Ok((Permitted { opened, index, rule, connection }, outcome)),
            Err(problem) => {
                outcome.end(Some(problem.code));
                Err(problem)
            }
        }
    }

    /// What the answer will be searched for: nothing is sent before every value of it is there.
    async fn searched(&self, opened: &Opened, slots: &[Slot]) -> Result<Searched, Problem> {
        let key = IndexKey::new(opened.scans.id(), slots);
        match self.indexes.find(&key) {
            // A signature is new each time, and is looked for like a value.
            _ if is_signed(slots) => Ok(Searched::ToBe(None, self.vault.open_scans(&opened.scans).await?)),
            Some(index) => Ok(Searched::Kept(index)),
            None => Ok(Searched::ToBe(Some(key), self.vault.open_scans(&opened.scans).await?)),
        }
    }

    /// The same for a tunnel that nobody looks into: on the record, and connected to a vetted address.
    pub(crate) async fn permit_tunnel(
        &self,
        request: &UseRequest<'_>,
        limit: Duration,
    ) -> Result<(TcpStream, PendingOutcome), Problem> {
        let started = Instant::now();
        let prepared = self.vault.prepare_use(request).await?;
        // Public hosts can be reached without us. A private one is perhaps reached through us alone: then a tunnel must not
        // be the way round what its destinations say of credentials and answers.
        let is_open = prepared.is_named && prepared.bears_a_tunnel;
        let naming = if is_open { Naming::Named } else { Naming::Other };
        let (recorded, connected) = tokio::join!(
            self.vault.record_use(prepared, request),
            self.wire.tunnel(request.target.host(), request.target.port(), naming, limit),
        );
        let mut outcome = PendingOutcome::new(&self.vault, recorded?.into_intents(), started);
        match connected {
            Ok(stream) => {
                outcome.address = stream.peer_addr().ok().map(|address| address.ip());
                Ok((stream, outcome))
            }
            Err(error) => {
                let problem = wire_problem(&error, request.target);
                outcome.end(Some(problem.code));
                Err(problem)
            }
        }
    }

    /// A use whose decision still stands now that the connection does. Connecting may take as long as the upstream
    /// likes, and a revocation that was acknowledged meanwhile counts.
    async fn decided_anew(
        &self,
        mut recorded: RecordedUse,
        request: &UseRequest<'_>,
        deadline: Instant,
    ) -> Result<RecordedUse, Problem> {
        while recorded.lacks_token() || !self.vault.is_current(&recorded).await? {
            let outcome = Outcome { code: Some(Code::VersionConflict), ..Outcome::default() };
            self.vault.finish_use(&recorded.into_intents(), &outcome, now());
            recorded = self.vault.record_use(self.prepared(request, deadline).await?, request).await?;
        }
        Ok(recorded)
    }
}

fn is_signed(slots: &[Slot]) -> bool {
    slots.iter().any(|slot| slot.place == Place::Signature)
}

impl<C> Permitted<C> {
    /// The index over what may come back of something that is not an HTTP request, in which these texts stand. Also
    /// whether a value that may come back is too short for it.
    pub(crate) fn search(self, broker: &Broker, texts: &[Marked]) -> (C, Opened, ScanSet, bool) {
        let Self { opened, index, connection, .. } = self;
        let index = match index {
            Searched::Kept(index) => index,
            Searched::ToBe(key, values) => {
                let index = build_index(&values, texts);
                if let Some(key) = key {
                    broker.indexes.keep(key, &index);
                }
                index
            }
        };
        (connection, opened, index.scan, index.unscrubbable)
    }
}

impl Permitted {
    /// Puts the values into their places, and the `body` of a client's if there is none in the draft, sends, and builds the
    /// index over what may come back while the upstream works, if there is none yet.
    pub(crate) async fn send(
        self,
        broker: &Broker,
        slots: &[Slot],
        draft: &Draft,
        body: Option<OutboundBody>,
        limit: Duration,
        outcome: &mut PendingOutcome,
    ) -> Result<Sent, Problem> {
        let Self { opened, index, mut rule, connection } = self;
        let mut injected = inject(slots, draft, &opened)?;
        if let (Some(body), None) = (body, &draft.body) {
            injected.request.body = body;
        }
        let texts = injected.sent;
        let sending = connection.send(injected.request, limit);
        let (received, index) = match index {
            Searched::Kept(index) => (sending.await, index),
            Searched::ToBe(key, values) => {
                let (received, index) = tokio::join!(sending, async { build_index(&values, &texts) });
                if let Some(key) = key {
                    broker.indexes.keep(key, &index);
                }
                (received, index)
            }
        };
        // Towards a destination that may send it back.
        let is_weak = opened.values.iter().zip(&index.weak).any(|(value, is_weak)| value.echoes && *is_weak);
        let unscrubbable = index.unscrubbable || is_weak;
        // The values have left; what is kept of them is the index.
        let (Opened { coverage, tokens, .. }, Index { scan, .. }) = (opened, index);
        drop(texts);
        let received = received.map_err(|error| wire_problem(&error, &draft.target))?;
        outcome.status = Some(received.status());
        outcome.address = Some(received.address().ip());
        let shows_all = !unscrubbable && rule == ResponseRule::Scrub;
        if unscrubbable {
            rule = rule.max(ResponseRule::StatusOnly);
        }
        let renews = broker.vault.heard_of_tokens(&tokens, received.status(), now());
        Ok(Sent { received, scan, coverage, rule, shows_all, renews })
    }
}

/// Bytes of values from which building the index is worth telling the runtime that this thread is busy.
const INDEX_INLINE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of values that are looked for in one answer; with more, nothing but the status is shown.
const INDEX_BYTES_MAX: usize = 256 * 1024;

fn build_index(values: &[ScannedValue], sent: &[Marked]) -> Index {
    let hidden = values.iter().flat_map(|scanned| scanned.fields.hidden(scanned.kind));
    let bytes: usize = hidden.map(|(_, text)| text.len()).sum();
    let (scan, unscrubbable) = if bytes > INDEX_BYTES_MAX {
        (ScanSet::empty(), true)
    } else if bytes > INDEX_INLINE_BYTES_MAX {
        tokio::task::block_in_place(|| scan_set(values, sent))
    } else {
        scan_set(values, sent)
    };
    Index { scan, unscrubbable, weak: weak(sent) }
}

/// The outcome of a request whose intent is on the record. It goes there too when this is dropped, whatever ended the
/// request: a caller who hangs up, an upstream that never answers, a lease that is cut.
pub(crate) struct PendingOutcome {
    vault: Vault,
    /// None once somebody else puts the outcome on the record.
    intents: Option<Intents>,
    started: Instant,
    outcome: Outcome,
}

impl PendingOutcome {
    pub(crate) fn new(vault: &Vault, intents: Intents, started: Instant) -> Self {
        // What nobody ends was cut off.
        let outcome = Outcome { code: Some(Code::Interrupted), ..Outcome::default() };
        Self { vault: vault.clone(), intents: Some(intents), started, outcome }
    }

    /// How it ended: with a code, or well.
    pub(crate) fn end(mut self, code: Option<Code>) {
        self.outcome.code = code;
    }

    /// For whoever puts it on the record together with something else: that it ended well.
    pub(crate) fn settle(mut self) -> (Option<Intents>, Outcome) {
        self.outcome.code = None;
        self.outcome.duration_us = Some(self.micros());
        (self.intents.take(), std::mem::take(&mut self.outcome))
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Deref for PendingOutcome {
    type Target = Outcome;

    fn deref(&self) -> &Outcome {
        &self.outcome
    }
}

impl DerefMut for PendingOutcome {
    fn deref_mut(&mut self) -> &mut Outcome {
        &mut self.outcome
    }
}

impl Drop for PendingOutcome {
    fn drop(&mut self) {
        let Some(intents) = self.intents.take() else { return };
        self.outcome.duration_us = Some(self.micros());
        self.vault.finish_use(&intents, &self.outcome, now());
    }
}

/// The time, for what is recorded.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
