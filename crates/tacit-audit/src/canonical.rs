//! An event's canonical bytes: the one encoding that is stored and hashed (`docs/record-format.md`).

use std::net::IpAddr;

use tacit_model::{EventId, LeaseId, Place, Right, Role, RunId, SecretId, Timestamp, WorkspaceId};

use crate::{
    cbor::{Malformed, Reader, Writer},
    event::{Actor, ActorKind, Detail, Event, Object, ObjectKind, Outcome},
    text::{Code, Label, MethodText, RuleText, StepText, TargetText, parse_place, place_parts},
    verb::Verb,
};

/// The version of the format that this crate writes and reads, the first entry of every event.
pub const FORMAT_VERSION: u64 = 1;

/// The keys of the map. A number once given is never given again, not even after its field is gone.
mod key {
    pub(super) const FORMAT: u64 = 0;
    pub(super) const ID: u64 = 1;
    pub(super) const AT: u64 = 2;
    pub(super) const WORKSPACE: u64 = 3;
    pub(super) const ACTOR: u64 = 4;
    pub(super) const ON_BEHALF_OF: u64 = 5;
    pub(super) const VERB: u64 = 6;
    pub(super) const OBJECT: u64 = 7;
    pub(super) const OUTCOME: u64 = 8;
    pub(super) const CODE: u64 = 9;
    pub(super) const ENVIRONMENT: u64 = 10;
    pub(super) const VERSION: u64 = 11;
    pub(super) const TARGET: u64 = 12;
    pub(super) const METHOD: u64 = 13;
    pub(super) const RULE: u64 = 14;
    pub(super) const PLACES: u64 = 15;
    pub(super) const POLICY_REVISION: u64 = 16;
    pub(super) const RUN: u64 = 17;
    pub(super) const STEP: u64 = 18;
    pub(super) const INTENT: u64 = 19;
    pub(super) const STATUS: u64 = 20;
    pub(super) const ADDRESS: u64 = 21;
    pub(super) const BODY_BYTES: u64 = 22;
    pub(super) const FINDINGS: u64 = 23;
    pub(super) const DURATION_US: u64 = 24;
    pub(super) const ROLE: u64 = 25;
    pub(super) const RIGHT: u64 = 26;
    pub(super) const REASON_ID: u64 = 27;
    pub(super) const REQUEST_ID: u64 = 28;
    pub(super) const SECRETS: u64 = 29;
    pub(super) const DEFINITION_HASH: u64 = 30;
    pub(super) const LEASE: u64 = 31;
}

/// The bytes are not an event. What they hold is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the bytes end within the event")]
    Truncated,
    /// No map with the format's number as its first entry.
    #[error("the bytes are not an event")]
    NotAnEvent,
    /// A version of the format that this program does not know.
    #[error("the event has format {0}, and this program reads format {FORMAT_VERSION}")]
    Format(u64),
    /// A field that every event has is not there, or not in its place.
    #[error("the event has no {0}")]
    Missing(&'static str),
    /// A field that is not what it must be.
    #[error("the event's {0} is malformed")]
    Invalid(&'static str),
    /// An entry that this program does not know, or one out of order.
    #[error("the event has an unknown or misplaced entry")]
    Unknown,
    /// An event, but not written in the one way it may be.
    #[error("the bytes are not the canonical ones of this event")]
    NotCanonical,
}

impl Event {
    /// The canonical bytes: what is stored, and what [`leaf_hash`](crate::leaf_hash) is made of.
    ///
    /// Total: every event that can be built has bytes, and they read back. One allocation.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(self.bytes_estimate());
        w.key(key::FORMAT);
        w.uint(FORMAT_VERSION);
        w.key(key::ID);
        w.bytes(self.id.as_bytes());
        w.key(key::AT);
        w.int(self.at.as_millis());
        w.key(key::WORKSPACE);
        w.bytes(self.workspace.as_bytes());
        w.key(key::ACTOR);
        write_named(&mut w, self.actor.kind.number(), &self.actor.id, &self.actor.name);
        if let Some(actor) = &self.on_behalf_of {
            w.key(key::ON_BEHALF_OF);
            write_named(&mut w, actor.kind.number(), &actor.id, &actor.name);
        }
        w.key(key::VERB);
        w.uint(self.verb.number());
        w.key(key::OBJECT);
        write_named(&mut w, self.object.kind.number(), &self.object.id, &self.object.name);
        w.key(key::OUTCOME);
        w.uint(self.outcome.number());
        write_text(&mut w, key::CODE, self.outcome.code().map(Code::as_str));
        write_text(&mut w, key::ENVIRONMENT, self.environment.as_ref().map(|name| name.as_str()));
        write_detail(&mut w, &self.detail);
        w.finish()
    }

    /// The event of which these are the canonical bytes.
    ///
    /// Anything that does not encode to exactly these bytes again is refused: other spellings of numbers, entries out
    /// of order or twice, unknown entries, bytes after the end. So one event has one hash.
    pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut entries = Entries::open(bytes)?;
        let event = Event {
            id: entries.required(key::ID, "id", |r| Ok(EventId::from_bytes(fixed(r)?)))?,
            at: entries.required(key::AT, "time", |r| Ok(Timestamp::from_millis(r.int()?)))?,
            workspace: entries
                .required(key::WORKSPACE, "workspace", |r| Ok(WorkspaceId::from_bytes(fixed(r)?)))?,
            actor: entries.required(key::ACTOR, "actor", read_actor)?,
            on_behalf_of: entries.optional(key::ON_BEHALF_OF, "on_behalf_of", read_actor)?,
            verb: entries.required(key::VERB, "verb", |r| valid(Verb::from_number(r.uint()?)))?,
            object: entries.required(key::OBJECT, "object", read_object)?,
            outcome: read_outcome(&mut entries)?,
            environment: entries
                .optional(key::ENVIRONMENT, "environment", |r| valid(r.text()?.parse().ok()))?,
            detail: read_detail(&mut entries)?,
        };
        entries.close()?;
        // The reader above is strict, but the rule is this comparison: nothing it overlooks can become a second spelling.
        if event.encode() != bytes {
            return Err(DecodeError::NotCanonical);
        }
        Ok(event)
    }

    /// Enough for nearly every event, so that the buffer does not grow.
    fn bytes_estimate(&self) -> usize {
        let names = self.actor.name.as_str().len() + self.object.name.as_str().len();
        let behalf = self.on_behalf_of.as_ref().map_or(0, |actor| 24 + actor.name.as_str().len());
        384 + names + behalf + 48 * self.detail.places.len() + 17 * self.detail.secrets.len()
    }
}

fn write_named(w: &mut Writer, kind: u64, id: &[u8; 16], name: &Label) {
    w.array(3);
    w.uint(kind);
    w.bytes(id);
    w.text(name.as_str());
}

fn write_text(w: &mut Writer, key: u64, text: Option<&str>) {
    if let Some(text) = text {
        w.key(key);
        w.text(text);
    }
}

fn write_uint(w: &mut Writer, key: u64, value: Option<u64>) {
    if let Some(value) = value {
        w.key(key);
        w.uint(value);
    }
}

fn write_bytes(w: &mut Writer, key: u64, bytes: Option<&[u8]>) {
    if let Some(bytes) = bytes {
        w.key(key);
        w.bytes(bytes);
    }
}

fn write_detail(w: &mut Writer, detail: &Detail) {
    // Taken apart without `..`, so that a field that is added and not written does not compile.
    let Detail {
        version,
        target,
        method,
        rule,
        places,
        policy_revision,
        run,
        step,
        intent,
        status,
        address,
        body_bytes,
        findings,
        duration_us,
        role,
        right,
        reason_id,
        request_id,
        secrets,
        definition_hash,
        lease,
    } = detail;
    write_uint(w, key::VERSION, *version);
    write_text(w, key::TARGET, target.as_ref().map(TargetText::as_str));
    write_text(w, key::METHOD, method.as_ref().map(MethodText::as_str));
    write_text(w, key::RULE, rule.as_ref().map(RuleText::as_str));
    if !places.is_empty() {
        w.key(key::PLACES);
        w.array(places.len());
        for place in places {
            let (kind, name) = place_parts(place);
            w.text_of_two(kind, &name);
        }
    }
    write_uint(w, key::POLICY_REVISION, *policy_revision);
    write_bytes(w, key::RUN, run.as_ref().map(|id| &id.as_bytes()[..]));
    write_text(w, key::STEP, step.as_ref().map(StepText::as_str));
    write_bytes(w, key::INTENT, intent.as_ref().map(|id| &id.as_bytes()[..]));
    write_uint(w, key::STATUS, status.map(u64::from));
    match address {
        Some(IpAddr::V4(ip)) => write_bytes(w, key::ADDRESS, Some(&ip.octets())),
        Some(IpAddr::V6(ip)) => write_bytes(w, key::ADDRESS, Some(&ip.octets())),
        None => {}
    }
    write_uint(w, key::BODY_BYTES, *body_bytes);
    write_uint(w, key::FINDINGS, *findings);
    write_uint(w, key::DURATION_US, *duration_us);
    write_text(w, key::ROLE, role.map(Role::as_str));
    write_text(w, key::RIGHT, right.map(Right::as_str));
    write_bytes(w, key::REASON_ID, reason_id.as_ref().map(|id| &id[..]));
    write_bytes(w, key::REQUEST_ID, request_id.as_ref().map(|id| &id[..]));
    if !secrets.is_empty() {
        w.key(key::SECRETS);
        w.array(secrets.len());
        for secret in secrets {
            w.bytes(secret.as_bytes());
        }
    }
    write_bytes(w, key::DEFINITION_HASH, definition_hash.as_ref().map(|hash| &hash[..]));
    write_bytes(w, key::LEASE, lease.as_ref().map(|id| &id.as_bytes()[..]));
}

/// The entries of the map, taken one after the other in ascending order.
struct Entries<'a> {
    reader: Reader<'a>,
    left: u64,
}

impl<'a> Entries<'a> {
    /// Reads the map's head and its first entry, the format.
    fn open(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let left = reader.map().map_err(not_an_event)?;
        let mut entries = Self { reader, left };
        match entries.optional(key::FORMAT, "format", |r| r.uint())? {
            Some(FORMAT_VERSION) => Ok(entries),
            Some(other) => Err(DecodeError::Format(other)),
            None => Err(DecodeError::NotAnEvent),
        }
    }

    fn optional<T>(
        &mut self,
        key: u64,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Option<T>, DecodeError> {
        if self.left == 0 || self.reader.peek_uint().map_err(unknown)? != key {
            return Ok(None);
        }
        self.left -= 1;
        let taken = self.reader.uint().and_then(|_| read(&mut self.reader));
        taken.map(Some).map_err(|error| match error {
            Malformed::Truncated => DecodeError::Truncated,
            Malformed::Item => DecodeError::Invalid(name),
        })
    }

    fn required<T>(
        &mut self,
        key: u64,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<T, DecodeError> {
        self.optional(key, name, read)?.ok_or(DecodeError::Missing(name))
    }

    fn close(self) -> Result<(), DecodeError> {
        if self.left > 0 {
            return Err(DecodeError::Unknown);
        }
        if self.reader.is_empty() { Ok(()) } else { Err(DecodeError::NotCanonical) }
    }
}

fn not_an_event(error: Malformed) -> DecodeError {
    match error {
        Malformed::Truncated => DecodeError::Truncated,
        Malformed::Item => DecodeError::NotAnEvent,
    }
}

fn unknown(error: Malformed) -> DecodeError {
    match error {
        Malformed::Truncated => DecodeError::Truncated,
        Malformed::Item => DecodeError::Unknown,
    }
}

fn valid<T>(value: Option<T>) -> Result<T, Malformed> {
    value.ok_or(Malformed::Item)
}

fn fixed<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], Malformed> {
    reader.bytes()?.try_into().map_err(|_| Malformed::Item)
}

fn read_named(reader: &mut Reader<'_>) -> Result<(u64, [u8; 16], Label), Malformed> {
    if reader.array()? != 3 {
        return Err(Malformed::Item);
    }
    Ok((reader.uint()?, fixed(reader)?, valid(Label::parse(reader.text()?))?))
}

fn read_actor(reader: &mut Reader<'_>) -> Result<Actor, Malformed> {
    let (kind, id, name) = read_named(reader)?;
    Ok(Actor { kind: valid(ActorKind::from_number(kind))?, id, name })
}

fn read_object(reader: &mut Reader<'_>) -> Result<Object, Malformed> {
    let (kind, id, name) = read_named(reader)?;
    Ok(Object { kind: valid(ObjectKind::from_number(kind))?, id, name })
}

/// The outcome and, only where it has one, its code.
fn read_outcome(entries: &mut Entries<'_>) -> Result<Outcome, DecodeError> {
    let number = entries.required(key::OUTCOME, "outcome", |r| r.uint())?;
    let code = entries.optional(key::CODE, "code", |r| valid(Code::parse(r.text()?)))?;
    match (number, code) {
        (1, None) => Ok(Outcome::Allowed),
        (2, Some(code)) => Ok(Outcome::Denied(code)),
        (3, None) => Ok(Outcome::Succeeded),
        (4, Some(code)) => Ok(Outcome::Failed(code)),
        _ => Err(DecodeError::Invalid("outcome")),
    }
}

fn read_detail(entries: &mut Entries<'_>) -> Result<Detail, DecodeError> {
    Ok(Detail {
        version: entries.optional(key::VERSION, "version", |r| r.uint())?,
        target: entries.optional(key::TARGET, "target", |r| valid(TargetText::parse(r.text()?)))?,
        method: entries.optional(key::METHOD, "method", |r| valid(MethodText::new(r.text()?)))?,
        rule: entries.optional(key::RULE, "rule", |r| valid(RuleText::parse(r.text()?)))?,
        places: entries.optional(key::PLACES, "places", |r| read_list(r, read_place))?.unwrap_or_default(),
        policy_revision: entries.optional(key::POLICY_REVISION, "policy_revision", |r| r.uint())?,
        run: entries.optional(key::RUN, "run", |r| Ok(RunId::from_bytes(fixed(r)?)))?,
        step: entries.optional(key::STEP, "step", |r| valid(StepText::new(r.text()?)))?,
        intent: entries.optional(key::INTENT, "intent", |r| Ok(EventId::from_bytes(fixed(r)?)))?,
        status: entries.optional(key::STATUS, "status", |r| valid(u16::try_from(r.uint()?).ok()))?,
        address: entries.optional(key::ADDRESS, "address", read_address)?,
        body_bytes: entries.optional(key::BODY_BYTES, "body_bytes", |r| r.uint())?,
        findings: entries.optional(key::FINDINGS, "findings", |r| r.uint())?,
        duration_us: entries.optional(key::DURATION_US, "duration_us", |r| r.uint())?,
        role: entries.optional(key::ROLE, "role", |r| valid(r.text()?.parse().ok()))?,
        right: entries.optional(key::RIGHT, "right", read_right)?,
        reason_id: entries.optional(key::REASON_ID, "reason_id", fixed)?,
        request_id: entries.optional(key::REQUEST_ID, "request_id", fixed)?,
        secrets: entries
            .optional(key::SECRETS, "secrets", |r| read_list(r, |r| Ok(SecretId::from_bytes(fixed(r)?))))?
            .unwrap_or_default(),
        definition_hash: entries.optional(key::DEFINITION_HASH, "definition_hash", fixed)?,
        lease: entries.optional(key::LEASE, "lease", |r| Ok(LeaseId::from_bytes(fixed(r)?)))?,
    })
}

/// A list that is there has something in it. It grows as items arrive, never by the length it claims.
fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let items = reader.array()?;
    if items == 0 {
        return Err(Malformed::Item);
    }
    (0..items).map(|_| read(reader)).collect()
}

fn read_place(reader: &mut Reader<'_>) -> Result<Place, Malformed> {
    valid(parse_place(reader.text()?))
}

fn read_address(reader: &mut Reader<'_>) -> Result<IpAddr, Malformed> {
    let bytes = reader.bytes()?;
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).map_err(|_| Malformed::Item)
}

fn read_right(reader: &mut Reader<'_>) -> Result<Right, Malformed> {
    let text = reader.text()?;
    valid(Right::ALL.iter().copied().find(|right| right.as_str() == text))
}
