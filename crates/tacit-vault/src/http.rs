//! An HTTP step, compiled: templates parsed, every secret in its place, everything static checked.
//!
//! Compiling happens when an automation is saved and before a request is sent, from the same code, so that what is
//! refused when it runs was refused when it was written. Rendering is the broker's.

use tacit_model::{HttpStep, Issue, Place, Problem, SecretName, automation::Body, place::is_header_name};
use tacit_template::{JsonTemplate, Part, Reference, SecretRef, Template};

/// A piece of the URL's path and query, in order.
#[derive(Clone, Debug)]
pub enum UrlPart {
    /// Text as written.
    Text(String),
    /// A reference that is not a secret; its value is percent-encoded, so that it adds no segment and no parameter.
    Data(Template),
    /// A secret, as a whole segment or a whole parameter.
    Secret(usize),
}

/// A secret and where it stands.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The secret's name.
    pub name: SecretName,
    /// The field, or the main one.
    pub field: Option<tacit_template::Path>,
    /// The place, as destinations name it.
    pub place: Place,
    /// Whether the type decides how it is rendered: a step's `auth`.
    pub by_type: bool,
}

/// A body whose templates are parsed.
#[derive(Clone, Debug)]
pub enum BodyTemplate {
    /// JSON.
    Json(JsonTemplate),
    /// A form.
    Form(Vec<(String, Template)>),
    /// Text without secrets.
    Text(Template),
}

/// An HTTP step, compiled.
#[derive(Clone, Debug)]
pub struct HttpTemplate {
    /// The method.
    pub method: String,
    /// Scheme and authority; no secret, no input, no step's output.
    pub origin: Template,
    /// What comes after the authority, up to the fragment.
    pub path_and_query: Vec<UrlPart>,
    /// More query parameters.
    pub query: Vec<(String, Template)>,
    /// Headers by name.
    pub headers: Vec<(String, Template)>,
    /// The body.
    pub body: Option<BodyTemplate>,
    /// Every secret that stands in the request; `auth:` first if there is one.
    pub slots: Vec<Slot>,
    /// Whether a literal credential is written into it.
    pub foreign_credential: bool,
}

/// Whether a header, parameter or field of this name carries a credential of somebody's, for the `exclusive` rule.
pub fn is_credential_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    const WHOLE: &[&str] = &["key", "sig", "sid", "pass", "code_verifier"];
    const WORDS: &[&str] = &[
        "auth",
        "authorization",
        "authentication",
        "session",
        "sessionid",
        "signature",
        "jwt",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "pwd",
    ];
    const PARTS: &[&str] = &[
        "token",
        "secret",
        "passw",
        "apikey",
        "api-key",
        "api_key",
        "accesskey",
        "access-key",
        "access_key",
        "auth-key",
        "auth_key",
    ];
    WHOLE.contains(&name.as_str())
        || name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
        || PARTS.iter().any(|part| name.contains(part))
}

/// Headers that a step may not set: the broker makes them, or they would steer something other than the service.
fn is_reserved_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    const RESERVED: &[&str] = &[
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
        "range",
        "if-range",
        "forwarded",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "accept-charset",
        "alt-used",
    ];
    RESERVED.contains(&name.as_str())
        || name.starts_with("proxy-")
        || name.starts_with("x-forwarded-")
        || name.starts_with("sec-websocket-")
}

struct Compiler {
    at: String,
    issues: Vec<Issue>,
    misplaced: Vec<Issue>,
    slots: Vec<Slot>,
    foreign: bool,
}

impl HttpTemplate {
    /// Compiles a step. `at` is put before each field's name in what is wrong.
    ///
    /// # Errors
    /// `validation_failed` or `placement_not_allowed`, with every issue found.
    pub fn compile(step: &HttpStep, at: &str) -> Result<Self, Problem> {
        let mut compiler = Compiler {
            at: at.to_owned(),
            issues: step.issues(at),
            misplaced: Vec::new(),
            slots: Vec::new(),
            foreign: false,
        };
        if let Some(auth) = &step.auth {
            compiler.slots.push(Slot {
                name: auth.secret.clone(),
                field: None,
                place: Place::Auth,
                by_type: true,
            });
        }
        let (origin, path_and_query) = compiler.url(&step.url);
        let headers = compiler.headers(&step.headers, step.auth.is_some());
        let query = compiler.fields("query", &step.query, |name| Place::Query(name.into()));
        let body = step.body.as_ref().and_then(|body| compiler.body(body));
        let Compiler { issues, misplaced, slots, foreign, .. } = compiler;
        if let Some(first) = misplaced.first() {
            let mut problem = Problem::new(
                tacit_model::Code::PlacementNotAllowed,
                format!("`{}` {}", first.field, first.message),
            )
            .suggest("a secret may stand in `auth`, in a header, in a query parameter, as a whole path segment, or in a JSON or form field");
            problem.issues = misplaced;
            return Err(problem);
        }
        if !issues.is_empty() {
            return Err(Problem::invalid_fields(issues));
        }
        let Some(origin) = origin else {
            return Err(Problem::internal("an origin was neither parsed nor refused"));
        };
        Ok(Self {
            method: step.method.clone(),
            origin,
            path_and_query,
            query,
            headers,
            body,
            slots,
            foreign_credential: foreign,
        })
    }

    /// Every reference that is not a secret: what must exist, and what a rendering needs.
    pub fn data_references(&self) -> Vec<&Reference> {
        let mut found: Vec<&Reference> = self.origin.references().collect();
        found.extend(
            self.path_and_query
                .iter()
                .filter_map(|part| if let UrlPart::Data(template) = part { Some(template) } else { None })
                .flat_map(Template::references),
        );
        found.extend(self.query.iter().chain(&self.headers).flat_map(|(_, template)| template.references()));
        match &self.body {
            Some(BodyTemplate::Json(json)) => found.extend(json.references()),
            Some(BodyTemplate::Form(fields)) => {
                found.extend(fields.iter().flat_map(|(_, template)| template.references()))
            }
            Some(BodyTemplate::Text(text)) => found.extend(text.references()),
            None => {}
        }
        found.retain(|reference| !matches!(reference, Reference::Secret(_)));
        found
    }

    /// The origin, if it is written out and so the same for every run.
    pub fn literal_origin(&self) -> Option<&str> {
        self.origin.is_literal().then(|| self.origin.source())
    }

    /// The slot of a reference in one of the templates.
    pub fn slot_of(&self, place: &Place, reference: &SecretRef) -> Option<usize> {
        self.slots.iter().position(|slot| {
            !slot.by_type
                && slot.place == *place
                && slot.name.as_str() == reference.name
                && slot.field == reference.field
        })
    }
}

impl Compiler {
    fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.issues.push(Issue::new(format!("{}{field}", self.at), message));
    }

    fn misplaced(&mut self, field: &str, message: impl Into<String>) {
        self.misplaced.push(Issue::new(format!("{}{field}", self.at), message));
    }

    fn parse(&mut self, field: &str, source: &str) -> Option<Template> {
        match Template::parse(source) {
            Ok(template) => Some(template),
            Err(error) => {
                self.wrong(
                    field,
                    format!("{} (at byte {}); {}", error.message, error.offset, error.suggestion),
                );
                None
            }
        }
    }

    fn slot(&mut self, field: &str, reference: &SecretRef, place: Place) -> Option<usize> {
        let Ok(name) = reference.name.parse::<SecretName>() else {
            self.wrong(field, "references a secret by something that is not a name");
            return None;
        };
        self.slots.push(Slot { name, field: reference.field.clone(), place, by_type: false });
        Some(self.slots.len() - 1)
    }

    /// Splits a URL's template at the end of its authority, before anything is rendered: what data contains later cannot
    /// move the border.
    fn url(&mut self, source: &str) -> (Option<Template>, Vec<UrlPart>) {
        let Some(template) = self.parse("url", source) else { return (None, Vec::new()) };
        let mut origin = String::new();
        let mut rest: Vec<UrlPart> = Vec::new();
        let mut in_authority = true;
        let mut in_query = false;
        let parts: Vec<Part<'_>> = template.parts().collect();
        for (at, part) in parts.iter().enumerate() {
            match part {
                Part::Text(text) => {
                    let mut text = *text;
                    if in_authority {
                        let after_scheme = match text.find("://") {
                            Some(start) if origin.is_empty() => start + 3,
                            _ => 0,
                        };
                        let end = text[after_scheme..].find(['/', '?', '#']).map(|end| end + after_scheme);
                        origin.push_str(&tacit_template::escape(&text[..end.unwrap_or(text.len())]));
                        let Some(end) = end else { continue };
                        in_authority = false;
                        text = &text[end..];
                    }
                    let text = text.split('#').next().unwrap_or(text);
                    in_query |= text.contains('?');
                    rest.push(UrlPart::Text(text.to_owned()));
                }
                Part::Reference { reference: Reference::Secret(secret), .. } => {
                    if in_authority {
                        self.misplaced(
                            "url",
                            format!(
                                "references secrets.{} in its host; a secret never forms a host",
                                secret.name
                            ),
                        );
                        continue;
                    }
                    let before = if let Some(UrlPart::Text(text)) = rest.last() {
                        text.clone()
                    } else {
                        String::new()
                    };
                    let after = if let Some(Part::Text(text)) = parts.get(at + 1) { *text } else { "" };
                    let is_last = at + 1 == parts.len();
                    let place = if in_query {
                        let name = before.rsplit(['?', '&']).next().and_then(|pair| pair.strip_suffix('='));
                        match name {
                            Some(name) if !name.is_empty() && (is_last || after.starts_with(['&', '#'])) => {
                                Place::Query(name.into())
                            }
                            _ => {
                                self.wrong(
                                    "url",
                                    "must have a secret as the whole value of a query parameter",
                                );
                                continue;
                            }
                        }
                    } else if before.ends_with('/') && (is_last || after.starts_with(['/', '?', '#'])) {
                        Place::Path
                    } else {
                        self.wrong("url", "must have a secret as a whole segment of its path");
                        continue;
                    };
                    if let Some(slot) = self.slot("url", secret, place) {
                        rest.push(UrlPart::Secret(slot));
                    }
                }
                Part::Reference { reference, .. } if in_authority => {
                    if !matches!(reference, Reference::Var(_)) {
                        self.misplaced(
                            "url",
                            format!("references {reference} in its host; only variables may form a host"),
                        );
                        continue;
                    }
                    origin.push_str(&reference_source(part));
                }
                Part::Reference { .. } => {
                    if let Some(template) = self.parse("url", &reference_source(part)) {
                        rest.push(UrlPart::Data(template));
                    }
                }
            }
        }
        self.foreign |= has_credential_parameter(&rest);
        (self.parse("url", &origin), rest)
    }

    fn headers(
        &mut self,
        headers: &serde_json::Map<String, serde_json::Value>,
        has_auth: bool,
    ) -> Vec<(String, Template)> {
        let mut compiled: Vec<(String, Template)> = Vec::new();
        for (name, value) in headers {
            let field = format!("headers.{}", printable(name));
            if name.contains("{{") {
                self.misplaced(&field, "has a reference in its name; a header's name is always literal");
                continue;
            }
            if !is_header_name(name) {
                self.wrong(&field, "is not the name of an HTTP header");
                continue;
            }
            if is_reserved_header(name) {
                self.wrong(&field, "is set by the broker; leave it out");
                continue;
            }
            if compiled.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                self.wrong(&field, "stands twice");
                continue;
            }
            let Some(template) = self.text(&field, value) else { continue };
            let place = Place::of_header(name);
            let is_authorization = name.eq_ignore_ascii_case("authorization");
            if has_auth && is_authorization {
                self.wrong(&field, "and `auth` both set the credential; keep one of them");
                continue;
            }
            if self.secret_in(&field, &template, &place) {
                if is_authorization && !is_scheme_and_reference(&template) {
                    self.wrong(
                        &field,
                        "must be one scheme word and one reference, such as `Bearer {{secrets.NAME}}`",
                    );
                }
            } else if is_credential_name(name) {
                self.foreign = true;
            }
            compiled.push((name.clone(), template));
        }
        compiled
    }

    fn fields(
        &mut self,
        at: &str,
        fields: &serde_json::Map<String, serde_json::Value>,
        place: impl Fn(&str) -> Place,
    ) -> Vec<(String, Template)> {
        let mut compiled = Vec::new();
        for (name, value) in fields {
            let field = format!("{at}.{}", printable(name));
            if name.contains("{{") {
                self.misplaced(&field, "has a reference in its name; names are always literal");
                continue;
            }
            let Some(template) = self.text(&field, value) else { continue };
            if !self.secret_in(&field, &template, &place(name)) && is_credential_name(name) {
                self.foreign = true;
            }
            compiled.push((name.clone(), template));
        }
        compiled
    }

    fn body(&mut self, body: &Body) -> Option<BodyTemplate> {
        match body {
            Body::Text(source) => {
                let template = self.parse("body.text", source)?;
                if template.references().any(|reference| matches!(reference, Reference::Secret(_))) {
                    self.misplaced(
                        "body.text",
                        "references a secret; in a body a secret may stand only in a JSON or form field",
                    );
                }
                Some(BodyTemplate::Text(template))
            }
            Body::Form(fields) => {
                Some(BodyTemplate::Form(self.fields("body.form", fields, |name| Place::Form(name.into()))))
            }
            Body::Json(value) => match JsonTemplate::parse(value) {
                Ok(json) => {
                    let strings: Vec<(String, Template)> = json
                        .templates()
                        .into_iter()
                        .map(|(pointer, template)| (pointer.to_string(), template.clone()))
                        .collect();
                    for (pointer, template) in strings {
                        self.secret_in(
                            &format!("body.json{}", printable(&pointer)),
                            &template,
                            &Place::Json(pointer.as_str().into()),
                        );
                    }
                    Some(BodyTemplate::Json(json))
                }
                Err((pointer, error)) => {
                    self.wrong(
                        &format!("body.json{}", printable(&pointer)),
                        format!("{}; {}", error.message, error.suggestion),
                    );
                    None
                }
            },
        }
    }

    /// A header's, parameter's or form field's value: a text, or a number or flag written as one.
    fn text(&mut self, field: &str, value: &serde_json::Value) -> Option<Template> {
        match value {
            serde_json::Value::String(text) => self.parse(field, text),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => {
                self.parse(field, &value.to_string())
            }
            _ => {
                self.wrong(field, "must be a text");
                None
            }
        }
    }

    /// Registers the secret of a field, if it has one: at most one, with nothing beside it but literal text.
    fn secret_in(&mut self, field: &str, template: &Template, place: &Place) -> bool {
        let secrets: Vec<SecretRef> = template
            .references()
            .filter_map(|r| if let Reference::Secret(secret) = r { Some(secret.clone()) } else { None })
            .collect();
        let Some(first) = secrets.first() else { return false };
        if secrets.len() > 1 {
            self.wrong(field, "holds more than one secret; one secret per field");
        } else if template.references().count() > 1 {
            self.wrong(field, "mixes a secret with other data; beside a secret only literal text may stand");
        }
        self.slot(field, first, place.clone());
        true
    }
}

/// Whether a parameter in the text of the URL is named like a credential and is not a stored secret.
fn has_credential_parameter(parts: &[UrlPart]) -> bool {
    const STORED: &str = "\u{1}";
    let shape: String = parts
        .iter()
        .map(|part| match part {
            UrlPart::Text(text) => text.as_str(),
            UrlPart::Data(_) => "data",
            UrlPart::Secret(_) => STORED,
        })
        .collect();
    let Some((_, query)) = shape.split_once('?') else { return false };
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        !value.starts_with(STORED) && is_credential_name(&percent_decoded(name))
    })
}

/// Percent escapes undone, for looking at a name; what is no escape stays.
pub fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn is_scheme_and_reference(template: &Template) -> bool {
    let parts: Vec<Part<'_>> = template.parts().collect();
    match parts.as_slice() {
        [Part::Text(scheme), Part::Reference { .. }] => scheme.strip_suffix(' ').is_some_and(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }),
        _ => false,
    }
}

/// A reference as it was written, filters included.
fn reference_source(part: &Part<'_>) -> String {
    match part {
        Part::Text(text) => tacit_template::escape(text),
        Part::Reference { source, .. } => (*source).to_owned(),
    }
}

/// A field's name as it may stand in a message.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tacit_model::Code;

    fn compile(step: serde_json::Value) -> Result<HttpTemplate, Problem> {
        HttpTemplate::compile(&serde_json::from_value(step).unwrap(), "")
    }

    fn places(step: serde_json::Value) -> Vec<String> {
        compile(step).unwrap().slots.iter().map(|slot| slot.place.to_string()).collect()
    }

    /// Every allowed place is recognised as what destinations call it.
    #[test]
    fn places_of_secrets() {
        assert_eq!(places(json!({"url": "https://x.test/", "auth": {"secret": "K"}})), ["auth"]);
        assert_eq!(
            places(json!({"url": "https://x.test/", "headers": {"Authorization": "Bearer {{secrets.K}}"}})),
            ["auth"]
        );
        assert_eq!(
            places(json!({"url": "https://x.test/", "headers": {"X-Api-Key": "{{secrets.K}}"}})),
            ["auth"]
        );
        assert_eq!(
            places(json!({"url": "https://x.test/", "headers": {"X-Custom": "v1={{secrets.K}}"}})),
            ["header:x-custom"]
        );
        assert_eq!(places(json!({"url": "https://x.test/a?k={{secrets.K}}&b=1"})), ["query:k"]);
        assert_eq!(places(json!({"url": "https://x.test/a/{{secrets.K}}/b"})), ["path"]);
        assert_eq!(
            places(json!({"url": "https://x.test/", "query": {"k": "{{secrets[\"Any name\"]}}"}})),
            ["query:k"]
        );
        assert_eq!(
            places(json!({"url": "https://x.test/", "body": {"json": {"a": [{"b": "{{secrets.K}}"}]}}})),
            ["json:/a/0/b"]
        );
        assert_eq!(
            places(
                json!({"url": "https://x.test/", "body": {"form": {"client_secret": "{{secrets.K.password}}"}}})
            ),
            ["form:client_secret"]
        );
    }

    /// B7, I6 and the contract's "anywhere else".
    #[test]
    fn misplaced_secrets() {
        for step in [
            json!({"url": "https://{{secrets.K}}.evil.test/"}),
            json!({"url": "{{secrets.K}}"}),
            json!({"url": "https://x.test:{{secrets.K}}/"}),
            json!({"url": "https://{{input.host}}/"}),
            json!({"url": "https://{{steps.a.body.host}}/x"}),
            json!({"url": "{{input.url}}"}),
            json!({"url": "https://x.test/", "headers": {"{{secrets.K}}": "1"}}),
            json!({"url": "https://x.test/", "headers": {"X-{{input.h}}": "1"}}),
            json!({"url": "https://x.test/", "body": {"text": "k={{secrets.K}}"}}),
        ] {
            assert_eq!(compile(step.clone()).unwrap_err().code, Code::PlacementNotAllowed, "{step}");
        }
    }

    /// Two secrets in a field, data beside a secret, half a segment, filters: each is refused by name.
    #[test]
    fn fields_that_break_rules() {
        for (step, field) in [
            (
                json!({"url": "https://x.test/", "headers": {"X-A": "{{secrets.A}}{{secrets.B}}"}}),
                "headers.X-A",
            ),
            (
                json!({"url": "https://x.test/", "headers": {"X-A": "{{secrets.A}}{{input.x}}"}}),
                "headers.X-A",
            ),
            (
                json!({"url": "https://x.test/", "headers": {"Authorization": "{{secrets.A}}"}}),
                "headers.Authorization",
            ),
            (
                json!({"url": "https://x.test/", "headers": {"Authorization": "Bearer {{secrets.A}}x"}}),
                "headers.Authorization",
            ),
            (
                json!({"url": "https://x.test/", "auth": {"secret": "K"}, "headers": {"Authorization": "x"}}),
                "headers.Authorization",
            ),
            (json!({"url": "https://x.test/", "headers": {"Host": "evil.test"}}), "headers.Host"),
            (
                json!({"url": "https://x.test/", "headers": {"X-Forwarded-Host": "evil.test"}}),
                "headers.X-Forwarded-Host",
            ),
            (json!({"url": "https://x.test/", "headers": {"a b": "1"}}), "headers.a b"),
            (json!({"url": "https://x.test/", "headers": {"A": "1", "a": "2"}}), "headers.a"),
            (json!({"url": "https://x.test/v{{secrets.K}}"}), "url"),
            (json!({"url": "https://x.test/?a=b{{secrets.K}}"}), "url"),
            (json!({"url": "https://x.test/", "query": {"q": "{{secrets.K | base64}}"}}), "query.q"),
        ] {
            let problem = compile(step.clone()).unwrap_err();
            assert_eq!(
                (problem.code, problem.issues[0].field.as_str()),
                (Code::ValidationFailed, field),
                "{step}"
            );
        }
    }

    /// B4: somebody else's credential is noticed, an idempotency key is not one.
    #[test]
    fn foreign_credentials() {
        let foreign = |step| compile(step).unwrap().foreign_credential;
        assert!(foreign(json!({"url": "https://x.test/", "headers": {"Authorization": "Bearer mine"}})));
        assert!(foreign(json!({"url": "https://x.test/", "headers": {"Cookie": "s=1"}})));
        assert!(foreign(json!({"url": "https://x.test/", "query": {"access_token": "mine"}})));
        assert!(!foreign(json!({"url": "https://x.test/", "headers": {"Idempotency-Key": "{{input.id}}"}})));
        assert!(!foreign(json!({"url": "https://x.test/", "headers": {"X-Api-Key": "{{secrets.K}}"}})));
    }
}
