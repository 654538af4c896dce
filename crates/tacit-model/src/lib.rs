//! The nouns of Tacit.
//!
//! Names, ids, secret types and their fields, destinations, rights and roles, automations: what they are, how
//! they are written, and which of them are valid. Parsing happens here, at the edge, so that everything further in
//! can trust its types. No I/O, no clock, no randomness, no authorization: who may do what is `tacit-vault`'s.
#![forbid(unsafe_code)]

pub mod automation;
pub mod destination;
pub mod field;
pub mod host_key;
pub mod id;
pub mod lease;
pub mod limits;
pub mod name;
pub mod place;
pub mod problem;
pub mod retry;
pub mod right;
pub mod scope;
pub mod sftp;
mod status;
pub mod storage;
pub mod target;
pub mod time;
pub mod trigger;

pub use automation::{Automation, HttpStep, Issue, OnError, Step, StepKind};
pub use destination::{Destination, Destinations};
pub use field::{FieldError, Fields, SecretType, Visibility};
pub use host_key::HostKey;
pub use id::*;
pub use lease::OtherHosts;
pub use name::{EnvironmentName, NameError, SecretName, WorkspaceName};
pub use place::Place;
pub use problem::{Code, Problem};
pub use retry::Retry;
pub use right::{Right, Rights, Role, RoleRef};
pub use scope::Scope;
pub use sftp::{SftpAction, SftpStep};
pub use storage::{StorageAction, StorageStep};
pub use target::{Host, RequestPath, Scheme, Target, TargetError};
pub use time::Timestamp;
pub use trigger::Trigger;
