//! The types of secrets and the fields each has.

use std::{fmt, net::IpAddr, str::FromStr};

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
    /// User name and password of an SFTP server.
    SftpPassword,
    /// User name and private key of an SFTP server, perhaps with the key's passphrase.
    SftpPrivateKey,
    /// What a client gets access tokens with. The token URL is the only place its secret goes.
    Oauth2ClientCredentials,
    /// Any JSON.
    Json,
    /// An access-key pair of a storage service that speaks S3.
    AccessKey,
}

/// How a fetched token is called among the fields of the credentials that it was fetched with.
const ACCESS_TOKEN: &str = "access_token";

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
    /// Whether a value may be without it.
    pub optional: bool,
}

const fn hidden(name: &'static str) -> FieldSpec {
    FieldSpec { name, secret: true, optional: false }
}

const fn shown(name: &'static str) -> FieldSpec {
    FieldSpec { name, secret: false, optional: false }
}

const fn optional(spec: FieldSpec) -> FieldSpec {
    FieldSpec { optional: true, ..spec }
}

impl SecretType {
    /// Every type.
    pub const ALL: &[SecretType] = &[
        SecretType::Text,
        SecretType::BasicAuth,
        SecretType::BearerToken,
        SecretType::ApiKey,
        SecretType::SftpPassword,
        SecretType::SftpPrivateKey,
        SecretType::Oauth2ClientCredentials,
        SecretType::Json,
        SecretType::AccessKey,
    ];

    /// The type's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::BasicAuth => "basic_auth",
            Self::BearerToken => "bearer_token",
            Self::ApiKey => "api_key",
            Self::SftpPassword => "sftp_password",
            Self::SftpPrivateKey => "sftp_private_key",
            Self::Oauth2ClientCredentials => "oauth2_client_credentials",
            Self::Json => "json",
            Self::AccessKey => "access_key",
        }
    }

    /// The type's fields, in the order in which they are sealed.
    pub const fn fields(self) -> &'static [FieldSpec] {
        match self {
            Self::Text => const { &[hidden("value")] },
            Self::BasicAuth => const { &[shown("username"), hidden("password")] },
            Self::BearerToken => const { &[hidden("token")] },
            Self::ApiKey => const { &[shown("header"), hidden("key")] },
            Self::SftpPassword => const { &[shown("username"), hidden("password")] },
            Self::SftpPrivateKey => {
                const { &[shown("username"), hidden("private_key"), optional(hidden("passphrase"))] }
            }
            Self::Oauth2ClientCredentials => {
                const {
                    &[
                        shown("client_id"),
                        hidden("client_secret"),
                        shown("token_url"),
                        optional(shown("scopes")),
                    ]
                }
            }
            Self::Json => const { &[hidden("content")] },
            Self::AccessKey => {
                const { &[shown("access_key_id"), hidden("secret_access_key"), optional(shown("region"))] }
            }
        }
    }

    /// What a person is asked for first, and what a reference without a field names. Of OAuth2 client credentials a
    /// reference means the access token, which is fetched and not a field.
    pub const fn main_field(self) -> &'static str {
        match self {
            Self::Text => "value",
            Self::BasicAuth => "password",
            Self::BearerToken => "token",
            Self::ApiKey => "key",
            Self::SftpPassword => "password",
            Self::SftpPrivateKey => "private_key",
            Self::Oauth2ClientCredentials => "client_secret",
            Self::Json => "content",
            Self::AccessKey => "secret_access_key",
        }
    }

    /// What a reference without a field means in a request: the main field, but of OAuth2 client credentials the token that
    /// was fetched with them.
    pub const fn sent_field(self) -> &'static str {
        match self {
            Self::Oauth2ClientCredentials => ACCESS_TOKEN,
            _ => self.main_field(),
        }
    }

    /// Whether a field may stand in a request that the broker makes. Three may not: a client secret goes to its token URL
    /// alone, and a private key and its passphrase prove themselves by signing and are never sent.
    pub fn may_be_sent(self, field: &str) -> bool {
        match self {
            Self::Oauth2ClientCredentials => field != "client_secret",
            Self::SftpPrivateKey => field == "username",
            _ => true,
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
    /// Not an address that a token may be fetched from.
    #[error(
        "must be an https URL without user name, password or fragment, such as https://auth.example.com/token (http only with a host that is private by its name or address)"
    )]
    TokenUrl,
    /// Not a list of scopes.
    #[error("must be scopes with single spaces between them, without quotes or backslashes")]
    Scopes,
    /// Spaces or control characters in what is sent as one word.
    #[error("must not hold spaces or control characters")]
    Spaces,
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
            let text = match (kind, fields.get(spec.name)) {
                (_, None) if spec.optional => continue,
                (_, None) => return fail(FieldError::Missing),
                (SecretType::Json, Some(value)) => Zeroizing::new(value.to_string()),
                (_, Some(Value::String(text))) => Zeroizing::new(text.clone()),
                // Scopes are a list to most people and a text on the wire.
                (_, Some(Value::Array(items))) if spec.name == "scopes" => {
                    let words: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                    let Some(words) = words else { return fail(FieldError::Scopes) };
                    Zeroizing::new(words.join(" "))
                }
                (_, Some(_)) => return fail(FieldError::NotText),
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

    /// An access token, as a service gave it: the value of a bearer token.
    ///
    /// # Errors
    /// It cannot stand in a header, or reads like a placeholder.
    pub fn of_token(token: Zeroizing<String>) -> Result<Self, FieldError> {
        // RFC 6749, appendix A.12: visible characters. No service has spaces in them, and a header does not keep them.
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FieldError::Spaces);
        }
        check_field(SecretType::BearerToken, "token", &token)?;
        Ok(Self(vec![("token", token)]))
    }

    /// What a request may hold of OAuth2 client credentials: the fields that are shown, and the token that was fetched.
    pub fn with_access_token(shown: &serde_json::Map<String, Value>, token: &Self) -> Self {
        let specs = SecretType::Oauth2ClientCredentials.fields().iter().filter(|spec| !spec.secret);
        let text = |name| shown.get(name).and_then(Value::as_str).map(|text| Zeroizing::new(text.to_owned()));
        let mut fields: Vec<_> = specs.filter_map(|spec| Some((spec.name, text(spec.name)?))).collect();
        fields.extend(token.text("token").map(|text| (ACCESS_TOKEN, Zeroizing::new(text.to_owned()))));
        Self(fields)
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
            // No field's name is another one's beginning, so a field that is not here next is not here at all.
            let named = bytes.strip_prefix(spec.name.as_bytes()).and_then(|rest| rest.strip_prefix(b"\0"));
            let rest = match named {
                Some(rest) => rest,
                None if spec.optional => continue,
                None => return None,
            };
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
    match (kind, name) {
        (SecretType::BasicAuth | SecretType::BearerToken | SecretType::ApiKey, _)
            if text.chars().any(char::is_control) =>
        {
            Err(FieldError::ControlCharacter)
        }
        (SecretType::BasicAuth, "username") if text.contains(':') => Err(FieldError::Colon),
        (SecretType::ApiKey, "header") => check_header(text),
        (SecretType::SftpPassword | SecretType::SftpPrivateKey, "username" | "password" | "passphrase")
        | (SecretType::Oauth2ClientCredentials, "client_id" | "client_secret")
            if text.chars().any(char::is_control) =>
        {
            Err(FieldError::Spaces)
        }
        (SecretType::Oauth2ClientCredentials, "token_url") => check_token_url(text),
        (SecretType::Oauth2ClientCredentials, "scopes") => check_scopes(text),
        (SecretType::AccessKey, _) if text.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            Err(FieldError::Spaces)
        }
        _ => Ok(()),
    }
}

fn check_header(text: &str) -> Result<(), FieldError> {
    let is_place =
        text.parse::<crate::Place>().is_ok() || format!("header:{text}").parse::<crate::Place>().is_ok();
    if is_header_name(text) && is_place { Ok(()) } else { Err(FieldError::HeaderName) }
}

/// The client secret goes there, so it is judged like a destination: https, a host that we can name, nothing in it that
/// another parser could read differently. Whether a private address may be dialled is the operator's word, and only there
/// is http spoken.
fn check_token_url(text: &str) -> Result<(), FieldError> {
    let is_plain = text.chars().all(|c| c.is_ascii_graphic() && c != '\\' && c != '#');
    let is_safe = crate::Target::parse_url(text).is_ok_and(|(target, _)| match target.scheme() {
        crate::Scheme::Https => true,
        crate::Scheme::Http => is_private(target.host()),
        crate::Scheme::Sftp => false,
    });
    if is_plain && is_safe { Ok(()) } else { Err(FieldError::TokenUrl) }
}

/// Whether a host is one that the public Internet does not have.
fn is_private(host: &crate::Host) -> bool {
    const SUFFIXES: &[&str] = &[".internal", ".local", ".localhost", ".home.arpa"];
    match host {
        crate::Host::Ip(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
        crate::Host::Ip(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        crate::Host::Name(name) => {
            !name.contains('.') || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        }
    }
}

/// RFC 6749, section 3.3: `%x21 / %x23-5B / %x5D-7E`, one space between two of them.
fn check_scopes(text: &str) -> Result<(), FieldError> {
    let is_scope = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    if text.split(' ').all(is_scope) { Ok(()) } else { Err(FieldError::Scopes) }
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

    /// A value may be without its optional fields, and reads back as it was written, with them or without.
    #[test]
    fn optional_fields() {
        let kind = SecretType::SftpPrivateKey;
        for value in [
            json!({"username": "u", "private_key": "k"}),
            json!({"username": "u", "private_key": "k\0passphrase\x001\x00x", "passphrase": "p"}),
        ] {
            let fields = parse(kind, value.clone()).unwrap();
            let back = Fields::decode(kind, &fields.encode()).unwrap();
            assert_eq!(back.iter().collect::<Vec<_>>(), fields.iter().collect::<Vec<_>>());
            assert_eq!(back.text("passphrase"), value["passphrase"].as_str());
        }
        let without = parse(kind, json!({"username": "u", "private_key": "k"})).unwrap();
        assert!(Fields::decode(SecretType::SftpPassword, &without.encode()).is_none());
    }

    /// No field's name is another field's beginning within a type: the encoding relies on it.
    #[test]
    fn names_are_prefix_free() {
        for kind in SecretType::ALL {
            let fields = kind.fields();
            for (at, field) in fields.iter().enumerate() {
                let others = fields.iter().enumerate().filter(|(other, _)| *other != at);
                assert!(
                    others.map(|(_, other)| other.name).all(|other| !other.starts_with(field.name)),
                    "{kind:?}"
                );
            }
            let main = fields.iter().find(|field| field.name == kind.main_field());
            assert!(main.is_some_and(|field| field.secret && !field.optional), "{kind:?}");
        }
    }

    /// A token URL is where a client secret goes: https, and one reading.
    #[test]
    fn token_urls_and_scopes() {
        let with = |url: &str, scopes: Value| {
            let value = json!({"client_id": "c", "client_secret": "s", "token_url": url, "scopes": scopes});
            parse(SecretType::Oauth2ClientCredentials, value)
                .map(|fields| fields.text("scopes").unwrap().to_owned())
        };
        for good in [
            "https://auth.example.com/token",
            "https://auth.example.com:8443/t?tenant=1",
            "https://127.0.0.1:1/t",
            "http://127.0.0.1:1/t",
            "http://10.0.0.7/t",
            "http://[::1]:1/t",
            "http://keycloak:8080/token",
            "http://auth.corp.internal/token",
        ] {
            assert_eq!(with(good, json!("a b")).unwrap(), "a b", "{good}");
        }
        for bad in [
            "auth.example.com/token",
            "http://auth.example.com/token",
            "http://8.8.8.8/token",
            "http://local/../token",
            "https://",
            "https:///token",
            "ftp://auth.example.com",
            "https://u:p@auth.example.com/",
            "https://auth.example.com/#f",
            "https://auth.example.com\\@evil.example/",
            " https://auth.example.com/",
            "https://auth.example.com/a b",
            "javascript:alert(1)",
        ] {
            assert_eq!(
                with(bad, json!("a")).unwrap_err(),
                ("token_url".into(), FieldError::TokenUrl),
                "{bad}"
            );
        }
        assert_eq!(with("https://a.example/", json!(["read:a", "write:b"])).unwrap(), "read:a write:b");
        for bad in
            [json!("a  b"), json!(" a"), json!("a\"b"), json!(["a", 1]), json!(["", "a"]), json!("a\nb")]
        {
            assert_eq!(
                with("https://a.example/", bad.clone()).unwrap_err(),
                ("scopes".into(), FieldError::Scopes),
                "{bad}"
            );
        }
    }

    /// What must not be sent is known to the type.
    #[test]
    fn some_fields_are_never_sent() {
        assert!(!SecretType::Oauth2ClientCredentials.may_be_sent("client_secret"));
        assert!(!SecretType::SftpPrivateKey.may_be_sent("private_key"));
        assert!(!SecretType::SftpPrivateKey.may_be_sent("passphrase"));
        assert!(SecretType::Oauth2ClientCredentials.may_be_sent("client_id"));
        assert!(SecretType::Text.may_be_sent("value"));
    }

    /// A token is a bearer token; beside it stands what is shown of the credentials, and never the client secret.
    #[test]
    fn access_tokens() {
        let token = Fields::of_token(Zeroizing::new("eyJhbGciOi.x-_~+/=".to_owned())).unwrap();
        assert_eq!(token.hidden(SecretType::BearerToken).count(), 1);
        let shown = json!({"client_id": "c", "client_secret": "s", "token_url": "https://a.example/"});
        let fields = Fields::with_access_token(shown.as_object().unwrap(), &token);
        let sent = SecretType::Oauth2ClientCredentials.sent_field();
        assert_eq!(fields.text(sent), Some("eyJhbGciOi.x-_~+/="));
        assert_eq!((fields.text("client_id"), fields.text("client_secret")), (Some("c"), None));
        for bad in ["", "a b", "a\nb", "é", "tct_ph_x"] {
            assert!(Fields::of_token(Zeroizing::new(bad.to_owned())).is_err(), "{bad}");
        }
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
