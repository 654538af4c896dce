//! Ways round the rights by which things are deployed: none makes a value go further, or more people use it, than somebody
//! decided who might.

use serde_json::json;
use tacit_model::{Automation, Code, Visibility};
use tacit_vault::{Caller, Grantee, NewAgentSession, NewDeployment, NewGrant, NewSecret};

use crate::{
    deployments::{code, environment, name, somebody, to_live},
    ground::{Ground, NOW, destinations, fields},
};

const TEST: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
const LIVE: &str = "7hG2kQ9zXv4LpW8sRt1YbN6mC3dF5gJ0";

fn copy(from: &str, to: &str) -> NewDeployment {
    NewDeployment { from: environment(from), to: environment(to), ..to_live(&[], &["KEY"], &[]) }
}

fn definition(called: &str, host: &str) -> Automation {
    let step = json!({"id": "s", "http": {"url": format!("https://{host}/"), "auth": {"secret": "KEY"}}});
    serde_json::from_value(json!({"name": called, "steps": [step]})).unwrap()
}

async fn publish(ground: &Ground, caller: &Caller, definition: &Automation) {
    ground.vault.publish_automation(caller, definition, false).await.unwrap();
}

/// `KEY` with a destination for everywhere and one for `test` alone.
async fn aimed(ground: &Ground, visibility: Visibility) {
    let mut destinations = destinations(&["api.example.com", "sandbox.example.com"]);
    destinations.0[1].environments = vec![environment("test")];
    let new = NewSecret {
        name: name("KEY"),
        kind: tacit_model::SecretType::Text,
        visibility,
        description: String::new(),
        folder: "".parse().unwrap(),
        destinations,
        values: vec![(environment("test"), fields(TEST)), (environment("live"), fields(LIVE))],
        rotate_every_days: None,
        expires_at: None,
        reason: None,
    };
    ground.vault.create_secret(&ground.owner, &new, false).await.unwrap();
}

/// A value of `live` does not get to a host that is for values of `test`, by copying it to where it may go there.
#[tokio::test]
async fn copies_stay_aimed() {
    for visibility in [Visibility::Masked, Visibility::Restricted] {
        let ground = Ground::new().await;
        aimed(&ground, visibility).await;
        let rights = "secret.list secret.use secret.write secret.policy deploy";
        let user = somebody(&ground, "user", rights, &[]).await;
        let refused = ground.vault.deploy(&user, &copy("live", "test"), false).await.err().unwrap();
        let is_restricted = visibility == Visibility::Restricted;
        let expected = if is_restricted { Code::RestrictedSecret } else { Code::Forbidden };
        assert_eq!(refused.code, expected, "{}", refused.detail);
        assert_eq!(ground.events("deploy", "denied").await, 1);
        // Who may aim it may as well read it; where nobody may read it, nobody may aim it so.
        let owner = ground.vault.deploy(&ground.owner, &copy("live", "test"), false).await;
        assert_eq!(owner.map(drop).map_err(|problem| problem.code).is_ok(), !is_restricted);
        // Where it goes no further, all is as it was.
        ground.vault.deploy(&user, &copy("test", "live"), false).await.unwrap();
    }
}

/// A secret without destinations goes where automations are pinned to, and that too may be further in one environment.
#[tokio::test]
async fn pins_are_aims() {
    let ground = Ground::new().await;
    ground.create("KEY", Visibility::Masked, &[], &[("test", TEST), ("live", LIVE)]).await;
    let author = somebody(&ground, "author", "secret.list automation.write", &[]).await;
    let role = name("looks");
    ground
        .vault
        .create_role(&ground.owner, &role, "secret.use secret.reveal".parse().unwrap())
        .await
        .unwrap();
    let grant = NewGrant {
        role: role.to_string(),
        to: Grantee::ServiceAccount(name("author")),
        environment: Some(environment("test")),
        folder: None,
        secret: None,
        until: None,
    };
    let grant = ground.vault.create_grant(&ground.owner, &grant).await.unwrap();
    publish(&ground, &author, &definition("a", "own.example.com")).await;
    ground.vault.delete_grant(&ground.owner, grant.id).await.unwrap();
    let user = somebody(&ground, "user", "secret.list secret.use secret.write deploy", &[]).await;
    assert_eq!(code(ground.vault.deploy(&user, &copy("live", "test"), false).await), Code::Forbidden);
    ground.vault.deploy(&user, &copy("test", "live"), false).await.unwrap();
    ground.vault.deploy(&ground.owner, &copy("live", "test"), false).await.unwrap();
}

/// Who may not deploy what they wrote does not get it back by taking away what replaced it.
#[tokio::test]
async fn ones_own_by_a_rollback() {
    let ground = Ground::new().await;
    ground.create("KEY", Visibility::Masked, &["api.example.com"], &[("test", TEST), ("live", LIVE)]).await;
    let rights = "secret.list deploy automation.write";
    let author = somebody(&ground, "author", rights, &[("test", "secret.use")]).await;
    publish(&ground, &author, &definition("a", "api.example.com")).await;
    let new = to_live(&["a"], &[], &[]);
    ground.vault.deploy(&ground.owner, &new, false).await.unwrap();
    publish(&ground, &ground.owner, &definition("a", "api.example.com:8443")).await;
    let replaced = ground.vault.deploy(&ground.owner, &new, false).await.unwrap().deployment.id.unwrap();
    assert_eq!(code(ground.vault.roll_back_deployment(&author, replaced).await), Code::Forbidden);
    assert_eq!(ground.events("deploy.rollback", "denied").await, 1);
    let operator = somebody(&ground, "op", "secret.list deploy", &[]).await;
    ground.vault.roll_back_deployment(&operator, replaced).await.unwrap();
}

/// Nor does it bring back a host that they chose when they could look at the value, and no longer can.
#[tokio::test]
async fn ones_own_pin_by_a_rollback() {
    let ground = Ground::new().await;
    ground.create("KEY", Visibility::Masked, &[], &[("test", TEST), ("live", LIVE)]).await;
    let author = somebody(&ground, "author", "secret.list secret.use deploy automation.write", &[]).await;
    let role = name("looks");
    ground.vault.create_role(&ground.owner, &role, "secret.reveal".parse().unwrap()).await.unwrap();
    let grant = NewGrant {
        role: role.to_string(),
        to: Grantee::ServiceAccount(name("author")),
        environment: None,
        folder: None,
        secret: None,
        until: None,
    };
    let grant = ground.vault.create_grant(&ground.owner, &grant).await.unwrap();
    let new = to_live(&["a"], &[], &[]);
    publish(&ground, &author, &definition("a", "own.example.com")).await;
    ground.vault.deploy(&author, &new, false).await.unwrap();
    publish(&ground, &ground.owner, &definition("a", "api.example.com")).await;
    let replaced = ground.vault.deploy(&ground.owner, &new, false).await.unwrap().deployment.id.unwrap();
    ground.vault.delete_grant(&ground.owner, grant.id).await.unwrap();
    assert_eq!(code(ground.vault.roll_back_deployment(&author, replaced).await), Code::Forbidden);
    ground.vault.roll_back_deployment(&ground.owner, replaced).await.unwrap();
}

/// Who deploys what they had their agent write deploys what they wrote themselves.
#[tokio::test]
async fn by_ones_own_agent() {
    let ground = Ground::new().await;
    ground.create("KEY", Visibility::Masked, &["api.example.com"], &[("test", TEST), ("live", LIVE)]).await;
    let rights = "secret.list deploy automation.write";
    let author = somebody(&ground, "author", rights, &[("test", "secret.use")]).await;
    let new = NewAgentSession { name: name("helper"), ttl_secs: None, requests_max: None };
    let session = ground.vault.create_agent_session(&author, &new).await.unwrap();
    let agent = crate::ground::caller(session.token.dangerous_expose());
    publish(&ground, &agent, &definition("a", "api.example.com")).await;
    assert_eq!(code(ground.vault.deploy(&author, &to_live(&["a"], &[], &[]), false).await), Code::Forbidden);
}

/// A secret that was made again under a purged name is another one, and what named the old one gets nothing of it.
#[tokio::test]
async fn reused_names() {
    let ground = Ground::new().await;
    let make = async |values: &[(&str, &str)]| {
        ground.create("KEY", Visibility::Masked, &["api.example.com"], values).await;
    };
    make(&[("test", TEST)]).await;
    publish(&ground, &ground.owner, &definition("a", "api.example.com")).await;
    ground.vault.delete_secret(&ground.owner, &name("KEY"), true).await.unwrap();
    ground.vault.keep_up(NOW.plus_secs(30 * 86_400), false).await.unwrap();
    make(&[("test", TEST), ("live", LIVE)]).await;
    let operator = somebody(&ground, "op", "secret.list deploy", &[]).await;
    let new = to_live(&["a"], &[], &[]);
    assert_eq!(code(ground.vault.deploy(&operator, &new, false).await), Code::Forbidden);
    publish(&ground, &ground.owner, &definition("a", "api.example.com")).await;
    ground.vault.deploy(&operator, &new, false).await.unwrap();
}

/// What runs in a protected environment is not taken away from there by whoever writes definitions.
#[tokio::test]
async fn deleting_what_is_deployed() {
    let ground = Ground::new().await;
    ground.create("KEY", Visibility::Masked, &["api.example.com"], &[("test", TEST), ("live", LIVE)]).await;
    for called in ["a", "b"] {
        publish(&ground, &ground.owner, &definition(called, "api.example.com")).await;
    }
    ground.vault.deploy(&ground.owner, &to_live(&["a"], &[], &[]), false).await.unwrap();
    let editor = somebody(&ground, "ed", "secret.list automation.write", &[]).await;
    ground.vault.delete_automation(&editor, &name("b")).await.unwrap();
    assert_eq!(code(ground.vault.delete_automation(&editor, &name("a")).await), Code::Forbidden);
    assert_eq!(ground.events("automation.delete", "denied").await, 1);
    ground.vault.delete_automation(&ground.owner, &name("a")).await.unwrap();
}

/// A list is whole, however many are read at once, and leaves out what may be large.
#[tokio::test]
async fn lists() {
    let ground = Ground::new().await;
    ground.create("KEY", Visibility::Masked, &["api.example.com"], &[("test", TEST), ("live", LIVE)]).await;
    publish(&ground, &ground.owner, &definition("a", "api.example.com")).await;
    let mut made = Vec::new();
    for at in 0..19 {
        let owner = Caller { now: NOW.plus_secs(at), ..ground.owner.clone() };
        let done = ground.vault.deploy(&owner, &to_live(&["a"], &[], &[]), false).await.unwrap();
        made.insert(0, done.deployment.id.unwrap());
    }
    for page in [1, 8, 16, 19, 100] {
        let (mut listed, mut before) = (Vec::new(), None);
        loop {
            let found = ground.vault.list_deployments(&ground.owner, before, page).await.unwrap();
            assert!(found.iter().all(|one| one.plan.automations[0].diff.is_empty()));
            before = found.last().and_then(|one| one.id);
            listed.extend(found.iter().filter_map(|one| one.id));
            if found.len() < page {
                break;
            }
        }
        assert_eq!(listed, made, "in pages of {page}");
    }
    let last = ground.vault.show_deployment(&ground.owner, made[18]).await.unwrap();
    assert!(!last.plan.automations[0].diff.is_empty());
}
