//! Makes the vectors of `docs/crypto-format.md` and compares them with the
//! files in `tests/vectors`. It is the only caller that sets a salt, and it
//! exists in tests only.
//!
//! `TACIT_WRITE_VECTORS=1 cargo test -p tacit-crypto vectors` writes the files
//! anew. A changed vector is a changed format: it needs a new suite.

use crate::key_check::key_check_for_vectors;
use crate::padding::pad;
use crate::placeholder::{Shape, placeholder_for_vectors};
use crate::record::seal_for_vectors;
use crate::token::{BODY_CHARS, TokenKind, token_for_vectors};
use crate::wrap::wrap_for_vectors;
use crate::{
    KeyHandle, Place, Purpose, RecordContext, RootKey, SecretValue, WrapContext, fingerprint, policy_hash,
};
use serde_json::{Value, json};
use std::{env, fs, path::PathBuf};
use zeroize::Zeroizing;

const KEY: [u8; 32] = counting(0x10);
const OTHER_KEY: [u8; 32] = counting(0x80);
const SALT: [u8; 24] = counting(0xA0);

const HERE: RecordContext = RecordContext {
    instance: counting(0x01),
    workspace: counting(0x21),
    environment: counting(0x41),
    secret: counting(0x61),
    version: 3,
    purpose: Purpose::SecretValue,
    policy_hash: counting(0xC0),
};

#[test]
fn record_open() {
    let long: Vec<u8> = (0..1500u32).map(|n| n.to_be_bytes()[3]).collect();
    let instance_wide = RecordContext {
        workspace: [0; 16],
        environment: [0; 16],
        version: u64::MAX,
        purpose: Purpose::SigningKey,
        policy_hash: [0; 32],
        ..HERE
    };
    let cases = [
        ("empty", HERE, 1, b"".as_slice()),
        ("short", HERE, 1, b"correct horse battery staple"),
        ("fills_a_class", HERE, 1, &[0x5A; 60]),
        ("one_more_than_a_class", HERE, 1, &[0x5A; 61]),
        ("coarse_class", HERE, 1, &long),
        ("variable", RecordContext { purpose: Purpose::Variable, ..HERE }, 1, b"eu-central-1"),
        ("greatest_generation_and_version", instance_wide, u32::MAX, b"seed"),
    ];
    let cases = cases.map(|(name, context, generation, plaintext)| {
        let (record, derived) = sealed(&KEY, generation, &context, &pad(plaintext).unwrap());
        json!({
            "name": name,
            "key": hex(&KEY), "generation": generation, "context": context_json(&context),
            "record": hex(&record),
            "plaintext": hex(plaintext),
            "derived": {
                "salt": hex(&SALT), "record_key": hex(derived.key()),
                "nonce": hex(&derived.nonce()), "commitment": hex(derived.commitment()),
            },
        })
    });
    check("record-open.json", "Records of suite 1 that open.", cases.into());
}

#[test]
fn record_must_fail() {
    let good = sealed(&KEY, 2, &HERE, &pad(b"the value").unwrap()).0;
    let mut cases = Vec::new();
    let mut case =
        |name: &str, key: &[u8; 32], generation: u32, context: &RecordContext, record: &[u8], error| {
            cases.push(json!({
                "name": name,
                "key": hex(key), "generation": generation, "context": context_json(context),
                "record": hex(record),
                "error": error,
            }));
        };

    // The row is where it was not sealed for.
    for (name, context) in [
        ("moved_row", RecordContext { secret: counting(0x71), ..HERE }),
        ("replayed_version", RecordContext { version: 4, ..HERE }),
        ("other_environment", RecordContext { environment: counting(0x51), ..HERE }),
        ("other_workspace", RecordContext { workspace: counting(0x31), ..HERE }),
        ("other_instance", RecordContext { instance: counting(0x11), ..HERE }),
        ("changed_policy_hash", RecordContext { policy_hash: counting(0xC1), ..HERE }),
        ("policy_hash_removed", RecordContext { policy_hash: [0; 32], ..HERE }),
        ("purpose_swapped", RecordContext { purpose: Purpose::Variable, ..HERE }),
        ("ids_swapped", RecordContext { workspace: HERE.environment, environment: HERE.workspace, ..HERE }),
    ] {
        case(name, &KEY, 2, &context, &good, "Commitment");
    }

    // The wrong key, and the right one under the wrong number.
    case("wrong_key", &OTHER_KEY, 2, &HERE, &good, "Commitment");
    case("wrong_generation", &KEY, 3, &HERE, &good, "WrongGeneration");
    let mut relabelled = good.clone();
    relabelled[4] = 3;
    case("generation_relabelled", &KEY, 3, &HERE, &relabelled, "Commitment");

    // Suites that are others', or nobody's.
    for (name, suite) in
        [("suite_of_a_wrapped_key", 0x11), ("suite_of_the_future", 0x02), ("suite_zero", 0x00)]
    {
        let mut other = good.clone();
        other[0] = suite;
        case(name, &KEY, 2, &HERE, &other, "UnknownSuite");
    }

    // One bit in each field, first and last byte.
    for (name, at, error) in [
        ("suite_flipped", 0, "UnknownSuite"),
        ("generation_first_byte_flipped", 1, "WrongGeneration"),
        ("generation_last_byte_flipped", 4, "WrongGeneration"),
        ("salt_first_byte_flipped", 5, "Commitment"),
        ("salt_last_byte_flipped", 28, "Commitment"),
        ("commitment_first_byte_flipped", 29, "Commitment"),
        ("commitment_last_byte_flipped", 60, "Commitment"),
        ("ciphertext_length_prefix_flipped", 64, "Corrupt"),
        ("ciphertext_first_byte_flipped", 61, "Corrupt"),
        ("ciphertext_value_byte_flipped", 66, "Corrupt"),
        ("ciphertext_last_byte_flipped", 124, "Corrupt"),
        ("tag_first_byte_flipped", 125, "Corrupt"),
        ("tag_last_byte_flipped", 140, "Corrupt"),
    ] {
        let mut flipped = good.clone();
        flipped[at] ^= 0x01;
        case(name, &KEY, 2, &HERE, &flipped, error);
    }

    // Parts of two records put together.
    let other_row = RecordContext { secret: counting(0x71), ..HERE };
    let foreign = sealed(&KEY, 2, &other_row, &pad(b"another value").unwrap()).0;
    let foreign_key = sealed(&OTHER_KEY, 2, &HERE, &pad(b"the value").unwrap()).0;
    let with = |range: std::ops::Range<usize>, from: &[u8]| {
        let mut mixed = good.clone();
        mixed[range.clone()].copy_from_slice(&from[range]);
        mixed
    };
    case("commitment_swapped", &KEY, 2, &HERE, &with(29..61, &foreign), "Commitment");
    case("commitment_of_other_key", &OTHER_KEY, 2, &HERE, &with(29..61, &foreign_key), "Corrupt");
    case("commitment_zeroed", &KEY, 2, &HERE, &with(29..61, &[0; 141]), "Commitment");
    case("ciphertext_swapped", &KEY, 2, &HERE, &with(61..141, &foreign), "Corrupt");
    case("tag_swapped", &KEY, 2, &HERE, &with(125..141, &foreign), "Corrupt");
    case("tag_zeroed", &KEY, 2, &HERE, &with(125..141, &[0; 141]), "Corrupt");

    // Bodies that only a holder of the key can make: a second padded form of a value.
    let malformed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = pad(b"the value").unwrap().to_vec();
        change(&mut body);
        sealed(&KEY, 2, &HERE, &body).0
    };
    let prefix = |length: u32| move |body: &mut Vec<u8>| body[..4].copy_from_slice(&length.to_be_bytes());
    case("padding_not_zero", &KEY, 2, &HERE, &malformed(&|body| body[63] = 1), "Corrupt");
    case("length_beyond_the_body", &KEY, 2, &HERE, &malformed(&prefix(61)), "Corrupt");
    case("length_beyond_all", &KEY, 2, &HERE, &malformed(&prefix(u32::MAX)), "Corrupt");
    case("class_too_large", &KEY, 2, &HERE, &malformed(&|body| body.resize(128, 0)), "Corrupt");
    case("length_of_no_class", &KEY, 2, &HERE, &malformed(&|body| body.resize(65, 0)), "Corrupt");

    // Cut anywhere, and grown.
    for bytes in 0..good.len() {
        case(&format!("truncated_to_{bytes}"), &KEY, 2, &HERE, &good[..bytes], "Truncated");
    }
    let long = sealed(&KEY, 2, &HERE, &pad(&[7; 100]).unwrap()).0;
    case("truncated_by_one", &KEY, 2, &HERE, &long[..long.len() - 1], "Corrupt");
    case("truncated_by_one_class", &KEY, 2, &HERE, &long[..long.len() - 64], "Corrupt");
    case("grown_by_one", &KEY, 2, &HERE, &[&good[..], &[0]].concat(), "Corrupt");
    case("grown_by_one_class", &KEY, 2, &HERE, &[&good[..], &[0; 64]].concat(), "Corrupt");

    check("record-must-fail.json", "Records that must not open, named after the attack.", cases);
}

#[test]
fn wrapped_key() {
    let (instance, workspace, environment) = (HERE.instance, HERE.workspace, HERE.environment);
    let (parent, child) = (handle(&KEY), handle(&OTHER_KEY));
    let workspace_key = WrapContext::WorkspaceKey { instance, workspace, generation: 1 };
    let data_key = WrapContext::DataKey { instance, workspace, environment, generation: 2 };
    let instance_key = WrapContext::InstanceKey { instance, generation: 3 };
    let fingerprint_key = WrapContext::FingerprintKey { instance, workspace, generation: 1 };
    let wrapped = |context: &WrapContext| wrap_for_vectors(&parent, context, &SALT, &child);
    let good = wrapped(&data_key);
    let flipped = |at: usize| {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        flipped
    };

    let opens = [
        ("workspace_key", workspace_key),
        ("data_key", data_key),
        ("instance_key", instance_key),
        ("fingerprint_key", fingerprint_key),
    ]
    .map(|(name, context)| {
        let wrapped = hex(&wrapped(&context));
        json!({
            "name": name, "key": hex(&KEY), "context": wrap_json(&context),
            "wrapped": wrapped, "child": hex(&OTHER_KEY),
        })
    });
    let fails = [
        ("other_kind_same_fields", fingerprint_key, wrapped(&workspace_key), "Commitment"),
        (
            "other_environment",
            WrapContext::DataKey { instance, workspace, environment: counting(0x51), generation: 2 },
            good.clone(),
            "Commitment",
        ),
        (
            "other_workspace",
            WrapContext::DataKey { instance, workspace: counting(0x31), environment, generation: 2 },
            good.clone(),
            "Commitment",
        ),
        (
            "other_instance",
            WrapContext::DataKey { instance: counting(0x11), workspace, environment, generation: 2 },
            good.clone(),
            "Commitment",
        ),
        (
            "replayed_generation",
            WrapContext::DataKey { instance, workspace, environment, generation: 3 },
            good.clone(),
            "Commitment",
        ),
        ("suite_of_a_record", data_key, [&[0x01], &good[1..]].concat(), "UnknownSuite"),
        ("salt_flipped", data_key, flipped(1), "Commitment"),
        ("commitment_flipped", data_key, flipped(25), "Commitment"),
        ("ciphertext_flipped", data_key, flipped(57), "Corrupt"),
        ("tag_flipped", data_key, flipped(104), "Corrupt"),
        ("truncated", data_key, good[..104].to_vec(), "Truncated"),
        ("empty", data_key, vec![], "Truncated"),
        ("grown", data_key, [&good[..], &[0]].concat(), "Corrupt"),
    ]
    .map(|(name, context, wrapped, error)| {
        json!({
            "name": name, "key": hex(&KEY), "context": wrap_json(&context),
            "wrapped": hex(&wrapped), "error": error,
        })
    });
    let wrong_parent = json!({
        "name": "wrong_parent", "key": hex(&OTHER_KEY), "context": wrap_json(&data_key),
        "wrapped": hex(&good), "error": "Commitment",
    });
    let cases = opens.into_iter().chain(fails).chain([wrong_parent]).collect();
    check("wrapped-key.json", "Wrapped keys of suite 0x11.", cases);
}

#[test]
fn key_check() {
    let good = key_check_for_vectors(&root(&KEY), HERE.instance, &SALT);
    let flipped = |at: usize| {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        flipped
    };
    let other = counting(0x11);
    let cases = [
        ("right_key", KEY, HERE.instance, good.clone(), None),
        ("wrong_key", OTHER_KEY, HERE.instance, good.clone(), Some("Commitment")),
        ("other_instance", KEY, other, good.clone(), Some("Commitment")),
        ("suite_of_a_record", KEY, HERE.instance, [&[0x01], &good[1..]].concat(), Some("UnknownSuite")),
        ("salt_flipped", KEY, HERE.instance, flipped(1), Some("Commitment")),
        ("commitment_flipped", KEY, HERE.instance, flipped(25), Some("Commitment")),
        ("tag_flipped", KEY, HERE.instance, flipped(72), Some("Corrupt")),
        ("truncated", KEY, HERE.instance, good[..72].to_vec(), Some("Truncated")),
        ("grown", KEY, HERE.instance, [&good[..], &[0]].concat(), Some("Corrupt")),
    ]
    .map(|(name, key, instance, bytes, error)| {
        let mut case = json!({
            "name": name, "key": hex(&key), "instance": hex(&instance), "check": hex(&bytes),
        });
        if let Some(error) = error {
            case["error"] = error.into();
        }
        case
    });
    check("key-check.json", "Key checks of suite 0x21.", cases.into());
}

#[test]
fn root_key_file() {
    let line = root(&KEY).to_file_text().trim().to_owned();
    let cases = [
        ("as_written", format!("{line}\n"), None),
        ("without_line_break", line.clone(), None),
        ("dos_line_break", format!("{line}\r\n"), None),
        ("empty", String::new(), Some("Empty")),
        ("not_a_root_key", "hello".to_owned(), Some("NotARootKey")),
        ("later_edition", line.replace("key-1:", "key-2:"), Some("UnknownEdition")),
        ("two_keys", format!("{line}\n{line}\n"), Some("ExtraText")),
        ("cut", line[..50].to_owned(), Some("ChecksumForm")),
        ("checksum_cut", line[..68].to_owned(), Some("ChecksumForm")),
        ("checksum_upper_case", format!("{}ABCDEF01", &line[..61]), Some("ChecksumForm")),
        ("checksum_wrong", format!("{}00000000", &line[..61]), Some("Checksum")),
        ("key_cut", format!("{}{}", &line[..59], &line[60..]), Some("KeyLength")),
        ("standard_base64", format!("{}+{}", &line[..20], &line[21..]), Some("KeyAlphabet")),
        ("letter_changed", format!("{}z{}", &line[..20], &line[21..]), Some("Checksum")),
    ]
    .map(|(name, text, error)| match error {
        None => json!({ "name": name, "text": text, "key": hex(&KEY) }),
        Some(error) => json!({ "name": name, "text": text, "error": error }),
    });
    check("root-key-file.json", "Root key files.", cases.into());
}

#[test]
fn token() {
    let body: &[u8; BODY_CHARS] = b"0123456789ABCDEFGHIJabcdefghij";
    let kinds = [
        TokenKind::User,
        TokenKind::ServiceAccount,
        TokenKind::Lease,
        TokenKind::Session,
        TokenKind::AgentSession,
        TokenKind::Placeholder,
    ];
    let good = kinds.map(|kind| {
        let (text, hash) = token_for_vectors(kind, body);
        json!({ "name": format!("kind_{}", kind.tag()), "text": text.dangerous_expose(), "hash": hex(hash.as_bytes()) })
    });
    let user = token_for_vectors(TokenKind::User, body).0.dangerous_expose().to_owned();
    let bad = [
        ("empty", String::new(), "NotAToken"),
        ("other_prefix", user.replace("tct_", "tkt_"), "NotAToken"),
        ("upper_case_prefix", user.replace("tct_", "TCT_"), "NotAToken"),
        ("blank_in_front", format!(" {user}"), "NotAToken"),
        ("unknown_kind", user.replace("_u_", "_zz_"), "UnknownKind"),
        ("relabelled_kind", user.replace("_u_", "_sa_"), "Check"),
        ("cut", user[..41].to_owned(), "Length"),
        ("blank_behind", format!("{user} "), "Length"),
        ("foreign_character", user.replace("ABC", "A-C"), "Alphabet"),
        ("letters_swapped", user.replace("ABC", "ACB"), "Check"),
        ("check_zeroed", format!("{}000000", &user[..36]), "Check"),
    ]
    .map(|(name, text, error)| json!({ "name": name, "text": text, "error": error }));
    check("token.json", "Tokens and their hashes.", good.into_iter().chain(bad).collect());
}

#[test]
fn placeholder() {
    let good = Shape::ALL.map(|shape| {
        let (text, hash) = placeholder_for_vectors(shape, b'a');
        json!({ "name": format!("shape_{}", shape.as_str()), "text": text.dangerous_expose(), "hash": hex(hash.as_bytes()) })
    });
    let live = placeholder_for_vectors(Shape::SkLive, b'a').0.dangerous_expose().to_owned();
    let bad = [
        ("empty", String::new()),
        ("other_prefix", live.replace("sk_live_", "sk_test_")),
        ("relabelled_shape", live.replace("sk_live_", "tct_ph_")),
        ("cut", live[..43].to_owned()),
        ("blank_behind", format!("{live} ")),
        ("check_zeroed", format!("{}000000", &live[..38])),
        ("a_vendors_key", "ghp_16C7e42F292c6912E7710c838347Ae178B4a".to_owned()),
    ]
    .map(|(name, text)| json!({ "name": name, "text": text, "error": "NoPlaceholder" }));
    check(
        "placeholder.json",
        "Placeholders of every shape and their hashes.",
        good.into_iter().chain(bad).collect(),
    );
}

#[test]
fn hash() {
    let inputs: [&[u8]; 3] = [b"", b"abc", &[0xFF; 100]];
    let cases = inputs.map(|input| {
        json!({
            "name": format!("{}_bytes", input.len()),
            "input": hex(input), "key": hex(&KEY),
            "policy_hash": hex(&policy_hash(input)),
            "fingerprint": hex(&fingerprint(&handle(&KEY), &SecretValue::from(input.to_vec()))),
        })
    });
    check("hash.json", "Policy hashes and fingerprints.", cases.into());
}

fn check(file: &str, about: &str, cases: Vec<Value>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let mut text = String::from("{\n");
    text += &format!("  \"about\": {},\n  \"cases\": [\n", json!(about));
    let lines: Vec<_> = cases.iter().map(|case| format!("    {case}")).collect();
    text += &lines.join(",\n");
    text += "\n  ]\n}\n";
    if env::var_os("TACIT_WRITE_VECTORS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap();
    // Not assert_eq: a page of hexadecimal digits helps nobody.
    assert!(stored == text, "{file} is not what this code writes; the format has changed");
}

fn sealed(
    key: &[u8; 32],
    generation: u32,
    context: &RecordContext,
    body: &[u8],
) -> (Vec<u8>, crate::envelope::Derived) {
    seal_for_vectors(Place { key: &handle(key), generation, context }, &SALT, body)
}

fn context_json(context: &RecordContext) -> Value {
    json!({
        "instance": hex(&context.instance),
        "workspace": hex(&context.workspace),
        "environment": hex(&context.environment),
        "secret": hex(&context.secret),
        "version": context.version.to_string(),
        "purpose": context.purpose as u8,
        "policy_hash": hex(&context.policy_hash),
    })
}

fn wrap_json(context: &WrapContext) -> Value {
    match context {
        WrapContext::WorkspaceKey { instance, workspace, generation } => json!({
            "kind": 1, "instance": hex(instance), "workspace": hex(workspace), "generation": generation,
        }),
        WrapContext::DataKey { instance, workspace, environment, generation } => json!({
            "kind": 2, "instance": hex(instance), "workspace": hex(workspace),
            "environment": hex(environment), "generation": generation,
        }),
        WrapContext::InstanceKey { instance, generation } => {
            json!({ "kind": 3, "instance": hex(instance), "generation": generation })
        }
        WrapContext::FingerprintKey { instance, workspace, generation } => json!({
            "kind": 4, "instance": hex(instance), "workspace": hex(workspace), "generation": generation,
        }),
        WrapContext::SecondFactorKey { instance, user, generation } => json!({
            "kind": 5,
            "instance": hex(instance),
            "user": hex(user),
            "generation": generation,
        }),
    }
}

fn root(bytes: &[u8; 32]) -> RootKey {
    RootKey::from_raw(Zeroizing::new(*bytes))
}

fn handle(bytes: &[u8; 32]) -> KeyHandle {
    KeyHandle::from_bytes(&Zeroizing::new(*bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `N` bytes that count up from `first`.
const fn counting<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [0; N];
    let mut value = first;
    let mut at = 0;
    while at < N {
        bytes[at] = value;
        value = value.wrapping_add(1);
        at += 1;
    }
    bytes
}
