//! Placeholders in a body: only in a JSON or form field that a destination of their secret names.
//!
//! Bodies stream through untouched. One is read whole, up to a limit, only where a destination at its target, method and
//! path names a place in a body of its kind; then it is parsed strictly, so that nobody downstream can read another field
//! than was judged here (attacks B2, B14, B18).

use http::{HeaderMap, header};
use tacit_model::{Code, Place, Problem, SecretId};

use super::{
    find::{Found, Misplaced, Search, Writing, whole},
    json::{self, Candidate},
};
use crate::render::{DraftBody, Fragment};

/// Bytes of a body that is looked into.
pub(super) const SEARCHED_BYTES_MAX: usize = 1024 * 1024;

/// The kinds of body that have fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Form,
}

impl Kind {
    /// The kind that a body says it is and that somebody named a place in; `None` for one that streams through.
    pub(super) fn of(headers: &HeaderMap, places: &[(SecretId, &Place)]) -> Option<Self> {
        let names = |kind: fn(&Place) -> bool| places.iter().any(|(_, place)| kind(place));
        // Inside a coding a placeholder is not text (attack B11).
        let is_coded = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
        if is_coded {
            return None;
        }
        let mut content_types = headers.get_all(header::CONTENT_TYPE).iter();
        // Of two types, the service may read the other one (attack B18).
        let (Some(content_type), None) = (content_types.next(), content_types.next()) else { return None };
        let content_type = content_type.to_str().ok()?;
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence == "application/x-www-form-urlencoded" {
            names(|place| matches!(place, Place::Form(_))).then_some(Self::Form)
        } else if essence == "application/json" || essence == "text/json" || essence.ends_with("+json") {
            names(|place| matches!(place, Place::Json(_))).then_some(Self::Json)
        } else {
            None
        }
    }
}

impl Found {
    /// Looks through a body. If there is something to put into it, it becomes the draft's; else it stays as it came.
    pub(super) fn in_body(&mut self, search: &Search<'_>, kind: Kind, body: &[u8]) -> Result<(), Misplaced> {
        let slots_before = self.slots.len();
        let drafted = match kind {
            Kind::Json => DraftBody::Written(self.json(search, body)?),
            Kind::Form => DraftBody::Form(self.form(search, body)?),
        };
        if self.slots.len() > slots_before {
            self.draft.body = Some(drafted);
        }
        Ok(())
    }

    fn json(&mut self, search: &Search<'_>, body: &[u8]) -> Result<Vec<Fragment>, Misplaced> {
        let text = std::str::from_utf8(body).map_err(|_| unreadable("JSON"))?;
        let mut writing = Writing::default();
        let mut written = 0;
        for Candidate { pointer, range } in json::candidates(text).map_err(|_| unreadable("JSON"))? {
            let place = Place::Json(pointer.as_str().into());
            if let Some(meant) = whole(search, &text[range.clone()])
                && search.is_named(meant, &place)
            {
                writing.text(&text[written..range.start]);
                writing.secret(self.add(meant, place)?);
                written = range.end;
            }
        }
        writing.text(&text[written..]);
        Ok(writing.done())
    }

    fn form(&mut self, search: &Search<'_>, body: &[u8]) -> Result<Vec<(String, Vec<Fragment>)>, Misplaced> {
        let text = std::str::from_utf8(body).map_err(|_| unreadable("a form"))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|_| !text.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let field = form_decoded(name).zip(form_decoded(value)).ok_or_else(|| unreadable("a form"))?;
            fields.push(field);
        }
        let mut drafted = Vec::with_capacity(fields.len());
        for (name, value) in &fields {
            let place = Place::Form(name.as_str().into());
            let carries_credential = tacit_vault::is_credential_name(name);
            let fragment = match whole(search, value) {
                Some(meant) if search.is_named(meant, &place) => {
                    if fields.iter().filter(|(other, _)| other == name).count() > 1 {
                        return Err(Problem::new(
                            Code::PlacementNotAllowed,
                            format!(
                                "the placeholder of `{}` stands in a form field that is there twice",
                                meant.name
                            ),
                        )
                        .suggest("send the field once")
                        .into());
                    }
                    Fragment::Secret(self.add(meant, place)?)
                }
                _ => {
                    self.foreign_credential |= carries_credential;
                    Fragment::Text(value.clone())
                }
            };
            drafted.push((name.clone(), vec![fragment]));
        }
        Ok(drafted)
    }
}

/// A body that is not what it says: two readers would read it in two ways.
fn unreadable(what: &str) -> Problem {
    Problem::invalid("body", format!("does not read as {what} in one way only, which it says it is"))
        .suggest("send UTF-8 without a byte-order mark, and each member of an object once")
}

/// A form's name or value; `None` if an escape is none or the text is not UTF-8.
fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match first {
            b'%' => {
                let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = &after[2..];
            }
            b'+' => {
                bytes.push(b' ');
                rest = after;
            }
            other => {
                bytes.push(*other);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
