//! What people and scripts hand in: values from a hidden prompt or standard input, never from an argument.

mod typed;

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
};

use serde_json::{Map, Value};
use tacit_api::exact::{Exact, TOO_LONG, TWICE};

use crate::error::{Failure, Outcome};

/// Bytes that are read at most: more than any value or definition may have.
const INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Something nobody should see: asked for on a terminal, otherwise standard input without one line break at its end.
pub(crate) fn hidden(what: &str) -> Outcome<String> {
    if io::stdin().is_terminal() {
        if !io::stderr().is_terminal() {
            return Err(Failure::usage(
                format!("there is no terminal to ask on for {what}"),
                "hand it in on standard input, for example with < FILE",
            ));
        }
        let why = match typed::read(what) {
            Ok(Some(text)) if !text.is_empty() => return Ok(text),
            Ok(Some(_)) => "it is empty".to_owned(),
            Ok(None) => "interrupted".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(Failure::new(
            format!("{what} was not given: {why}"),
            "try again, or hand it in on standard input",
        ));
    }
    let text = read(io::stdin().lock(), "standard input")?;
    let text = without_line_break(&text);
    if text.is_empty() {
        return Err(Failure::usage(
            format!("standard input holds nothing for {what}"),
            "hand it in, for example with < FILE, or run the command on a terminal",
        ));
    }
    Ok(text.to_owned())
}

/// Several of these: asked for one after the other on a terminal, where what is not wanted is left empty; otherwise lines of
/// standard input, of which the last ones may be missing.
pub(crate) fn hidden_each(what: &[&str]) -> Outcome<Vec<String>> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        let ask = |what: &&str| {
            let prompt =
                dialoguer::Password::new().with_prompt(*what).allow_empty_password(true).report(false);
            prompt
                .interact()
                .map_err(|error| Failure::new(format!("{what} was not given: {error}"), "try again"))
        };
        return what.iter().map(ask).collect();
    }
    let text = read(io::stdin().lock(), "standard input")?;
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r').to_owned());
    let given: Vec<String> = what.iter().map(|_| lines.next().unwrap_or_default()).collect();
    if given.first().is_none_or(String::is_empty) {
        return Err(Failure::usage(
            format!("standard input holds nothing for the {}", what.first().unwrap_or(&"input")),
            format!("hand in these lines: {}", what.join(", ")),
        ));
    }
    Ok(given)
}

/// Asks whether to go on, before something that cannot be undone or that acts in a protected environment. Where there is
/// nobody to ask it must have been said: --yes.
pub(crate) fn confirm(question: &str) -> Outcome {
    if !is_interactive() {
        let question = question.trim_end_matches('?');
        return Err(Failure::usage(
            format!("nothing was done: there is no terminal to ask on: {question}?"),
            "if it is meant, add --yes",
        ));
    }
    ask(question)
}

/// Asks whether to go on, if there is somebody to ask: before what can be undone.
pub(crate) fn confirm_if_asked(question: &str) -> Outcome {
    if is_interactive() { ask(question) } else { Ok(()) }
}

fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn ask(question: &str) -> Outcome {
    let answer = dialoguer::Confirm::new().with_prompt(question).default(false).interact();
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new("nothing was done", "answer y, or say --yes, to go on")),
        Err(error) => {
            Err(Failure::new(format!("nothing was done: {error}"), "say --yes to go on without a question"))
        }
    }
}

/// A file's text, or standard input's for `-`.
pub(crate) fn file(path: &Path) -> Outcome<String> {
    if path == Path::new("-") {
        return read(io::stdin().lock(), &name_of(path));
    }
    let file = fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    read(file, &name_of(path))
}

/// What a message calls what [`file`] reads.
pub(crate) fn name_of(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// An argument that is text, or `@FILE`, or `@-` for standard input.
pub(crate) fn text_or_file(argument: &str) -> Outcome<String> {
    match argument.strip_prefix('@') {
        Some(path) => file(Path::new(path)),
        None => Ok(argument.to_owned()),
    }
}

/// JSON, with an error that says where it is wrong and repeats nothing of it.
pub(crate) fn json(text: &str, what: &str) -> Outcome<Value> {
    serde_json::from_str(text).map_err(|error| {
        Failure::usage(
            format!("{what} is not JSON: see line {}, column {}", error.line(), error.column()),
            "correct it and try again",
        )
    })
}

/// JSON of which nothing is lost when it is read: for values.
pub(crate) fn exact_json(text: &str, what: &str) -> Outcome<Value> {
    match serde_json::from_str::<Exact>(text) {
        Ok(exact) => Ok(exact.0),
        Err(error) => {
            let own = [TWICE, TOO_LONG].into_iter().find(|own| error.to_string().starts_with(own));
            let reason = own.map_or_else(|| "it is not JSON".to_owned(), str::to_owned);
            Err(Failure::usage(
                format!(
                    "{what} is not taken: {reason}: see line {}, column {}",
                    error.line(),
                    error.column()
                ),
                "correct it and try again",
            ))
        }
    }
}

/// `NAME=VALUE` pairs as an object.
pub(crate) fn pairs(arguments: &[String], flag: &str) -> Outcome<Map<String, Value>> {
    split_all(arguments, '=', flag, "NAME=VALUE")
}

/// `Name: value` headers as an object.
pub(crate) fn headers(arguments: &[String]) -> Outcome<Map<String, Value>> {
    split_all(arguments, ':', "-H", "'Name: value'")
}

fn split_all(arguments: &[String], separator: char, flag: &str, form: &str) -> Outcome<Map<String, Value>> {
    let mut map = Map::new();
    for argument in arguments {
        let Some((name, value)) = argument.split_once(separator) else {
            return Err(Failure::usage(
                format!("an argument of {flag} has no `{separator}`"),
                format!("write it as {flag} {form}"),
            ));
        };
        let (name, value) = if separator == ':' { (name.trim(), value.trim()) } else { (name, value) };
        if map.insert(name.to_owned(), value.into()).is_some() {
            return Err(Failure::usage(format!("`{name}` is given twice with {flag}"), "give it once"));
        }
    }
    Ok(map)
}

fn read(reader: impl Read, name: &str) -> Outcome<String> {
    let mut bytes = Vec::new();
    let result = reader.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes);
    result.map_err(|error| Failure::new(format!("cannot read {name}: {error}"), "try again"))?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::new(format!("{name} is larger than {INPUT_BYTES_MAX} bytes"), "hand in less"));
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(format!("{name} is not UTF-8 text"), "encode it, for example with base64"))
}

pub(crate) fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `echo` adds one line break, and one is taken away.
    #[test]
    fn one_line_break_is_taken_away() {
        for (given, kept) in
            [("v\n", "v"), ("v", "v"), ("v\r\n", "v"), ("v\n\n", "v\n"), ("a\nb\n", "a\nb"), ("\n", "")]
        {
            assert_eq!(without_line_break(given), kept, "{given:?}");
        }
    }

    /// An error about JSON says where, not what.
    #[test]
    fn json_errors_repeat_nothing() {
        let failure = json("{\"key\": hunter2}", "standard input").unwrap_err();
        assert!(failure.what.contains("line 1") && !failure.what.contains("hunter2"), "{failure}");
        for text in ["{\"key\": hunter2}", "{\"key\": \"hunter2\", \"key\": \"hunter2\"}"] {
            let failure = exact_json(text, "the value").unwrap_err();
            assert!(failure.what.contains("line 1") && !failure.what.contains("hunter2"), "{failure}");
        }
    }

    /// Headers and pairs.
    #[test]
    fn headers_and_pairs() {
        let map = headers(&["X-Key: {{secrets.K}}".into(), "A:b:c".into()]).unwrap();
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"X-Key":"{{secrets.K}}","A":"b:c"}"#);
        assert_eq!(pairs(&["a=b=c".into(), "d= e".into()], "--query").unwrap().len(), 2);
        assert!(pairs(&["secret-without-sign".into()], "--form").unwrap_err().what.contains("--form"));
        assert!(headers(&["A: 1".into(), "A: 2".into()]).is_err());
    }
}
