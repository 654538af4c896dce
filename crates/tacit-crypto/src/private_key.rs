//! Whether a text is a private key that SSH can use, and whether a passphrase opens it.
//!
//! A key that does not parse would be found out at night, by a transfer that fails. It is checked when it is saved. Nothing
//! of it is kept, and no message repeats any of it.

use aws_lc_rs::{
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, Ed25519KeyPair,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ssh_key::{Kdf, PrivateKey};
use zeroize::Zeroizing;

/// Rounds of the passphrase's derivation. `ssh-keygen` writes 16 or 24; whoever writes more would have the server count.
const KDF_ROUNDS_MAX: u32 = 64;

/// What is wrong with a private key, in words for whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// No PEM block of a private key, or one that does not parse.
    #[error("is not a private key: paste the whole file, with its BEGIN and END lines")]
    NotAKey,
    /// A public key.
    #[error("is a public key; the private key is the file without .pub")]
    Public,
    /// A format of PuTTY's.
    #[error("is a key of PuTTY's; convert it: puttygen KEY.ppk -O private-openssh -o KEY")]
    Putty,
    /// An encrypted key in a format that is older than OpenSSH's own.
    #[error("is encrypted in an old format; convert it: ssh-keygen -p -f KEY")]
    OldEncryption,
    /// A derivation with more rounds than anybody needs.
    #[error("has a passphrase that takes too long to check; convert it: ssh-keygen -p -a 16 -f KEY")]
    TooManyRounds,
    /// Encrypted, and there is no passphrase.
    #[error("is encrypted; its passphrase is missing")]
    PassphraseMissing,
    /// Encrypted, and the passphrase is another one's.
    #[error("does not open with this passphrase")]
    PassphraseWrong,
    /// Not encrypted, but there is a passphrase.
    #[error("is not encrypted; leave the passphrase out")]
    PassphraseUnneeded,
}

/// Checks that `text` is a private key and that `passphrase` opens it. Reads OpenSSH's format, encrypted or not, and PEM of
/// PKCS#1, PKCS#8 and SEC 1, not encrypted. May take a second of computing for an encrypted key.
///
/// # Errors
/// What is wrong, without any of the text.
pub fn check_private_key(text: &str, passphrase: Option<&str>) -> Result<(), PrivateKeyError> {
    let text = text.trim();
    if text.starts_with("PuTTY-User-Key-File-") {
        return Err(PrivateKeyError::Putty);
    }
    if ["ssh-", "ecdsa-sha2-", "-----BEGIN PUBLIC KEY", "---- BEGIN SSH2 PUBLIC"]
        .iter()
        .any(|p| text.starts_with(p))
    {
        return Err(PrivateKeyError::Public);
    }
    let (label, body) = pem(text).ok_or(PrivateKeyError::NotAKey)?;
    if label == "OPENSSH PRIVATE KEY" {
        return check_openssh(text, passphrase);
    }
    // PKCS#8 says it in the label, the older formats in a header line.
    if label == "ENCRYPTED PRIVATE KEY" || body.contains("Proc-Type:") {
        return Err(PrivateKeyError::OldEncryption);
    }
    let packed: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let der = Zeroizing::new(STANDARD.decode(packed.as_bytes()).map_err(|_| PrivateKeyError::NotAKey)?);
    if !is_key(label, &der) {
        return Err(PrivateKeyError::NotAKey);
    }
    if passphrase.is_some() { Err(PrivateKeyError::PassphraseUnneeded) } else { Ok(()) }
}

fn check_openssh(text: &str, passphrase: Option<&str>) -> Result<(), PrivateKeyError> {
    // The parser wants the line endings and the last line break of `ssh-keygen`.
    let unix = Zeroizing::new(format!("{}\n", text.replace("\r\n", "\n")));
    let key = PrivateKey::from_openssh(unix.as_bytes()).map_err(|_| PrivateKeyError::NotAKey)?;
    match (key.is_encrypted(), passphrase) {
        (false, None) => Ok(()),
        (false, Some(_)) => Err(PrivateKeyError::PassphraseUnneeded),
        (true, None) => Err(PrivateKeyError::PassphraseMissing),
        (true, Some(passphrase)) => {
            if matches!(key.kdf(), Kdf::Bcrypt { rounds, .. } if *rounds > KDF_ROUNDS_MAX) {
                return Err(PrivateKeyError::TooManyRounds);
            }
            key.decrypt(passphrase).map(drop).map_err(|_| PrivateKeyError::PassphraseWrong)
        }
    }
}

/// The label and the inside of a text that is one PEM block.
fn pem(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let (body, end) = rest.split_once("-----END ")?;
    (end == format!("{label}-----")).then_some((label, body))
}

fn is_key(label: &str, der: &[u8]) -> bool {
    let curves =
        [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
    match label {
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(der).is_ok(),
        "EC PRIVATE KEY" => curves.iter().any(|curve| EcdsaKeyPair::from_private_key_der(curve, der).is_ok()),
        "PRIVATE KEY" => {
            RsaKeyPair::from_pkcs8(der).is_ok()
                || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).is_ok()
                || curves.iter().any(|curve| EcdsaKeyPair::from_pkcs8(curve, der).is_ok())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! key {
        ($file:literal) => {
            include_str!(concat!("../tests/keys/", $file))
        };
    }

    /// Every format that is read, whatever its line endings and what stands around it.
    #[test]
    fn keys_that_open() {
        let plain = [
            key!("ed25519"),
            key!("rsa-openssh"),
            key!("rsa-pkcs1.pem"),
            key!("ed25519-pkcs8.pem"),
            key!("p256-sec1.pem"),
            key!("p256-pkcs8.pem"),
        ];
        for text in plain {
            let first = text.lines().next().unwrap();
            for text in
                [text.to_owned(), text.trim().to_owned(), text.replace('\n', "\r\n"), format!("\n{text}\n")]
            {
                assert_eq!(check_private_key(&text, None), Ok(()), "{first}");
            }
            assert_eq!(
                check_private_key(text, Some("x")),
                Err(PrivateKeyError::PassphraseUnneeded),
                "{first}"
            );
        }
        assert_eq!(check_private_key(key!("ed25519-encrypted"), Some("correct horse")), Ok(()));
    }

    /// Each mistake that people make is told apart.
    #[test]
    fn keys_that_do_not() {
        use PrivateKeyError::*;
        let encrypted = key!("ed25519-encrypted");
        let cut: String = key!("ed25519").lines().take(3).map(|line| format!("{line}\n")).collect();
        let changed = key!("p256-pkcs8.pem").replacen('M', "N", 1);
        for (text, passphrase, error) in [
            (encrypted, None, PassphraseMissing),
            (encrypted, Some("wrong horse"), PassphraseWrong),
            (key!("ed25519-rounds"), Some("x"), TooManyRounds),
            (key!("rsa-old-encryption.pem"), Some("correct horse"), OldEncryption),
            (key!("p256-pkcs8-encrypted.pem"), Some("x"), OldEncryption),
            (key!("public.txt"), None, Public),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", None, Putty),
            ("hunter2", None, NotAKey),
            ("", None, NotAKey),
            (&cut, None, NotAKey),
            (&changed, None, NotAKey),
            ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", None, NotAKey),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", None, NotAKey),
        ] {
            assert_eq!(check_private_key(text, passphrase), Err(error));
        }
    }
}
