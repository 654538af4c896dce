//! The construction shared by records, wrapped keys and key checks: derive a
//! key, a nonce and a commitment from the salt and the place, encrypt once.
//!
//! What the objects hold and how it is padded is their own business. The
//! formulas are those of `docs/crypto-format.md`, section "The construction".

use crate::error::{CryptoError, OpenError};
use crate::hash::ct_eq;
use crate::key::KeyHandle;
use crate::random::random_bytes;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::{Zeroize, Zeroizing};

pub(crate) const SALT_BYTES: usize = 24;
pub(crate) const COMMITMENT_BYTES: usize = 32;
pub(crate) const TAG_BYTES: usize = 16;
/// What an object has besides its header prefix and its body.
pub(crate) const OVERHEAD_BYTES: usize = SALT_BYTES + COMMITMENT_BYTES + TAG_BYTES;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const OKM_BYTES: usize = KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES;

pub(crate) type Salt = [u8; SALT_BYTES];

/// One kind of object and the place it belongs to.
pub(crate) struct Frame<'a> {
    /// Separates the kinds; every kind has its own.
    pub(crate) label: &'static str,
    /// The stored bytes before the salt; their width follows from the first.
    pub(crate) prefix: &'a [u8],
    /// The place, in fixed width, rebuilt by the reader and not stored.
    pub(crate) context: &'a [u8],
}

/// Key, nonce and commitment, as one block of 76 bytes.
pub(crate) struct Derived(Zeroizing<[u8; OKM_BYTES]>);

impl Derived {
    pub(crate) fn key(&self) -> &[u8] {
        &self.0[..KEY_BYTES]
    }

    pub(crate) fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&self.0[KEY_BYTES..KEY_BYTES + NONCE_BYTES]);
        nonce
    }

    pub(crate) fn commitment(&self) -> &[u8] {
        &self.0[KEY_BYTES + NONCE_BYTES..]
    }

    fn cipher(&self) -> Result<LessSafeKey, CryptoError> {
        // "Less safe" is the library's word for a nonce chosen by the caller.
        // This one comes from the derivation of a key that encrypts one message.
        UnboundKey::new(&AES_256_GCM, self.key()).map(LessSafeKey::new).map_err(|_| CryptoError::Library)
    }
}

/// Encrypts `body` for the frame under a fresh salt.
pub(crate) fn seal(key: &KeyHandle, frame: &Frame<'_>, body: &[u8]) -> Result<Vec<u8>, CryptoError> {
    seal_with_salt(key, frame, &random_bytes(), body)
}

/// [`seal`] with a salt from outside, for the vectors; nothing else may call it.
pub(crate) fn seal_with_salt(
    key: &KeyHandle,
    frame: &Frame<'_>,
    salt: &Salt,
    body: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let derived = derive(key, frame, salt);
    let cipher = derived.cipher()?;
    let aad = associated_data(frame, salt, derived.commitment());

    // Reserved in full, because growing would leave a copy of the body behind.
    let mut object = Vec::with_capacity(frame.prefix.len() + OVERHEAD_BYTES + body.len());
    object.extend_from_slice(frame.prefix);
    object.extend_from_slice(salt);
    object.extend_from_slice(derived.commitment());
    let body_start = object.len();
    object.extend_from_slice(body);

    let nonce = Nonce::assume_unique_for_key(derived.nonce());
    let sealed = cipher.seal_in_place_separate_tag(nonce, Aad::from(&aad), &mut object[body_start..]);
    let Ok(tag) = sealed else {
        object.zeroize();
        return Err(CryptoError::Library);
    };
    object.extend_from_slice(tag.as_ref());
    Ok(object)
}

/// Decrypts an object whose prefix the caller has read and judged already.
///
/// The commitment is compared before anything is decrypted, and the buffer is
/// private until the tag was right: some libraries leave plaintext behind after
/// a wrong tag (RUSTSEC-2023-0096), and here there is nobody to see it.
pub(crate) fn open(
    key: &KeyHandle,
    frame: &Frame<'_>,
    object: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let rest = object.get(frame.prefix.len()..).ok_or(OpenError::Truncated)?;
    let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>().ok_or(OpenError::Truncated)?;
    let (commitment, rest) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(OpenError::Truncated)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(OpenError::Truncated)?;

    let derived = derive(key, frame, salt);
    if !ct_eq(derived.commitment(), commitment) {
        return Err(OpenError::Commitment);
    }

    let cipher = derived.cipher().map_err(|_| OpenError::Corrupt)?;
    let aad = associated_data(frame, salt, commitment);
    let nonce = Nonce::assume_unique_for_key(derived.nonce());
    let mut body = Zeroizing::new(vec![0; ciphertext.len()]);
    cipher
        .open_separate_gather(nonce, Aad::from(&aad), ciphertext, tag, &mut body)
        .map_err(|_| OpenError::Corrupt)?;
    Ok(body)
}

/// `HKDF-Expand-SHA-512(key, L(label) ‖ salt ‖ prefix ‖ context, 76)`.
pub(crate) fn derive(key: &KeyHandle, frame: &Frame<'_>, salt: &Salt) -> Derived {
    let mut okm = Zeroizing::new([0; OKM_BYTES]);
    expand(key, &[&label_prefix(frame.label), salt, frame.prefix, frame.context], &mut *okm);
    Derived(okm)
}

/// HKDF-Expand with SHA-512 (RFC 5869, section 2.3), the key as PRK. Extract is
/// left out as section 3.3 allows, since every key is uniformly random.
pub(crate) fn expand(key: &KeyHandle, info: &[&[u8]], out: &mut [u8]) {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let bytes = key.load();
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA512, &*bytes);
    prk.expand(info, Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("at most 76 bytes are asked for, and RFC 5869 allows 255 blocks of 64");
}

/// `u8(length) ‖ label`: no label followed by data reads as another label.
pub(crate) fn label_prefix(label: &'static str) -> Vec<u8> {
    let length = u8::try_from(label.len()).expect("labels are literals of some twenty characters");
    [&[length], label.as_bytes()].concat()
}

/// Everything that is stored in front of the ciphertext, and the place once more.
fn associated_data(frame: &Frame<'_>, salt: &Salt, commitment: &[u8]) -> Vec<u8> {
    [frame.prefix, salt, commitment, frame.context].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'_> = Frame { label: "tacit/1/test", prefix: &[0x7f], context: b"here" };

    #[test]
    fn what_was_sealed_opens_only_where_it_belongs() {
        let key = KeyHandle::generate();
        let object = seal(&key, &FRAME, b"body").unwrap();
        assert_eq!(object.len(), 1 + OVERHEAD_BYTES + 4);
        assert_eq!(**open(&key, &FRAME, &object).unwrap(), *b"body");
        for frame in [
            Frame { label: "tacit/1/tesu", ..FRAME },
            Frame { prefix: &[0x7e], ..FRAME },
            Frame { context: b"herf", ..FRAME },
        ] {
            assert_eq!(open(&key, &frame, &object).err(), Some(OpenError::Commitment));
        }
    }

    /// The associated data holds on its own: with the same derived key and
    /// commitment, another context does not pass the tag.
    #[test]
    fn the_tag_binds_the_context_without_the_derivation() {
        let key = KeyHandle::generate();
        let derived = derive(&key, &FRAME, &[1; SALT_BYTES]);
        let mut text = *b"body";
        let sealed = |context, text: &mut [u8]| {
            let frame = Frame { context, ..FRAME };
            let aad = associated_data(&frame, &[1; SALT_BYTES], derived.commitment());
            let nonce = Nonce::assume_unique_for_key(derived.nonce());
            let tag = derived.cipher().unwrap().seal_in_place_separate_tag(nonce, Aad::from(&aad), text);
            tag.unwrap().as_ref().to_vec()
        };
        assert_ne!(sealed(b"here", &mut text), sealed(b"herf", &mut b"body".to_vec()));
    }

    /// Two sealings of one body have nothing in common behind the prefix.
    #[test]
    fn every_sealing_has_its_own_salt() {
        let key = KeyHandle::generate();
        let (one, two) = (seal(&key, &FRAME, b"body").unwrap(), seal(&key, &FRAME, b"body").unwrap());
        assert_ne!(one[1..25], two[1..25]);
        assert_ne!(one[25..57], two[25..57]);
        assert_ne!(one[57..], two[57..]);
    }

    /// RFC 5869 has no SHA-512 vectors; this is HMAC-SHA-512 by hand.
    #[test]
    fn expand_is_two_hmacs() {
        use aws_lc_rs::hmac;
        let key = KeyHandle::generate();
        let mut out = [0; OKM_BYTES];
        expand(&key, &[b"in", b"fo"], &mut out);
        let mac = hmac::Key::new(hmac::HMAC_SHA512, &*key.load());
        let t1 = hmac::sign(&mac, b"info\x01");
        let t2 = hmac::sign(&mac, &[t1.as_ref(), b"info\x02"].concat());
        assert_eq!(out[..64], *t1.as_ref());
        assert_eq!(out[64..], t2.as_ref()[..12]);
    }
}
