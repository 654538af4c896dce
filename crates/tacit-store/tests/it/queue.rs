//! The queue of runs and the triggers, as rows: who has a run, what may be written about it, what becomes of it.

use tacit_model::{
    AutomationId, EnvironmentId, RunId, ServiceAccountId, Timestamp, WorkspaceId, trigger::Schedule,
};
use tacit_store::{
    Change, Statement, Store, WriteError, automations,
    principals::TokenOwner,
    runs::{self, Claim, Run, RunFilter, Task},
    triggers::{self, Enabled},
};

use crate::ground::{Ground, NOW, id};

const ONE: [u8; 16] = [1; 16];
const OTHER: [u8; 16] = [2; 16];

fn claim(node: [u8; 16], at_once: [i64; 3]) -> Claim {
    Claim { node, until: NOW.plus_secs(30), at_once }
}

fn task(automation: AutomationId) -> Task {
    Task {
        run: Run {
            id: id(RunId::generate),
            automation: "automation".to_owned(),
            environment: "test".to_owned(),
            status: "queued".to_owned(),
            code: None,
            steps: "[]".to_owned(),
            started_by: "user:owner".to_owned(),
            started_at: NOW,
            finished_at: None,
            trigger: None,
            begun: None,
            cancelled_by: None,
        },
        automation,
        hash: [3; 32],
        at_once: None,
        creator: [4; 32],
        starter: [5; 16],
        input: Some("null".to_owned()),
        lease: None,
        lease_until: None,
    }
}

async fn write(store: &Store, workspace: WorkspaceId, statement: Statement) -> Result<(), WriteError> {
    store.write(Change::new(workspace).and(statement)).await.map(drop)
}

async fn found(store: &Store, workspace: WorkspaceId, task: &Task) -> Task {
    store.run_task(workspace, task.run.id).await.unwrap().unwrap()
}

/// A run is claimed by one node, as far as there is room; whatever is written about it later is that node's to write.
#[tokio::test]
async fn one_node_has_a_run() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, _) = ground.workspace("a").await;
    let automation = id(AutomationId::generate);
    let (first, second) = (task(automation), task(automation));
    let room = [9, 9, 1];
    for task in [&first, &second] {
        let change = Change::new(workspace).and(runs::insert(workspace, task)).and(runs::claim(
            workspace,
            task.run.id,
            &claim(ONE, room),
        ));
        store.write(change).await.unwrap();
    }
    assert_eq!(found(store, workspace, &first).await.lease, Some(ONE));
    assert_eq!(found(store, workspace, &second).await.run.status, "queued");
    assert_eq!(store.queued_runs_count(workspace).await.unwrap(), 1);
    for full in [room, [1, 9, 9], [9, 1, 9]] {
        assert!(store.claimable_runs(&claim(OTHER, full), 10).await.unwrap().is_empty());
    }
    let claimable = store.claimable_runs(&claim(OTHER, [9, 9, 2]), 10).await.unwrap();
    assert_eq!(
        claimable.iter().map(|(name, _, id)| (name.as_str(), *id)).collect::<Vec<_>>(),
        [("a", second.run.id)]
    );

    let run = first.run.id;
    assert!(store.run_is_held(workspace, run, &ONE).await.unwrap());
    assert!(!store.run_is_held(workspace, run, &OTHER).await.unwrap());
    for foreign in [
        runs::begin_step(workspace, run, OTHER, "charge"),
        runs::keep_steps(workspace, run, OTHER, "[1]"),
        runs::finish(workspace, &first.run, Some(OTHER)),
        runs::finish(workspace, &first.run, None),
    ] {
        assert!(write(store, workspace, foreign).await.is_err());
    }
    write(store, workspace, runs::begin_step(workspace, run, ONE, "charge")).await.unwrap();
    assert_eq!(found(store, workspace, &first).await.run.begun.as_deref(), Some("charge"));
    write(store, workspace, runs::keep_steps(workspace, run, ONE, "[1]")).await.unwrap();
    assert_eq!(found(store, workspace, &first).await.run.begun, None);
    write(store, workspace, runs::request_cancel(workspace, run, "user:owner")).await.unwrap();
    assert_eq!(store.cancelled_runs(workspace, &ONE).await.unwrap(), [run]);
    let ended = Run {
        status: "succeeded".to_owned(),
        finished_at: Some(NOW),
        steps: "[2]".to_owned(),
        ..first.run.clone()
    };
    write(store, workspace, runs::finish(workspace, &ended, Some(ONE))).await.unwrap();
    let last = found(store, workspace, &first).await;
    assert_eq!((last.input, last.lease, last.run.steps.as_str()), (None, None, "[2]"));
    for late in [
        runs::finish(workspace, &ended, Some(ONE)),
        runs::request_cancel(workspace, run, "user:owner"),
        runs::begin_step(workspace, run, ONE, "charge"),
    ] {
        assert!(write(store, workspace, late).await.is_err(), "a run ends once");
    }

    // There is room again.
    write(store, workspace, runs::claim(workspace, second.run.id, &claim(OTHER, room))).await.unwrap();
    assert_eq!(found(store, workspace, &second).await.lease, Some(OTHER));
    let list = async |filter: RunFilter| store.runs(workspace, &filter, None, 10).await.unwrap().len();
    assert_eq!(list(RunFilter::default()).await, 2);
    assert_eq!(list(RunFilter { status: Some("running".to_owned()), ..RunFilter::default() }).await, 1);
    assert_eq!(list(RunFilter { automation: Some("else".to_owned()), ..RunFilter::default() }).await, 0);
    let by = |trigger: &str| RunFilter { trigger: Some(trigger.to_owned()), ..RunFilter::default() };
    assert_eq!((list(by(RunFilter::MANUAL)).await, list(by("webhook")).await), (2, 0));
    assert_eq!(store.runs_finished_before(workspace, NOW.plus_secs(1)).await.unwrap(), 1);
    write(store, workspace, runs::delete_finished_before(workspace, NOW.plus_secs(1), 10)).await.unwrap();
    assert_eq!(list(RunFilter::default()).await, 1);
}

/// As many of an automation go at once in an environment as its definition says, and those that have to wait do not hide others.
#[tokio::test]
async fn as_many_as_may() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, _) = ground.workspace("a").await;
    let automation = id(AutomationId::generate);
    let limited = |environment: &str| {
        let mut task = task(automation);
        task.run.environment = environment.to_owned();
        Task { at_once: Some(1), ..task }
    };
    let room = claim(ONE, [9, 9, 9]);
    let insert = async |task: &Task, claims: bool| {
        let claimed = claims.then(|| runs::claim(workspace, task.run.id, &room));
        store
            .write(Change::new(workspace).and(runs::insert(workspace, task)).and_all(claimed))
            .await
            .unwrap();
        found(store, workspace, task).await.run.status
    };
    assert_eq!(insert(&limited("test"), true).await, "running");
    for _ in 0..3 {
        assert_eq!(insert(&limited("test"), true).await, "queued");
    }
    // Another environment is not held up, and neither is what waits behind.
    assert_eq!(insert(&limited("live"), true).await, "running");
    let other = task(id(AutomationId::generate));
    assert_eq!(insert(&other, false).await, "queued");
    let claimable = store.claimable_runs(&room, 1).await.unwrap();
    assert_eq!(claimable.iter().map(|(_, _, id)| *id).collect::<Vec<_>>(), [other.run.id]);
}

/// A list holds no results that are too large to be read together; what is new is known without reading them.
#[tokio::test]
async fn large_results_stay_where_they_are() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, _) = ground.workspace("a").await;
    let large = task(id(AutomationId::generate));
    let run = large.run.id;
    let change = Change::new(workspace).and(runs::insert(workspace, &large)).and(runs::claim(
        workspace,
        run,
        &claim(ONE, [9; 3]),
    ));
    store.write(change).await.unwrap();
    let mark = async || store.run_mark(workspace, run).await.unwrap().unwrap();
    let before = mark().await;
    let steps = format!("[\"{}\"]", "a".repeat(100_000));
    write(store, workspace, runs::keep_steps(workspace, run, ONE, &steps)).await.unwrap();
    let after = mark().await;
    assert!(before != after && after.steps_bytes == 100_004, "{after:?}");
    let listed = store.runs(workspace, &RunFilter::default(), None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].steps.as_str()), (1, "null"));
    assert_eq!(store.run(workspace, run).await.unwrap().unwrap().steps, steps);
}

/// What nobody renews goes back into the queue, but for what may have sent.
#[tokio::test]
async fn what_is_left_behind() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, _) = ground.workspace("a").await;
    let automation = id(AutomationId::generate);
    let left = task(automation);
    let change = Change::new(workspace).and(runs::insert(workspace, &left)).and(runs::claim(
        workspace,
        left.run.id,
        &claim(ONE, [9; 3]),
    ));
    store.write(change).await.unwrap();
    assert!(store.abandoned_runs(NOW.plus_secs(29)).await.unwrap().is_empty());
    let held = found(store, workspace, &left).await;
    // What it renews is what goes there: neither what it has forgotten nor what is another's.
    for (run, node) in [(id(RunId::generate), ONE), (left.run.id, OTHER)] {
        write(store, workspace, runs::renew(workspace, run, node, NOW.plus_secs(60))).await.unwrap();
    }
    assert_eq!(store.abandoned_runs(NOW.plus_secs(30)).await.unwrap().len(), 1);
    write(store, workspace, runs::renew(workspace, left.run.id, ONE, NOW.plus_secs(60))).await.unwrap();
    assert!(store.abandoned_runs(NOW.plus_secs(30)).await.unwrap().is_empty());
    assert_eq!(store.abandoned_runs(NOW.plus_secs(60)).await.unwrap().len(), 1);
    assert!(
        write(store, workspace, runs::put_back(workspace, &held)).await.is_err(),
        "it was renewed meanwhile"
    );
    let held = found(store, workspace, &left).await;
    write(store, workspace, runs::begin_step(workspace, left.run.id, ONE, "charge")).await.unwrap();
    assert!(write(store, workspace, runs::put_back(workspace, &held)).await.is_err(), "it may have sent");
    write(store, workspace, runs::keep_steps(workspace, left.run.id, ONE, "[1]")).await.unwrap();
    write(store, workspace, runs::put_back(workspace, &held)).await.unwrap();
    let back = found(store, workspace, &left).await;
    assert_eq!((back.run.status.as_str(), back.lease, back.run.steps.as_str()), ("queued", None, "[1]"));
    // The node that was away does not have it any more.
    assert!(write(store, workspace, runs::begin_step(workspace, left.run.id, ONE, "next")).await.is_err());
}

/// Triggers are found by what is presented and by what is due, and a schedule is moved on once.
#[tokio::test]
async fn triggers_fire_once() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, environment) = ground.workspace("a").await;
    let environment: EnvironmentId = environment.id;
    let automation = automations::Automation {
        id: id(AutomationId::generate),
        name: "automation".parse().unwrap(),
        created_at: NOW,
    };
    let schedule = Schedule { cron: "* * * * *".to_owned(), timezone: "UTC".to_owned() };
    let owner = TokenOwner::ServiceAccount(workspace, id(ServiceAccountId::generate));
    let enabled = Enabled {
        automation: automation.id,
        environment,
        credential: [1; 32],
        owner,
        enabled_by: "service-account:ci".to_owned(),
        hook: Some([2; 32]),
        created_at: NOW,
    };
    let reschedule = || triggers::reschedule(workspace, automation.id, environment, &[(0, &schedule)]);
    let change =
        Change::new(workspace).and(automations::insert(workspace, &automation)).and_all(reschedule());
    store.write(change).await.unwrap();
    assert!(
        store.schedules(workspace, automation.id).await.unwrap().is_empty(),
        "nothing fires that is not enabled"
    );
    let change = Change::new(workspace).and_all(triggers::enable(workspace, &enabled, &[(0, &schedule)]));
    store.write(change).await.unwrap();
    assert_eq!(store.triggers(workspace, automation.id).await.unwrap()[0].owner, owner);
    assert_eq!(store.trigger_of_credential(&[1; 32]).await.unwrap().unwrap().0, workspace);
    assert!(store.trigger_of_credential(&[2; 32]).await.unwrap().is_none());
    assert_eq!(store.trigger_of_hook(&[2; 32]).await.unwrap().unwrap().0.as_str(), "a");

    let due = async |now: Timestamp| store.due_schedules(now, 10).await.unwrap();
    let unplanned = due(NOW).await.remove(0);
    assert_eq!((unplanned.next_at, store.next_schedule_at().await.unwrap()), (None, None));
    write(store, workspace, triggers::advance(&unplanned, NOW.plus_secs(60), None)).await.unwrap();
    assert!(due(NOW).await.is_empty());
    assert_eq!(store.next_schedule_at().await.unwrap(), Some(NOW.plus_secs(60)));
    let ready = due(NOW.plus_secs(61)).await.remove(0);
    let fire = || triggers::advance(&ready, NOW.plus_secs(120), Some(NOW.plus_secs(61)));
    write(store, workspace, fire()).await.unwrap();
    assert!(write(store, workspace, fire()).await.is_err(), "it fires once");
    let fired = store.schedules(workspace, automation.id).await.unwrap().remove(0);
    assert_eq!((fired.next_at, fired.last_at), (Some(NOW.plus_secs(120)), Some(NOW.plus_secs(61))));

    write(store, workspace, triggers::set_hook(workspace, automation.id, environment, [3; 32]))
        .await
        .unwrap();
    assert!(store.trigger_of_hook(&[2; 32]).await.unwrap().is_none());
    write(store, workspace, triggers::drop_hook(workspace, automation.id, environment)).await.unwrap();
    assert!(store.trigger_of_hook(&[3; 32]).await.unwrap().is_none());
    store.write(Change::new(workspace).and_all(reschedule())).await.unwrap();
    let kept = store.schedules(workspace, automation.id).await.unwrap().remove(0);
    assert_eq!(
        (kept.next_at, kept.last_at),
        (fired.next_at, fired.last_at),
        "what stays as it was keeps its times"
    );
    let hourly = Schedule { cron: "0 * * * *".to_owned(), timezone: "UTC".to_owned() };
    let published =
        triggers::reschedule(workspace, automation.id, environment, &[(1, &schedule), (3, &hourly)]);
    store.write(Change::new(workspace).and_all(published)).await.unwrap();
    let numbers = async || {
        let found = store.schedules(workspace, automation.id).await.unwrap();
        found.into_iter().map(|found| (found.number, found.cron, found.next_at)).collect::<Vec<_>>()
    };
    let (every_minute, every_hour) = ("* * * * *".to_owned(), "0 * * * *".to_owned());
    assert_eq!(numbers().await, [(1, every_minute, None), (3, every_hour.clone(), None)]);
    let published = triggers::reschedule(workspace, automation.id, environment, &[(1, &hourly)]);
    store.write(Change::new(workspace).and_all(published)).await.unwrap();
    assert_eq!(numbers().await, [(1, every_hour, None)]);
    assert_eq!(due(NOW).await.len(), 1, "what is published anew is worked out anew");
    let change = Change::new(workspace).and_all(triggers::disable(workspace, automation.id, environment));
    store.write(change).await.unwrap();
    assert!(due(NOW).await.is_empty() && store.trigger_of_credential(&[1; 32]).await.unwrap().is_none());
    let change = Change::new(workspace).and_all(triggers::enable(workspace, &enabled, &[(0, &schedule)]));
    store.write(change).await.unwrap();
    store.write(Change::new(workspace).and_all(automations::delete(workspace, automation.id))).await.unwrap();
    assert!(store.triggers(workspace, automation.id).await.unwrap().is_empty());
    assert_eq!(store.workspace_name(workspace).await.unwrap().unwrap().as_str(), "a");
}
