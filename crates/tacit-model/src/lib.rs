//! The nouns of Tacit.
//!
//! Names, ids, secret types and their fields, destinations, rights and roles, automations: what they are, how
//! they are written, and which of them are valid. Parsing happens here, at the edge, so that everything further in
//! can trust its types. No I/O, no clock, no randomness, no authorization: who may do what is `tacit-vault`'s.
#![forbid(unsafe_code)]

pub mod automation;
pub mod destination;
pub mod field;
pub mod id;
pub mod lease;
pub mod limits;
pub mod name;
pub mod place;
pub mod problem;
pub mod right;
pub mod scope;
mod status;
pub mod target;
pub mod time;
pub mod trigger;

pub use automation::{Automation, HttpStep, Issue, Step};
pub use destination::{Destination, Destinations};
pub use field::{FieldError, Fields, SecretType, Visibility};
pub use id::*;
pub use lease::OtherHosts;
pub use name::{EnvironmentName, NameError, SecretName, WorkspaceName};
pub use place::Place;
pub use problem::{Code, Problem};
pub use right::{Right, Rights, Role, RoleRef};
pub use scope::Scope;
pub use target::{Host, RequestPath, Scheme, Target, TargetError};
pub use time::Timestamp;
pub use trigger::Trigger;
