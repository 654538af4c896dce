//! Whether somebody could guess a value.
//!
//! Two values are compared by keyed fingerprints, and whoever may write a value may have it compared with others. So a
//! fingerprint is made only of a value that nobody arrives at by guessing: else writing guesses and comparing them would find
//! it. Guesses are made of words, names, dates, keyboard walks and what people do to them; a value made of those has no
//! fingerprint, however long it is. Values that machines made of random bits have one.
//!
//! The rules err on the side of no fingerprint. What is lost then is the answer `unknown` to a comparison.

use std::{collections::HashSet, sync::LazyLock};

use serde_json::Value;
use tacit_model::{Fields, SecretType};
use tacit_redact::strength;
use zeroize::Zeroizing;

/// Surprises that a value must hold. Some eighty bits, if they are random letters and digits.
const SURPRISES_MIN: usize = 16;

/// Letters of a run from which on it may be a word.
const WORD_CHARS_MIN: usize = 4;

/// What letters side by side count at most.
const LETTERS_MAX: usize = 7;

/// A longer text in which digits stand for letters is no single word.
const LEET_CHARS_MAX: usize = 12;

/// The same where the digits stand between letters.
const SPELLED_CHARS_MAX: usize = 24;

/// Neighbours on keyboards, in every direction that people walk.
const WALKS: &[&str] = &[
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "1234567890",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "a1s2d3f4g5h6j7k8l9",
    "zaqxswcdevfrbgtnhymjukilop",
    "abcdefghijklmnopqrstuvwxyz",
];

/// Three characters of a walk, there or back.
static STEPS: LazyLock<HashSet<[char; 3]>> = LazyLock::new(|| {
    let mut steps = HashSet::new();
    for walk in WALKS {
        let walk: Vec<char> = walk.chars().collect();
        for three in walk.windows(3) {
            steps.insert([three[0], three[1], three[2]]);
            steps.insert([three[2], three[1], three[0]]);
        }
    }
    steps
});

/// Whether the value's part that matters is beyond guessing: the main field, or of JSON every text and number in it. One
/// that is not could be guessed by whoever knows the others, such as the number of an account beside its password.
pub(crate) fn is_beyond_guessing(kind: SecretType, fields: &Fields) -> bool {
    let Some(text) = fields.text(kind.main_field()) else { return false };
    if kind != SecretType::Json {
        return is_strong(text);
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let mut parts = Vec::new();
    collect_parts(&value, &mut parts);
    !parts.is_empty() && parts.iter().all(|part| is_strong(part))
}

/// What of a text nobody could guess: all of it, or of JSON the texts in it. Only this is looked for in what somebody says who
/// may not know the value: finding it there confirms a guess.
pub(crate) fn unguessable(text: &str) -> Vec<Zeroizing<String>> {
    let mut parts = Vec::new();
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => collect_parts(&value, &mut parts),
        _ => parts.push(Zeroizing::new(text.to_owned())),
    }
    parts.retain(|part| is_strong(part));
    parts
}

fn collect_parts(value: &Value, parts: &mut Vec<Zeroizing<String>>) {
    match value {
        Value::String(text) => parts.push(Zeroizing::new(text.clone())),
        Value::Number(number) => parts.push(Zeroizing::new(number.to_string())),
        Value::Array(items) => items.iter().for_each(|item| collect_parts(item, parts)),
        Value::Object(members) => members.values().for_each(|member| collect_parts(member, parts)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn is_strong(text: &str) -> bool {
    if !strength(text.as_bytes()).is_scrubbable() {
        return false;
    }
    let surprises = surprises(text);
    // A sentence has some surprises, too, but few for its length.
    surprises >= SURPRISES_MIN && surprises * 20 >= text.chars().count() * 11
}

/// How many characters of a text nobody could foresee who knows words, walks, dates and repetition.
fn surprises(text: &str) -> usize {
    let chars: Vec<char> = without_public_prefix(text).chars().collect();
    let typed: Vec<char> = chars.iter().map(char::to_ascii_lowercase).collect();
    let plain: Vec<char> = spelled_out(&chars).iter().map(char::to_ascii_lowercase).collect();
    let foreseen: Vec<bool> =
        foreseen(&typed).iter().zip(foreseen(&plain)).map(|(typed, plain)| *typed || plain).collect();
    if is_hexadecimal(&typed) {
        return unforeseen(&foreseen);
    }
    let mut count = Count { typed: &typed, foreseen: &foreseen, seen: HashSet::new(), surprises: 0 };
    let words = leet_words(&typed);
    count.surprises += 2 * words.len();
    for (from, to) in runs(&chars, &plain) {
        if words.iter().any(|(start, end)| (*start..*end).contains(&from)) {
            continue;
        }
        let (spelled, as_typed) = (&plain[from..to], &typed[from..to]);
        if spelled == as_typed || (spelled.len() <= SPELLED_CHARS_MAX && is_word(spelled)) {
            count.add(spelled, from, to);
        } else {
            // No word after all: what was typed counts.
            for (start, end) in runs(&chars[from..to], as_typed) {
                count.add(&as_typed[start..end], from + start, from + end);
            }
        }
    }
    count.surprises
}

/// `57r1p3`: parts that are words if all of their digits are letters.
fn leet_words(typed: &[char]) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut from = 0;
    for part in typed.split_inclusive(|c| letter_of(*c).is_none() && !c.is_alphanumeric()) {
        let end =
            part.iter().rposition(|c| letter_of(*c).is_some() || c.is_alphanumeric()).map_or(0, |at| at + 1);
        let part_from = from;
        from += part.len();
        let spelled: Vec<char> = part[..end].iter().map(|c| letter_of(*c).unwrap_or(*c)).collect();
        let is_mixed = part[..end].iter().any(|c| c.is_alphabetic()) && spelled != part[..end];
        if is_mixed && spelled.len() <= LEET_CHARS_MAX && is_word(&spelled) {
            words.push((part_from, part_from + end));
        }
    }
    words
}

/// Surprises so far.
struct Count<'a> {
    typed: &'a [char],
    foreseen: &'a [bool],
    seen: HashSet<Vec<char>>,
    surprises: usize,
}

impl Count<'_> {
    /// Adds what a piece of one sort is worth.
    fn add(&mut self, piece: &[char], from: usize, to: usize) {
        let is_number = piece[0].is_ascii_digit();
        // Symbols between words are as good as words said twice.
        let counts_once = piece.len() >= 3 || (is_number && piece.len() == 2) || !piece[0].is_alphanumeric();
        if counts_once && !self.seen.insert(piece.to_vec()) {
            return;
        }
        let is_symbol = |at: Option<&char>| at.is_none_or(|c| !c.is_alphanumeric());
        let is_apart =
            is_symbol(from.checked_sub(1).and_then(|at| self.typed.get(at))) && is_symbol(self.typed.get(to));
        let is_short_word = piece[0].is_alphabetic() && piece.len() < WORD_CHARS_MIN;
        let unforeseen = unforeseen(&self.foreseen[from..to]);
        self.surprises += if is_apart && (is_number || is_short_word) {
            // A part of a date, a port, the number of a house; `of`, `com`.
            1
        } else if is_number {
            // Years.
            piece.len().min(3).min(unforeseen)
        } else if is_word(piece) {
            // Four letters may look like a word by chance.
            if piece.len() == WORD_CHARS_MIN { 2 } else { 1 }
        } else {
            // Words that ran together read like no word; random letters rarely stand so long side by side.
            unforeseen.min(LETTERS_MAX)
        };
    }
}

fn is_word(piece: &[char]) -> bool {
    piece.len() >= WORD_CHARS_MIN && piece.iter().all(|c| c.is_alphabetic()) && is_word_like(piece)
}

/// Whether a text is digits of base 16, with few words in it that could be made of six letters.
fn is_hexadecimal(typed: &[char]) -> bool {
    let letters = typed.iter().filter(|c| c.is_ascii_alphabetic()).count();
    let runs = typed.split(|c| !c.is_ascii_alphabetic());
    typed.iter().all(|c| c.is_ascii_hexdigit() || *c == '-')
        && letters * 6 >= typed.len()
        && runs.filter(|run| run.len() >= WORD_CHARS_MIN).count() * 16 <= typed.len()
}

fn unforeseen(foreseen: &[bool]) -> usize {
    foreseen.iter().filter(|foreseen| !**foreseen).count()
}

/// `sk_live_…`: what stands before the last underscore within the first part of a text is the same in all keys of a kind.
fn without_public_prefix(text: &str) -> &str {
    let head: usize = text.char_indices().nth(16).map_or(text.len(), |(at, _)| at);
    match text[..head].rfind('_') {
        Some(at) if text.len() - at > 16 => &text[at + 1..],
        _ => text,
    }
}

/// `Tr0ub4dor` as what it stands for: up to five digits or signs between two letters may be letters. At the ends they are
/// left alone, which gives a guess a surprise or two.
fn spelled_out(chars: &[char]) -> Vec<char> {
    let mut plain = chars.to_vec();
    let mut at = 1;
    while at < chars.len() {
        let signs = chars[at..].iter().take_while(|c| letter_of(**c).is_some()).count();
        let is_inside =
            chars[at - 1].is_alphabetic() && chars.get(at + signs).is_some_and(|after| after.is_alphabetic());
        if (1..=5).contains(&signs) && is_inside {
            for place in &mut plain[at..at + signs] {
                *place = letter_of(*place).unwrap_or(*place);
            }
        }
        at += signs.max(1);
    }
    plain
}

fn letter_of(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        _ => return None,
    })
}

/// Which characters go on as what stands before them lets expect: repetition and counting, at any small distance, steps on
/// a keyboard, and three characters that were there before.
fn foreseen(typed: &[char]) -> Vec<bool> {
    let mut foreseen = vec![false; typed.len()];
    let mut seen = HashSet::new();
    let step = |from: usize, to: usize| typed[to] as i64 - typed[from] as i64;
    for at in 0..typed.len() {
        for distance in 1..=4 {
            if at >= 2 * distance
                && step(at - 2 * distance, at - distance) == step(at - distance, at)
                && step(at - distance, at).abs() <= 1
            {
                foreseen[at] = true;
            }
        }
        if at >= 2 {
            let last = [typed[at - 2], typed[at - 1], typed[at]];
            foreseen[at] |= STEPS.contains(&last) || !seen.insert(last);
        }
    }
    foreseen
}

/// Pieces of one sort: digits, letters (a word in camel case ends where the next one begins), or one other character.
fn runs(chars: &[char], plain: &[char]) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut from = 0;
    while from < plain.len() {
        let mut to = from + 1;
        if plain[from].is_ascii_digit() {
            while to < plain.len() && plain[to].is_ascii_digit() {
                to += 1;
            }
        } else if plain[from].is_alphabetic() {
            let goes_on = |at: usize| {
                let (before, here) = (chars[at - 1], chars[at]);
                plain[at].is_alphabetic() && (before.is_uppercase() || !here.is_uppercase())
            };
            while to < plain.len() && goes_on(to) {
                to += 1;
            }
        }
        runs.push((from, to));
        from = to;
    }
    runs
}

/// Whether letters could be a word of a language that people type passwords in: vowels and consonants in turn, and no pairs
/// that no word has.
fn is_word_like(letters: &[char]) -> bool {
    if letters.iter().any(|c| !c.is_ascii_alphabetic()) {
        // Other alphabets are not judged letter by letter: a run of theirs is a word.
        return true;
    }
    let is_vowel = |c: &char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    let longest =
        |vowels: bool| letters.split(|c| is_vowel(c) != vowels).map(<[char]>::len).max().unwrap_or_default();
    let odd = letters.windows(2).filter(|pair| is_odd_pair(pair[0], pair[1])).count();
    let vowels = letters.iter().filter(|c| is_vowel(c)).count();
    // Random letters have an odd pair in every four or so; a word hardly any, and two words where they meet.
    odd * 7 <= letters.len() && vowels * 8 >= letters.len() && longest(false) <= 5 && longest(true) <= 4
}

fn is_odd_pair(a: char, b: char) -> bool {
    const AFTER: &[(char, &str)] = &[
        ('q', "bcdfghjklmnopqrstvwxyz"),
        ('j', "bcdfghjklmnpqrstvwxyz"),
        ('v', "bcdfghjkmnpqtwxz"),
        ('x', "bdfgjkmnqrsvwxz"),
        ('z', "bcdfgjkmnpqrstvx"),
        ('k', "dfgjkpqvxz"),
        ('w', "cfgjmpqvxz"),
        ('g', "bcfjkpqvxz"),
        ('b', "cfgkpqwxz"),
        ('f', "bcdghjkmnpqvwxz"),
        ('h', "bcdfghjkpqvxz"),
        ('p', "bcdfgjkqvwxz"),
        ('m', "cdfghjkqrvwxz"),
        ('c', "bdfgjmnpvwxz"),
        ('d', "bcfkpqtxz"),
        ('t', "bdfgjkpqvx"),
        ('s', "bdfgjrvxz"),
        ('l', "hjqrxz"),
        ('n', "bpqrx"),
        ('r', "jqxz"),
        ('y', "hjqvy"),
        ('u', "uw"),
        ('i', "ihjwy"),
        ('a', "a"),
        ('o', "q"),
    ];
    AFTER.iter().any(|(first, odd)| *first == a && odd.contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator that needs no crate: the same numbers every time.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self, below: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) as usize) % below
        }

        fn of(&mut self, alphabet: &str, length: usize) -> String {
            let alphabet: Vec<char> = alphabet.chars().collect();
            (0..length).map(|_| alphabet[self.next(alphabet.len())]).collect()
        }

        fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
            from[self.next(from.len())]
        }
    }

    const WORDS: &[&str] = &[
        "password",
        "admin",
        "secret",
        "welcome",
        "dragon",
        "monkey",
        "letmein",
        "summer",
        "winter",
        "spring",
        "autumn",
        "company",
        "production",
        "staging",
        "stripe",
        "github",
        "database",
        "postgres",
        "correct",
        "horse",
        "battery",
        "staple",
        "iloveyou",
        "princess",
        "football",
        "baseball",
        "shadow",
        "master",
        "michael",
        "jennifer",
        "trustno",
        "sunshine",
        "hello",
        "freedom",
        "whatever",
        "qazwsx",
        "qwerty",
        "qwertyuiop",
        "zxcvbnm",
        "asdfghjkl",
        "berlin",
        "london",
        "paris",
        "passwort",
        "geheim",
        "sommer",
        "contrasena",
        "motdepasse",
        "amsterdam",
        "service",
        "account",
        "token",
        "apikey",
        "integration",
        "test",
        "live",
        "changeme",
        "default",
        "guest",
        "root",
        "oracle",
        "jordan",
        "superman",
        "batman",
        "strength",
        "rhythm",
        "schedule",
        "infrastructure",
        "deployment",
        "kubernetes",
        "kafka",
        "jenkins",
        "grafana",
    ];

    fn human(numbers: &mut Numbers) -> String {
        let mut text = String::new();
        // Four or five words that are misspelled as well are more than anybody's list holds.
        let is_long = numbers.next(3) == 0;
        for part in 0..1 + numbers.next(if is_long { 5 } else { 2 }) {
            let word = numbers.pick(WORDS);
            let word: String = match numbers.next(5) {
                0 => word.to_uppercase(),
                1 | 2 => word[..1].to_uppercase() + &word[1..],
                _ => word.to_owned(),
            };
            let leet = !is_long && numbers.next(3) == 0;
            let spelled = word.chars().map(|c| match c {
                'a' if leet => '4',
                'e' if leet => '3',
                'i' if leet => '1',
                'o' if leet => '0',
                's' if leet => '5',
                't' if leet => '7',
                other => other,
            });
            if part > 0 {
                text.push_str(numbers.pick(&["", "-", "_", " ", ".", "#"]));
            }
            text.extend(spelled);
        }
        match numbers.next(6) {
            0 => text.push_str(&(1950 + numbers.next(100)).to_string()),
            1 => text.push_str(&format!(
                "{:02}{:02}{}",
                1 + numbers.next(28),
                1 + numbers.next(12),
                1950 + numbers.next(100)
            )),
            2 => text.push_str(&numbers.next(10_000).to_string()),
            3 => text.push_str(numbers.pick(&[
                "123",
                "1234",
                "123456789",
                "!",
                "!!",
                "123!",
                "#1",
                "@2024",
                "?",
            ])),
            _ => {}
        }
        if numbers.next(10) == 0 { format!("{text}{text}") } else { text }
    }

    fn has_print(text: &str) -> bool {
        let mut fields = serde_json::Map::new();
        fields.insert("value".to_owned(), text.into());
        let fields = Fields::parse(SecretType::Text, &fields).unwrap();
        is_beyond_guessing(SecretType::Text, &fields)
    }

    fn guess(numbers: &mut Numbers, number: usize) -> String {
        match number % 10 {
            0 => numbers.of("0123456789", 4 + number % 20),
            1 => format!("{}-{:04}-{:04}", numbers.pick(WORDS), numbers.next(10_000), numbers.next(10_000)),
            2 => numbers.of("ab", 16 + number % 30),
            3 => numbers.pick(WALKS).repeat(1 + numbers.next(3)),
            4 => format!("sk_live_{}{}", human(numbers), numbers.next(100)),
            5 => format!("postgres://{0}:{0}@localhost:5432/{1}", numbers.pick(WORDS), numbers.pick(WORDS)),
            _ => human(numbers),
        }
    }

    /// A thousand values that people chose, and a million guesses at them, every one of the thousand among them: no guess
    /// is ever found to be right, because neither it nor the value has a fingerprint. (A few misspelled words in a row pass for
    /// random, one in a hundred thousand; that one would have to be the value, too.)
    #[test]
    fn a_million_guesses_learn_nothing() {
        let count = if cfg!(debug_assertions) && std::env::var_os("TACIT_ALL").is_none() {
            20_000
        } else {
            1_000_000
        };
        let mut numbers = Numbers(7);
        let chosen: Vec<String> = (0..1000).map(|number| guess(&mut numbers, number)).collect();
        let compared: HashSet<&String> = chosen.iter().filter(|value| has_print(value)).collect();
        let mut learned: Vec<String> =
            chosen.iter().filter(|guess| compared.contains(guess)).cloned().collect();
        let mut with_print = 0;
        for number in 0..count {
            let guess = guess(&mut numbers, number);
            if has_print(&guess) {
                with_print += 1;
                if compared.contains(&guess) {
                    learned.push(guess);
                }
            }
        }
        assert_eq!(learned, Vec::<String>::new());
        assert!(with_print <= count / 10_000, "{with_print} of {count}");
    }

    /// What everybody thinks of as clever.
    #[test]
    fn clever_passwords_have_no_fingerprint() {
        for text in [
            "correct-horse-battery-staple",
            "correcthorsebatterystaple1",
            "Tr0ub4dor&3Tr0ub4dor&3",
            "P@ssw0rd!P@ssw0rd!",
            "1qaz2wsx3edc4rfv5tgb",
            "a1b2c3d4e5f6g7h8i9j0k1",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "ThisIsMyVeryLongPasswordForProduction2024!",
            "00000000-0000-0000-0000-000000000000",
            "4111111111111111",
            "2024-01-01T00:00:00Z2024-12-31T23:59:59Z",
            "passwordpasswordpassword",
            "https://example.com/this/is/no/secret/at/all",
        ] {
            assert!(!has_print(text), "{text} ({} surprises)", surprises(text));
        }
    }

    /// In JSON whoever knows one part could guess the others: an account's number that stands in every invoice, and beside
    /// it a password. So each part must be beyond guessing.
    #[test]
    fn json_is_as_strong_as_its_weakest_part() {
        const STRONG: &str = "7hG2kQ9zXv4LpW8sRt1YbN6mC3dF5gJ0";
        let has = |content: Value| {
            let fields = serde_json::Map::from_iter([("content".to_owned(), content)]);
            is_beyond_guessing(SecretType::Json, &Fields::parse(SecretType::Json, &fields).unwrap())
        };
        use serde_json::json;
        assert!(has(json!({"token": STRONG})) && has(json!([STRONG, {"live": true, "end": null}])));
        for weak in [
            json!({"account": STRONG, "password": "summer-2024"}),
            json!({"account": STRONG, "pin": 4711}),
            json!([[STRONG], ["hunter2"]]),
            json!({"live": true}),
            json!(4711),
            json!("summer"),
            json!({}),
        ] {
            assert!(!has(weak.clone()), "{weak}");
        }
        let texts = |text: &str| unguessable(text).iter().map(|part| part.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(&json!({"account": STRONG, "password": "summer"}).to_string()), [STRONG]);
        assert_eq!(texts(STRONG), [STRONG]);
        // Long enough to be looked for in answers, and still on somebody's list.
        const PHRASE: &str = "ThisIsMyVeryLongPasswordForProduction2024!";
        assert!(strength(PHRASE.as_bytes()).is_scrubbable() && texts(PHRASE).is_empty());
    }

    /// What machines make has one, nearly always: that is what comparison is for.
    #[test]
    fn random_values_have_fingerprints() {
        let mut numbers = Numbers(11);
        const ALL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        for (alphabet, length, least) in [
            (ALL, 24, 800),
            (ALL, 32, 850),
            (ALL, 40, 880),
            ("0123456789abcdef", 32, 950),
            ("0123456789abcdef", 64, 999),
            ("abcdefghijklmnopqrstuvwxyz0123456789", 32, 700),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32, 500),
        ] {
            let good =
                (0..1000).filter(|_| has_print(&format!("sk_live_{}", numbers.of(alphabet, length)))).count();
            println!("{length} of {}: {good} of 1000", alphabet.len());
            assert!(good >= least, "{alphabet} {length}: {good}");
        }
    }
}
