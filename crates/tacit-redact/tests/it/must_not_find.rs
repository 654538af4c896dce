//! What must come out as it went in.

use tacit_redact::{ScanSet, scrub_text};

use crate::{PREFIX, S, scrub, set, set_of};

fn is_untouched(set: &ScanSet, text: &[u8]) {
    let out = scrub(set, text);
    assert!(out == text, "{} became {}", String::from_utf8_lossy(text), String::from_utf8_lossy(&out));
}

#[test]
fn ordinary_text() {
    for text in [
        "",
        "a",
        "The quick brown fox jumps over the lazy dog. 100% \\of the time & more; a=b&c=d&#;",
        r#"{"data":[{"id":"ch_3MmlLrLkdIwHu7ix0snN0B15","amount":1099}],"has_more":false,"u":"\u00e9\n"}"#,
        "%%%%25%7B\\\\\\u005cn&amp;amp;",
    ] {
        is_untouched(&set(), text.as_bytes());
        is_untouched(&set(), text.repeat(500).as_bytes());
    }
    let binary: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    is_untouched(&set(), &binary);
}

#[test]
fn fifteen_characters() {
    for from in PREFIX..=S.len() - 15 {
        let fragment = &S[from..from + 15];
        is_untouched(&set(), format!("~{fragment}~").as_bytes());
        is_untouched(&set(), format!("~{fragment}~").repeat(40).as_bytes());
        let hex: String = fragment.bytes().map(|b| format!("{b:02x}")).collect();
        is_untouched(&set(), format!("~{hex}~").as_bytes());
    }
}

#[test]
fn j3_a_public_prefix_with_fifteen_characters() {
    is_untouched(&set(), b"sk_live_sk_live_sk_live_sk_live_sk_live_");
    is_untouched(&set(), &S.as_bytes()[..PREFIX + 15]);
    let long = "github_pat_7hG2kQ9zXv4LpW8sRt1Y";
    is_untouched(&set_of(&[("[x]", long.as_bytes())]), &long.as_bytes()[..11 + 15]);
}

#[test]
fn j2_a_short_value_is_not_an_equality_oracle() {
    let mut set = ScanSet::builder();
    for weak in ["1234", "hunter2", "aaaaaaaaaaaaaaaaaaaaaaaa", "123456789012345678901234"] {
        assert!(!set.add("[x]", weak.as_bytes()).is_scrubbable());
    }
    let set = set.build();
    assert!(set.is_empty());
    is_untouched(&set, b"hunter2 1234 aaaaaaaaaaaaaaaaaaaaaaaa");
}

#[test]
fn the_public_parts_of_keys_and_tokens() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7hG2kQ9zXv4Lp\nW8sRt1YbN6mCd3FjK5aQm2Lx9TbVw4Kc8Zr\n-----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzz\n-----END PUBLIC KEY-----\n";
    is_untouched(&set_of(&[("[x]", pem.as_bytes())]), public.as_bytes());
    let header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    let token = format!("{header}.eyJzdWIiOiI3aEcya1E5elh2NExwVzgifQ.c1J0MVliTjZtQ2QzRmpLNWFRbTJMeDlU");
    is_untouched(&set_of(&[("[x]", token.as_bytes())]), format!("{header}.eyJvdGhlciI6MX0.xyz").as_bytes());
}

#[test]
fn text_stays_text() {
    let value = "pässwörtlich-Kq7vR2mX9-ünïcödé";
    let set = set_of(&[("[x]", value.as_bytes())]);
    for (from, _) in value.char_indices() {
        let (text, _) = scrub_text(&set, &format!("é{}ü", &value[from..]));
        assert!(text.starts_with('é') && text.ends_with('ü'), "{text}");
    }
}

#[test]
fn an_empty_set_passes_everything_on_at_once() {
    let mut out = Vec::new();
    let mut scrubber = tacit_redact::Scrubber::new(&ScanSet::empty());
    scrubber.push(b"abc", &mut out);
    assert_eq!(out, b"abc");
}

#[test]
fn debug_shows_no_value() {
    assert_eq!(format!("{:?}", set()), "ScanSet { values: 1, .. }");
}
