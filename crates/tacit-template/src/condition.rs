//! A step's `when:`: whether data is as its author wants it.
//!
//! ```text
//! condition  = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" condition ")" | operand [ compare operand ]
//! operand    = reference | string | number | "true" | "false" | "null"
//! compare    = "==" | "!=" | "<" | "<=" | ">" | ">="
//! ```
//!
//! References are those of templates, without braces and filters. A secret is none of them: an answer to "is it larger
//! than this?" is a way to read it. Whatever the data is, a condition holds or does not; nothing in it fails, and what is
//! not there is null.

use std::{borrow::Cow, cmp::Ordering, ops::Range};

use serde_json::{Number, Value};

use crate::{ParseError, Reference, Scope, render, scan::Scanner};

/// The longest source of a condition, in bytes.
pub const CONDITION_BYTES_MAX: usize = 1024;

/// The deepest nesting of parentheses and negations.
pub const CONDITION_DEPTH_MAX: usize = 16;

/// A parsed condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    source: String,
    node: Node,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Compare {
        left: Operand,
        by: Compare,
        right: Operand,
    },
    /// An operand alone holds if it is `true`; a text that says so is a text.
    Holds(Operand),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Literal(Value),
    /// A reference, and where it stands in the source.
    Reference(Reference, Range<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What compares, the longer ones first.
const COMPARES: [(&str, Compare); 6] = [
    ("==", Compare::Equal),
    ("!=", Compare::Unequal),
    ("<=", Compare::LessOrEqual),
    (">=", Compare::GreaterOrEqual),
    ("<", Compare::Less),
    (">", Compare::Greater),
];

const OPERANDS: &str = "write `input.PATH`, `steps.ID.PATH`, `vars.NAME`, `env`, a number, a text in double quotes, \
                        `true`, `false` or `null`";

impl Condition {
    /// Parses a condition.
    ///
    /// # Errors
    /// The place, the reason and what to write instead; also for a source over [`CONDITION_BYTES_MAX`] and for nesting
    /// beyond [`CONDITION_DEPTH_MAX`].
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        if source.len() > CONDITION_BYTES_MAX {
            let message = format!("the condition is longer than {CONDITION_BYTES_MAX} bytes");
            return Err(ParseError::new(0, message, "decide in a step of its own, and ask for its output"));
        }
        let mut scanner = Scanner::new(source)?;
        let node = any(&mut scanner, 0)?;
        scanner.skip_space();
        if scanner.peek().is_some() {
            return Err(scanner.error(
                "the condition should end here",
                "join conditions with `and` or `or`, compare with `==`, `!=`, `<`, `<=`, `>` or `>=`",
            ));
        }
        Ok(Self { source: source.to_owned(), node })
    }

    /// Every reference in it, in order; never a secret.
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.node.collect(&mut found);
        found.into_iter().map(|(reference, _)| reference).collect()
    }

    /// What was parsed, unchanged.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every reference in it, in order, with where it stands in the source.
    pub(crate) fn placed_references(&self) -> Vec<(&Reference, &Range<usize>)> {
        let mut found = Vec::new();
        self.node.collect(&mut found);
        found
    }

    /// Whether it holds.
    pub fn holds(&self, scope: &dyn Scope) -> bool {
        self.node.holds(scope)
    }
}

impl Node {
    fn collect<'n>(&'n self, found: &mut Vec<(&'n Reference, &'n Range<usize>)>) {
        let mut keep = |operand: &'n Operand| {
            if let Operand::Reference(reference, place) = operand {
                found.push((reference, place));
            }
        };
        match self {
            Self::Any(nodes) | Self::All(nodes) => nodes.iter().for_each(|node| node.collect(found)),
            Self::Not(node) => node.collect(found),
            Self::Compare { left, right, .. } => {
                keep(left);
                keep(right);
            }
            Self::Holds(operand) => keep(operand),
        }
    }

    fn holds(&self, scope: &dyn Scope) -> bool {
        match self {
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(scope)),
            Self::All(nodes) => nodes.iter().all(|node| node.holds(scope)),
            Self::Not(node) => !node.holds(scope),
            Self::Compare { left, by, right } => by.holds(&left.value(scope), &right.value(scope)),
            Self::Holds(operand) => *operand.value(scope) == Value::Bool(true),
        }
    }
}

impl Operand {
    fn value<'s>(&'s self, scope: &'s dyn Scope) -> Cow<'s, Value> {
        match self {
            Self::Literal(value) => Cow::Borrowed(value),
            Self::Reference(reference, _) => {
                render::resolve(reference, scope).unwrap_or(Cow::Owned(Value::Null))
            }
        }
    }
}

impl Compare {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = order(left, right);
        match self {
            Self::Equal => is_equal(left, right),
            Self::Unequal => !is_equal(left, right),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// As JSON is equal, but a number is what it counts and not how it is written.
fn is_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => order_of_numbers(left, right) == Some(Ordering::Equal),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| is_equal(value, other)))
        }
        _ => left == right,
    }
}

/// Numbers have an order, and texts have one; what is of two kinds has none.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => order_of_numbers(left, right),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn order_of_numbers(left: &Number, right: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn any(scanner: &mut Scanner<'_>, depth: usize) -> Result<Node, ParseError> {
    joined(scanner, depth, "or", all, Node::Any)
}

fn all(scanner: &mut Scanner<'_>, depth: usize) -> Result<Node, ParseError> {
    joined(scanner, depth, "and", one, Node::All)
}

fn joined(
    scanner: &mut Scanner<'_>,
    depth: usize,
    word: &str,
    part: fn(&mut Scanner<'_>, usize) -> Result<Node, ParseError>,
    join: fn(Vec<Node>) -> Node,
) -> Result<Node, ParseError> {
    let first = part(scanner, depth)?;
    let mut nodes = vec![first];
    while scanner.eat_word(word) {
        nodes.push(part(scanner, depth)?);
    }
    Ok(if nodes.len() == 1 { nodes.remove(0) } else { join(nodes) })
}

fn one(scanner: &mut Scanner<'_>, depth: usize) -> Result<Node, ParseError> {
    if depth == CONDITION_DEPTH_MAX {
        let message = format!("the condition is nested deeper than {CONDITION_DEPTH_MAX}");
        return Err(scanner.error(&message, "write it flatter, or decide in a step of its own"));
    }
    if scanner.eat_word("not") {
        return Ok(Node::Not(Box::new(one(scanner, depth + 1)?)));
    }
    scanner.skip_space();
    if scanner.eat("(") {
        let node = any(scanner, depth + 1)?;
        scanner.skip_space();
        if !scanner.eat(")") {
            return Err(scanner.error("`)` is missing", "close what `(` opened"));
        }
        return Ok(node);
    }
    let left = operand(scanner)?;
    scanner.skip_space();
    let Some((_, by)) = COMPARES.into_iter().find(|(sign, _)| scanner.eat(sign)) else {
        return match scanner.peek() {
            Some('=') => Err(scanner.error("one `=` compares nothing", "write `==`")),
            Some('&' | '|' | '!') => Err(scanner.error("this is a word here", "write `and`, `or`, `not`")),
            _ => Ok(Node::Holds(left)),
        };
    };
    Ok(Node::Compare { left, by, right: operand(scanner)? })
}

fn operand(scanner: &mut Scanner<'_>) -> Result<Operand, ParseError> {
    scanner.skip_space();
    match scanner.peek() {
        Some('"') => return Ok(Operand::Literal(Value::String(scanner.string()?))),
        Some('-' | '0'..='9') => return number(scanner),
        Some('\'') => return Err(scanner.error("a text stands in double quotes", r#"write `"text"`"#)),
        Some('{') => return Err(scanner.error("a condition has no braces", "write `input.PATH` alone")),
        Some('!') => return Err(scanner.error("this is a word here", "write `not`")),
        None => return Err(scanner.error("something to compare is missing", OPERANDS)),
        Some(_) => {}
    }
    for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
        if scanner.eat_word(word) {
            return Ok(Operand::Literal(value));
        }
    }
    if scanner.is_word_next("secrets") {
        return Err(scanner.error(
            "a secret is never part of a condition",
            "ask for the status or the output of the step that uses it, such as `steps.ID.status == 200`",
        ));
    }
    if !["input", "steps", "vars", "env", "run"].iter().any(|root| scanner.is_word_next(root)) {
        return Err(scanner.error("nothing to compare begins like this", OPERANDS));
    }
    let start = scanner.at();
    let reference = scanner.reference()?;
    Ok(Operand::Reference(reference, start..scanner.at()))
}

fn number(scanner: &mut Scanner<'_>) -> Result<Operand, ParseError> {
    let error = scanner.error("this is not a number", "write it as in JSON, such as `-1.5`");
    let written =
        scanner.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
    serde_json::from_str::<Number>(written)
        .map(|number| Operand::Literal(Value::Number(number)))
        .map_err(|_| error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Fixed {
        input: Value,
        step: Value,
    }

    impl Scope for Fixed {
        fn var(&self, name: &str) -> Option<Value> {
            (name == "MODE").then(|| json!("fast"))
        }
        fn input(&self) -> &Value {
            &self.input
        }
        fn step(&self, id: &str) -> Option<&Value> {
            (id == "charge").then_some(&self.step)
        }
        fn env(&self) -> &str {
            "live"
        }
        fn run_id(&self) -> &str {
            "run_1"
        }
    }

    fn holds(source: &str) -> bool {
        let scope = Fixed {
            input: json!({"n": 10, "f": 1.5, "big": u64::MAX, "s": "b", "t": true, "z": null, "list": [1, {"a": 2}], "word": "true"}),
            step: json!({"status": 201, "body": {"id": "x"}}),
        };
        Condition::parse(source).unwrap_or_else(|error| panic!("{source}: {error}")).holds(&scope)
    }

    /// Every sign, every kind of value; what is of two kinds is unequal and has no order.
    #[test]
    fn compares() {
        for yes in [
            "input.n == 10",
            "input.n == 10.0",
            "input.n != 11",
            "input.n<11",
            "input.n >= 10 and input.n <= 10",
            "input.f > -1e3",
            "input.big > 18446744073709551614",
            "input.s > \"a\" and input.s < \"c\"",
            "input.s==\"b\"",
            "input.list == input.list",
            "input.list[1].a == 2.0",
            "input.t",
            "input[\"t\"] == true",
            "input.z == null",
            "input.absent == null",
            "steps.charge.status == 201",
            "steps.charge.body.id == \"x\"",
            "steps.other.status == null",
            "vars.MODE == \"fast\"",
            "env == \"live\"",
            "run.id != null",
            "input.n != \"10\"",
            "true",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "input.n < \"11\"",
            "input.n > null",
            "input.absent > 0",
            "input.absent <= 0",
            "input.list < input.list",
            "input.word",
            "input.n",
            "input.absent",
            "input.n == \"10\"",
            "false",
            "null",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    /// `not` binds most, then `and`, then `or`; parentheses say otherwise.
    #[test]
    fn joins() {
        for (source, expected) in [
            ("true or false and false", true),
            ("(true or false) and false", false),
            ("not false and false", false),
            ("not (false and false)", true),
            ("not not true", true),
            ("not input.n == 11", true),
            ("not(false)and(true)", true),
            ("  ( input.n == 10 )\n and\tinput.t ", true),
            ("false or false or true", true),
        ] {
            assert_eq!(holds(source), expected, "{source}");
        }
    }

    /// No secret in any spelling and any place, no calculation, no other language's signs; each with its place.
    #[test]
    fn refuses() {
        for (source, offset) in [
            ("", 0),
            ("  ", 2),
            ("secrets.KEY", 0),
            ("secrets[\"Any name\"] == \"a\"", 0),
            ("input.a == secrets.KEY", 11),
            ("not (secrets.KEY.length > 3)", 5),
            ("{{input.a}} == 1", 0),
            ("input.a = 1", 8),
            ("input.a && input.b", 8),
            ("input.a || input.b", 8),
            ("!input.a", 0),
            ("input.a + 1 == 2", 8),
            ("input.a == 'x'", 11),
            ("input.a == 01", 11),
            ("input.a == --1", 11),
            ("(input.a", 8),
            ("input.a)", 7),
            ("input.a == 1 == 2", 13),
            ("input.a ==", 10),
            ("len(input.a)", 0),
            ("input.a | upper == \"A\"", 8),
            ("inputs.a", 0),
            ("true false", 5),
            ("and", 0),
        ] {
            match Condition::parse(source) {
                Ok(_) => panic!("{source}"),
                Err(error) => assert_eq!(error.offset, offset, "{source}: {error}"),
            }
        }
    }

    /// Nesting and length are bounded, and the bounds themselves pass.
    #[test]
    fn bounds() {
        let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
        assert!(holds(&nested(CONDITION_DEPTH_MAX - 1)));
        assert!(Condition::parse(&nested(CONDITION_DEPTH_MAX)).is_err());
        assert!(Condition::parse(&"not ".repeat(200)).is_err());
        assert!(Condition::parse(&format!("\"{}\" == \"\"", "a".repeat(CONDITION_BYTES_MAX))).is_err());
    }

    /// What it refers to is known before there is data.
    #[test]
    fn lists_references() {
        let condition =
            Condition::parse("not (vars.MODE == \"x\" or steps.charge.status < 300) and input.t").unwrap();
        let found: Vec<String> = condition.references().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["vars.MODE", "steps.charge.status", "input.t"]);
    }

    proptest::proptest! {
        /// Any text is read or refused at a place inside it, and what is read can be asked.
        #[test]
        fn total(source in "(input|steps|vars|secrets|not|and|or|==|<|>=|\"a\"|1|null|true|\\(|\\)|\\.|a|\\[|\\]| |é){0,20}") {
            match Condition::parse(&source) {
                Ok(condition) => {
                    condition.holds(&Fixed { input: json!({"a": 1}), step: Value::Null });
                    proptest::prop_assert!(condition.references().iter().all(|r| !matches!(r, Reference::Secret(_))));
                }
                Err(error) => proptest::prop_assert!(source.is_char_boundary(error.offset)),
            }
        }
    }
}
