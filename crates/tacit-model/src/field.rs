//! The types of secrets and the fields each has.

use std::{fmt, str::FromStr};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::{limits::VALUE_BYTES_MAX, place::is_header_name};

/// What kind of credential a secret is. Fixed at creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SecretType {
    /// One text.
    Text,
    /// User name and password.
    BasicAuth,
    /// A bearer token.
    BearerToken,
    /// A key that a service wants in a header of its own.
    ApiKey,
    /// Any JSON.
    Json,
}

/// Who may ever look at a value. Fixed at creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Nobody.
    Restricted,
    /// Those who hold `secret.reveal`.
    Masked,
}

impl Visibility {
    /// `restricted` or `masked`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Masked => "masked",
        }
    }
}

impl FromStr for Visibility {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "restricted" => Ok(Self::Restricted),
            "masked" => Ok(Self::Masked),
            _ => Err(()),
        }
    }
}

/// One field of a type.
#[derive(Debug)]
pub struct FieldSpec {
    /// The field's name on the wire.
    pub name: &'static str,
    /// Whether it is hidden; the others show in metadata.
    pub secret: bool,
}

const fn hidden(name: &'static str) -> FieldSpec {
    FieldSpec { name, secret: true }
}

const fn shown(name: &'static str) -> FieldSpec {
    FieldSpec { name, secret: false }
}

impl SecretType {
    /// Every type.
    pub const ALL: &[SecretType] = &[
        SecretType::Text,
        SecretType::BasicAuth,
        SecretType::BearerToken,
        SecretType::ApiKey,
        SecretType::Json,
    ];

    /// The type's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::BasicAuth => "basic_auth",
            Self::BearerToken => "bearer_token",
            Self::ApiKey => "api_key",
            Self::Json => "json",
        }
    }

    /// The type's fields, all of them required.
    pub const fn fields(self) -> &'static [FieldSpec] {
        match self {
            Self::Text => const { &[hidden("value")] },
            Self::BasicAuth => const { &[shown("username"), hidden("password")] },
            Self::BearerToken => const { &[hidden("token")] },
            Self::ApiKey => const { &[shown("header"), hidden("key")] },
            Self::Json => const { &[hidden("content")] },
        }
    }

    /// What a reference without a field names.
    pub const fn main_field(self) -> &'static str {
        match self {
            Self::Text => "value",
            Self::BasicAuth => "password",
            Self::BearerToken => "token",
            Self::ApiKey => "key",
            Self::Json => "content",
        }
    }
}

impl FromStr for SecretType {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// Why fields are not a value of a type. Field names only: what was given is never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The type has no such field. The name is the caller's and may be anything, so it is shortened by the edge.
    #[error("is not a field of type {kind}; it has {expected}")]
    Unknown {
        /// The type.
        kind: &'static str,
        /// Its fields, for people.
        expected: String,
    },
    /// A field is missing.
    #[error("is required")]
    Missing,
    /// Not a JSON string.
    #[error("must be a text")]
    NotText,
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// Fields together over the limit.
    #[error("is over the limit of {VALUE_BYTES_MAX} bytes")]
    TooLong,
    /// Line breaks would end a header and begin another.
    #[error("must not hold line breaks or other control characters, because it is sent in a header")]
    ControlCharacter,
    /// `user:name`.
    #[error("must not hold a colon, which separates it from the password")]
    Colon,
    /// Not a header's name.
    #[error("must be the name of an HTTP header, such as X-Api-Key")]
    HeaderName,
    /// A value that reads like one of our placeholders.
    #[error("looks like a placeholder or token of Tacit; store the credential itself")]
    Placeholder,
}

/// The fields of one value, wiped when dropped. They are shown only field by field, by name.
pub struct Fields(Vec<(&'static str, Zeroizing<String>)>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields(..)")
    }
}

impl Fields {
    /// Checks a JSON object against a type.
    ///
    /// # Errors
    /// The field's name (empty when the whole is wrong) and what is wrong with it.
    pub fn parse(
        kind: SecretType,
        fields: &serde_json::Map<String, Value>,
    ) -> Result<Self, (String, FieldError)> {
        let specs = kind.fields();
        if let Some(unknown) = fields.keys().find(|name| !specs.iter().any(|spec| spec.name == name.as_str()))
        {
            let expected = specs.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ");
            let name: String = unknown.chars().filter(|c| !c.is_control()).take(40).collect();
            return Err((name, FieldError::Unknown { kind: kind.as_str(), expected }));
        }
        let mut parsed = Vec::with_capacity(specs.len());
        let mut total_bytes = 0;
        for spec in specs {
            let fail = |error| Err((spec.name.to_owned(), error));
            let Some(value) = fields.get(spec.name) else { return fail(FieldError::Missing) };
            let text = match (kind, value) {
                (SecretType::Json, value) => Zeroizing::new(value.to_string()),
                (_, Value::String(text)) => Zeroizing::new(text.clone()),
                _ => return fail(FieldError::NotText),
            };
            total_bytes += text.len();
            if total_bytes > VALUE_BYTES_MAX {
                return fail(FieldError::TooLong);
            }
            if let Err(error) = check_field(kind, spec.name, &text) {
                return fail(error);
            }
            parsed.push((spec.name, text));
        }
        Ok(Self(parsed))
    }

    /// The text of one field; of a `json` secret, its content as JSON text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, text)| text.as_str())
    }

    /// Names and texts, in the type's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// What gets sealed: each field as name, NUL, length in bytes, NUL, text. Unambiguous and free of escapes, so that
    /// no parser makes further copies of a value.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let size = self.0.iter().map(|(name, text)| name.len() + text.len() + 16).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        for (name, text) in &self.0 {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(text.len().to_string().as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// The inverse of [`Self::encode`]; `None` if the bytes are not this type's.
    pub fn decode(kind: SecretType, mut bytes: &[u8]) -> Option<Self> {
        let mut parsed = Vec::with_capacity(kind.fields().len());
        for spec in kind.fields() {
            let rest = bytes.strip_prefix(spec.name.as_bytes())?.strip_prefix(b"\0")?;
            let end = rest.iter().position(|b| *b == 0)?;
            let length: usize = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
            let text = rest.get(end + 1..end + 1 + length)?;
            parsed.push((spec.name, Zeroizing::new(std::str::from_utf8(text).ok()?.to_owned())));
            bytes = &rest[end + 1 + length..];
        }
        bytes.is_empty().then_some(Self(parsed))
    }

    /// The fields that show in metadata.
    pub fn shown(&self, kind: SecretType) -> serde_json::Map<String, Value> {
        let shown = kind.fields().iter().filter(|spec| !spec.secret);
        shown.filter_map(|spec| Some((spec.name.to_owned(), Value::from(self.text(spec.name)?)))).collect()
    }

    /// The hidden fields' texts: what must never come back in an answer.
    pub fn hidden(&self, kind: SecretType) -> impl Iterator<Item = (&'static str, &str)> {
        kind.fields()
            .iter()
            .filter(|spec| spec.secret)
            .filter_map(|spec| Some((spec.name, self.text(spec.name)?)))
    }
}

fn check_field(kind: SecretType, name: &str, text: &str) -> Result<(), FieldError> {
    if text.is_empty() {
        return Err(FieldError::Empty);
    }
    // Second-order use: a value that is itself a placeholder would be looked up when it comes by again.
    if text.contains("tct_ph_") {
        return Err(FieldError::Placeholder);
    }
    let goes_into_a_header =
        matches!(kind, SecretType::BasicAuth | SecretType::BearerToken | SecretType::ApiKey);
    if goes_into_a_header && text.chars().any(char::is_control) {
        return Err(FieldError::ControlCharacter);
    }
    match name {
        "username" if text.contains(':') => Err(FieldError::Colon),
        "header" if !is_header_name(text) => Err(FieldError::HeaderName),
        "header"
            if text.parse::<crate::Place>().is_err()
                && format!("header:{text}").parse::<crate::Place>().is_err() =>
        {
            Err(FieldError::HeaderName)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(kind: SecretType, value: Value) -> Result<Fields, (String, FieldError)> {
        Fields::parse(kind, value.as_object().unwrap())
    }

    /// Fields survive sealing's encoding, whatever is in them.
    #[test]
    fn encoding_round_trips() {
        let odd = "a\0b\n\"é\u{1f600}";
        let fields = parse(SecretType::Text, json!({ "value": odd })).unwrap();
        assert_eq!(Fields::decode(SecretType::Text, &fields.encode()).unwrap().text("value"), Some(odd));
        assert!(Fields::decode(SecretType::BasicAuth, &fields.encode()).is_none());
        let fields =
            parse(SecretType::BasicAuth, json!({"username": "u", "password": "p\0password\u{0}1\0x"}));
        assert!(fields.is_err(), "control characters do not go into headers");
        let fields = parse(SecretType::BasicAuth, json!({"username": "u", "password": "pässword"})).unwrap();
        let back = Fields::decode(SecretType::BasicAuth, &fields.encode()).unwrap();
        assert_eq!((back.text("username"), back.text("password")), (Some("u"), Some("pässword")));
    }

    /// Each broken rule is named with its field, and nothing that was given is repeated.
    #[test]
    fn bad_fields() {
        use FieldError::*;
        let error = |kind, value| parse(kind, value).unwrap_err();
        assert_eq!(error(SecretType::Text, json!({})), ("value".into(), Missing));
        assert_eq!(error(SecretType::Text, json!({"value": 1})), ("value".into(), NotText));
        assert_eq!(error(SecretType::Text, json!({"value": ""})), ("value".into(), Empty));
        assert_eq!(error(SecretType::Text, json!({"value": "x".repeat(65537)})), ("value".into(), TooLong));
        assert_eq!(
            error(SecretType::BearerToken, json!({"token": "a\r\nX: y"})),
            ("token".into(), ControlCharacter)
        );
        assert_eq!(
            error(SecretType::ApiKey, json!({"header": "Host", "key": "k"})),
            ("header".into(), HeaderName)
        );
        assert_eq!(
            error(SecretType::BasicAuth, json!({"username": "a:b", "password": "p"})),
            ("username".into(), Colon)
        );
        assert_eq!(error(SecretType::Text, json!({"value": "tct_ph_abc"})), ("value".into(), Placeholder));
        assert!(
            matches!(error(SecretType::Text, json!({"value": "v", "pin": "4711"})), (name, Unknown { .. }) if name == "pin")
        );
    }

    /// Only hidden fields are hidden, and every field is one or the other.
    #[test]
    fn shown_and_hidden() {
        let fields = parse(SecretType::ApiKey, json!({"header": "X-Key", "key": "k"})).unwrap();
        assert_eq!(Value::from(fields.shown(SecretType::ApiKey)), json!({"header": "X-Key"}));
        assert_eq!(fields.hidden(SecretType::ApiKey).collect::<Vec<_>>(), [("key", "k")]);
        assert_eq!(format!("{fields:?}"), "Fields(..)");
    }
}
