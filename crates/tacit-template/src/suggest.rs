//! "Did you mean": the known word next to an unknown one. Only known words ever come out of here, never the
//! unknown one, which may be a pasted value.

use crate::filter::FILTERS;

/// The root that was meant.
pub(crate) fn nearest_root(word: &str) -> Option<&'static str> {
    let roots = ["secrets", "vars", "input", "steps", "env"].map(|root| (root, root));
    nearest(word, roots.into_iter().chain(ROOT_ALIASES))
}

/// The filter that was meant.
pub(crate) fn nearest_filter(word: &str) -> Option<&'static str> {
    let names = FILTERS.map(|(name, _)| (name, name));
    nearest(word, names.into_iter().chain(FILTER_ALIASES))
}

/// Words that people bring from elsewhere, and the root they are after.
const ROOT_ALIASES: [(&str, &str); 11] = [
    ("secret", "secrets"),
    ("var", "vars"),
    ("variable", "vars"),
    ("variables", "vars"),
    ("inputs", "input"),
    ("step", "steps"),
    ("environment", "env"),
    ("runs", "run.id"),
    ("run_id", "run.id"),
    ("runid", "run.id"),
    ("run-id", "run.id"),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Levenshtein's distance against pairs counted by hand.
    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("sercets", "secrets", 2)]
        {
            assert_eq!((edits(a, b), edits(b, a)), (expected, expected), "{a} {b}");
        }
    }

    /// Near words are found in any case; short, far and long ones are not guessed at.
    #[test]
    fn only_near_words_are_meant() {
        assert_eq!(nearest_root("SECRET"), Some("secrets"));
        assert_eq!(nearest_root("enc"), Some("env"));
        assert_eq!(nearest_filter("jsom"), Some("json"));
        for far in ["", "x", "in", "STRIPE_KEY", "secretssecretssecrets"] {
            assert_eq!(nearest_root(far), None, "{far}");
        }
        assert_eq!(nearest_filter("md5"), None);
    }
}
