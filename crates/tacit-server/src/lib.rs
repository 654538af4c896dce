//! Routes, middleware, metrics; puts everything together.
//!
//! Every route is on one screen in [`router`]; each handler parses, calls one use case and maps what comes back. There
//! is no SQL here, no permission logic and no cryptography.
#![forbid(unsafe_code)]

mod app;
mod definition;
mod extract;
mod idempotency;
mod listen;
mod mcp;
mod observe;
mod precondition;
mod problem;
mod root_key;
mod router;
mod routes;
mod start;
mod time;
mod yaml;

pub use router::openapi_json;
pub use start::{
    InitOptions, Initialised, Recovered, RootKeySource, ServeOptions, StartError, VerifiedRecord, init,
    recover, serve, verify_record,
};
