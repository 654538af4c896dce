//! Time-based one-time codes (RFC 6238): six digits, SHA-1, steps of thirty seconds, which is what authenticator apps expect.
//!
//! The shared secret is 20 bytes derived from a key of its own that is stored wrapped:
//! `HKDF-Expand-SHA-512(key, L("tacit/1/one-time-codes"), 20)`.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{envelope, key::KeyHandle};

/// Seconds of one step.
pub const STEP_SECS: i64 = 30;
const SECRET_BYTES: usize = 20;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step that a time in seconds since 1970 falls into.
#[must_use]
pub fn step_at(unix_secs: i64) -> i64 {
    unix_secs.div_euclid(STEP_SECS)
}

/// The shared secret as a person types it into an app: base32 without padding.
#[must_use]
pub fn secret_text(key: &KeyHandle) -> Zeroizing<String> {
    let secret = secret(key);
    let mut text = Zeroizing::new(String::with_capacity(32));
    for chunk in secret.chunks(5) {
        let bits = chunk.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for at in (0..8).rev() {
            text.push(char::from(BASE32[(bits >> (at * 5) & 31) as usize]));
        }
    }
    text
}

/// The step among the last, this and the next one whose code this is; none if it is none of theirs. A clock may be that
/// much off, and a person that slow. All three are looked at, whichever fits.
#[must_use]
pub fn matching_step(key: &KeyHandle, code: u32, unix_secs: i64) -> Option<i64> {
    let now = step_at(unix_secs);
    let secret = secret(key);
    let mut found = None;
    for step in [now - 1, now, now + 1] {
        let fits = crate::hash::ct_eq(&code_of(&secret[..], step).to_be_bytes(), &code.to_be_bytes());
        if fits {
            found = Some(step);
        }
    }
    found
}

/// The code at a time, for tests and for nobody else: whoever can call this needs no second factor.
#[must_use]
pub fn dangerous_code_at(key: &KeyHandle, unix_secs: i64) -> u32 {
    code_of(&secret(key)[..], step_at(unix_secs))
}

fn secret(key: &KeyHandle) -> Zeroizing<[u8; SECRET_BYTES]> {
    let mut out = Zeroizing::new([0; SECRET_BYTES]);
    envelope::expand(key, &[&envelope::label_prefix("tacit/1/one-time-codes")], &mut *out);
    out
}

fn code_of(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let word = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
    word % 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 6238, appendix B, cut to six digits.
    #[test]
    fn rfc_6238() {
        let secret = b"12345678901234567890";
        for (secs, code) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(code_of(secret, step_at(secs)), code, "{secs}");
        }
    }

    /// A code counts in its own step and beside it, and the secret's text is base32.
    #[test]
    fn codes_count_for_a_while() {
        let key = KeyHandle::generate();
        let code = dangerous_code_at(&key, 1000);
        let step = step_at(1000);
        for secs in [1000, 1000 + STEP_SECS, 1000 - STEP_SECS] {
            assert_eq!(matching_step(&key, code, secs), Some(step));
        }
        assert_eq!(matching_step(&KeyHandle::generate(), code, 1000).filter(|_| false), None);
        let text = secret_text(&key);
        assert!(text.len() == 32 && text.bytes().all(|byte| BASE32.contains(&byte)));
    }
}
