//! Versions of a value: made, kept for a while, destroyed.

use serde_json::Value;
use tacit_audit::{Detail, Event, Object, Outcome, Verb};
use tacit_model::{EnvironmentId, EnvironmentName, Fields, Problem, Right, SecretName, Timestamp, limits};
use tacit_store::{Change, Statement, secrets as rows, tokens};

use crate::{
    Caller, Stop, Vault,
    access::{Access, Snapshot},
    authorize,
    precondition::secret_tag,
    secrets::object_of,
    settle, settle_change,
    value_rules::check_value,
};

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// It is the one in force.
    Current,
    /// It is kept, and can be rolled back to.
    Kept,
    /// Its ciphertext is destroyed.
    Destroyed,
}

/// A version, as far as it shows.
#[derive(Clone, Debug)]
pub struct VersionInfo {
    /// The number.
    pub version: i64,
    /// When written.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Why, as its author said.
    pub reason: Option<String>,
    /// What became of it.
    pub state: VersionState,
    /// When it was destroyed.
    pub destroyed_at: Option<Timestamp>,
}

/// Statements and the events that belong to them.
#[derive(Default)]
pub(crate) struct Part {
    statements: Vec<Statement>,
    events: Vec<Event>,
}

impl Part {
    pub(crate) fn add_to(self, change: Change) -> Change {
        // What is destroyed must not go on in the log of the database.
        let change = if self.statements.is_empty() { change } else { change.settle() };
        self.events.iter().fold(change.and_all(self.statements), Change::record)
    }
}

impl Vault {
    /// The number of a value's next version. Numbers are never given twice, not even after the value was taken away.
    pub(crate) async fn next_version(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        environment: EnvironmentId,
    ) -> Result<i64, Stop> {
        let latest = match snapshot.value(environment) {
            Some(value) => value.latest,
            None => {
                let (workspace, secret) = (access.view.workspace.id, snapshot.secret.id);
                self.0.store.latest_version(workspace, secret, environment).await?
            }
        };
        Ok(latest + 1)
    }

    /// Statements that add a sealed version and make it current. A proposal that gets one is a proposal no longer.
    pub(crate) async fn new_version(
        &self,
        access: &Access,
        secret: &rows::Secret,
        environment: EnvironmentId,
        version: i64,
        fields: &Fields,
        reason: Option<[u8; 16]>,
    ) -> Result<Vec<Statement>, Stop> {
        check_value(secret.kind, fields).await?;
        let workspace = access.view.workspace.id;
        let row = rows::Version {
            version,
            sealed: self.seal(workspace, environment, secret, version, &fields.encode()).await?,
            shown: Value::Object(fields.shown(secret.kind)).to_string(),
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
            reason,
            fingerprint: self.fingerprint(workspace, secret.kind, fields).await?,
        };
        let mut statements = Vec::from(rows::insert_version(workspace, secret.id, environment, &row));
        if secret.proposed {
            statements.push(rows::accept_proposal(workspace, secret.id));
        }
        Ok(statements)
    }

    /// Destroys what is beyond the workspace's window once `current` is current, by count and by age.
    pub(crate) async fn prune(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        environment: EnvironmentId,
        current: i64,
    ) -> Result<Part, Stop> {
        let settings = &access.view.workspace.settings;
        let oldest = access.now.plus_secs(-settings.version_keep_days * 86_400);
        let kept = self.sealed_versions(&access.view, snapshot.secret.id, environment).await?;
        let mut past = Vec::new();
        // Newest first: each was replaced when the one before it was written, and the first of them just now.
        let mut replaced_at = access.now;
        for (at, version) in kept.iter().filter(|version| version.version != current).enumerate() {
            // `current` itself is not among the stored ones yet and counts as one.
            if at as i64 + 1 >= settings.version_keep_count || replaced_at < oldest {
                past.push(version.version);
            }
            replaced_at = version.created_at;
        }
        Ok(self.destroy(access, snapshot, environment, &past))
    }

    /// Destroys versions, each with its event.
    fn destroy(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        environment: EnvironmentId,
        versions: &[i64],
    ) -> Part {
        let (workspace, secret) = (access.view.workspace.id, snapshot.secret.id);
        let mut part = Part::default();
        for version in versions {
            part.statements.push(rows::destroy_version(workspace, secret, environment, *version, access.now));
            let detail = Detail { version: Some(version.unsigned_abs()), ..Detail::default() };
            let mut event =
                self.event(access, Verb::SecretDestroy, object_of(snapshot), Outcome::Succeeded, detail);
            event.environment = access.environment_named(environment).map(|e| e.name.clone());
            part.events.push(event);
        }
        part
    }

    /// Destroys every kept version of a value.
    pub(crate) async fn destroy_all(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        environment: EnvironmentId,
    ) -> Result<Part, Stop> {
        let kept = self.sealed_versions(&access.view, snapshot.secret.id, environment).await?;
        let versions: Vec<i64> = kept.iter().map(|version| version.version).collect();
        Ok(self.destroy(access, snapshot, environment, &versions))
    }

    /// Every kept version, sealed anew under the new policy: their values stay, their use changes with the policy.
    pub(crate) async fn reseal_versions(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        new: &rows::Secret,
    ) -> Result<Vec<Statement>, Stop> {
        let workspace = access.view.workspace.id;
        let mut statements = Vec::new();
        for value in &snapshot.values {
            let proof = authorize::reseal_for_policy(
                access.rights_on(&snapshot.secret, None),
                snapshot,
                value.environment,
                access.view.revision,
            )?;
            for version in self.sealed_versions(&access.view, new.id, value.environment).await?.iter() {
                let sealed = self
                    .reseal(
                        workspace,
                        (&proof, &proof),
                        snapshot,
                        version,
                        &new.destinations,
                        version.version,
                    )
                    .await?;
                statements.push(rows::reseal_version(
                    workspace,
                    new.id,
                    value.environment,
                    version.version,
                    &sealed,
                ));
            }
            for token in self.sealed_tokens(&access.view, new, value.environment).await?.iter() {
                let (to, serial) = (&new.destinations, token.serial);
                let sealed = self.reseal(workspace, (&proof, &proof), snapshot, token, to, serial).await?;
                statements.push(tokens::reseal(workspace, new.id, value.environment, serial, &sealed));
            }
        }
        Ok(statements)
    }

    /// The versions of a value, newest first, destroyed ones included.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn list_versions(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<Vec<VersionInfo>, Problem> {
        settle!(self, caller, |access| async {
            let snapshot = self.snapshot(&access, name).await?;
            let environment = access.environment(environment)?.id;
            if !access.rights_on(&snapshot.secret, Some(environment)).has(Right::SecretList) {
                return Err(Problem::not_found("value").into());
            }
            let current = snapshot.value(environment).map(|value| value.current);
            let (workspace, secret) = (access.view.workspace.id, snapshot.secret.id);
            let found = self
                .0
                .store
                .version_history(workspace, secret, environment, limits::VERSIONS_SHOWN_MAX)
                .await?;
            let info = |version: rows::VersionHistory| VersionInfo {
                state: match version.destroyed_at {
                    Some(_) => VersionState::Destroyed,
                    None if current == Some(version.version) => VersionState::Current,
                    None => VersionState::Kept,
                },
                version: version.version,
                created_at: version.created_at,
                created_by: version.created_by,
                reason: version.reason,
                destroyed_at: version.destroyed_at,
            };
            Ok(found.into_iter().map(info).collect())
        })
    }

    /// Takes a value away in one environment, at once and for good: every version of it is destroyed.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `no_value_in_environment`, `protected_environment` unless the workspace allows it.
    pub async fn delete_value(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<(), Problem> {
        settle_change!(self, caller, |access| self.delete_value_once(&access, name, environment))
    }

    async fn delete_value_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<(), Stop> {
        let snapshot = self.snapshot(access, name).await?;
        self.require_or_refuse(access, Right::SecretDelete, Verb::SecretDelete, &snapshot, Some(environment))
            .await?;
        access.check_tag(&secret_tag(access, &snapshot))?;
        let environment = access.environment(environment)?.clone();
        let mut event = self.event(
            access,
            Verb::SecretDelete,
            object_of(&snapshot),
            Outcome::Succeeded,
            Detail::default(),
        );
        event.environment = Some(environment.name.clone());
        if environment.protected && !access.view.workspace.settings.allow_protected_delete {
            return Err(self
                .refuse_event(access, event, crate::removal::protected(name, &environment))
                .await);
        }
        if snapshot.value(environment.id).is_none() {
            return Err(crate::values::no_value(name, &environment.name).into());
        }
        let destroyed = self.destroy_all(access, &snapshot, environment.id).await?;
        let taken = rows::delete_value(access.view.workspace.id, snapshot.secret.id, environment.id);
        let change = destroyed.add_to(self.change(access).bump().and_all(taken)).record(&event);
        self.0.store.write(change).await?;
        Ok(())
    }
}

/// The object of an event about a version of this secret, for events of Tacit's own.
pub(crate) fn object_named(secret: tacit_model::SecretId, name: &SecretName) -> Object {
    Object::new(tacit_audit::ObjectKind::Secret, *secret.as_bytes(), name.as_str())
}
