//! What the fuzz targets look at, and with what.
//!
//! Some modules of the broker are compiled into this crate from their own files. Depending on the broker would mean building the
//! database and the crypto library for the fuzzer as well, for minutes.

#[path = "../../crates/tacit-broker/src/proxy"]
pub mod proxy {
    pub mod authority;
    pub mod head;
}

pub mod by_hyper;
pub mod pieces;
pub mod sftp;
