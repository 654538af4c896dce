//! Rights in a part of a workspace: what a grant reaches, what it does not, when it ends, and who may give it.

use tacit_model::{Code, Problem, Right, Rights, SecretName, Timestamp, Visibility};
use tacit_vault::{Caller, GrantInfo, NewGrant, SecretFilter, SecretPatch};

use crate::ground::{Ground, NOW, Wanted};

const HOST: &str = "api.good.test";
const URL: &str = "https://api.good.test/v1";

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

/// A grant from words: `editor to service-account:x folder=a env=test secret=K`.
fn wanted(text: &str) -> NewGrant {
    let mut words = text.split(' ');
    let (role, _, to) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let mut new = NewGrant {
        role: role.to_owned(),
        to: to.parse().unwrap(),
        environment: None,
        folder: None,
        secret: None,
        until: None,
    };
    for (key, value) in words.map(|word| word.split_once('=').unwrap()) {
        match key {
            "env" => new.environment = Some(value.parse().unwrap()),
            "folder" => new.folder = Some(value.parse().unwrap()),
            "secret" => new.secret = Some(name(value)),
            "secs" => new.until = Some(NOW.plus_secs(value.parse().unwrap())),
            other => panic!("{other}"),
        }
    }
    new
}

async fn grant(ground: &Ground, by: &Caller, text: &str) -> Result<GrantInfo, Problem> {
    ground.vault.create_grant(by, &wanted(text)).await
}

/// A workspace with folders, and an account that has no right by its membership.
async fn ground() -> (Ground, Caller) {
    let ground = Ground::new().await;
    let rights = |list: &str| list.parse::<Rights>().unwrap();
    for (role, list) in [("guest", ""), ("looker", "secret.list secret.reveal"), ("lister", "secret.list")] {
        ground.vault.create_role(&ground.owner, &name(role), rights(list)).await.unwrap();
    }
    let values = [("test", "Zq8Wn3Lk5Rt7Yp2Xc9Vb4Mf6Hd1Js0Gu"), ("live", "Rk2Sl7Tm4Un9Vo1Wp6Xq3Yr8Zs5At0Bu")];
    for (secret, folder) in [("A", "pay"), ("B", "pay/eu"), ("C", "payments"), ("D", ""), ("E", "other/pay")]
    {
        ground.create(secret, Visibility::Masked, &[HOST], &values).await;
        move_to(&ground, &ground.owner, secret, folder).await.unwrap();
    }
    let guest = ground.account_as("guest", "guest").await;
    (ground, guest)
}

async fn move_to(ground: &Ground, by: &Caller, secret: &str, folder: &str) -> Result<(), Problem> {
    let patch = SecretPatch { folder: Some(folder.parse().unwrap()), ..SecretPatch::default() };
    ground.vault.update_secret(by, &name(secret), &patch).await.map(drop)
}

async fn seen(ground: &Ground, by: &Caller) -> String {
    let filter = SecretFilter { limit: 2, ..SecretFilter::default() };
    let (mut after, mut all) = (None, String::new());
    loop {
        let filter = SecretFilter { after, ..filter.clone() };
        match ground.vault.list_secrets(by, &filter).await {
            Ok((found, next)) => {
                all.extend(found.iter().map(|overview| overview.secret.name.to_string()));
                match next {
                    Some(next) => after = Some(next),
                    None => return all,
                }
            }
            Err(problem) => return problem.code.to_string(),
        }
    }
}

async fn uses(ground: &Ground, by: &Caller, secret: &str, environment: &str) -> Result<(), Code> {
    let wanted = Wanted::new(by, secret, environment, URL);
    wanted.prepare(&ground.vault).await.map(drop).map_err(|problem| problem.code)
}

async fn reveals(ground: &Ground, by: &Caller, secret: &str, environment: &str) -> Result<(), Code> {
    let shown = ground.vault.reveal(by, &name(secret), &environment.parse().unwrap(), None).await;
    shown.map(drop).map_err(|problem| problem.code)
}

/// A folder is matched by whole segments; an environment and a secret narrow; what is not covered is not there.
#[tokio::test]
async fn a_grant_reaches_its_scope_and_nothing_else() {
    let (ground, guest) = ground().await;
    assert_eq!(seen(&ground, &guest).await, "not_found");
    assert_eq!(uses(&ground, &guest, "A", "test").await, Err(Code::UnknownReference));
    for (text, sees, may_use) in [
        ("editor to service-account:guest folder=pay", "AB", "A-test A-live B-test B-live"),
        ("editor to service-account:guest folder=pay env=test", "AB", "A-test B-test"),
        ("editor to service-account:guest folder=pay/eu", "B", "B-test B-live"),
        ("editor to service-account:guest folder=p", "", ""),
        ("editor to service-account:guest secret=C", "C", "C-test C-live"),
        ("editor to service-account:guest secret=C folder=pay", "", ""),
        ("editor to service-account:guest secret=C folder=payments env=live", "C", "C-live"),
        ("editor to service-account:guest env=live", "ABCDE", "A-live B-live C-live D-live E-live"),
        (
            "editor to service-account:guest",
            "ABCDE",
            "A-test A-live B-test B-live C-test C-live D-test D-live E-test E-live",
        ),
        ("lister to service-account:guest folder=pay", "AB", ""),
    ] {
        let made = grant(&ground, &ground.owner, text).await.unwrap();
        assert_eq!(seen(&ground, &guest).await, sees, "{text}");
        let mut used = Vec::new();
        for secret in ["A", "B", "C", "D", "E"] {
            let absent = !sees.contains(secret);
            for environment in ["test", "live"] {
                match uses(&ground, &guest, secret, environment).await {
                    Ok(()) => used.push(format!("{secret}-{environment}")),
                    Err(code) => assert_eq!(
                        code,
                        if absent { Code::UnknownReference } else { Code::Forbidden },
                        "{text}: {secret} {environment}"
                    ),
                }
                let refused = reveals(&ground, &guest, secret, environment).await;
                assert_eq!(refused, Err(if absent { Code::NotFound } else { Code::Forbidden }), "{text}");
            }
            let described = ground.vault.describe_secret(&guest, &name(secret)).await;
            assert_eq!(described.is_err(), absent, "{text}: {secret}");
            if let Ok(overview) = described {
                // Only the environments in which it may list.
                let count = if text.contains("env=") { 1 } else { 2 };
                assert_eq!(overview.values.len(), count, "{text}: {secret}");
            }
        }
        assert_eq!(used.join(" "), may_use, "{text}");
        ground.vault.delete_grant(&ground.owner, made.id).await.unwrap();
        assert_eq!(seen(&ground, &guest).await, "not_found", "{text}: withdrawn at once");
    }
}

/// What is about all environments is not done with a right in one of them.
#[tokio::test]
async fn a_right_in_one_environment_is_not_one_in_all() {
    let (ground, guest) = ground().await;
    grant(&ground, &ground.owner, "admin to service-account:guest env=test").await.unwrap();
    let fields = serde_json::json!({"value": "Cq1Dr6Es3Ft8Gu5Hv0Iw7Jx2Ky9Lz4Ma"});
    let set = async |environment: &str| {
        let fields = fields.as_object().unwrap();
        ground
            .vault
            .set_value(&guest, &name("A"), &environment.parse().unwrap(), fields, None, false)
            .await
            .map(drop)
    };
    assert!(set("test").await.is_ok());
    assert!(reveals(&ground, &guest, "A", "test").await.is_ok());
    let code = |result: Result<(), Problem>| result.map_err(|problem| problem.code);
    assert_eq!(code(set("live").await), Err(Code::Forbidden));
    assert_eq!(reveals(&ground, &guest, "A", "live").await, Err(Code::Forbidden));
    let vault = &ground.vault;
    let disabled = vault.set_disabled(&guest, &name("A"), Some(&"test".parse().unwrap()), true).await;
    assert!(disabled.is_ok());
    assert_eq!(code(vault.set_disabled(&guest, &name("A"), None, true).await), Err(Code::Forbidden));
    assert_eq!(code(vault.delete_secret(&guest, &name("D"), true).await.map(drop)), Err(Code::Forbidden));
    let aim = SecretPatch { destinations: Some(Default::default()), ..SecretPatch::default() };
    assert_eq!(code(vault.update_secret(&guest, &name("A"), &aim).await.map(drop)), Err(Code::Forbidden));
    assert_eq!(code(move_to(&ground, &guest, "A", "x").await), Err(Code::Forbidden));
    assert_eq!(
        code(vault.list_versions(&guest, &name("A"), &"live".parse().unwrap()).await.map(drop)),
        Err(Code::NotFound)
    );
}

/// A grant ends at its time, though nothing was written since and the view that knew it is still kept.
#[tokio::test]
async fn a_grant_ends_at_its_time() {
    let (ground, guest) = ground().await;
    grant(&ground, &ground.owner, "looker to service-account:guest folder=pay secs=60").await.unwrap();
    let at = |secs: i64| Caller { now: NOW.plus_secs(secs), ..guest.clone() };
    for secs in [0, 59] {
        assert!(reveals(&ground, &at(secs), "A", "test").await.is_ok());
    }
    for secs in [60, 61, 1_000_000] {
        assert_eq!(reveals(&ground, &at(secs), "A", "test").await, Err(Code::NotFound), "{secs}");
        assert_eq!(seen(&ground, &at(secs)).await, "not_found");
    }
    // Asking late did not take away what counts earlier.
    assert!(reveals(&ground, &at(59), "A", "test").await.is_ok());
    let listed = ground.vault.list_grants(&Caller { now: NOW.plus_secs(60), ..ground.owner.clone() }).await;
    assert!(listed.unwrap()[0].ended);
}

/// Another secret under the name of one that is gone for good is another one.
#[tokio::test]
async fn a_new_secret_inherits_no_grant() {
    let (ground, guest) = ground().await;
    grant(&ground, &ground.owner, "looker to service-account:guest secret=D").await.unwrap();
    let settings = tacit_vault::SettingsPatch {
        allow_protected_delete: Some(true),
        deletion_window_days: Some(0),
        ..Default::default()
    };
    ground.vault.update_workspace(&ground.owner, settings, false).await.unwrap();
    assert!(reveals(&ground, &guest, "D", "test").await.is_ok());
    ground.vault.delete_secret(&ground.owner, &name("D"), true).await.unwrap();
    ground.create("D", Visibility::Masked, &[], &[("test", "Cq1Dr6Es3Ft8Gu5Hv0Iw7Jx2Ky9Lz4Ma")]).await;
    assert_eq!(reveals(&ground, &guest, "D", "test").await, Err(Code::NotFound));
    assert!(ground.vault.list_grants(&ground.owner).await.unwrap().is_empty());
}

/// Nobody grants what they do not hold there for as long, to themselves, or to somebody who is not here.
#[tokio::test]
async fn granting() {
    let (ground, guest) = ground().await;
    let granter = ground.account_as("granter", "guest").await;
    let rights = "secret.list secret.use grant.manage".parse().unwrap();
    ground.vault.create_role(&ground.owner, &name("keeper"), rights).await.unwrap();
    let own = "keeper to service-account:granter folder=pay secs=1000";
    grant(&ground, &ground.owner, own).await.unwrap();
    for (text, code) in [
        ("lister to service-account:guest folder=pay secs=1000", None),
        ("lister to service-account:guest folder=pay/eu env=test secs=10", None),
        ("lister to service-account:guest secret=A secs=10", None),
        // Longer than it is held, or without end.
        ("lister to service-account:guest folder=pay secs=1001", Some(Code::Forbidden)),
        ("lister to service-account:guest folder=pay", Some(Code::Forbidden)),
        // More than is held.
        ("looker to service-account:guest folder=pay secs=10", Some(Code::Forbidden)),
        ("editor to service-account:guest folder=pay secs=10", Some(Code::Forbidden)),
        // Elsewhere, or more widely.
        ("lister to service-account:guest folder=payments secs=10", Some(Code::Forbidden)),
        ("lister to service-account:guest env=test secs=10", Some(Code::Forbidden)),
        ("lister to service-account:guest secs=10", Some(Code::Forbidden)),
        ("lister to service-account:guest secret=C secs=10", Some(Code::NotFound)),
        ("lister to service-account:guest secret=NONE secs=10", Some(Code::NotFound)),
        // To oneself.
        ("lister to service-account:granter folder=pay secs=10", Some(Code::Forbidden)),
        ("lister to service-account:GRANTER folder=pay secs=10", Some(Code::Forbidden)),
        ("lister to service-account:nobody folder=pay secs=10", Some(Code::NotFound)),
        ("lister to user:nobody folder=pay secs=10", Some(Code::NotFound)),
        ("lister to automation:nothing secret=A secs=10", Some(Code::NotFound)),
        ("nothing to service-account:guest folder=pay secs=10", Some(Code::ValidationFailed)),
    ] {
        let made = grant(&ground, &granter, text).await.map_err(|problem| problem.code);
        assert_eq!(made.as_ref().err().copied(), code, "{text}");
    }
    // The subject of a grant does not manage it, and who manages a folder manages nothing outside it.
    let outside =
        grant(&ground, &ground.owner, "lister to service-account:guest folder=payments").await.unwrap();
    for by in [&guest, &granter] {
        let refused = ground.vault.delete_grant(by, outside.id).await.unwrap_err();
        assert!([Code::NotFound, Code::Forbidden].contains(&refused.code));
    }
    let listed = ground.vault.list_grants(&granter).await.unwrap();
    assert!(listed.iter().all(|listed| listed.id != outside.id) && listed.len() == 4);
    // An account with a grant is beyond whoever does not hold it, and so are its tokens.
    let manager = ground.account_as("manager", "guest").await;
    ground.vault.create_role(&ground.owner, &name("people"), "member.manage".parse().unwrap()).await.unwrap();
    grant(&ground, &ground.owner, "people to service-account:manager").await.unwrap();
    let refused = ground.vault.create_token(&manager, &name("guest"), None).await.err().unwrap();
    assert_eq!(refused.code, Code::Forbidden);
    let plain = ground.account_as("plain", "guest").await;
    assert!(ground.vault.create_token(&manager, &name("plain"), None).await.is_ok());
    assert_eq!(seen(&ground, &plain).await, "not_found");
}

/// A role never gains what its changer does not hold everywhere, is never raised by who has it, and stays while it is held.
#[tokio::test]
async fn roles_do_not_grow_under_anybodys_feet() {
    let (ground, guest) = ground().await;
    let admin = ground.account_as("admin", "admin").await;
    let rights = |list: &str| list.parse::<Rights>().unwrap();
    let vault = &ground.vault;
    let code =
        |result: Result<tacit_vault::RoleInfo, Problem>| result.map(drop).map_err(|problem| problem.code);
    assert_eq!(
        code(vault.create_role(&admin, &name("boss"), rights("workspace.manage")).await),
        Err(Code::Forbidden)
    );
    assert_eq!(
        code(vault.update_role(&admin, &name("guest"), rights("workspace.manage")).await),
        Err(Code::Forbidden)
    );
    assert_eq!(code(vault.create_role(&guest, &name("x"), Rights::NONE).await), Err(Code::Forbidden));
    for taken in ["Owner", "OWNER", "admin", "GUEST", "guest"] {
        assert_eq!(
            code(vault.create_role(&ground.owner, &name(taken), Rights::NONE).await),
            Err(Code::NameTaken),
            "{taken}"
        );
    }
    assert_eq!(
        code(vault.update_role(&ground.owner, &name("Editor"), Rights::NONE).await),
        Err(Code::ImmutableField)
    );
    // Who has it does not raise it, though they hold the rights otherwise.
    vault.create_role(&ground.owner, &name("steward"), rights("grant.manage")).await.unwrap();
    grant(&ground, &ground.owner, "steward to service-account:admin folder=pay").await.unwrap();
    assert_eq!(
        code(vault.update_role(&admin, &name("steward"), rights("grant.manage secret.list")).await),
        Err(Code::Forbidden)
    );
    assert!(vault.update_role(&admin, &name("steward"), Rights::NONE).await.is_ok());
    // A change counts at once.
    assert_eq!(seen(&ground, &guest).await, "not_found");
    vault.update_role(&admin, &name("guest"), rights("secret.list")).await.unwrap();
    assert_eq!(seen(&ground, &guest).await, "ABCDE");
    let held = vault.delete_role(&ground.owner, &name("guest")).await.unwrap_err();
    assert_eq!(held.code, Code::RoleInUse);
    vault.delete_service_account(&ground.owner, &name("guest")).await.unwrap();
    vault.delete_role(&ground.owner, &name("guest")).await.unwrap();
    assert!(!vault.list_roles(&ground.owner).await.unwrap().iter().any(|role| role.name == "guest"));
    assert!(
        Rights::of(&[Right::SecretList]).has(Right::SecretList) && NOW < Timestamp::from_millis(i64::MAX)
    );
}

/// Moving a secret to where somebody has more rights is granting them: not without `grant.manage` and what is gained, and
/// never to oneself.
#[tokio::test]
async fn moving_is_granting() {
    let (ground, _guest) = ground().await;
    let rights = |list: &str| list.parse::<Rights>().unwrap();
    let vault = &ground.vault;
    let writer = ground.account_as("writer", "guest").await;
    vault.create_role(&ground.owner, &name("writing"), rights("secret.list secret.write")).await.unwrap();
    vault.create_role(&ground.owner, &name("granting"), rights("grant.manage")).await.unwrap();
    let code = |result: Result<(), Problem>| result.map_err(|problem| problem.code);
    grant(&ground, &ground.owner, "writing to service-account:writer folder=pay").await.unwrap();
    // Only where one may write, too.
    assert_eq!(code(move_to(&ground, &writer, "A", "elsewhere").await), Err(Code::Forbidden));
    assert_eq!(code(move_to(&ground, &writer, "A", "pay/new").await), Ok(()));
    // Somebody may look in `pay/us`, so moving there shows it to them.
    grant(&ground, &ground.owner, "looker to service-account:guest folder=pay/us env=live").await.unwrap();
    assert_eq!(code(move_to(&ground, &writer, "A", "pay/us").await), Err(Code::Forbidden));
    assert_eq!(code(move_to(&ground, &writer, "A", "pay/us/deep").await), Err(Code::Forbidden));
    grant(&ground, &ground.owner, "granting to service-account:writer folder=pay").await.unwrap();
    assert_eq!(
        code(move_to(&ground, &writer, "A", "pay/us").await),
        Err(Code::Forbidden),
        "does not hold secret.reveal"
    );
    grant(&ground, &ground.owner, "looker to service-account:writer folder=pay/new").await.unwrap();
    assert_eq!(code(move_to(&ground, &writer, "A", "pay/us").await), Ok(()));
    // Moving to where one would gain oneself is refused, though one may grant.
    move_to(&ground, &ground.owner, "B", "pay/b").await.unwrap();
    assert_eq!(code(move_to(&ground, &writer, "B", "pay/new").await), Err(Code::Forbidden));
    assert_eq!(code(move_to(&ground, &ground.owner, "B", "pay/new").await), Ok(()));
    // A right that ends is no reason to get it for good.
    grant(&ground, &ground.owner, "looker to service-account:guest folder=short secs=10").await.unwrap();
    grant(&ground, &ground.owner, "looker to service-account:guest folder=long").await.unwrap();
    grant(&ground, &ground.owner, "admin to service-account:writer folder=short").await.unwrap();
    grant(&ground, &ground.owner, "writing to service-account:writer folder=long").await.unwrap();
    move_to(&ground, &ground.owner, "C", "short").await.unwrap();
    assert_eq!(code(move_to(&ground, &writer, "C", "long").await), Ok(()), "it may grant in `short`");
}
