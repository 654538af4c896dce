//! Changes: all of one or none of it, each on its own, in one order, visible when acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tacit_audit::{Event, leaf_hash};
use tacit_model::{Timestamp, WorkspaceId};
use tacit_store::{
    Change, Committed, Store, WriteError, events::Filter, principals, secrets, variables, workspaces,
};

use crate::ground::{Ground, NOW, event, id, secret, user, version};

fn creation(workspace: WorkspaceId, name: &str) -> Change {
    Change::new(workspace)
        .bump()
        .and_all(secrets::insert(workspace, &secret(name)))
        .record(&event(workspace, name))
}

async fn names(store: &Store, workspace: WorkspaceId) -> Vec<String> {
    let filter = secrets::Filter { limit: 10_000, ..secrets::Filter::default() };
    store
        .secrets(workspace, &filter)
        .await
        .unwrap()
        .into_iter()
        .map(|listed| listed.secret.name.to_string())
        .collect()
}

/// The record is contiguous from 0, and every event is the bytes that were hashed.
async fn assert_record(store: &Store, workspace: WorkspaceId, size: usize) -> Vec<Event> {
    let stored = store.events_from(workspace, 0, 100_000).await.unwrap();
    assert_eq!(stored.len(), size);
    for (at, event) in stored.iter().enumerate() {
        assert_eq!(event.seq, at as i64);
        assert_eq!(event.leaf, leaf_hash(&event.bytes));
    }
    stored.iter().map(|event| Event::decode(&event.bytes).unwrap()).collect()
}

/// Many at once: each is acknowledged, each has its own place in its workspace's order, and none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_changes_at_once() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let (b, _) = ground.workspace("b").await;
    let mut waiting = Vec::new();
    for number in 0..600 {
        let store = ground.store.clone();
        let workspace = if number % 3 == 0 { b } else { a };
        waiting.push(tokio::spawn(async move {
            let name = format!("secret-{number}");
            let change = creation(workspace, &name).record(&event(workspace, &format!("{name}-second")));
            let committed = store.write(change).await.unwrap();
            // Acknowledged is visible, to everybody, at once.
            assert!(store.secret(workspace, &name).await.unwrap().is_some());
            assert!(store.revision(workspace).await.unwrap() >= committed.revision);
            let own = store.events_from(workspace, committed.first_seq, 2).await.unwrap();
            let objects: Vec<String> =
                own.iter().map(|e| Event::decode(&e.bytes).unwrap().object.to_string()).collect();
            assert_eq!(objects, [format!("secret:{name}"), format!("secret:{name}-second")]);
            (workspace, committed)
        }));
    }
    let mut committed: Vec<(WorkspaceId, Committed)> = Vec::new();
    for task in waiting {
        committed.push(task.await.unwrap());
    }
    for (workspace, count) in [(a, 400), (b, 200)] {
        let mut own: Vec<Committed> =
            committed.iter().filter(|(of, _)| *of == workspace).map(|(_, c)| *c).collect();
        own.sort_by_key(|committed| committed.first_seq);
        assert_eq!(own.len(), count);
        for (at, committed) in own.iter().enumerate() {
            assert_eq!(*committed, Committed { revision: at as i64 + 2, first_seq: 2 * at as i64 });
        }
        assert_record(&ground.store, workspace, 2 * count).await;
        assert_eq!(names(&ground.store, workspace).await.len(), count);
        assert_eq!(ground.store.revision(workspace).await.unwrap(), count as i64 + 1);
    }
    let ground = ground.again();
    assert_record(&ground.store, a, 800).await;
    assert_record(&ground.store, b, 400).await;
    assert_eq!(ground.store.revision(a).await.unwrap(), 401);
    // The order goes on where it ended.
    let next = ground.store.write(creation(a, "after")).await.unwrap();
    assert_eq!(next, Committed { revision: 402, first_seq: 800 });
}

/// Changes that fail stand among others in the same batches: they take nothing with them and leave nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_fails_fails_alone() {
    let ground = Ground::new();
    let (a, environment) = ground.workspace("a").await;
    ground.store.write(creation(a, "taken")).await.unwrap();
    let old = ground.store.revision(a).await.unwrap() - 1;
    let mut waiting = Vec::new();
    for number in 0..500 {
        let store = ground.store.clone();
        let environment = environment.id;
        waiting.push(tokio::spawn(async move {
            let name = format!("secret-{number}");
            let half_done = || creation(a, &format!("{name}-half"));
            let (expected, change) = match number % 5 {
                // The last statement fails, after others that would have gone through.
                0 => (Err(WriteError::Taken), half_done().and_all(secrets::insert(a, &secret("TAKEN")))),
                1 => (
                    Err(WriteError::Conflict),
                    half_done().and(secrets::destroy_version(a, secret("x").id, environment, 1, NOW)),
                ),
                2 => (Err(WriteError::Stale), half_done().only_at(old)),
                // A foreign key that points nowhere.
                3 => (
                    Err(WriteError::Conflict),
                    half_done().and(principals::insert_member(
                        a,
                        user("nobody").id,
                        tacit_model::Role::Owner.into(),
                        None,
                        NOW,
                    )),
                ),
                _ => (Ok(()), creation(a, &name)),
            };
            assert_eq!(store.write(change).await.map(drop), expected, "{number}");
        }));
    }
    for task in waiting {
        task.await.unwrap();
    }
    let found = names(&ground.store, a).await;
    assert_eq!(found.len(), 101, "{found:?}");
    assert!(found.iter().all(|name| !name.ends_with("half")));
    let events = assert_record(&ground.store, a, 101).await;
    assert!(events.iter().all(|event| !event.object.to_string().ends_with("half")));
    assert_eq!(ground.store.revision(a).await.unwrap(), 102);
    // What failed took no name.
    ground.store.write(creation(a, "secret-0-half")).await.unwrap();
    assert_record(&ground.store, a, 102).await;
}

/// A condition on the revision holds for exactly one of many that decided on the same state.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_decided_on_one_state_one_wins() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    for round in 0..20 {
        let revision = ground.store.revision(a).await.unwrap();
        let mut waiting = Vec::new();
        for number in 0..16 {
            let store = ground.store.clone();
            waiting.push(tokio::spawn(async move {
                store.write(creation(a, &format!("secret-{round}-{number}")).only_at(revision)).await
            }));
        }
        let mut won = 0;
        for task in waiting {
            match task.await.unwrap() {
                Ok(committed) => {
                    won += 1;
                    assert_eq!(committed.revision, revision + 1);
                }
                Err(error) => assert_eq!(error, WriteError::Stale),
            }
        }
        assert_eq!(won, 1);
    }
    assert_eq!(names(&ground.store, a).await.len(), 20);
    assert_record(&ground.store, a, 20).await;
}

/// An intent does not move the revision, and is refused once something else did.
#[tokio::test]
async fn an_intent_is_conditional() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let (b, _) = ground.workspace("b").await;
    let intent = |revision| Change::new(a).only_at(revision).record(&event(a, "intent"));
    for seq in 0..3 {
        assert_eq!(ground.store.write(intent(1)).await, Ok(Committed { revision: 1, first_seq: seq }));
    }
    ground.store.write(Change::new(b).bump().record(&event(b, "elsewhere"))).await.unwrap();
    assert!(ground.store.write(intent(1)).await.is_ok(), "another workspace's revision is another one");
    assert_eq!(
        ground.store.write(intent(2)).await,
        Err(WriteError::Stale),
        "a revision that is not there yet"
    );
    ground.store.write(creation(a, "something-else")).await.unwrap();
    assert_eq!(ground.store.write(intent(1)).await, Err(WriteError::Stale));
    assert_record(&ground.store, a, 5).await;
    let nowhere = id(WorkspaceId::generate);
    assert_eq!(ground.store.write(Change::new(nowhere).only_at(0)).await, Err(WriteError::Stale));
    assert_eq!(ground.store.revision(nowhere).await.unwrap(), 0);
}

/// A change that only moves the revision moves it: whatever was decided before it must be decided again.
#[tokio::test]
async fn a_bump_alone_counts() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let committed = ground.store.write(Change::new(a).bump().record(&event(a, "revoked"))).await.unwrap();
    assert_eq!(committed, Committed { revision: 2, first_seq: 0 });
    assert_eq!(ground.store.revision(a).await.unwrap(), 2);
    let intent = Change::new(a).only_at(1).record(&event(a, "intent"));
    assert_eq!(ground.store.write(intent).await, Err(WriteError::Stale));
    assert_eq!(ground.store.write(Change::new(a).bump()).await.unwrap().revision, 3);
}

/// Whoever reads after an acknowledgement sees its revision; nobody ever sees a revision go back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revisions_only_grow() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let done = Arc::new(AtomicBool::new(false));
    let mut watching = Vec::new();
    for _ in 0..2 {
        let (store, done) = (ground.store.clone(), Arc::clone(&done));
        watching.push(tokio::spawn(async move {
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                let seen = store.revision(a).await.unwrap();
                assert!(seen >= last, "{seen} after {last}");
                last = seen;
                tokio::task::yield_now().await;
            }
        }));
    }
    for number in 0..200 {
        let committed = ground.store.write(creation(a, &format!("secret-{number}"))).await.unwrap();
        assert_eq!(committed.revision, number + 2);
        assert_eq!(ground.store.revision(a).await.unwrap(), committed.revision);
    }
    done.store(true, Ordering::Release);
    for watcher in watching {
        watcher.await.unwrap();
    }
}

/// What nobody waits for is written with the rest, and closing waits for it.
#[tokio::test]
async fn closing_finishes_what_waits() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    for number in 0..1000 {
        ground.store.write_soon(Change::new(a).record(&event(a, &format!("outcome-{number}"))));
    }
    let ground = ground.again();
    let events = assert_record(&ground.store, a, 1000).await;
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.object.to_string(), format!("secret:outcome-{at}"), "outcomes keep their order");
    }
    ground.store.close();
    let refused = ground.store.write(creation(a, "late")).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))), "{refused:?}");
    ground.store.write_soon(creation(a, "late"));
    ground.store.close();
    assert!(names(&ground.store, a).await.is_empty(), "reading goes on");
}

/// A caller that goes away does not take its change back, and does not disturb the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_an_answer() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    for number in 0..100 {
        let store = ground.store.clone();
        let task = tokio::spawn(async move { store.write(creation(a, &format!("secret-{number}"))).await });
        task.abort();
    }
    let committed = ground.store.write(creation(a, "last")).await.unwrap();
    let found = names(&ground.store, a).await.len();
    assert_record(&ground.store, a, found).await;
    assert_eq!(ground.store.revision(a).await.unwrap(), committed.revision.max(found as i64 + 1));
}

/// The same names, keys and numbers in two workspaces are two things.
#[tokio::test]
async fn workspaces_do_not_meet() {
    let ground = Ground::new();
    let (a, environment) = ground.workspace("a").await;
    let (b, _) = ground.workspace("b").await;
    let mine = secret("the-name");
    let change = Change::new(a).and_all(secrets::insert(a, &mine)).and_all(secrets::insert_version(
        a,
        mine.id,
        environment.id,
        &version(1),
    ));
    ground.store.write(change.record(&event(a, "the-name"))).await.unwrap();
    ground.store.write(creation(b, "the-name")).await.unwrap();
    let theirs = ground.store.secret(b, "the-name").await.unwrap().unwrap();
    assert_ne!(mine.id, theirs.id);
    assert!(ground.store.secret_by_id(b, mine.id).await.unwrap().is_none());
    assert!(ground.store.versions(b, mine.id, environment.id).await.unwrap().is_empty());
    assert!(ground.store.values(b, mine.id).await.unwrap().is_empty());
    assert_eq!(ground.store.latest_version(b, mine.id, environment.id).await.unwrap(), 0);
    assert!(ground.store.data_keys(b, environment.id).await.unwrap().is_empty());
    // Another workspace's environment or secret is no place for a row.
    let foreign = Change::new(b).and_all(secrets::insert_version(b, theirs.id, environment.id, &version(1)));
    assert_eq!(ground.store.write(foreign).await, Err(WriteError::Conflict));
    let foreign = Change::new(b).and_all(secrets::insert_version(b, mine.id, environment.id, &version(1)));
    assert_eq!(ground.store.write(foreign).await, Err(WriteError::Conflict));
    let foreign = Change::new(b).and_all(secrets::purge(b, &mine));
    assert_eq!(ground.store.write(foreign).await, Err(WriteError::Conflict));
    assert!(ground.store.secret(b, "the-name").await.unwrap().is_some(), "a failed purge frees no name");
    let foreign = Change::new(b).and_all(secrets::update(b, &mine));
    assert_eq!(ground.store.write(foreign).await, Err(WriteError::Conflict));
    assert_eq!(ground.store.values(a, mine.id).await.unwrap().len(), 1);
    assert_eq!(ground.store.events(b, &Filter { limit: 10, ..Filter::default() }).await.unwrap().len(), 1);
}

/// Names are one set for secrets and variables, whatever their case; purging frees one.
#[tokio::test]
async fn names_are_unique_until_purged() {
    let ground = Ground::new();
    let (a, environment) = ground.workspace("a").await;
    let mine = secret("Name");
    let versions =
        (1..=3).flat_map(|number| secrets::insert_version(a, mine.id, environment.id, &version(number)));
    ground.store.write(Change::new(a).and_all(secrets::insert(a, &mine)).and_all(versions)).await.unwrap();
    assert_eq!(ground.store.write(creation(a, "NAME")).await, Err(WriteError::Taken));
    let variable = variables::Variable {
        id: id(tacit_model::VariableId::generate),
        name: "nAME".parse().unwrap(),
        description: String::new(),
        folder: "".parse().unwrap(),
        created_at: NOW,
        updated_at: NOW,
    };
    assert_eq!(
        ground.store.write(Change::new(a).and_all(variables::insert(a, &variable))).await,
        Err(WriteError::Taken)
    );
    assert_eq!(
        ground
            .store
            .write(Change::new(a).and_all(secrets::insert_version(a, mine.id, environment.id, &version(3))))
            .await,
        Err(WriteError::Taken)
    );
    assert_eq!(ground.store.latest_version(a, mine.id, environment.id).await.unwrap(), 3);
    ground.store.write(Change::new(a).and_all(secrets::purge(a, &mine))).await.unwrap();
    assert!(ground.store.versions(a, mine.id, environment.id).await.unwrap().is_empty());
    assert_eq!(ground.store.latest_version(a, mine.id, environment.id).await.unwrap(), 0);
    ground.store.write(Change::new(a).and_all(variables::insert(a, &variable))).await.unwrap();
    assert_eq!(ground.store.write(creation(a, "name")).await, Err(WriteError::Taken));
    ground.store.write(Change::new(a).and_all(variables::delete(a, &variable))).await.unwrap();
    ground.store.write(creation(a, "name")).await.unwrap();
}

/// Pages hold as many rows as were asked for, go on where the last one ended, and miss and repeat none.
#[tokio::test]
async fn pages() {
    const ROWS: usize = 53;
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let change = (0..ROWS).fold(Change::new(a), |change, number| {
        change.and_all(secrets::insert(a, &secret(&format!("secret-{number:02}"))))
    });
    let change = (0..ROWS).fold(change, |change, number| {
        let mut event = event(a, &format!("secret-{:02}", number % 5));
        event.at = Timestamp::from_millis(number as i64);
        change.record(&event)
    });
    ground.store.write(change).await.unwrap();
    for limit in [1, 7, ROWS, ROWS + 1] {
        let mut found = Vec::new();
        loop {
            let after = found.last().map(|listed: &secrets::Listed| listed.key.clone());
            let page = ground
                .store
                .secrets(a, &secrets::Filter { after, limit, ..secrets::Filter::default() })
                .await
                .unwrap();
            assert!(page.len() <= limit);
            let is_last = page.len() < limit;
            found.extend(page);
            if is_last {
                break;
            }
        }
        let names: Vec<String> = found.iter().map(|listed| listed.secret.name.to_string()).collect();
        assert_eq!(
            names,
            (0..ROWS).map(|number| format!("secret-{number:02}")).collect::<Vec<_>>(),
            "{limit}"
        );

        let mut seqs = Vec::new();
        loop {
            let page = ground
                .store
                .events(a, &Filter { before: seqs.last().copied(), limit, ..Filter::default() })
                .await
                .unwrap();
            assert!(page.len() <= limit);
            let is_last = page.len() < limit;
            seqs.extend(page.iter().map(|event| event.seq));
            if is_last {
                break;
            }
        }
        assert_eq!(seqs, (0..ROWS as i64).rev().collect::<Vec<_>>(), "{limit}");
    }
    let store = &ground.store;
    let of = |filter: Filter| async move {
        store.events(a, &Filter { limit: 1000, ..filter }).await.unwrap().len()
    };
    assert_eq!(of(Filter { object: Some("secret:secret-00".into()), ..Filter::default() }).await, 11);
    assert_eq!(of(Filter { since: Some(Timestamp::from_millis(50)), ..Filter::default() }).await, 3);
    assert_eq!(of(Filter { until: Some(Timestamp::from_millis(50)), ..Filter::default() }).await, 50);
    assert_eq!(of(Filter { actor: Some("user:nobody".into()), ..Filter::default() }).await, 0);
    assert_eq!(
        of(Filter {
            actor: Some("system:tacit".into()),
            verb: Some("secret.create".into()),
            outcome: Some("succeeded".into()),
            ..Filter::default()
        })
        .await,
        ROWS
    );
    assert_eq!(of(Filter { verb: Some("secret.create' OR '1'='1".into()), ..Filter::default() }).await, 0);
    assert_eq!(
        ground
            .store
            .secrets(a, &secrets::Filter { limit: 0, ..secrets::Filter::default() })
            .await
            .unwrap()
            .len(),
        0
    );
}

/// A search finds literally what was typed, in any ASCII case; nothing in it is a pattern.
#[tokio::test]
async fn a_search_is_not_a_pattern() {
    let ground = Ground::new();
    let (a, _) = ground.workspace("a").await;
    let mut described = secret("one");
    described.description = "Charge 100% of what_is due".to_owned();
    described.folder = "payments/eu".parse().unwrap();
    let mut other = secret("two");
    other.folder = "payments-old".parse().unwrap();
    ground
        .store
        .write(Change::new(a).and_all(secrets::insert(a, &described)).and_all(secrets::insert(a, &other)))
        .await
        .unwrap();
    let search = |text: &str| {
        let filter =
            secrets::Filter { search: Some(text.to_owned()), limit: 10, ..secrets::Filter::default() };
        let store = ground.store.clone();
        async move { store.secrets(a, &filter).await.unwrap().len() }
    };
    for (text, hits) in [
        ("ONE", 1),
        ("charge", 1),
        ("100%", 1),
        ("%", 1),
        ("t_i", 1),
        ("_", 1),
        ("O", 2),
        ("payments", 2),
        ("' OR 1", 0),
        ("*", 0),
    ] {
        assert_eq!(search(text).await, hits, "{text}");
    }
    let folder = |text: &str| {
        let filter =
            secrets::Filter { folder: Some(text.to_owned()), limit: 10, ..secrets::Filter::default() };
        let store = ground.store.clone();
        async move { store.secrets(a, &filter).await.unwrap().len() }
    };
    assert_eq!(
        (
            folder("payments").await,
            folder("payments/eu").await,
            folder("payment").await,
            folder("pay%").await
        ),
        (1, 1, 0, 0)
    );
}

/// Settings, and an environment's name, belong to their workspace.
#[tokio::test]
async fn settings_belong_to_a_workspace() {
    let ground = Ground::new();
    let (a, environment) = ground.workspace("a").await;
    ground.workspace("b").await;
    let settings = workspaces::Settings {
        version_keep_days: 1,
        version_keep_count: 2,
        deletion_window_days: 3,
        allow_protected_delete: true,
        reveal_needs_reason: true,
        hide_after_secs: 9,
        run_keep_days: 9,
    };
    ground.store.write(Change::new(a).bump().and(workspaces::update_settings(a, &settings))).await.unwrap();
    let found = ground.store.workspaces().await.unwrap();
    assert_eq!((found[0].settings, found[1].settings), (settings, workspaces::Settings::default()));
    let again = workspaces::Environment { id: id(tacit_model::EnvironmentId::generate), ..environment };
    assert_eq!(
        ground.store.write(Change::new(a).and(workspaces::insert_environment(a, &again))).await,
        Err(WriteError::Taken)
    );
    let nowhere = id(WorkspaceId::generate);
    assert_eq!(
        ground.store.write(Change::new(nowhere).and(workspaces::update_settings(nowhere, &settings))).await,
        Err(WriteError::Conflict)
    );
}
