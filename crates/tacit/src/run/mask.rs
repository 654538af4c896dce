//! Takes placeholders out of what the command writes, as it streams by.
//!
//! A placeholder opens nothing outside its run. It is masked all the same, because it looks like a credential to
//! everyone who finds it in a log. Only the exact text is looked for: hiding *values* is the server's work, done before
//! an answer gets here.

use std::sync::Arc;

use memchr::memmem::Finder;

/// A held piece of this many bytes has random characters of a placeholder in it, so it is no coincidence.
const SURE_BYTES: usize = 12;

/// What is looked for, and what stands there instead.
pub(super) struct Patterns(Vec<Pattern>);

struct Pattern {
    finder: Finder<'static>,
    instead: Vec<u8>,
}

impl Patterns {
    /// Pairs of a text and the name that goes into `[sealed:NAME]`. A text that is empty is left out.
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let patterns = texts.into_iter().filter(|(text, _)| !text.is_empty()).map(|(text, name)| Pattern {
            finder: Finder::new(text.as_bytes()).into_owned(),
            instead: format!("[sealed:{name}]").into_bytes(),
        });
        Self(patterns.collect())
    }
}

/// One stream on its way. Whatever the chunks in which it comes, the same goes out.
pub(super) struct Masker {
    patterns: Arc<Patterns>,
    held: Vec<u8>,
}

impl Masker {
    /// For one stream.
    pub(super) fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, held: Vec::new() }
    }

    /// Takes what came and appends what may go out. Only an end that may be the beginning of a placeholder stays.
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(chunk);
        self.settle(false, out);
    }

    /// Appends what is held: nothing more comes, or nobody wants to wait for it.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        self.settle(true, out);
    }

    /// Whether something is held that is probably no placeholder: a prompt that ends in `t`.
    pub(super) fn holds_a_guess(&self) -> bool {
        !self.held.is_empty() && self.held.len() < SURE_BYTES
    }

    fn settle(&mut self, ended: bool, out: &mut Vec<u8>) {
        let text = &self.held;
        let mut done = 0;
        // Where each pattern is next, so that many occurrences of one do not mean many searches for the others.
        let mut next: Vec<Option<usize>> = self.patterns.0.iter().map(|p| p.finder.find(text)).collect();
        let kept_from = loop {
            // Whatever starts here or later is not decided: it may still become a longer match.
            let open = if ended { text.len() } else { self.open_from(&text[done..]) + done };
            let first =
                next.iter().zip(&self.patterns.0).filter_map(|(at, pattern)| at.map(|at| (at, pattern)));
            let first = first.min_by_key(|(at, pattern)| (*at, usize::MAX - pattern.finder.needle().len()));
            let Some((at, pattern)) = first.filter(|(at, _)| *at < open) else {
                out.extend_from_slice(&text[done..open]);
                break open;
            };
            out.extend_from_slice(&text[done..at]);
            out.extend_from_slice(&pattern.instead);
            done = at + pattern.finder.needle().len();
            for (next, pattern) in next.iter_mut().zip(&self.patterns.0) {
                if next.is_some_and(|at| at < done) {
                    *next = pattern.finder.find(&text[done..]).map(|at| at + done);
                }
            }
        };
        self.held.drain(..kept_from);
    }

    /// Where the longest end begins that is the beginning of a pattern and not all of it.
    fn open_from(&self, text: &[u8]) -> usize {
        let starts = self.patterns.0.iter().filter_map(|pattern| {
            let needle = pattern.finder.needle();
            let from = text.len().saturating_sub(needle.len() - 1);
            memchr::memchr_iter(needle[0], &text[from..])
                .map(|at| from + at)
                .find(|at| needle.starts_with(&text[*at..]))
        });
        starts.min().unwrap_or(text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "tct_ph_0123456789abcdefghijABCDEFGHIJ";
    const OTHER: &str = "tct_ph_0123456789abcdefghijABCDEFGHIK";

    fn patterns(texts: &[(&str, &str)]) -> Arc<Patterns> {
        Arc::new(Patterns::new(texts.iter().copied()))
    }

    fn masked(patterns: &Arc<Patterns>, chunks: &[&[u8]]) -> Vec<u8> {
        let mut masker = Masker::new(Arc::clone(patterns));
        let mut out = Vec::new();
        for chunk in chunks {
            masker.push(chunk, &mut out);
        }
        masker.flush(&mut out);
        out
    }

    /// The exact text goes, wherever it stands, and nothing else.
    #[test]
    fn exact_texts() {
        let patterns = patterns(&[(KEY, "STRIPE_KEY"), (OTHER, "other")]);
        let text = format!("{KEY}{OTHER} a{KEY}b tct_ph_0123456789 {}\n", &KEY[1..]);
        let expected = format!(
            "[sealed:STRIPE_KEY][sealed:other] a[sealed:STRIPE_KEY]b tct_ph_0123456789 {}\n",
            &KEY[1..]
        );
        assert_eq!(masked(&patterns, &[text.as_bytes()]), expected.as_bytes());
        let bytes = [&[0, 255, b't', b'c'][..], KEY.as_bytes(), &[254, 0]].concat();
        assert_eq!(
            masked(&patterns, &[&bytes]),
            [&[0, 255, b't', b'c'][..], b"[sealed:STRIPE_KEY]", &[254, 0]].concat()
        );
        let nothing = Arc::new(Patterns::new([("", "empty")]));
        assert_eq!(masked(&nothing, &[b"as it is"]), b"as it is");
    }

    /// Only what may become a placeholder is held back, and a short piece of it counts as a guess.
    #[test]
    fn little_is_held() {
        let mut masker = Masker::new(patterns(&[(KEY, "K")]));
        let mut out = Vec::new();
        masker.push(b"a prompt: ", &mut out);
        assert!(out == b"a prompt: " && !masker.holds_a_guess());
        masker.push(b"the last", &mut out);
        assert!(out == b"a prompt: the las" && masker.holds_a_guess());
        masker.push(&KEY.as_bytes()[1..20], &mut out);
        assert!(out == b"a prompt: the las" && !masker.holds_a_guess());
        masker.push(&KEY.as_bytes()[20..], &mut out);
        assert_eq!(out, b"a prompt: the las[sealed:K]");
        masker.push(b"t", &mut out);
        masker.flush(&mut out);
        assert_eq!(out, b"a prompt: the las[sealed:K]t");
    }

    /// Whatever the chunks, the same comes out: random texts of a small alphabet, cut at random, with patterns that
    /// overlap and contain each other.
    #[test]
    fn chunks_do_not_matter() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below
        };
        for patterns in [
            patterns(&[("aab", "1"), ("abaab", "2"), ("b", "3"), ("aabb", "4")]),
            patterns(&[("abab", "1"), ("baba", "2")]),
            patterns(&[("aaaa", "1")]),
        ] {
            for _ in 0..3_000 {
                let text: Vec<u8> = (0..random(40)).map(|_| b"abc"[random(3)]).collect();
                let mut chunks = Vec::new();
                let mut rest = &text[..];
                while !rest.is_empty() {
                    let (chunk, after) = rest.split_at(1 + random(rest.len()));
                    chunks.push(chunk);
                    rest = after;
                }
                let whole = masked(&patterns, &[&text]);
                assert_eq!(masked(&patterns, &chunks), whole, "{}", String::from_utf8_lossy(&text));
                assert_eq!(naive(&patterns, &text), whole, "{}", String::from_utf8_lossy(&text));
            }
        }
    }

    /// The leftmost and then longest match, looked for at every position.
    fn naive(patterns: &Patterns, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let here = patterns.0.iter().filter(|pattern| text[at..].starts_with(pattern.finder.needle()));
            if let Some(pattern) = here.max_by_key(|pattern| pattern.finder.needle().len()) {
                out.extend_from_slice(&pattern.instead);
                at += pattern.finder.needle().len();
            } else {
                out.push(text[at]);
                at += 1;
            }
        }
        out
    }
}
