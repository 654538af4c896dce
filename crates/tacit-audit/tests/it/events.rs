//! What an event is, and that its bytes are the only ones.

use proptest::prelude::*;
use serde_json::json;
use tacit_audit::*;
use tacit_model::{Host, Place, Scheme, Target};

use crate::sample;

/// Bytes other than an event's own either are no event or are exactly another's.
fn assert_not_a_second_spelling(event: &Event, bytes: &[u8]) {
    if let Ok(other) = Event::decode(bytes) {
        assert_ne!(&other, event);
        assert_eq!(other.encode(), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is encoded decodes to the same event.
    #[test]
    fn events_read_back(event in sample::events()) {
        prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
    }

    /// Cut anywhere, it is no event.
    #[test]
    fn every_truncation_is_refused(event in sample::events()) {
        let bytes = event.encode();
        for end in 0..bytes.len() {
            prop_assert!(Event::decode(&bytes[..end]).is_err());
        }
    }

    /// No changed byte gives a second spelling of the same event.
    #[test]
    fn every_changed_byte_is_refused_or_another_event(event in sample::events(), change in 1..=255u8) {
        let bytes = event.encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            assert_not_a_second_spelling(&event, &changed);
        }
    }

    /// Nothing may follow an event.
    #[test]
    fn every_longer_text_is_refused(event in sample::events(), more in proptest::collection::vec(any::<u8>(), 1..4)) {
        let bytes = [event.encode(), more].concat();
        prop_assert!(Event::decode(&bytes).is_err());
    }

    /// Arbitrary bytes do not panic, and what is accepted is canonical.
    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(event) = Event::decode(&bytes) {
            prop_assert_eq!(event.encode(), bytes);
        }
    }

    /// Whatever is put together by hand has bytes that read back: an odd name never costs the record an event.
    #[test]
    fn encoding_is_total(host in ".*", port in any::<u16>(), name in ".*", code in 0..4usize) {
        let event = Event {
            outcome: Outcome::Failed(Code::new(["", "Bad Code", "a-b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"][code])),
            detail: Detail {
                target: Some(TargetText::new(&Target::new(Scheme::Http, Host::Name(host.into()), port))),
                places: vec![
                    Place::Header(name.as_str().into()),
                    Place::Query(name.as_str().into()),
                    Place::Json(format!("\r\n{}", name.repeat(9)).into()),
                    Place::Form(name.as_str().into()),
                ],
                ..Detail::default()
            },
            actor: Actor::new(ActorKind::User, [0; 16], &name.repeat(9)),
            ..sample::smallest()
        };
        let bytes = event.encode();
        prop_assert_eq!(Event::decode(&bytes).map(|event| event.encode()), Ok(bytes));
        prop_assert!(serde_json::to_string(&event).is_ok());
    }
}

/// The conscious edit. A field that is new here must be one that no secret's value, nor its length, hash or equality
/// with another, can get into; then it gets a key in `docs/record-format.md`, a line below and a vector.
#[test]
fn the_fields_of_an_event_are_these() {
    let Event {
        id: _,
        at: _,
        workspace: _,
        actor,
        on_behalf_of: _,
        verb: _,
        object,
        outcome: _,
        environment: _,
        detail,
    } = sample::full();
    let Actor { kind: _, id: _, name: _ } = actor;
    let Object { kind: _, id: _, name: _ } = object;
    let Detail {
        version: _,
        target: _,
        method: _,
        rule: _,
        places: _,
        policy_revision: _,
        run: _,
        step: _,
        intent: _,
        status: _,
        address: _,
        body_bytes: _,
        findings: _,
        duration_us: _,
        role: _,
        right: _,
        reason_id: _,
        request_id: _,
        secrets: _,
        definition_hash: _,
        lease: _,
    } = detail;
    let json = serde_json::to_value(sample::full()).unwrap();
    let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "id",
            "at",
            "actor",
            "on_behalf_of",
            "verb",
            "object",
            "outcome",
            "code",
            "environment",
            "actor_id",
            "on_behalf_of_id",
            "object_id",
            "version",
            "target",
            "method",
            "rule",
            "places",
            "policy_revision",
            "run",
            "step",
            "intent",
            "status",
            "address",
            "body_bytes",
            "findings",
            "duration_us",
            "role",
            "right",
            "reason_id",
            "request_id",
            "secrets",
            "definition_hash",
            "lease",
        ]
    );
}

/// A query, a path and a user's password do not reach the record, because a target has none.
#[test]
fn a_target_is_an_origin() {
    assert_eq!(
        sample::target("https://api.stripe.com/v1/charges?key=sk_live_1").as_str(),
        "https://api.stripe.com"
    );
}

/// The flat form for people: prefixed ids, words, only what is there.
#[test]
fn the_json_view() {
    let json = serde_json::to_value(sample::intent()).unwrap();
    assert_eq!(
        json,
        json!({
            "id": "evt_01010101010101010101010101010101",
            "at": "2026-10-26T07:33:20.123Z",
            "actor": "automation:charge-customer",
            "on_behalf_of": "service-account:ci",
            "verb": "secret.use",
            "object": "secret:STRIPE_KEY",
            "outcome": "allowed",
            "environment": "live",
            "actor_id": "aut_04040404040404040404040404040404",
            "on_behalf_of_id": "sac_05050505050505050505050505050505",
            "object_id": "sec_06060606060606060606060606060606",
            "version": 3,
            "target": "https://api.stripe.com",
            "method": "POST",
            "rule": "/v1/charges/**",
            "places": ["auth"],
            "policy_revision": 1041,
            "run": "run_07070707070707070707070707070707",
            "step": "charge",
        })
    );
    let system = serde_json::to_value(Event { actor: Actor::system(), ..sample::denied() }).unwrap();
    assert_eq!(system["actor"], "system:tacit");
    assert_eq!(system["actor_id"], "0".repeat(32));
    assert_eq!((&system["outcome"], &system["code"]), (&json!("denied"), &json!("forbidden")));
}
