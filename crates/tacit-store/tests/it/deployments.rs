//! Deployments as rows: kept, listed by workspace, taken back once; and what they take out of an environment.

use tacit_model::{AutomationId, DeploymentId, EnvironmentId, VariableId};
use tacit_store::{Change, automations, deployments, variables};

use crate::ground::{Ground, NOW, id};

fn deployment(from: EnvironmentId, to: EnvironmentId) -> deployments::Deployment {
    deployments::Deployment {
        id: id(DeploymentId::generate),
        from,
        to,
        plan: "{}".to_owned(),
        undo: "{}".to_owned(),
        created_at: NOW,
        created_by: "user:owner".to_owned(),
        rolled_back_at: None,
        rolled_back_by: None,
    }
}

/// It is found in its workspace and nowhere else, and ends once.
#[tokio::test]
async fn kept_and_taken_back_once() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, environment) = ground.workspace("a").await;
    let (other, _) = ground.workspace("b").await;
    let kept = deployment(environment.id, environment.id);
    assert!(store.deployments(workspace, None, 10).await.unwrap().is_empty());
    store.write(Change::new(workspace).and(deployments::insert(workspace, &kept))).await.unwrap();
    assert!(store.deployment(other, kept.id).await.unwrap().is_none());
    assert!(store.deployments(other, None, 10).await.unwrap().is_empty());
    assert_eq!(store.deployments(workspace, None, 10).await.unwrap().len(), 1);
    assert!(store.deployments(workspace, Some(kept.id), 10).await.unwrap().is_empty());
    // An environment of another workspace is none.
    let foreign = deployments::insert(other, &deployment(environment.id, environment.id));
    assert!(store.write(Change::new(other).and(foreign)).await.is_err());
    let back =
        |workspace| Change::new(workspace).and(deployments::roll_back(workspace, kept.id, NOW, "user:owner"));
    assert!(store.write(back(other)).await.is_err());
    store.write(back(workspace)).await.unwrap();
    assert!(store.write(back(workspace)).await.is_err());
    let found = store.deployment(workspace, kept.id).await.unwrap().unwrap();
    assert_eq!((found.rolled_back_at, found.rolled_back_by.as_deref()), (Some(NOW), Some("user:owner")));
}

/// A definition and a variable's value are taken out of one environment, if they are there.
#[tokio::test]
async fn taken_out() {
    let ground = Ground::new();
    let store = &ground.store;
    let (workspace, environment) = ground.workspace("a").await;
    let automation = automations::Automation {
        id: id(AutomationId::generate),
        name: "automation".parse().unwrap(),
        created_at: NOW,
    };
    let published = automations::Published {
        environment: environment.id,
        definition: "{}".to_owned(),
        hash: [3; 32],
        published_at: NOW,
        published_by: "user:owner".to_owned(),
    };
    let variable = variables::Variable {
        id: id(VariableId::generate),
        name: "variable".parse().unwrap(),
        description: String::new(),
        folder: "".parse().unwrap(),
        created_at: NOW,
        updated_at: NOW,
    };
    let change = Change::new(workspace)
        .and(automations::insert(workspace, &automation))
        .and_all(automations::publish(workspace, automation.id, &published, &[]))
        .and_all(variables::insert(workspace, &variable))
        .and(variables::set_value(workspace, variable.id, environment.id, "one", NOW));
    store.write(change).await.unwrap();
    let take_out = || {
        Change::new(workspace)
            .and_all(automations::unpublish(workspace, automation.id, environment.id))
            .and(variables::delete_value(workspace, variable.id, environment.id))
    };
    store.write(take_out()).await.unwrap();
    assert!(store.published(workspace, automation.id).await.unwrap().is_empty());
    assert!(store.variable_values(workspace, variable.id).await.unwrap().is_empty());
    assert!(store.automation(workspace, "automation").await.unwrap().is_some());
    assert!(store.write(take_out()).await.is_err());
}
