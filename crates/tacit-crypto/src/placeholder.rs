//! Placeholders: what a program holds instead of a value.
//!
//! A placeholder is random and means nothing but in its lease; what is stored of it is a hash, as of a token. Its shape
//! is chosen by whoever asks for it, for programs that look at how a key begins, and never taken from the value: a
//! placeholder tells nothing of what it stands for, not even its length.
//!
//! The check at its end makes it recognisable without a look-up. It keeps a lookalike from being taken for one; it is
//! no proof of anything, since whoever can hash can make one.

use crate::token::{
    ALPHABET, CHECK_CHARS, TokenHash, TokenText, check_of, hash_of_well_formed, random_character,
};
use std::ops::Range;
use std::str::FromStr;
use zeroize::Zeroizing;

/// What a placeholder looks like. Its length is a constant of the shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `tct_ph_…`, 43 characters: says what it is.
    #[default]
    Generic,
    /// `sk_live_…`, 44 characters.
    SkLive,
    /// `ghp_…`, 40 characters.
    Ghp,
    /// `sk-…`, 51 characters.
    Sk,
    /// `xoxb-…`, 41 characters.
    Xoxb,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 5] = [Self::Generic, Self::SkLive, Self::Ghp, Self::Sk, Self::Xoxb];

    /// The shape's name, as it is asked for.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::SkLive => "sk_live",
            Self::Ghp => "ghp",
            Self::Sk => "sk",
            Self::Xoxb => "xoxb",
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Generic => "tct_ph_",
            Self::SkLive => "sk_live_",
            Self::Ghp => "ghp_",
            Self::Sk => "sk-",
            Self::Xoxb => "xoxb-",
        }
    }

    /// Random characters: 178.6 bits, and 250.1 of the longest.
    const fn body_chars(self) -> usize {
        match self {
            Self::Sk => 42,
            Self::Generic | Self::SkLive | Self::Ghp | Self::Xoxb => 30,
        }
    }

    /// Characters of a placeholder of this shape.
    #[must_use]
    pub const fn chars(self) -> usize {
        self.prefix().len() + self.body_chars() + CHECK_CHARS
    }
}

impl FromStr for Shape {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|shape| shape.as_str() == text).ok_or(())
    }
}

/// A new placeholder and its hash.
#[must_use]
pub fn generate_placeholder(shape: Shape) -> (TokenText, TokenHash) {
    assemble(shape, random_character)
}

fn assemble(shape: Shape, character: impl FnMut() -> u8) -> (TokenText, TokenHash) {
    // Reserved in full, because growing would leave a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(64));
    text.push_str(shape.prefix());
    text.extend(std::iter::repeat_with(character).take(shape.body_chars()).map(char::from));
    let check = check_of(&text);
    text.extend(check.map(char::from));
    let hash = hash_of_well_formed(&text);
    (TokenText(text), hash)
}

/// The hash to look a placeholder up by, if the text is one from its first to its last character.
#[must_use]
pub fn placeholder_hash(text: &[u8]) -> Option<TokenHash> {
    let shape = shape_at(text)?;
    if text.len() != shape.chars() {
        return None;
    }
    std::str::from_utf8(text).ok().map(hash_of_well_formed)
}

/// Where in a text something stands that is a placeholder by its looks, in ascending order. Two may overlap by the
/// characters with which the second begins. Whether it is anybody's, the look-up by [`placeholder_hash`] decides.
pub fn find_placeholders(text: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    (0..text.len()).filter_map(|at| {
        // The letters with which shapes begin: most of a long text is passed over by this.
        if !matches!(text[at], b't' | b's' | b'g' | b'x') {
            return None;
        }
        let shape = shape_at(&text[at..])?;
        Some(at..at + shape.chars())
    })
}

/// The shape of the placeholder with which a text begins.
fn shape_at(text: &[u8]) -> Option<Shape> {
    let shape = Shape::ALL.into_iter().find(|shape| text.starts_with(shape.prefix().as_bytes()))?;
    let candidate = text.get(..shape.chars())?;
    if !candidate[shape.prefix().len()..].iter().all(|byte| ALPHABET.contains(byte)) {
        return None;
    }
    let (checked, check) = std::str::from_utf8(candidate).ok()?.split_at(shape.chars() - CHECK_CHARS);
    (check.as_bytes() == check_of(checked)).then_some(shape)
}

/// For the vectors: a body of one character.
#[cfg(test)]
pub(crate) fn placeholder_for_vectors(shape: Shape, character: u8) -> (TokenText, TokenHash) {
    assemble(shape, || character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{TokenKind, hash_of, parse};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn text_of(shape: Shape) -> String {
        generate_placeholder(shape).0.dangerous_expose().to_owned()
    }

    fn found(text: &str) -> Vec<Range<usize>> {
        find_placeholders(text.as_bytes()).collect()
    }

    /// Each shape has its prefix and its one length, and is found by its looks alone.
    #[test]
    fn placeholders_have_the_length_of_their_shape_and_are_found() {
        for (shape, chars) in Shape::ALL.into_iter().zip([43, 44, 40, 51, 41]) {
            for _ in 0..20 {
                let (text, hash) = generate_placeholder(shape);
                let text = text.dangerous_expose();
                assert!(text.starts_with(shape.prefix()));
                assert_eq!((text.len(), shape.chars()), (chars, chars));
                assert_eq!(placeholder_hash(text.as_bytes()), Some(hash));
                assert_eq!(found(&format!("Bearer {text}, and more")), vec![7..7 + chars]);
                assert_eq!(found(&format!("x{text}{text}")), [1..1 + chars, 1 + chars..1 + 2 * chars]);
                assert_eq!(shape.as_str().parse(), Ok(shape));
            }
        }
        assert!("".parse::<Shape>().is_err());
    }

    /// A generic placeholder is a token of its own kind, which is no bearer token.
    #[test]
    fn a_generic_placeholder_is_a_token_of_its_kind() {
        let (text, hash) = generate_placeholder(Shape::Generic);
        assert_eq!(parse(text.dangerous_expose()), Ok((TokenKind::Placeholder, hash)));
        let (other, hash) = crate::token::generate(TokenKind::Placeholder);
        assert_eq!(placeholder_hash(other.dangerous_expose().as_bytes()), Some(hash));
    }

    /// H8 of the attacks: nothing about one placeholder helps to guess the next.
    #[test]
    fn no_two_placeholders_are_alike_and_all_characters_occur() {
        let mut seen = HashSet::new();
        let mut counts = [0u32; 62];
        for _ in 0..2000 {
            let text = text_of(Shape::Generic);
            for byte in text[7..37].bytes() {
                counts[ALPHABET.iter().position(|c| *c == byte).unwrap()] += 1;
            }
            assert!(seen.insert(text));
        }
        let expected = 60_000.0 / 62.0;
        let chi_square: f64 = counts.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
        // 61 degrees of freedom: above 120 happens to one honest generator in two hundred thousand.
        assert!(chi_square < 120.0, "{chi_square}");
    }

    /// What vendors hand out, and what is nearly a placeholder, is none.
    #[test]
    fn lookalikes_are_not_placeholders() {
        let text = text_of(Shape::SkLive);
        let swapped = text.replace("sk_live_", "sk_test_");
        for lookalike in [
            "sk_live_51H8xQ2eZvKYlo2C7b9d0e1f2a3b4c5d6e7f8a9b0",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "tct_ph_",
            "sk-",
            "",
            swapped.as_str(),
            &text[..text.len() - 1],
        ] {
            assert_eq!(found(lookalike), [], "{lookalike}");
            assert_eq!(placeholder_hash(lookalike.as_bytes()), None);
        }
        assert_eq!(placeholder_hash(format!("{text} ").as_bytes()), None);
        assert!(hash_of(&text).is_err());
    }

    /// A placeholder that begins within another one's end is found as well.
    #[test]
    fn overlapping_ones_are_both_found() {
        let live = text_of(Shape::SkLive);
        let with_end = loop {
            // Rejection: a generic placeholder whose last two characters are `sk`. 3,844 tries on average would be slow
            // for the check alone, so the body is varied and the check taken as it comes.
            let mut text = String::from("tct_ph_");
            text.extend((0..30).map(|_| char::from(random_character())));
            text.extend(check_of(&text).map(char::from));
            if text.ends_with("sk") {
                break text;
            }
        };
        let joined = format!("{}{}", with_end, &live[2..]);
        assert_eq!(found(&joined), [0..43, 41..85]);
    }

    proptest! {
        #[test]
        fn any_changed_character_is_noticed(at in 0..43usize, to in "[ -~]") {
            let text = text_of(Shape::Generic);
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assert_eq!(placeholder_hash(changed.as_bytes()).is_some(), changed == text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for range in find_placeholders(&bytes) {
                prop_assert!(placeholder_hash(&bytes[range]).is_some());
            }
        }
    }
}
