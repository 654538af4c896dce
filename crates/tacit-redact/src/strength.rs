//! How much of a value is unpredictable, character by character.
//!
//! Two questions are answered here. *May this value be scrubbed at all?* A value that can be guessed must not
//! be: replacing it would tell the guesser that the guess was right. And *which of its characters are evidence?*
//! Sixteen characters of `-----BEGIN PRIVATE KEY-----` in a text prove nothing about a key.
//!
//! The estimate is a lower bound made of cheap structural rules, not a password meter: it knows public prefixes,
//! repetition, sequences and small alphabets, and it does not know dictionaries.

use crate::json;

/// How many unpredictable characters make a finding, and a scrubbable value.
pub(crate) const WINDOW: usize = 16;

/// Unpredictable characters have to lie this close together to count as one window.
const SPAN: usize = 32;

/// A repeat this long inside a value is taken for structure, not for chance.
const REPEAT: usize = 5;

/// A run this long of equal or consecutive characters is taken for structure.
const RUN: usize = 6;

/// Prefixes that vendors put in front of every token of a kind. They are printed in manuals, so they neither
/// count as strength nor as evidence. Longer ones stand before their own beginnings.
const VENDOR_PREFIXES: &[&str] = &[
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "pk_live_",
    "pk_test_",
    "whsec_", // Stripe
    "github_pat_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_", // GitHub
    "glpat-",
    "gldt-",
    "glrt-",
    "glptt-",
    "glsoat-",
    "glcbt-", // GitLab
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xoxs-",
    "xapp-", // Slack
    "AKIA",
    "ASIA",
    "ABIA",
    "ACCA", // AWS access key ids
    "shpat_",
    "shpca_",
    "shppa_",
    "shpss_", // Shopify
    "SG.",    // SendGrid
    "sk-proj-",
    "sk-ant-api03-",
    "sk-ant-admin01-",
    "sk-ant-",
    "sk-or-v1-",
    "sk-", // model providers
    "AIza",
    "ya29.",
    "GOCSPX-", // Google
    "npm_",
    "pypi-AgEIcHlwaS5vcmc",
    "rubygems_",
    "dckr_pat_",
    "hf_",
    "gsk_",
    "r8_", // registries and hubs
    "dop_v1_",
    "doo_v1_",
    "dor_v1_", // DigitalOcean
    "dapi",
    "lin_api_",
    "ntn_",
    "secret_",
    "key-",
    "EAAA",
    "sq0csp-",
    "sq0atp-", // Databricks, Linear, Notion, Mailgun, Square
    "hvs.",
    "hvb.",
    "vault:v1:", // Vault
    "PMAK-",
    "NRAK-",
    "pat-na1-",
    "tfp_",
    "pul-",
    "sntrys_",
    "sbp_",
    "re_",
    "phc_",
    "phx_",
    "tct_", // and others
];

/// Text that is the same in every key of a kind, wherever it stands: object identifiers and version numbers of
/// PKCS#8, SEC 1 and OpenSSH keys after base64, keyboard rows, and the words people use instead of a password.
const PUBLIC_PARTS: &[&str] = &[
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ",
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ",
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQ",
    "MIIJQgIBADANBgkqhkiG9w0BAQEFAASCCSwwggkoAgEAAoICAQ",
    "MIIJQwIBADANBgkqhkiG9w0BAQEFAASCCS0wggkpAgEAAoICAQ",
    "ANBgkqhkiG9w0BAQEFAA",
    "MIIEowIBAAKCAQEA",
    "MIIEpAIBAAKCAQEA",
    "MIIEpQIBAAKCAQEA",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg",
    "MC4CAQAwBQYDK2VwBCIEI",
    "MHcCAQEEI",
    "oAoGCCqGSM49AwEHoUQDQgAE",
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwerty",
    "password",
    "passw0rd",
    "changeme",
    "letmein",
    "administrator",
];

/// The number of unpredictable characters of a value, a lower bound. It says nothing else about the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Strength(u32);

impl Strength {
    /// Unpredictable characters; never more than the value has bytes.
    pub fn unpredictable_chars(self) -> u32 {
        self.0
    }

    /// Whether a value of this strength is indexed. Below, replacing it would let anyone test guesses.
    pub fn is_scrubbable(self) -> bool {
        self.0 as usize >= WINDOW
    }
}

/// Counts the unpredictable characters of a value.
///
/// A public vendor prefix, PEM armour, the header of a JWT, JSON keys and punctuation, and whatever repeats or
/// continues what stands before it, count nothing; an alphabet of four or fewer characters counts in part. A
/// value whose unpredictable characters are strewn so thinly that no window of them exists is reported as below
/// the limit.
///
/// A structured value is as strong as the weakest of its texts: each of them is looked for by itself.
pub fn strength(value: &[u8]) -> Strength {
    let weakest =
        json::leaves(value).and_then(|leaves| leaves.iter().map(|leaf| Profile::of(leaf).strength()).min());
    weakest.unwrap_or_else(|| Profile::of(value).strength())
}

/// What a vendor puts in front of its tokens, if the text begins like one of them.
pub fn vendor_prefix(text: &str) -> Option<&'static str> {
    VENDOR_PREFIXES
        .iter()
        .filter(|prefix| text.starts_with(**prefix))
        .max_by_key(|prefix| prefix.len())
        .copied()
}

/// What is known about each byte of a value.
pub(crate) struct Profile {
    /// The byte is evidence: neither public nor a near repetition.
    pub(crate) evidence: Vec<bool>,
    /// The length of the public prefix.
    pub(crate) prefix: usize,
    /// Unpredictable bytes of the whole, far repetitions taken off.
    count: u32,
}

impl Profile {
    pub(crate) fn of(value: &[u8]) -> Self {
        let mut evidence = vec![true; value.len()];
        let prefix = public_prefix(value);
        evidence[..prefix].fill(false);
        hide_armour(value, &mut evidence);
        hide_public_parts(value, &mut evidence);
        hide_address(value, &mut evidence);
        json::hide_skeleton(value, &mut evidence);
        Self::finish(value, evidence, prefix)
    }

    fn finish(value: &[u8], mut evidence: Vec<bool>, prefix: usize) -> Self {
        hide_runs(value, &mut evidence);
        let mut far = evidence.clone();
        for (at, distance) in repeats(value) {
            // What repeats something far away is still news to a reader who sees only this part of the value.
            // It makes the value weaker as a whole, but it stays evidence.
            far[at..at + REPEAT].fill(false);
            if distance <= WINDOW {
                evidence[at..at + REPEAT].fill(false);
            }
        }
        let count = small_alphabet(value, &far).min(densest(&evidence));
        Self { evidence, prefix, count }
    }

    pub(crate) fn strength(&self) -> Strength {
        Strength(self.count)
    }
}

/// The length of what everybody knows in front of the value.
fn public_prefix(value: &[u8]) -> usize {
    let vendor = VENDOR_PREFIXES.iter().filter(|p| value.starts_with(p.as_bytes())).map(|p| p.len()).max();
    let known = vendor.or_else(|| scheme(value)).or_else(|| jwt_header(value)).unwrap_or(0);
    known.max(words(value))
}

/// `postgres://`
fn scheme(value: &[u8]) -> Option<usize> {
    let end = memchr::memmem::find(&value[..value.len().min(24)], b"://")?;
    let name = &value[..end];
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-');
    (!name.is_empty() && name.iter().all(plain)).then_some(end + 3)
}

/// The first part of `eyJ….eyJ….sig` names algorithms, and is the same in millions of tokens.
fn jwt_header(value: &[u8]) -> Option<usize> {
    if !value.starts_with(b"eyJ") || memchr::memchr_iter(b'.', value).count() != 2 {
        return None;
    }
    memchr::memchr(b'.', value).map(|dot| dot + 1)
}

/// `acme_prod_…`: at most three short lower-case words, each closed by `_`, before sixteen or more letters and
/// digits. It is this strict because a random key may begin like that by chance and must then count in full.
fn words(value: &[u8]) -> usize {
    let mut end = 0;
    for _ in 0..3 {
        let letters = value[end..].iter().take_while(|b| b.is_ascii_lowercase()).count();
        if !(3..=8).contains(&letters) || value.get(end + letters) != Some(&b'_') {
            break;
        }
        end += letters + 1;
    }
    let rest = &value[end..];
    let sound = rest.len() >= WINDOW && rest.iter().all(u8::is_ascii_alphanumeric);
    if sound { end } else { 0 }
}

/// `postgres://app:PASSWORD@db.example/app`: of an address with a password only the password is unpredictable; of another
/// one, what comes after the host. Host, user and database are in every runbook.
fn hide_address(value: &[u8], evidence: &mut [bool]) {
    let Some(authority) = scheme(value) else { return };
    let rest = &value[authority..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let at = rest[..end].iter().rposition(|b| *b == b'@');
    let password = at.and_then(|at| rest[..at].iter().position(|b| *b == b':').map(|colon| (colon + 1, at)));
    match password {
        Some((from, to)) if from < to => {
            evidence[..authority + from].fill(false);
            evidence[authority + to..].fill(false);
        }
        _ if end < rest.len() => evidence[..authority + end].fill(false),
        _ => {}
    }
}

/// `-----BEGIN … KEY-----` and its end.
fn hide_armour(value: &[u8], evidence: &mut [bool]) {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&value[from..], b"-----").map(|at| at + from) {
        let label = &value[at + 5..];
        let length =
            label.iter().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b' ').count();
        let end = if label[length..].starts_with(b"-----") { at + length + 10 } else { at + 5 };
        evidence[at..end].fill(false);
        from = end;
    }
}

fn hide_public_parts(value: &[u8], evidence: &mut [bool]) {
    // A first-byte gate keeps this to a few comparisons per byte; values are short and sets are built per request.
    for at in 0..value.len() {
        let rest = &value[at..];
        if !PUBLIC_FIRST[usize::from(rest[0].to_ascii_lowercase())] {
            continue;
        }
        for part in PUBLIC_PARTS {
            let keyboard = part.as_bytes()[0].is_ascii_lowercase() && part.len() < 16;
            let same = |head: &[u8]| {
                if keyboard { head.eq_ignore_ascii_case(part.as_bytes()) } else { head == part.as_bytes() }
            };
            if rest.len() >= part.len() && same(&rest[..part.len()]) {
                evidence[at..at + part.len()].fill(false);
            }
        }
    }
}

const PUBLIC_FIRST: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < PUBLIC_PARTS.len() {
        table[PUBLIC_PARTS[i].as_bytes()[0].to_ascii_lowercase() as usize] = true;
        i += 1;
    }
    table
};

/// `aaaaaa`, `abcdef`, `987654`: all but the first character of the run can be foretold.
fn hide_runs(value: &[u8], evidence: &mut [bool]) {
    let mut start = 0;
    while start + 1 < value.len() {
        let Some(step) = step(value[start], value[start + 1]) else {
            start += 1;
            continue;
        };
        let mut end = start + 2;
        while end < value.len() && self::step(value[end - 1], value[end]) == Some(step) {
            end += 1;
        }
        if end - start >= RUN {
            evidence[start + 1..end].fill(false);
        }
        start = end - 1;
    }
}

/// The step from one character to the next, if it is one that people count by.
fn step(a: u8, b: u8) -> Option<i8> {
    match (a, b) {
        (b'9', b'0') => Some(1),
        (b'0', b'9') => Some(-1),
        _ if a == b => Some(0),
        _ if a.wrapping_add(1) == b => Some(1),
        _ if b.wrapping_add(1) == a => Some(-1),
        _ => None,
    }
}

/// Places that repeat what stands earlier in the value, with the distance to the last time.
fn repeats(value: &[u8]) -> Vec<(usize, usize)> {
    let pack = |w: &[u8]| w.iter().fold(0u64, |packed, b| packed << 8 | u64::from(*b));
    let mut places: Vec<(u64, usize)> =
        value.windows(REPEAT).enumerate().map(|(at, w)| (pack(w), at)).collect();
    places.sort_unstable();
    let found = places
        .windows(2)
        .filter(|pair| pair[0].0 == pair[1].0)
        .map(|pair| (pair[1].1, pair[1].1 - pair[0].1))
        .collect();
    // The sort keys are pieces of the value.
    places.iter_mut().for_each(|place| place.0 = 0);
    std::hint::black_box(&places);
    found
}

/// A string of noughts and ones carries one bit per character, not five.
fn small_alphabet(value: &[u8], counted: &[bool]) -> u32 {
    let mut seen = [false; 256];
    let mut count = 0u32;
    for (byte, _) in value.iter().zip(counted).filter(|(_, counted)| **counted) {
        seen[usize::from(*byte)] = true;
        count += 1;
    }
    match seen.iter().filter(|seen| **seen).count() {
        0 => 0,
        1 => 1,
        2 => count / 4,
        3 => count * 2 / 5,
        4 => count / 2,
        _ => count,
    }
}

/// The largest number of evident bytes within one span if that is too few for a window; no limit otherwise.
fn densest(evidence: &[bool]) -> u32 {
    let mut inside = 0;
    let mut best = 0;
    for at in 0..evidence.len() {
        inside += u32::from(evidence[at]);
        if at >= SPAN {
            inside -= u32::from(evidence[at - SPAN]);
        }
        best = best.max(inside);
    }
    if best as usize >= WINDOW { u32::MAX } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(value: &str) -> u32 {
        strength(value.as_bytes()).unpredictable_chars()
    }

    #[test]
    fn random_keys_count_in_full() {
        assert_eq!(chars("7hG2kQ9zXv4LpW8sRt1YbN6mCd3FjK5a"), 32);
        assert_eq!(chars("9f86d081884c7d659a2feaa0c55ad015"), 32);
        assert_eq!(chars("Zr8Qm2Lx9TbVw4Kc"), 16);
        assert!(strength(b"Zr8Qm2Lx9TbVw4Kc").is_scrubbable());
        assert!(!strength(b"Zr8Qm2Lx9TbVw4K").is_scrubbable());
        assert_eq!(chars("3f2c7a58-91be-4d06-8f1a-c27d5e60b943"), 36);
    }

    #[test]
    fn vendor_prefixes_count_nothing() {
        for prefix in VENDOR_PREFIXES {
            assert_eq!(chars(&format!("{prefix}7hG2kQ9zXv4LpW8sRt1YbN6m")), 24, "{prefix}");
        }
        assert_eq!(chars("acme_prod_7hG2kQ9zXv4LpW8s"), 16);
        assert_eq!(chars("postgres://7hG2kQ9zXv4LpW8s"), 16);
    }

    #[test]
    fn weak_values_count_little() {
        for weak in [
            "",
            "hunter2",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabcabcabcabcabcabcabc",
            "1234567890123456789012345678901234567890",
            "abcdefghijklmnopqrstuvwxyz",
            "zyxwvutsrqponmlkjihgfedcba9876543210",
            "qwertyuiopasdfghjklzxcvbnm",
            "01011010010110100101101001011010",
            "passwordpasswordpassword",
            "Tr0ub4dor&3Tr0ub4dor&3Tr0ub4dor&3",
            "-----BEGIN RSA PRIVATE KEY-----",
            "sk_live_4eC39HqLyjWDar",
        ] {
            assert!(!strength(weak.as_bytes()).is_scrubbable(), "{weak} counts {}", chars(weak));
        }
    }

    #[test]
    fn a_far_repetition_stays_evidence_but_adds_no_strength() {
        let profile = Profile::of(b"7hG2kQ9zXv4LpW8sRt1Y..7hG2kQ9zXv4LpW8sRt1Y");
        assert_eq!(profile.strength().unpredictable_chars(), 22);
        assert!(profile.evidence[22..].iter().all(|e| *e));
    }

    #[test]
    fn a_thinly_strewn_value_is_not_scrubbable() {
        assert!(
            !strength(b"Xaaaaaaaaaaaaaaa7bbbbbbbbbbbbbbbbQcccccccccccccccckddddddddddddddZeeeeeeeeeeee")
                .is_scrubbable()
        );
    }
}
