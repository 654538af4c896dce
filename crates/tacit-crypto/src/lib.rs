//! Keys behind handles, sealed records, tokens. Pure but for randomness.
//!
//! The bytes are specified in `docs/crypto-format.md`; the vectors in
//! `tests/vectors` belong to that document. This crate knows nothing of
//! permissions, rows or files: it is told a key and a place, and it opens
//! what was sealed for exactly that place.
//!
//! | to do | use |
//! |---|---|
//! | hold a value | [`SecretValue`] |
//! | hold a key | [`RootKey`], [`KeyHandle`] |
//! | store a value | [`seal`], [`open`], [`reseal`], [`generation_of`] |
//! | store a key | [`wrap_key`], [`unwrap_key`] |
//! | prove the root key is the right one | [`key_check_seal`], [`key_check_verify`] |
//! | hand out and check bearer tokens | [`token`] |
//! | keep and check passwords and one-time codes | [`password`], [`totp`] |
//! | hand out and find what stands for a value | [`placeholder`] |
//! | keep keys out of dumps | [`harden_process`] |
//!
//! There is no parameter for a nonce or a salt anywhere.

#![deny(unsafe_code)]

mod envelope;
mod error;
mod hardening;
mod hash;
mod key;
mod key_check;
mod locked;
mod padding;
pub mod password;
pub mod placeholder;
mod private_key;
mod random;
mod record;
mod root;
pub mod token;
pub mod totp;
mod value;
mod wrap;

#[cfg(test)]
mod vectors;

pub use error::{CryptoError, OpenError, ResealError, RootKeyError};
pub use hardening::{HardenReport, harden_process};
pub use hash::{ct_eq, fingerprint, policy_hash, sha256};
pub use key::KeyHandle;
pub use key_check::{key_check_seal, key_check_verify};
pub use padding::{PLAINTEXT_BYTES_MAX, PLAINTEXT_OVERHEAD_BYTES_MAX, VALUE_BYTES_MAX};
pub use private_key::{PrivateKeyError, check_private_key};
pub use random::random_bytes;
pub use record::{
    Place, Purpose, RECORD_BYTES_MAX, RECORD_BYTES_MIN, RecordContext, generation_of, open, reseal, seal,
};
pub use root::RootKey;
pub use value::SecretValue;
pub use wrap::{WRAPPED_KEY_BYTES, WrapContext, unwrap_key, wrap_key};

/// The example on the front page is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct FrontPage;
