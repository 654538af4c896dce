//! JSON bodies with references in their strings.
//!
//! The shape is the author's: keys are literal, arrays keep their length, and a reference can only fill the
//! place where it stands. Data can add a value there, and never a member beside it.

use serde_json::Value;

use crate::render::{self, Budget};
use crate::{
    JSON_DEPTH_MAX, ParseError, Piece, Reference, RenderError, Rendered, Scope, SecretRef, Template,
};

/// A JSON body whose string leaves are templates. Keys are literal.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonTemplate(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// A number, a boolean or null.
    Value(Value),
    Template(Template),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl JsonTemplate {
    /// Parses every string of a JSON value as a template.
    ///
    /// # Errors
    ///
    /// The JSON pointer (RFC 6901) of the string that is wrong, or of the member whose key holds `{{`, and
    /// what is wrong with it. Offsets count within that string or key.
    pub fn parse(value: &Value) -> Result<JsonTemplate, (String, ParseError)> {
        let mut pointer = String::new();
        match parse(value, &mut pointer, 0) {
            Ok(node) => Ok(Self(node)),
            Err(error) => Err((pointer, error)),
        }
    }

    /// The references of all strings, in the order of the body.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.templates().into_iter().flat_map(|(_, template)| template.references())
    }

    /// Every string with its JSON pointer, as needed to judge placements when the body is saved.
    pub fn templates(&self) -> Vec<(String, &Template)> {
        let mut templates = Vec::new();
        collect_templates(&self.0, &mut String::new(), &mut templates);
        templates
    }

    /// Binds data to the references, each string by itself as [`Template::render`] does.
    ///
    /// # Errors
    ///
    /// As [`Template::render`]; the limit on the rendered size is one for the whole body.
    pub fn render(&self, scope: &dyn Scope) -> Result<RenderedJson, RenderError> {
        render(&self.0, scope, &mut Budget::new())
    }
}

/// A rendered JSON body. Secrets are still references.
#[derive(Clone, Debug, PartialEq)]
pub enum RenderedJson {
    /// A leaf of the template, final. It may be an array or an object where a reference held one.
    Value(Value),
    /// A string that is one secret.
    Secret(SecretRef),
    /// A string with a secret inside and something around it.
    Text(Vec<Piece>),
    /// An array of the template.
    Array(Vec<RenderedJson>),
    /// An object of the template, its members in order.
    Object(Vec<(String, RenderedJson)>),
}

impl RenderedJson {
    /// The leaves ([`Value`](Self::Value), [`Secret`](Self::Secret) and [`Text`](Self::Text)) in order, each
    /// with its JSON pointer. Data stays one leaf, whatever it contains.
    pub fn leaves(&self) -> Vec<(String, &RenderedJson)> {
        let mut leaves = Vec::new();
        collect_leaves(self, &mut String::new(), &mut leaves);
        leaves
    }

    /// The secrets inside, in order, each as often as it occurs.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.leaves().into_iter().flat_map(|(_, leaf)| {
            let (alone, pieces) = match leaf {
                RenderedJson::Secret(secret) => (Some(secret), [].as_slice()),
                RenderedJson::Text(pieces) => (None, pieces.as_slice()),
                _ => (None, [].as_slice()),
            };
            alone.into_iter().chain(pieces.iter().filter_map(|piece| match piece {
                Piece::Secret(secret) => Some(secret),
                Piece::Plain { .. } => None,
            }))
        })
    }

    /// The body as JSON, if all of it is known here; `None` if a secret is inside.
    pub fn into_plain_value(self) -> Option<Value> {
        match self {
            RenderedJson::Value(value) => Some(value),
            RenderedJson::Secret(_) | RenderedJson::Text(_) => None,
            RenderedJson::Array(elements) => elements.into_iter().map(Self::into_plain_value).collect(),
            RenderedJson::Object(members) => {
                let plain = |(key, member): (String, Self)| Some((key, member.into_plain_value()?));
                Some(Value::Object(members.into_iter().map(plain).collect::<Option<_>>()?))
            }
        }
    }
}

/// Parses a value. After an error, `pointer` is its place.
fn parse(value: &Value, pointer: &mut String, depth: usize) -> Result<Node, ParseError> {
    if depth > JSON_DEPTH_MAX {
        let message = format!("the body nests deeper than {JSON_DEPTH_MAX}");
        return Err(ParseError::new(0, message, "pass the inner part as one reference"));
    }
    match value {
        Value::String(source) => Template::parse(source).map(Node::Template),
        Value::Array(elements) => {
            let mut nodes = Vec::with_capacity(elements.len());
            for (index, element) in elements.iter().enumerate() {
                let parent = descend(pointer, &index.to_string());
                nodes.push(parse(element, pointer, depth + 1)?);
                pointer.truncate(parent);
            }
            Ok(Node::Array(nodes))
        }
        Value::Object(members) => {
            let mut nodes = Vec::with_capacity(members.len());
            for (key, member) in members {
                let parent = descend(pointer, key);
                check_key(key)?;
                nodes.push((key.clone(), parse(member, pointer, depth + 1)?));
                pointer.truncate(parent);
            }
            Ok(Node::Object(nodes))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Node::Value(value.clone())),
    }
}

/// A key made of data could replace a member that the author wrote, and a secret in a key has no pointer.
fn check_key(key: &str) -> Result<(), ParseError> {
    match key.find("{{") {
        Some(offset) => Err(ParseError::new(
            offset,
            "a key cannot hold a reference",
            "write the key out; build an object with computed keys in a code step and reference it whole",
        )),
        None => Ok(()),
    }
}

/// Extends a JSON pointer by one token; returns the length to truncate to afterwards.
fn descend(pointer: &mut String, token: &str) -> usize {
    let parent = pointer.len();
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
    parent
}

fn collect_templates<'t>(node: &'t Node, pointer: &mut String, templates: &mut Vec<(String, &'t Template)>) {
    match node {
        Node::Value(_) => {}
        Node::Template(template) => templates.push((pointer.clone(), template)),
        Node::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let parent = descend(pointer, &index.to_string());
                collect_templates(element, pointer, templates);
                pointer.truncate(parent);
            }
        }
        Node::Object(members) => {
            for (key, member) in members {
                let parent = descend(pointer, key);
                collect_templates(member, pointer, templates);
                pointer.truncate(parent);
            }
        }
    }
}

fn render(node: &Node, scope: &dyn Scope, budget: &mut Budget) -> Result<RenderedJson, RenderError> {
    Ok(match node {
        Node::Value(value) => RenderedJson::Value(value.clone()),
        Node::Template(template) => render_leaf(template, scope, budget)?,
        Node::Array(elements) => RenderedJson::Array(
            elements.iter().map(|element| render(element, scope, budget)).collect::<Result<_, _>>()?,
        ),
        Node::Object(members) => RenderedJson::Object(
            members
                .iter()
                .map(|(key, member)| Ok((key.clone(), render(member, scope, budget)?)))
                .collect::<Result<_, _>>()?,
        ),
    })
}

fn render_leaf(
    template: &Template,
    scope: &dyn Scope,
    budget: &mut Budget,
) -> Result<RenderedJson, RenderError> {
    let pieces = match render::render(template, scope, budget)? {
        Rendered::Value { value, .. } => return Ok(RenderedJson::Value(value)),
        Rendered::Text(pieces) => pieces,
    };
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Plain { text, .. } => Some(text.as_str()),
        Piece::Secret(_) => None,
    });
    Ok(match (texts.collect::<Option<String>>(), pieces.as_slice()) {
        (Some(text), _) => RenderedJson::Value(Value::String(text)),
        (None, [Piece::Secret(secret)]) => RenderedJson::Secret(secret.clone()),
        (None, _) => RenderedJson::Text(pieces),
    })
}

fn collect_leaves<'r>(
    rendered: &'r RenderedJson,
    pointer: &mut String,
    leaves: &mut Vec<(String, &'r RenderedJson)>,
) {
    match rendered {
        RenderedJson::Value(_) | RenderedJson::Secret(_) | RenderedJson::Text(_) => {
            leaves.push((pointer.clone(), rendered));
        }
        RenderedJson::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let parent = descend(pointer, &index.to_string());
                collect_leaves(element, pointer, leaves);
                pointer.truncate(parent);
            }
        }
        RenderedJson::Object(members) => {
            for (key, member) in members {
                let parent = descend(pointer, key);
                collect_leaves(member, pointer, leaves);
                pointer.truncate(parent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Input(Value);

    impl Scope for Input {
        fn var(&self, _: &str) -> Option<Value> {
            None
        }
        fn input(&self) -> &Value {
            &self.0
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

    fn render(body: &Value, input: Value) -> RenderedJson {
        JsonTemplate::parse(body).unwrap().render(&Input(input)).unwrap()
    }

    /// The body keeps its shape and order, lone references their types.
    #[test]
    fn renders_in_place() {
        let body = json!({"b": "{{input.n}}", "a": ["x{{input.n}}", null, 1.0, true, "{{input.o}}", {}, []]});
        let rendered = render(&body, json!({"n": 5, "o": {"k": null}})).into_plain_value().unwrap();
        assert_eq!(rendered.to_string(), r#"{"b":5,"a":["x5",null,1.0,true,{"k":null},{},[]]}"#);
    }

    /// Leaves carry the pointers that placements are judged by; data stays one leaf.
    #[test]
    fn leaves_have_pointers() {
        let body = json!({"a/b": {"m~n": "{{secrets.X}}"}, "l": [1, "k={{secrets.Y.f}}"], "d": "{{input}}", "e": {}});
        let rendered = render(&body, json!({"deep": [1]}));
        let leaves = rendered.leaves();
        let secret = |name: &str, field: Option<&str>| SecretRef {
            name: name.into(),
            field: field.map(|field| field.parse().unwrap()),
        };
        let pointers: Vec<_> = leaves.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/a~1b/m~0n", "/l/0", "/l/1", "/d"]);
        assert_eq!(leaves[0].1, &RenderedJson::Secret(secret("X", None)));
        assert!(matches!(leaves[2].1, RenderedJson::Text(pieces) if pieces.len() == 2));
        assert_eq!(leaves[3].1, &RenderedJson::Value(json!({"deep": [1]})));
        let secrets: Vec<_> = rendered.secrets().cloned().collect();
        assert_eq!(secrets, [secret("X", None), secret("Y", Some("f"))]);
        assert_eq!(rendered.into_plain_value(), None);

        let template = JsonTemplate::parse(&body).unwrap();
        let pointers: Vec<_> = template.templates().into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/a~1b/m~0n", "/l/1", "/d"]);
        assert_eq!(template.references().count(), 3);
        assert_eq!(render(&json!("{{secrets.X}}"), Value::Null).leaves()[0].0, "");
    }

    /// Errors say in which string of the body they are.
    #[test]
    fn errors_have_pointers() {
        let (pointer, error) = JsonTemplate::parse(&json!({"a": ["ok", "x {{nope}}"]})).unwrap_err();
        assert_eq!((pointer.as_str(), error.offset), ("/a/1", 4));
        let (pointer, error) = JsonTemplate::parse(&json!({"a": {"k-{{input.x}}": 1}})).unwrap_err();
        assert_eq!((pointer.as_str(), error.offset), ("/a/k-{{input.x}}", 2));
        assert_eq!(error.message, "a key cannot hold a reference");
    }

    /// The depth is limited, and the limit itself still passes.
    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| (0..depth).fold(json!("x"), |inner, _| json!([inner]));
        assert!(JsonTemplate::parse(&nested(JSON_DEPTH_MAX)).is_ok());
        let (pointer, _) = JsonTemplate::parse(&nested(JSON_DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(pointer, "/0".repeat(JSON_DEPTH_MAX + 1));
    }

    /// The size is limited over all strings together: many small templates are no way around it.
    #[test]
    fn size_is_limited_as_a_whole() {
        let body = Value::from(vec!["{{input}}"; 100]);
        let rendered = JsonTemplate::parse(&body).unwrap().render(&Input(json!("x".repeat(1 << 20))));
        assert_eq!(rendered, Err(RenderError::TooLarge));
    }
}
