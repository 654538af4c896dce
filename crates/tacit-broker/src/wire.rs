//! The wire: how bytes leave for an upstream and how its answer comes back.
//!
//! This half of the broker knows nothing of secrets, rights or policy. It takes a typed [`Target`](tacit_model::Target) and a request that
//! someone else was allowed to make, and keeps four promises about them:
//!
//! 1. **One destination.** Resolver, egress rules, dial, TLS name, `Host` header and pool key all take the same
//!    target; there is no second place that a host name could come from.
//! 2. **Vetted before dialled, verified before sent.** A name is resolved once, *every* answer must pass the
//!    [`EgressPolicy`], only those very addresses are dialled, and [`Wire::connect`] returns after the certificate was
//!    checked. So a caller can open a secret when it holds a [`Connection`] and not earlier.
//! 3. **Nothing is forwarded, everything is rebuilt.** The request head is made anew, the response is a fresh status,
//!    filtered headers and a decoded, scrubbed body.
//! 4. **Errors say nothing of the upstream's.** [`WireError`] is closed and carries no text, URL or header.
//!
//! Life of a request: [`Wire::connect`] takes a parked connection of the same [`PoolKey`] and target, joins one that
//! speaks HTTP/2, or dials one; [`Connection::send`] writes the request and waits for the head; [`Received::read`] decodes
//! and scrubs the body and returns it whole, [`Received::stream`] as it comes. After its end the connection is parked if
//! the upstream left it clean.
//!
//! | to find | look at |
//! |---|---|
//! | who gets which connection | `client`, `pool` |
//! | what is spoken on one | `link` |
//! | what a request looks like when it leaves | `request`, `body`, `headers` |
//! | what happens to an answer | `read`, `stream`, and below it `tail`, `decode`, `sieve` |
//!
//! Proxy variables of the environment are never read: nothing here asks for any.

mod body;
mod client;
mod decode;
mod egress;
mod error;
mod headers;
mod link;
mod pool;
mod read;
mod request;
mod resolve;
mod sieve;
mod stream;
mod tail;
mod tls;
mod zstd;

pub use body::{OutboundBody, OutboundStream};
pub use client::{Connection, Wire, WireConfig};
pub use egress::{EgressPolicy, Naming};
pub use error::{Blocked, Phase, RequestFault, TlsFault, WireError, WireSetupError};
pub use pool::PoolKey;
pub use read::{ReadLimits, Received, Scrubbed};
pub use request::OutboundRequest;
pub(crate) use stream::is_container;
pub use stream::{ScrubbedStream, StreamLimits};
pub use tacit_model::destination::ResponseRule;
