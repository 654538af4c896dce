#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod agent;
mod codes;
mod destination;
mod http;
mod limit;
mod lines;
mod protocol;
mod refusal;
mod tools;

pub use agent::{Session, Settings};
pub use http::{Sessions, Turned, Visitor};
pub use protocol::{Answer, serve_stdio};
pub(crate) use refusal::Refusal;
