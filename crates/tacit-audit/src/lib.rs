//! The record: events, their canonical bytes, the Merkle tree. Pure.
//!
//! | to do | use |
//! |---|---|
//! | say what happened | [`Event`], [`Actor`], [`Object`], [`Verb`], [`Outcome`], [`Detail`] |
//! | store and hash it | [`Event::encode`], [`leaf_hash`], [`Event::decode`] |
//! | show it | `Event` implements `serde::Serialize`: flat JSON, never hashed |
//! | grow the tree | [`Frontier`] |
//! | prove something to someone | [`inclusion_proof`], [`consistency_proof`] and their `verify_…` |
//! | pin the tree outside the database | [`Checkpoint`], [`Signer`], [`Verifier`] |
//! | check a whole record | [`verify_log`], [`LogVerifier`] |
//!
//! The bytes are specified in `docs/record-format.md`; the vectors in `tests/vectors` belong to that document. Nothing
//! here reads a clock, draws a random number, opens a file or knows who may do what. When an event must be durable, and
//! where checkpoints are kept, is for the crates above.
//!
//! # Why an event cannot hold a secret's value
//!
//! Systems that record requests and then redact them have leaked through every gap in the redaction: a body that was
//! bytes instead of text, an error that quoted its input. Here is no redaction, because there is nothing to redact:
//!
//! - **The set of fields is closed.** [`Event`] and [`Detail`] are plain structs: no map, no `extra`, no message, no
//!   body, no header, no query, no path, no hash or HMAC or length of a value. A field more is a change to this crate,
//!   its format document and a test that lists the fields by name.
//! - **No field takes text as it comes.** Text is one of the types [`Label`], [`Code`], [`TargetText`], [`MethodText`],
//!   [`RuleText`], [`StepText`] and those of `tacit-model`, whose fields are private. A code must be a `&'static str`.
//!   Target and rule are made from parsed policy types. Method, step, role and right have closed grammars. Only a label
//!   and a place's name are what people chose to call things, and both are short and cleaned.
//! - **The value's type is unknown here.** This crate does not depend on the one that holds values. That type has no
//!   `Display`, `Serialize`, `AsRef` or conversion into any type above; whoever wants its text in an event has to
//!   take it out through its one loud exit first and then call it a name.
//! - **Sizes are of what was released.** [`Detail::body_bytes`] counts after scrubbing, when every hit has become a
//!   marker of constant length.
//!
//! There is nowhere to put a body:
//!
//! ```compile_fail
//! let detail = tacit_audit::Detail { body: Some("…".to_owned()), ..Default::default() };
//! ```
//!
//! nor a text that was made while running, neither as a code
//!
//! ```compile_fail
//! let answer: String = std::env::args().collect();
//! let outcome = tacit_audit::Outcome::Failed(tacit_audit::Code::new(&answer));
//! ```
//!
//! nor as a target or a rule.
//!
//! ```compile_fail
//! let detail = tacit_audit::Detail { target: Some("https://x.test/?key=…".into()), ..Default::default() };
//! ```
#![forbid(unsafe_code)]

mod canonical;
mod cbor;
mod checkpoint;
mod closed;
mod date;
mod event;
mod hex;
mod json;
mod merkle;
mod text;
mod verb;
mod verify;

pub use canonical::{DecodeError, FORMAT_VERSION};
pub use checkpoint::{Checkpoint, CheckpointError, NOTE_BYTES_MAX, ORIGIN_BYTES_MAX, Signer, Verifier};
pub use event::{
    Actor, ActorKind, Detail, Event, Object, ObjectKind, Outcome, UnknownActorKind, UnknownObjectKind,
};
pub use merkle::{
    Frontier, FrontierError, Hash, consistency_proof, inclusion_proof, leaf_hash, node_hash, tree_root,
    verify_consistency, verify_inclusion,
};
pub use text::{
    CODE_BYTES_MAX, Code, LABEL_BYTES_MAX, Label, METHOD_BYTES_MAX, MethodText, PLACE_NAME_BYTES_MAX,
    RULE_BYTES_MAX, RuleText, STEP_BYTES_MAX, StepText, TargetText,
};
pub use verb::{UnknownVerb, Verb};
pub use verify::{LogError, LogFault, LogReport, LogVerifier, verify_log};

/// The front page's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
