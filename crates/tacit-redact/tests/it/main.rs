//! The scrubber as its users see it.

mod encodings;
mod must_find;
mod must_not_find;
mod properties;

use tacit_redact::{ScanSet, Strength};

/// `sk_live_` and 32 characters.
pub(crate) const S: &str = "sk_live_7hG2kQ9zXv4LpW8sRt1YbN6mCd3FjK5a";

pub(crate) const PREFIX: usize = 8;

pub(crate) fn set_of(values: &[(&str, &[u8])]) -> ScanSet {
    let mut set = ScanSet::builder();
    for (marker, value) in values {
        let strength: Strength = set.add(marker, value);
        assert!(strength.is_scrubbable(), "{marker} has {} characters", strength.unpredictable_chars());
    }
    set.build()
}

pub(crate) fn set() -> ScanSet {
    set_of(&[("[sealed:S]", S.as_bytes())])
}

pub(crate) fn scrub(set: &ScanSet, text: &[u8]) -> Vec<u8> {
    tacit_redact::scrub(set, text).0
}
