//! Where secrets are named and were used, and the tokens that were fetched with them.

use tacit_model::{AutomationId, EnvironmentId, SecretId, Timestamp, WorkspaceId};
use tacit_store::{
    Change, Store, automations,
    references::{self, ObservedUse},
    secrets, tokens,
};

use crate::ground::{Ground, NOW, id, secret, version};

fn token(serial: i64, kept_until: Timestamp) -> tokens::AccessToken {
    tokens::AccessToken {
        serial,
        version: 1,
        sealed: serial.to_be_bytes().to_vec(),
        usable_until: NOW.plus_secs(60),
        kept_until,
        ended: false,
    }
}

async fn serials(
    store: &Store,
    workspace: WorkspaceId,
    secret: SecretId,
    environment: EnvironmentId,
) -> Vec<i64> {
    let tokens = store.access_tokens(workspace, secret, environment).await.unwrap();
    tokens.iter().map(|token| token.serial).collect()
}

/// The newest tokens are kept, until their time is over; none of a version that is gone.
#[tokio::test]
async fn tokens_come_and_go() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, environment) = ground.workspace("a").await;
    let environment = environment.id;
    let owner = secret("Name");
    let made = Change::new(workspace)
        .and_all(secrets::insert(workspace, &owner))
        .and_all(secrets::insert_version(workspace, owner.id, environment, &version(1)));
    store.write(made).await.unwrap();
    let insert = |token: &tokens::AccessToken, now| {
        Change::new(workspace).and_all(tokens::insert(workspace, owner.id, environment, token, now))
    };
    for serial in 1..=20 {
        store.write(insert(&token(serial, NOW.plus_secs(100 * serial)), NOW)).await.unwrap();
    }
    let kept = serials(store, workspace, owner.id, environment).await;
    assert_eq!(kept, (5..=20).rev().collect::<Vec<_>>());
    store.write(insert(&token(20, NOW), NOW)).await.unwrap();
    let newest = store.access_tokens(workspace, owner.id, environment).await.unwrap().remove(0);
    assert_eq!(newest.kept_until, NOW.plus_secs(2_000), "whoever was faster stays");
    store.write(insert(&token(21, NOW.plus_secs(9_000)), NOW.plus_secs(1_850))).await.unwrap();
    assert_eq!(serials(store, workspace, owner.id, environment).await, [21, 20, 19]);
    let foreign = tokens::AccessToken { version: 9, ..token(22, NOW.plus_secs(9_000)) };
    store.write(insert(&foreign, NOW)).await.unwrap();
    assert_eq!(serials(store, workspace, owner.id, environment).await[0], 21);

    let change = Change::new(workspace)
        .and(tokens::end(workspace, owner.id, Some(environment)))
        .and(tokens::reseal(workspace, owner.id, environment, 21, &[7]));
    store.write(change).await.unwrap();
    let tokens = store.access_tokens(workspace, owner.id, environment).await.unwrap();
    assert!(tokens.iter().all(|token| token.ended) && tokens[0].sealed == [7]);
    assert_eq!(store.access_tokens_past(workspace, NOW.plus_secs(1_950)).await.unwrap(), 1);
    let past = tokens::delete_past(workspace, NOW.plus_secs(1_950));
    store.write(Change::new(workspace).and(past)).await.unwrap();
    assert_eq!(serials(store, workspace, owner.id, environment).await, [21, 20]);
    let gone = secrets::delete_value(workspace, owner.id, environment);
    store.write(Change::new(workspace).and_all(gone)).await.unwrap();
    assert!(serials(store, workspace, owner.id, environment).await.is_empty());
    store.write(Change::new(workspace).and_all(secrets::purge(workspace, &owner))).await.unwrap();
}

/// References follow what is published; uses are remembered by user and place, and go with the secret.
#[tokio::test]
async fn references_and_uses() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, environment) = ground.workspace("a").await;
    let environment = environment.id;
    let owner = secret("Name");
    let automation = automations::Automation {
        id: id(AutomationId::generate),
        name: "automation".parse().unwrap(),
        created_at: NOW,
    };
    let published = automations::Published {
        environment,
        definition: "{}".to_owned(),
        hash: [3; 32],
        published_at: NOW,
        published_by: "user:owner".to_owned(),
    };
    let grant = |fields: &[&str]| automations::Grant {
        secret: owner.id,
        hash: [3; 32],
        pinned: None,
        granted_by: "user:owner".to_owned(),
        fields: fields.iter().map(|field| ("charge".to_owned(), (*field).to_owned())).collect(),
    };
    let publish =
        |fields: &[&str]| automations::publish(workspace, automation.id, &published, &[grant(fields)]);
    let made = Change::new(workspace)
        .and_all(secrets::insert(workspace, &owner))
        .and(automations::insert(workspace, &automation))
        .and_all(publish(&["auth", "query:k"]));
    store.write(made).await.unwrap();
    let fields = async || {
        let found = store.references(workspace, owner.id).await.unwrap();
        found.into_iter().map(|found| found.field.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(fields().await, ["auth", "query:k"]);
    store.write(Change::new(workspace).and_all(publish(&["path"]))).await.unwrap();
    assert_eq!(fields().await, ["path"]);
    store.write(Change::new(workspace).and_all(publish(&[]))).await.unwrap();
    assert_eq!(fields().await, [""], "what was published before fields were kept is named all the same");
    store.write(Change::new(workspace).and_all(publish(&["auth"]))).await.unwrap();

    let seen = |actor: &str, secs| ObservedUse {
        actor: actor.to_owned(),
        environment: "test".to_owned(),
        target: "https://api.example.com".to_owned(),
        first_at: NOW.plus_secs(secs),
        last_at: NOW.plus_secs(secs),
    };
    let observe = |seen: &ObservedUse| references::observe(workspace, owner.id, seen);
    let uses = [seen("user:a", 1), seen("user:b", 2), seen("user:a", 9), seen("user:a", 5)];
    let change = uses.iter().fold(Change::new(workspace), |change, seen| change.and(observe(seen)));
    let nobodys = references::observe(workspace, id(SecretId::generate), &seen("user:a", 1));
    store.write(change.and(nobodys)).await.unwrap();
    let found = store.observed_uses(workspace, owner.id).await.unwrap();
    assert_eq!(found, [ObservedUse { last_at: NOW.plus_secs(9), ..seen("user:a", 1) }, seen("user:b", 2)]);
    assert_eq!(store.observed_before(workspace, NOW.plus_secs(60)).await.unwrap(), 2);
    let forgotten = references::forget_uses_before(workspace, NOW.plus_secs(5));
    store.write(Change::new(workspace).and(forgotten)).await.unwrap();
    assert_eq!(store.observed_uses(workspace, owner.id).await.unwrap().len(), 1);

    let purged = Change::new(workspace)
        .and(automations::delete_grants_of(workspace, owner.id))
        .and_all(secrets::purge(workspace, &owner));
    store.write(purged).await.unwrap();
    assert!(store.observed_uses(workspace, owner.id).await.unwrap().is_empty());
    assert!(fields().await.is_empty());
    let deleted = automations::delete(workspace, automation.id);
    store.write(Change::new(workspace).and_all(deleted)).await.unwrap();
}
