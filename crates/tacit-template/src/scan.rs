//! The grammar, read by hand from left to right. A parser library would be shorter, but here the refusals are
//! the product: each knows its place, why it is refused and what to write instead.
//!
//! ```text
//! template  = { text | "{{" space ( string | reference { space "|" space filter } ) space "}}" }
//! reference = "secrets" name path | "vars" name | "input" path | "steps" name path | "env" | "run.id"
//! name      = "." word | "[" string "]"
//! path      = { "." word | "[" string "]" | "[" index "]" }
//! word      = 1*( A-Z a-z 0-9 _ - )          string = as in JSON          index = digits
//! ```
//!
//! There is no operator, no function, no argument and no nesting, so nothing can be computed from a secret,
//! and a name cannot come from data. References to secrets are followed by `}}` or refused.

use crate::filter::{FILTERS, Filter};
use crate::suggest::{nearest_filter, nearest_root};
use crate::template::Node;
use crate::{
    FILTERS_MAX, NAME_BYTES_MAX, PATH_DEPTH_MAX, ParseError, Path, REFERENCES_MAX, Reference,
    SOURCE_BYTES_MAX, SecretRef, Segment,
};

const ROOTS: &str = "write `secrets.NAME`, `vars.NAME`, `input.PATH`, `steps.ID.PATH`, `env` or `run.id`";
const ESCAPE: &str = r#"for two literal braces write `{{"{{"}}`"#;
const SECRET_ALONE: &str = "write `{{secrets.NAME}}` alone where the value is sent; its type does the encoding \
                            (basic auth, bearer, …)";
const WRITTEN_OUT: &str =
    r#"write the name out, as `.NAME` or `["Any name"]`; what depends on data belongs in a code step"#;
const COMPUTED: &str = "a name cannot be computed: brackets hold one quoted name or one index";
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
            return Err(
                self.error("three braces in a row", r#"write a literal brace before `{{` as `{{"{"}}`"#)
            );
        }
        self.skip_space();
        let mut node = match self.peek() {
            Some('"') => Node::Text(self.string()?),
            Some(_) if self.rest().starts_with("}}") => {
                let message = "there is nothing between the braces";
                return Err(ParseError::new(opening, message, format!("{ROOTS}; {ESCAPE}")));
            }
            _ => {
                let reference = self.reference()?;
                let filters = self.filters()?;
                Node::Reference { reference, filters, offset: opening, end: self.at }
            }
        };
        self.skip_space();
        if let (Node::Text(_), Some('|')) = (&node, self.peek()) {
            return Err(self.error("literal text takes no filter", "write the filtered text itself"));
        }
        if !self.eat("}}") {
            return Err(self.unexpected());
        }
        if let Node::Reference { end, .. } = &mut node {
            *end = self.at;
        }
        self.opening = None;
        Ok(node)
    }

    pub(crate) fn reference(&mut self) -> Result<Reference, ParseError> {
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
            unknown => Err(ParseError::new(
                start,
                "no reference begins with this word",
                or_list(nearest_root(unknown), ROOTS),
            )),
        }
    }

    /// Reads the name of a secret, a variable or a step. It is always written out: a name from data would let
    /// data choose the secret.
    fn name(&mut self) -> Result<String, ParseError> {
        if self.eat(".") {
            let start = self.at;
            return within_limit(start, self.word()?.to_owned());
        }
        if self.rest().starts_with("[\"") {
            let start = self.at + 2;
            self.eat("[");
            let name = self.string()?;
            let written = &self.source[start..self.at - 1];
            self.close_bracket()?;
            return check_name(start, written, name);
        }
        if self.eat("[") {
            return Err(match self.peek() {
                Some('0'..='9') => self.error("a number is not a name", WRITTEN_OUT),
                _ => self.unexpected_in_bracket(),
            });
        }
        if self.rest().trim_start_matches(is_space).starts_with(['}', '|']) {
            let message =
                if self.of_secret { "all secrets at once cannot be had" } else { "a name is missing" };
            return Err(self.error(message, WRITTEN_OUT));
        }
        Err(self.unexpected())
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
            Some(':') => {
                Err(self.error("there are no slices", "write one index, `[0]` for the first element"))
            }
            Some('}') => Err(self.error("`]` is missing", r#"write `["Any name"]` or `[0]`"#)),
            Some('{') | None => Err(self.unexpected()),
            Some(_) => Err(self.error(COMPUTED, WRITTEN_OUT)),
        }
    }

    fn unexpected_in_bracket(&self) -> ParseError {
        match self.peek() {
            Some('\'' | '`' | '“' | '”' | '„' | '‘' | '’' | '«' | '»') => {
                self.error("only straight double quotes quote a name", r#"write `["Any name"]`"#)
            }
            Some('-') => self.error("an index counts from the front", "write `[0]` for the first element"),
            Some(']') => {
                self.error("there is nothing between the brackets", r#"write `["Any name"]` or `[0]`"#)
            }
            Some(c) if c.is_alphanumeric() || c == '_' => self.error(COMPUTED, WRITTEN_OUT),
            _ => self.unexpected(),
        }
    }

    /// Reads a string in double quotes, with JSON's escapes.
    pub(crate) fn string(&mut self) -> Result<String, ParseError> {
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
                    return Err(ParseError::new(
                        start,
                        "there is no such filter",
                        or_list(nearest_filter(name), &filter_list()),
                    ));
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
        let calculates =
            matches!(next, '=' | '!' | '<' | '>' | '+' | '*' | '/' | '%' | '&' | '?' | '^' | '~' | '|');
        match next {
            '{' => self.error("braces do not nest", WRITTEN_OUT),
            '(' if self.of_secret => self.error("a secret is never an argument", SECRET_ALONE),
            '(' => {
                self.error("there are no functions", "reference the value alone and put filters after `|`")
            }
            '#' | '/' if self.follows_braces() => self.error(
                "there are no blocks and no conditions",
                "a step's own `when:` decides whether it runs; calculate in a code step",
            ),
            _ if self.follows_braces() => self.error("a reference begins with a word", ROOTS),
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

    pub(crate) fn error(&self, message: &str, suggestion: impl Into<String>) -> ParseError {
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
    pub(crate) fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'s str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !accepts(byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// How far it has read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn skip_space(&mut self) {
        self.take_while(|byte| is_space(char::from(byte)));
    }

    pub(crate) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes a word if it stands next, after space, as a whole.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let found = self.is_word_next(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// Whether a word stands here as a whole.
    pub(crate) fn is_word_next(&self, word: &str) -> bool {
        self.rest().strip_prefix(word).is_some_and(|rest| !rest.bytes().next().is_some_and(is_word_byte))
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }
}

/// The known word that was meant, or else all that there are.
fn or_list(meant: Option<&str>, all: &str) -> String {
    meant.map_or_else(|| all.to_owned(), |meant| format!("did you mean `{meant}`?"))
}

fn filter_list() -> String {
    format!("the filters are {}", FILTERS.map(|(name, _)| format!("`{name}`")).join(", "))
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

/// What no name contains, so that every name has one spelling: who searches an automation for a secret's name
/// finds every use of it. The rest of the rules for names (NFC, uniqueness) is kept where names are made.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Template;

    fn refuse(source: &str) -> ParseError {
        Template::parse(source).expect_err(source)
    }

    /// What is close to a known word is named; what is not gets the list. The wrong word itself is never
    /// repeated.
    #[test]
    fn did_you_mean() {
        for (source, suggestion) in [
            ("{{secret.X}}", "did you mean `secrets`?"),
            ("{{Secrets.X}}", "did you mean `secrets`?"),
            ("{{sercets.X}}", "did you mean `secrets`?"),
            ("{{inputs.x}}", "did you mean `input`?"),
            ("{{variables.x}}", "did you mean `vars`?"),
            ("{{step.a.b}}", "did you mean `steps`?"),
            ("{{environment}}", "did you mean `env`?"),
            ("{{run_id}}", "did you mean `run.id`?"),
            ("{{run}}", "write `{{run.id}}`"),
            ("{{run.started}}", "write `{{run.id}}`"),
            ("{{input.x | b64}}", "did you mean `base64`?"),
            ("{{input.x | base46}}", "did you mean `base64`?"),
            ("{{input.x | UPPER}}", "did you mean `upper`?"),
            ("{{input.x | uppercase}}", "did you mean `upper`?"),
            ("{{sk_live_51abcdef}}", ROOTS),
        ] {
            let error = refuse(source);
            assert_eq!(error.suggestion, suggestion, "{source}");
            assert!(!error.to_string().contains("sk_live"), "{error}");
        }
        assert!(
            refuse("{{input.x | md5}}")
                .suggestion
                .starts_with("the filters are `base64`, `base64url`, `hex`")
        );
    }

    /// Each refusal stands where the source goes wrong and is about what is wrong there.
    #[test]
    fn refusals_have_a_place_and_a_reason() {
        for (source, offset, message) in [
            ("ab {{", 3, "this `{{` is never closed"),
            ("ab {{input.x", 3, "this `{{` is never closed"),
            ("ab {{input.", 3, "this `{{` is never closed"),
            ("ab {{input.x | ", 3, "this `{{` is never closed"),
            ("ab {{input[", 3, "this `{{` is never closed"),
            ("ab {{input[\"x", 11, "this quote is never closed"),
            ("{{input.x}", 9, "a reference closes with two braces"),
            ("{{}}", 0, "there is nothing between the braces"),
            ("é{{ \n }}", 2, "there is nothing between the braces"),
            ("{{{input.x}}}", 2, "three braces in a row"),
            ("{{ {", 3, "braces do not nest"),
            ("{{input.x + 1}}", 10, "there are no comparisons and no calculations"),
            ("{{input.x || env}}", 10, "there are no comparisons and no calculations"),
            ("{{len(input.x)}}", 5, "there are no functions"),
            ("{{input.x | trim(1)}}", 16, "there are no functions"),
            ("{{#if input.x}}", 2, "there are no blocks and no conditions"),
            ("{{/if}}", 2, "there are no blocks and no conditions"),
            ("{{-env-}}", 2, "no reference begins with this word"),
            ("{{é}}", 2, "a reference begins with a word"),
            ("{{input .x}}", 8, "between two braces stands one reference"),
            ("{{input. x}}", 8, "there is no space inside a reference"),
            ("{{input..x}}", 8, "a name is missing"),
            ("{{vars}}", 6, "a name is missing"),
            ("{{vars }}", 6, "a name is missing"),
            ("{{vars.}}", 7, "a name is missing"),
            ("{{vars.x.y}}", 8, "a variable has no fields"),
            ("{{env.x}}", 5, "`env` is the environment's name and has no fields"),
            ("{{run.id.x}}", 2, "of the run only the id is known"),
            ("{{steps[0].body}}", 8, "a number is not a name"),
            ("{{vars.größe}}", 9, "this character cannot stand here"),
            ("{{vars.a b}}", 9, "between two braces stands one reference"),
            ("{{vars\"a\"}}", 6, "a quoted name stands in brackets"),
            ("{{vars['a']}}", 7, "only straight double quotes quote a name"),
            ("{{vars[“a”]}}", 7, "only straight double quotes quote a name"),
            ("{{vars[\"\"]}}", 8, "the name is empty"),
            ("{{vars[\" a\"]}}", 8, "a name has no space at its ends"),
            (
                "{{vars[\"a/b\"]}}",
                9,
                "a name holds no control characters, quotes, slashes, backslashes or braces",
            ),
            ("{{vars[\"a\"}}", 10, "`]` is missing"),
            ("{{input[]}}", 8, "there is nothing between the brackets"),
            ("{{input[\"\\x\"]}}", 8, "the quoted text is not a JSON string"),
            ("{{input[1:2]}}", 9, "there are no slices"),
            ("{{input.* }}", 8, "there are no wildcards"),
            ("{{\"a\" | upper}}", 6, "literal text takes no filter"),
            ("{{\"a\" \"b\"}}", 6, "a quoted name stands in brackets"),
        ] {
            let error = refuse(source);
            assert_eq!((error.offset, error.message.as_str()), (offset, message), "{source}");
            assert!(!error.suggestion.is_empty(), "{source}");
        }
    }

    /// Each limit passes at its value and refuses one more.
    #[test]
    fn limits() {
        let fits = |source: String| Template::parse(&source).is_ok();
        assert!(fits("x".repeat(SOURCE_BYTES_MAX)));
        assert!(!fits("x".repeat(SOURCE_BYTES_MAX + 1)));
        assert!(fits("{{env}}".repeat(REFERENCES_MAX)));
        assert!(!fits("{{env}}".repeat(REFERENCES_MAX + 1)));
        assert!(fits(format!("{{{{input{}}}}}", ".k".repeat(PATH_DEPTH_MAX))));
        assert!(!fits(format!("{{{{input{}}}}}", ".k".repeat(PATH_DEPTH_MAX + 1))));
        assert!(fits(format!("{{{{input.x{}}}}}", "|trim".repeat(FILTERS_MAX))));
        assert!(!fits(format!("{{{{input.x{}}}}}", "|trim".repeat(FILTERS_MAX + 1))));
        for root in ["secrets", "vars", "steps"] {
            for (open, close) in [(".", ""), ("[\"", "\"]")] {
                let named = |bytes| format!("{{{{{root}{open}{}{close}}}}}", "n".repeat(bytes));
                assert!(fits(named(NAME_BYTES_MAX)));
                assert!(!fits(named(NAME_BYTES_MAX + 1)));
            }
        }
    }

    /// The 65th reference is where the error stands.
    #[test]
    fn too_many_references_names_the_first_that_is_too_many() {
        assert_eq!(refuse(&"{{env}}".repeat(REFERENCES_MAX + 3)).offset, 7 * REFERENCES_MAX);
    }
}
