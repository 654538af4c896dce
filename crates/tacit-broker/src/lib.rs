//! The one door out.
//!
//! Every request that may carry a value leaves through [`Broker::send`]: a step of an automation and a sealed request are
//! the same thing here. The page `docs/life-of-a-request.md` follows one, phase by phase.
//!
//! [`render`] turns a compiled step and its data into a [`render::Draft`], in which secrets are still names.
//! `tacit_vault` decides and opens. [`inject`] puts values into their places. [`wire`] resolves, vets, dials, sends, and
//! reads the answer through the scrubber. [`answer`] shapes what is left.
#![forbid(unsafe_code)]

mod answer;
mod inject;
pub mod render;
mod send;
pub mod wire;

pub use answer::Answer;
pub use send::{Broker, SendRequest};
