//! The grammar, read by hand from left to right. A parser library would be shorter, but here the refusals are the
//! product: each knows its place, why it is refused and what to write instead.
//!
//! ```text
//! template  = { text | "{{" space ( string | reference { space "|" space filter } ) space "}}" }
//! reference = "secrets" name path | "vars" name | "input" path | "steps" name path | "env" | "run.id"
//! name      = "." word | "[" string "]"
//! path      = { "." word | "[" string "]" | "[" index "]" }
//! word      = 1*( A-Z a-z 0-9 _ - )          string = as in JSON          index = digits
//! ```
//!
//! There is no operator, no function, no argument and no nesting, so nothing can be computed from a secret, and a
//! name cannot come from data. References to secrets are followed by `}}` or refused.

use crate::filter::{FILTERS, Filter};
use crate::template::Node;
use crate::{
    FILTERS_MAX, NAME_BYTES_MAX, PATH_DEPTH_MAX, ParseError, Path, REFERENCES_MAX, Reference, SOURCE_BYTES_MAX,
    SecretRef, Segment,
};

const ROOTS: &str = "write `secrets.NAME`, `vars.NAME`, `input.PATH`, `steps.ID.PATH`, `env` or `run.id`";
const ESCAPE: &str = r#"for two literal braces write `{{"{{"}}`"#;
const SECRET_ALONE: &str =
    "write `{{secrets.NAME}}` alone where the value is sent; its type does the encoding (basic auth, bearer, …)";
const WRITTEN_OUT: &str =
    r#"write the name out, as `.NAME` or `["Any name"]`; what depends on data belongs in a code step"#;
const QUOTED: &str = r#"a name with spaces or other characters is written `["Any name"]`"#;

pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_word_byte)
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A position in a source. `at` is always on a character boundary.
pub(crate) struct Scanner<'s> {
    source: &'s str,
    at: usize,
    /// Where the `{{` around this position begins; `None` in a path that stands by itself.
    opening: Option<usize>,
    /// Whether the reference being read is a secret's: its refusals say so.
    of_secret: bool,
}

impl<'s> Scanner<'s> {
    pub(crate) fn new(source: &'s str) -> Result<Self, ParseError> {
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("the text is longer than {SOURCE_BYTES_MAX} bytes");
            return Err(ParseError::new(0, message, "pass long text as input or build it in a code step"));
        }
        Ok(Self { source, at: 0, opening: None, of_secret: false })
    }

    /// Reads the whole source as a template.
    pub(crate) fn template(mut self) -> Result<Vec<Node>, ParseError> {
        let mut nodes = Vec::new();
        let mut references = 0;
        while let Some(distance) = self.rest().find("{{") {
            let text = &self.rest()[..distance];
            push_text(&mut nodes, text);
            self.at += distance;
            match self.tag()? {
                Node::Text(text) => push_text(&mut nodes, &text),
                Node::Reference { offset, .. } if references == REFERENCES_MAX => {
                    let message = format!("the text has more than {REFERENCES_MAX} references");
                    return Err(ParseError::new(offset, message, "build the text in a code step"));
                }
                reference => {
                    references += 1;
                    nodes.push(reference);
                }
            }
        }
        push_text(&mut nodes, self.rest());
        Ok(nodes)
    }

    /// Reads the whole source as a path: as in a reference, but without the first dot.
    pub(crate) fn whole_path(mut self) -> Result<Path, ParseError> {
        let mut segments = Vec::new();
        if !self.source.is_empty() && !self.rest().starts_with('[') {
            segments.push(Segment::Key(self.word()?.to_owned()));
        }
        let path = self.path(segments)?;
        if self.peek().is_some() { Err(self.unexpected()) } else { Ok(path) }
    }

    /// Reads `{{…}}`.
    fn tag(&mut self) -> Result<Node, ParseError> {
        let opening = self.at;
        self.opening = Some(opening);
        self.of_secret = false;
        self.eat("{{");
        if self.peek() == Some('{') {
            return Err(self.error("three braces in a row", r#"write a literal brace before `{{` as `{{"{"}}`"#));
        }
        self.skip_space();
        let node = match self.peek() {
            Some('"') => Node::Text(self.string()?),
            Some(_) if self.rest().starts_with("}}") => {
                let message = "there is nothing between the braces";
                return Err(ParseError::new(opening, message, format!("{ROOTS}; {ESCAPE}")));
            }
            _ => {
                let reference = self.reference()?;
                let filters = self.filters()?;
                Node::Reference { reference, filters, offset: opening }
            }
        };
        self.skip_space();
        if let (Node::Text(_), Some('|')) = (&node, self.peek()) {
            return Err(self.error("literal text takes no filter", "write the filtered text itself"));
        }
        if !self.eat("}}") {
            return Err(self.unexpected());
        }
        self.opening = None;
        Ok(node)
    }

    fn reference(&mut self) -> Result<Reference, ParseError> {
        let start = self.at;
        let root = self.take_word();
        match root {
            "secrets" => {
                self.of_secret = true;
                let name = self.name()?;
                let field = Some(self.path(Vec::new())?).filter(|path| !path.is_empty());
                Ok(Reference::Secret(SecretRef { name, field }))
            }
            "vars" => {
                let name = self.name()?;
                match self.peek() {
                    Some('.' | '[') => Err(self.error(
                        "a variable has no fields",
                        r#"end the reference after the name; a name with a dot is written `vars["a.b"]`"#,
                    )),
                    _ => Ok(Reference::Var(name)),
                }
            }
            "input" => Ok(Reference::Input(self.path(Vec::new())?)),
            "steps" => {
                let id = self.name()?;
                let path = self.path(Vec::new())?;
                Ok(Reference::Step { id, path })
            }
            "env" => match self.peek() {
                Some('.' | '[') => Err(self.error(
                    "`env` is the environment's name and has no fields",
                    "for a value per environment write `vars.NAME`",
                )),
                _ => Ok(Reference::Env),
            },
            "run" => {
                if self.eat(".") && self.take_word() == "id" && !matches!(self.peek(), Some('.' | '[')) {
                    return Ok(Reference::RunId);
                }
                Err(ParseError::new(start, "of the run only the id is known", "write `{{run.id}}`"))
            }
            "" => Err(self.unexpected()),
            _ if self.peek() == Some('(') => Err(self.unexpected()),
            unknown => Err(ParseError::new(start, "no reference begins with this word", did_you_mean_root(unknown))),
        }
    }

    /// Reads the name of a secret, a variable or a step. It is always written out: a name from data would let data
    /// choose the secret.
    fn name(&mut self) -> Result<String, ParseError> {
        let name = if self.eat(".") {
            let start = self.at;
            within_limit(start, self.word()?.to_owned())?
        } else if self.rest().starts_with("[\"") {
            self.eat("[");
            let (start, before) = (self.at + 1, self.source);
            let name = self.string()?;
            let end = self.at - 1;
            self.close_bracket()?;
            check_name(start, &before[start..end], name)?
        } else if self.eat("[") {
            let start = self.at;
            return match self.peek() {
                Some('0'..='9') => Err(ParseError::new(start, "things with names are not numbered", WRITTEN_OUT)),
                _ => Err(self.unexpected_in_bracket()),
            };
        } else if self.rest().starts_with("}}") || self.rest().starts_with('|') {
            let message = if self.of_secret { "only one secret at a time has a name" } else { "a name is missing" };
            return Err(self.error(message, WRITTEN_OUT));
        } else {
            return Err(self.unexpected());
        };
        Ok(name)
    }

    /// Reads keys and indexes until something else comes.
    fn path(&mut self, mut segments: Vec<Segment>) -> Result<Path, ParseError> {
        loop {
            let start = self.at;
            let segment = if self.eat(".") {
                Segment::Key(self.word()?.to_owned())
            } else if self.eat("[") {
                self.bracket()?
            } else {
                return Ok(Path::new(segments));
            };
            if segments.len() == PATH_DEPTH_MAX {
                let message = format!("the path is deeper than {PATH_DEPTH_MAX}");
                return Err(ParseError::new(start, message, "take the value apart in a code step"));
            }
            segments.push(segment);
        }
    }

    /// Reads what follows `[` in a path, and the `]`.
    fn bracket(&mut self) -> Result<Segment, ParseError> {
        let segment = match self.peek() {
            Some('"') => Segment::Key(self.string()?),
            Some('0'..='9') => Segment::Index(self.index()?),
            _ => return Err(self.unexpected_in_bracket()),
        };
        self.close_bracket()?;
        Ok(segment)
    }

    /// Reads an index. One spelling each and nine digits at most, so that it fits everywhere.
    fn index(&mut self) -> Result<usize, ParseError> {
        let start = self.at;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        match digits.parse() {
            Ok(index) if digits.len() <= 9 && (digits == "0" || !digits.starts_with('0')) => Ok(index),
            _ => Err(ParseError::new(
                start,
                "an index has up to nine digits and no leading zero",
                "write `[0]` for the first element",
            )),
        }
    }

    fn close_bracket(&mut self) -> Result<(), ParseError> {
        if self.eat("]") {
            return Ok(());
        }
        match self.peek() {
            Some(':') => Err(self.error("there are no slices", "write one index, `[0]` for the first element")),
            Some(c) if c != '{' && !(c == '}' && self.opening.is_none()) => {
                Err(self.error("`]` is missing", r#"write `["Any name"]` or `[0]`"#))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn unexpected_in_bracket(&self) -> ParseError {
        match self.peek() {
            Some('\'' | '`' | '“' | '”' | '„' | '‘' | '’' | '«' | '»') => {
                self.error("only straight double quotes quote a name", r#"write `["Any name"]`"#)
            }
            Some('-') => self.error("an index counts from the front", "write `[0]` for the first element"),
            Some(']') => self.error("there is nothing between the brackets", r#"write `["Any name"]` or `[0]`"#),
            Some(c) if c.is_alphanumeric() || c == '_' => {
                self.error("a name cannot be computed: brackets hold a quoted name or an index", WRITTEN_OUT)
            }
            _ => self.unexpected(),
        }
    }

    /// Reads a string in double quotes, with JSON's escapes.
    fn string(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        let mut escaped = false;
        let body = &self.source[start + 1..];
        let end = body.bytes().position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let Some(end) = end else {
            return Err(self.error("this quote is never closed", "close it with `\"`"));
        };
        self.at = start + 1 + end + 1;
        serde_json::from_str(&self.source[start..self.at]).map_err(|_| {
            let message = "the quoted text is not a JSON string";
            ParseError::new(start, message, r#"escape as in JSON: `\"`, `\\`, `\n`, `\u00e9`"#)
        })
    }

    fn filters(&mut self) -> Result<Vec<Filter>, ParseError> {
        let mut filters = Vec::new();
        loop {
            self.skip_space();
            let start = self.at;
            if self.rest().starts_with("||") || !self.eat("|") {
                return Ok(filters);
            }
            if self.of_secret {
                return Err(ParseError::new(start, "a secret takes no filter", SECRET_ALONE));
            }
            if filters.len() == FILTERS_MAX {
                let message = format!("a reference has more than {FILTERS_MAX} filters");
                return Err(ParseError::new(start, message, "transform the value in a code step"));
            }
            self.skip_space();
            let start = self.at;
            let name = self.take_word();
            match Filter::named(name) {
                Some(filter) => filters.push(filter),
                None if name.is_empty() && self.peek().is_none() => return Err(self.unexpected()),
                None => {
                    return Err(ParseError::new(start, "there is no such filter", did_you_mean_filter(name)));
                }
            }
        }
    }

    /// What is wrong with the next character, which nothing can continue with.
    fn unexpected(&self) -> ParseError {
        let Some(next) = self.peek() else {
            return match self.opening {
                Some(opening) => {
                    let suggestion = format!("close the reference with `}}}}`; {ESCAPE}");
                    ParseError::new(opening, "this `{{` is never closed", suggestion)
                }
                None => self.error("the path ends too early", "write it like `a.b[0][\"c d\"]`"),
            };
        };
        let calculates = matches!(next, '=' | '!' | '<' | '>' | '+' | '*' | '/' | '%' | '&' | '?' | '^' | '~' | '|');
        match next {
            '{' => self.error("braces do not nest", WRITTEN_OUT),
            '(' if self.of_secret => self.error("a secret is never an argument", SECRET_ALONE),
            '(' => self.error("there are no functions", "reference the value alone and put filters after `|`"),
            '#' | '/' if self.follows_braces() => self.error(
                "there are no blocks and no conditions",
                "a step's own `when:` decides whether it runs; calculate in a code step",
            ),
            '-' | '!' | '&' | '>' if self.follows_braces() => self.error("a reference begins with a word", ROOTS),
            _ if calculates && self.of_secret => {
                self.error("a secret cannot be compared or calculated with", SECRET_ALONE)
            }
            _ if calculates => self.error(
                "there are no comparisons and no calculations",
                "calculate in a code step and reference its output as `steps.ID.output.PATH`",
            ),
            '}' => self.error("a reference closes with two braces", "write `}}`"),
            '"' | '\'' | '`' => self.error("a quoted name stands in brackets", r#"write `["Any name"]`"#),
            _ if is_space(next) => self.error("there is no space inside a reference", QUOTED),
            _ if self.follows_space() => {
                let suggestion = format!("close it with `}}}}` here; {QUOTED}");
                self.error("between two braces stands one reference", suggestion)
            }
            _ => self.error("this character cannot stand here", QUOTED),
        }
    }

    fn follows_braces(&self) -> bool {
        self.opening.is_some_and(|opening| self.source[opening + 2..self.at].chars().all(is_space))
    }

    fn follows_space(&self) -> bool {
        self.source[..self.at].ends_with(is_space)
    }

    fn error(&self, message: &str, suggestion: impl Into<String>) -> ParseError {
        ParseError::new(self.at, message, suggestion)
    }

    fn word(&mut self) -> Result<&'s str, ParseError> {
        let word = self.take_word();
        if word.is_empty() { Err(self.unexpected_after_dot()) } else { Ok(word) }
    }

    fn unexpected_after_dot(&self) -> ParseError {
        match self.peek() {
            Some('.' | '[' | ']' | '|') => self.error("a name is missing", QUOTED),
            Some('}') if self.opening.is_some() => self.error("a name is missing", QUOTED),
            Some('*') => self.error("there are no wildcards", WRITTEN_OUT),
            _ => self.unexpected(),
        }
    }

    fn take_word(&mut self) -> &'s str {
        self.take_while(is_word_byte)
    }

    /// Takes ASCII bytes; `accepts` must refuse all others.
    fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'s str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !accepts(byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_space(&mut self) {
        self.take_while(|byte| is_space(char::from(byte)));
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }
}

fn push_text(nodes: &mut Vec<Node>, text: &str) {
    match nodes.last_mut() {
        Some(Node::Text(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => nodes.push(Node::Text(text.to_owned())),
    }
}

fn within_limit(start: usize, name: String) -> Result<String, ParseError> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(name);
    }
    let message = format!("a name is longer than {NAME_BYTES_MAX} bytes");
    Err(ParseError::new(start, message, "check the name; none this long exists"))
}

/// What no name contains, so that every name has one spelling: who searches an automation for a secret's name finds
/// every use of it. The rest of the rules for names (NFC, uniqueness) is kept where names are made.
fn check_name(start: usize, written: &str, name: String) -> Result<String, ParseError> {
    let wrong = |c: char| c.is_control() || matches!(c, '"' | '\'' | '\\' | '/' | '{' | '}');
    if written.is_empty() {
        return Err(ParseError::new(start, "the name is empty", r#"write `["Any name"]`"#));
    }
    if written.starts_with(' ') || written.ends_with(' ') {
        return Err(ParseError::new(start, "a name has no space at its ends", "remove the space"));
    }
    if let Some((at, _)) = written.char_indices().find(|(_, c)| wrong(*c)) {
        return Err(ParseError::new(
            start + at,
            "a name holds no control characters, quotes, slashes, backslashes or braces",
            "write the name as the list shows it, without escapes",
        ));
    }
    within_limit(start, name)
}

/// Words that people bring from elsewhere, and the root they are after.
const ROOT_ALIASES: [(&str, &str); 10] = [
    ("secret", "secrets"),
    ("var", "vars"),
    ("variable", "vars"),
    ("variables", "vars"),
    ("inputs", "input"),
    ("step", "steps"),
    ("environment", "env"),
    ("run_id", "run.id"),
    ("runid", "run.id"),
    ("run-id", "run.id"),
];

fn did_you_mean_root(word: &str) -> String {
    let roots = ["secrets", "vars", "input", "steps", "env"].map(|root| (root, root));
    match nearest(word, roots.into_iter().chain(ROOT_ALIASES)) {
        Some(root) => format!("did you mean `{root}`?"),
        None => ROOTS.to_owned(),
    }
}

/// Names of other template languages for the same filters.
const FILTER_ALIASES: [(&str, &str); 12] = [
    ("b64", "base64"),
    ("b64enc", "base64"),
    ("base64encode", "base64"),
    ("base64_encode", "base64"),
    ("b64url", "base64url"),
    ("base64_url", "base64url"),
    ("url_encode", "urlencode"),
    ("urlencoded", "urlencode"),
    ("tojson", "json"),
    ("uppercase", "upper"),
    ("lowercase", "lower"),
    ("strip", "trim"),
];

fn did_you_mean_filter(word: &str) -> String {
    let names = FILTERS.map(|(name, _)| (name, name));
    match nearest(word, names.into_iter().chain(FILTER_ALIASES)) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("the filters are {}", FILTERS.map(|(name, _)| format!("`{name}`")).join(", ")),
    }
}

/// The meaning of the known word that is at most two edits away, and less than half of it.
fn nearest<'k>(word: &str, known: impl Iterator<Item = (&'k str, &'k str)>) -> Option<&'k str> {
    // Longer words are near to nothing; the table below grows with both lengths.
    if word.len() > 16 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    known
        .map(|(spelling, meaning)| (edits(&word, spelling), spelling, meaning))
        .filter(|(edits, spelling, _)| *edits <= 2 && edits * 2 < spelling.len())
        .min_by_key(|(edits, ..)| *edits)
        .map(|(.., meaning)| meaning)
}

/// Levenshtein's distance, in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
