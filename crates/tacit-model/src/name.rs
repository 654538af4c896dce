//! Names people give to things: what is allowed and when two are the same.

use std::{fmt, str::FromStr};

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::limits::{FOLDER_BYTES_MAX, NAME_BYTES_MAX};

/// Why a name is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters.
    #[error("must not be empty")]
    Empty,
    /// Over the limit.
    #[error("must be at most {0} bytes long")]
    TooLong(usize),
    /// For workspaces and environments.
    #[error("may hold only lower-case letters a-z, digits and hyphens, at most 63 of them")]
    Slug,
    /// Control characters, quotes, backslash, slash, braces.
    #[error("must not hold control characters, quotes, backslashes, slashes or braces")]
    Character,
    /// Blanks at an end.
    #[error("must not begin or end with a space")]
    Blank,
    /// Two spellings of one text.
    #[error("must be in Unicode normal form C")]
    NotNormal,
    /// `.` and `..` would be path segments.
    #[error("must not be `.` or `..`")]
    Dots,
    /// A folder path with empty parts.
    #[error("must be parts joined by single slashes, such as `payments/eu`")]
    Folder,
}

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

fn parse_slug(text: &str) -> Result<Box<str>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.len() > 63 || !text.bytes().all(allowed) {
        return Err(NameError::Slug);
    }
    Ok(text.into())
}

/// A workspace's name: `[a-z0-9-]{1,63}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceName(Box<str>);
text_type!(WorkspaceName);

impl FromStr for WorkspaceName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        parse_slug(text).map(Self)
    }
}

/// An environment's name: `[a-z0-9-]{1,63}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentName(Box<str>);
text_type!(EnvironmentName);

impl FromStr for EnvironmentName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        parse_slug(text).map(Self)
    }
}

/// The name of a secret, a variable, an automation or an account: an identifier or plain words.
///
/// 1 to 128 bytes in normal form C, without control characters, quotes, backslash, slash, braces, or a space at an
/// end. Two names that differ only in case are the same name; [`SecretName::key`] is what is unique.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(Box<str>);
text_type!(SecretName);

impl SecretName {
    /// The form under which a name is unique and looked up: lower case, normal form C.
    pub fn key(&self) -> String {
        Self::key_of(&self.0)
    }

    fn key_of(text: &str) -> String {
        text.to_lowercase().nfc().collect()
    }

    /// Whether `{{secrets.NAME}}` can be written without quotes.
    pub fn is_identifier(&self) -> bool {
        self.0.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }
}

impl FromStr for SecretName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong(NAME_BYTES_MAX));
        }
        if text.chars().any(is_forbidden) {
            return Err(NameError::Character);
        }
        if text.trim() != text {
            return Err(NameError::Blank);
        }
        if text == "." || text == ".." {
            return Err(NameError::Dots);
        }
        if !is_nfc(text) {
            return Err(NameError::NotNormal);
        }
        Ok(Self(text.into()))
    }
}

/// Quotes of every kind would end a reference early or fool a reader; what is not seen makes two names look alike.
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '"' | '\'' | '`' | '\\' | '/' | '{' | '}')
        || is_invisible(c)
        || (c.is_whitespace() && c != ' ')
}

/// Characters that a reader does not see: those that Unicode lets be ignored (`Default_Ignorable_Code_Point`: joiners,
/// bidirectional marks, soft hyphens, fillers, variation selectors, tags), separators, and marks of annotations.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}'
    ) || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

/// An editable path that groups secrets, such as `payments/eu`; empty for none.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Folder(Box<str>);
text_type!(Folder);

impl FromStr for Folder {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > FOLDER_BYTES_MAX {
            return Err(NameError::TooLong(FOLDER_BYTES_MAX));
        }
        if text.is_empty() {
            return Ok(Self("".into()));
        }
        for part in text.split('/') {
            if part.parse::<SecretName>().is_err() {
                return Err(NameError::Folder);
            }
        }
        Ok(Self(text.into()))
    }
}

impl Folder {
    /// Whether another folder is this one or lies below it. Segments count whole: `pay` does not hold `payments`. The
    /// empty path holds all.
    pub fn contains(&self, other: &Folder) -> bool {
        self.0.is_empty()
            || other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three spellings of the contract are names; the rest breaks one rule each.
    #[test]
    fn secret_names() {
        for good in [
            "STRIPE_KEY",
            "stripe-api-key",
            "HubSpot API key – production",
            "ключ",
            "a",
            "x.y",
            &"n".repeat(128),
        ] {
            assert!(good.parse::<SecretName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            " a",
            "a ",
            "a/b",
            "a\\b",
            "a\"b",
            "a'b",
            "a`b",
            "{a",
            "a}",
            "a\nb",
            "a\u{0}",
            "..",
            "e\u{301}",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{ad}b",
            "a\u{34f}",
            "owner\u{3164}",
            "owner\u{fe0f}",
            "owner\u{e0041}",
            "a\u{a0}b",
            "a\u{2003}b",
            &"n".repeat(129),
        ] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad:?}");
        }
    }

    /// Case does not make a new name.
    #[test]
    fn names_are_unique_ignoring_case() {
        let key = |name: &str| name.parse::<SecretName>().map(|n| n.key());
        assert_eq!(key("Stripe_Key"), key("STRIPE_KEY"));
        assert_eq!(key("ÄPFEL"), key("äpfel"));
    }

    /// Workspaces and environments are slugs; folders are paths of names.
    #[test]
    fn slugs_and_folders() {
        assert!("live-2".parse::<EnvironmentName>().is_ok());
        for bad in ["", "Live", "a_b", "a.b", &"x".repeat(64)] {
            assert!(bad.parse::<WorkspaceName>().is_err(), "{bad}");
        }
        assert!("payments/eu".parse::<Folder>().is_ok());
        for bad in ["/a", "a/", "a//b", "a/../b"] {
            assert!(bad.parse::<Folder>().is_err(), "{bad}");
        }
    }
}
