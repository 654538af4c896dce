//! Dotenv files. There is no standard; what all dialects agree on is read, and nothing is expanded.
//!
//! - `NAME=value`, perhaps with `export` before it. Blank lines and lines that begin with `#` are nothing.
//! - A value without quotes goes to the end of its line, without the blanks around it. A `#` after a blank begins a comment;
//!   any other `#`, and `$`, `=`, quotes and backslashes, are part of the value.
//! - `'…'` and `` `…` `` hold everything as it is, over lines, too.
//! - `"…"` does as well, but `\n`, `\r`, `\t`, `\"`, `\\` and `\$` stand for what they stand for elsewhere.
//! - After a quoted value comes nothing but a comment.

/// Where a file is wrong, and how. Nothing of the file is in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The line, from 1.
    pub(super) line: usize,
    /// What is wrong with it.
    pub(super) what: &'static str,
}

/// Names and values in their order.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, Wrong> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pairs = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(pairs);
        }
        if rest.starts_with('#') {
            rest = after_line(rest);
            continue;
        }
        let wrong = |at: &str, what| Wrong { line: line_of(text, at), what };
        let here = rest;
        let (name, after) = name(rest).ok_or_else(|| wrong(here, "is not NAME=value"))?;
        let value = after.trim_start_matches([' ', '\t']);
        let (value, after) = match value.chars().next() {
            Some(quote @ ('\'' | '"' | '`')) => {
                let (value, after) = quoted(&value[1..], quote)
                    .ok_or_else(|| wrong(here, "has a quote that is not closed"))?;
                let end = end_of_line(after);
                let tail = after[..end].trim();
                if !tail.is_empty() && !tail.starts_with('#') {
                    return Err(wrong(&after[..0], "has text after the closing quote"));
                }
                (value, &after[end..])
            }
            _ => {
                let end = end_of_line(after);
                (unquoted(&after[..end]).to_owned(), &after[end..])
            }
        };
        pairs.push((name.to_owned(), value));
        rest = after;
    }
}

/// The name, and what stands behind `=`.
fn name(line: &str) -> Option<(&str, &str)> {
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => line,
    };
    let end = end_of_line(line);
    let sign = line[..end].find('=')?;
    let name = line[..sign].trim_end_matches([' ', '\t']);
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let is_fine = !name.is_empty() && name.bytes().all(is_name);
    is_fine.then(|| (name, &line[sign + 1..]))
}

/// What stands up to the closing quote, and what comes after it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((value, &text[at + 1..]));
        }
        if c != '\\' || quote != '"' {
            value.push(c);
            continue;
        }
        match text[at + 1..].chars().next() {
            Some(escaped @ ('n' | 'r' | 't' | '"' | '\\' | '$')) => {
                chars.next();
                value.push(match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                });
            }
            _ => value.push('\\'),
        }
    }
    None
}

/// What stands between `=` and the end of the line or a comment. A `#` right behind the sign is the value's.
fn unquoted(line: &str) -> &str {
    let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |(at, _)| &line[..at]).trim_matches([' ', '\t'])
}

/// Where the line ends: before `\n`, or before `\r\n`.
fn end_of_line(text: &str) -> usize {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => at - 1,
        Some(at) => at,
        None => text.len(),
    }
}

fn after_line(text: &str) -> &str {
    text.find('\n').map_or("", |at| &text[at + 1..])
}

/// The line of a part of the text.
fn line_of(text: &str, part: &str) -> usize {
    let at = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len());
    1 + text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> String {
        let mut pairs = parse(text).unwrap();
        assert_eq!(pairs.len(), 1, "{text}");
        pairs.remove(0).1
    }

    /// What people write, and what is meant by it.
    #[test]
    fn lines() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("export A=b", "b"),
            ("exportA=b", "b"),
            ("A=", ""),
            ("A=b c", "b c"),
            ("A=b#c", "b#c"),
            ("A=b #c", "b"),
            ("A=#b", "#b"),
            ("A= #b", ""),
            ("A=b=c==", "b=c=="),
            ("A=$HOME${X}$(id)", "$HOME${X}$(id)"),
            ("A=p\"q'r", "p\"q'r"),
            ("A=C:\\new", "C:\\new"),
            ("A='b #c'", "b #c"),
            ("A='b\\n$c'", "b\\n$c"),
            ("A='' # empty", ""),
            ("A=`it's \"b\"`", "it's \"b\""),
            ("A=\"b #c\" # d", "b #c"),
            ("A=\"b\\nc\\\"d\\\\e\\$f\\tg\"", "b\nc\"d\\e$f\tg"),
            ("A=\"b\\xc\"", "b\\xc"),
            ("A=\"b\r\nc\"", "b\r\nc"),
            ("A='-----BEGIN X-----\nAAA=\n-----END X-----\n'", "-----BEGIN X-----\nAAA=\n-----END X-----\n"),
            ("\u{feff}A=b", "b"),
            ("# c\n\n  A=b\n# d", "b"),
            ("A=b\r\n", "b"),
            ("A=ünï🔑", "ünï🔑"),
        ] {
            assert_eq!(one(text), value, "{text:?}");
        }
        let pairs = parse("A=1\r\nB='2\r\n3'\r\n\r\nexport C.d-e=4").unwrap();
        assert_eq!(
            pairs,
            [("A", "1"), ("B", "2\r\n3"), ("C.d-e", "4")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }

    /// What is not clear is not guessed.
    #[test]
    fn wrong_lines() {
        for (text, line, what) in [
            ("A", 1, "is not NAME=value"),
            ("A=1\n\nB C=2", 3, "is not NAME=value"),
            ("A=1\n=2", 2, "is not NAME=value"),
            ("A=\"b", 1, "has a quote that is not closed"),
            ("A=1\nB='b\nc", 2, "has a quote that is not closed"),
            ("A='b'c", 1, "has text after the closing quote"),
            ("A='b\nc' d", 2, "has text after the closing quote"),
            ("A: b", 1, "is not NAME=value"),
        ] {
            assert_eq!(parse(text), Err(Wrong { line, what }), "{text:?}");
        }
    }

    proptest! {
        /// Whatever a value holds, there is a way to write it from which exactly its bytes come back.
        #[test]
        fn every_value_survives(value in "(\\PC|[\\r\\n\\t#=$'\"\\\\` ]){0,80}", crlf in any::<bool>()) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
            let end = if crlf { "\r\n" } else { "\n" };
            prop_assert_eq!(&one(&format!("# c{end}A=\"{escaped}\" # d{end}")), &value);
            if !value.contains('\'') {
                prop_assert_eq!(&one(&format!("A='{value}'{end}")), &value);
            }
            if !value.contains('`') {
                prop_assert_eq!(&one(&format!("export A=`{value}`{end}")), &value);
            }
            let line = value.contains(['\r', '\n']) || value.trim() != value || value.starts_with(['\'', '"', '`']);
            if !line && !value.contains(" #") && !value.contains("\t#") {
                prop_assert_eq!(&one(&format!("A={value}{end}")), &value);
            }
        }

        /// Nothing makes it panic.
        #[test]
        fn anything_is_read_or_refused(text in "(\\PC|[\\r\\n\\t#=$'\"\\\\` A]){0,120}") {
            let _ = parse(&text);
        }
    }
}
