//! A fresh database with workspaces in it, and rows to put there.

use std::sync::atomic::{AtomicU64, Ordering};

use tacit_audit::{Actor, Detail, Event, Object, ObjectKind, Outcome, Verb};
use tacit_model::{
    Destinations, EventId, InstanceId, SecretId, SecretType, Timestamp, UserId, Visibility, WorkspaceId,
};
use tacit_store::{
    Change, Identity, Store, identity,
    principals::User,
    secrets::{Secret, Version},
    workspaces::{self, Environment, Settings, Workspace},
};

/// The time of everything here.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A database of its own. Here, and only here, the engine is chosen.
pub(crate) struct Ground {
    pub(crate) store: Store,
    pub(crate) directory: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: Store::open_embedded(directory.path()).unwrap(), directory }
    }

    /// The same database, opened anew.
    pub(crate) fn again(self) -> Self {
        self.store.close();
        let Self { directory, store } = self;
        drop(store);
        Self { store: Store::open_embedded(directory.path()).unwrap(), directory }
    }

    /// A workspace with the environment `test`, at revision 1 and with an empty record.
    pub(crate) async fn workspace(&self, name: &str) -> (WorkspaceId, Environment) {
        let workspace = Workspace {
            id: id(WorkspaceId::generate),
            name: name.parse().unwrap(),
            settings: Settings::default(),
            created_at: NOW,
        };
        let environment = Environment {
            id: id(tacit_model::EnvironmentId::generate),
            name: "test".parse().unwrap(),
            protected: false,
            created_at: NOW,
        };
        let change = Change::new(workspace.id)
            .and(workspaces::insert(&workspace))
            .and(workspaces::insert_environment(workspace.id, &environment));
        self.store.write(change).await.unwrap();
        (workspace.id, environment)
    }
}

/// An id that no other call made.
pub(crate) fn id<T>(generate: impl Fn(Timestamp, [u8; 10]) -> T) -> T {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    generate(NOW, random)
}

/// An event on a thing with this name.
pub(crate) fn event(workspace: WorkspaceId, name: &str) -> Event {
    Event {
        id: id(EventId::generate),
        at: NOW,
        workspace,
        actor: Actor::system(),
        on_behalf_of: None,
        verb: Verb::SecretCreate,
        object: Object::new(ObjectKind::Secret, [7; 16], name),
        outcome: Outcome::Succeeded,
        environment: None,
        detail: Detail::default(),
    }
}

/// A secret's row.
pub(crate) fn secret(name: &str) -> Secret {
    Secret {
        id: id(SecretId::generate),
        name: name.parse().unwrap(),
        kind: SecretType::Text,
        visibility: Visibility::Masked,
        description: String::new(),
        folder: "".parse().unwrap(),
        destinations: Destinations(Vec::new()),
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

/// A sealed version, as far as the store can tell.
pub(crate) fn version(number: i64) -> Version {
    Version {
        version: number,
        sealed: vec![1, 2, 3],
        shown: "{}".to_owned(),
        created_at: NOW,
        created_by: "user:owner".to_owned(),
        reason: None,
        fingerprint: None,
    }
}

/// A person.
pub(crate) fn user(name: &str) -> User {
    User { id: id(UserId::generate), name: name.parse().unwrap(), instance_admin: false, created_at: NOW }
}

/// An identity.
pub(crate) fn an_identity() -> Identity {
    Identity { instance: id(InstanceId::generate), key_check: vec![9; 40] }
}

/// The identity's statements as a change of no workspace.
pub(crate) fn identity_change(identity: &Identity) -> Change {
    Change::new(id(WorkspaceId::generate)).and_all(identity::insert(identity))
}
