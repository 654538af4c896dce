//! Where everything that is printed is printed: data on standard output, talk on standard error.
//!
//! What came from a server or a person is stripped of control characters before it reaches a terminal, because a
//! description must not be able to move the cursor.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;
use tacit_api::Page;

use crate::error::{Failure, Outcome};

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs: the API's own shapes.
    Json,
}

/// What stands for a hidden value.
pub(crate) const DOTS: &str = "••••••••";

impl Output {
    /// A list: a table, or `{"items": […]}`.
    pub(crate) fn list<T: Serialize>(
        self,
        items: Vec<T>,
        headers: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Outcome {
        if self == Self::Json {
            return self.json(&Page::whole(items));
        }
        if items.is_empty() {
            talk("nothing there");
            return Ok(());
        }
        print(&table(headers, items.iter().map(row)))
    }

    /// One thing: its properties one per line, or the API's object.
    pub(crate) fn one<T: Serialize>(self, thing: &T, properties: &[(&str, String)]) -> Outcome {
        if self == Self::Json {
            return self.json(thing);
        }
        let width = properties.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let mut text = String::new();
        for (name, value) in properties.iter().filter(|(_, value)| !value.is_empty()) {
            text.push_str(&format!("{name:width$}  {}\n", clean(value)));
        }
        print(&text)
    }

    /// Something that was done: a sentence on standard error, or an object on standard output.
    pub(crate) fn done<T: Serialize>(self, thing: &T, sentence: &str) -> Outcome {
        if self == Self::Json {
            return self.json(thing);
        }
        talk(sentence);
        Ok(())
    }

    /// JSON, indented.
    pub(crate) fn json<T: Serialize>(self, thing: &T) -> Outcome {
        let text = serde_json::to_string_pretty(thing).map_err(|error| {
            Failure::new(format!("cannot write JSON: {error}"), "report this: it is a fault of ours")
        })?;
        print(&format!("{text}\n"))
    }
}

/// One JSON document on one line.
pub(crate) fn json_line<T: Serialize>(thing: &T) -> Outcome {
    let text = serde_json::to_string(thing).map_err(|error| {
        Failure::new(format!("cannot write JSON: {error}"), "report this: it is a fault of ours")
    })?;
    print(&format!("{text}\n"))
}

/// Columns, without borders, as wide as they need to be.
fn table(headers: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headers.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if text.is_empty() {
        text.push('\n');
    }
    text
}

/// Data as it is, with a line break at its end. On a terminal, without control characters.
pub(crate) fn data(text: &str) -> Outcome {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    if io::stdout().is_terminal() {
        print(&format!("{}{end}", clean_text(text)))
    } else {
        print(&format!("{text}{end}"))
    }
}

/// Bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Outcome {
    if io::stdout().is_terminal() {
        return Err(Failure::new(
            format!("the body is {} bytes that are not text", bytes.len()),
            "send it to a file with > FILE",
        ));
    }
    write(bytes)
}

/// A line for people, on standard error.
pub(crate) fn talk(line: &str) {
    // There is nobody left to tell if this fails.
    let _ = writeln!(anstream::stderr(), "{}", clean(line));
}

/// Several of them.
pub(crate) fn talk_lines(lines: &str) {
    lines.lines().for_each(talk);
}

/// What somebody should know about what was done.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        let _ = writeln!(anstream::stderr(), "\u{1b}[1;33mwarning:\u{1b}[0m {}", clean(warning));
    }
}

/// Two lines: what happened, what to do.
pub(crate) fn failure(failure: &Failure) {
    let mut stderr = anstream::stderr();
    let code = failure.code.as_ref().map(|code| format!(" ({})", clean(code))).unwrap_or_default();
    let _ = writeln!(stderr, "\u{1b}[1;31merror:\u{1b}[0m {}{code}", clean(&failure.what));
    for detail in &failure.details {
        let _ = writeln!(stderr, "  - {}", clean(detail));
    }
    let _ = writeln!(stderr, "  {}", clean(&failure.hint));
}

fn print(text: &str) -> Outcome {
    write(text.as_bytes())
}

fn write(bytes: &[u8]) -> Outcome {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // Whoever reads has read enough: `tacit secrets list | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| {
            Failure::new(format!("cannot write to standard output: {error}"), "check where it goes")
        }),
    }
}

/// One line without control characters and without what turns text around.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_odd(c) { ' ' } else { c }).collect()
}

fn clean_text(text: &str) -> String {
    text.chars().map(|c| if is_odd(c) && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description cannot speak to the terminal.
    #[test]
    fn terminals_are_safe() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb c d");
        assert_eq!(clean_text("a\tb\n\u{7}"), "a\tb\n\u{fffd}");
    }

    /// Tables are columns and nothing else, so that `awk` can read them.
    #[test]
    fn tables() {
        let rows = [vec!["A".to_owned(), "long cell".to_owned()], vec!["BCD".to_owned(), "x".to_owned()]];
        assert_eq!(table(&["NAME", "TEXT"], rows.into_iter()), "NAME  TEXT\nA     long cell\nBCD   x\n");
    }
}
