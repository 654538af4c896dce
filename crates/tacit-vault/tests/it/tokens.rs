//! Access tokens: sealed for their place, gone with their credentials, and the client secret for its token URL alone.

use serde_json::{Value, json};
use tacit_model::{Code, Fields, Problem, SecretType, Visibility};
use tacit_vault::{Caller, Fetch, Intents, NewSecret, Outcome, SecretPatch};
use zeroize::Zeroizing;

use crate::ground::{Ground, NOW, Wanted, destinations};

const CLIENT_SECRET: &str = "client-Zq8Wn2Xk5Rt7Yp3Lc9";
const FIRST: &str = "token-Hd7Js2Kf9Lw4Qe8Rt3Mb";
const SECOND: &str = "token-Mf6Vb4Xc9Yp2Rt7Lk5Qz";
const HERE: &str = "https://api.example.com/v1";
const TOKEN_URL: &str = "https://auth.example.com/token";

fn client(secret: &str) -> Fields {
    let value = json!({"client_id": "app", "client_secret": secret, "token_url": TOKEN_URL});
    let Value::Object(map) = value else { unreachable!() };
    Fields::parse(SecretType::Oauth2ClientCredentials, &map).unwrap()
}

async fn ground() -> Ground {
    let ground = Ground::new().await;
    for name in ["app", "other"] {
        create(&ground, name, &["test", "live"]).await;
    }
    ground
}

async fn create(ground: &Ground, name: &str, environments: &[&str]) {
    let new = NewSecret {
        name: name.parse().unwrap(),
        kind: SecretType::Oauth2ClientCredentials,
        visibility: Visibility::Restricted,
        description: String::new(),
        folder: "".parse().unwrap(),
        destinations: destinations(&["api.example.com"]),
        values: environments
            .iter()
            .map(|environment| (environment.parse().unwrap(), client(CLIENT_SECRET)))
            .collect(),
        rotate_every_days: None,
        expires_at: None,
        reason: None,
    };
    ground.vault.create_secret(&ground.owner, &new, false).await.unwrap();
}

fn wanted(ground: &Ground, name: &str, environment: &str) -> Wanted {
    Wanted::new(&ground.owner, name, environment, HERE)
}

/// What the broker does to get a token; the token endpoint gives this one.
async fn fetch(ground: &Ground, wanted: &Wanted, token: &str) -> Result<Fields, Problem> {
    let (intents, fetch, client) = ask(ground, wanted).await?;
    keep(ground, &fetch, &intents, token).await?;
    Ok(client)
}

/// The same up to the moment at which the token endpoint is asked.
async fn ask(ground: &Ground, wanted: &Wanted) -> Result<(Intents, Fetch, Fields), Problem> {
    let prepared = ground.vault.prepare_fetch(&wanted.request()).await?.expect("nothing is missing");
    assert_eq!(prepared.target.to_string(), "https://auth.example.com");
    let recorded = ground.vault.record_fetch(prepared).await?.expect("nothing changed");
    let (intents, opened) = ground.vault.open_fetch(recorded).await;
    opened.map(|(fetch, client)| (intents, fetch, client))
}

/// And from its answer on.
async fn keep(ground: &Ground, fetch: &Fetch, intents: &Intents, token: &str) -> Result<(), Problem> {
    let token = Fields::of_token(Zeroizing::new(token.to_owned())).unwrap();
    let outcome = Outcome { status: Some(200), ..Outcome::default() };
    ground.vault.keep_token(fetch, &token, Some(3_600), (intents, &outcome), NOW).await
}

/// What stands in the request, and everything its answer is searched for.
async fn used(ground: &Ground, name: &str, environment: &str) -> Result<Vec<String>, Problem> {
    let wanted = wanted(ground, name, environment);
    let prepared = wanted.prepare(&ground.vault).await?;
    assert!(prepared.lacks_token().is_none(), "a token is missing");
    let recorded = wanted.record(&ground.vault, prepared).await?;
    ground.open(recorded).await
}

async fn lacks(ground: &Ground, name: &str, environment: &str) -> bool {
    wanted(ground, name, environment).prepare(&ground.vault).await.unwrap().lacks_token().is_some()
}

/// A token belongs to its secret, environment and version; the answer is searched for it and for the client secret, and the
/// request holds the one and never the other.
#[tokio::test]
async fn tokens_have_their_place() {
    let ground = ground().await;
    let wanted_here = wanted(&ground, "app", "test");
    assert!(lacks(&ground, "app", "test").await);
    let client = fetch(&ground, &wanted_here, FIRST).await.unwrap();
    assert_eq!(client.text("client_secret"), Some(CLIENT_SECRET));
    assert!(
        ground.vault.prepare_fetch(&wanted_here.request()).await.unwrap().is_none(),
        "it is there by now"
    );
    assert_eq!(ground.events("secret.use", "succeeded").await, 1, "the outcome came with the token");

    let prepared = wanted_here.prepare(&ground.vault).await.unwrap();
    let recorded = wanted_here.record(&ground.vault, prepared).await.unwrap();
    let opened = ground.vault.open_use(recorded).await.1.unwrap();
    let fields = &opened.values[0].fields;
    assert_eq!((fields.text("access_token"), fields.text("client_secret")), (Some(FIRST), None));
    assert_eq!(opened.tokens.len(), 1);
    let searched = used(&ground, "app", "test").await.unwrap();
    assert!(searched.iter().any(|text| text == CLIENT_SECRET), "{searched:?}");
    for (name, environment) in [("app", "live"), ("other", "test")] {
        assert!(lacks(&ground, name, environment).await, "{name} {environment}");
    }
    fetch(&ground, &wanted(&ground, "other", "test"), SECOND).await.unwrap();
    let searched = used(&ground, "app", "test").await.unwrap();
    assert!(searched.iter().any(|text| text == SECOND), "another secret's at the same host: {searched:?}");

    // Another version has none, and its answers are still searched for the old one.
    let fields =
        json!({"client_id": "app", "client_secret": "another-Pl0Ok9Ij8Uh7Yg6T", "token_url": TOKEN_URL});
    let (name, environment) = ("app".parse().unwrap(), "test".parse().unwrap());
    ground
        .vault
        .set_value(&ground.owner, &name, &environment, fields.as_object().unwrap(), None, false)
        .await
        .unwrap();
    assert!(lacks(&ground, "app", "test").await);
    fetch(&ground, &wanted_here, "token-Aa1Bb2Cc3Dd4Ee5Ff6Gg").await.unwrap();
    let searched = used(&ground, "app", "test").await.unwrap();
    assert!(searched.iter().any(|text| text == FIRST), "{searched:?}");
}

/// A fetch that was decided before a change is decided again, and a refusal is one for the fetch too.
#[tokio::test]
async fn a_revocation_reaches_fetches() {
    let ground = ground().await;
    let wanted = wanted(&ground, "app", "test");
    let prepared = ground.vault.prepare_fetch(&wanted.request()).await.unwrap().unwrap();
    let name = "app".parse().unwrap();
    ground.vault.set_disabled(&ground.owner, &name, None, true).await.unwrap();
    assert!(ground.vault.record_fetch(prepared).await.unwrap().is_none());
    let refused = ground.vault.prepare_fetch(&wanted.request()).await.err().unwrap();
    assert_eq!(refused.code, Code::SecretDisabled);
    ground.vault.set_disabled(&ground.owner, &name, None, false).await.unwrap();
    fetch(&ground, &wanted, FIRST).await.unwrap();
    ground.vault.set_disabled(&ground.owner, &name, None, true).await.unwrap();
    ground.vault.set_disabled(&ground.owner, &name, None, false).await.unwrap();
    assert!(lacks(&ground, "app", "test").await, "what was fetched before is not sent again");
    // Whoever may not use the secret there may not have its token fetched.
    let member = ground.account("member", tacit_model::Role::Member).await;
    let theirs = Wanted::new(&member, "app", "test", HERE);
    assert_eq!(ground.vault.prepare_fetch(&theirs.request()).await.err().unwrap().code, Code::Forbidden);
    let elsewhere = Wanted::new(&ground.owner, "app", "test", "https://evil.example/");
    let refused = ground.vault.prepare_fetch(&elsewhere.request()).await.err().unwrap();
    assert_eq!(refused.code, Code::DestinationNotAllowed);
}

/// What happens to a secret while a token endpoint takes its time happens to the token: it is sealed for the policy of then,
/// and is not sent after its secret was switched off, whether it is on again or not. Answers are searched for it all the same.
#[tokio::test]
async fn a_token_that_comes_late() {
    let later = |ground: &Ground| Caller { now: NOW.plus_secs(1), ..ground.owner.clone() };
    let (name, environment) = ("app".parse().unwrap(), "test".parse().unwrap());

    let aimed = ground().await;
    let wanted_here = wanted(&aimed, "app", "test");
    let (intents, fetching, _) = ask(&aimed, &wanted_here).await.unwrap();
    let narrower = json!([{"host": "api.example.com", "paths": ["/v1/**"]}]);
    let patch = SecretPatch {
        destinations: Some(serde_json::from_value(narrower).unwrap()),
        ..SecretPatch::default()
    };
    aimed.vault.update_secret(&later(&aimed), &name, &patch).await.unwrap();
    keep(&aimed, &fetching, &intents, FIRST).await.unwrap();
    fetch(&aimed, &wanted_here, SECOND).await.unwrap();
    let searched = used(&aimed, "app", "test").await.unwrap();
    assert!(searched.iter().any(|text| text == FIRST), "{searched:?}");

    for everywhere in [true, false] {
        let switched = ground().await;
        let wanted_here = wanted(&switched, "app", "test");
        let (intents, fetching, _) = ask(&switched, &wanted_here).await.unwrap();
        let (vault, owner) = (&switched.vault, later(&switched));
        let place = (!everywhere).then_some(&environment);
        vault.set_disabled(&owner, &name, place, true).await.unwrap();
        if everywhere {
            vault.set_disabled(&owner, &name, place, false).await.unwrap();
        }
        keep(&switched, &fetching, &intents, FIRST).await.unwrap();
        if !everywhere {
            vault.set_disabled(&owner, &name, place, false).await.unwrap();
        }
        assert!(lacks(&switched, "app", "test").await, "it was fetched before that");
        fetch(&switched, &wanted_here, SECOND).await.unwrap();
        let searched = used(&switched, "app", "test").await.unwrap();
        assert!(searched.iter().any(|text| text == FIRST), "{searched:?}");
    }

    let gone = ground().await;
    create(&gone, "brief", &["test"]).await;
    let (intents, fetching, _) = ask(&gone, &wanted(&gone, "brief", "test")).await.unwrap();
    let (before, name) = (gone.events("secret.use", "succeeded").await, "brief".parse().unwrap());
    gone.vault.delete_secret(&later(&gone), &name, true).await.unwrap();
    keep(&gone, &fetching, &intents, FIRST).await.unwrap();
    assert_eq!(gone.events("secret.use", "succeeded").await, before + 1, "the fetch is on the record");
    gone.vault.restore_secret(&later(&gone), &name).await.unwrap();
    assert!(lacks(&gone, "brief", "test").await);
}

/// Whoever can write the database but has no key gets the client secret sent nowhere else, and no token to another place.
#[tokio::test]
async fn tampered_tokens_do_not_open() {
    let original = ground().await;
    fetch(&original, &wanted(&original, "app", "test"), FIRST).await.unwrap();
    fetch(&original, &wanted(&original, "app", "live"), SECOND).await.unwrap();
    let honest = original.tampered("").await.unwrap();
    assert_eq!(used(&honest, "app", "test").await.unwrap().first().map(String::as_str), Some("app"));
    let of = |environment: &str| {
        format!(
            "(SELECT t.sealed FROM access_tokens t JOIN environments e ON e.workspace = t.workspace AND e.id = t.environment WHERE e.name = '{environment}')"
        )
    };
    for with in [
        format!("UPDATE access_tokens SET sealed = {}", of("live")),
        "UPDATE access_tokens SET serial = serial + 1".to_owned(),
        "UPDATE access_tokens SET sealed = (SELECT sealed FROM secret_versions LIMIT 1)".to_owned(),
        "UPDATE secrets SET destinations = '[{\"host\":\"api.example.com\",\"scheme\":\"https\",\"port\":443,\"places\":[\"auth\",\"path\"]}]'"
            .to_owned(),
        // What was sealed as a token is no value, and a value no token.
        format!("UPDATE secret_versions SET sealed = {}", of("test")),
    ] {
        let tampered = original.tampered(&with).await.unwrap();
        let problem = used(&tampered, "app", "test").await.unwrap_err();
        assert_eq!(problem.code, Code::Internal, "{with}");
    }
    let aimed = "DELETE FROM access_tokens; UPDATE secret_versions SET shown = replace(shown, 'auth.example.com', 'evil.example')";
    let tampered = original.tampered(aimed).await.unwrap();
    let wanted = wanted(&tampered, "app", "test");
    let prepared = tampered.vault.prepare_fetch(&wanted.request()).await.unwrap().unwrap();
    assert_eq!(prepared.target.to_string(), "https://evil.example");
    let recorded = tampered.vault.record_fetch(prepared).await.unwrap().unwrap();
    let problem = tampered.vault.open_fetch(recorded).await.1.err().unwrap();
    assert_eq!(problem.code, Code::Internal, "connected, perhaps, but nothing was sent");
}
