//! What can go wrong. No variant carries a byte of a key, a record, a
//! plaintext or a token, so every one of them may be logged and shown.

use thiserror::Error;

/// Why something could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// The plaintext is longer than [`PLAINTEXT_BYTES_MAX`](crate::PLAINTEXT_BYTES_MAX).
    #[error("the value is longer than the limit")]
    TooLong,
    /// The cryptographic library refused. Not known to happen.
    #[error("the cryptographic library failed")]
    Library,
}

/// Why something sealed did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Shorter than the smallest object of its kind.
    #[error("the sealed bytes are cut short")]
    Truncated,
    /// The first byte names a format unknown here, or another kind of object.
    #[error("the sealed bytes are in a format that this version does not know")]
    UnknownSuite,
    /// Sealed under another generation of the key.
    #[error("the record was sealed under another generation of its key")]
    WrongGeneration,
    /// Another key, or not the place it was sealed for, or damage to the salt or
    /// the commitment, which looks the same. Nothing was decrypted.
    #[error("the key or the place is not the one these bytes were sealed for, or their header is damaged")]
    Commitment,
    /// The length is none that is written, or key and place are right and the
    /// bytes behind the header were changed.
    #[error("the sealed bytes are damaged")]
    Corrupt,
}

/// Why a record could not be sealed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResealError {
    /// The old record did not open.
    #[error("the old record did not open: {0}")]
    Open(#[from] OpenError),
    /// The new record could not be made.
    #[error("the new record could not be sealed: {0}")]
    Seal(#[from] CryptoError),
}

/// Why a text is no root key. Says which part is wrong and quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RootKeyError {
    /// Nothing there.
    #[error("the root key is empty")]
    Empty,
    /// It does not begin as root keys do.
    #[error("this is not a root key: it does not begin with `tacit-root-key-`")]
    NotARootKey,
    /// A root key of an edition that this version cannot read.
    #[error("the root key is of an edition that this version does not know")]
    UnknownEdition,
    /// Not one line.
    #[error("the root key is followed by other text; it must stand alone on one line")]
    ExtraText,
    /// The part between the colons is not 43 characters long.
    #[error("the key part has {chars} characters instead of 43; it may have been cut when copied")]
    KeyLength {
        /// How many it has.
        chars: usize,
    },
    /// The part between the colons is not base64url.
    #[error("the key part has a character that cannot occur in it")]
    KeyAlphabet,
    /// No second colon, or not 8 lower-case hex digits behind it.
    #[error("the checksum is missing or is not 8 hexadecimal digits")]
    ChecksumForm,
    /// Well-formed, but a character is wrong somewhere.
    #[error("the checksum does not match the key part; a character was changed when copied")]
    Checksum,
}
