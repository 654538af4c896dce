//! People, with a clock and addresses of one's own: limits of guessing, and what happens in the moment between a password's
//! check and its change.

use std::{net::IpAddr, time::Duration};

use tacit_crypto::token::{self, TokenKind};
use tacit_model::{Code, Problem, SessionId, Timestamp, WorkspaceId};
use tacit_store::{
    Change,
    people::{self, Session},
};
use tacit_vault::{
    Acceptance, By, EventFilter, NewInvitation, PasswordChange, SessionKind, SignIn, SignedIn, TokenHash,
};

use crate::ground::{Ground, NOW};

const PASSWORD: &str = "correct horse battery staple";
const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

fn by(now: Timestamp) -> By {
    By { now, request_id: [2; 16] }
}

fn hash(text: &str) -> TokenHash {
    token::hash_of(text).unwrap()
}

async fn invite(ground: &Ground, name: &str) -> TokenHash {
    let new =
        NewInvitation { name: name.parse().unwrap(), role: "editor".to_owned(), until: None, ttl_secs: None };
    let (_, text) = ground.vault.create_invitation(&ground.owner, &new).await.unwrap();
    hash(text.dangerous_expose())
}

async fn accept(ground: &Ground, token: TokenHash, password: &str, address: &str) -> Result<(), Problem> {
    let asked = Acceptance { token, password, code: None, address: address.parse().unwrap(), by: by(NOW) };
    ground.vault.accept_invitation(&asked).await.map(drop)
}

async fn sign_in(
    ground: &Ground,
    name: &str,
    password: &str,
    address: &str,
    now: Timestamp,
) -> Result<SignedIn, Code> {
    let asked = SignIn {
        name,
        password,
        code: None,
        kind: SessionKind::Token,
        address: address.parse::<IpAddr>().unwrap(),
        now,
        request_id: [1; 16],
    };
    ground.vault.sign_in(&asked).await.map_err(|problem| problem.code)
}

/// An instance with somebody in it.
async fn with_anna() -> Ground {
    let ground = Ground::new().await;
    let token = invite(&ground, "anna@example.com").await;
    accept(&ground, token, PASSWORD, HOME).await.unwrap();
    ground
}

async fn anna(ground: &Ground, password: &str, address: &str, now: Timestamp) -> Result<SignedIn, Code> {
    sign_in(ground, "anna@example.com", password, address, now).await
}

/// Whoever guesses uses up the tries of an account from anywhere, but not those that its owner has where they are signed in:
/// a name is no means to keep somebody out.
#[tokio::test]
async fn a_guesser_keeps_nobody_out_of_where_they_are() {
    let ground = with_anna().await;
    anna(&ground, PASSWORD, HOME, NOW).await.ok().unwrap();
    let mut refused = 0;
    for at in 0..14 {
        let address = format!("198.51.100.{at}");
        match anna(&ground, "not her password", &address, NOW).await.err().unwrap() {
            Code::Unauthenticated => {}
            code => {
                assert_eq!(code, Code::RateLimited);
                refused += 1;
            }
        }
    }
    assert!(refused >= 4, "the account's tries are used up: {refused}");
    assert_eq!(anna(&ground, PASSWORD, ELSEWHERE, NOW).await.err(), Some(Code::RateLimited));
    anna(&ground, PASSWORD, HOME, NOW).await.ok().unwrap();
    // That is no way to go on guessing: there, tries are counted as well.
    let mut answers = Vec::new();
    for _ in 0..14 {
        answers.push(anna(&ground, "not her password", HOME, NOW).await.err().unwrap());
    }
    assert_eq!(answers[0], Code::Unauthenticated);
    assert_eq!(answers[13], Code::RateLimited);
    // An account that is not there is not told from one that is.
    for at in 0..14 {
        let answer = sign_in(&ground, "nobody@example.com", "x", &format!("203.0.113.{at}"), NOW).await;
        assert_eq!(answer.err().unwrap(), if at < 10 { Code::Unauthenticated } else { Code::RateLimited });
    }
}

/// One address tries many accounts only so often; of IPv6 that is the network that one customer has.
#[tokio::test]
async fn one_address_tries_only_so_often() {
    let ground = Ground::new().await;
    for network in [&["198.51.100.7"][..], &["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:9::"]] {
        let mut answers = Vec::new();
        for at in 0..62 {
            let (name, address) = (format!("a{at}@example.com"), network[at % network.len()]);
            answers.push(sign_in(&ground, &name, "x", address, NOW).await.err().unwrap());
        }
        assert!(answers[..60].iter().all(|code| *code == Code::Unauthenticated), "{answers:?}");
        assert!(answers[60..].iter().all(|code| *code == Code::RateLimited), "{answers:?}");
    }
    // Invitations are tried from the same purse, and another network has its own.
    let (_, unknown) = token::generate(TokenKind::Invitation);
    let unknown = accept(&ground, unknown, "x", "2001:db8::77").await.err().map(|problem| problem.code);
    assert_eq!(unknown, Some(Code::RateLimited));
    assert_eq!(
        sign_in(&ground, "b@example.com", "x", "2001:db8:0:1::1", NOW).await.err(),
        Some(Code::Unauthenticated)
    );
}

/// More sessions than are kept, all of them over: one more is made, as if they had never been.
#[tokio::test]
async fn old_sessions_keep_nobody_out() {
    let ground = with_anna().await;
    let at = |secs: i64| NOW.plus_secs(secs);
    let store = ground.vault.store();
    let user = store.user_named("anna@example.com").await.unwrap().unwrap();
    for n in 0..100_u8 {
        let session = Session {
            hash: [n; 32],
            id: SessionId::from_bytes([n; 16]),
            user: user.id,
            kind: SessionKind::Token,
            address: HOME.to_owned(),
            created_at: at(i64::from(n)),
            expires_at: at(30 * 86_400),
        };
        let change = Change::new(WorkspaceId::from_bytes([0; 16])).and(people::insert_session(&session));
        store.write(change).await.unwrap();
    }
    let newest = anna(&ground, PASSWORD, HOME, at(1000)).await.ok().unwrap();
    let token = hash(newest.text.dangerous_expose());
    assert_eq!(ground.vault.list_sessions(token, at(1000)).await.unwrap().len(), 100);
    let later = at(40 * 86_400);
    let newest = anna(&ground, PASSWORD, HOME, later).await.ok().unwrap();
    let token = hash(newest.text.dangerous_expose());
    assert_eq!(ground.vault.list_sessions(token, later).await.unwrap().len(), 1);
}

/// Somebody changes a password because it was stolen, and in that moment the thief signs in: with a password that is none any
/// more, nobody is in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_counts_until_it_is_changed() {
    let ground = with_anna().await;
    let own = anna(&ground, PASSWORD, HOME, NOW).await.ok().unwrap();
    let own = hash(own.text.dangerous_expose());
    let mut current = PASSWORD.to_owned();
    for round in 0..12_i64 {
        let now = NOW.plus_secs(round * 3600);
        let next = format!("another long password {round}");
        let change = PasswordChange { current: Some(&current), code: None, new: &next };
        let changing = ground.vault.change_password(own, &change, HOME.parse().unwrap(), by(now));
        let stealing = async {
            tokio::time::sleep(Duration::from_millis(u64::try_from(round).unwrap() * 12)).await;
            anna(&ground, &current, ELSEWHERE, now).await
        };
        let (changed, stolen) = tokio::join!(changing, stealing);
        changed.unwrap();
        if let Ok(session) = stolen {
            let token = hash(session.text.dangerous_expose());
            let code = ground.vault.list_sessions(token, now).await.err().map(|problem| problem.code);
            assert_eq!(code, Some(Code::Unauthenticated), "round {round}");
        }
        assert!(anna(&ground, &current, HOME, now).await.is_err(), "the old one is back in round {round}");
        current = next;
    }
}

/// Whoever has a stolen session or invitation and not the password leaves a trace.
#[tokio::test]
async fn what_was_refused_is_on_the_record() {
    let ground = with_anna().await;
    let token = anna(&ground, PASSWORD, HOME, NOW).await.ok().unwrap();
    let token = hash(token.text.dangerous_expose());
    let (vault, from) = (&ground.vault, ELSEWHERE.parse::<IpAddr>().unwrap());
    let denied = async |verb: &str| {
        for _ in 0..100 {
            let filter = EventFilter {
                verb: Some(verb.to_owned()),
                outcome: Some("denied".to_owned()),
                limit: 10,
                ..EventFilter::default()
            };
            let (events, _) = vault.list_events(&ground.owner, &filter).await.unwrap();
            if let Some(found) = events.into_iter().next() {
                return found.event;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{verb} is not on the record");
    };
    let change = PasswordChange { current: Some("wrong"), code: None, new: "another long password" };
    assert!(vault.change_password(token, &change, from, by(NOW)).await.is_err());
    assert_eq!(denied("password.change").await.detail.address, Some(from));
    assert!(vault.enrol_second_factor(token, "wrong", from, by(NOW)).await.is_err());
    denied("second-factor.enable").await;
    assert!(vault.disable_second_factor(token, "wrong", None, from, by(NOW)).await.is_err());
    denied("second-factor.disable").await;
    // An invitation to another workspace, found by somebody who does not know her password.
    let new = "other".parse().unwrap();
    vault.create_workspace(ground.owner.token, NOW, &new).await.unwrap();
    let other = tacit_vault::Caller { workspace: new, ..ground.owner.clone() };
    let invitation = NewInvitation {
        name: "anna@example.com".parse().unwrap(),
        role: "owner".to_owned(),
        until: None,
        ttl_secs: None,
    };
    let (_, text) = vault.create_invitation(&other, &invitation).await.unwrap();
    let found = accept(&ground, hash(text.dangerous_expose()), "a long wrong password", ELSEWHERE).await;
    assert_eq!(found.err().map(|problem| problem.code), Some(Code::Unauthenticated));
    let filter = EventFilter {
        verb: Some("member.add".to_owned()),
        outcome: Some("denied".to_owned()),
        limit: 10,
        ..EventFilter::default()
    };
    let (events, _) = vault.list_events(&other, &filter).await.unwrap();
    assert_eq!(events[0].event.detail.address, Some(from));
}
