//! What happens to values: versions that go, dates that come near, search, and what is remembered beside them.

use tacit_model::{Timestamp, WorkspaceId};
use tacit_store::{
    Change, Store, WriteError,
    fingerprints::{self, Print},
    idempotency::{self, WriteKey},
    keys::WrappedKey,
    reasons,
    reminders::{self, Reminder},
    secrets::{self, Filter, Secret, Version},
};

use crate::ground::{Ground, NOW, secret, version};

fn at(days: i64) -> Timestamp {
    NOW.plus_secs(days * 86_400)
}

fn set_at(number: i64, days: i64) -> Version {
    Version { created_at: at(days), ..version(number) }
}

async fn found(store: &Store, workspace: WorkspaceId, search: &str) -> Vec<String> {
    let filter = Filter { search: Some(search.to_owned()), limit: 100, ..Filter::default() };
    let page = store.secrets(workspace, &filter).await.unwrap();
    page.into_iter().map(|listed| listed.secret.name.to_string()).collect()
}

/// A version that is destroyed is no longer among those that are kept, leaves its number and its author, and cannot be
/// written again.
#[tokio::test]
async fn destroyed_versions_leave_their_number() {
    let ground = Ground::new();
    let (a, environment) = ground.workspace("a").await;
    let store = &ground.store;
    let mine = secret("name");
    let reason = [7; 16];
    let change = Change::new(a)
        .and_all(secrets::insert(a, &mine))
        .and_all(secrets::insert_version(
            a,
            mine.id,
            environment.id,
            &Version { reason: Some(reason), ..set_at(1, 0) },
        ))
        .and_all(secrets::insert_version(a, mine.id, environment.id, &set_at(2, 1)))
        .and_all(secrets::insert_version(a, mine.id, environment.id, &set_at(3, 2)))
        .and(reasons::insert(a, &reason, "why", NOW));
    store.write(change).await.unwrap();
    let past = |before, count| async move {
        let past = store.versions_past_window(a, before, count, 10).await.unwrap();
        past.into_iter().map(|past| past.version).collect::<Vec<_>>()
    };
    // The first was replaced on day 1, the second on day 2, the third not at all.
    assert_eq!(past(at(1), None).await, [0_i64; 0]);
    assert_eq!(past(at(2), None).await, [1]);
    assert_eq!(past(at(9), None).await, [1, 2]);
    assert_eq!(past(at(0), Some(3)).await, [0_i64; 0]);
    assert_eq!(past(at(0), Some(2)).await, [1]);
    let destroy = || secrets::destroy_version(a, mine.id, environment.id, 1, at(3));
    store.write(Change::new(a).and(destroy())).await.unwrap();
    assert_eq!(store.write(Change::new(a).and(destroy())).await, Err(WriteError::Conflict));
    let reseal = secrets::reseal_version(a, mine.id, environment.id, 1, &[9]);
    assert_eq!(store.write(Change::new(a).and(reseal)).await, Err(WriteError::Conflict));
    let kept = store.versions(a, mine.id, environment.id).await.unwrap();
    assert_eq!(kept.iter().map(|version| version.version).collect::<Vec<_>>(), [3, 2]);
    let history = store.version_history(a, mine.id, environment.id, 10).await.unwrap();
    let history: Vec<_> = history
        .iter()
        .map(|v| (v.version, v.destroyed_at, v.reason.as_deref(), v.created_by.as_str()))
        .collect();
    assert_eq!(history[2], (1, Some(at(3)), Some("why"), "user:owner"));
    assert_eq!((history[0].0, history[0].1), (3, None));
    assert!(past(at(9), None).await == [2]);

    // The value goes, its numbers stay taken.
    let change = Change::new(a)
        .and(secrets::destroy_version(a, mine.id, environment.id, 2, at(4)))
        .and(secrets::destroy_version(a, mine.id, environment.id, 3, at(4)))
        .and_all(secrets::delete_value(a, mine.id, environment.id));
    store.write(change).await.unwrap();
    assert!(store.values(a, mine.id).await.unwrap().is_empty());
    assert_eq!(store.latest_version(a, mine.id, environment.id).await.unwrap(), 3);
    let filter = Filter { environment: Some(environment.id), limit: 10, ..Filter::default() };
    assert!(store.secrets(a, &filter).await.unwrap().is_empty());
    let again = Change::new(a).and_all(secrets::insert_version(a, mine.id, environment.id, &set_at(4, 5)));
    store.write(again).await.unwrap();
    assert_eq!(store.values(a, mine.id).await.unwrap()[0].current, 4);
}

/// The oldest of a secret's values says when it is due; lists, counts and the record agree on it.
#[tokio::test]
async fn dates_become_reminders() {
    let ground = Ground::new();
    let (a, environment) = ground.workspace("a").await;
    let store = &ground.store;
    let rotating = Secret { rotate_every_days: Some(30), ..secret("rotating") };
    let ending = Secret { expires_at: Some(at(20)), ..secret("ending") };
    let plain = secret("plain");
    let mut change = Change::new(a);
    for one in [&rotating, &ending, &plain] {
        change = change.and_all(secrets::insert(a, one)).and_all(secrets::insert_version(
            a,
            one.id,
            environment.id,
            &set_at(1, 0),
        ));
    }
    store.write(change).await.unwrap();
    let rotate_at = store.secret(a, "rotating").await.unwrap().unwrap().rotate_at;
    assert_eq!(rotate_at, Some(at(30)));
    let states = |now| async move {
        let mut states = Vec::new();
        for reminder in [None, Some(Reminder::Due), Some(Reminder::Overdue), Some(Reminder::Expired)] {
            let filter = Filter { reminder: Some((reminder, now)), limit: 10, ..Filter::default() };
            states.push(store.secrets(a, &filter).await.unwrap().len());
            for listed in store.secrets(a, &filter).await.unwrap() {
                let own = Reminder::of(listed.secret.rotate_at, listed.secret.expires_at, now);
                assert_eq!(own, reminder, "the statement and the function decide alike");
            }
        }
        states
    };
    for (day, expected) in [
        (0, [3, 0, 0, 0]),
        (12, [3, 0, 0, 0]),
        (13, [2, 1, 0, 0]),
        (20, [2, 0, 0, 1]),
        (23, [1, 1, 0, 1]),
        (30, [1, 0, 1, 1]),
    ] {
        assert_eq!(states(at(day)).await, expected, "day {day}");
        let counts = store.reminder_counts(a, at(day)).await.unwrap();
        assert_eq!(counts.map(|count| count as usize), expected[1..]);
    }
    // Each is told once, and what went away is forgotten.
    let tell = |now| async move {
        let changed = store.changed_reminders(a, now, 10).await.unwrap();
        let change = changed.iter().fold(Change::new(a), |change, reminded| {
            change.and(reminders::set_reminded(a, reminded.secret, reminded.reminder))
        });
        store.write(change).await.unwrap();
        let mut names: Vec<_> = changed.iter().map(|r| (r.name.to_string(), r.reminder)).collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names
    };
    assert_eq!(tell(at(0)).await, []);
    assert_eq!(tell(at(13)).await, [("ending".to_owned(), Some(Reminder::Due))]);
    assert_eq!(tell(at(13)).await, []);
    let later = tell(at(30)).await;
    assert_eq!(
        later,
        [("ending".to_owned(), Some(Reminder::Expired)), ("rotating".to_owned(), Some(Reminder::Overdue))]
    );
    let rotated = secrets::insert_version(a, rotating.id, environment.id, &set_at(2, 30));
    store.write(Change::new(a).and_all(rotated)).await.unwrap();
    assert_eq!(tell(at(30)).await, [("rotating".to_owned(), None)]);
    let without = Secret { expires_at: None, ..ending.clone() };
    store.write(Change::new(a).and_all(secrets::update(a, &without))).await.unwrap();
    assert_eq!(tell(at(30)).await, [("ending".to_owned(), None)]);
    assert_eq!(tell(at(31)).await, []);
}

/// A search finds parts of name, description and folder in any case, newest first, page after page, of one workspace alone,
/// and what it finds follows every change.
#[tokio::test]
async fn search_follows_changes() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let (b, _) = ground.workspace("b").await;
    let store = &ground.store;
    let mut one = secret("HubSpot API key – production");
    one.description = "Ünïcode and 100% of_it 🔑".to_owned();
    one.folder = "payments/eu".parse().unwrap();
    let (two, foreign) = (secret("stripe"), secret("stripe-of-b"));
    store
        .write(Change::new(a).and_all(secrets::insert(a, &one)).and_all(secrets::insert(a, &two)))
        .await
        .unwrap();
    store.write(Change::new(b).and_all(secrets::insert(b, &foreign))).await.unwrap();
    for text in [
        "hubspot",
        "SPOT api",
        "– prod",
        "ünï",
        "Ü",
        "%",
        "_",
        "f_i",
        "🔑",
        "payments/",
        "EU",
        "100% OF",
        "h",
        "k",
    ] {
        assert_eq!(found(store, a, text).await, [one.name.as_str()], "{text}");
    }
    for text in ["production\n", "xyz", "\"", "hubspot OR stripe", "*", "payments/eu/x"] {
        assert!(found(store, a, text).await.is_empty(), "{text}");
    }
    assert_eq!(found(store, a, "p").await, ["stripe", one.name.as_str()], "the newest first");
    assert_eq!(found(store, b, "stripe").await, ["stripe-of-b"], "of one workspace alone");
    let moved = Secret { description: "nothing".to_owned(), folder: "crm".parse().unwrap(), ..one.clone() };
    store.write(Change::new(a).and_all(secrets::update(a, &moved))).await.unwrap();
    assert!(found(store, a, "payments").await.is_empty());
    assert_eq!(found(store, a, "crm").await, [one.name.as_str()]);
    store.write(Change::new(a).and_all(secrets::purge(a, &moved))).await.unwrap();
    assert!(found(store, a, "crm").await.is_empty());
    let change = (0..25).fold(Change::new(a), |change, number| {
        change.and_all(secrets::insert(a, &secret(&format!("paged-{number:02}"))))
    });
    store.write(change).await.unwrap();
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let filter = Filter { search: Some("AGED".to_owned()), after, limit: 4, ..Filter::default() };
        let page = store.secrets(a, &filter).await.unwrap();
        names.extend(page.iter().map(|listed| listed.secret.name.to_string()));
        if page.len() < 4 {
            break;
        }
        after = page.last().map(|listed| listed.key.clone());
    }
    assert_eq!(names, (0..25).rev().map(|number| format!("paged-{number:02}")).collect::<Vec<_>>());
    let ground = ground.again();
    assert_eq!(found(&ground.store, a, "paged-1").await.len(), 10);
}

/// A list and a search that are read page by page while others create, change and delete: what was there all along comes once,
/// and what was gone before its page does not come.
#[tokio::test]
async fn pages_are_stable() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let store = &ground.store;
    let all: Vec<Secret> =
        (0..200).map(|number| secret(&format!("paged-{:03}", number * 37 % 200))).collect();
    let change = all.iter().fold(Change::new(a), |change, one| change.and_all(secrets::insert(a, one)));
    store.write(change).await.unwrap();
    for search in [None, Some("paged-".to_owned())] {
        let (mut names, mut after, mut round) = (Vec::new(), None, 0);
        let mut gone: Vec<&Secret> = Vec::new();
        loop {
            let filter = Filter { search: search.clone(), after, limit: 7, ..Filter::default() };
            let page = store.secrets(a, &filter).await.unwrap();
            names.extend(page.iter().map(|listed| listed.secret.name.to_string()));
            if page.len() < 7 {
                break;
            }
            after = page.last().map(|listed| listed.key.clone());
            // Elsewhere, somebody makes one, files another one away, and purges the one that the page ended with.
            let new = secret(&format!("paged-{:03}-{round}-{}", round * 29 % 200, search.is_some()));
            let moved = Secret { folder: "moved".parse().unwrap(), ..all[round * 13 % 200].clone() };
            let last = all.iter().find(|one| names.last().is_some_and(|name| *name == one.name.to_string()));
            let mut change = Change::new(a).and_all(secrets::insert(a, &new));
            if let Some(last) = last.filter(|last| last.id != moved.id) {
                change = change.and_all(secrets::purge(a, last));
                gone.push(last);
            }
            if gone.iter().all(|gone| gone.id != moved.id) {
                change = change.and_all(secrets::update(a, &moved));
            }
            // In the second round some are gone already, and then nothing of the change is done.
            let _ = store.write(change).await;
            round += 1;
        }
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len(), "something came twice");
        let kept = store.secrets(a, &Filter { limit: 500, ..Filter::default() }).await.unwrap();
        for one in kept.iter().map(|listed| listed.secret.name.to_string()).filter(|name| name.len() == 9) {
            assert!(once.binary_search(&one).is_ok(), "{one} did not come");
        }
    }
}

/// Whatever somebody makes up as the place where a page ended: a search finds what it would find anyway, and nothing that
/// depends on another workspace's secrets.
#[tokio::test]
async fn made_up_places_do_not_lead_elsewhere() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let (b, _) = ground.workspace("b").await;
    let (c, _) = ground.workspace("c").await;
    let store = &ground.store;
    for workspace in [a, b, c] {
        let change = (0..3).fold(Change::new(workspace), |change, number| {
            change.and_all(secrets::insert(workspace, &secret(&format!("stripe-{number}"))))
        });
        store.write(change).await.unwrap();
    }
    for workspace in [a, b, c] {
        for after in
            [(1_i64 << 32) + 1, 1 << 33, (1 << 33) + 3, 5 << 32, i64::MAX, -1, -(1 << 32), i64::MIN, 3, 0]
        {
            let filter = Filter {
                search: Some("stripe".to_owned()),
                after: Some(after.to_string()),
                limit: 100,
                ..Filter::default()
            };
            let found = store.secrets(workspace, &filter).await.unwrap().len();
            assert_eq!(found, if after == 3 { 2 } else { 0 }, "after {after}");
        }
    }
}

/// Equal fingerprints are found among values in force, in one workspace.
#[tokio::test]
async fn alike_values_are_found() {
    let ground = Ground::new();
    let (a, environment) = ground.workspace("a").await;
    let (b, elsewhere) = ground.workspace("b").await;
    let store = &ground.store;
    let print = |number, byte| Version { fingerprint: Some([byte; 32]), ..version(number) };
    let (one, two, foreign) = (secret("one"), secret("two"), secret("one"));
    let change = Change::new(a)
        .and_all(secrets::insert(a, &one))
        .and_all(secrets::insert(a, &two))
        .and_all(secrets::insert_version(a, one.id, environment.id, &print(1, 1)))
        .and_all(secrets::insert_version(a, two.id, environment.id, &print(1, 1)));
    store.write(change).await.unwrap();
    let change = Change::new(b).and_all(secrets::insert(b, &foreign)).and_all(secrets::insert_version(
        b,
        foreign.id,
        elsewhere.id,
        &print(1, 1),
    ));
    store.write(change).await.unwrap();
    let alike = || async {
        let alike = store.secrets_alike(a, &[1; 32], one.id, 10).await.unwrap();
        alike.into_iter().map(|secret| secret.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(alike().await, ["two"]);
    let pairs = store.pairs(a, environment.id, elsewhere.id, "", 10).await.unwrap();
    assert_eq!(pairs.len(), 2);
    assert_eq!(pairs[0].from, Some(Print { fingerprint: Some([1; 32]), shown: "{}".to_owned() }));
    assert_eq!(pairs[0].to, None);
    let rotated = secrets::insert_version(a, two.id, environment.id, &print(2, 2));
    store.write(Change::new(a).and_all(rotated)).await.unwrap();
    assert!(alike().await.is_empty(), "only what is in force");
    let key = |byte| WrappedKey { generation: 1, parent: 1, wrapped: vec![byte; 60] };
    store.write(Change::new(a).and(fingerprints::insert_key(a, &key(1)))).await.unwrap();
    store.write(Change::new(a).and(fingerprints::insert_key(a, &key(2)))).await.unwrap();
    let keys = store.fingerprint_keys(a).await.unwrap();
    assert_eq!((keys.len(), keys[0].wrapped[0]), (1, 1), "the first one stays");
}

/// A key is remembered once, per principal and route, until it is forgotten.
#[tokio::test]
async fn keys_are_remembered() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let store = &ground.store;
    let key = WriteKey { principal: [1; 16], route: "POST /secrets".to_owned(), key: [2; 32] };
    let begin = |key: &WriteKey| Change::new(a).and(idempotency::begin(a, key, &[3; 32], NOW));
    store.write(begin(&key)).await.unwrap();
    assert_eq!(store.write(begin(&key)).await, Err(WriteError::Taken));
    for other in [
        WriteKey { principal: [9; 16], ..key.clone() },
        WriteKey { route: "PUT /secrets".to_owned(), ..key.clone() },
        WriteKey { key: [9; 32], ..key.clone() },
    ] {
        assert!(store.kept_write(a, &other).await.unwrap().is_none());
    }
    assert_eq!(store.kept_write(a, &key).await.unwrap().unwrap().status, None);
    store
        .write(Change::new(a).and(idempotency::finish(a, &key, 201, Some("\"t\""), Some("{}"))))
        .await
        .unwrap();
    let kept = store.kept_write(a, &key).await.unwrap().unwrap();
    assert_eq!(
        (kept.status, kept.etag.as_deref(), kept.body.as_deref()),
        (Some(201), Some("\"t\""), Some("{}"))
    );
    assert_eq!(store.kept_writes_before(a, at(1)).await.unwrap(), 1);
    store.write(Change::new(a).and(idempotency::forget_before(a, NOW))).await.unwrap();
    assert!(store.kept_write(a, &key).await.unwrap().is_some());
    store.write(Change::new(a).and(idempotency::forget(a, &key))).await.unwrap();
    assert!(store.kept_write(a, &key).await.unwrap().is_none());
    assert_eq!(store.reason(a, &[1; 16]).await.unwrap(), None);
}
