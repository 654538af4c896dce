//! Whatever an SFTP server says is a reply or none, and nothing in a reply is longer than what was said. A conversation with
//! it ends, well or broken, and never with a panic.
//!
//! The input is what the server sends behind its version: packets with their lengths.
#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use tacit_fuzz::sftp;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: LazyCell<Runtime> =
        LazyCell::new(|| Builder::new_current_thread().build().expect("a runtime without drivers needs nothing"));
}

fuzz_target!(|input: &[u8]| {
    // A packet begins behind its length.
    for packet in [input, input.get(4..).unwrap_or_default()] {
        assert!(sftp::held(packet).is_none_or(|held| held <= packet.len()));
    }
    RUNTIME.with(|runtime| runtime.block_on(sftp::converse(input)));
});
