//! A key that can be used and not read.

use crate::{locked::LockedBytes, random::random_secret};
use std::fmt;
use zeroize::Zeroizing;

/// A 32-byte key. Its bytes never leave this crate; they are wiped when the
/// handle is dropped and lie in locked memory where the system allows.
///
/// Not `Clone`: share it behind an `Arc`, so that one drop wipes it.
///
/// ```
/// let key = tacit_crypto::KeyHandle::generate();
/// assert_eq!(format!("{key:?}"), "KeyHandle(..)");
/// fn needs<T: Send + Sync>(_: &T) {}
/// needs(&key);
/// ```
/// ```compile_fail
/// fn needs<T: Clone>() {}
/// needs::<tacit_crypto::KeyHandle>();
/// ```
/// ```compile_fail
/// fn needs<T: PartialEq>() {}
/// needs::<tacit_crypto::KeyHandle>();
/// ```
pub struct KeyHandle(LockedBytes);

impl KeyHandle {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_bytes(&random_secret())
    }

    /// Copies the bytes into locked memory; the caller's are wiped by their type.
    pub(crate) fn from_bytes(bytes: &Zeroizing<[u8; 32]>) -> Self {
        Self(LockedBytes::new(bytes))
    }

    /// A copy for the length of one derivation.
    pub(crate) fn load(&self) -> Zeroizing<[u8; 32]> {
        self.0.load()
    }
}

impl fmt::Debug for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHandle(..)")
    }
}
