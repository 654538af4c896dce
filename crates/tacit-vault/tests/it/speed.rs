//! Whether what is stored slows down what is asked: measured, not asserted in passing. Run in release:
//! `cargo test --release -p tacit-vault --test it speed -- --ignored --nocapture`.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use tacit_model::{Destinations, EnvironmentId, SecretId, SecretType, Visibility, WorkspaceId};
use tacit_store::{
    Change,
    secrets::{self, Secret, Version},
};
use tacit_vault::{Caller, SecretFilter};

use crate::ground::{Ground, NOW};

/// Calls of each kind that are timed.
const CALLS: usize = 400;

fn row(number: usize) -> Secret {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Secret {
        id: SecretId::generate(NOW, random),
        // Spread over the alphabet, as names are.
        name: format!("{:04x}_service_{number}_key", number.wrapping_mul(40_503) % 65_536).parse().unwrap(),
        kind: SecretType::Text,
        visibility: Visibility::Masked,
        description: format!("Credential number {number} for the integration with partner {}", number % 997),
        folder: format!("team-{}/{}", number % 40, if number.is_multiple_of(2) { "eu" } else { "us" })
            .parse()
            .unwrap(),
        destinations: Destinations::default(),
        rotate_every_days: None,
        expires_at: None,
        disabled: false,
        deleted_at: None,
        created_at: NOW,
        created_by: "user:owner".to_owned(),
        updated_at: NOW,
        proposed: false,
        suggested_destinations: Destinations::default(),
        rotate_at: None,
        purge_at: None,
    }
}

/// So many secrets with so many versions each, as far as the store can tell.
async fn fill(ground: &Ground, from: usize, to: usize, versions: i64) {
    let store = ground.vault.store();
    let workspace: WorkspaceId = store.workspaces().await.unwrap()[0].id;
    let environment: EnvironmentId = store.environments(workspace).await.unwrap()[0].id;
    let numbers: Vec<usize> = (from..to).collect();
    for batch in numbers.chunks(500) {
        let mut change = Change::new(workspace);
        for number in batch {
            let secret = row(*number);
            change = change.and_all(secrets::insert(workspace, &secret));
            for version in 1..=versions {
                let version = Version {
                    version,
                    sealed: vec![7; 141],
                    shown: "{}".to_owned(),
                    created_at: NOW,
                    created_by: "user:owner".to_owned(),
                    reason: None,
                    fingerprint: None,
                };
                change = change.and_all(secrets::insert_version(workspace, secret.id, environment, &version));
            }
        }
        store.write(change.bump()).await.unwrap();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn time<T>(mut call: impl AsyncFnMut(usize) -> T) -> Duration {
    for number in 0..20 {
        call(number).await;
    }
    let mut times = Vec::new();
    for number in 0..CALLS {
        let started = Instant::now();
        call(number).await;
        times.push(started.elapsed());
    }
    median(times)
}

/// Pages of a list, and searches for what is rare, for what is common and for what is not there.
async fn lists(ground: &Ground, count: usize) -> Vec<(&'static str, Duration)> {
    let page = async |search: Option<String>, after: Option<String>| {
        let filter = SecretFilter { search, after, limit: 20, ..SecretFilter::default() };
        ground.vault.list_secrets(&ground.owner, &filter).await.unwrap().0.len()
    };
    let deep = row(count / 2).name.key();
    vec![
        ("list, first page", time(async |_| assert_eq!(page(None, None).await, 20)).await),
        (
            "list, page in the middle",
            time(async |_| assert_eq!(page(None, Some(deep.clone())).await, 20)).await,
        ),
        (
            "search, one hit",
            time(async |call| {
                let search = format!("service_{}_key", (call * 7919) % count);
                assert_eq!(page(Some(search), None).await, 1);
            })
            .await,
        ),
        (
            "search, many hits",
            time(async |call| {
                assert_eq!(page(Some(["SERVICE", "partner", "/eu"][call % 3].to_owned()), None).await, 20)
            })
            .await,
        ),
        (
            "search, no hit",
            time(async |_| assert_eq!(page(Some("service_x".to_owned()), None).await, 0)).await,
        ),
        (
            "search, words that everything has, side by side in nothing",
            time(async |call| {
                let search = ["credential integration", "service partner", "for with partner"][call % 3];
                assert_eq!(page(Some(search.to_owned()), None).await, 0)
            })
            .await,
        ),
        (
            "search, what everything has",
            time(async |_| {
                let search = "for the integration with partner".to_owned();
                assert_eq!(page(Some(search), None).await, 20)
            })
            .await,
        ),
        (
            "search, one character that everything has",
            time(async |_| assert_eq!(page(Some("e".to_owned()), None).await, 20)).await,
        ),
        (
            "search, two characters",
            time(async |_| assert_eq!(page(Some("eu".to_owned()), None).await, 20)).await,
        ),
    ]
}

/// List and search with 1,000 and with 100,000 secrets.
#[tokio::test]
#[ignore = "takes minutes, and means nothing without --release"]
async fn lists_and_searches() {
    let ground = Ground::new().await;
    fill(&ground, 0, 1_000, 1).await;
    let few = lists(&ground, 1_000).await;
    fill(&ground, 1_000, 100_000, 1).await;
    let many = lists(&ground, 100_000).await;
    for ((what, few), (_, many)) in few.iter().zip(&many) {
        println!(
            "{what}: {few:?} with 1,000, {many:?} with 100,000: {:.2}",
            many.as_secs_f64() / few.as_secs_f64()
        );
    }
}

async fn uses(ground: &Ground) -> Vec<(&'static str, Duration)> {
    vec![
        (
            "reveal",
            time(async |_| {
                // Ten minutes apart, because looking is limited in how often.
                static LOOKS: AtomicI64 = AtomicI64::new(0);
                let now = NOW.plus_secs(600 * LOOKS.fetch_add(1, Ordering::Relaxed));
                let caller = Caller { now, ..ground.owner.clone() };
                let (name, environment) = ("MINE".parse().unwrap(), "test".parse().unwrap());
                ground.vault.reveal(&caller, &name, &environment, None).await.unwrap()
            })
            .await,
        ),
        (
            "use",
            time(async |_| ground.use_it("MINE", "test", "https://api.example.com/").await.unwrap()).await,
        ),
        ("rotate", time(async |call| ground.rotate("OTHER", "test", &format!("value {call}")).await).await),
    ]
}

/// Use and reveal with 1,000 and with 1,000,000 stored versions.
#[tokio::test]
#[ignore = "takes minutes, and means nothing without --release"]
async fn uses_and_reveals() {
    let ground = Ground::new().await;
    ground
        .create("MINE", Visibility::Masked, &["api.example.com"], &[("test", "7hG2kQ9zXv4LpW8sRt1YbN6m")])
        .await;
    ground.create("OTHER", Visibility::Masked, &[], &[("test", "one")]).await;
    fill(&ground, 0, 100, 10).await;
    let few = uses(&ground).await;
    fill(&ground, 100, 99_900, 10).await;
    let many = uses(&ground).await;
    for ((what, few), (_, many)) in few.iter().zip(&many) {
        println!(
            "{what}: {few:?} with 1,000 versions, {many:?} with 1,000,000: {:.2}",
            many.as_secs_f64() / few.as_secs_f64()
        );
    }
}
