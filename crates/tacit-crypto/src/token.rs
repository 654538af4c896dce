//! Bearer tokens: recognisable, shown once, stored as a hash.
//!
//! `tct_<kind>_` lets a person and a scanner see what was found; the check at
//! the end lets both tell a token from a lookalike, and lets the server refuse
//! a mistyped one before it looks anything up.

use crate::hash::{ct_eq, labelled_sha256};
use crate::random::random_secret;
use std::fmt;
use std::hash::{Hash, Hasher};
use thiserror::Error;
use zeroize::Zeroizing;

/// How every token begins.
pub const PREFIX: &str = "tct_";
/// Random characters in a token: 178.6 bits.
pub const BODY_CHARS: usize = 30;
/// Characters of the check behind them.
pub const CHECK_CHARS: usize = 6;

pub(crate) const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECK_LABEL: &str = "tacit/1/token-check";
const HASH_LABEL: &str = "tacit/1/token";

/// Whose token it is. Written in the token, and so part of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A person's token, `tct_u_…`.
    User,
    /// A service account's token, `tct_sa_…`.
    ServiceAccount,
    /// The token of a lease, `tct_ls_…`.
    Lease,
    /// A console session, `tct_se_…`.
    Session,
    /// An agent's session, `tct_ag_…`.
    AgentSession,
    /// An invitation to a workspace, `tct_iv_…`.
    Invitation,
    /// The token in a webhook's address, `tct_wh_…`.
    Hook,
    /// A placeholder that stands for a value in a run, `tct_ph_…`. No bearer token.
    Placeholder,
}

impl TokenKind {
    const ALL: [Self; 8] = [
        Self::User,
        Self::ServiceAccount,
        Self::Lease,
        Self::Session,
        Self::AgentSession,
        Self::Invitation,
        Self::Hook,
        Self::Placeholder,
    ];

    /// The letters between the underscores.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::User => "u",
            Self::ServiceAccount => "sa",
            Self::Lease => "ls",
            Self::Session => "se",
            Self::AgentSession => "ag",
            Self::Invitation => "iv",
            Self::Hook => "wh",
            Self::Placeholder => "ph",
        }
    }
}

/// A token in clear, wiped when dropped: handed to its owner once, never kept.
///
/// ```compile_fail
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<tacit_crypto::token::TokenText>();
/// ```
/// ```compile_fail
/// fn needs<T: std::fmt::Display>() {}
/// needs::<tacit_crypto::token::TokenText>();
/// ```
/// ```compile_fail
/// fn needs<T: Clone>() {}
/// needs::<tacit_crypto::token::TokenText>();
/// ```
pub struct TokenText(pub(crate) Zeroizing<String>);

impl TokenText {
    /// The text. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn dangerous_expose(&self) -> &str {
        &self.0
    }
}

/// What is stored of a token: `SHA-256(L("tacit/1/token") ‖ text)`. Compared in
/// constant time.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The bytes, for the database.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the database.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(&self.0, &other.0)
    }
}

impl Eq for TokenHash {}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for TokenHash {
    /// The first four bytes: enough to tell two apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "TokenHash({:08x}..)", u32::from_be_bytes([a, b, c, d]))
    }
}

/// Why a text is no token. Quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It does not begin with `tct_`.
    #[error("this is not a token: tokens begin with `tct_`")]
    NotAToken,
    /// The kind is none that this version knows.
    #[error("the token is of a kind that this version does not know")]
    UnknownKind,
    /// Too short or too long.
    #[error("the token has the wrong length; it may have been cut when copied")]
    Length,
    /// A character that cannot occur.
    #[error("the token has a character that cannot occur in it")]
    Alphabet,
    /// A character is wrong somewhere.
    #[error("the token's check does not match; a character was changed when copied")]
    Check,
}

/// A new token and its hash.
#[must_use]
pub fn generate(kind: TokenKind) -> (TokenText, TokenHash) {
    let mut body = Zeroizing::new([0; BODY_CHARS]);
    for character in body.iter_mut() {
        *character = random_character();
    }
    assemble(kind, &body)
}

/// What kind of token a text claims to be, and its hash: [`kind_of`] and [`hash_of`] in one look.
///
/// # Errors
/// As [`hash_of`].
pub fn parse(presented: &str) -> Result<(TokenKind, TokenHash), TokenError> {
    let kind = kind_of(presented)?;
    Ok((kind, hash_of_well_formed(presented)))
}

/// The hash to look a presented token up by.
///
/// # Errors
///
/// Everything that is no well-formed token, without any look-up.
pub fn hash_of(presented: &str) -> Result<TokenHash, TokenError> {
    kind_of(presented)?;
    Ok(hash_of_well_formed(presented))
}

/// The kind of a presented token, for callers that accept only some.
///
/// # Errors
///
/// As [`hash_of`].
pub fn kind_of(presented: &str) -> Result<TokenKind, TokenError> {
    let rest = presented.strip_prefix(PREFIX).ok_or(TokenError::NotAToken)?;
    let (tag, secret) = rest.split_once('_').ok_or(TokenError::UnknownKind)?;
    let kind = TokenKind::ALL.into_iter().find(|kind| kind.tag() == tag).ok_or(TokenError::UnknownKind)?;
    // Length first: it bounds the work on foreign text.
    if secret.len() != BODY_CHARS + CHECK_CHARS {
        return Err(TokenError::Length);
    }
    if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(TokenError::Alphabet);
    }
    let (checked, check) = presented.split_at(presented.len() - CHECK_CHARS);
    if !ct_eq(check.as_bytes(), &check_of(checked)) {
        return Err(TokenError::Check);
    }
    Ok(kind)
}

fn assemble(kind: TokenKind, body: &[u8; BODY_CHARS]) -> (TokenText, TokenHash) {
    // Reserved in full, because growing would leave a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(64));
    text.push_str(PREFIX);
    text.push_str(kind.tag());
    text.push('_');
    text.extend(body.iter().map(|byte| char::from(*byte)));
    let check = check_of(&text);
    text.extend(check.map(char::from));
    let hash = hash_of_well_formed(&text);
    (TokenText(text), hash)
}

/// Uniform over the alphabet: bytes from 248 are drawn again, since 256 is no
/// multiple of 62 and the first eight characters would be likelier.
pub(crate) fn random_character() -> u8 {
    loop {
        let byte = random_secret::<1>()[0];
        if byte < 248 {
            return ALPHABET[usize::from(byte % 62)];
        }
    }
}

pub(crate) fn hash_of_well_formed(text: &str) -> TokenHash {
    TokenHash(labelled_sha256(HASH_LABEL, text.as_bytes()))
}

/// The first eight bytes of a hash, modulo 62⁶, in six digits.
pub(crate) fn check_of(text: &str) -> [u8; CHECK_CHARS] {
    let [a, b, c, d, e, f, g, h, ..] = labelled_sha256(CHECK_LABEL, text.as_bytes());
    let mut rest = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let mut digits = [0; CHECK_CHARS];
    // From the last digit: what the sixth division leaves over is dropped,
    // which is the modulus.
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// For the vectors: a chosen body.
#[cfg(test)]
pub(crate) fn token_for_vectors(kind: TokenKind, body: &[u8; BODY_CHARS]) -> (TokenText, TokenHash) {
    assemble(kind, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn tokens_of_every_kind_are_recognised() {
        for kind in TokenKind::ALL {
            let (text, hash) = generate(kind);
            let text = text.dangerous_expose();
            assert!(text.starts_with(&format!("tct_{}_", kind.tag())));
            assert_eq!(text.len(), 5 + kind.tag().len() + 36);
            assert_eq!(hash_of(text), Ok(hash));
            assert_eq!(kind_of(text), Ok(kind));
            assert_eq!(TokenHash::from_bytes(*hash.as_bytes()), hash);
        }
    }

    #[test]
    fn no_two_tokens_are_alike_and_all_characters_occur() {
        let mut seen = HashSet::new();
        let mut characters = HashSet::new();
        for _ in 0..500 {
            let (text, hash) = generate(TokenKind::User);
            assert!(seen.insert(hash));
            characters.extend(text.dangerous_expose()[6..36].bytes());
        }
        assert_eq!(characters.len(), 62);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let (text, _) = generate(TokenKind::ServiceAccount);
        let text = text.dangerous_expose();
        assert_eq!(hash_of(""), Err(TokenError::NotAToken));
        assert_eq!(hash_of("ghp_abc"), Err(TokenError::NotAToken));
        assert_eq!(hash_of(&format!(" {text}")), Err(TokenError::NotAToken));
        assert_eq!(hash_of("tct_"), Err(TokenError::UnknownKind));
        assert_eq!(hash_of(&text.replace("_sa_", "_xx_")), Err(TokenError::UnknownKind));
        assert_eq!(hash_of(&text[..text.len() - 1]), Err(TokenError::Length));
        assert_eq!(hash_of(&format!("{text} ")), Err(TokenError::Length));
        assert_eq!(hash_of(&format!("tct_u_{}", "é".repeat(18))), Err(TokenError::Alphabet));
        // A token made for one kind is none of another.
        assert_eq!(hash_of(&text.replace("_sa_", "_u_")), Err(TokenError::Check));
    }

    proptest! {
        #[test]
        fn any_changed_character_is_noticed(at in 0..42usize, to in "[ -~]") {
            let (text, _) = generate(TokenKind::User);
            let text = text.dangerous_expose();
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assert_eq!(hash_of(&changed).is_ok(), changed == text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = hash_of(&text);
            let _ = hash_of(&format!("tct_u_{text}"));
        }
    }
}
