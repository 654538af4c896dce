//! The place in a request where a secret's value may stand.

use std::{fmt, str::FromStr};

/// One place. Two places are the same only if they are written the same (header names ignoring case).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The step's `auth`, a handwritten `Authorization`, or a well-known credential header.
    Auth,
    /// A header, its name in lower case.
    Header(Box<str>),
    /// A query parameter.
    Query(Box<str>),
    /// One whole segment of the path.
    Path,
    /// A JSON pointer (RFC 6901) into the body.
    Json(Box<str>),
    /// A field of a form body.
    Form(Box<str>),
    /// The key of a signature; the value itself is never sent.
    Signature,
}

/// The text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a place; write auth, header:NAME, query:NAME, path, json:/pointer, form:FIELD or signature")]
pub struct PlaceError;

/// Headers that carry a credential by convention; a reference there counts as [`Place::Auth`].
pub const CREDENTIAL_HEADERS: &[&str] =
    &["authorization", "x-api-key", "api-key", "x-auth-token", "private-token"];

/// Headers the broker makes itself or never sends, so that no destination may name them.
const UNPLACEABLE_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "content-encoding",
    "content-type",
    "proxy-authorization",
    "proxy-authenticate",
    "range",
    "if-range",
    "cookie",
    "referer",
    "user-agent",
    "forwarded",
    "via",
];

impl Place {
    /// Where a reference in this header stands.
    pub fn of_header(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        if CREDENTIAL_HEADERS.contains(&name.as_str()) { Self::Auth } else { Self::Header(name.into()) }
    }
}

/// A header name as HTTP defines it (RFC 9110 token).
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let (kind, argument) = match text.split_once(':') {
            Some((kind, argument)) => {
                (kind, Some(argument).filter(|a| !a.is_empty() && !a.chars().any(char::is_control)))
            }
            None => (text, None),
        };
        match (kind, argument, text.contains(':')) {
            ("auth", None, false) => Ok(Self::Auth),
            ("path", None, false) => Ok(Self::Path),
            ("signature", None, false) => Ok(Self::Signature),
            ("header", Some(name), _) if is_header_name(name) => {
                let name = name.to_ascii_lowercase();
                if UNPLACEABLE_HEADERS.contains(&name.as_str()) || name.starts_with("proxy-") {
                    return Err(PlaceError);
                }
                Ok(Self::of_header(&name))
            }
            ("query", Some(name), _) => Ok(Self::Query(name.into())),
            ("form", Some(name), _) => Ok(Self::Form(name.into())),
            ("json", Some(pointer), _) if pointer.starts_with('/') => Ok(Self::Json(pointer.into())),
            _ => Err(PlaceError),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auth => f.write_str("auth"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Path => f.write_str("path"),
            Self::Json(pointer) => write!(f, "json:{pointer}"),
            Self::Form(name) => write!(f, "form:{name}"),
            Self::Signature => f.write_str("signature"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every written form parses to itself; credential headers are `auth`; framing headers are no place.
    #[test]
    fn places() {
        for text in [
            "auth",
            "header:x-signature",
            "query:key",
            "path",
            "json:/client_secret",
            "form:client_secret",
            "signature",
        ] {
            assert_eq!(text.parse::<Place>().map(|p| p.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("header:X-API-Key".parse(), Ok(Place::Auth));
        for bad in [
            "",
            "header",
            "header:",
            "header:a b",
            "header:Host",
            "header:Cookie",
            "json:x",
            "body",
            "auth:x",
            "path:1",
            "cookie:x",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
