//! The life of a value: rotate, look, roll back, switch off.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tacit_audit::{Detail, Outcome, Verb};
use tacit_model::{
    Code, EnvironmentId, EnvironmentName, Fields, Problem, Right, SecretName, SecretType, Timestamp,
};
use tacit_store::{Change, Statement, secrets as rows};
use zeroize::Zeroizing;

use crate::{
    Caller, HIDE_AFTER_SECS, Stop, Vault,
    access::{Access, Snapshot},
    authorize::{self, require},
    check_reason,
    secrets::{object_of, require_list},
    settle, settle_change,
    warnings::weakness,
};

/// A value shown to someone who may see it.
pub struct Revealed {
    /// The fields; of a `json` secret its content as JSON text.
    pub fields: BTreeMap<&'static str, Zeroizing<String>>,
    /// The type, which tells how to print them.
    pub kind: SecretType,
    /// Which version it is.
    pub version: i64,
    /// Seconds after which a client should hide it.
    pub hide_after_secs: u64,
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
    /// Whether it is the one in force.
    pub current: bool,
}

impl Vault {
    /// Writes a new version of a value; every reference uses it from its next execution on.
    ///
    /// Returns the version's number and warnings.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`.
    pub async fn set_value(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
        fields: &Map<String, Value>,
        reason: Option<&str>,
    ) -> Result<(i64, Vec<String>), Problem> {
        check_reason(reason)?;
        settle_change!(self, caller, |access| self.set_value_once(&access, name, environment, fields))
    }

    async fn set_value_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
        fields: &Map<String, Value>,
    ) -> Result<(i64, Vec<String>), Stop> {
        require_list(access)?;
        let snapshot = self.snapshot(&access.view, name).await?;
        self.require_or_refuse(access, Right::SecretWrite, Verb::SecretRotate, &snapshot, Some(environment))
            .await?;
        let environment = access.environment(environment)?.clone();
        let fields = Fields::parse(snapshot.secret.kind, fields).map_err(|(field, error)| {
            Problem::invalid(format!("fields.{field}").trim_end_matches('.'), error.to_string())
        })?;
        let version = snapshot.value(environment.id).map_or(0, |value| value.latest) + 1;
        let statements = self.new_version(access, &snapshot.secret, environment.id, version, &fields).await?;
        let pruned = self.prune(access, &snapshot, environment.id, version).await?;
        let detail = Detail { version: Some(version.unsigned_abs()), ..Detail::default() };
        let mut event =
            self.event(access, Verb::SecretRotate, object_of(&snapshot), Outcome::Succeeded, detail);
        event.environment = Some(environment.name);
        let change = self.change(access).bump().and_all(statements).and_all(pruned).record(&event);
        self.0.store.write(change).await?;
        Ok((version, weakness(snapshot.secret.kind, name, &fields).into_iter().collect()))
    }

    /// Destroys what is beyond the workspace's window, by count and by age. The current version always stays.
    async fn prune(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        environment: EnvironmentId,
        current: i64,
    ) -> Result<Vec<Statement>, Stop> {
        let settings = &access.view.workspace.settings;
        let oldest = access.now.plus_secs(-settings.version_keep_days * 86_400);
        let kept = self.sealed_versions(&access.view, snapshot.secret.id, environment).await?;
        let mut statements = Vec::new();
        // Newest first: each was replaced when the one before it was written, and the first of them just now.
        let mut replaced_at = access.now;
        for (at, version) in kept.iter().filter(|version| version.version != current).enumerate() {
            // `current` itself is not among the stored ones yet and counts as one.
            if at as i64 + 1 >= settings.version_keep_count || replaced_at < oldest {
                statements.push(rows::delete_version(
                    access.view.workspace.id,
                    snapshot.secret.id,
                    environment,
                    version.version,
                ));
            }
            replaced_at = version.created_at;
        }
        Ok(statements)
    }

    /// Shows a value to someone who holds `secret.reveal`, of a secret that is masked.
    ///
    /// # Errors
    /// `forbidden`, `restricted_secret`, `no_value_in_environment`, `not_found`, `audit_unavailable`.
    pub async fn reveal(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
        reason: Option<&str>,
    ) -> Result<Revealed, Problem> {
        check_reason(reason)?;
        settle!(self, caller, |access| self.reveal_once(&access, name, environment))
    }

    async fn reveal_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
    ) -> Result<Revealed, Stop> {
        require_list(access)?;
        let snapshot = self.snapshot(&access.view, name).await?;
        let environment = access.environment(environment)?;
        let mut event =
            self.event(access, Verb::SecretReveal, object_of(&snapshot), Outcome::Allowed, Detail::default());
        event.environment = Some(environment.name.clone());
        let proof =
            match authorize::reveal(access.principal.rights, &snapshot, environment.id, access.view.revision)
            {
                Ok(proof) => proof,
                Err(problem) => return Err(self.refuse_event(access, event, problem).await),
            };
        let versions = self.sealed_versions(&access.view, snapshot.secret.id, environment.id).await?;
        let version = current_version(&snapshot, environment.id, &versions)?;
        event.detail.version = Some(version.version.unsigned_abs());
        let workspace = access.view.workspace.id;
        let (recorded, _) = self
            .record_intent(
                workspace,
                access.view.revision,
                vec![proof],
                std::slice::from_ref(&event),
                Vec::new(),
            )
            .await?;
        let Some(recorded) = recorded.first() else {
            return Err(Problem::internal("an intent was lost").into());
        };
        let value = self.open(workspace, recorded, &snapshot, version).await?;
        let kind = snapshot.secret.kind;
        let fields = Fields::decode(kind, value.dangerous_expose())
            .ok_or_else(|| Problem::internal("a value does not decode"))?;
        Ok(Revealed {
            fields: fields.iter().map(|(name, text)| (name, Zeroizing::new(text.to_owned()))).collect(),
            kind,
            version: version.version,
            hide_after_secs: HIDE_AFTER_SECS,
        })
    }

    /// The kept versions of a value, newest first.
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
            require_list(&access)?;
            let snapshot = self.snapshot(&access.view, name).await?;
            let environment = access.environment(environment)?.id;
            let current = snapshot.value(environment).map(|value| value.current);
            let versions = self.sealed_versions(&access.view, snapshot.secret.id, environment).await?;
            let info = |version: &rows::Version| VersionInfo {
                version: version.version,
                created_at: version.created_at,
                created_by: version.created_by.clone(),
                current: current == Some(version.version),
            };
            Ok(versions.iter().map(info).collect())
        })
    }

    /// Makes an earlier version the current one, as a new version. Returns its number.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn roll_back(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
        to: i64,
    ) -> Result<i64, Problem> {
        settle_change!(self, caller, |access| self.roll_back_once(&access, name, environment, to))
    }

    async fn roll_back_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
        to: i64,
    ) -> Result<i64, Stop> {
        require_list(access)?;
        let snapshot = self.snapshot(&access.view, name).await?;
        self.require_or_refuse(
            access,
            Right::SecretWrite,
            Verb::SecretRollback,
            &snapshot,
            Some(environment),
        )
        .await?;
        let environment = access.environment(environment)?.clone();
        let workspace = access.view.workspace.id;
        let versions = self.sealed_versions(&access.view, snapshot.secret.id, environment.id).await?;
        let Some(old) = versions.iter().find(|version| version.version == to) else {
            return Err(Problem::not_found("version")
                .suggest("`tacit secrets versions` lists those that are kept")
                .into());
        };
        let version = snapshot.value(environment.id).map_or(0, |value| value.latest) + 1;
        let proof = authorize::reseal_for_rollback(
            access.principal.rights,
            &snapshot,
            environment.id,
            access.view.revision,
        )?;
        let sealed =
            self.reseal(workspace, &proof, &snapshot, old, &snapshot.secret.destinations, version).await?;
        let row = rows::Version {
            version,
            sealed,
            shown: old.shown.clone(),
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
        };
        let statements = rows::insert_version(workspace, snapshot.secret.id, environment.id, &row);
        let pruned = self.prune(access, &snapshot, environment.id, version).await?;
        let detail = Detail { version: Some(version.unsigned_abs()), ..Detail::default() };
        let mut event =
            self.event(access, Verb::SecretRollback, object_of(&snapshot), Outcome::Succeeded, detail);
        event.environment = Some(environment.name);
        self.0
            .store
            .write(self.change(access).bump().and_all(statements).and_all(pruned).record(&event))
            .await?;
        Ok(version)
    }

    /// Switches a secret off or on, everywhere or in one environment.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn set_disabled(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: Option<&EnvironmentName>,
        disabled: bool,
    ) -> Result<(), Problem> {
        settle_change!(self, caller, |access| self.set_disabled_once(&access, name, environment, disabled))
    }

    async fn set_disabled_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: Option<&EnvironmentName>,
        disabled: bool,
    ) -> Result<(), Stop> {
        require_list(access)?;
        let snapshot = self.snapshot(&access.view, name).await?;
        let verb = if disabled { Verb::SecretDisable } else { Verb::SecretEnable };
        self.require_or_refuse(access, Right::SecretWrite, verb, &snapshot, environment).await?;
        let workspace = access.view.workspace.id;
        let mut event = self.event(access, verb, object_of(&snapshot), Outcome::Succeeded, Detail::default());
        let statements = match environment {
            Some(environment) => {
                let environment = access.environment(environment)?;
                event.environment = Some(environment.name.clone());
                if snapshot.value(environment.id).is_none() {
                    return Err(Problem::new(
                        Code::NoValueInEnvironment,
                        format!("`{name}` has no value in `{}`", environment.name),
                    )
                    .into());
                }
                vec![rows::set_value_disabled(workspace, snapshot.secret.id, environment.id, disabled)]
            }
            None => {
                let changed = rows::Secret { disabled, updated_at: access.now, ..snapshot.secret.clone() };
                rows::update(workspace, &changed)
            }
        };
        self.0.store.write(self.change(access).bump().and_all(statements).record(&event)).await?;
        Ok(())
    }

    /// An empty change of the caller's workspace, conditional on what was seen of it.
    pub(crate) fn change(&self, access: &Access) -> Change {
        Change::new(access.view.workspace.id).only_at(access.view.revision)
    }

    /// A right, or a refusal on the record.
    pub(crate) async fn require_or_refuse(
        &self,
        access: &Access,
        right: Right,
        verb: Verb,
        snapshot: &Snapshot,
        environment: Option<&EnvironmentName>,
    ) -> Result<(), Stop> {
        let Err(problem) = require(access.principal.rights, right) else { return Ok(()) };
        let mut event = self.event(access, verb, object_of(snapshot), Outcome::Allowed, Detail::default());
        event.environment = environment.cloned();
        Err(self.refuse_event(access, event, problem).await)
    }
}

/// The version in force.
pub(crate) fn current_version<'a>(
    snapshot: &Snapshot,
    environment: EnvironmentId,
    versions: &'a [rows::Version],
) -> Result<&'a rows::Version, Stop> {
    let value = snapshot.value(environment);
    // Everything that makes a version current makes a new one. Where the current one is not the newest, somebody without
    // a key wanted an earlier value back.
    if value.is_some_and(|value| value.current != value.latest) {
        return Err(Problem::internal("the current version of a value is not its newest").into());
    }
    // Not among them: the view was filled while a newer version was written. Look again.
    versions
        .first()
        .filter(|version| value.is_some_and(|value| value.current == version.version))
        .ok_or(Stop::Stale)
}
