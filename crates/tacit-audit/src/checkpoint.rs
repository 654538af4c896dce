//! Checkpoints: a tree's size and root, signed, as text (C2SP `tlog-checkpoint` in a C2SP `signed-note`).
//!
//! A checkpoint that is kept where the database is not is what makes a cut or rolled-back record noticeable: the tree
//! of today must have the checkpoint's tree as its beginning.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    hex::Hex,
    merkle::{Hash, sha256},
};

/// Bytes of an origin, which is also the name of the key that signs for it.
pub const ORIGIN_BYTES_MAX: usize = 128;
/// Bytes of a note that is read. A checkpoint has some 200; witnesses may add a line each.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;

/// The signature type of the note format for Ed25519.
const ED25519_TYPE: u8 = 1;
/// What a line with a signature begins with.
const SIGNATURE_MARK: &str = "— ";

/// Why a checkpoint or a key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a key name: empty, too long, or with blanks, controls or a plus sign.
    #[error(
        "the origin must be 1 to {ORIGIN_BYTES_MAX} bytes without blanks, control characters or plus signs"
    )]
    Origin,
    /// A text that is no `NAME+ID+KEY`, or whose id is another key's.
    #[error("is not a checkpoint's public key of the form NAME+ID+KEY")]
    Key,
    /// Not a text followed by an empty line and signatures.
    #[error("is not a signed note")]
    NotANote,
    /// A signed note whose text is not an origin, a size and a root.
    #[error("is a signed note, but not of a checkpoint")]
    NotACheckpoint,
    /// Signed for another record.
    #[error("is a checkpoint of another origin")]
    OtherOrigin,
    /// None of the signatures is by the expected key.
    #[error("is not signed by the expected key")]
    Unsigned,
    /// The expected key is named, and the signature is not its own.
    #[error("has a signature that does not fit: the checkpoint was changed, or forged")]
    Forged,
}

/// Signs checkpoints of one origin. Holds a key: it prints its name and its public key's id only.
pub struct Signer {
    verifier: Verifier,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// From the origin, which is the key's name too, and the 32-byte Ed25519 seed (RFC 8032).
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Result<Self, CheckpointError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CheckpointError::Key)?;
        let public_key = pair.public_key().as_ref().try_into().map_err(|_| CheckpointError::Key)?;
        Ok(Self { verifier: Verifier::new(origin, public_key)?, pair })
    }

    /// The public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The note: the text, an empty line, the signature's line.
    fn sign(&self, text: &str) -> String {
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{SIGNATURE_MARK}{} {}\n", self.verifier.origin, STANDARD.encode(signature))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}+{})", self.verifier.origin, Hex(&self.verifier.id))
    }
}

/// The public half of a [`Signer`]. Prints and parses as the note format's `NAME+ID+KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    origin: String,
    id: [u8; 4],
    public_key: [u8; 32],
}

impl Verifier {
    /// From an origin and a raw Ed25519 public key.
    pub fn new(origin: &str, public_key: [u8; 32]) -> Result<Self, CheckpointError> {
        if !is_origin(origin) {
            return Err(CheckpointError::Origin);
        }
        Ok(Self { origin: origin.to_owned(), id: key_id(origin, &public_key), public_key })
    }

    /// The origin whose checkpoints this key signs.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The text of a note that this key signed. Other signatures are passed over: witnesses may add theirs.
    fn open<'a>(&self, note: &'a str) -> Result<&'a str, CheckpointError> {
        let (text, signatures) = split_note(note)?;
        let mut signed = false;
        for line in signatures.split_terminator('\n') {
            let (name, signature) = parse_signature(line)?;
            let Some((id, signature)) = signature.split_first_chunk::<4>() else {
                return Err(CheckpointError::NotANote);
            };
            if name != self.origin || *id != self.id {
                continue;
            }
            let key = UnparsedPublicKey::new(&ED25519, &self.public_key);
            key.verify(text.as_bytes(), signature).map_err(|_| CheckpointError::Forged)?;
            signed = true;
        }
        if signed { Ok(text) } else { Err(CheckpointError::Unsigned) }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.origin, Hex(&self.id), STANDARD.encode(typed_key(&self.public_key)))
    }
}

impl FromStr for Verifier {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let (origin, rest) = text.split_once('+').ok_or(CheckpointError::Key)?;
        let (_, key) = rest.split_once('+').ok_or(CheckpointError::Key)?;
        let key = STANDARD.decode(key).map_err(|_| CheckpointError::Key)?;
        let Some((&ED25519_TYPE, public_key)) = key.split_first() else { return Err(CheckpointError::Key) };
        let verifier = Self::new(origin, public_key.try_into().map_err(|_| CheckpointError::Key)?)?;
        // The id is computed, not believed; a text with another one was mistyped or put together.
        if verifier.to_string() == text { Ok(verifier) } else { Err(CheckpointError::Key) }
    }
}

/// `SHA-256(name ‖ 0x0A ‖ type ‖ key)[..4]` (C2SP `signed-note`).
fn key_id(origin: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let mut input = Vec::with_capacity(origin.len() + 34);
    input.extend_from_slice(origin.as_bytes());
    input.push(b'\n');
    input.extend_from_slice(&typed_key(public_key));
    let [a, b, c, d, ..] = sha256(&input);
    [a, b, c, d]
}

fn typed_key(public_key: &[u8; 32]) -> [u8; 33] {
    let mut typed = [ED25519_TYPE; 33];
    typed[1..].copy_from_slice(public_key);
    typed
}

fn is_origin(origin: &str) -> bool {
    (1..=ORIGIN_BYTES_MAX).contains(&origin.len())
        && !origin.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// The text with its last newline, and the lines of signatures with theirs.
fn split_note(note: &str) -> Result<(&str, &str), CheckpointError> {
    let readable =
        note.len() <= NOTE_BYTES_MAX && note.ends_with('\n') && !note.bytes().any(|b| b < b' ' && b != b'\n');
    let border = note.rfind("\n\n").filter(|_| readable).ok_or(CheckpointError::NotANote)?;
    let (text, signatures) = (&note[..=border], &note[border + 2..]);
    if signatures.is_empty() { Err(CheckpointError::NotANote) } else { Ok((text, signatures)) }
}

fn parse_signature(line: &str) -> Result<(&str, Vec<u8>), CheckpointError> {
    let (name, signature) = line
        .strip_prefix(SIGNATURE_MARK)
        .and_then(|rest| rest.split_once(' '))
        .ok_or(CheckpointError::NotANote)?;
    let signature = STANDARD.decode(signature).map_err(|_| CheckpointError::NotANote)?;
    Ok((name, signature))
}

/// A record's tree at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which record: a name that no other record has, such as `tacit.example.com/wsp_…`.
    pub origin: String,
    /// How many events the tree has.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
}

impl Checkpoint {
    /// The signed note. Refused if the signer signs for another origin, so that one key never speaks for two records.
    pub fn sign(&self, signer: &Signer) -> Result<String, CheckpointError> {
        if self.origin != signer.verifier.origin {
            return Err(CheckpointError::OtherOrigin);
        }
        Ok(signer.sign(&self.text()))
    }

    /// The checkpoint in a note, if the expected key signed it for its own origin. Nothing is returned unverified.
    pub fn verify(note: &str, verifier: &Verifier) -> Result<Checkpoint, CheckpointError> {
        let text = verifier.open(note)?;
        let checkpoint = Self::parse(text).ok_or(CheckpointError::NotACheckpoint)?;
        if checkpoint.origin == verifier.origin { Ok(checkpoint) } else { Err(CheckpointError::OtherOrigin) }
    }

    /// Three lines: origin, size in decimal, root in base64.
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split_terminator('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        let checkpoint = Self { origin: origin.to_owned(), size: size.parse().ok()?, root };
        // Leading zeros, a plus sign or a fourth line would be a second text of the same checkpoint.
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: [u8; 32] = [7; 32];

    fn signer() -> Signer {
        Signer::from_seed("tacit.test/wsp", &SEED).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "tacit.test/wsp".into(), size: 42, root: [3; 32] }
    }

    /// The key and the note that the Go library `golang.org/x/mod/sumdb/note` gives as its example.
    #[test]
    fn the_reference_note() {
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let note = format!(
            "{text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        let seed = STANDARD.decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();
        let signer = Signer::from_seed("PeterNeumann", seed[1..].try_into().unwrap()).unwrap();
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(signer.verifier().to_string(), vkey);
        assert_eq!(vkey.parse::<Verifier>().as_ref(), Ok(signer.verifier()));
        assert_eq!(signer.sign(text), note);
        assert_eq!(signer.verifier().open(&note), Ok(text));
        assert_eq!(Checkpoint::verify(&note, signer.verifier()), Err(CheckpointError::NotACheckpoint));
    }

    /// A checkpoint reads back, also with a witness's line before or after the signature.
    #[test]
    fn a_checkpoint_reads_back() {
        let signer = signer();
        let note = checkpoint().sign(&signer).unwrap();
        assert!(note.starts_with("tacit.test/wsp\n42\nAwMD"));
        assert_eq!(Checkpoint::verify(&note, signer.verifier()), Ok(checkpoint()));
        let witness = format!("— witness.test {}\n", STANDARD.encode([9; 68]));
        assert_eq!(Checkpoint::verify(&format!("{note}{witness}"), signer.verifier()), Ok(checkpoint()));
        let (text, signature) = note.split_at(note.find("\n\n").unwrap() + 2);
        assert_eq!(
            Checkpoint::verify(&format!("{text}{witness}{signature}"), signer.verifier()),
            Ok(checkpoint())
        );
    }

    /// No single changed byte, and no cut, leaves a note that verifies.
    #[test]
    fn a_changed_checkpoint_is_refused() {
        let signer = signer();
        let note = checkpoint().sign(&signer).unwrap();
        for at in 0..note.len() {
            assert!(
                note.get(..at).is_none_or(|cut| Checkpoint::verify(cut, signer.verifier()).is_err()),
                "cut at {at}"
            );
            for bit in 0..8 {
                let mut changed = note.clone().into_bytes();
                changed[at] ^= 1 << bit;
                let refused = String::from_utf8(changed)
                    .map_or(true, |text| Checkpoint::verify(&text, signer.verifier()).is_err());
                assert!(refused, "bit {bit} of byte {at}");
            }
        }
    }

    /// Forged size, another key of the same name, another record's key, no signature at all.
    #[test]
    fn must_fail() {
        let signer = signer();
        let note = checkpoint().sign(&signer).unwrap();
        let verify = |note: &str| Checkpoint::verify(note, signer.verifier());
        assert_eq!(verify(&note.replace("\n42\n", "\n41\n")), Err(CheckpointError::Forged));
        let imposter = Signer::from_seed("tacit.test/wsp", &[8; 32]).unwrap();
        assert_eq!(verify(&checkpoint().sign(&imposter).unwrap()), Err(CheckpointError::Unsigned));
        let other = Signer::from_seed("tacit.test/other", &SEED).unwrap();
        assert_eq!(checkpoint().sign(&other), Err(CheckpointError::OtherOrigin));
        assert_eq!(verify(&other.sign(&checkpoint().text())), Err(CheckpointError::Unsigned));
        assert_eq!(verify(&checkpoint().text()), Err(CheckpointError::NotANote));
        assert_eq!(verify(&format!("{}\n", checkpoint().text())), Err(CheckpointError::NotANote));
        assert_eq!(verify(""), Err(CheckpointError::NotANote));
        assert_eq!(verify(&"x\n".repeat(NOTE_BYTES_MAX)), Err(CheckpointError::NotANote));
        let root = STANDARD.encode([3; 32]);
        for text in [
            format!("tacit.test/wsp\n042\n{root}\n"),
            format!("tacit.test/wsp\n+42\n{root}\n"),
            format!("tacit.test/wsp\n18446744073709551616\n{root}\n"),
            format!("tacit.test/wsp\n42\n{}\n", STANDARD.encode([3; 31])),
            format!("tacit.test/wsp\n42\n{root}\nextension\n"),
            "tacit.test/wsp\n42\n".to_owned(),
        ] {
            assert_eq!(verify(&signer.sign(&text)), Err(CheckpointError::NotACheckpoint), "{text}");
        }
        let of_other = checkpoint().text().replace("/wsp", "/wsx");
        assert_eq!(verify(&signer.sign(&of_other)), Err(CheckpointError::OtherOrigin));
    }

    /// Origins that would break a line, and keys whose parts do not belong together, are refused.
    #[test]
    fn origins_and_keys() {
        for bad in ["", "a b", "a\nb", "a+b", "a\u{a0}b", &"x".repeat(129)] {
            assert!(matches!(Signer::from_seed(bad, &SEED), Err(CheckpointError::Origin)), "{bad:?}");
        }
        let key = signer().verifier().to_string();
        for bad in
            ["", "a", "a+b", "a+b+c", &key.replace("/wsp", "/wsx"), &format!("{key}A"), &key.to_uppercase()]
        {
            assert!(bad.parse::<Verifier>().is_err(), "{bad}");
        }
    }

    /// A signer's description says nothing of its key.
    #[test]
    fn a_signer_hides_its_seed() {
        let shown = format!("{:?}", signer());
        assert!(shown.starts_with("Signer(tacit.test/wsp+") && shown.len() < 40, "{shown}");
    }
}
