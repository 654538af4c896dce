//! The record: events, their canonical bytes, the Merkle tree. Pure.
#![forbid(unsafe_code)]

mod canonical;
mod cbor;
mod closed;
mod date;
mod event;
mod hex;
mod json;
mod merkle;
mod text;
mod verb;

pub use canonical::{DecodeError, FORMAT_VERSION};
pub use event::{Actor, ActorKind, Detail, Event, Object, ObjectKind, Outcome, UnknownActorKind, UnknownObjectKind};
pub use merkle::{Hash, leaf_hash, node_hash};
pub use text::{Code, Label, MethodText, RuleText, StepText, TargetText};
pub use verb::{UnknownVerb, Verb};
