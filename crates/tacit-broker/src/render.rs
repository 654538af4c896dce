//! From a compiled step and its data to a draft of a request, in which every secret is still only a name.

use http::HeaderMap;
use tacit_model::{Code, Place, Problem, RequestPath, Target, limits};
use tacit_template::{Piece, Rendered, RenderedJson, Scope, SecretRef, Template};
use tacit_vault::{BodyTemplate, HttpTemplate, UrlPart};

/// Text with secrets in it, by slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fragment {
    Text(String),
    Secret(usize),
}

/// JSON with secrets in it, by slot.
#[derive(Clone, Debug)]
pub(crate) enum DraftJson {
    Value(serde_json::Value),
    Text(Vec<Fragment>),
    Array(Vec<DraftJson>),
    Object(Vec<(String, DraftJson)>),
}

/// A body with secrets in it, by slot.
#[derive(Clone, Debug)]
pub(crate) enum DraftBody {
    Json(DraftJson),
    /// JSON as a client wrote it, with secrets inside the quotes of strings.
    Written(Vec<Fragment>),
    Form(Vec<(String, Vec<Fragment>)>),
    Text(String),
    /// The content of an object.
    Bytes(Vec<u8>),
}

/// A request before its secrets are put in: where it goes is settled.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) method: String,
    pub(crate) target: Target,
    /// What the policy looks at: secret segments read `{secret}`.
    pub(crate) path: RequestPath,
    pub(crate) path_and_query: Vec<Fragment>,
    pub(crate) headers: Vec<(String, Vec<Fragment>)>,
    /// Headers without a secret that a client wrote. A step has none: its headers are all rendered.
    pub(crate) plain_headers: HeaderMap,
    /// An `Authorization: Basic …` whose pair is made when the value is known.
    pub(crate) basic: Option<BasicPair>,
    /// The region for a signature; that of the secret if there is none.
    pub(crate) region: Option<String>,
    pub(crate) body: Option<DraftBody>,
}

/// A secret in a Basic pair that a client wrote.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BasicPair {
    pub(crate) slot: usize,
    pub(crate) beside: Beside,
}

/// The other half of a Basic pair.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Beside {
    /// A user name, before the secret.
    User(String),
    /// A word where the password stands, behind the secret.
    Word(&'static str),
}

/// What stands for a secret while the path is judged. No data can look like it: data is percent-encoded.
pub(crate) const SECRET_SEGMENT: &str = "{secret}";

/// Bytes that may still be rendered into one request. One for all its fields: twenty thousand of them, each filled with
/// the same large variable, would otherwise be a gigabyte.
struct Left(usize);

impl Left {
    fn of_url(fragments: &[Fragment]) -> Result<Self, Problem> {
        let mut left = Self(limits::REQUEST_BODY_BYTES_MAX);
        left.spend(fragments)?;
        Ok(left)
    }

    fn spend(&mut self, fragments: &[Fragment]) -> Result<(), Problem> {
        let bytes: usize =
            fragments.iter().map(|f| if let Fragment::Text(text) = f { text.len() } else { 0 }).sum();
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| {
            let limit = limits::REQUEST_BODY_BYTES_MAX;
            Problem::new(Code::PayloadTooLarge, format!("the request would be over {limit} bytes"))
                .suggest("send less")
        })?;
        Ok(())
    }
}

fn failed(field: &str, error: &tacit_template::RenderError) -> Problem {
    let mut problem = Problem::new(Code::UnknownReference, format!("`{field}` cannot be filled in: {error}"))
        .suggest(
            "check that the input, the variable in this environment, or the earlier step's output is there",
        );
    problem.issues = vec![tacit_model::Issue::new(field, error.to_string())];
    problem
}

impl Draft {
    /// Renders a compiled step.
    ///
    /// # Errors
    /// `unknown_reference` for data that is not there, `validation_failed` for a URL that cannot be read one way only.
    pub fn render(template: &HttpTemplate, scope: &dyn Scope) -> Result<Self, Problem> {
        let origin = plain(&template.origin, "url", scope)?;
        let bad_url = |error: tacit_model::TargetError| Problem::invalid("url", error.to_string());
        let (target, base) = Target::parse_url(&origin).map_err(bad_url)?;
        if base.query().is_some() {
            return Err(Problem::invalid(
                "url",
                "has a query in the part that a variable fills; write the query in the step",
            ));
        }
        let mut fragments = vec![Fragment::Text(base.path().trim_end_matches('/').to_owned())];
        for part in &template.path_and_query {
            match part {
                UrlPart::Text(text) => fragments.push(Fragment::Text(text.clone())),
                UrlPart::Data(data) => {
                    fragments.push(Fragment::Text(percent_encode(plain(data, "url", scope)?.as_bytes())))
                }
                UrlPart::Secret(slot) => fragments.push(Fragment::Secret(*slot)),
            }
        }
        let mut has_query = template
            .path_and_query
            .iter()
            .any(|part| matches!(part, UrlPart::Text(text) if text.contains('?')));
        for (name, value) in &template.query {
            let separator = if has_query { '&' } else { '?' };
            has_query = true;
            fragments.push(Fragment::Text(format!("{separator}{}=", percent_encode(name.as_bytes()))));
            fragments.extend(
                in_place(template, value, &Place::Query(name.as_str().into()), "query", scope)?
                    .into_iter()
                    .map(|fragment| match fragment {
                        Fragment::Text(text) => Fragment::Text(percent_encode(text.as_bytes())),
                        secret => secret,
                    }),
            );
        }
        let judged: String = fragments
            .iter()
            .map(|fragment| if let Fragment::Text(text) = fragment { text } else { SECRET_SEGMENT })
            .collect();
        let path = RequestPath::parse(&judged).map_err(bad_url)?;
        if judged.is_empty() || judged.starts_with('?') {
            fragments.insert(0, Fragment::Text("/".to_owned()));
        }
        let mut left = Left::of_url(&fragments)?;
        let mut headers = Vec::with_capacity(template.headers.len());
        for (name, value) in &template.headers {
            let place = Place::of_header(name);
            let fragments = in_place(template, value, &place, &format!("headers.{name}"), scope)?;
            left.spend(&fragments)?;
            headers.push((name.clone(), fragments));
        }
        let body =
            template.body.as_ref().map(|body| render_body(template, body, scope, &mut left)).transpose()?;
        Ok(Self {
            method: template.method.clone(),
            target,
            path,
            path_and_query: fragments,
            headers,
            plain_headers: HeaderMap::new(),
            basic: None,
            region: None,
            body,
        })
    }
}

fn render_body(
    template: &HttpTemplate,
    body: &BodyTemplate,
    scope: &dyn Scope,
    left: &mut Left,
) -> Result<DraftBody, Problem> {
    Ok(match body {
        BodyTemplate::Text(text) => DraftBody::Text(plain(text, "body.text", scope)?),
        BodyTemplate::Form(fields) => {
            let mut rendered = Vec::with_capacity(fields.len());
            for (name, value) in fields {
                let place = Place::Form(name.as_str().into());
                let fragments = in_place(template, value, &place, &format!("body.form.{name}"), scope)?;
                left.spend(&fragments)?;
                rendered.push((name.clone(), fragments));
            }
            DraftBody::Form(rendered)
        }
        BodyTemplate::Json(json) => {
            let rendered = json.render(scope).map_err(|error| failed("body.json", &error))?;
            DraftBody::Json(draft_json(template, rendered, String::new())?)
        }
    })
}

fn draft_json(template: &HttpTemplate, json: RenderedJson, pointer: String) -> Result<DraftJson, Problem> {
    let slot = |secret: &SecretRef| slot_of(template, &Place::Json(pointer.as_str().into()), secret);
    Ok(match json {
        RenderedJson::Value(value) => DraftJson::Value(value),
        RenderedJson::Secret(secret) => DraftJson::Text(vec![Fragment::Secret(slot(&secret)?)]),
        RenderedJson::Text(pieces) => DraftJson::Text(
            pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Plain { text, .. } => Ok(Fragment::Text(text)),
                    Piece::Secret(secret) => slot(&secret).map(Fragment::Secret),
                })
                .collect::<Result<_, _>>()?,
        ),
        RenderedJson::Array(items) => DraftJson::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(at, item)| draft_json(template, item, format!("{pointer}/{at}")))
                .collect::<Result<_, _>>()?,
        ),
        RenderedJson::Object(members) => DraftJson::Object(
            members
                .into_iter()
                .map(|(key, value)| {
                    let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                    Ok((key, draft_json(template, value, pointer)?))
                })
                .collect::<Result<_, Problem>>()?,
        ),
    })
}

/// A template without secrets, as text.
pub(crate) fn plain(template: &Template, field: &str, scope: &dyn Scope) -> Result<String, Problem> {
    let rendered = template.render_text(scope).map_err(|error| failed(field, &error))?;
    rendered
        .into_plain_text()
        .ok_or_else(|| Problem::internal("a secret stands where compiling does not allow one"))
}

/// A template that may hold one secret, in a place.
fn in_place(
    template: &HttpTemplate,
    value: &Template,
    place: &Place,
    field: &str,
    scope: &dyn Scope,
) -> Result<Vec<Fragment>, Problem> {
    let Rendered::Text(pieces) = value.render_text(scope).map_err(|error| failed(field, &error))? else {
        return Err(Problem::internal("text did not render to text"));
    };
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain { text, .. } => Ok(Fragment::Text(text)),
            Piece::Secret(secret) => slot_of(template, place, &secret).map(Fragment::Secret),
        })
        .collect()
}

fn slot_of(template: &HttpTemplate, place: &Place, secret: &SecretRef) -> Result<usize, Problem> {
    template.slot_of(place, secret).ok_or_else(|| Problem::internal("a secret has no slot"))
}

/// Everything but RFC 3986's unreserved characters, so that data adds no segment, parameter or fragment.
pub(crate) fn percent_encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(*byte))
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    struct Data(Value);

    impl Scope for Data {
        fn var(&self, name: &str) -> Option<Value> {
            self.0["vars"].get(name).cloned()
        }
        fn input(&self) -> &Value {
            &self.0["input"]
        }
        fn step(&self, _: &str) -> Option<&Value> {
            None
        }
        fn env(&self) -> &str {
            "test"
        }
        fn run_id(&self) -> &str {
            "run_1"
        }
    }

    fn draft(step: Value, data: Value) -> Result<Draft, Problem> {
        let step = serde_json::from_value(step).unwrap();
        Draft::render(&HttpTemplate::compile(&step, "").unwrap(), &Data(data))
    }

    fn url(step: Value, data: Value) -> Result<String, Problem> {
        draft(step, data).map(|draft| {
            let rest: String = draft
                .path_and_query
                .iter()
                .map(|f| if let Fragment::Text(text) = f { text.as_str() } else { "<S>" })
                .collect();
            format!("{}{rest}", draft.target)
        })
    }

    /// Data cannot add a segment, a parameter, a fragment or a host.
    #[test]
    fn data_stays_in_its_place() {
        let step =
            json!({"url": "https://x.test/a/{{input.p}}/b?q={{input.q}}", "query": {"r s": "{{input.q}}"}});
        let rendered = url(step.clone(), json!({"input": {"p": "x?#@evil.test", "q": "1&k=2"}})).unwrap();
        assert_eq!(rendered, "https://x.test/a/x%3F%23%40evil.test/b?q=1%26k%3D2&r%20s=1%26k%3D2");
        // Servers disagree about what an encoded slash is, so data with a slash is not sent as a segment.
        assert!(url(step, json!({"input": {"p": "x/y", "q": ""}})).is_err());
    }

    /// A dot segment that data would form is refused, as every path that is not normal.
    #[test]
    fn data_cannot_climb() {
        let step = json!({"url": "https://x.test/a/{{input.p}}/b"});
        for p in ["..", ".", ""] {
            assert!(url(step.clone(), json!({"input": {"p": p}})).is_err(), "{p:?}");
        }
    }

    /// A variable may be the origin, even with a path, and is judged when it is known.
    #[test]
    fn variables_form_hosts() {
        let step = json!({"url": "{{vars.BASE}}/v1"});
        assert_eq!(
            url(step.clone(), json!({"vars": {"BASE": "https://x.test/api/"}})).unwrap(),
            "https://x.test/api/v1"
        );
        for base in ["https://x.test?y", "x.test", "https://u@x.test", "https://x.test/../y", "ftp://x.test"]
        {
            assert!(url(step.clone(), json!({"vars": {"BASE": base}})).is_err(), "{base}");
        }
        assert!(url(step, json!({"vars": {}})).is_err());
    }

    /// Secrets are slots in the draft, wherever they stand.
    #[test]
    fn secrets_are_slots() {
        let step =
            json!({"url": "https://x.test/{{secrets.A}}/y?k={{secrets.B}}", "query": {"l": "{{secrets.C}}"}});
        assert_eq!(url(step, json!({})).unwrap(), "https://x.test/<S>/y?k=<S>&l=<S>");
        let json_body = draft(json!({"url": "https://x.test", "body": {"json": {"a": ["{{secrets.A}}"], "b/c": "x {{secrets.B}}"}}}), json!({})).unwrap();
        let Some(DraftBody::Json(DraftJson::Object(members))) = json_body.body else {
            panic!("not an object")
        };
        assert!(
            matches!(&members[0].1, DraftJson::Array(items) if matches!(&items[0], DraftJson::Text(t) if t == &[Fragment::Secret(0)]))
        );
        assert!(matches!(&members[1].1, DraftJson::Text(t) if t.len() == 2));
    }
}
