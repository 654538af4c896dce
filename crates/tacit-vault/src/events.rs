//! The record: making events, refusing on the record, reading it back.

use tacit_audit::{Code as RecordedCode, Detail, Event, Object, ObjectKind, Outcome, Verb};
use tacit_model::{EventId, Problem, Right, Timestamp};
use tacit_store::{Change, events as rows};

use crate::{Caller, Stop, Vault, access::Access, authorize::require, new_id, settle};

/// What a list of events may be narrowed by.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Such as `user:owner`.
    pub actor: Option<String>,
    /// Such as `secret.use`.
    pub verb: Option<String>,
    /// Such as `secret:STRIPE_KEY`, or a name alone.
    pub object: Option<String>,
    /// Such as `denied`.
    pub outcome: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Before this sequence number.
    pub before: Option<i64>,
    /// Rows at most.
    pub limit: usize,
}

/// An event with its place in the record.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    /// Its place, from 0.
    pub seq: i64,
    /// The event.
    pub event: Event,
    /// The bytes that were hashed.
    pub bytes: Vec<u8>,
    /// Why, as whoever did it said. Beside the record, and scrubbed.
    pub reason: Option<String>,
}

impl Vault {
    /// An event of the caller's, of this moment.
    pub(crate) fn event(
        &self,
        access: &Access,
        verb: Verb,
        object: Object,
        outcome: Outcome,
        detail: Detail,
    ) -> Event {
        Event {
            id: new_id!(EventId, access.now),
            at: access.now,
            workspace: access.view.workspace.id,
            actor: access.principal.actor.clone(),
            on_behalf_of: access.principal.on_behalf_of.clone(),
            verb,
            object,
            outcome,
            environment: None,
            detail: Detail {
                request_id: Some(access.request_id),
                policy_revision: Some(access.view.revision.unsigned_abs()),
                ..detail
            },
        }
    }

    /// An event of Tacit's own.
    pub(crate) fn system_event(
        &self,
        workspace: tacit_model::WorkspaceId,
        now: Timestamp,
        verb: Verb,
        object: Object,
    ) -> Event {
        Event {
            id: new_id!(EventId, now),
            at: now,
            workspace,
            actor: tacit_audit::Actor::system(),
            on_behalf_of: None,
            verb,
            object,
            outcome: Outcome::Succeeded,
            environment: None,
            detail: Detail::default(),
        }
    }

    /// Puts a refusal on the record and hands it back. If it cannot be recorded, that is the answer instead.
    pub(crate) async fn refuse(&self, access: &Access, verb: Verb, object: Object, problem: Problem) -> Stop {
        let event = self.event(access, verb, object, Outcome::Allowed, Detail::default());
        self.refuse_event(access, event, problem).await
    }

    /// The same for what may have been stopped by something else than a refusal.
    pub(crate) async fn refuse_stopped(
        &self,
        access: &Access,
        verb: Verb,
        object: Object,
        stop: Stop,
    ) -> Stop {
        match stop {
            Stop::Problem(problem) if problem.code == tacit_model::Code::Forbidden => {
                self.refuse(access, verb, object, problem).await
            }
            other => other,
        }
    }

    /// The same for an event that was prepared already.
    pub(crate) async fn refuse_event(&self, access: &Access, mut event: Event, problem: Problem) -> Stop {
        event.outcome = Outcome::Denied(RecordedCode::new(problem.code.as_str()));
        match self.0.store.write(Change::new(access.view.workspace.id).record(&event)).await {
            Ok(_) => problem.into(),
            Err(error) => Problem::audit_unavailable(error).into(),
        }
    }

    /// Events, newest first, and the sequence number before which the next page begins.
    ///
    /// # Errors
    /// `forbidden` without `audit.read`.
    pub async fn list_events(
        &self,
        caller: &Caller,
        filter: &EventFilter,
    ) -> Result<(Vec<RecordedEvent>, Option<i64>), Problem> {
        settle!(self, caller, |access| self.list_events_once(&access, filter))
    }

    async fn list_events_once(
        &self,
        access: &Access,
        filter: &EventFilter,
    ) -> Result<(Vec<RecordedEvent>, Option<i64>), Stop> {
        if let Err(problem) = require(access.principal.rights, Right::AuditRead) {
            let workspace = &access.view.workspace;
            let object =
                Object::new(ObjectKind::Workspace, *workspace.id.as_bytes(), workspace.name.as_str());
            return Err(self.refuse(access, Verb::AuditExport, object, problem).await);
        }
        let stored = rows::Filter {
            actor: filter.actor.clone(),
            verb: filter.verb.clone(),
            object: filter
                .object
                .as_ref()
                .map(|object| if object.contains(':') { object.clone() } else { format!("secret:{object}") }),
            outcome: filter.outcome.clone(),
            since: filter.since,
            until: filter.until,
            before: filter.before,
            limit: filter.limit,
        };
        let found = self.0.store.events(access.view.workspace.id, &stored).await?;
        let next = if found.len() == filter.limit { found.last().map(|event| event.seq) } else { None };
        let mut events = Vec::with_capacity(found.len());
        for stored in found {
            let event = Event::decode(&stored.bytes).map_err(Problem::internal)?;
            let reason = match &event.detail.reason_id {
                Some(id) => self.0.store.reason(access.view.workspace.id, id).await?,
                None => None,
            };
            events.push(RecordedEvent { seq: stored.seq, event, bytes: stored.bytes, reason });
        }
        Ok((events, next))
    }
}
