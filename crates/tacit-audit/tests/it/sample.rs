//! Events to test with: a few fixed ones, and any at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::{collection::vec, option, prelude::*, sample::select};
use tacit_audit::*;
use tacit_model::{
    Destination, EnvironmentName, EventId, LeaseId, Place, Right, Role, RunId, SecretId, Target, Timestamp,
    WorkspaceId, destination::PathPattern,
};

const AT: i64 = 1_793_000_000_123;

fn environment(name: &str) -> Option<EnvironmentName> {
    Some(name.parse().unwrap())
}

pub(crate) fn target(url: &str) -> TargetText {
    TargetText::new(&Target::parse_url(url).unwrap().0)
}

pub(crate) fn pattern(text: &str) -> PathPattern {
    let json = serde_json::json!({"host": "x.test", "paths": [text]});
    serde_json::from_value::<Destination>(json).unwrap().paths.remove(0)
}

/// The shortest event there is.
pub(crate) fn smallest() -> Event {
    Event {
        id: EventId::from_bytes([1; 16]),
        at: Timestamp::from_millis(0),
        workspace: WorkspaceId::from_bytes([2; 16]),
        actor: Actor::new(ActorKind::User, [3; 16], ""),
        on_behalf_of: None,
        verb: Verb::WorkspaceCreate,
        object: Object::new(ObjectKind::Workspace, [2; 16], ""),
        outcome: Outcome::Succeeded,
        environment: None,
        detail: Detail::default(),
    }
}

/// The intent of a use, as every brokered request has one.
pub(crate) fn intent() -> Event {
    Event {
        at: Timestamp::from_millis(AT),
        actor: Actor::new(ActorKind::Automation, [4; 16], "charge-customer"),
        on_behalf_of: Some(Actor::new(ActorKind::ServiceAccount, [5; 16], "ci")),
        verb: Verb::SecretUse,
        object: Object::new(ObjectKind::Secret, [6; 16], "STRIPE_KEY"),
        outcome: Outcome::Allowed,
        environment: environment("live"),
        detail: Detail {
            version: Some(3),
            target: Some(target("https://api.stripe.com/v1/charges?x=1")),
            method: MethodText::new("POST"),
            rule: Some(RuleText::new(&pattern("/v1/charges/**"))),
            places: vec![Place::Auth],
            policy_revision: Some(1041),
            run: Some(RunId::from_bytes([7; 16])),
            step: StepText::new("charge"),
            ..Detail::default()
        },
        ..smallest()
    }
}

/// The outcome of [`intent`].
pub(crate) fn outcome() -> Event {
    Event {
        id: EventId::from_bytes([8; 16]),
        at: Timestamp::from_millis(AT + 187),
        outcome: Outcome::Succeeded,
        detail: Detail {
            intent: Some(EventId::from_bytes([1; 16])),
            status: Some(201),
            address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
            body_bytes: Some(70_000),
            findings: Some(0),
            duration_us: Some(187_450),
            secrets: vec![SecretId::from_bytes([9; 16]), SecretId::from_bytes([10; 16])],
            ..Detail::default()
        },
        ..intent()
    }
}

/// Someone without the right asked to see a value.
pub(crate) fn denied() -> Event {
    Event {
        at: Timestamp::from_millis(AT),
        actor: Actor::new(ActorKind::User, [11; 16], "мария"),
        verb: Verb::SecretReveal,
        object: Object::new(ObjectKind::Secret, [6; 16], "HubSpot API key – production"),
        outcome: Outcome::Denied(Code::new("forbidden")),
        environment: environment("test"),
        detail: Detail {
            right: Some(Right::SecretReveal),
            reason_id: Some([12; 16]),
            request_id: Some([13; 16]),
            ..Detail::default()
        },
        ..smallest()
    }
}

/// A definition became the one that runs.
pub(crate) fn published() -> Event {
    Event {
        at: Timestamp::from_millis(AT),
        verb: Verb::AutomationPublish,
        object: Object::new(ObjectKind::Automation, [4; 16], "charge-customer"),
        detail: Detail { version: Some(300), definition_hash: Some([0xab; 32]), ..Detail::default() },
        ..smallest()
    }
}

/// A request through a lease that an agent took.
pub(crate) fn leased() -> Event {
    Event {
        actor: Actor::new(ActorKind::Agent, [16; 16], "triage"),
        on_behalf_of: Some(Actor::new(ActorKind::User, [3; 16], "owner")),
        detail: Detail {
            run: None,
            step: None,
            lease: Some(LeaseId::from_bytes([17; 16])),
            ..intent().detail
        },
        ..intent()
    }
}

/// Every field is there, and every number is as long as it gets.
pub(crate) fn full() -> Event {
    let before = full_before_leases();
    Event { detail: Detail { lease: Some(LeaseId::from_bytes([17; 16])), ..before.detail }, ..before }
}

/// Every field that there was before there were leases.
pub(crate) fn full_before_leases() -> Event {
    Event {
        at: Timestamp::from_millis(i64::MIN),
        actor: Actor::system(),
        on_behalf_of: Some(Actor::new(ActorKind::User, [3; 16], "owner")),
        verb: Verb::BackupRestore,
        object: Object::new(ObjectKind::Configuration, [14; 16], &"n".repeat(128)),
        outcome: Outcome::Failed(Code::new("upstream_timeout")),
        environment: environment("live"),
        detail: Detail {
            version: Some(u64::MAX),
            target: Some(target("http://[2001:db8::1]:8080/")),
            method: MethodText::new("VERSION-CONTROL"),
            rule: Some(RuleText::any()),
            places: ["auth", "header:x-signature", "query:key", "path", "json:/a/b", "form:f", "signature"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            policy_revision: Some(u64::from(u32::MAX)),
            run: Some(RunId::from_bytes([7; 16])),
            step: StepText::new("step_1-a"),
            intent: Some(EventId::from_bytes([15; 16])),
            status: Some(504),
            address: Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
            body_bytes: Some(255),
            findings: Some(256),
            duration_us: Some(1 << 32),
            role: Some(Role::Operator),
            right: Some(Right::WorkspaceManage),
            reason_id: Some([12; 16]),
            request_id: Some([13; 16]),
            secrets: vec![SecretId::from_bytes([9; 16])],
            definition_hash: Some([0xab; 32]),
            lease: None,
        },
        ..smallest()
    }
}

fn codes() -> impl Strategy<Value = Code> {
    select(vec![Code::new("forbidden"), Code::new("not_found"), Code::new("a")])
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Allowed),
        Just(Outcome::Succeeded),
        codes().prop_map(Outcome::Denied),
        codes().prop_map(Outcome::Failed),
    ]
}

fn actors() -> impl Strategy<Value = Actor> {
    (select(ActorKind::ALL), any::<[u8; 16]>(), any::<String>())
        .prop_map(|(kind, id, name)| Actor::new(kind, id, &name))
}

fn objects() -> impl Strategy<Value = Object> {
    (select(ObjectKind::ALL), any::<[u8; 16]>(), any::<String>())
        .prop_map(|(kind, id, name)| Object::new(kind, id, &name))
}

/// Places with names as a parser lets them through.
fn places() -> impl Strategy<Value = Place> {
    prop_oneof![
        select(vec![Place::Auth, Place::Path, Place::Signature]),
        "[a-z-]{1,20}".prop_map(|name| Place::Header(name.into())),
        "[a-zA-Z_:. ]{1,20}".prop_map(|name| Place::Query(name.into())),
        "/[a-zä/]{0,20}".prop_map(|pointer| Place::Json(pointer.into())),
        "[a-z]{1,20}".prop_map(|name| Place::Form(name.into())),
    ]
}

type Sent = (
    Option<u64>,
    Option<TargetText>,
    Option<MethodText>,
    Option<RuleText>,
    Vec<Place>,
    Option<u64>,
    Option<[u8; 16]>,
    Option<StepText>,
    Option<[u8; 16]>,
    Option<u16>,
);

fn sent() -> impl Strategy<Value = Sent> {
    let target =
        select(vec![target("https://a.test"), target("http://127.0.0.1:81"), target("https://[::1]")]);
    let rule =
        select(vec![RuleText::any(), RuleText::new(&pattern("/v1/*/x")), RuleText::new(&pattern("/**"))]);
    (
        any::<Option<u64>>(),
        option::of(target),
        option::of("[A-Z-]{1,20}".prop_map(|text| MethodText::new(&text).unwrap())),
        option::of(rule),
        vec(places(), 0..4),
        any::<Option<u64>>(),
        any::<Option<[u8; 16]>>(),
        option::of("[A-Za-z0-9_-]{1,63}".prop_map(|text| StepText::new(&text).unwrap())),
        any::<Option<[u8; 16]>>(),
        any::<Option<u16>>(),
    )
}

type Rest = (
    Option<IpAddr>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<Role>,
    Option<Right>,
    Option<[u8; 16]>,
    Option<[u8; 16]>,
    Vec<[u8; 16]>,
    (Option<[u8; 32]>, Option<[u8; 16]>),
);

fn rest() -> impl Strategy<Value = Rest> {
    (
        any::<Option<IpAddr>>(),
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        option::of(select(Role::ALL)),
        option::of(select(Right::ALL)),
        any::<Option<[u8; 16]>>(),
        any::<Option<[u8; 16]>>(),
        vec(any::<[u8; 16]>(), 0..30),
        any::<(Option<[u8; 32]>, Option<[u8; 16]>)>(),
    )
}

fn details() -> impl Strategy<Value = Detail> {
    (sent(), rest()).prop_map(|(sent, rest)| {
        let (version, target, method, rule, places, policy_revision, run, step, intent, status) = sent;
        let (
            address,
            body_bytes,
            findings,
            duration_us,
            role,
            right,
            reason_id,
            request_id,
            secrets,
            (definition_hash, lease),
        ) = rest;
        Detail {
            version,
            target,
            method,
            rule,
            places,
            policy_revision,
            run: run.map(RunId::from_bytes),
            step,
            intent: intent.map(EventId::from_bytes),
            status,
            address,
            body_bytes,
            findings,
            duration_us,
            role,
            right,
            reason_id,
            request_id,
            secrets: secrets.into_iter().map(SecretId::from_bytes).collect(),
            definition_hash,
            lease: lease.map(LeaseId::from_bytes),
        }
    })
}

/// Any event.
pub(crate) fn events() -> impl Strategy<Value = Event> {
    let names = option::of("[a-z0-9-]{1,63}".prop_map(|name| name.parse::<EnvironmentName>().unwrap()));
    let head = (any::<[u8; 16]>(), any::<i64>(), any::<[u8; 16]>(), actors(), option::of(actors()));
    (head, select(Verb::ALL), objects(), outcomes(), names, details()).prop_map(
        |((id, at, workspace, actor, on_behalf_of), verb, object, outcome, environment, detail)| Event {
            id: EventId::from_bytes(id),
            at: Timestamp::from_millis(at),
            workspace: WorkspaceId::from_bytes(workspace),
            actor,
            on_behalf_of,
            verb,
            object,
            outcome,
            environment,
            detail,
        },
    )
}
