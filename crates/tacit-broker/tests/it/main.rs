//! The broker against servers that mean harm. Everything runs on loopback.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod wire;
mod wire_body;
mod wire_dns;
mod wire_egress;
mod wire_http2;
mod wire_http2_raw;
mod wire_pool;
mod wire_response;
mod wire_stream;
mod wire_tls;
mod wire_upload;
