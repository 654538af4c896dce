//! Deployments over the vault: what moves, what is refused, and that taking one back leaves what was there.

use serde_json::json;
use tacit_crypto::token::{self, TokenText};
use tacit_model::{Automation, Code, EnvironmentName, Problem, Rights, SecretName, Visibility};
use tacit_vault::{
    Caller, Deployed, Grantee, NewDeployment, NewGrant, Precondition, Relation, VariablePatch,
};

use crate::ground::{Ground, NOW};

const TEST: &str = "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu";
const LIVE: &str = "7hG2kQ9zXv4LpW8sRt1YbN6mC3dF5gJ0";

pub(crate) fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

pub(crate) fn name(name: &str) -> SecretName {
    name.parse().unwrap()
}

pub(crate) fn to_live(automations: &[&str], secrets: &[&str], variables: &[&str]) -> NewDeployment {
    let names = |names: &[&str]| names.iter().map(|text| name(text)).collect();
    NewDeployment {
        from: environment("test"),
        to: environment("live"),
        automations: names(automations),
        copy_secrets: names(secrets),
        copy_variables: names(variables),
        enable_triggers: true,
    }
}

/// A workspace with one automation that names one secret and one variable.
async fn ground(values: &[(&str, &str)]) -> Ground {
    let ground = Ground::new().await;
    ground.create("KEY", Visibility::Masked, &["api.example.com"], values).await;
    let values = [(environment("test"), "one".to_owned())];
    let (variable, patch) = (name("PLAN"), VariablePatch::default());
    ground.vault.create_variable(&ground.owner, &variable, &patch, &values).await.unwrap();
    publish(&ground, "one").await;
    ground
}

async fn publish(ground: &Ground, what: &str) {
    let definition: Automation = serde_json::from_value(json!({"name": "a", "steps": [{"id": "s", "http": {
        "url": format!("https://api.example.com/{what}"), "auth": {"secret": "key"}, "query": {"plan": "{{vars.PLAN}}"}
    }}]}))
    .unwrap();
    ground.vault.publish_automation(&ground.owner, &definition, false).await.unwrap();
}

async fn deploy(ground: &Ground, new: &NewDeployment) -> Result<Deployed, Problem> {
    ground.vault.deploy(&ground.owner, new, false).await
}

async fn plan(ground: &Ground, new: &NewDeployment) -> Deployed {
    ground.vault.deploy(&ground.owner, new, true).await.unwrap()
}

/// What is published in `live`.
async fn published(ground: &Ground) -> Result<String, Code> {
    let shown = ground.vault.show_automation(&ground.owner, &name("a"), Some(&environment("live"))).await;
    shown.map(|(definition, _)| definition).map_err(|problem| problem.code)
}

async fn variable(ground: &Ground) -> Vec<(String, String)> {
    let found = ground.vault.describe_variable(&ground.owner, &name("PLAN")).await.unwrap();
    found.values.into_iter().map(|(environment, value)| (environment.to_string(), value)).collect()
}

pub(crate) fn code<T>(result: Result<T, Problem>) -> Code {
    match result {
        Ok(_) => panic!("this should be refused"),
        Err(problem) => problem.code,
    }
}

/// Nothing is written while something is missing; then everything at once; then all of it is taken back, once.
#[tokio::test]
async fn there_and_back() {
    let ground = ground(&[("test", TEST)]).await;
    let planned = plan(&ground, &to_live(&["a"], &[], &[])).await.deployment.plan;
    assert_eq!(planned.missing, ["secret:KEY", "variable:PLAN"]);
    assert_eq!(
        (planned.automations[0].relation, planned.secrets[0].relation),
        (Relation::New, Relation::Missing)
    );
    let refused = deploy(&ground, &to_live(&["a"], &["KEY"], &[])).await.err().unwrap();
    assert_eq!(
        (refused.code, refused.issues[0].field.as_str()),
        (Code::NoValueInEnvironment, "variables.PLAN")
    );
    assert_eq!(published(&ground).await, Err(Code::NotDeployed));
    assert_eq!(ground.reveal("KEY", "live").await.unwrap_err().code, Code::NoValueInEnvironment);
    assert_eq!(ground.events("deploy", "denied").await, 1);

    let whole = to_live(&["A"], &["key"], &["plan"]);
    let done = deploy(&ground, &whole).await.unwrap().deployment;
    assert!(!done.plan.secrets[0].replaces && done.plan.secrets[0].version == Some(1));
    let first = published(&ground).await.unwrap();
    assert_eq!(ground.reveal("KEY", "live").await.unwrap(), TEST);
    assert_eq!(ground.use_it("KEY", "live", "https://api.example.com/").await.unwrap()[0], TEST);
    assert_eq!(variable(&ground).await[1], ("live".to_owned(), "one".to_owned()));

    // Another round over what is there now.
    publish(&ground, "two").await;
    ground.rotate("KEY", "live", LIVE).await;
    let planned = plan(&ground, &whole).await.deployment.plan;
    assert_eq!(planned.automations[0].relation, Relation::Different);
    assert_eq!(planned.automations[0].diff[0].path, "steps[s].http.url");
    let secret = &planned.secrets[0];
    assert!(
        secret.replaces
            && secret.is_needed
            && secret.relation == Relation::Different
            && secret.version == Some(3)
    );
    assert_eq!(planned.variables[0].relation, Relation::Same);
    let second = deploy(&ground, &whole).await.unwrap().deployment;
    assert_ne!(published(&ground).await.unwrap(), first);
    assert_eq!(ground.reveal("KEY", "live").await.unwrap(), TEST);

    // The older one cannot go before the newer one.
    let roll_back = async |deployment: &tacit_vault::Deployment| {
        ground.vault.roll_back_deployment(&ground.owner, deployment.id.unwrap()).await
    };
    assert_eq!(code(roll_back(&done).await), Code::VersionConflict);
    roll_back(&second).await.unwrap();
    assert_eq!(published(&ground).await.unwrap(), first);
    assert_eq!(ground.reveal("KEY", "live").await.unwrap(), LIVE);
    assert_eq!(code(roll_back(&second).await), Code::VersionConflict);
    // Rotated since the first one: that is not undone on the way, and so the rest is not either.
    assert_eq!(code(roll_back(&done).await), Code::VersionConflict);
    assert_eq!(published(&ground).await.unwrap(), first);
    let listed = ground.vault.list_deployments(&ground.owner, None, 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed.iter().filter(|one| one.rolled_back_at.is_some()).count(), 1);
    assert_eq!(ground.events("deploy", "succeeded").await, 2);
    assert_eq!(ground.events("deploy.rollback", "succeeded").await, 1);
}

/// What the deployment brought goes with it: the definition and the variable's value; the secret's value is switched off.
#[tokio::test]
async fn back_to_nothing() {
    let ground = ground(&[("test", TEST)]).await;
    let done = deploy(&ground, &to_live(&["a"], &["KEY"], &["PLAN"])).await.unwrap().deployment;
    ground.vault.roll_back_deployment(&ground.owner, done.id.unwrap()).await.unwrap();
    assert_eq!(published(&ground).await, Err(Code::NotDeployed));
    assert_eq!(ground.reveal("KEY", "live").await.unwrap_err().code, Code::SecretDisabled);
    assert_eq!(variable(&ground).await.len(), 1);
    assert_eq!(ground.reveal("KEY", "test").await.unwrap(), TEST);
}

/// Deployments that copied the same value go one after the other, the newest first.
#[tokio::test]
async fn one_after_the_other() {
    let ground = ground(&[("test", TEST), ("live", LIVE)]).await;
    let mut done = Vec::new();
    for plan in ["two", "three", "four"] {
        publish(&ground, plan).await;
        ground.rotate("KEY", "test", &format!("{TEST}{plan}")).await;
        done.push(
            deploy(&ground, &to_live(&["a"], &["KEY"], &["PLAN"])).await.unwrap().deployment.id.unwrap(),
        );
    }
    for (id, left) in
        done.into_iter().rev().zip([format!("{TEST}three"), format!("{TEST}two"), LIVE.to_owned()])
    {
        ground.vault.roll_back_deployment(&ground.owner, id).await.unwrap();
        assert_eq!(ground.reveal("KEY", "live").await.unwrap(), left);
    }
}

/// A plan that was shown is the plan that is done, or nothing is.
#[tokio::test]
async fn what_was_shown_is_done() {
    let ground = ground(&[("test", TEST), ("live", LIVE)]).await;
    let new = to_live(&["a"], &[], &["PLAN"]);
    let tag = plan(&ground, &new).await.deployment.tag;
    assert_eq!(plan(&ground, &new).await.deployment.tag, tag);
    let meant = Caller { precondition: Precondition::one_of(vec![tag]), ..ground.owner.clone() };
    ground.rotate("KEY", "live", TEST).await;
    assert_eq!(code(ground.vault.deploy(&meant, &new, false).await), Code::VersionConflict);
    let planned = plan(&ground, &new).await.deployment;
    assert_eq!(planned.plan.secrets[0].relation, Relation::Same);
    let meant = Caller { precondition: Precondition::one_of(vec![planned.tag]), ..ground.owner.clone() };
    ground.vault.deploy(&meant, &new, false).await.unwrap();
    // A value that is switched off stays where it is.
    let (secret, test) = (name("KEY"), environment("test"));
    ground.vault.set_disabled(&ground.owner, &secret, Some(&test), true).await.unwrap();
    assert_eq!(code(deploy(&ground, &to_live(&[], &["KEY"], &[])).await), Code::SecretDisabled);
    assert_eq!(ground.reveal("KEY", "live").await.unwrap(), TEST);
}

/// Somebody with these rights in an environment, and nothing anywhere else but what `everywhere` says.
pub(crate) async fn somebody(
    ground: &Ground,
    who: &str,
    everywhere: &str,
    grants: &[(&str, &str)],
) -> Caller {
    let role = async |label: &str, rights: &str| {
        let rights: Rights = rights.parse().unwrap();
        let role = name(&format!("{who}-{label}"));
        ground.vault.create_role(&ground.owner, &role, rights).await.unwrap();
        role.to_string()
    };
    let caller = ground.account_as(who, &role("base", everywhere).await).await;
    for (at, rights) in grants {
        let new = NewGrant {
            role: role(at, rights).await,
            to: Grantee::ServiceAccount(name(who)),
            environment: Some(environment(at)),
            folder: None,
            secret: None,
            until: None,
        };
        ground.vault.create_grant(&ground.owner, &new).await.unwrap();
    }
    caller
}

/// Nobody copies a value to where they, or others, may do more with it, unless they might do that where it comes from.
#[tokio::test]
async fn copies_do_not_widen() {
    let ground = ground(&[("test", TEST), ("live", LIVE)]).await;
    let copy = |from: &str, to: &str| NewDeployment {
        from: environment(from),
        to: environment(to),
        ..to_live(&[], &["KEY"], &[])
    };
    // May look at values in `test`, and wants to look at that of `live` there.
    let curious =
        somebody(&ground, "curious", "secret.list deploy secret.write", &[("test", "secret.reveal")]).await;
    let try_it =
        async |who: &Caller, from: &str, to: &str| ground.vault.deploy(who, &copy(from, to), false).await;
    assert_eq!(code(try_it(&curious, "live", "test").await), Code::Forbidden);
    // So may nobody else for them.
    let friend = somebody(&ground, "friend", "secret.list deploy secret.write", &[]).await;
    assert_eq!(code(try_it(&friend, "live", "test").await), Code::Forbidden);
    assert_eq!(ground.reveal("KEY", "test").await.unwrap(), TEST);
    // The other way nobody gains, and to copy takes no right to see or use.
    try_it(&friend, "test", "live").await.unwrap();
    assert_eq!(ground.reveal("KEY", "live").await.unwrap(), TEST);
    // Whoever may look at it there anyway may hand it on.
    let trusted = somebody(
        &ground,
        "trusted",
        "secret.list deploy secret.write",
        &[("live", "secret.reveal secret.use")],
    )
    .await;
    try_it(&trusted, "live", "test").await.unwrap();
    // Each right by itself: writing without deploying, deploying without writing.
    for (who, rights) in [("writer", "secret.list secret.write"), ("operator-like", "secret.list deploy")] {
        let who = somebody(&ground, who, rights, &[]).await;
        assert_eq!(code(try_it(&who, "test", "live").await), Code::Forbidden);
    }
    assert_eq!(ground.events("deploy", "denied").await, 4);
}

/// Who deploys needs no `secret.use`; but who deploys what they wrote themselves does, in the target.
#[tokio::test]
async fn deploying_ones_own() {
    let ground = ground(&[("test", TEST), ("live", LIVE)]).await;
    let operator = somebody(&ground, "op", "secret.list deploy", &[]).await;
    let new = to_live(&["a"], &[], &["PLAN"]);
    assert_eq!(code(ground.vault.deploy(&operator, &new, false).await), Code::Forbidden);
    ground.vault.set_variable(&ground.owner, &name("PLAN"), &environment("live"), "two").await.unwrap();
    let new = to_live(&["a"], &[], &[]);
    ground.vault.deploy(&operator, &new, false).await.unwrap();
    let rights = "secret.list deploy automation.write";
    let author = somebody(&ground, "author", rights, &[("test", "secret.use")]).await;
    let definition: Automation =
        serde_json::from_value(json!({"name": "b", "steps": [{"id": "s", "http": {"url": "https://api.example.com/", "auth": {"secret": "KEY"}}}]}))
            .unwrap();
    ground.vault.publish_automation(&author, &definition, false).await.unwrap();
    let own = to_live(&["b"], &[], &[]);
    assert_eq!(code(ground.vault.deploy(&author, &own, false).await), Code::Forbidden);
    ground.vault.deploy(&operator, &own, false).await.unwrap();
    // By way of a third environment it is still who wrote it that counts.
    ground.vault.create_environment(&ground.owner, &environment("staging"), false).await.unwrap();
    ground
        .vault
        .set_value(
            &ground.owner,
            &name("KEY"),
            &environment("staging"),
            json!({"value": LIVE}).as_object().unwrap(),
            None,
            false,
        )
        .await
        .unwrap();
    let staging = NewDeployment { to: environment("staging"), ..own.clone() };
    let onwards = NewDeployment { from: environment("staging"), ..own.clone() };
    ground.vault.deploy(&operator, &staging, false).await.unwrap();
    assert_eq!(code(ground.vault.deploy(&author, &onwards, false).await), Code::Forbidden);
    ground.vault.deploy(&operator, &onwards, false).await.unwrap();
    // Who may not list all of both environments sees no plan and no deployment.
    let blind = somebody(&ground, "blind", "deploy", &[("live", "secret.list")]).await;
    assert_eq!(code(ground.vault.deploy(&blind, &own, true).await), Code::Forbidden);
    assert!(ground.vault.list_deployments(&blind, None, 10).await.unwrap().is_empty());
}

/// Deploying to an environment where the automation's triggers fire from then on, and back.
#[tokio::test]
async fn triggers_follow() {
    let ground = ground(&[("test", TEST), ("live", LIVE)]).await;
    let definition: Automation = serde_json::from_value(json!({"name": "t", "triggers": [{"webhook": {}}],
        "steps": [{"id": "s", "http": {"url": "https://api.example.com/"}}]}))
    .unwrap();
    ground.vault.publish_automation(&ground.owner, &definition, false).await.unwrap();
    let enabled = async || {
        let found = ground.vault.list_triggers(&ground.owner, &name("t")).await.unwrap();
        found
            .into_iter()
            .filter(|one| one.enabled_by.is_some())
            .map(|one| one.environment.to_string())
            .collect::<Vec<_>>()
    };
    let quiet = NewDeployment { enable_triggers: false, ..to_live(&["t"], &[], &[]) };
    assert!(deploy(&ground, &quiet).await.unwrap().hooks.is_empty() && enabled().await.is_empty());
    let loud = deploy(&ground, &to_live(&["t"], &[], &[])).await.unwrap();
    assert_eq!((loud.hooks.len(), enabled().await), (1, vec!["live".to_owned()]));
    let again = deploy(&ground, &to_live(&["t"], &[], &[])).await.unwrap();
    assert!(again.hooks.is_empty(), "what fires already keeps its token");
    let back = async |done: &Deployed| {
        ground.vault.roll_back_deployment(&ground.owner, done.deployment.id.unwrap()).await.unwrap();
    };
    back(&again).await;
    assert_eq!(enabled().await, ["live"]);
    back(&loud).await;
    assert!(enabled().await.is_empty());
    // Who deploys answers for what fires: to start runs is a right of its own.
    let silent = somebody(&ground, "silent", "secret.list deploy", &[]).await;
    assert_eq!(code(ground.vault.deploy(&silent, &to_live(&["t"], &[], &[]), false).await), Code::Forbidden);
    ground.vault.deploy(&silent, &quiet, false).await.unwrap();
}

/// A webhook comes and goes with the definition, and its address with it, where triggers fire already.
#[tokio::test]
async fn webhooks_follow() {
    let ground = ground(&[("test", TEST), ("live", LIVE)]).await;
    let publish = async |triggers: serde_json::Value| {
        let step = json!({"id": "s", "http": {"url": "https://api.example.com/"}});
        let definition = json!({"name": "t", "triggers": triggers, "steps": [step]});
        let definition: Automation = serde_json::from_value(definition).unwrap();
        ground.vault.publish_automation(&ground.owner, &definition, false).await.unwrap();
    };
    let schedule = json!({"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}});
    let new = to_live(&["t"], &[], &[]);
    let fires = async |hook: &TokenText| {
        let (_, hash) = token::parse(hook.dangerous_expose()).unwrap();
        let by = (NOW, [7; 16]);
        match ground.vault.fire_hook(hash, &json!({}), tacit_vault::Node([1; 16]), by).await {
            Ok(_) => true,
            Err(problem) if problem.code == Code::NotFound => false,
            Err(problem) => panic!("{problem:?}"),
        }
    };
    publish(json!([schedule])).await;
    assert!(deploy(&ground, &new).await.unwrap().hooks.is_empty());
    publish(json!([schedule, {"webhook": {}}])).await;
    let with = deploy(&ground, &new).await.unwrap();
    let hook = &with.hooks[0].1;
    assert!(fires(hook).await, "a webhook that is new gets its address");
    publish(json!([schedule])).await;
    let without = deploy(&ground, &new).await.unwrap();
    assert!(without.hooks.is_empty() && !fires(hook).await);
    let back = async |done: &Deployed| {
        ground.vault.roll_back_deployment(&ground.owner, done.deployment.id.unwrap()).await.unwrap();
    };
    back(&without).await;
    assert!(fires(hook).await, "and has it again after a rollback");
    back(&with).await;
    assert!(!fires(hook).await);
}

/// Triggers of somebody who may not run the automation any more are taken over by who deploys, and with them the webhook's
/// address; taken back, they do not fire, as before.
#[tokio::test]
async fn triggers_are_taken_over() {
    let ground = ground(&[("test", TEST), ("live", LIVE)]).await;
    let gone = somebody(&ground, "gone", "secret.list deploy automation.run", &[]).await;
    let publish = async |description: &str| {
        let definition = json!({"name": "t", "description": description, "triggers": [{"webhook": {}}],
            "steps": [{"id": "s", "http": {"url": "https://api.example.com/"}}]});
        let definition: Automation = serde_json::from_value(definition).unwrap();
        ground.vault.publish_automation(&ground.owner, &definition, false).await.unwrap();
    };
    let fires = async |environment: &str| {
        let triggers = ground.vault.list_triggers(&ground.owner, &name("t")).await.unwrap();
        triggers.iter().any(|at| at.environment.as_str() == environment && at.fires && at.has_address)
    };
    let new = to_live(&["t"], &[], &[]);
    publish("one").await;
    assert_eq!(ground.vault.deploy(&gone, &new, false).await.unwrap().hooks.len(), 1);
    assert!(fires("live").await);
    ground.vault.delete_service_account(&ground.owner, &name("gone")).await.unwrap();
    assert!(!fires("live").await);
    publish("two").await;
    let done = deploy(&ground, &new).await.unwrap();
    assert!(done.hooks.is_empty() && fires("live").await, "those who call it need not know");
    ground.vault.roll_back_deployment(&ground.owner, done.deployment.id.unwrap()).await.unwrap();
    assert!(!fires("live").await);
}

/// A deployment that cannot be kept is not done: no definition, no value, no trigger, no event of it is there.
#[tokio::test]
async fn all_of_it_or_nothing() {
    let ground = ground(&[("test", TEST)]).await;
    let definition: Automation = serde_json::from_value(json!({"name": "t", "triggers": [{"webhook": {}}],
        "steps": [{"id": "s", "http": {"url": "https://api.example.com/", "auth": {"secret": "KEY"}}}]}))
    .unwrap();
    ground.vault.publish_automation(&ground.owner, &definition, false).await.unwrap();
    // The row of the deployment is the last thing that is written.
    let full = "CREATE TRIGGER full BEFORE INSERT ON deployments BEGIN INSERT INTO nowhere VALUES (1); END;
        UPDATE workspaces SET name = name";
    let ground = ground.tampered(full).await.unwrap();
    let failed = code(deploy(&ground, &to_live(&["a", "t"], &["KEY"], &["PLAN"])).await);
    assert_eq!(failed, Code::AuditUnavailable);
    assert_eq!(published(&ground).await, Err(Code::NotDeployed));
    assert_eq!(ground.reveal("KEY", "live").await.unwrap_err().code, Code::NoValueInEnvironment);
    assert_eq!(variable(&ground).await.len(), 1);
    let triggers = ground.vault.list_triggers(&ground.owner, &name("t")).await.unwrap();
    assert!(triggers.iter().all(|at| at.enabled_by.is_none()));
    for verb in ["deploy", "trigger.enable"] {
        assert_eq!(ground.events(verb, "succeeded").await, 0, "{verb}");
    }
    assert!(ground.vault.list_deployments(&ground.owner, None, 10).await.unwrap().is_empty());
}
