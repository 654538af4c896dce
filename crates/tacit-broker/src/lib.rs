//! The one door out.
//!
//! Every request that may carry a value is a [`render::Draft`] first, in which secrets are still slots: a step of an
//! automation and a sealed request are rendered to one ([`render`]), a request of a program that holds placeholders is
//! found to be one ([`proxy`]). The page `docs/life-of-a-request.md` follows them, phase by phase.
//!
//! [`permit`] is the one way on from there: `tacit_vault` decides, records and opens, [`inject`] puts values into their
//! places, [`wire`] resolves, vets, dials and sends. A sealed request's answer is read whole and shaped ([`send`],
//! [`answer`]), a proxied one's streams; both come through the scrubber.
#![forbid(unsafe_code)]

mod answer;
mod faults;
mod indexes;
mod inject;
mod names;
mod permit;
pub mod proxy;
pub mod render;
mod send;
mod sftp;
mod signature;
mod storage;
mod tokens;
pub mod wire;

pub use answer::{Answer, Kept};
pub use send::{Broker, SendRequest};
pub use sftp::SftpRequest;
pub use storage::StorageRequest;
