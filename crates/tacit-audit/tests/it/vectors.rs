//! The frozen bytes. A vector that no longer fits means that the format was changed, not that the vector is old.

use serde_json::{Value, json};
use tacit_audit::{ActorKind, Event, ObjectKind, Verb, leaf_hash};

use crate::{hex, sample, unhex};

fn events() -> Vec<(&'static str, Event)> {
    vec![
        ("the smallest event", sample::smallest()),
        ("the intent of a use", sample::intent()),
        ("the outcome of a use", sample::outcome()),
        ("a denied reveal", sample::denied()),
        ("a published automation", sample::published()),
        ("every field", sample::full_before_leases()),
        ("a request through an agent's lease", sample::leased()),
        ("every field, and a lease", sample::full()),
    ]
}

fn load(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

/// These events have the bytes and leaves they had when the format was written down.
#[test]
fn events_have_their_frozen_bytes() {
    let vectors = load(include_str!("../vectors/events.json"));
    let now: Vec<Value> = events()
        .iter()
        .map(|(name, event)| {
            let bytes = event.encode();
            json!({"name": name, "bytes": hex(&bytes), "leaf": hex(&leaf_hash(&bytes)), "json": event})
        })
        .collect();
    assert!(vectors == now, "the bytes are now:\n{}", serde_json::to_string_pretty(&now).unwrap());
    for ((_, event), vector) in events().iter().zip(&vectors) {
        assert_eq!(Event::decode(&unhex(vector["bytes"].as_str().unwrap())).as_ref(), Ok(event));
    }
}

/// Each of these was made from a good event by one trick, and each is refused for the reason it names.
#[test]
fn forged_bytes_are_refused() {
    for vector in load(include_str!("../vectors/refused.json")) {
        let name = vector["name"].as_str().unwrap();
        let error = Event::decode(&unhex(vector["bytes"].as_str().unwrap())).expect_err(name);
        assert_eq!(error.to_string(), vector["error"].as_str().unwrap(), "{name}");
    }
}

/// The document has a row for every number that can stand in the bytes.
#[test]
fn the_document_lists_every_number() {
    let document = include_str!("../../../../docs/record-format.md");
    let verbs = Verb::ALL.iter().map(|verb| (verb.number(), verb.as_str()));
    let actors = ActorKind::ALL.iter().map(|kind| (kind.number(), kind.as_str()));
    let objects = ObjectKind::ALL.iter().map(|kind| (kind.number(), kind.as_str()));
    for (number, word) in verbs.chain(actors).chain(objects) {
        assert!(document.contains(&format!("{number} `{word}`")), "{number} `{word}` is not in the document");
    }
}
