//! People's passwords, stored as Argon2id hashes (RFC 9106).
//!
//! The text that is stored says how it was made, so that the cost can grow and old hashes still verify. An account that is
//! not there costs as much as one that is: [`verify`] takes no hash for one and does the same work.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::{error::CryptoError, hash::ct_eq, random::random_bytes};

/// KiB of memory, passes and lanes of a new hash: the second recommendation of the OWASP cheat sheet, 55 ms on one core.
const COST: Cost = Cost { memory_kib: 19_456, passes: 2, lanes: 1 };
/// The most that a stored text may ask for: what is in the database must not be able to stop the process.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The stored text of a password: `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`.
///
/// Takes tens of milliseconds and 19 MiB; call it where that hurts nobody.
///
/// # Errors
/// The memory is not there.
pub fn hash(password: &str) -> Result<String, CryptoError> {
    let salt = random_bytes::<SALT_BYTES>();
    let hash = derive(password, &salt, COST)?;
    let Cost { memory_kib, passes, lanes } = COST;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Ok(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}"))
}

/// Whether a password is the one that was stored. Without a stored text it does the work all the same and says no.
///
/// # Errors
/// The memory is not there, or the stored text is none that [`hash`] makes.
pub fn verify(password: &str, stored: Option<&str>) -> Result<bool, CryptoError> {
    let Some(stored) = stored else {
        derive(password, &[0; SALT_BYTES], COST)?;
        return Ok(false);
    };
    let (cost, salt, expected) = parse(stored).ok_or(CryptoError::Library)?;
    Ok(ct_eq(&derive(password, &salt, cost)?, &expected))
}

/// Whether a stored text was made with another cost than a new one would be: to be made anew when the password is at hand.
#[must_use]
pub fn is_outdated(stored: &str) -> bool {
    parse(stored).is_none_or(|(cost, ..)| cost != COST)
}

fn derive(password: &str, salt: &[u8], cost: Cost) -> Result<[u8; HASH_BYTES], CryptoError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(HASH_BYTES))
        .map_err(|_| CryptoError::Library)?;
    let mut out = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut out)
        .map_err(|_| CryptoError::Library)?;
    Ok(out)
}

fn parse(stored: &str) -> Option<(Cost, [u8; SALT_BYTES], [u8; HASH_BYTES])> {
    let mut parts = stored.strip_prefix("$argon2id$v=19$")?.split('$');
    let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = cost.split(',');
    let mut number = |name: &str| numbers.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let cost = Cost { memory_kib: number("m=")?, passes: number("t=")?, lanes: number("p=")? };
    let is_whole = parts.next().is_none() && numbers.next().is_none();
    if !is_whole || cost.memory_kib > MEMORY_KIB_MAX || cost.passes > 64 || cost.lanes > 16 {
        return None;
    }
    let bytes = |text: &str| STANDARD_NO_PAD.decode(text).ok();
    Some((cost, bytes(salt)?.try_into().ok()?, bytes(hash)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A password verifies against its own hash and no other, and two hashes of it are different.
    #[test]
    fn round_trip() {
        let (one, two) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert_ne!(one, two);
        assert!(verify("correct horse", Some(&one)).unwrap() && verify("correct horse", Some(&two)).unwrap());
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!verify(wrong, Some(&one)).unwrap(), "{wrong}");
        }
        assert!(!verify("correct horse", None).unwrap());
        assert!(!is_outdated(&one) && is_outdated(&one.replace("t=2", "t=1")));
    }

    /// What was not made here, asks for too much or was cut is an error, not a no.
    #[test]
    fn what_does_not_parse_is_no_hash() {
        let good = hash("x").unwrap();
        for bad in [
            String::new(),
            "x".to_owned(),
            good.replace("argon2id", "argon2i"),
            good.replace("v=19", "v=16"),
            good.replace("m=19456", "m=99999999"),
            good.replace("p=1", "p=1,q=2"),
            format!("{good}$"),
            good[..good.len() - 1].to_owned(),
        ] {
            assert!(verify("x", Some(&bad)).is_err(), "{bad}");
            assert!(is_outdated(&bad));
        }
    }
}
