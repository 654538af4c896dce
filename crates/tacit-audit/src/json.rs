//! An event as the API and the command line show it: one flat JSON object. Never hashed, never read back.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use crate::{date::Rfc3339, event::Event, hex::Hex, text::place_parts};

/// Prints through `Display`.
struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The places as they are recorded.
struct Places<'a>(&'a [tacit_model::Place]);

impl Serialize for Places<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for place in self.0 {
            let (kind, name) = place_parts(place);
            list.serialize_element(&Shown(format_args!("{kind}{name}")))?;
        }
        list.end()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("at", &Shown(Rfc3339(self.at)))?;
        map.serialize_entry("actor", &Shown(&self.actor))?;
        optional(&mut map, "on_behalf_of", self.on_behalf_of.as_ref().map(Shown))?;
        map.serialize_entry("verb", self.verb.as_str())?;
        map.serialize_entry("object", &Shown(&self.object))?;
        map.serialize_entry("outcome", self.outcome.as_str())?;
        optional(&mut map, "code", self.outcome.code())?;
        optional(&mut map, "environment", self.environment.as_ref())?;
        // A name can be given to something else later; the ids say which thing it was.
        map.serialize_entry("actor_id", &self.actor.printed_id())?;
        optional(&mut map, "on_behalf_of_id", self.on_behalf_of.as_ref().map(|actor| actor.printed_id()))?;
        map.serialize_entry("object_id", &self.object.printed_id())?;
        self.serialize_detail(&mut map)?;
        map.end()
    }
}

impl Event {
    fn serialize_detail<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let detail = &self.detail;
        optional(map, "version", detail.version)?;
        optional(map, "target", detail.target.as_ref())?;
        optional(map, "method", detail.method.as_ref())?;
        optional(map, "rule", detail.rule.as_ref())?;
        optional(map, "places", Some(Places(&detail.places)).filter(|places| !places.0.is_empty()))?;
        optional(map, "policy_revision", detail.policy_revision)?;
        optional(map, "run", detail.run)?;
        optional(map, "step", detail.step.as_ref())?;
        optional(map, "intent", detail.intent)?;
        optional(map, "status", detail.status)?;
        optional(map, "address", detail.address.map(Shown))?;
        optional(map, "body_bytes", detail.body_bytes)?;
        optional(map, "findings", detail.findings)?;
        optional(map, "duration_us", detail.duration_us)?;
        optional(map, "role", detail.role.map(|role| role.as_str()))?;
        optional(map, "right", detail.right.map(|right| right.as_str()))?;
        optional(map, "reason_id", detail.reason_id.as_ref().map(|id| Shown(Hex(id))))?;
        optional(map, "request_id", detail.request_id.as_ref().map(|id| Shown(Hex(id))))?;
        optional(map, "secrets", Some(&detail.secrets).filter(|secrets| !secrets.is_empty()))?;
        optional(map, "definition_hash", detail.definition_hash.as_ref().map(|hash| Shown(Hex(hash))))?;
        optional(map, "lease", detail.lease)
    }
}

fn optional<M: SerializeMap>(map: &mut M, key: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(key, &value),
        None => Ok(()),
    }
}
