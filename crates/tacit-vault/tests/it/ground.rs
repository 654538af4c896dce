//! An instance in a directory of its own, and short words for what the tests do with it.

use std::sync::Arc;

use serde_json::{Value, json};
use tacit_crypto::{RootKey, token};
use tacit_model::{
    Destinations, EnvironmentName, Fields, Place, Problem, Role, SecretName, SecretType, Target, Timestamp,
    Visibility,
};
use tacit_vault::{
    Caller, EventFilter, Lease, NewSecret, PreparedUse, RecordedUse, SecretSlot, UseRequest, Using, Vault,
    open_instance,
};

/// The time of everything here.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// An instance.
pub(crate) struct Ground {
    pub(crate) vault: Vault,
    pub(crate) owner: Caller,
    pub(crate) directory: tempfile::TempDir,
    root: String,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = RootKey::generate().to_file_text().to_string();
        let (vault, owner) =
            open_instance(directory.path(), RootKey::parse(&root).unwrap(), NOW).await.unwrap();
        let owner = caller(owner.unwrap().token.dangerous_expose());
        Self { vault, owner, directory, root }
    }

    /// The database as it would be found on disk, changed by somebody who can write the file but has no key; then opened
    /// again.
    pub(crate) async fn tampered(&self, with: &str) -> Result<Ground, Problem> {
        self.vault.store().close();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tacit.db");
        std::fs::copy(self.directory.path().join("tacit.db"), &file).unwrap();
        let database = rusqlite::Connection::open(&file).unwrap();
        database.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA journal_mode = DELETE;").unwrap();
        let before = database.total_changes();
        database.execute_batch(with).unwrap();
        assert!(with.is_empty() || database.total_changes() > before, "nothing was changed by {with}");
        drop(database);
        let (vault, owner) =
            open_instance(directory.path(), RootKey::parse(&self.root).unwrap(), NOW).await?;
        assert!(owner.is_none());
        Ok(Ground { vault, owner: self.owner.clone(), directory, root: self.root.clone() })
    }

    pub(crate) async fn create(
        &self,
        name: &str,
        visibility: Visibility,
        hosts: &[&str],
        values: &[(&str, &str)],
    ) {
        self.create_in(&self.owner, name, visibility, hosts, values).await;
    }

    pub(crate) async fn create_in(
        &self,
        caller: &Caller,
        name: &str,
        visibility: Visibility,
        hosts: &[&str],
        values: &[(&str, &str)],
    ) {
        let values =
            values.iter().map(|(environment, value)| (environment.parse().unwrap(), fields(value))).collect();
        let new = NewSecret {
            name: name.parse().unwrap(),
            kind: SecretType::Text,
            visibility,
            description: String::new(),
            folder: "".parse().unwrap(),
            destinations: destinations(hosts),
            values,
            rotate_every_days: None,
            expires_at: None,
            reason: None,
        };
        self.vault.create_secret(caller, &new, false).await.unwrap();
    }

    pub(crate) async fn rotate(&self, name: &str, environment: &str, value: &str) -> i64 {
        let fields = json!({"value": value});
        let (name, environment) = (name.parse().unwrap(), environment.parse().unwrap());
        self.vault
            .set_value(&self.owner, &name, &environment, fields.as_object().unwrap(), None, false)
            .await
            .unwrap()
            .0
    }

    /// What a reveal yields.
    pub(crate) async fn reveal(&self, name: &str, environment: &str) -> Result<String, Problem> {
        let (name, environment): (SecretName, EnvironmentName) =
            (name.parse().unwrap(), environment.parse().unwrap());
        let revealed = self.vault.reveal(&self.owner, &name, &environment, None).await?;
        Ok(revealed.fields.values().map(|value| value.as_str()).collect())
    }

    /// What the broker would get for one request: every value it may send or must scrub.
    pub(crate) async fn use_it(
        &self,
        name: &str,
        environment: &str,
        url: &str,
    ) -> Result<Vec<String>, Problem> {
        let wanted = Wanted::new(&self.owner, name, environment, url);
        let prepared = wanted.prepare(&self.vault).await?;
        let recorded = wanted.record(&self.vault, prepared).await?;
        self.open(recorded).await
    }

    pub(crate) async fn open(&self, recorded: RecordedUse) -> Result<Vec<String>, Problem> {
        let opened = self.vault.open_use(recorded).await.1?;
        let scanned = self.vault.open_scans(&opened.scans).await?;
        let used = opened.values.iter().map(|value| &value.fields);
        let all = used.chain(scanned.iter().map(|value| &value.fields));
        Ok(all
            .flat_map(|fields| fields.iter().map(|(_, text)| text.to_owned()).collect::<Vec<_>>())
            .collect())
    }

    /// A machine's account with a role, and its caller.
    pub(crate) async fn account(&self, name: &str, role: Role) -> Caller {
        self.account_as(name, role.as_str()).await
    }

    /// The same with a role by its name.
    pub(crate) async fn account_as(&self, name: &str, role: &str) -> Caller {
        let name: SecretName = name.parse().unwrap();
        self.vault.create_service_account(&self.owner, &name, role).await.unwrap();
        let token = self.vault.create_token(&self.owner, &name, None).await.unwrap();
        caller(token.text.dangerous_expose())
    }

    /// How many events of a verb ended so.
    pub(crate) async fn events(&self, verb: &str, outcome: &str) -> usize {
        let filter = EventFilter {
            verb: Some(verb.to_owned()),
            outcome: Some(outcome.to_owned()),
            limit: 500,
            ..EventFilter::default()
        };
        self.vault.list_events(&self.owner, &filter).await.unwrap().0.len()
    }
}

/// A request that carries one secret.
pub(crate) struct Wanted {
    caller: Caller,
    lease: Option<Arc<Lease>>,
    environment: EnvironmentName,
    target: Target,
    path: String,
    slots: Vec<SecretSlot>,
}

impl Wanted {
    pub(crate) fn new(caller: &Caller, name: &str, environment: &str, url: &str) -> Self {
        let (target, path) = Target::parse_url(url).unwrap();
        Self {
            caller: caller.clone(),
            lease: None,
            environment: environment.parse().unwrap(),
            target,
            path: path.path().to_owned(),
            slots: vec![SecretSlot { name: name.parse().unwrap(), place: Place::Auth }],
        }
    }

    /// The same under a lease, at some time.
    pub(crate) fn leased(lease: &Arc<Lease>, name: &str, url: &str, now: Timestamp) -> Self {
        let caller = lease.caller(now, [4; 16]);
        Self { lease: Some(Arc::clone(lease)), ..Self::new(&caller, name, lease.environment.as_str(), url) }
    }

    /// The same in another environment.
    pub(crate) fn elsewhere(self, environment: &str) -> Self {
        Self { environment: environment.parse().unwrap(), ..self }
    }

    /// The same without the secret.
    pub(crate) fn bare(self) -> Self {
        Self { slots: Vec::new(), ..self }
    }

    pub(crate) fn request(&self) -> UseRequest<'_> {
        UseRequest {
            caller: &self.caller,
            using: self.lease.as_ref().map_or(Using::Caller, |lease| Using::Lease(lease)),
            environment: &self.environment,
            target: &self.target,
            method: "GET",
            path: &self.path,
            other_path: None,
            slots: &self.slots,
            foreign_credential: false,
        }
    }

    pub(crate) async fn prepare(&self, vault: &Vault) -> Result<PreparedUse, Problem> {
        vault.prepare_use(&self.request()).await
    }

    pub(crate) async fn record(&self, vault: &Vault, prepared: PreparedUse) -> Result<RecordedUse, Problem> {
        vault.record_use(prepared, &self.request()).await
    }
}

/// Somebody with a token, in the first workspace.
pub(crate) fn caller(token: &str) -> Caller {
    Caller {
        workspace: "default".parse().unwrap(),
        token: token::hash_of(token).unwrap(),
        now: NOW,
        request_id: [3; 16],
        precondition: tacit_vault::Precondition::NONE,
    }
}

pub(crate) fn fields(value: &str) -> Fields {
    let Value::Object(map) = json!({"value": value}) else { unreachable!() };
    Fields::parse(SecretType::Text, &map).unwrap_or_else(|(field, error)| panic!("{field}: {error}"))
}

pub(crate) fn destinations(hosts: &[&str]) -> Destinations {
    serde_json::from_value(hosts.iter().map(|host| json!({"host": host})).collect()).unwrap()
}
