//! Placeholders in a client's request: which stand where a value may go, which are text, and which are a mistake.
//!
//! The rule that everything here follows: a placeholder is put to use only where the *whole* of a place is the
//! placeholder (`Bearer PH`, one query value, one segment, one JSON string), and only there. In a header that carries a
//! credential anything else is refused, because a service would answer it with a puzzling 401; everywhere else a
//! placeholder is the text that it is (attacks B1 to B7, B10, B11, B13). Nothing is searched twice: what stands in a
//! place now is never looked at again once a value is there (attack H10).

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tacit_model::{
    Code, Place, Problem, RequestPath, SecretId, SecretName, Target, place::CREDENTIAL_HEADERS,
};
use tacit_vault::{
    Slot, TokenHash, find_placeholders, is_credential_name, percent_decoded, placeholder_hash,
};

use crate::render::{BasicPair, Beside, Draft, Fragment};

/// A secret that a placeholder stands for.
#[derive(Clone, Copy)]
pub(super) struct Meant<'a> {
    pub(super) secret: SecretId,
    pub(super) name: &'a SecretName,
    /// The header that an API key's type puts it into, in lower case.
    pub(super) own_header: Option<&'a str>,
    /// Whether it has a user name of its own.
    pub(super) is_pair: bool,
}

/// What is known about the lease and the target while a request is looked through.
pub(super) struct Search<'a> {
    /// The secret behind a placeholder; `None` for unknown, foreign and ended ones alike.
    pub(super) meant: &'a (dyn Fn(&TokenHash) -> Option<Meant<'a>> + Sync),
    /// The headers of the lease's API keys.
    pub(super) own_headers: &'a [&'a str],
    /// Which places the destinations at this target name, by secret.
    pub(super) places: &'a [(SecretId, &'a Place)],
}

impl Search<'_> {
    /// Whether a destination of the secret names the place.
    pub(super) fn is_named(&self, meant: Meant<'_>, place: &Place) -> bool {
        self.places.iter().any(|(secret, named)| *secret == meant.secret && *named == place)
    }
}

/// A request with its placeholders found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) draft: Draft,
    pub(super) slots: Vec<Slot>,
    /// The secrets of the slots.
    secrets: Vec<SecretId>,
    /// Whether it carries a credential that is no stored secret.
    pub(super) foreign_credential: bool,
}

/// A placeholder that stands where it must not.
#[derive(Debug)]
pub(super) struct Misplaced {
    pub(super) problem: Problem,
    /// Which secret, if it is one of the lease's: for the record.
    pub(super) slot: Option<Slot>,
}

impl From<Problem> for Misplaced {
    fn from(problem: Problem) -> Self {
        Self { problem, slot: None }
    }
}

/// One answer for unknown, foreign and ended placeholders: nothing can be learnt by trying (attacks H1, H9).
fn unknown() -> Misplaced {
    Problem::new(
        Code::UnknownReference,
        "a credential of this request is a placeholder that is not of this lease or has ended",
    )
    .suggest("take a new lease, or run the command again with `tacit run`")
    .into()
}

fn misplaced(meant: Meant<'_>, place: Place, what: &str) -> Misplaced {
    Misplaced {
        problem: Problem::new(
            Code::PlacementNotAllowed,
            format!("the placeholder of `{}` {what}", meant.name),
        )
        .suggest("let it be the whole credential, once: `Authorization: Bearer PLACEHOLDER`, or the service's own header"),
        slot: Some(slot(meant, place)),
    }
}

fn slot(meant: Meant<'_>, place: Place) -> Slot {
    Slot { name: meant.name.clone(), field: None, place, by_type: false }
}

impl Found {
    /// Looks through a request's head. The headers are the client's.
    pub(super) fn in_head(
        search: &Search<'_>,
        target: Target,
        method: &Method,
        path: &RequestPath,
        headers: HeaderMap,
    ) -> Result<Self, Misplaced> {
        let mut found = Self {
            draft: Draft {
                method: method.as_str().to_owned(),
                target,
                path: path.clone(),
                path_and_query: Vec::new(),
                headers: Vec::new(),
                plain_headers: HeaderMap::new(),
                basic: None,
                region: None,
                body: None,
            },
            slots: Vec::new(),
            secrets: Vec::new(),
            foreign_credential: false,
        };
        found.headers(search, headers)?;
        found.path_and_query(search, path)?;
        Ok(found)
    }

    /// Notes a slot; a second one of the same secret is a copy, and copies are refused (attack B5).
    pub(super) fn add(&mut self, meant: Meant<'_>, place: Place) -> Result<usize, Misplaced> {
        if self.secrets.contains(&meant.secret) {
            return Err(misplaced(meant, place, "stands in the request more than once"));
        }
        self.secrets.push(meant.secret);
        self.slots.push(slot(meant, place));
        Ok(self.slots.len() - 1)
    }

    fn headers(&mut self, search: &Search<'_>, mut headers: HeaderMap) -> Result<(), Misplaced> {
        let mut sealed: Vec<HeaderName> = Vec::new();
        for (name, value) in &headers {
            if PLAIN_HEADERS.contains(&name.as_str()) {
                continue;
            }
            let is_single = || headers.get_all(name).iter().nth(1).is_none();
            if self.header(search, name, value, &is_single)? {
                sealed.push(name.clone());
            }
        }
        for name in sealed {
            headers.remove(name);
        }
        self.draft.plain_headers = headers;
        Ok(())
    }

    /// Looks at one header; whether a placeholder in it becomes a value.
    fn header(
        &mut self,
        search: &Search<'_>,
        name: &HeaderName,
        value: &HeaderValue,
        is_single: &dyn Fn() -> bool,
    ) -> Result<bool, Misplaced> {
        let text = value.as_bytes();
        let is_authorization = *name == header::AUTHORIZATION;
        if is_authorization && let Some(encoded) = after_word(text, b"basic") {
            match Basic::read(search, encoded) {
                Basic::NoPlaceholder => {}
                Basic::Unknown => return Err(unknown()),
                Basic::Bad(meant) => {
                    return Err(misplaced(
                        meant,
                        Place::Auth,
                        "is not the whole password or user name of its Basic pair",
                    ));
                }
                Basic::Pair(meant, beside) => {
                    if !is_single() {
                        return Err(misplaced(meant, Place::Auth, "stands in a header that is there twice"));
                    }
                    let slot = self.add(meant, Place::Auth)?;
                    // A pair's own name is compared when the pair is made anew.
                    self.foreign_credential |=
                        !meant.is_pair && matches!(&beside, Beside::User(user) if may_be_a_token(user));
                    self.draft.basic = Some(BasicPair { slot, beside });
                    return Ok(true);
                }
            }
        }
        let carries_credential = CREDENTIAL_HEADERS.contains(&name.as_str())
            || search.own_headers.contains(&name.as_str())
            || is_credential_name(name.as_str());
        let mut candidates = find_placeholders(text);
        let Some(first) = candidates.next() else {
            // What the broker never passes on is nobody's credential there.
            self.foreign_credential |= carries_credential && !name.as_str().starts_with("proxy-");
            return Ok(false);
        };
        let is_only = candidates.next().is_none();
        drop(candidates);
        let Some(meant) = placeholder_hash(&text[first.clone()]).and_then(|hash| (search.meant)(&hash))
        else {
            return if carries_credential { Err(unknown()) } else { Ok(false) };
        };
        let place = if meant.own_header == Some(name.as_str()) {
            Place::Auth
        } else {
            Place::of_header(name.as_str())
        };
        if !carries_credential && !search.is_named(meant, &place) {
            return Ok(false);
        }
        let before = &text[..first.start];
        let is_whole =
            first.end == text.len() && (is_scheme(before) || (before.is_empty() && !is_authorization));
        if !is_only || !is_whole {
            return match carries_credential {
                true => Err(misplaced(meant, place, "is not the whole of a credential header")),
                false => Ok(false),
            };
        }
        if !is_single() {
            return Err(misplaced(meant, place, "stands in a header that is there twice"));
        }
        let slot = self.add(meant, place)?;
        let mut fragments = Vec::with_capacity(2);
        if !before.is_empty() {
            fragments.push(Fragment::Text(String::from_utf8_lossy(before).into_owned()));
        }
        fragments.push(Fragment::Secret(slot));
        self.draft.headers.push((name.as_str().to_owned(), fragments));
        Ok(true)
    }

    fn path_and_query(&mut self, search: &Search<'_>, path: &RequestPath) -> Result<(), Misplaced> {
        let (path, query) = (path.path(), path.query());
        let mut writing = Writing::default();
        let mut judged = String::new();
        for (at, segment) in path.split('/').enumerate() {
            if at > 0 {
                writing.text("/");
                judged.push('/');
            }
            match whole(search, segment) {
                Some(meant) if search.is_named(meant, &Place::Path) => {
                    writing.secret(self.add(meant, Place::Path)?);
                    judged.push_str(crate::render::SECRET_SEGMENT);
                }
                _ => {
                    writing.text(segment);
                    judged.push_str(segment);
                }
            }
        }
        if let Some(query) = query {
            judged.push('?');
            writing.text("?");
            for (at, pair) in query.split('&').enumerate() {
                if at > 0 {
                    writing.text("&");
                }
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let decoded = percent_decoded(name);
                let carries_credential = is_credential_name(&decoded);
                let place = Place::Query(decoded.as_str().into());
                match whole(search, value) {
                    Some(meant) if carries_credential || search.is_named(meant, &place) => {
                        let is_copy = |other: &&str| {
                            percent_decoded(other.split('=').next().unwrap_or_default()) == decoded
                        };
                        if query.split('&').filter(is_copy).count() > 1 {
                            return Err(misplaced(meant, place, "stands in a parameter that is there twice"));
                        }
                        writing.text(name);
                        writing.text("=");
                        writing.secret(self.add(meant, place)?);
                    }
                    _ => {
                        self.foreign_credential |= carries_credential;
                        writing.text(pair);
                    }
                }
            }
        }
        self.draft.path_and_query = writing.done();
        if self.slots.iter().any(|slot| slot.place == Place::Path) {
            self.draft.path = RequestPath::parse(&judged).map_err(Problem::internal)?;
        }
        Ok(())
    }
}

/// Fragments of a URL or a body, with neighbouring texts joined.
#[derive(Default)]
pub(super) struct Writing {
    done: Vec<Fragment>,
    text: String,
}

impl Writing {
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn secret(&mut self, slot: usize) {
        if !self.text.is_empty() {
            self.done.push(Fragment::Text(std::mem::take(&mut self.text)));
        }
        self.done.push(Fragment::Secret(slot));
    }

    pub(super) fn done(mut self) -> Vec<Fragment> {
        if !self.text.is_empty() {
            self.done.push(Fragment::Text(self.text));
        }
        self.done
    }
}

/// The secret behind a text that is a placeholder and nothing else.
pub(super) fn whole<'a>(search: &Search<'a>, text: &str) -> Option<Meant<'a>> {
    placeholder_hash(text.as_bytes()).and_then(|hash| (search.meant)(&hash))
}

/// Headers of nearly every request, in which nobody looks for a credential and no destination may want one.
const PLAIN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "connection",
    "content-length",
    "content-type",
    "host",
    "proxy-connection",
    "referer",
    "transfer-encoding",
    "user-agent",
];

/// What stands behind a scheme word and one blank.
fn after_word<'t>(text: &'t [u8], word: &[u8]) -> Option<&'t [u8]> {
    let (scheme, rest) = (text.get(..word.len())?, text.get(word.len()..)?);
    scheme.eq_ignore_ascii_case(word).then(|| rest.strip_prefix(b" ")).flatten()
}

/// One word and one blank, as before a bearer token.
fn is_scheme(before: &[u8]) -> bool {
    before.strip_suffix(b" ").is_some_and(|word| {
        !word.is_empty() && word.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    })
}

/// `base64(user:password)` with a placeholder somewhere, or not.
enum Basic<'a> {
    NoPlaceholder,
    Unknown,
    Bad(Meant<'a>),
    /// The whole of one half.
    Pair(Meant<'a>, Beside),
}

/// What services have their clients write for a password beside a token that is the user name: nothing, GitHub's word,
/// Toggl's, and the letter of Freshdesk and BambooHR. No other: a service that looks at the password first would take one
/// for somebody's own credential (attack B4).
const WORDS_BESIDE: &[&str] = &["", "x-oauth-basic", "api_token", "X", "x"];

/// Bytes of a user name from which it may be a token: no service hands out shorter ones, and few people have longer names
/// that are no addresses.
const TOKEN_BYTES_MIN: usize = 20;

/// Whether a user name beside a value may be a credential by itself: services that take a token for a user name do not
/// look at the password then (attack B4).
fn may_be_a_token(user: &str) -> bool {
    user.len() >= TOKEN_BYTES_MIN && !user.contains('@')
}

/// Reads what a lenient service would read too, to notice what is refused.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl<'a> Basic<'a> {
    fn read(search: &Search<'a>, encoded: &[u8]) -> Self {
        let unpadded = encoded.trim_ascii();
        let unpadded =
            &unpadded[..unpadded.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1)];
        let Ok(pair) = LENIENT.decode(unpadded) else { return Self::NoPlaceholder };
        let mut candidates = find_placeholders(&pair);
        let Some(range) = candidates.next() else { return Self::NoPlaceholder };
        let is_only = candidates.next().is_none();
        drop(candidates);
        let Some(meant) = placeholder_hash(&pair[range.clone()]).and_then(|hash| (search.meant)(&hash))
        else {
            return Self::Unknown;
        };
        // Only the one spelling that encoding yields: another one may be read as another pair elsewhere.
        let is_canonical = STANDARD.encode(&pair).as_bytes() == encoded;
        if !is_canonical || !is_only {
            return Self::Bad(meant);
        }
        let (before, after) = (&pair[..range.start], &pair[range.end..]);
        if before.is_empty()
            && let Some(word) = after.strip_prefix(b":")
            && let Some(word) = WORDS_BESIDE.iter().find(|known| known.as_bytes() == word)
        {
            return Self::Pair(meant, Beside::Word(word));
        }
        let user = before.strip_suffix(b":").filter(|user| after.is_empty() && !user.contains(&b':'));
        match user
            .and_then(|user| std::str::from_utf8(user).ok())
            .filter(|user| !user.contains(char::is_control))
        {
            Some(user) => Self::Pair(meant, Beside::User(user.to_owned())),
            None => Self::Bad(meant),
        }
    }
}

#[cfg(test)]
mod tests;
