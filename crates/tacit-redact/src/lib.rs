//! Scrubs known values, in all their forms, from a stream of bytes.
//!
//! A [`ScanSet`] holds the values to look for, a [`Scrubber`] replaces them in a stream by a marker. Both are
//! pure: no I/O, no clock, no threads, no randomness.
//!
//! ```
//! use tacit_redact::{ScanSet, scrub_text};
//!
//! let mut set = ScanSet::builder();
//! assert!(set.add("[sealed:STRIPE_KEY]", b"sk_live_7hG2kQ9zXv4LpW8sRt1YbN6m").is_scrubbable());
//! let set = set.build();
//!
//! let (text, findings) = scrub_text(&set, "key=N2hHMmtROXpYdjRMcFc4c1J0MVliTjZt");
//! assert_eq!(text, "key=[sealed:STRIPE_KEY]");
//! assert_eq!(findings.total(), 1);
//! ```
//!
//! # What is found
//!
//! Any fragment of sixteen or more unpredictable characters of a value, in any case, in these forms: as it is,
//! reversed, hexadecimal, base64 (either alphabet, any alignment), and base64 of base64; each of them also with
//! escapes (`%73`, `\u0073`, `\x73`, `\163`, `&#115;`, twice over) or with separators (line breaks, blanks, colons,
//! NULs as in UTF-16) in between. Lines of a PEM, its body without line breaks, and string leaves of a JSON value
//! are parts of the value and found like them.
//!
//! # What is not
//!
//! Fifteen characters, a public prefix alone, and whatever a service computes from a value: hashes, ciphertext,
//! compressed or spelled-out text. Scrubbing is the second line; the first is to send a value only where it belongs.
//!
//! # Two rules
//!
//! The number of bytes held back never depends on content, and nothing shorter than sixteen unpredictable
//! characters ever changes the output. A scrubber that breaks either becomes a way to guess a value character by
//! character.
#![forbid(unsafe_code)]

mod findings;
mod forms;
mod index;
mod json;
mod lanes;
mod scrubber;
mod strength;
mod tape;
mod units;

use std::{fmt, sync::Arc};

use zeroize::Zeroize;

pub use findings::{Findings, Form};
pub use scrubber::Scrubber;
pub use strength::{Strength, strength, vendor_prefix};

/// Fewer bytes than this are never a finding, and pass through every scrubber unchanged.
pub const FINDING_BYTES_MIN: usize = strength::WINDOW;

/// Bytes that a [`Scrubber`] withholds until the stream ends.
pub const HOLD_BACK_BYTES: usize = tape::HOLD_BACK as usize;

/// The values to look for. Cheap to clone; wiped when the last clone is dropped.
#[derive(Clone)]
pub struct ScanSet {
    index: Arc<index::Index>,
}

impl ScanSet {
    /// A set in which nothing is looked for. A scrubber with it passes everything on at once.
    pub fn empty() -> Self {
        Self { index: Arc::default() }
    }

    /// Collects values for a set.
    pub fn builder() -> ScanSetBuilder {
        ScanSetBuilder { index: index::IndexBuilder::default() }
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Memory that the set occupies, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.index.heap_bytes()
    }
}

/// Says how many values there are and nothing about them.
impl fmt::Debug for ScanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanSet").field("values", &self.index.added()).finish_non_exhaustive()
    }
}

/// Collects values for a [`ScanSet`].
pub struct ScanSetBuilder {
    index: index::IndexBuilder,
}

impl ScanSetBuilder {
    /// Adds a value; `marker` is the text that will stand in its place.
    ///
    /// A value that is not scrubbable is left out: replacing it would tell whoever guesses it that the guess was
    /// right. The caller learns of it from the strength that is returned.
    pub fn add(&mut self, marker: &str, value: &[u8]) -> Strength {
        self.index.add(marker, value)
    }

    /// Adds a value as the broker wrote it into a URL, a form or JSON: `encode` appends what one byte becomes. For services
    /// that transform what they got, which is this and not the value.
    pub fn add_encoded(&mut self, marker: &str, value: &[u8], encode: impl Fn(u8, &mut Vec<u8>)) -> Strength {
        self.index.add_encoded(marker, value, encode)
    }

    /// Adds the base64 of `username:password`, as HTTP's Basic scheme writes it.
    pub fn add_basic_pair(&mut self, marker: &str, username: &[u8], password: &[u8]) -> Strength {
        self.index.add_basic_pair(marker, username, password)
    }

    /// The finished set.
    pub fn build(self) -> ScanSet {
        ScanSet { index: Arc::new(self.index.build()) }
    }
}

/// Scrubs bytes that are there in full.
pub fn scrub(set: &ScanSet, bytes: &[u8]) -> (Vec<u8>, Findings) {
    let mut out = Vec::with_capacity(bytes.len());
    let mut scrubber = Scrubber::new(set);
    scrubber.push(bytes, &mut out);
    let findings = scrubber.finish(&mut out);
    (out, findings)
}

/// Scrubs a text. A character of which a finding took only a part is shown as U+FFFD.
pub fn scrub_text(set: &ScanSet, text: &str) -> (String, Findings) {
    let (bytes, findings) = scrub(set, text.as_bytes());
    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut bytes = error.into_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        bytes.zeroize();
        text
    });
    (text, findings)
}
