//! A lease is as good as whoever took it is at that moment, for the secrets it names, from where it may be used, and no
//! longer than until it is ended.

use std::{net::IpAddr, sync::Arc};

use tacit_crypto::{placeholder::Shape, token};
use tacit_model::{Code, OtherHosts, Problem, Role, SecretName, Timestamp, Visibility, limits};
use tacit_vault::{
    Caller, EventFilter, Lease, LeaseGiven, LeaseSecret, NewAgentSession, NewLease, SecretPatch,
    SettingsPatch,
};

use crate::ground::{Ground, NOW, Wanted, destinations};

const VALUE: &str = "value-Zq8Wn3Lk5Rt7Yp2Xc9";
const HERE: &str = "https://api.example.com/v1";
const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn wanted(names: &[&str]) -> NewLease {
    let secret =
        |name: &&str| LeaseSecret { name: name.parse().unwrap(), alias: None, shape: Shape::Generic };
    NewLease {
        environment: "test".parse().unwrap(),
        secrets: names.iter().map(secret).collect(),
        ttl_secs: None,
        other_hosts: OtherHosts::Tunnel,
        allow_from: Vec::new(),
        requests_max: None,
    }
}

async fn take(ground: &Ground, caller: &Caller, new: NewLease) -> LeaseGiven {
    ground.vault.create_lease(caller, SOURCE, new).await.unwrap()
}

/// A ground with a secret, a machine that may use it, and the machine's lease for it.
async fn ground() -> (Ground, Caller, LeaseGiven) {
    let ground = Ground::new().await;
    ground.create("key", Visibility::Restricted, &["api.example.com"], &[("test", VALUE)]).await;
    let machine = ground.account("ci", Role::Editor).await;
    let given = take(&ground, &machine, wanted(&["key"])).await;
    (ground, machine, given)
}

fn later(secs: i64) -> Timestamp {
    NOW.plus_secs(secs)
}

async fn of_token(
    ground: &Ground,
    given: &LeaseGiven,
    source: IpAddr,
    now: Timestamp,
) -> Result<Arc<Lease>, Problem> {
    let hash = token::hash_of(given.token.dangerous_expose()).unwrap();
    ground.vault.lease_of_token(hash, source, [7; 16], now).await
}

async fn is_live(ground: &Ground, lease: &Lease, now: Timestamp) -> bool {
    ground.vault.current_lease(lease, now).await.unwrap().is_some()
}

async fn send(ground: &Ground, lease: &Arc<Lease>, now: Timestamp) -> Result<Vec<String>, Problem> {
    let wanted = Wanted::leased(lease, "key", HERE, now);
    let prepared = wanted.prepare(&ground.vault).await?;
    ground.open(wanted.record(&ground.vault, prepared).await?).await
}

/// Prepares a use under a lease, lets something happen, and records it.
macro_rules! overtaken {
    ($ground:ident, $given:ident, $meanwhile:expr) => {{
        let wanted = Wanted::leased(&$given.lease, "key", HERE, NOW);
        let prepared = wanted.prepare(&$ground.vault).await.unwrap();
        $meanwhile.await.unwrap();
        let code = wanted.record(&$ground.vault, prepared).await.map(drop).unwrap_err().code;
        assert_eq!($ground.events("secret.use", "allowed").await, 0, "an intent on a right that was gone");
        code
    }};
}

/// A placeholder finds its secret in its lease alone, and the value goes where the secret may.
#[tokio::test]
async fn a_lease_is_used() {
    let (ground, _, given) = ground().await;
    let (alias, placeholder) = &given.placeholders[0];
    assert_eq!(alias, "KEY");
    let hash =
        tacit_crypto::placeholder::placeholder_hash(placeholder.dangerous_expose().as_bytes()).unwrap();
    assert_eq!(given.lease.find(&hash).unwrap().name.as_str(), "key");
    let other = take(&ground, &ground.owner, wanted(&["key"])).await;
    assert!(other.lease.find(&hash).is_none(), "a placeholder means nothing in another lease");
    let lease = of_token(&ground, &given, SOURCE, NOW).await.unwrap();
    assert!(lease.find(&hash).is_some() && is_live(&ground, &lease, NOW).await);
    assert_eq!(send(&ground, &lease, NOW).await.unwrap()[0], VALUE);
    let found =
        ground.vault.list_events(&ground.owner, &EventFilter { limit: 1, ..EventFilter::default() }).await;
    let event = &found.unwrap().0[0].event;
    assert_eq!(
        (event.detail.lease, event.actor.to_string().as_str()),
        (Some(lease.id), "service-account:ci")
    );
    let refused = Wanted::leased(&lease, "key", "https://evil.example/", NOW).prepare(&ground.vault).await;
    assert_eq!(refused.map(drop).unwrap_err().code, Code::DestinationNotAllowed);
    // Connections under different leases are never shared.
    let of_owner = Wanted::new(&ground.owner, "key", "test", HERE).prepare(&ground.vault).await.unwrap();
    let of_other = Wanted::leased(&other.lease, "key", HERE, NOW).prepare(&ground.vault).await.unwrap();
    assert_ne!(of_owner.pool_key, of_other.pool_key);
}

/// H9: unknown, foreign, expired and ended tokens and those used from elsewhere are told the same, word for word.
#[tokio::test]
async fn what_is_not_in_force_is_one_answer() {
    let (ground, machine, given) = ground().await;
    let unknown =
        ground.vault.lease_of_token(token::generate(token::TokenKind::Lease).1, SOURCE, [7; 16], NOW).await;
    let told = |problem: Problem| (problem.to_string(), problem.suggestion.clone());
    let unknown = told(unknown.unwrap_err());
    let ended = take(&ground, &machine, wanted(&["key"])).await;
    ground.vault.end_lease(&machine, ended.lease.id).await.unwrap();
    let orphan = take(&ground, &ground.account("gone", Role::Editor).await, wanted(&["key"])).await;
    ground.vault.delete_service_account(&ground.owner, &"gone".parse().unwrap()).await.unwrap();
    let elsewhere = "192.0.2.8".parse().unwrap();
    for (given, source, now) in [
        (&given, SOURCE, later(900)),
        (&given, SOURCE, later(90_000)),
        (&given, elsewhere, NOW),
        (&given, "::1".parse().unwrap(), NOW),
        (&ended, SOURCE, NOW),
        (&orphan, SOURCE, NOW),
    ] {
        assert_eq!(told(of_token(&ground, given, source, now).await.unwrap_err()), unknown);
    }
    // The same address, as a socket for both families writes it.
    of_token(&ground, &given, "::ffff:192.0.2.7".parse().unwrap(), later(899)).await.unwrap();
}

/// A lease that names its ranges is good from there, and not from where it was taken if that is not among them.
#[tokio::test]
async fn ranges() {
    let (ground, machine, _) = ground().await;
    let new = NewLease { allow_from: vec!["10.1.0.0/16".parse().unwrap()], ..wanted(&["key"]) };
    let given = take(&ground, &machine, new).await;
    of_token(&ground, &given, "10.1.200.3".parse().unwrap(), NOW).await.unwrap();
    for source in ["10.2.0.1".parse().unwrap(), SOURCE] {
        assert_eq!(of_token(&ground, &given, source, NOW).await.unwrap_err().code, Code::Unauthenticated);
    }
}

/// H3: a good token that is used from elsewhere was stolen, or a range is missing. The record says so, once a minute.
#[tokio::test]
async fn a_stolen_token_is_on_the_record() {
    let (ground, _, given) = ground().await;
    let thief =
        |secs: i64, octet: u8| of_token(&ground, &given, IpAddr::from([192, 0, 2, octet]), later(secs));
    for (secs, octet, recorded) in [(0, 8, 1), (1, 8, 1), (59, 9, 1), (60, 8, 2)] {
        assert_eq!(thief(secs, octet).await.unwrap_err().code, Code::Unauthenticated);
        assert_eq!(ground.events("request.send", "denied").await, recorded, "after {secs} s");
    }
    let filter = EventFilter { outcome: Some("denied".to_owned()), limit: 1, ..EventFilter::default() };
    let (found, _) = ground.vault.list_events(&ground.owner, &filter).await.unwrap();
    let event = &found[0].event;
    assert_eq!(event.outcome.code().map(|code| code.as_str()), Some("unauthenticated"));
    assert_eq!(event.detail.lease, Some(given.lease.id));
    assert_eq!(
        (event.actor.to_string(), event.object.to_string()),
        ("service-account:ci".to_owned(), format!("lease:{}", given.lease.id))
    );
    // Neither one who may, nor one whose lease is over, is one of these.
    of_token(&ground, &given, SOURCE, later(200)).await.unwrap();
    of_token(&ground, &given, "192.0.2.8".parse().unwrap(), later(900)).await.unwrap_err();
    assert_eq!(ground.events("request.send", "denied").await, 2);
}

/// H2: ended between the decision and the record.
#[tokio::test]
async fn ended_midway() {
    let (ground, machine, given) = ground().await;
    let id = given.lease.id;
    assert_eq!(overtaken!(ground, given, ground.vault.end_lease(&machine, id)), Code::Unauthenticated);
    assert!(!is_live(&ground, &given.lease, NOW).await);
    assert_eq!(ground.events("lease.revoke", "succeeded").await, 1);
    assert_eq!(ground.events("request.send", "denied").await, 1, "the refusal is on the record");
    ground.vault.end_lease(&machine, id).await.unwrap();
    assert_eq!(ground.events("lease.revoke", "succeeded").await, 1, "a lease ends once");
    assert_eq!(ground.vault.renew_lease(&machine, id).await.unwrap_err().code, Code::NotFound);
}

/// The token that a lease was asked for with is revoked, while the account lives on.
#[tokio::test]
async fn a_revoked_token_takes_its_leases_along() {
    let (ground, machine, given) = ground().await;
    let name: SecretName = "ci".parse().unwrap();
    ground.vault.create_token(&ground.owner, &name, None).await.unwrap();
    let tokens = ground.vault.list_tokens(&ground.owner, &name).await.unwrap();
    let id = tokens.iter().find(|token| token.hash == *machine.token.as_bytes()).unwrap().id;
    let revoke = ground.vault.revoke_token(&ground.owner, &name, id);
    assert_eq!(overtaken!(ground, given, revoke), Code::Unauthenticated);
    assert!(!is_live(&ground, &given.lease, NOW).await);
    assert!(of_token(&ground, &given, SOURCE, NOW).await.is_err());
}

/// H12: another secret under the same name is another one, and its value never stands for the old one's placeholder.
#[tokio::test]
async fn a_secret_created_again() {
    let (ground, _, given) = ground().await;
    let patch = SettingsPatch { deletion_window_days: Some(0), ..SettingsPatch::default() };
    ground.vault.update_workspace(&ground.owner, patch, false).await.unwrap();
    let again = async {
        ground.vault.delete_secret(&ground.owner, &"key".parse().unwrap(), true).await.map(drop)?;
        ground
            .create("key", Visibility::Masked, &["api.example.com"], &[("test", "another-Hd7Js2Kf9Lw4")])
            .await;
        Ok::<(), Problem>(())
    };
    assert_eq!(overtaken!(ground, given, again), Code::Forbidden);
    let lease = of_token(&ground, &given, SOURCE, NOW).await.unwrap();
    assert!(lease.secrets.is_empty() && lease.destinations().is_empty(), "the old secret is gone for good");
    assert_eq!(given.lease.destinations(), destinations(&["api.example.com"]).0);
    assert!(is_live(&ground, &lease, NOW).await);
}

/// A secret that is switched off, deleted, or aimed elsewhere.
#[tokio::test]
async fn a_secret_that_changes_midway() {
    let name: SecretName = "key".parse().unwrap();
    let (first, _, given) = ground().await;
    let off = first.vault.set_disabled(&first.owner, &name, None, true);
    assert_eq!(overtaken!(first, given, off), Code::SecretDisabled);
    let (second, _, given) = ground().await;
    let deleted = second.vault.delete_secret(&second.owner, &name, true);
    assert_eq!(overtaken!(second, given, deleted), Code::SecretDisabled);
    let (third, _, given) = ground().await;
    let narrowed = SecretPatch { destinations: Some(destinations(&[])), ..SecretPatch::default() };
    let narrowed = third.vault.update_secret(&third.owner, &name, &narrowed);
    assert_eq!(overtaken!(third, given, narrowed), Code::DestinationRequired);
}

/// That the owner may look at a value is no leave to send it anywhere through a lease.
#[tokio::test]
async fn without_destinations_not_even_the_owner() {
    let ground = Ground::new().await;
    ground.create("key", Visibility::Masked, &["api.example.com"], &[("test", VALUE)]).await;
    let given = take(&ground, &ground.owner, wanted(&["key"])).await;
    let narrowed = SecretPatch { destinations: Some(destinations(&[])), ..SecretPatch::default() };
    ground.vault.update_secret(&ground.owner, &"key".parse().unwrap(), &narrowed).await.unwrap();
    assert!(ground.use_it("key", "test", HERE).await.is_ok(), "a sealed request may, by secret.reveal");
    let refused = Wanted::leased(&given.lease, "key", HERE, NOW).prepare(&ground.vault).await;
    assert_eq!(refused.map(drop).unwrap_err().code, Code::DestinationRequired);
    let refused = ground.vault.create_lease(&ground.owner, SOURCE, wanted(&["key"])).await;
    assert_eq!(refused.map(drop).unwrap_err().code, Code::DestinationRequired);
    assert_eq!(ground.events("lease.create", "denied").await, 1);
}

/// H5: a lease is for its environment and its secrets; other secrets of its creator are not in it.
#[tokio::test]
async fn only_what_the_lease_names() {
    let (ground, machine, given) = ground().await;
    ground
        .create("other", Visibility::Restricted, &["api.example.com"], &[("test", VALUE), ("live", VALUE)])
        .await;
    let refused = |wanted: Wanted| {
        let vault = ground.vault.clone();
        async move { wanted.prepare(&vault).await.map(drop).unwrap_err().code }
    };
    let lease = &given.lease;
    assert_eq!(refused(Wanted::leased(lease, "other", HERE, NOW)).await, Code::Forbidden);
    assert_eq!(refused(Wanted::leased(lease, "key", HERE, NOW).elsewhere("live")).await, Code::Forbidden);
    assert_eq!(refused(Wanted::leased(lease, "nothing", HERE, NOW)).await, Code::UnknownReference);
    assert!(Wanted::new(&machine, "other", "test", HERE).prepare(&ground.vault).await.is_ok());
    assert!(Wanted::leased(lease, "key", HERE, NOW).bare().prepare(&ground.vault).await.is_ok());
}

/// Time: a lease ends by itself, lives longer when it is renewed, and never longer than a day.
#[tokio::test]
async fn renewing() {
    let (ground, machine, given) = ground().await;
    let id = given.lease.id;
    assert!(send(&ground, &given.lease, later(899)).await.is_ok());
    assert_eq!(send(&ground, &given.lease, later(900)).await.unwrap_err().code, Code::Unauthenticated);
    let at = |secs| Caller { now: later(secs), ..machine.clone() };
    let renewed = ground.vault.renew_lease(&at(600), id).await.unwrap();
    assert_eq!(renewed.expires_at, later(1500));
    // The lease as it was before knows nothing of it, and neither does the view that was made before.
    assert!(send(&ground, &given.lease, later(1499)).await.is_ok());
    assert!(is_live(&ground, &given.lease, later(1499)).await);
    assert!(!is_live(&ground, &given.lease, later(1500)).await);
    let stranger = ground.account("stranger", Role::Editor).await;
    for caller in [&stranger, &ground.owner] {
        assert_eq!(ground.vault.renew_lease(caller, id).await.unwrap_err().code, Code::NotFound);
    }
    let latest = limits::LEASE_LIFE_SECS_MAX.cast_signed();
    let mut now = 1400;
    while now < latest - 900 {
        now = ground.vault.renew_lease(&at(now), id).await.unwrap().expires_at.as_millis() / 1000
            - NOW.as_millis() / 1000
            - 1;
    }
    assert_eq!(ground.vault.renew_lease(&at(now), id).await.unwrap().expires_at, later(latest));
    assert_eq!(ground.vault.renew_lease(&at(latest), id).await.unwrap_err().code, Code::NotFound);
}

/// A budget counts attempts, and the one after the last is told so, on the record.
#[tokio::test]
async fn budgets() {
    let (ground, machine, _) = ground().await;
    let given = take(&ground, &machine, NewLease { requests_max: Some(2), ..wanted(&["key"]) }).await;
    let bad = Wanted::leased(&given.lease, "key", "https://evil.example/", NOW);
    assert_eq!(bad.prepare(&ground.vault).await.map(drop).unwrap_err().code, Code::DestinationNotAllowed);
    assert!(send(&ground, &given.lease, NOW).await.is_ok());
    assert_eq!(send(&ground, &given.lease, NOW).await.unwrap_err().code, Code::RateLimited);
    let listed = ground.vault.list_leases(&machine).await.unwrap();
    assert_eq!(listed.iter().find(|lease| lease.id == given.lease.id).unwrap().requests, 2);
    assert_eq!(ground.events("request.send", "denied").await, 1);
}

/// At the next start, what was open is ended, on the record, and only that.
#[tokio::test]
async fn abandoned() {
    let (ground, machine, given) = ground().await;
    let ended = take(&ground, &machine, wanted(&["key"])).await;
    ground.vault.end_lease(&machine, ended.lease.id).await.unwrap();
    let new = NewAgentSession { name: "triage".parse().unwrap(), ttl_secs: None, requests_max: None };
    let agent = ground.vault.create_agent_session(&machine, &new).await.unwrap();
    assert_eq!(ground.vault.end_abandoned_leases(NOW).await.unwrap(), 1);
    assert_eq!(ground.vault.end_abandoned_agent_sessions(NOW).await.unwrap(), 1);
    assert_eq!(ground.vault.end_abandoned_leases(NOW).await.unwrap(), 0);
    assert!(of_token(&ground, &given, SOURCE, NOW).await.is_err());
    let agent = crate::ground::caller(agent.token.dangerous_expose());
    assert_eq!(ground.vault.check_member(&agent).await.unwrap_err().code, Code::Unauthenticated);
    assert_eq!(ground.events("lease.revoke", "succeeded").await, 2);
    assert_eq!(ground.events("agent-session.revoke", "succeeded").await, 1);
}

/// What is over is forgotten after thirty days, and what is open is not.
#[tokio::test]
async fn purged() {
    let (ground, machine, _) = ground().await;
    let month = limits::ENDED_KEEP_DAYS * 86_400;
    ground.vault.keep_up(later(month + 899), false).await.unwrap();
    assert_eq!(ground.vault.list_leases(&machine).await.unwrap().len(), 1);
    ground.vault.keep_up(later(month + 901), false).await.unwrap();
    assert_eq!(ground.vault.list_leases(&machine).await.unwrap().len(), 0);
}

/// An agent's leases are its own, end with its session, and count on its budget.
#[tokio::test]
async fn of_an_agent() {
    let ground = Ground::new().await;
    ground.create("key", Visibility::Masked, &["api.example.com"], &[("test", VALUE)]).await;
    let new = NewAgentSession { name: "triage".parse().unwrap(), ttl_secs: None, requests_max: Some(3) };
    let session = ground.vault.create_agent_session(&ground.owner, &new).await.unwrap();
    let agent = crate::ground::caller(session.token.dangerous_expose());
    let given = take(&ground, &agent, wanted(&["key"])).await;
    assert!(send(&ground, &given.lease, NOW).await.is_ok());
    let found =
        ground.vault.list_events(&ground.owner, &EventFilter { limit: 1, ..EventFilter::default() }).await;
    let event = found.unwrap().0.remove(0).event;
    assert_eq!(event.actor.to_string(), "agent:triage");
    assert_eq!(event.on_behalf_of.unwrap().to_string(), "user:owner");
    // Its own requests and those of its leases are one count.
    assert!(Wanted::new(&agent, "key", "test", HERE).prepare(&ground.vault).await.is_ok());
    assert!(Wanted::leased(&given.lease, "key", HERE, NOW).prepare(&ground.vault).await.is_ok());
    for wanted in [Wanted::new(&agent, "key", "test", HERE), Wanted::leased(&given.lease, "key", HERE, NOW)] {
        assert_eq!(wanted.prepare(&ground.vault).await.map(drop).unwrap_err().code, Code::RateLimited);
    }
    let again = ground.vault.create_agent_session(&agent, &new).await;
    assert_eq!(again.map(drop).unwrap_err().code, Code::Forbidden);
    ground.vault.end_agent_session(&ground.owner, session.info.id).await.unwrap();
    assert!(!is_live(&ground, &given.lease, NOW).await);
    assert_eq!(ground.vault.check_member(&agent).await.unwrap_err().code, Code::Unauthenticated);
    assert_eq!(ground.events("lease.revoke", "succeeded").await, 1, "its lease is ended with it");
}

/// An agent ends with the token it was made with, midway through what it does.
#[tokio::test]
async fn an_agent_without_its_maker() {
    let (ground, machine, _) = ground().await;
    let new = NewAgentSession { name: "triage".parse().unwrap(), ttl_secs: None, requests_max: None };
    let session = ground.vault.create_agent_session(&machine, &new).await.unwrap();
    let agent = crate::ground::caller(session.token.dangerous_expose());
    let given = take(&ground, &agent, wanted(&["key"])).await;
    let name: SecretName = "ci".parse().unwrap();
    let gone = ground.vault.delete_service_account(&ground.owner, &name);
    assert_eq!(overtaken!(ground, given, gone), Code::Unauthenticated);
    assert_eq!(ground.vault.check_member(&agent).await.unwrap_err().code, Code::Unauthenticated);
}

/// Of tokens and placeholders only hashes are written down, anywhere.
#[tokio::test]
async fn only_hashes_are_stored() {
    let (ground, _, given) = ground().await;
    ground.vault.store().close();
    let texts = [&given.token, &given.placeholders[0].1];
    for entry in std::fs::read_dir(ground.directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for text in texts {
            let secret_part = &text.dangerous_expose().as_bytes()[7..];
            assert!(!bytes.windows(secret_part.len()).any(|window| window == secret_part));
        }
    }
}
