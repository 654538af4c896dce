//! Putting values into their places: the last thing before the wire, and the only code that writes one into a request.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use tacit_model::{Code, Fields, Place, Problem, SecretType};
use tacit_redact::{ScanSet, strength};
use tacit_template::{Path, Segment};
use tacit_vault::{Opened, OpenedValue, ScannedValue, Slot};
use zeroize::Zeroizing;

use crate::{
    permit::now,
    render::{BasicPair, Beside, Draft, DraftBody, DraftJson, Fragment, percent_encode},
    signature::{ToSign, sign},
    wire::OutboundRequest,
};

/// A text to look for, and what stands in its place.
pub(crate) type Marked = (String, Zeroizing<Vec<u8>>);

/// A request with its values in place, and what to look for in its answer.
pub(crate) struct Injected {
    pub(crate) request: OutboundRequest,
    /// The texts that stand in it, with their markers: a whole value, or a part such as a field of a JSON secret.
    pub(crate) sent: Vec<Marked>,
}

/// Builds the request. The values are borrowed, copied into it, and wiped with `opened` by the caller.
pub(crate) fn inject(slots: &[Slot], draft: &Draft, opened: &Opened) -> Result<Injected, Problem> {
    let mut texts = Vec::with_capacity(opened.values.len());
    for (slot, value) in slots.iter().zip(&opened.values) {
        texts.push(text_of(slot, value)?);
    }
    let mut injected = Injected {
        request: OutboundRequest::new(
            method(&draft.method)?,
            join(&draft.path_and_query, &texts, |text| percent_encode(text.as_bytes()))?.to_string(),
        ),
        sent: Vec::new(),
    };
    for (text, value) in texts.iter().zip(&opened.values) {
        injected.sent.push((marker(value), Zeroizing::new(text.as_bytes().to_vec())));
    }
    let mut headers = draft.plain_headers.clone();
    for (name, fragments) in &draft.headers {
        let has_secret = fragments.iter().any(|fragment| matches!(fragment, Fragment::Secret(_)));
        let text = match handwritten_basic(slots, name, fragments, &opened.values) {
            Some(pair) => Zeroizing::new(format!("Basic {}", *pair)),
            None => join(fragments, &texts, str::to_owned)?,
        };
        insert(&mut headers, name, &text, has_secret)?;
    }
    if let Some(pair) = &draft.basic {
        insert(&mut headers, "authorization", &clients_basic(pair, &texts, &opened.values)?, true)?;
    }
    let is_by_type = |(slot, _): &(&Slot, _)| slot.by_type && slot.place != Place::Signature;
    for (slot, value) in slots.iter().zip(&opened.values).filter(is_by_type) {
        let (name, text) = authorization(slot, value)?;
        insert(&mut headers, &name, &text, true)?;
    }
    let mut body = None;
    if let Some(drafted) = &draft.body {
        let (content_type, bytes) = body_bytes(drafted, &texts)?;
        body = Some(bytes.clone());
        injected.request.body = bytes.into();
        if !headers.contains_key(header::CONTENT_TYPE) {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
    }
    injected.request.headers = headers;
    // Last, because it is over all of the rest.
    for (slot, value) in slots.iter().zip(&opened.values) {
        if slot.place == Place::Signature {
            sign_with(value, draft, body.as_deref().unwrap_or_default(), &mut injected)?;
        }
    }
    Ok(injected)
}

/// Signs a request. What stands for the value in it is looked for in the answer, like the value.
fn sign_with(
    value: &OpenedValue,
    draft: &Draft,
    body: &[u8],
    injected: &mut Injected,
) -> Result<(), Problem> {
    if value.kind != SecretType::AccessKey {
        let detail = format!("names `{}`, whose type {} does not sign", value.name, value.kind.as_str());
        return Err(Problem::invalid("storage.auth", detail).suggest("name a secret of type access_key"));
    }
    let field = |name: &str| value.fields.text(name).unwrap_or_default();
    let host = draft.target.authority();
    let request = &mut injected.request;
    let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let mut headers = vec![("host", host.as_str())];
    headers.extend(content_type.map(|kind| ("content-type", kind)));
    let signed = sign(
        &ToSign {
            method: request.method.as_str(),
            path_and_query: &request.path_and_query,
            headers,
            body,
            region: draft.region.as_deref().or(value.fields.text("region")),
            at: now(),
        },
        field("access_key_id"),
        field("secret_access_key"),
    );
    for (name, text) in &signed.headers {
        insert(&mut request.headers, name, text, *name == "authorization")?;
    }
    injected.sent.extend(signed.derived.into_iter().map(|bytes| (marker(value), bytes)));
    Ok(())
}

/// Which of the texts in a request are too short to be found in its answer.
pub(crate) fn weak(sent: &[Marked]) -> Vec<bool> {
    sent.iter().map(|(_, text)| !strength(text).is_scrubbable()).collect()
}

/// The index over everything that must not come back, and whether something that may come back is too short for it.
pub(crate) fn scan_set(scan: &[ScannedValue], sent: &[Marked]) -> (ScanSet, bool) {
    let mut builder = ScanSet::builder();
    let mut unscrubbable = false;
    for ScannedValue { marker, kind, fields, was_sent } in scan {
        for (_, text) in fields.hidden(*kind) {
            let strength = builder.add(marker, text.as_bytes());
            unscrubbable |= *was_sent && *kind != SecretType::Json && !strength.is_scrubbable();
        }
        // As client credentials they go to the token endpoint, whose host may have other things on it.
        let pair = match kind {
            SecretType::BasicAuth => Some(("username", "password")),
            SecretType::Oauth2ClientCredentials => Some(("client_id", "client_secret")),
            _ => None,
        };
        if let Some((user, password)) = pair {
            let field = |name| fields.text(name).unwrap_or_default().as_bytes();
            builder.add_basic_pair(marker, field(user), field(password));
        }
    }
    for (marker, text) in sent {
        builder.add(marker, text);
        // A service that transforms what it got transforms what the text became on the way.
        if text.iter().any(|byte| percent_encode(&[*byte]).len() > 1) {
            builder.add_encoded(marker, text, percent_byte);
        }
        if text.iter().any(|byte| *byte < 32 || *byte == b'"' || *byte == b'\\') {
            builder.add_encoded(marker, text, json_byte);
        }
    }
    (builder.build(), unscrubbable)
}

fn marker(value: &OpenedValue) -> String {
    format!("[sealed:{}]", value.name)
}

/// What one byte of JSON text becomes between quotes.
fn json_byte(byte: u8, to: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => to.extend([b'\\', byte]),
        b'\n' => to.extend(b"\\n"),
        b'\r' => to.extend(b"\\r"),
        b'\t' => to.extend(b"\\t"),
        8 => to.extend(b"\\b"),
        12 => to.extend(b"\\f"),
        0..=31 => to.extend(format!("\\u{byte:04x}").bytes()),
        other => to.push(other),
    }
}

fn percent_byte(byte: u8, to: &mut Vec<u8>) {
    to.extend(percent_encode(&[byte]).bytes());
}

fn method(method: &str) -> Result<http::Method, Problem> {
    http::Method::from_bytes(method.as_bytes())
        .map_err(|_| Problem::invalid("method", "is not an HTTP method"))
}

/// The text that stands in a slot: the main field, or the one that is named.
fn text_of(slot: &Slot, value: &OpenedValue) -> Result<Zeroizing<String>, Problem> {
    let main = || value.fields.text(value.kind.sent_field());
    let no_field = || {
        let fields = value.kind.fields().iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
        Problem::new(
            Code::UnknownReference,
            format!("`{}` has no such field; its type has {fields}", value.name),
        )
    };
    let field = match &slot.field {
        None => Some(value.kind.sent_field()),
        Some(path) => match path.segments() {
            [Segment::Key(name)] => Some(name.as_str()),
            _ => None,
        },
    };
    if field.is_some_and(|field| !value.kind.may_be_sent(field)) {
        return Err(never_sent(value));
    }
    let Some(path) = &slot.field else {
        return main().map(|text| Zeroizing::new(text.to_owned())).ok_or_else(no_field);
    };
    if value.kind == SecretType::Json {
        return json_field(value, path).ok_or_else(|| {
            Problem::new(
                Code::UnknownReference,
                format!("the JSON of `{}` has nothing at that path", value.name),
            )
        });
    }
    let [Segment::Key(name)] = path.segments() else { return Err(no_field()) };
    value.fields.text(name).map(|text| Zeroizing::new(text.to_owned())).ok_or_else(no_field)
}

/// A client secret goes to its token URL alone, and a private key nowhere.
fn never_sent(value: &OpenedValue) -> Problem {
    Problem::new(
        Code::PlacementNotAllowed,
        format!(
            "what is hidden in `{}`, which is of type {}, is never sent in a request",
            value.name,
            value.kind.as_str()
        ),
    )
    .suggest("reference a secret that the service takes in a request, such as one of type bearer_token")
}

fn json_field(value: &OpenedValue, path: &Path) -> Option<Zeroizing<String>> {
    let mut content: Value = serde_json::from_str(value.fields.text("content")?).ok()?;
    let text = match path.look_up(&content)? {
        Value::String(text) => Zeroizing::new(text.clone()),
        other => Zeroizing::new(other.to_string()),
    };
    wipe(&mut content);
    Some(text)
}

/// The parsed copy of a JSON secret is wiped like every other copy.
fn wipe(value: &mut Value) {
    use zeroize::Zeroize;
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

fn join(
    fragments: &[Fragment],
    texts: &[Zeroizing<String>],
    encode: impl Fn(&str) -> String,
) -> Result<Zeroizing<String>, Problem> {
    let mut joined = Zeroizing::new(String::with_capacity(64));
    for fragment in fragments {
        match fragment {
            Fragment::Text(text) => joined.push_str(text),
            Fragment::Secret(slot) => {
                let text = texts.get(*slot).ok_or_else(|| Problem::internal("a slot has no value"))?;
                joined.push_str(&Zeroizing::new(encode(text)));
            }
        }
    }
    Ok(joined)
}

fn basic_pair(fields: &Fields) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!(
        "{}:{}",
        fields.text("username").unwrap_or_default(),
        fields.text("password").unwrap_or_default()
    ));
    Zeroizing::new(STANDARD.encode(pair.as_bytes()))
}

/// `Authorization: Basic {{secrets.X}}` by hand: the pair, not the password alone.
fn handwritten_basic(
    slots: &[Slot],
    name: &str,
    fragments: &[Fragment],
    values: &[OpenedValue],
) -> Option<Zeroizing<String>> {
    let [Fragment::Text(scheme), Fragment::Secret(slot)] = fragments else { return None };
    let value = values.get(*slot)?;
    let whole = slots.get(*slot)?.field.is_none();
    let is_basic =
        name.eq_ignore_ascii_case("authorization") && scheme.trim_end().eq_ignore_ascii_case("basic");
    (is_basic && whole && value.kind == SecretType::BasicAuth).then(|| basic_pair(&value.fields))
}

/// `Authorization: Basic …` as a client made it, with a placeholder inside: the pair is made anew.
fn clients_basic(
    pair: &BasicPair,
    texts: &[Zeroizing<String>],
    values: &[OpenedValue],
) -> Result<Zeroizing<String>, Problem> {
    let lost = || Problem::internal("a slot has no value");
    let (text, value) = (texts.get(pair.slot).ok_or_else(lost)?, values.get(pair.slot).ok_or_else(lost)?);
    let encoded = if value.kind == SecretType::BasicAuth {
        // A pair is one credential: with another user name beside it, the password would be tried on somebody's account.
        let stored = value.fields.text("username").unwrap_or_default();
        if !matches!(&pair.beside, Beside::User(user) if user.is_empty() || user == stored)
            && pair.beside != Beside::Word("")
        {
            return Err(Problem::new(
                Code::PlacementNotAllowed,
                format!(
                    "`{}` is a pair of its own, and the request carries another half beside it",
                    value.name
                ),
            )
            .suggest("let the placeholder be the password, with no user name or the stored one"));
        }
        basic_pair(&value.fields)
    } else {
        let pair = Zeroizing::new(match &pair.beside {
            Beside::User(user) => format!("{user}:{}", **text),
            Beside::Word(word) => format!("{}:{word}", **text),
        });
        Zeroizing::new(STANDARD.encode(pair.as_bytes()))
    };
    Ok(Zeroizing::new(format!("Basic {}", *encoded)))
}

/// What a step's `auth` becomes: the type decides.
fn authorization(slot: &Slot, value: &OpenedValue) -> Result<(String, Zeroizing<String>), Problem> {
    let field = |name: &str| value.fields.text(name).unwrap_or_default();
    let bearer = |text: &str| ("authorization".to_owned(), Zeroizing::new(format!("Bearer {text}")));
    Ok(match value.kind {
        SecretType::Text => bearer(field("value")),
        SecretType::BearerToken => bearer(field("token")),
        SecretType::ApiKey => (field("header").to_owned(), Zeroizing::new(field("key").to_owned())),
        SecretType::BasicAuth => {
            let pair = basic_pair(&value.fields);
            ("authorization".to_owned(), Zeroizing::new(format!("Basic {}", *pair)))
        }
        SecretType::Json => {
            return Err(Problem::invalid(
                "auth",
                format!(
                    "names `{}`, which is JSON; reference one of its fields in a header instead",
                    slot.name
                ),
            ));
        }
        SecretType::Oauth2ClientCredentials => bearer(field(value.kind.sent_field())),
        SecretType::SftpPrivateKey => return Err(never_sent(value)),
        SecretType::SftpPassword | SecretType::AccessKey => {
            return Err(Problem::invalid(
                "auth",
                format!("names `{}`, whose type {} is not for HTTP requests", slot.name, value.kind.as_str()),
            ));
        }
    })
}

fn insert(headers: &mut HeaderMap, name: &str, text: &str, sensitive: bool) -> Result<(), Problem> {
    let bad = || {
        Problem::invalid(
            format!("headers.{name}"),
            "cannot be sent: a header holds no line breaks or other control characters",
        )
        .suggest("look for a line break in the value or in the data beside it")
    };
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| bad())?;
    value.set_sensitive(sensitive);
    headers.insert(name, value);
    Ok(())
}

fn body_bytes(body: &DraftBody, texts: &[Zeroizing<String>]) -> Result<(&'static str, Bytes), Problem> {
    Ok(match body {
        DraftBody::Bytes(bytes) => ("application/octet-stream", Bytes::from(bytes.clone())),
        DraftBody::Text(text) => ("text/plain; charset=utf-8", Bytes::from(text.clone())),
        DraftBody::Form(fields) => {
            let mut joined = Zeroizing::new(String::new());
            for (name, fragments) in fields {
                if !joined.is_empty() {
                    joined.push('&');
                }
                joined.push_str(&percent_encode(name.as_bytes()));
                joined.push('=');
                joined.push_str(&percent_encode(join(fragments, texts, str::to_owned)?.as_bytes()));
            }
            ("application/x-www-form-urlencoded", Bytes::copy_from_slice(joined.as_bytes()))
        }
        DraftBody::Written(fragments) => {
            let joined = join(fragments, texts, in_quotes)?;
            ("application/json", Bytes::copy_from_slice(joined.as_bytes()))
        }
        DraftBody::Json(json) => {
            let mut value = json_value(json, texts)?;
            let bytes = Zeroizing::new(serde_json::to_vec(&value).map_err(Problem::internal)?);
            wipe(&mut value);
            ("application/json", Bytes::copy_from_slice(&bytes))
        }
    })
}

/// A text as it stands between the quotes of a JSON string.
fn in_quotes(text: &str) -> String {
    let mut quoted = Zeroizing::new(Vec::with_capacity(text.len() + 16));
    text.bytes().for_each(|byte| json_byte(byte, &mut quoted));
    String::from_utf8_lossy(&quoted).into_owned()
}

fn json_value(json: &DraftJson, texts: &[Zeroizing<String>]) -> Result<Value, Problem> {
    Ok(match json {
        DraftJson::Value(value) => value.clone(),
        DraftJson::Text(fragments) => Value::String(join(fragments, texts, str::to_owned)?.to_string()),
        DraftJson::Array(items) => {
            Value::Array(items.iter().map(|item| json_value(item, texts)).collect::<Result<_, _>>()?)
        }
        DraftJson::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| Ok((key.clone(), json_value(value, texts)?)))
                .collect::<Result<_, Problem>>()?,
        ),
    })
}
