//! The key at the top, and the one line of text that it is kept as.

use crate::error::RootKeyError;
use crate::hash::{ct_eq, labelled_sha256};
use crate::key::KeyHandle;
use crate::random::random_secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::ops::Deref;
use zeroize::Zeroizing;

const FAMILY: &str = "tacit-root-key-";
const PREFIX: &str = "tacit-root-key-1:";
const CHECKSUM_LABEL: &str = "tacit/1/root-key-file";
const KEY_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 8;

/// The key that wraps all others. Whoever holds it and the database holds
/// everything; whoever loses it has lost everything.
///
/// ```
/// use tacit_crypto::RootKey;
/// let root = RootKey::generate();
/// let line = root.to_file_text();
/// assert!(line.starts_with("tacit-root-key-1:"));
/// assert!(RootKey::parse(&line).is_ok());
/// assert_eq!(format!("{root:?}"), "RootKey(..)");
/// ```
pub struct RootKey(KeyHandle);

impl RootKey {
    /// A new random root key.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_raw(random_secret())
    }

    /// Reads the line that [`to_file_text`](Self::to_file_text) wrote. White
    /// space around it is ignored.
    ///
    /// # Errors
    ///
    /// Says which part is wrong and quotes none of it.
    pub fn parse(text: &str) -> Result<Self, RootKeyError> {
        let line = text.trim_ascii();
        if line.is_empty() {
            return Err(RootKeyError::Empty);
        }
        if !line.starts_with(FAMILY) {
            return Err(RootKeyError::NotARootKey);
        }
        let rest = line.strip_prefix(PREFIX).ok_or(RootKeyError::UnknownEdition)?;
        if rest.contains(|c: char| c.is_whitespace()) {
            return Err(RootKeyError::ExtraText);
        }
        let (key, checksum) = rest.split_once(':').ok_or(RootKeyError::ChecksumForm)?;
        let bytes = decode_key(key)?;
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if checksum.len() != CHECKSUM_CHARS || !checksum.bytes().all(hex) {
            return Err(RootKeyError::ChecksumForm);
        }
        if !ct_eq(checksum.as_bytes(), checksum_of(&bytes).as_bytes()) {
            return Err(RootKeyError::Checksum);
        }
        Ok(Self::from_raw(bytes))
    }

    /// One line, with its line break, for a file that only the service may read.
    #[must_use]
    pub fn to_file_text(&self) -> Zeroizing<String> {
        let bytes = self.0.load();
        // Reserved in full, because growing would leave a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(128));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text.push(':');
        text.push_str(&checksum_of(&bytes));
        text.push('\n');
        text
    }

    /// For providers that have the bytes themselves: a passphrase, a key
    /// management service. They must be uniformly random or come from a
    /// function made for it.
    #[must_use]
    #[allow(clippy::needless_pass_by_value)] // taken, so that the caller's copy is wiped
    pub fn from_raw(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(KeyHandle::from_bytes(&bytes))
    }

    /// The handle, to wrap and unwrap with.
    #[must_use]
    pub fn handle(&self) -> &KeyHandle {
        &self.0
    }
}

impl Deref for RootKey {
    type Target = KeyHandle;

    fn deref(&self) -> &KeyHandle {
        &self.0
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

fn decode_key(text: &str) -> Result<Zeroizing<[u8; 32]>, RootKeyError> {
    let chars = text.chars().count();
    if chars != KEY_CHARS {
        return Err(RootKeyError::KeyLength { chars });
    }
    // One byte more than needed: the decoder estimates before it looks.
    let mut buffer = Zeroizing::new([0; 33]);
    let written = URL_SAFE_NO_PAD.decode_slice(text, &mut *buffer).map_err(|_| RootKeyError::KeyAlphabet)?;
    let mut bytes = Zeroizing::new([0; 32]);
    if written != bytes.len() {
        return Err(RootKeyError::KeyAlphabet);
    }
    bytes.copy_from_slice(&buffer[..written]);
    Ok(bytes)
}

/// Finds copying errors; proves nothing and tells nothing that the line it
/// stands in does not tell.
fn checksum_of(key: &Zeroizing<[u8; 32]>) -> String {
    let [a, b, c, d, ..] = labelled_sha256(CHECKSUM_LABEL, &**key);
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> RootKeyError {
        RootKey::parse(text).err().unwrap()
    }

    #[test]
    fn the_line_comes_back() {
        let root = RootKey::generate();
        let line = root.to_file_text();
        assert_eq!(line.len(), 17 + 43 + 1 + 8 + 1);
        assert!(line.ends_with('\n'));
        for text in [line.to_string(), line.trim().to_owned(), format!("  {}\r\n\n", line.trim())] {
            assert_eq!(*RootKey::parse(&text).unwrap().load(), *root.load());
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_quote_nothing() {
        let line = RootKey::generate().to_file_text().trim().to_owned();
        assert_eq!(error(" \n"), RootKeyError::Empty);
        assert_eq!(error("hunter2"), RootKeyError::NotARootKey);
        assert_eq!(error(&line.replace("key-1:", "key-2:")), RootKeyError::UnknownEdition);
        assert_eq!(error(&format!("{line}\n{line}")), RootKeyError::ExtraText);
        assert_eq!(error(&line[..40]), RootKeyError::ChecksumForm);
        assert_eq!(error(&line[..line.len() - 1]), RootKeyError::ChecksumForm);
        assert_eq!(error(&line.replace(&line[17..20], "")), RootKeyError::KeyLength { chars: 40 });
        assert_eq!(error(&line.replace(&line[17..20], "+/=")), RootKeyError::KeyAlphabet);
        assert_eq!(error(&line.replace(&line[17..20], "äöü")), RootKeyError::KeyAlphabet);
        let other = if line.as_bytes()[20] == b'A' { "B" } else { "A" };
        assert_eq!(error(&format!("{}{other}{}", &line[..20], &line[21..])), RootKeyError::Checksum);
    }

    /// The last character of the key carries two unused bits; they must be zero,
    /// or one key would have four spellings.
    #[test]
    fn a_key_has_one_spelling() {
        let line = RootKey::from_raw(Zeroizing::new([0; 32])).to_file_text().to_string();
        assert_eq!(error(&line.replace("A:", "B:")), RootKeyError::KeyAlphabet);
    }

    proptest! {
        #[test]
        fn any_changed_character_is_noticed(at in 0..69usize, to in "[ -~]") {
            let line = RootKey::generate().to_file_text().trim().to_owned();
            let changed = format!("{}{to}{}", &line[..at], &line[at + 1..]);
            // A blank in place of the last character leaves a shorter line, still wrong.
            prop_assert_eq!(RootKey::parse(&changed).is_ok(), changed == line);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = RootKey::parse(&text);
            let _ = RootKey::parse(&format!("tacit-root-key-1:{text}"));
        }
    }
}
