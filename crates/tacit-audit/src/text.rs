//! The few texts an event may hold, each with a grammar of its own.
//!
//! None of them takes a caller's `String` as it is. A constructor either starts from a type of `tacit-model` that was
//! parsed before, or checks a grammar too narrow for the values people keep secret, or cleans what it gets.

use std::{borrow::Cow, fmt};

use tacit_model::{Place, RequestPath, Scheme, Target, destination::PathPattern};

/// Bytes of a [`Label`].
pub const LABEL_BYTES_MAX: usize = 128;
/// Bytes of a [`Code`].
pub const CODE_BYTES_MAX: usize = 40;
/// Bytes of a [`MethodText`].
pub const METHOD_BYTES_MAX: usize = 20;
/// Bytes of a [`RuleText`].
pub const RULE_BYTES_MAX: usize = 512;
/// Bytes of a [`StepText`].
pub const STEP_BYTES_MAX: usize = 63;
/// Bytes of the name inside a recorded [`Place`], such as a header's; what is longer is cut.
pub const PLACE_NAME_BYTES_MAX: usize = 200;

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            /// The text as it is recorded.
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
    };
}

/// The name of an actor or an object as it was when the event happened: at most 128 bytes, nothing that moves a cursor.
///
/// Names can change and things can be purged, so the record keeps the name beside the id.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Label(Box<str>);
text_type!(Label);

impl Label {
    /// The name, made fit for the record.
    ///
    /// Cleaning instead of refusing: an event must never be lost because something has an odd name. Characters that
    /// could forge a line or reorder one (controls, bidirectional overrides, zero-width joiners) become U+FFFD, and
    /// what is over 128 bytes is cut.
    pub fn new(name: &str) -> Self {
        Self(clean(name, LABEL_BYTES_MAX).into())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        is_clean(text, LABEL_BYTES_MAX).then(|| Self(text.into()))
    }
}

/// Controls and format characters, the ones `tacit-model` forbids in names.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn is_clean(text: &str, bytes_max: usize) -> bool {
    // The bytes of nearly every name are printable ASCII; only others are worth decoding.
    let plain = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    text.len() <= bytes_max && (plain || !text.contains(is_unprintable))
}

fn clean(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if is_clean(text, bytes_max) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(bytes_max);
    for c in text.chars() {
        let c = if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c };
        if cleaned.len() + c.len_utf8() > bytes_max {
            break;
        }
        cleaned.push(c);
    }
    Cow::Owned(cleaned)
}

/// Why something was refused or failed: one of the stable codes, `[a-z_]{1,40}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Code(Cow<'static, str>);
text_type!(Code);

impl Code {
    /// A code that is written in the program. It takes a `&'static str` so that no text made while running, such as
    /// an upstream's message, can become one.
    ///
    /// A text that is no code is recorded as `invalid_code`: a wrong constant must not cost the event.
    pub const fn new(code: &'static str) -> Self {
        Self(Cow::Borrowed(if is_code(code) { code } else { "invalid_code" }))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        is_code(text).then(|| Self(Cow::Owned(text.to_owned())))
    }
}

const fn is_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_lowercase() || bytes[at] == b'_') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= CODE_BYTES_MAX
}

/// Where a request went: `scheme://host`, or `scheme://host:port` where the port is not the scheme's own.
///
/// Made from a [`Target`] only, so it has no user info, no path and no query. The scheme is `http`, `https` or `sftp`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetText(Box<str>);
text_type!(TargetText);

impl TargetText {
    /// The target in its one spelling.
    ///
    /// A target put together by hand from parts that no parser would accept is recorded as
    /// `scheme://malformed.invalid`, a name that cannot exist: what is recorded always reads back.
    pub fn new(target: &Target) -> Self {
        let text = target.to_string();
        Self::parse(&text)
            .unwrap_or_else(|| Self(format!("{}://malformed.invalid", target.scheme().as_str()).into()))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (target, bare) = match text.strip_prefix("sftp://") {
            Some(authority) => (Target::parse_authority(Scheme::Sftp, authority).ok()?, true),
            None => {
                let (target, path) = Target::parse_url(text).ok()?;
                (target, path.path() == "/" && path.query().is_none())
            }
        };
        (bare && target.to_string() == text).then(|| Self(text.into()))
    }
}

impl From<&Target> for TargetText {
    fn from(target: &Target) -> Self {
        Self::new(target)
    }
}

/// A request's method: `[A-Z-]{1,20}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MethodText(Box<str>);
text_type!(MethodText);

impl MethodText {
    /// The method, or `None` for a text that is none: the event then simply has no method.
    pub fn new(method: &str) -> Option<Self> {
        let fits = (1..=METHOD_BYTES_MAX).contains(&method.len());
        (fits && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')).then(|| Self(method.into()))
    }
}

/// Which of a destination's path patterns allowed a request: the pattern as written in the policy, or `any`.
///
/// It is the policy's text and never the request's path, which a template may have put anything into.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RuleText(Box<str>);
text_type!(RuleText);

/// Stands for the segments of a pattern that did not fit. A pattern is ASCII, so this is never part of one.
const CUT: &str = "/…";

impl RuleText {
    /// The destination names no paths.
    pub fn any() -> Self {
        Self("any".into())
    }

    /// The pattern as written. One over 512 bytes is cut after a whole segment and ends in `/…`.
    pub fn new(pattern: &PathPattern) -> Self {
        let text = pattern.to_string();
        Self::parse(&text).unwrap_or_else(|| Self(cut_pattern(&text).into()))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let pattern = text.strip_suffix(CUT).unwrap_or(text);
        let valid = text == "any" || is_pattern(pattern) || text == CUT;
        (valid && text.len() <= RULE_BYTES_MAX).then(|| Self(text.into()))
    }
}

impl From<&PathPattern> for RuleText {
    fn from(pattern: &PathPattern) -> Self {
        Self::new(pattern)
    }
}

fn cut_pattern(text: &str) -> String {
    let room = text.floor_char_boundary(RULE_BYTES_MAX - CUT.len());
    let kept = text[..room].rfind('/').map_or("", |end| &text[..end]);
    format!("{}{CUT}", if is_pattern(kept) { kept } else { "" })
}

/// The grammar of [`PathPattern`]: a path in normal form whose segments may be `*`, and `/**` at the end.
fn is_pattern(text: &str) -> bool {
    let fixed = text.strip_suffix("/**").unwrap_or(text);
    let stars_are_whole = fixed.split('/').all(|segment| segment == "*" || !segment.contains('*'));
    text.starts_with('/')
        && stars_are_whole
        && !text.contains(['?', '#'])
        && (fixed.is_empty() || RequestPath::parse(fixed).is_ok())
}

/// The id of a step: `[A-Za-z0-9_-]{1,63}`, as a definition may have it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StepText(Box<str>);
text_type!(StepText);

impl StepText {
    /// The id, or `None` for a text that no definition could have as one.
    pub fn new(id: &str) -> Option<Self> {
        let fits = (1..=STEP_BYTES_MAX).contains(&id.len());
        (fits && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'))
            .then(|| Self(id.into()))
    }
}

/// A place as it is recorded: its kind with the colon, and its cleaned name.
///
/// [`Place`]'s variants are public, so one can be built that its parser would refuse. The record takes it anyhow,
/// cleaned and cut: a refused place is exactly what an event about a refusal has to tell.
pub(crate) fn place_parts(place: &Place) -> (&'static str, Cow<'_, str>) {
    let named = |name| clean(name, PLACE_NAME_BYTES_MAX);
    match place {
        Place::Auth => ("auth", Cow::Borrowed("")),
        Place::Path => ("path", Cow::Borrowed("")),
        Place::Signature => ("signature", Cow::Borrowed("")),
        Place::Header(name) => ("header:", named(name)),
        Place::Query(name) => ("query:", named(name)),
        Place::Json(pointer) => ("json:", named(pointer)),
        Place::Form(name) => ("form:", named(name)),
    }
}

/// The inverse of [`place_parts`].
pub(crate) fn parse_place(text: &str) -> Option<Place> {
    match text {
        "auth" => return Some(Place::Auth),
        "path" => return Some(Place::Path),
        "signature" => return Some(Place::Signature),
        _ => {}
    }
    let (kind, name) = text.split_once(':')?;
    if !is_clean(name, PLACE_NAME_BYTES_MAX) {
        return None;
    }
    match kind {
        "header" => Some(Place::Header(name.into())),
        "query" => Some(Place::Query(name.into())),
        "json" => Some(Place::Json(name.into())),
        "form" => Some(Place::Form(name.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacit_model::{Destination, Host};

    fn pattern(text: &str) -> PathPattern {
        let json = serde_json::json!({"host": "x.test", "paths": [text]});
        serde_json::from_value::<Destination>(json).unwrap().paths.remove(0)
    }

    /// A label cannot forge a line, reorder one or be long, and cleaning twice is cleaning once.
    #[test]
    fn labels_are_cleaned() {
        assert_eq!(Label::new("STRIPE_KEY").as_str(), "STRIPE_KEY");
        assert_eq!(Label::new("a\nb\u{202e}c\u{0}").as_str(), "a\u{fffd}b\u{fffd}c\u{fffd}");
        for odd in ["ü".repeat(65), "\n".repeat(500), format!("a{}", "ü".repeat(64)), "x".repeat(128)] {
            let label = Label::new(&odd);
            assert!(label.as_str().len() <= 128 && Label::parse(label.as_str()) == Some(label.clone()));
        }
    }

    /// A code is a constant of the program; anything else is recorded as what it is, a mistake.
    #[test]
    fn codes() {
        assert_eq!(Code::new("destination_not_allowed").as_str(), "destination_not_allowed");
        for bad in ["", "Bad", "a b", "a1", "a.b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert_eq!(Code::new(bad).as_str(), "invalid_code");
            assert!(Code::parse(bad).is_none());
        }
    }

    /// Only a bare origin in its one spelling reads back as a target.
    #[test]
    fn targets() {
        for good in ["https://api.stripe.com", "http://127.0.0.1:8080", "https://[::1]:8443"] {
            let (target, _) = Target::parse_url(good).unwrap();
            assert_eq!(TargetText::new(&target).as_str(), good);
            assert!(TargetText::parse(good).is_some());
        }
        for good in ["sftp://files.test", "sftp://127.0.0.1:2222", "sftp://[::1]:2222"] {
            let target = Target::parse_authority(Scheme::Sftp, &good[7..]).unwrap();
            assert_eq!(TargetText::new(&target).as_str(), good);
            assert!(TargetText::parse(good).is_some());
        }
        for bad in [
            "sftp://a.test/",
            "sftp://a.test:22",
            "sftp://u@a.test",
            "https://a.test/",
            "https://a.test:443",
            "https://A.test",
            "https://a.test/x",
            "https://a.test?x",
            "https://u:p@a.test",
        ] {
            assert!(TargetText::parse(bad).is_none(), "{bad}");
        }
        let by_hand = Target::new(Scheme::Https, Host::Name("sk live\n".into()), 0);
        assert_eq!(TargetText::new(&by_hand).as_str(), "https://malformed.invalid");
    }

    /// Every pattern a policy can have is a rule; a request's own path with a query is not.
    #[test]
    fn rules() {
        for good in ["/", "/**", "/v1/charges", "/v1/*/x", "/v1/charges/**", "/a/"] {
            assert_eq!(RuleText::new(&pattern(good)).as_str(), good);
        }
        let long = format!("/{}/{}/**", "a".repeat(300), "b".repeat(300));
        let cut = RuleText::new(&pattern(&long));
        assert_eq!(cut.as_str(), format!("/{}/…", "a".repeat(300)));
        assert_eq!(RuleText::parse(cut.as_str()), Some(cut));
        let one = RuleText::new(&pattern(&format!("/{}", "a".repeat(600))));
        assert_eq!(one.as_str(), "/…");
        assert_eq!(RuleText::parse(one.as_str()), Some(one));
        for bad in ["", "any ", "v1", "/a?x=1", "/a/../b", "/v*", "/**/x", "/a b"] {
            assert!(RuleText::parse(bad).is_none(), "{bad}");
        }
    }

    /// Methods and step ids are what the model lets them be.
    #[test]
    fn methods_and_steps() {
        assert!(MethodText::new("GET").is_some() && MethodText::new("VERSION-CONTROL").is_some());
        for bad in ["", "get", "GET IT", "G3T", "ABCDEFGHIJKLMNOPQRSTU"] {
            assert!(MethodText::new(bad).is_none(), "{bad}");
        }
        assert!(StepText::new("charge_1-a").is_some());
        for bad in ["", "a b", "a.b", &"x".repeat(64)] {
            assert!(StepText::new(bad).is_none(), "{bad}");
        }
    }

    /// Every place reads back, and one that was built by hand is cleaned, not lost.
    #[test]
    fn places() {
        for text in ["auth", "path", "signature", "header:x-sig", "query:k", "json:/a/b", "form:f"] {
            let place: Place = text.parse().unwrap();
            let (kind, name) = place_parts(&place);
            assert_eq!(format!("{kind}{name}"), text);
            assert_eq!(parse_place(text), Some(place));
        }
        let odd = Place::Query("a\r\nb".into());
        let (kind, name) = place_parts(&odd);
        assert_eq!(format!("{kind}{name}"), "query:a\u{fffd}\u{fffd}b");
        for bad in ["", "body:x", "header", "auth:", "query:a\nb"] {
            assert!(parse_place(bad).is_none(), "{bad:?}");
        }
    }
}
