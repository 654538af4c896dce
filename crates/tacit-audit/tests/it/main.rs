//! The record from outside: what others store, verify and read.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod events;
mod log;
mod sample;
mod speed;
mod tree;
mod vectors;

/// Bytes as lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The inverse of [`hex`].
fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A hash from hex.
fn hash(text: &str) -> tacit_audit::Hash {
    unhex(text).try_into().unwrap()
}
