//! Hides the length of a value behind one of 56 classes.
//!
//! 64-byte steps to 1 KiB, because the length of a password is worth hiding;
//! then steps of at most 12 %, because a large value costs what it weighs.

use crate::error::{CryptoError, OpenError};
use zeroize::Zeroizing;

/// The longest value that the platform stores.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Room beside the value for the encoding of its fields.
pub const PLAINTEXT_OVERHEAD_BYTES_MAX: usize = 4 * 1024;

/// The longest plaintext that [`seal`](crate::seal) takes.
pub const PLAINTEXT_BYTES_MAX: usize = VALUE_BYTES_MAX + PLAINTEXT_OVERHEAD_BYTES_MAX;

/// The length prefix.
const PREFIX_BYTES: usize = 4;
const STEP_BYTES: usize = 64;
const FINE_BYTES_MAX: usize = 1024;

pub(crate) const PADDED_BYTES_MIN: usize = STEP_BYTES;
pub(crate) const PADDED_BYTES_MAX: usize = class(PREFIX_BYTES + PLAINTEXT_BYTES_MAX);

/// The smallest class that holds `bytes`.
pub(crate) const fn class(bytes: usize) -> usize {
    if bytes <= FINE_BYTES_MAX {
        // The prefix alone has four bytes, so there is always one step.
        return bytes.div_ceil(STEP_BYTES) * STEP_BYTES;
    }
    let mut class = FINE_BYTES_MAX;
    while class < bytes {
        class = class * 112 / (100 * STEP_BYTES) * STEP_BYTES;
    }
    class
}

/// Whether a padded text can have this length.
pub(crate) fn is_class(padded_bytes: usize) -> bool {
    (PADDED_BYTES_MIN..=PADDED_BYTES_MAX).contains(&padded_bytes) && class(padded_bytes) == padded_bytes
}

/// `u32(length) ‖ plaintext ‖ zeros`, up to the class.
pub(crate) fn pad(plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(CryptoError::TooLong);
    }
    let length = u32::try_from(plaintext.len()).map_err(|_| CryptoError::TooLong)?;
    // Made in full length at once: a growing vector leaves copies behind.
    let mut padded = Zeroizing::new(vec![0; class(PREFIX_BYTES + plaintext.len())]);
    padded[..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    padded[PREFIX_BYTES..PREFIX_BYTES + plaintext.len()].copy_from_slice(plaintext);
    Ok(padded)
}

/// Takes the padding off in place. One plaintext has one padded form; all
/// others are refused, though only a holder of the key could have made them.
pub(crate) fn unpad(mut padded: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let length = padded.first_chunk::<PREFIX_BYTES>().ok_or(OpenError::Corrupt)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| OpenError::Corrupt)?;
    if length > PLAINTEXT_BYTES_MAX || class(PREFIX_BYTES + length) != padded.len() {
        return Err(OpenError::Corrupt);
    }
    let end = PREFIX_BYTES + length;
    if padded[end..].iter().any(|byte| *byte != 0) {
        return Err(OpenError::Corrupt);
    }
    // What stays behind the new end is wiped with the rest: zeroizing a vector
    // covers its whole capacity.
    padded.copy_within(PREFIX_BYTES..end, 0);
    padded.truncate(length);
    Ok(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list printed in the format document.
    #[test]
    fn the_classes_are_those_of_the_document() {
        let coarse: Vec<_> = (1025..=PADDED_BYTES_MAX).filter(|n| is_class(*n)).collect();
        let document = [
            1088, 1216, 1344, 1472, 1600, 1792, 1984, 2176, 2432, 2688, 3008, 3328, 3712, 4096, 4544, 5056,
            5632, 6272, 6976, 7808, 8704, 9728, 10880, 12160, 13568, 15168, 16960, 18944, 21184, 23680,
            26496, 29632, 33152, 37120, 41536, 46464, 52032, 58240, 65216, 73024,
        ];
        assert_eq!(coarse, document);
        let fine: Vec<_> = (0..=1024).filter(|n| is_class(*n)).collect();
        assert_eq!(fine, (1..=16).map(|n| n * 64).collect::<Vec<_>>());
    }

    #[test]
    fn padding_costs_at_most_63_bytes_or_12_percent() {
        for bytes in PREFIX_BYTES..=PREFIX_BYTES + PLAINTEXT_BYTES_MAX {
            let padded = class(bytes);
            assert!(padded >= bytes);
            assert!(padded - bytes < 64 || padded * 100 <= bytes * 112, "{bytes} became {padded}");
        }
    }

    #[test]
    fn every_length_comes_back() {
        for bytes in (0..3000).chain([VALUE_BYTES_MAX, PLAINTEXT_BYTES_MAX]) {
            let text = vec![0xEE; bytes];
            let padded = pad(&text).unwrap();
            assert!(is_class(padded.len()));
            assert_eq!(*unpad(padded).unwrap(), text);
        }
        assert_eq!(pad(&vec![0; PLAINTEXT_BYTES_MAX + 1]).err(), Some(CryptoError::TooLong));
    }

    #[test]
    fn other_forms_of_one_plaintext_are_refused() {
        let refused =
            |bytes: Vec<u8>| assert_eq!(unpad(Zeroizing::new(bytes)).err(), Some(OpenError::Corrupt));
        let good = pad(b"abc").unwrap();
        let mut not_zero = good.to_vec();
        not_zero[63] = 1;
        refused(not_zero);
        let mut too_long = good.to_vec();
        too_long[..4].copy_from_slice(&61u32.to_be_bytes());
        refused(too_long);
        let mut huge = good.to_vec();
        huge[..4].fill(0xff);
        refused(huge);
        let mut class_above = good.to_vec();
        class_above.resize(128, 0);
        refused(class_above);
        refused(vec![]);
        refused(vec![0; 3]);
    }
}
