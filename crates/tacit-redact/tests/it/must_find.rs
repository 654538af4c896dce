//! What must not get through, named after the attacks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tacit_redact::{Form, ScanSet, Scrubber, scrub_text};

use crate::{
    PREFIX, S,
    encodings::{ENCODINGS, OF_WHOLE},
    scrub, set, set_of,
};

/// The value alone in an encoding leaves nothing but the marker and the edges of the encoding.
fn leaves_nothing(set: &ScanSet, name: &str, encoded: &[u8]) {
    let text = [b"<a> ", encoded, b" </a>"].concat();
    let out = scrub(set, &text);
    let shown = String::from_utf8_lossy(&out);
    assert!(shown.contains("[sealed:S]"), "{name}: {shown}");
    let rest = out.len() - "<a> [sealed:S] </a>".len();
    assert!(rest <= 12, "{name}: {rest} bytes are left in {shown}");
}

#[test]
fn c1_body_echo_is_replaced_whole() {
    let (text, findings) = scrub_text(&set(), &format!("{{\"key\":\"{S}\",\"n\":1}}"));
    assert_eq!(text, "{\"key\":\"[sealed:S]\",\"n\":1}");
    assert_eq!(findings.total(), 1);
    assert_eq!(findings.count(Form::Raw), 1);
    assert!(!findings.is_late());
}

#[test]
fn c3_lower_cased_header_names() {
    assert_eq!(scrub(&set(), format!("x-{}: 1", S.to_lowercase()).as_bytes()), b"x-[sealed:S]: 1");
}

#[test]
fn c8_fragments_of_sixteen_twenty_and_thirty_one_characters() {
    for length in [16, 20, 31, 32] {
        for from in PREFIX..=S.len() - length {
            let fragment = &S[from..from + length];
            assert_eq!(
                scrub(&set(), format!("key {fragment}… is wrong").as_bytes()),
                "key [sealed:S]… is wrong".as_bytes()
            );
            for (name, encode) in ENCODINGS {
                let out = scrub(&set(), &[b"((", &encode(fragment.as_bytes())[..], b"))"].concat());
                assert!(String::from_utf8_lossy(&out).contains("[sealed:S]"), "{name} {from}+{length}");
            }
        }
    }
}

#[test]
fn a_value_of_exactly_sixteen_characters_in_every_encoding() {
    let set = set_of(&[("[sealed:S]", b"Zr8Qm2Lx9TbVw4Kc")]);
    for (name, encode) in ENCODINGS.iter().chain(OF_WHOLE) {
        for pad in ["", "x", "yz", "..."] {
            let text = [pad.as_bytes(), &encode(b"Zr8Qm2Lx9TbVw4Kc"), pad.as_bytes()].concat();
            assert!(String::from_utf8_lossy(&scrub(&set, &text)).contains("[sealed:S]"), "{name}");
        }
    }
}

#[test]
fn d_every_encoding_of_the_whole_value() {
    for (name, encode) in ENCODINGS.iter().chain(OF_WHOLE) {
        leaves_nothing(&set(), name, &encode(S.as_bytes()));
    }
}

#[test]
fn d1_base64_any_alignment() {
    for before in 0..6 {
        for after in 0..4 {
            let blob = [&b"user:x"[..before], S.as_bytes(), &b"!!!!"[..after]].concat();
            leaves_nothing(&set(), "base64", STANDARD.encode(blob).as_bytes());
        }
    }
}

#[test]
fn d1_base64_with_characters_of_both_alphabets() {
    let value: &[u8] = b"\xfb\xff\xbe>>>???\xff\xef~~\xfa8Qm2Lx9?b>w4K\xfe\xff";
    let set = set_of(&[("[sealed:S]", value)]);
    for (name, encode) in ENCODINGS {
        if name.contains("base64") {
            leaves_nothing(&set, name, &encode(value));
        }
    }
}

#[test]
fn d3_form_encoding_with_plus_for_blank() {
    let value = "Kq7 vR2 mX9 zL4 pT8 wB3 nY6";
    let set = set_of(&[("[sealed:S]", value.as_bytes())]);
    for text in [value.replace(' ', "+"), value.replace(' ', "%20"), value.replace(' ', "\r\n")] {
        assert_eq!(scrub(&set, text.as_bytes()), b"[sealed:S]", "{text}");
    }
}

#[test]
fn d4_json_with_escaped_slashes_and_quotes() {
    let value = r#"a/"b\c/Kq7vR2mX9zL/4pT8wB3/nY6"#;
    let set = set_of(&[("[sealed:S]", value.as_bytes())]);
    let once = value.replace('\\', r"\\").replace('/', r"\/").replace('"', r#"\""#);
    let twice = once.replace('\\', r"\\").replace('"', r#"\""#);
    for text in [value, &once, &twice] {
        assert_eq!(scrub(&set, text.as_bytes()), b"[sealed:S]", "{text}");
    }
}

/// What looks like an escape in a value is read where its slashes are escaped.
#[test]
fn d4_a_value_with_escapes_of_its_own() {
    let value = b"Zq8/W%2Fn5/Xv%3D2/T7b%2BLk/4Rm%25P9/sDq";
    let set = set_of(&[("[sealed:A]", value)]);
    let escaped = String::from_utf8_lossy(value).replace('/', "\\/");
    let scrubbed = scrub(&set, format!("{{\"token\":\"{escaped}\"}}").as_bytes());
    assert_eq!(String::from_utf8_lossy(&scrubbed), "{\"token\":\"[sealed:A]\"}");
    assert_eq!(scrub(&set, value), b"[sealed:A]");
}

#[test]
fn d7_utf16_with_a_byte_order_mark() {
    let text: Vec<u8> = format!("\u{feff}key={S};").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let out = scrub(&set(), &text);
    assert!(String::from_utf8_lossy(&out).contains("[sealed:S]"));
    assert!(out.len() < 40);
}

#[test]
fn c13_lines_and_body_of_a_pem() {
    let body = (0..20u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).to_le_bytes());
    let body = STANDARD
        .encode(body.flat_map(|b| [b, b.map(|b| b.wrapping_mul(37) ^ 0x5a)].concat()).collect::<Vec<_>>());
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let set = set_of(&[("[sealed:S]", pem.as_bytes())]);
    for line in &lines {
        assert_eq!(scrub(&set, format!("<{line}>").as_bytes()), b"<[sealed:S]>");
    }
    for text in [body.clone(), lines.join("\r\n"), lines.join("\\n"), lines.join("\\\\n"), lines.join("   ")]
    {
        assert_eq!(scrub(&set, format!("<{text}>").as_bytes()), b"<[sealed:S]>", "{text}");
    }
    let joint = &body[56..72];
    assert_eq!(scrub(&set, format!("<{joint}>").as_bytes()), b"<[sealed:S]>", "across a line break");
    let headers = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n";
    assert_eq!(scrub(&set, headers.as_bytes()), headers.as_bytes());
}

#[test]
fn c13_leaves_of_a_json_value() {
    let value =
        br#"{"type": "service_account", "id": "7hG2kQ9zXv4LpW8sRt1Y", "key": "Qm2Lx9Tb\nVw4Kc8Zr\/3FjK5a"}"#;
    let set = set_with_weak_leaves(std::str::from_utf8(value).unwrap());
    for text in ["7hG2kQ9zXv4LpW8sRt1Y", "Qm2Lx9Tb\nVw4Kc8Zr/3FjK5a", r"Qm2Lx9Tb\nVw4Kc8Zr\/3FjK5a"] {
        assert_eq!(scrub(&set, format!("<{text}>").as_bytes()), b"<[sealed:S]>", "{text}");
    }
    let ordinary = br#"{"type": "service_account", "id": "other", "key": "none"}"#;
    assert_eq!(scrub(&set, ordinary), ordinary);
}

#[test]
fn c13_a_rendered_basic_pair() {
    let pair = STANDARD.encode("user:Qm2Lx9TbVw4Kc8Zr3FjK5a");
    let mut set = ScanSet::builder();
    assert!(set.add_basic_pair("[sealed]", b"user", b"Qm2Lx9TbVw4Kc8Zr3FjK5a").is_scrubbable());
    let (text, findings) = scrub_text(&set.build(), &format!("authorization: Basic {pair}\r\n"));
    assert_eq!(text, "authorization: Basic [sealed]\r\n");
    assert_eq!(findings.count(Form::Rendered), 1);
}

#[test]
fn e2_overlapping_secrets_leave_no_end_behind() {
    let long = "7hG2kQ9zXv4LpW8sRt1YbN6mCd3FjK5a";
    for values in [[&long[..18], &long[4..]], [&long[4..], &long[..18]], [&long[6..22], long]] {
        let set = set_of(&[("[sealed:A]", values[0].as_bytes()), ("[sealed:B]", values[1].as_bytes())]);
        let (text, findings) = scrub_text(&set, &format!("<{long}>"));
        assert!(["<[sealed:A]>", "<[sealed:B]>"].contains(&text.as_str()), "{text}");
        assert_eq!(findings.total(), 1);
    }
}

#[test]
fn e6_behind_two_megabytes_of_padding() {
    let mut text = b"lorem ipsum 100% \\o/ & so on, ".repeat(70_000);
    text.extend_from_slice(S.as_bytes());
    assert!(scrub(&set(), &text).ends_with(b"so on, [sealed:S]"));
}

#[test]
fn e7_a_dropped_scrubber_releases_nothing() {
    let mut out = Vec::new();
    let mut scrubber = Scrubber::new(&set());
    scrubber.push(&S.as_bytes()[..30], &mut out);
    drop(scrubber);
    assert!(out.is_empty());
}

#[test]
fn j8_each_value_has_its_own_marker() {
    let other = "Zr8Qm2Lx9TbVw4Kc";
    let set = set_of(&[("[sealed:S]", S.as_bytes()), ("[sealed]", other.as_bytes())]);
    assert_eq!(scrub(&set, format!("{S} {other}").as_bytes()), b"[sealed:S] [sealed]");
}

/// An attacker who controls the text behind the value must not be able to delay its discovery until its beginning
/// has been released.
#[test]
fn expanded_text_behind_a_value_does_not_push_it_out() {
    let behind: [Vec<u8>; 4] = [
        b" \n\t:".repeat(2000),
        [&b"x"[..], &b" ".repeat(120)].concat().repeat(60),
        b"\\u005c\\u0075\\u0030\\u0030\\u0037\\u0038".repeat(100),
        b"&#x00000078;".repeat(200),
    ];
    for (name, encode) in ENCODINGS {
        for behind in &behind {
            let text = [&encode(S.as_bytes())[..], behind].concat();
            let (out, findings) = tacit_redact::scrub(&set(), &text);
            assert!(
                out.starts_with(b"[sealed:S]") || out[..24].windows(10).any(|w| w == b"[sealed:S]"),
                "{name}"
            );
            assert!(!findings.is_late(), "{name}");
            let mut bytewise = Vec::new();
            let mut scrubber = Scrubber::new(&set());
            text.chunks(1).for_each(|byte| scrubber.push(byte, &mut bytewise));
            scrubber.finish(&mut bytewise);
            assert!(out == bytewise, "{name}");
        }
    }
}

/// With more equal beginnings than anyone pays comparisons for, the scrubber redacts instead of comparing.
#[test]
fn j10_a_thousand_values_with_one_beginning() {
    let mut set = ScanSet::builder();
    for n in 0..1000u64 {
        let tail = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        set.add("[sealed]", format!("Vq7Lm2Xc9RtB4kNp{tail:016x}").as_bytes());
    }
    let set = set.build();
    let text = b"(2Xc9RtB4kNp)".repeat(100_000);
    let (_, findings) = tacit_redact::scrub(&set, &text);
    assert!(findings.total() > 0, "comparisons ran out and nothing was replaced");
    let value = format!("<Vq7Lm2Xc9RtB4kNp{:016x}>", 7u64.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    assert_eq!(scrub(&set, value.as_bytes()), b"<[sealed]>");
}

/// A JSON value whose strong leaves are looked for, although it is as weak as its weakest.
fn set_with_weak_leaves(value: &str) -> ScanSet {
    let mut set = ScanSet::builder();
    set.add("[sealed:S]", value.as_bytes());
    set.build()
}

/// J3: what everybody may know beside a value proves nothing. A long user name, the fields and addresses of a JSON secret,
/// the host of a database address: none of them, with a guess behind it, makes the guess's truth visible.
#[test]
fn j3_known_neighbours_are_no_evidence() {
    let user = "AC5f0c83a1b2d94e7788";
    let password = "Zk4!pQ9wLm2#z5O4ACao7YKsFHTOLDgE";
    let mut set = ScanSet::builder();
    assert!(set.add_basic_pair("[sealed]", user.as_bytes(), password.as_bytes()).is_scrubbable());
    let set = set.build();
    for known in 0..10 {
        let right = STANDARD.encode(format!("{user}:{}", &password[..known + 1]));
        let wrong = STANDARD.encode(format!("{user}:{}\u{7f}", &password[..known]));
        for text in [right, wrong] {
            assert_eq!(scrub(&set, text.as_bytes()), text.as_bytes(), "{known}");
        }
    }
    let json = r#"{"a_token_uri":"https://oauth2.googleapis.com/token","client_secret":"f3a94b1c7d20e86519ab42cd78ef01365c9d7b2a"}"#;
    let address = "postgres://app:f3a94b1c7d20e86519ab42cd78ef0136@db.internal.example.com:5432/production";
    for (value, known, next) in [
        (json, r#"https://oauth2.googleapis.com/token","client_secret":""#, "f3a94b1c7d"),
        (address, "postgres://app:", "f3a94b1c7d"),
    ] {
        let set = set_with_weak_leaves(value);
        let right = scrub(&set, format!("{known}{next}").as_bytes());
        let wrong = scrub(&set, format!("{known}{}", "0000000000").as_bytes());
        assert_eq!(right.len(), wrong.len(), "{value}");
    }
    let set = set_of(&[("[sealed:S]", address.as_bytes())]);
    let behind = "@db.internal.example.com:5432/production";
    let (right, wrong) = (format!("cd78ef0136{behind}"), format!("xxxxxxxxxx{behind}"));
    assert_eq!(scrub(&set, right.as_bytes()).len(), scrub(&set, wrong.as_bytes()).len());
    assert!(!String::from_utf8(scrub(&set, address.as_bytes())).unwrap().contains("f3a94b1c7d20e865"));
}
