//! Records: values sealed for one place.

use crate::envelope::{self, Frame, OVERHEAD_BYTES};
use crate::error::{CryptoError, OpenError, ResealError};
use crate::key::KeyHandle;
use crate::padding;
use crate::value::SecretValue;

const SUITE: u8 = 0x01;
const LABEL: &str = "tacit/1/record";
const PREFIX_BYTES: usize = 5;
const CONTEXT_BYTES: usize = 105;

/// The smallest record.
pub const RECORD_BYTES_MIN: usize = PREFIX_BYTES + OVERHEAD_BYTES + padding::PADDED_BYTES_MIN;

/// The largest record.
pub const RECORD_BYTES_MAX: usize = PREFIX_BYTES + OVERHEAD_BYTES + padding::PADDED_BYTES_MAX;

/// What a record holds. Part of its place, so that one kind of value can never
/// be opened as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// The value of a secret.
    SecretValue = 1,
    /// The value of a variable.
    Variable = 2,
    /// Metadata kept encrypted, such as a description.
    Metadata = 3,
    /// A private signing key.
    SigningKey = 4,
    /// An access token fetched on behalf of a secret.
    FetchedToken = 5,
    /// Stored data of a run.
    RunData = 6,
    /// The private key of a certificate authority.
    AuthorityKey = 7,
}

/// The place a record belongs to: rebuilt from where the row was found, never
/// read from the row itself. Ids that do not apply are sixteen zero bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordContext {
    /// The installation.
    pub instance: [u8; 16],
    /// The workspace.
    pub workspace: [u8; 16],
    /// The environment.
    pub environment: [u8; 16],
    /// The secret, or whatever else owns the record.
    pub secret: [u8; 16],
    /// Which version of it.
    pub version: u64,
    /// What the record holds.
    pub purpose: Purpose,
    /// [`policy_hash`](crate::policy_hash) of the use policy; zeros where none applies.
    pub policy_hash: [u8; 32],
}

impl RecordContext {
    /// Fixed width, in the order of the format document.
    fn encode(&self) -> [u8; CONTEXT_BYTES] {
        let mut bytes = [0; CONTEXT_BYTES];
        bytes[..16].copy_from_slice(&self.instance);
        bytes[16..32].copy_from_slice(&self.workspace);
        bytes[32..48].copy_from_slice(&self.environment);
        bytes[48..64].copy_from_slice(&self.secret);
        bytes[64..72].copy_from_slice(&self.version.to_be_bytes());
        bytes[72] = self.purpose as u8;
        bytes[73..].copy_from_slice(&self.policy_hash);
        bytes
    }
}

/// A key, its generation and a context: where a record is or is going to be.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The data key.
    pub key: &'a KeyHandle,
    /// Its generation.
    pub generation: u32,
    /// The rest of the place.
    pub context: &'a RecordContext,
}

/// Seals `plaintext` for one place. The salt is random and inside; nobody can
/// supply one.
///
/// # Errors
///
/// [`CryptoError::TooLong`] beyond [`PLAINTEXT_BYTES_MAX`](crate::PLAINTEXT_BYTES_MAX).
pub fn seal(
    key: &KeyHandle,
    generation: u32,
    context: &RecordContext,
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let padded = padding::pad(plaintext)?;
    framed(generation, context, |frame| envelope::seal(key, frame, &padded))
}

/// The generation written in a record's header, to find its key. It is a hint
/// until [`open`] has succeeded with it.
///
/// # Errors
///
/// [`OpenError::Truncated`] and [`OpenError::UnknownSuite`].
pub fn generation_of(record: &[u8]) -> Result<u32, OpenError> {
    if record.len() < RECORD_BYTES_MIN {
        return Err(OpenError::Truncated);
    }
    let [SUITE, generation @ ..] = record.first_chunk::<PREFIX_BYTES>().ok_or(OpenError::Truncated)? else {
        return Err(OpenError::UnknownSuite);
    };
    Ok(u32::from_be_bytes(*generation))
}

/// Opens a record at its place.
///
/// # Errors
///
/// Every [`OpenError`]; nothing decrypted is left behind by any of them.
pub fn open(
    key: &KeyHandle,
    generation: u32,
    context: &RecordContext,
    record: &[u8],
) -> Result<SecretValue, OpenError> {
    if generation_of(record)? != generation {
        return Err(OpenError::WrongGeneration);
    }
    if !padding::is_class(record.len() - PREFIX_BYTES - OVERHEAD_BYTES) {
        return Err(OpenError::Corrupt);
    }
    let padded = framed(generation, context, |frame| envelope::open(key, frame, record))?;
    padding::unpad(padded).map(SecretValue::from_wiped)
}

/// Opens a record at one place and seals it for another, yielding ciphertext
/// only. For rotation, a changed policy, a deployment's copy.
///
/// # Errors
///
/// As [`open`] for the old place and [`seal`] for the new one.
pub fn reseal(from: Place<'_>, record: &[u8], to: Place<'_>) -> Result<Vec<u8>, ResealError> {
    let value = open(from.key, from.generation, from.context, record)?;
    Ok(seal(to.key, to.generation, to.context, value.dangerous_expose())?)
}

/// Runs `act` with the frame of a record.
fn framed<T>(generation: u32, context: &RecordContext, act: impl FnOnce(&Frame<'_>) -> T) -> T {
    let mut prefix = [SUITE; PREFIX_BYTES];
    prefix[1..].copy_from_slice(&generation.to_be_bytes());
    act(&Frame { label: LABEL, prefix: &prefix, context: &context.encode() })
}

/// For the vectors: a chosen salt, and a body that need not be padded rightly.
#[cfg(test)]
pub(crate) fn seal_for_vectors(
    place: Place<'_>,
    salt: &envelope::Salt,
    padded: &[u8],
) -> (Vec<u8>, envelope::Derived) {
    framed(place.generation, place.context, |frame| {
        let record = envelope::seal_with_salt(place.key, frame, salt, padded).unwrap();
        (record, envelope::derive(place.key, frame, salt))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PLAINTEXT_BYTES_MAX, VALUE_BYTES_MAX};
    use proptest::prelude::*;

    const HERE: RecordContext = RecordContext {
        instance: [1; 16],
        workspace: [2; 16],
        environment: [3; 16],
        secret: [4; 16],
        version: 5,
        purpose: Purpose::SecretValue,
        policy_hash: [6; 32],
    };

    fn opened(key: &KeyHandle, record: &[u8]) -> Result<Vec<u8>, OpenError> {
        open(key, 7, &HERE, record).map(|value| value.dangerous_expose().to_vec())
    }

    #[test]
    fn sizes_are_those_of_the_document() {
        assert_eq!((RECORD_BYTES_MIN, RECORD_BYTES_MAX), (141, 73_101));
        let key = KeyHandle::generate();
        assert_eq!(seal(&key, 7, &HERE, b"").unwrap().len(), RECORD_BYTES_MIN);
        let longest = vec![9; PLAINTEXT_BYTES_MAX];
        let record = seal(&key, 7, &HERE, &longest).unwrap();
        assert_eq!(record.len(), RECORD_BYTES_MAX);
        assert_eq!(opened(&key, &record).unwrap(), longest);
        assert_eq!(seal(&key, 7, &HERE, &vec![9; PLAINTEXT_BYTES_MAX + 1]), Err(CryptoError::TooLong));
    }

    /// Every field of the place counts, one by one.
    #[test]
    fn a_record_opens_nowhere_else() {
        let key = KeyHandle::generate();
        let record = seal(&key, 7, &HERE, b"value").unwrap();
        for elsewhere in [
            RecordContext { instance: [9; 16], ..HERE },
            RecordContext { workspace: [9; 16], ..HERE },
            RecordContext { environment: [9; 16], ..HERE },
            RecordContext { secret: [9; 16], ..HERE },
            RecordContext { version: 4, ..HERE },
            RecordContext { purpose: Purpose::Variable, ..HERE },
            RecordContext { policy_hash: [9; 32], ..HERE },
        ] {
            assert_eq!(open(&key, 7, &elsewhere, &record).err(), Some(OpenError::Commitment));
        }
        assert_eq!(open(&key, 8, &HERE, &record).err(), Some(OpenError::WrongGeneration));
        let mut relabelled = record.clone();
        relabelled[4] = 8;
        assert_eq!(open(&key, 8, &HERE, &relabelled).err(), Some(OpenError::Commitment));
        assert_eq!(opened(&KeyHandle::generate(), &record), Err(OpenError::Commitment));
        assert_eq!(opened(&key, &record).unwrap(), b"value");
    }

    #[test]
    fn cut_or_grown_records_do_not_open() {
        let key = KeyHandle::generate();
        let record = seal(&key, 7, &HERE, &[8; 100]).unwrap();
        for bytes in 0..record.len() {
            assert!(opened(&key, &record[..bytes]).is_err(), "{bytes}");
        }
        for more in [1, 16, 64, 128] {
            let grown = [&record[..], &vec![0; more]].concat();
            assert!(opened(&key, &grown).is_err(), "{more}");
        }
        let endless = [&record[..], &vec![0; 1_000_000]].concat();
        assert_eq!(opened(&key, &endless), Err(OpenError::Corrupt));
    }

    #[test]
    fn resealing_moves_a_value_and_shows_none() {
        let (old, new) = (KeyHandle::generate(), KeyHandle::generate());
        let there = RecordContext { policy_hash: [7; 32], ..HERE };
        let record = seal(&old, 7, &HERE, b"value").unwrap();
        let from = Place { key: &old, generation: 7, context: &HERE };
        let to = Place { key: &new, generation: 1, context: &there };
        let moved = reseal(from, &record, to).unwrap();
        assert_eq!(open(&new, 1, &there, &moved).unwrap().dangerous_expose(), b"value");
        assert_eq!(generation_of(&moved), Ok(1));
        assert_ne!(record[5..29], moved[5..29]);
        assert_eq!(reseal(to, &record, from), Err(ResealError::Open(OpenError::WrongGeneration)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_value_comes_back(text in prop::collection::vec(any::<u8>(), 0..=VALUE_BYTES_MAX)) {
            let key = KeyHandle::generate();
            let record = seal(&key, 7, &HERE, &text).unwrap();
            prop_assert_eq!(opened(&key, &record).unwrap(), text);
        }

        #[test]
        fn length_shows_only_the_class(
            text in prop::collection::vec(any::<u8>(), 0..4000),
            fill in any::<u8>(),
        ) {
            let key = KeyHandle::generate();
            let record = seal(&key, 7, &HERE, &text).unwrap();
            let twin = seal(&key, 7, &HERE, &vec![fill; text.len()]).unwrap();
            let longest_of_class = padding::class(text.len() + 4) - 4;
            let longest = seal(&key, 7, &HERE, &vec![fill; longest_of_class]).unwrap();
            prop_assert_eq!(record.len(), twin.len());
            prop_assert_eq!(record.len(), longest.len());
        }

        #[test]
        fn any_flipped_bit_is_noticed(
            text in prop::collection::vec(any::<u8>(), 0..2000),
            byte in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let key = KeyHandle::generate();
            let mut record = seal(&key, 7, &HERE, &text).unwrap();
            let index = byte.index(record.len());
            record[index] ^= 1 << bit;
            prop_assert!(opened(&key, &record).is_err());
        }

        #[test]
        fn foreign_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let key = KeyHandle::generate();
            let mut record = bytes;
            prop_assert!(opened(&key, &record).is_err());
            if let Some(prefix) = record.first_chunk_mut::<5>() {
                *prefix = [1, 0, 0, 0, 7];
            }
            prop_assert!(opened(&key, &record).is_err());
        }
    }

    /// All bits of a small record, not a sample.
    #[test]
    fn every_single_bit_of_a_record_counts() {
        let key = KeyHandle::generate();
        let record = seal(&key, 7, &HERE, b"value").unwrap();
        for bit in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0 => OpenError::UnknownSuite,
                1..5 => OpenError::WrongGeneration,
                5..61 => OpenError::Commitment,
                _ => OpenError::Corrupt,
            };
            assert_eq!(opened(&key, &flipped), Err(expected), "bit {bit}");
        }
    }
}
