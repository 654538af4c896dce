//! The vectors, read as a stranger would read them: through the public API.

// A helper of a test fails like a test; the lint knows only functions marked as such.
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::{fs, path::Path};
use tacit_crypto::{
    Purpose, RecordContext, RootKey, SecretValue, WrapContext, fingerprint, key_check_verify, open,
    placeholder::placeholder_hash, policy_hash, seal, token, unwrap_key, wrap_key,
};

#[derive(Deserialize)]
struct File<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct RecordCase {
    name: String,
    key: String,
    generation: u32,
    context: Context,
    record: String,
    plaintext: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Context {
    instance: String,
    workspace: String,
    environment: String,
    secret: String,
    version: String,
    purpose: u8,
    policy_hash: String,
}

#[derive(Deserialize)]
struct WrapCase {
    name: String,
    key: String,
    context: WrapPlace,
    wrapped: String,
    child: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct WrapPlace {
    kind: u8,
    instance: String,
    workspace: Option<String>,
    environment: Option<String>,
    generation: u32,
}

#[derive(Deserialize)]
struct CheckCase {
    name: String,
    key: String,
    instance: String,
    check: String,
    error: Option<String>,
}

#[derive(Deserialize)]
struct TextCase {
    name: String,
    text: String,
    key: Option<String>,
    hash: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct HashCase {
    input: String,
    key: String,
    policy_hash: String,
    fingerprint: String,
}

#[test]
fn records_open() {
    for case in cases::<RecordCase>("record-open.json") {
        let value = opened(&case).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(Some(hex(value.dangerous_expose())), case.plaintext, "{}", case.name);
    }
}

#[test]
fn records_of_attackers_do_not_open() {
    let cases = cases::<RecordCase>("record-must-fail.json");
    for case in &cases {
        let error = opened(case).err().map(|error| format!("{error:?}"));
        assert!(case.error.is_some() && error == case.error, "{}: {error:?}", case.name);
    }
    for attack in [
        "moved_row",
        "replayed_version",
        "other_environment",
        "other_workspace",
        "other_instance",
        "changed_policy_hash",
        "purpose_swapped",
        "wrong_generation",
        "wrong_key",
        "commitment_swapped",
        "truncated_to_0",
        "truncated_to_140",
    ] {
        assert!(cases.iter().any(|case| case.name == attack), "{attack} is missing");
    }
}

#[test]
fn wrapped_keys() {
    for case in cases::<WrapCase>("wrapped-key.json") {
        let parent = root(&case.key);
        let context = case.context.place();
        let unwrapped = unwrap_key(parent.handle(), &context, &bytes(&case.wrapped));
        let error = unwrapped.as_ref().err().map(|error| format!("{error:?}"));
        assert_eq!(error, case.error, "{}", case.name);
        if let (Ok(key), Some(child)) = (unwrapped, case.child) {
            // A handle shows no bytes; that it opens what its twin sealed says enough.
            let record = seal(root(&child).handle(), 1, &anywhere(), b"x").unwrap();
            assert_eq!(
                open(&key, 1, &anywhere(), &record).unwrap().dangerous_expose(),
                b"x",
                "{}",
                case.name
            );
        }
    }
}

#[test]
fn key_checks() {
    for case in cases::<CheckCase>("key-check.json") {
        let result = key_check_verify(&root(&case.key), array(&case.instance), &bytes(&case.check));
        assert_eq!(result.err().map(|error| format!("{error:?}")), case.error, "{}", case.name);
    }
}

#[test]
fn root_key_files() {
    for case in cases::<TextCase>("root-key-file.json") {
        let parsed = RootKey::parse(&case.text);
        let error = parsed.as_ref().err().map(|error| format!("{error:?}"));
        // One error has a number with it.
        let error = error.map(|text| text.split(' ').next().unwrap().to_owned());
        assert_eq!(error, case.error, "{}", case.name);
        if let (Ok(parsed), Some(key)) = (parsed, case.key) {
            assert_eq!(*parsed.to_file_text(), *root(&key).to_file_text(), "{}", case.name);
        }
    }
}

#[test]
fn tokens() {
    for case in cases::<TextCase>("token.json") {
        let hash = token::hash_of(&case.text);
        assert_eq!(hash.err().map(|error| format!("{error:?}")), case.error, "{}", case.name);
        assert_eq!(hash.ok().map(|hash| hex(hash.as_bytes())), case.hash, "{}", case.name);
    }
}

#[test]
fn placeholders() {
    for case in cases::<TextCase>("placeholder.json") {
        let hash = placeholder_hash(case.text.as_bytes());
        assert_eq!(hash.is_none(), case.error.is_some(), "{}", case.name);
        assert_eq!(hash.map(|hash| hex(hash.as_bytes())), case.hash, "{}", case.name);
    }
}

#[test]
fn hashes() {
    for case in cases::<HashCase>("hash.json") {
        let input = bytes(&case.input);
        assert_eq!(hex(&policy_hash(&input)), case.policy_hash);
        let value = SecretValue::from(input);
        assert_eq!(hex(&fingerprint(root(&case.key).handle(), &value)), case.fingerprint);
    }
}

/// No error of any kind repeats what it was given.
#[test]
fn errors_are_silent_about_their_input() {
    let canary = "CANARY4711";
    let texts = [
        canary.to_owned(),
        format!("tacit-root-key-{canary}"),
        format!("tacit-root-key-1:{canary}"),
        format!("tacit-root-key-1:{canary}{canary}{canary}{canary}xyz:{canary}"),
    ];
    for text in texts {
        let error = RootKey::parse(&text).err().unwrap();
        assert!(!format!("{error} {error:?}").contains(canary));
    }
    for text in [canary.to_owned(), format!("tct_{canary}_x"), format!("tct_u_{canary}")] {
        let error = token::hash_of(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary));
    }
}

/// The whole hierarchy, from the file to the value and back.
#[test]
fn from_the_root_to_a_value() {
    let root = RootKey::generate();
    let workspace_key = tacit_crypto::KeyHandle::generate();
    let data_key = tacit_crypto::KeyHandle::generate();
    let (instance, workspace, environment) = ([1; 16], [2; 16], [3; 16]);
    let workspace_place = WrapContext::WorkspaceKey { instance, workspace, generation: 1 };
    let data_place = WrapContext::DataKey { instance, workspace, environment, generation: 1 };
    let wrapped_workspace = wrap_key(&root, &workspace_place, &workspace_key).unwrap();
    let wrapped_data = wrap_key(&workspace_key, &data_place, &data_key).unwrap();
    let record = seal(&data_key, 1, &anywhere(), b"hunter2").unwrap();

    let root = RootKey::parse(&root.to_file_text()).unwrap();
    let workspace_key = unwrap_key(&root, &workspace_place, &wrapped_workspace).unwrap();
    let data_key = unwrap_key(&workspace_key, &data_place, &wrapped_data).unwrap();
    assert_eq!(open(&data_key, 1, &anywhere(), &record).unwrap().dangerous_expose(), b"hunter2");
}

fn opened(case: &RecordCase) -> Result<SecretValue, tacit_crypto::OpenError> {
    let key = root(&case.key);
    open(key.handle(), case.generation, &case.context.place(), &bytes(&case.record))
}

impl Context {
    fn place(&self) -> RecordContext {
        RecordContext {
            instance: array(&self.instance),
            workspace: array(&self.workspace),
            environment: array(&self.environment),
            secret: array(&self.secret),
            version: self.version.parse().unwrap(),
            purpose: match self.purpose {
                1 => Purpose::SecretValue,
                2 => Purpose::Variable,
                4 => Purpose::SigningKey,
                other => panic!("no vector has purpose {other}"),
            },
            policy_hash: array(&self.policy_hash),
        }
    }
}

impl WrapPlace {
    fn place(&self) -> WrapContext {
        let instance = array(&self.instance);
        let generation = self.generation;
        let workspace = || array(self.workspace.as_ref().unwrap());
        match self.kind {
            1 => WrapContext::WorkspaceKey { instance, workspace: workspace(), generation },
            2 => WrapContext::DataKey {
                instance,
                workspace: workspace(),
                environment: array(self.environment.as_ref().unwrap()),
                generation,
            },
            3 => WrapContext::InstanceKey { instance, generation },
            4 => WrapContext::FingerprintKey { instance, workspace: workspace(), generation },
            other => panic!("no vector has kind {other}"),
        }
    }
}

fn anywhere() -> RecordContext {
    RecordContext {
        instance: [1; 16],
        workspace: [2; 16],
        environment: [3; 16],
        secret: [4; 16],
        version: 1,
        purpose: Purpose::SecretValue,
        policy_hash: policy_hash(b"{}"),
    }
}

/// A handle from raw bytes, by way of a root key: the only public way in.
fn root(hex: &str) -> RootKey {
    RootKey::from_raw(array(hex).into())
}

fn cases<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let file: File<T> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(!file.cases.is_empty());
    file.cases
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().unwrap()
}
