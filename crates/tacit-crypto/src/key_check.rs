//! A small sealed object that opens under the right root key only. Read before
//! anything else, migrations included, so that a wrong or lost key gives one
//! clear sentence and touches nothing.

use crate::envelope::{self, Frame, OVERHEAD_BYTES};
use crate::error::OpenError;
use crate::root::RootKey;

const SUITE: u8 = 0x21;
const LABEL: &str = "tacit/1/key-check";
const KEY_CHECK_BYTES: usize = 1 + OVERHEAD_BYTES;

/// Makes the key check of an instance, 73 bytes.
///
/// # Panics
///
/// Never in practice: an empty text is within every limit of AES-GCM.
#[must_use]
pub fn key_check_seal(root: &RootKey, instance: [u8; 16]) -> Vec<u8> {
    envelope::seal(root.handle(), &frame(&instance), &[]).expect("an empty text is within every limit")
}

/// Whether `root` is the root key of `instance`.
///
/// # Errors
///
/// [`OpenError::Commitment`] for another key or another instance; the others
/// for damage.
pub fn key_check_verify(root: &RootKey, instance: [u8; 16], bytes: &[u8]) -> Result<(), OpenError> {
    if bytes.len() < KEY_CHECK_BYTES {
        return Err(OpenError::Truncated);
    }
    if bytes[0] != SUITE {
        return Err(OpenError::UnknownSuite);
    }
    if bytes.len() > KEY_CHECK_BYTES {
        return Err(OpenError::Corrupt);
    }
    envelope::open(root.handle(), &frame(&instance), bytes).map(|_| ())
}

fn frame(instance: &[u8; 16]) -> Frame<'_> {
    Frame { label: LABEL, prefix: &[SUITE], context: instance }
}

/// For the vectors: a chosen salt.
#[cfg(test)]
pub(crate) fn key_check_for_vectors(root: &RootKey, instance: [u8; 16], salt: &envelope::Salt) -> Vec<u8> {
    envelope::seal_with_salt(root.handle(), &frame(&instance), salt, &[]).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_and_instance_pass() {
        let (root, other) = (RootKey::generate(), RootKey::generate());
        let check = key_check_seal(&root, [1; 16]);
        assert_eq!(check.len(), 73);
        assert_eq!(key_check_verify(&root, [1; 16], &check), Ok(()));
        assert_eq!(key_check_verify(&other, [1; 16], &check), Err(OpenError::Commitment));
        assert_eq!(key_check_verify(&root, [2; 16], &check), Err(OpenError::Commitment));
        for bit in 0..check.len() * 8 {
            let mut flipped = check.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key_check_verify(&root, [1; 16], &flipped).is_err());
        }
        for bytes in 0..check.len() {
            assert_eq!(key_check_verify(&root, [1; 16], &check[..bytes]), Err(OpenError::Truncated));
        }
        let grown = [&check[..], &[0]].concat();
        assert_eq!(key_check_verify(&root, [1; 16], &grown), Err(OpenError::Corrupt));
    }
}
