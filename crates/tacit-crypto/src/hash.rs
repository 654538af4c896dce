//! Hashes with a label each, so that one kind can never be taken for another,
//! and the one comparison for secret bytes.

use crate::{SecretValue, envelope, key::KeyHandle};
use aws_lc_rs::digest;
use subtle::ConstantTimeEq;

/// SHA-256 (FIPS 180-4), without a label.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha256_of(&[bytes])
}

/// The hash that binds a record to its use policy:
/// `SHA-256(L("tacit/1/policy") ‖ canonical)`.
///
/// `canonical` must have one form per policy; making it is the caller's work.
#[must_use]
pub fn policy_hash(canonical: &[u8]) -> [u8; 32] {
    labelled_sha256("tacit/1/policy", canonical)
}

/// A keyed fingerprint for comparing values inside the server:
/// `HKDF-Expand-SHA-512(key, L("tacit/1/fingerprint") ‖ value, 32)`.
///
/// `key` is a key of its own ([`WrapContext::FingerprintKey`](crate::WrapContext)).
/// The result is a test for guesses in the hands of whoever can ask for it:
/// it must never leave the server.
#[must_use]
pub fn fingerprint(key: &KeyHandle, value: &SecretValue) -> [u8; 32] {
    let mut out = [0; 32];
    let label = envelope::label_prefix("tacit/1/fingerprint");
    envelope::expand(key, &[&label, value.dangerous_expose()], &mut out);
    out
}

/// Compares in a time that depends on the lengths only. For everything an
/// attacker might guess byte by byte; `==` on such bytes leaks how far it got.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// `SHA-256(L(label) ‖ bytes)`.
pub(crate) fn labelled_sha256(label: &'static str, bytes: &[u8]) -> [u8; 32] {
    sha256_of(&[&envelope::label_prefix(label), bytes])
}

fn sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example.
    #[test]
    fn sha256_of_abc() {
        let hash = sha256(b"abc");
        assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(hash[28..], [0xf2, 0x00, 0x15, 0xad]);
    }

    #[test]
    fn labels_separate() {
        assert_ne!(policy_hash(b""), sha256(b""));
        assert_ne!(labelled_sha256("a", b"bc"), labelled_sha256("ab", b"c"));
    }

    #[test]
    fn comparison() {
        assert!(ct_eq(b"", b""));
        assert!(ct_eq(b"abc", b"abc"));
        assert!(!ct_eq(b"abc", b"abd"));
        assert!(!ct_eq(b"abc", b"abcd"));
    }

    #[test]
    fn fingerprints_depend_on_key_and_value() {
        let (key, other) = (KeyHandle::generate(), KeyHandle::generate());
        let value = |bytes: &[u8]| SecretValue::from(bytes.to_vec());
        assert_eq!(fingerprint(&key, &value(b"x")), fingerprint(&key, &value(b"x")));
        assert_ne!(fingerprint(&key, &value(b"x")), fingerprint(&key, &value(b"y")));
        assert_ne!(fingerprint(&key, &value(b"x")), fingerprint(&other, &value(b"x")));
    }
}
