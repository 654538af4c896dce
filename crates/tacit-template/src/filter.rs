//! The filters after `|`: text in, text out. None takes an argument and none is ever applied to a secret.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// One filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// RFC 4648 §4, with padding.
    Base64,
    /// RFC 4648 §5, without padding, as JWTs have it.
    Base64Url,
    /// Lower-case hexadecimal of the UTF-8 bytes.
    Hex,
    /// Percent-encodes everything but RFC 3986's unreserved characters; a space becomes `%20`.
    UrlEncode,
    /// The value as compact JSON: a string gets its quotes and escapes.
    Json,
    /// Unicode upper case.
    Upper,
    /// Unicode lower case.
    Lower,
    /// Without white space at both ends.
    Trim,
}

/// Every filter by its name.
pub(crate) const FILTERS: [(&str, Filter); 8] = [
    ("base64", Filter::Base64),
    ("base64url", Filter::Base64Url),
    ("hex", Filter::Hex),
    ("urlencode", Filter::UrlEncode),
    ("json", Filter::Json),
    ("upper", Filter::Upper),
    ("lower", Filter::Lower),
    ("trim", Filter::Trim),
];

impl Filter {
    pub(crate) fn named(name: &str) -> Option<Self> {
        FILTERS.iter().find(|(known, _)| *known == name).map(|(_, filter)| *filter)
    }

    pub(crate) fn apply(self, text: &str) -> String {
        match self {
            Filter::Base64 => STANDARD.encode(text),
            Filter::Base64Url => URL_SAFE_NO_PAD.encode(text),
            Filter::Hex => hex(text),
            Filter::UrlEncode => percent_encode(text),
            Filter::Json => Value::from(text).to_string(),
            Filter::Upper => text.to_uppercase(),
            Filter::Lower => text.to_lowercase(),
            Filter::Trim => text.trim().to_owned(),
        }
    }
}

fn hex(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.bytes().flat_map(|byte| digits(byte, DIGITS)).collect()
}

fn percent_encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(digits(byte, DIGITS));
        }
    }
    encoded
}

fn digits(byte: u8, digits: &[u8; 16]) -> [char; 2] {
    [byte >> 4, byte & 15].map(|nibble| char::from(digits[usize::from(nibble)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each filter against a vector written by hand.
    #[test]
    fn vectors() {
        for (name, text, expected) in [
            ("base64", "fo", "Zm8="),
            ("base64", "\u{fff}>", "4L+/Pg=="),
            ("base64url", "\u{fff}>", "4L-_Pg"),
            ("hex", "Az\n\u{e9}", "417a0ac3a9"),
            ("urlencode", "a b/c?d=é&~-._", "a%20b%2Fc%3Fd%3D%C3%A9%26~-._"),
            ("urlencode", "\r\n+%", "%0D%0A%2B%25"),
            ("json", "say \"hi\"\n", "\"say \\\"hi\\\"\\n\""),
            ("upper", "straße", "STRASSE"),
            ("lower", "ÄB", "äb"),
            ("trim", " \t a b \n", "a b"),
        ] {
            assert_eq!(Filter::named(name).unwrap().apply(text), expected, "{name}");
        }
        assert_eq!(Filter::named("md5"), None);
        assert_eq!(Filter::named("BASE64"), None);
    }
}
