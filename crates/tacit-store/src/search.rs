//! Search over secrets: which of a hundred thousand hold a text, in name, description or folder.
//!
//! A text is found by its grams, its runs of one, two, three and five characters, each a word of a full-text index that keeps nothing but
//! lists of rows. A row's number begins with its workspace's, so one tenant's part of a list is found without reading another's.
//! Rows come newest first, and reading ends with the page. What the grams find is compared with the text itself.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use tacit_model::{SecretId, WorkspaceId};

use crate::{Statement, StoreError, secrets::Secret, value::args};

/// Characters of grams. Long ones are rare, and a search is as fast as the rarest of its grams; short ones are for short
/// searches.
const GRAM_CHARS: [usize; 4] = [1, 2, 3, 5];

/// Grams that a search looks up at most; the text itself is compared anyway. Few, because the lists of common ones are long.
const LOOKED_UP_MAX: usize = 3;

/// What is searched: name, description and folder in lower case, one per line.
pub(crate) fn search_text(secret: &Secret) -> String {
    text_of(&secret.name.key(), &secret.description, secret.folder.as_str())
}

fn text_of(name_key: &str, description: &str, folder: &str) -> String {
    format!("{name_key}\n{}\n{}", description.to_lowercase(), folder.to_lowercase())
}

/// What is looked for, as it would stand in [`search_text`].
pub(crate) fn needle(search: &str) -> String {
    search.to_lowercase()
}

/// All grams of a text, as words of letters and digits.
fn grams(text: &str) -> String {
    let mut words = BTreeSet::new();
    for line in text.split('\n') {
        let chars: Vec<char> = line.chars().collect();
        for size in GRAM_CHARS {
            words.extend(chars.windows(size).map(word));
        }
    }
    words.into_iter().collect::<Vec<_>>().join(" ")
}

/// The query for rows that have all of a text's longest grams; `None` for a text without any.
pub(crate) fn query(needle: &str) -> Option<String> {
    if needle.contains('\n') {
        // No line holds a line's end; and this is no text's gram.
        return Some("ff".to_owned());
    }
    let chars: Vec<char> = needle.chars().collect();
    let size = GRAM_CHARS.into_iter().rev().find(|size| *size <= chars.len())?;
    let mut windows: Vec<usize> = (0..=chars.len() - size).collect();
    // The rarest first, as far as one can tell: a search is as fast as the rarest of its grams.
    windows.sort_by_key(|at| std::cmp::Reverse(rarity(&chars[*at..*at + size])));
    let mut chosen: Vec<usize> = Vec::new();
    for at in windows {
        if chosen.len() < LOOKED_UP_MAX && chosen.iter().all(|other| at.abs_diff(*other) >= size) {
            chosen.push(at);
        }
    }
    let words: BTreeSet<String> = chosen.into_iter().map(|at| word(&chars[at..at + size])).collect();
    Some(words.into_iter().collect::<Vec<_>>().join(" AND "))
}

/// How rare a gram is in names and descriptions, roughly. Only speed depends on it. What has the end of one word and the
/// beginning of the next is rarer than what is within a word: where each of two words is in everything, and the two are nowhere
/// side by side, nothing else says so.
fn rarity(gram: &[char]) -> usize {
    let of = |(at, c): (usize, &char)| match c {
        'a'..='z' if "jkqvwxyz".contains(*c) => 2,
        'a'..='z' => 1,
        '_' | '-' | ' ' | '/' | '.' => 2 * at.min(gram.len() - 1 - at),
        _ => 3,
    };
    gram.iter().enumerate().map(of).sum()
}

/// A gram as hexadecimal digits: to the tokenizer a word, whatever characters it is of.
fn word(gram: &[char]) -> String {
    let text: String = gram.iter().collect();
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a new secret into the index. The row must be there.
pub(crate) fn insert(workspace: WorkspaceId, secret: &Secret) -> Statement {
    Statement::new(
        "INSERT INTO secret_grams (rowid, grams) SELECT (w.number << 32) | s.serial, ?3
         FROM secrets s JOIN workspaces w ON w.id = s.workspace WHERE s.workspace = ?1 AND s.id = ?2",
        args![workspace, secret.id, grams(&search_text(secret))],
    )
}

/// Brings the index up to date if the secret's text is about to change. Before the row changes.
pub(crate) fn update(workspace: WorkspaceId, secret: &Secret) -> Statement {
    let text = search_text(secret);
    Statement::new(
        "INSERT OR REPLACE INTO secret_grams (rowid, grams) SELECT (w.number << 32) | s.serial, ?3
         FROM secrets s JOIN workspaces w ON w.id = s.workspace
         WHERE s.workspace = ?1 AND s.id = ?2 AND s.search_text <> ?4",
        args![workspace, secret.id, grams(&text), text],
    )
}

/// Takes a secret out of the index. Before the row goes.
pub(crate) fn delete(workspace: WorkspaceId, secret: SecretId) -> Statement {
    Statement::new(
        "DELETE FROM secret_grams WHERE rowid = (SELECT (w.number << 32) | s.serial
         FROM secrets s JOIN workspaces w ON w.id = s.workspace WHERE s.workspace = ?1 AND s.id = ?2)",
        args![workspace, secret],
    )
}

/// Puts those into the index that are from before there was one.
pub(crate) fn index_missing(connection: &mut Connection) -> Result<(), StoreError> {
    const NEXT: &str =
        "SELECT workspace, id, name_key, description, folder FROM secrets WHERE serial IS NULL LIMIT 1";
    let is_missing = connection.query_row(NEXT, [], |_| Ok(())).optional()?.is_some();
    if !is_missing {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    loop {
        let next = transaction
            .prepare_cached(NEXT)?
            .query_row([], |row| {
                let (name_key, description, folder): (String, String, String) =
                    (row.get(2)?, row.get(3)?, row.get(4)?);
                let text = text_of(&name_key, &description, &folder);
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?, text))
            })
            .optional()?;
        let Some((workspace, id, text)) = next else { break };
        transaction
            .prepare_cached(
                "UPDATE secrets SET search_text = ?3,
                 serial = (SELECT coalesce(max(serial), 0) + 1 FROM secrets WHERE workspace = ?1) WHERE workspace = ?1 AND id = ?2",
            )?
            .execute(params![workspace, id, text])?;
        transaction
            .prepare_cached(
                "INSERT INTO secret_grams (rowid, grams) SELECT (w.number << 32) | s.serial, ?3
                 FROM secrets s JOIN workspaces w ON w.id = s.workspace WHERE s.workspace = ?1 AND s.id = ?2",
            )?
            .execute(params![workspace, id, grams(&text)])?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every part of a text has only grams that the text has.
    #[test]
    fn parts_are_found_by_their_grams() {
        let text = "hubspot api key – production\nßig ünïcode 🔑\npayments/eu";
        let all = grams(text);
        let all: BTreeSet<&str> = all.split(' ').collect();
        for line in text.lines() {
            let chars: Vec<char> = line.chars().collect();
            for from in 0..chars.len() {
                for to in from + 1..=chars.len() {
                    let part: String = chars[from..to].iter().collect();
                    let query = query(&part).unwrap();
                    assert!(query.split(" AND ").all(|word| all.contains(word)), "{part}");
                }
            }
        }
        assert_eq!(query(""), None);
    }

    /// Of words that many texts have, the gram between them is looked up.
    #[test]
    fn what_is_between_words_is_looked_up() {
        for (needle, between) in
            [("credential integration", "al in"), ("service_x", "ice_x"), ("service partner", "ce pa")]
        {
            let between: Vec<char> = between.chars().collect();
            assert!(query(needle).unwrap().split(" AND ").any(|found| found == word(&between)), "{needle}");
        }
    }

    /// Nothing that is typed is read as an operator of the query language.
    #[test]
    fn queries_are_words() {
        for text in ["a\" OR grams", "NOT x*", "(", "^", "NEAR(a b)", "-", ":", "{}"] {
            let query = query(text).unwrap();
            assert!(query.split(" AND ").all(|word| word.bytes().all(|b| b.is_ascii_hexdigit())), "{query}");
        }
    }
}
