//! The Rust SDK of Tacit.
//!
//! [`Client`] is one address and one token; [`Client::workspace`] narrows it to a workspace, where secrets, variables,
//! automations, runs, accounts and events are. Every method is one request, typed by `tacit-api`.
//!
//! ```no_run
//! # async fn example() -> Result<(), tacit_client::Error> {
//! use tacit_client::{Client, api::SendRequest};
//!
//! let client = Client::new("http://127.0.0.1:8200", "tct_…")?;
//! let mut request = SendRequest::new("test", "GET", "https://api.stripe.com/v1/charges");
//! request.auth = Some(tacit_client::api::RequestAuth { secret: "STRIPE_KEY".into() });
//! let answer = client.workspace("default").send(&request).await?;
//! assert_eq!(answer.status, 200);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod account;
mod agent;
mod automation;
mod deployment;
mod error;
mod event;
mod grant;
mod http;
mod lease;
mod page;
mod request;
mod run;
mod secret;
mod session;
mod trigger;
mod variable;
mod workspace;

pub use automation::DefinitionFormat;
pub use error::Error;
pub use http::{Client, Sending, Transport};
pub use page::every_page;
pub use tacit_api as api;
pub use workspace::InWorkspace;
