//! The key of an SSH server, as people write it down: its fingerprint.

use std::{fmt, str::FromStr};

/// The SHA-256 fingerprint of a server's public key. OpenSSH writes it `SHA256:` and base64 without padding.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostKey([u8; 32]);

/// The text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the fingerprint of the server's key: SHA256: and 43 characters of base64, as `ssh-keygen -lf` shows it"
)]
pub struct HostKeyError;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl HostKey {
    /// From the hash itself.
    pub const fn from_sha256(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl FromStr for HostKey {
    type Err = HostKeyError;

    fn from_str(text: &str) -> Result<Self, HostKeyError> {
        let digits = text.strip_prefix("SHA256:").ok_or(HostKeyError)?;
        let digits = digits.strip_suffix('=').unwrap_or(digits).as_bytes();
        if digits.len() != 43 {
            return Err(HostKeyError);
        }
        let (mut hash, mut filled, mut bits, mut count) = ([0; 32], 0, 0u32, 0);
        for digit in digits {
            let value = ALPHABET.iter().position(|known| known == digit).ok_or(HostKeyError)?;
            bits = bits << 6 | value as u32;
            count += 6;
            if count >= 8 && filled < hash.len() {
                count -= 8;
                hash[filled] = (bits >> count) as u8;
                filled += 1;
            }
        }
        // 43 digits are 258 bits; the last two must be zero, or one hash would have four spellings.
        if bits & 0b11 != 0 {
            return Err(HostKeyError);
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256:")?;
        for three in self.0.chunks(3) {
            let bits =
                three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
            for digit in 0..=three.len() {
                let value = bits >> (18 - 6 * digit) & 0b11_1111;
                write!(f, "{}", char::from(ALPHABET[value as usize]))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for HostKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for HostKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("host_key: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fingerprint has one spelling, but that a padding sign may follow.
    #[test]
    fn fingerprints() {
        let hash = HostKey::from_sha256(std::array::from_fn(|at| at as u8 * 8));
        let text = hash.to_string();
        assert_eq!(text, "SHA256:AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg");
        assert_eq!(text.parse(), Ok(hash.clone()));
        assert_eq!(format!("{text}=").parse(), Ok(hash));
        for bad in [
            "",
            "SHA256:",
            "AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg",
            "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
            "SHA256:AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8P",
            "SHA256:AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Ph",
            "SHA256:AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8P_",
            "sha256:AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg",
        ] {
            assert!(bad.parse::<HostKey>().is_err(), "{bad}");
        }
    }
}
