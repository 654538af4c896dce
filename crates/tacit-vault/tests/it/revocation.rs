//! After a revocation is acknowledged, no use that relied on the old right begins, however far it was prepared.

use serde_json::json;
use tacit_model::{Code, EnvironmentName, Role, SecretName, Visibility};
use tacit_vault::{Caller, SecretPatch};

use crate::ground::{Ground, Wanted, destinations};

const VALUE: &str = "value-Zq8Wn3Lk5Rt7Yp2Xc9";
const HERE: &str = "https://api.example.com/v1";

/// A ground with one secret, and a machine that may use it.
async fn ground() -> (Ground, Caller) {
    let ground = Ground::new().await;
    ground.create("key", Visibility::Restricted, &["api.example.com"], &[("test", VALUE)]).await;
    let machine = ground.account("ci", Role::Editor).await;
    (ground, machine)
}

fn key() -> SecretName {
    "key".parse().unwrap()
}

fn test() -> EnvironmentName {
    "test".parse().unwrap()
}

/// Prepares a use, lets something happen, and records it: what comes of that, and what is on the record then.
macro_rules! overtaken {
    ($ground:ident, $machine:ident, $meanwhile:expr) => {{
        let wanted = Wanted::new(&$machine, "key", "test", HERE);
        let prepared = wanted.prepare(&$ground.vault).await.unwrap();
        $meanwhile.await.unwrap();
        let recorded = wanted.record(&$ground.vault, prepared).await;
        let allowed = $ground.events("secret.use", "allowed").await;
        (recorded, allowed)
    }};
}

macro_rules! assert_refused {
    ($ground:ident, $machine:ident, $code:expr, $meanwhile:expr) => {{
        let (recorded, allowed) = overtaken!($ground, $machine, $meanwhile);
        assert_eq!(recorded.map(drop).unwrap_err().code, $code);
        assert_eq!(allowed, 0, "an intent was recorded on a right that was gone");
    }};
}

/// An account that is deleted while its request is on the way.
#[tokio::test]
async fn a_deleted_account() {
    let (ground, machine) = ground().await;
    assert_refused!(
        ground,
        machine,
        Code::Unauthenticated,
        ground.vault.delete_service_account(&ground.owner, &"ci".parse().unwrap())
    );
}

/// A token that is revoked while its request is on the way; the account's other token goes on.
#[tokio::test]
async fn a_revoked_token() {
    let (ground, machine) = ground().await;
    let name = "ci".parse().unwrap();
    let other = ground.vault.create_token(&ground.owner, &name, None).await.unwrap();
    let tokens = ground.vault.list_tokens(&ground.owner, &name).await.unwrap();
    let id = tokens.iter().find(|token| token.hash == *machine.token.as_bytes()).unwrap().id;
    assert_refused!(
        ground,
        machine,
        Code::Unauthenticated,
        ground.vault.revoke_token(&ground.owner, &name, id)
    );
    let other = crate::ground::caller(other.text.dangerous_expose());
    let wanted = Wanted::new(&other, "key", "test", HERE);
    let prepared = wanted.prepare(&ground.vault).await.unwrap();
    let recorded = wanted.record(&ground.vault, prepared).await.unwrap();
    assert!(ground.open(recorded).await.unwrap().contains(&VALUE.to_owned()));
}

/// A destination that is narrowed while a request for it is on the way.
#[tokio::test]
async fn a_narrowed_destination() {
    for narrowed in [
        json!([{"host": "api.example.com", "paths": ["/v2/**"]}]),
        json!([{"host": "api.example.com", "methods": ["POST"]}]),
        json!([{"host": "api.example.com", "environments": ["live"]}]),
    ] {
        let (ground, machine) = ground().await;
        let patch = SecretPatch {
            destinations: Some(serde_json::from_value(narrowed).unwrap()),
            ..SecretPatch::default()
        };
        assert_refused!(
            ground,
            machine,
            Code::DestinationNotAllowed,
            ground.vault.update_secret(&ground.owner, &key(), &patch)
        );
        assert_eq!(ground.events("secret.use", "denied").await, 1, "the refusal is on the record");
    }
    let (ground, machine) = ground().await;
    let patch = SecretPatch { destinations: Some(destinations(&[])), ..SecretPatch::default() };
    assert_refused!(
        ground,
        machine,
        Code::DestinationRequired,
        ground.vault.update_secret(&ground.owner, &key(), &patch)
    );
}

/// A secret that is switched off, here or everywhere, or deleted.
#[tokio::test]
async fn a_secret_that_is_switched_off() {
    let (first, machine) = ground().await;
    assert_refused!(
        first,
        machine,
        Code::SecretDisabled,
        first.vault.set_disabled(&first.owner, &key(), None, true)
    );
    let (second, machine) = ground().await;
    assert_refused!(
        second,
        machine,
        Code::SecretDisabled,
        second.vault.set_disabled(&second.owner, &key(), Some(&test()), true)
    );
    let (third, machine) = ground().await;
    let (recorded, allowed) =
        overtaken!(third, machine, third.vault.delete_secret(&third.owner, &key(), true));
    assert!(recorded.is_err() && allowed == 0);
}

/// The second look is at whoever records, not at whoever prepared.
#[tokio::test]
async fn what_is_prepared_for_one_is_not_recorded_for_another() {
    let (ground, machine) = ground().await;
    let stranger = ground.account("reader", Role::Auditor).await;
    let wanted = Wanted::new(&machine, "key", "test", HERE);
    let prepared = wanted.prepare(&ground.vault).await.unwrap();
    // Something else moved the revision, and the second look is on behalf of somebody without the right.
    ground.rotate("key", "test", "another-Hd7Js2Kf9Lw4Qe8Rt3").await;
    let recorded = Wanted::new(&stranger, "key", "test", HERE).record(&ground.vault, prepared).await;
    assert_eq!(recorded.map(drop).unwrap_err().code, Code::Forbidden);
    assert_eq!(ground.events("secret.use", "allowed").await, 0);
}

/// What does not concern the right only makes the vault look again; a rotation in between gives the new value.
#[tokio::test]
async fn what_does_not_matter_does_not_stop_a_use() {
    const NEXT: &str = "next-Hd7Js2Kf9Lw4Qe8Rt3";
    let (ground, machine) = ground().await;
    let nothing = async { Ok::<(), ()>(()) };
    let (recorded, allowed) = overtaken!(ground, machine, nothing);
    assert_eq!(allowed, 1);
    assert_eq!(ground.open(recorded.unwrap()).await.unwrap()[0], VALUE);

    let (recorded, allowed) = overtaken!(
        ground,
        machine,
        ground.vault.create_service_account(&ground.owner, &"other".parse().unwrap(), "member")
    );
    assert_eq!(allowed, 2);
    assert_eq!(ground.open(recorded.unwrap()).await.unwrap()[0], VALUE);

    let rotation = async { Ok::<i64, ()>(ground.rotate("key", "test", NEXT).await) };
    let (recorded, allowed) = overtaken!(ground, machine, rotation);
    assert_eq!(allowed, 3, "one intent for one use, however often it was decided");
    let opened = ground.open(recorded.unwrap()).await.unwrap();
    assert_eq!(opened[0], NEXT);
    assert!(opened.contains(&VALUE.to_owned()), "the kept version is still scrubbed");
}

/// A use that is recorded has begun: what is revoked after that does not take it back, and the next one is refused.
#[tokio::test]
async fn a_recorded_use_has_begun() {
    let (ground, machine) = ground().await;
    let wanted = Wanted::new(&machine, "key", "test", HERE);
    let prepared = wanted.prepare(&ground.vault).await.unwrap();
    let recorded = wanted.record(&ground.vault, prepared).await.unwrap();
    ground.vault.set_disabled(&ground.owner, &key(), None, true).await.unwrap();
    assert_eq!(ground.open(recorded).await.unwrap()[0], VALUE);
    assert_eq!(wanted.prepare(&ground.vault).await.map(drop).unwrap_err().code, Code::SecretDisabled);
}

/// When the record cannot be written, nothing is opened.
#[tokio::test]
async fn without_a_record_no_value() {
    let (ground, machine) = ground().await;
    ground.create("shown", Visibility::Masked, &[], &[("test", VALUE)]).await;
    let wanted = Wanted::new(&machine, "key", "test", HERE);
    let prepared = wanted.prepare(&ground.vault).await.unwrap();
    ground.vault.store().close();
    assert_eq!(
        wanted.record(&ground.vault, prepared).await.map(drop).unwrap_err().code,
        Code::AuditUnavailable
    );
    assert_eq!(ground.reveal("shown", "test").await.unwrap_err().code, Code::AuditUnavailable);
    let refused = Wanted::new(&machine, "key", "test", "https://evil.example/").prepare(&ground.vault).await;
    assert_eq!(
        refused.map(drop).unwrap_err().code,
        Code::AuditUnavailable,
        "a refusal that cannot be recorded says so"
    );
}
