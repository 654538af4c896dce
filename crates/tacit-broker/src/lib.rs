//! The one door out: destinations, injection, egress rules, response scrubbing.
#![forbid(unsafe_code)]

pub mod wire;
