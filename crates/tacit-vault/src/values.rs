//! The life of a value: rotate, look, roll back, switch off.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tacit_audit::{Detail, Outcome, Verb};
use tacit_model::{Code, EnvironmentId, EnvironmentName, Fields, Problem, Right, SecretName, SecretType};
use tacit_store::{Change, secrets as rows, tokens};
use zeroize::Zeroizing;

use crate::{
    Caller, Stop, Vault,
    access::{Access, Snapshot},
    authorize::{self, require},
    precondition::secret_tag,
    reasons::{self, Said},
    secrets::object_of,
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

impl Vault {
    /// Writes a new version of a value; every reference uses it from its next execution on.
    ///
    /// Returns the version's number and warnings. With `dry_run` nothing is written.
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
        dry_run: bool,
    ) -> Result<(i64, Vec<String>), Problem> {
        let said = Said::parse(reason)?;
        settle_change!(self, caller, |access| self.set_value_once(
            &access,
            name,
            environment,
            fields,
            said.as_ref(),
            dry_run
        ))
    }

    async fn set_value_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
        fields: &Map<String, Value>,
        said: Option<&Said>,
        dry_run: bool,
    ) -> Result<(i64, Vec<String>), Stop> {
        let snapshot = self.snapshot(access, name).await?;
        self.require_or_refuse(access, Right::SecretWrite, Verb::SecretRotate, &snapshot, Some(environment))
            .await?;
        access.check_tag(&secret_tag(access, &snapshot))?;
        let environment = access.environment(environment)?.clone();
        let fields = Fields::parse(snapshot.secret.kind, fields).map_err(|(field, error)| {
            Problem::invalid(format!("fields.{field}").trim_end_matches('.'), error.to_string())
        })?;
        let version = self.next_version(access, &snapshot, environment.id).await?;
        let reason = said.map(|said| said.id);
        let statements =
            self.new_version(access, &snapshot.secret, environment.id, version, &fields, reason).await?;
        let warnings = weakness(snapshot.secret.kind, name, &fields).into_iter().collect();
        if dry_run {
            return Ok((version, warnings));
        }
        let pruned = self.prune(access, &snapshot, environment.id, version).await?;
        let detail = Detail { version: Some(version.unsigned_abs()), reason_id: reason, ..Detail::default() };
        let mut event =
            self.event(access, Verb::SecretRotate, object_of(&snapshot), Outcome::Succeeded, detail);
        event.environment = Some(environment.name);
        let change = pruned.add_to(self.change(access).bump().and_all(statements).record(&event));
        let scans = self.record_act(change, self.reason_scans(access, &snapshot, said)).await?;
        let known = reasons::known(&fields, snapshot.secret.kind);
        self.keep_reason(access, &snapshot, said, &scans, &known).await;
        Ok((version, warnings))
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
        let said = Said::parse(reason)?;
        settle!(self, caller, |access| self.reveal_once(&access, name, environment, said.as_ref()))
    }

    async fn reveal_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
        said: Option<&Said>,
    ) -> Result<Revealed, Stop> {
        let snapshot = self.snapshot(access, name).await?;
        let environment = access.environment(environment)?;
        let mut event =
            self.event(access, Verb::SecretReveal, object_of(&snapshot), Outcome::Allowed, Detail::default());
        event.environment = Some(environment.name.clone());
        let proof = match authorize::reveal(
            access.rights_on(&snapshot.secret, Some(environment.id)),
            &snapshot,
            environment.id,
            access.view.revision,
        ) {
            Ok(proof) => proof,
            Err(problem) => return Err(self.refuse_event(access, event, problem).await),
        };
        let settings = access.view.workspace.settings;
        if settings.reveal_needs_reason && said.is_none() {
            let problem = Problem::invalid("reason", "is needed in this workspace to look at a value")
                .suggest("say why: --reason TEXT");
            return Err(self.refuse_event(access, event, problem).await);
        }
        if let Err(problem) = self.0.reveals.take(&pace_of(access), access.now) {
            return Err(self.refuse_event(access, event, problem).await);
        }
        let versions = self.sealed_versions(&access.view, snapshot.secret.id, environment.id).await?;
        let version = current_version(&snapshot, environment.id, &versions)?;
        event.detail.version = Some(version.version.unsigned_abs());
        event.detail.reason_id = said.map(|said| said.id);
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
        let Some(proof) = recorded.first() else {
            return Err(Problem::internal("an intent was lost").into());
        };
        let value = self.open(workspace, proof, &snapshot, version).await?;
        let kind = snapshot.secret.kind;
        let fields = Fields::decode(kind, value.dangerous_expose())
            .ok_or_else(|| Problem::internal("a value does not decode"))?;
        let scans = self.reason_scans(access, &snapshot, said);
        let scans: Vec<_> = scans.into_iter().map(|scan| self.covered_by(&recorded, scan)).collect();
        self.keep_reason(access, &snapshot, said, &scans, &reasons::known(&fields, kind)).await;
        Ok(Revealed {
            fields: fields.iter().map(|(name, text)| (name, Zeroizing::new(text.to_owned()))).collect(),
            kind,
            version: version.version,
            hide_after_secs: settings.hide_after_secs.unsigned_abs(),
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
        reason: Option<&str>,
    ) -> Result<i64, Problem> {
        let said = Said::parse(reason)?;
        settle_change!(self, caller, |access| self.roll_back_once(
            &access,
            name,
            environment,
            to,
            said.as_ref()
        ))
    }

    async fn roll_back_once(
        &self,
        access: &Access,
        name: &SecretName,
        environment: &EnvironmentName,
        to: i64,
        said: Option<&Said>,
    ) -> Result<i64, Stop> {
        let snapshot = self.snapshot(access, name).await?;
        self.require_or_refuse(
            access,
            Right::SecretWrite,
            Verb::SecretRollback,
            &snapshot,
            Some(environment),
        )
        .await?;
        access.check_tag(&secret_tag(access, &snapshot))?;
        let environment = access.environment(environment)?.clone();
        let workspace = access.view.workspace.id;
        let versions = self.sealed_versions(&access.view, snapshot.secret.id, environment.id).await?;
        let Some(old) = versions.iter().find(|version| version.version == to) else {
            return Err(Problem::not_found("version")
                .suggest("`tacit secrets versions` lists those that are kept; what is destroyed does not come back")
                .into());
        };
        let version = self.next_version(access, &snapshot, environment.id).await?;
        let proof = authorize::reseal_for_rollback(
            access.rights_on(&snapshot.secret, Some(environment.id)),
            &snapshot,
            environment.id,
            access.view.revision,
        )?;
        let sealed = self
            .reseal(workspace, (&proof, &proof), &snapshot, old, &snapshot.secret.destinations, version)
            .await?;
        let row = rows::Version {
            version,
            sealed,
            shown: old.shown.clone(),
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
            reason: said.map(|said| said.id),
            fingerprint: old.fingerprint,
        };
        let statements = rows::insert_version(workspace, snapshot.secret.id, environment.id, &row);
        let pruned = self.prune(access, &snapshot, environment.id, version).await?;
        let detail = Detail {
            version: Some(version.unsigned_abs()),
            reason_id: said.map(|said| said.id),
            ..Detail::default()
        };
        let mut event =
            self.event(access, Verb::SecretRollback, object_of(&snapshot), Outcome::Succeeded, detail);
        event.environment = Some(environment.name);
        let change = pruned.add_to(self.change(access).bump().and_all(statements).record(&event));
        let scans = self.record_act(change, self.reason_scans(access, &snapshot, said)).await?;
        self.keep_reason(access, &snapshot, said, &scans, &[]).await;
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
        let snapshot = self.snapshot(access, name).await?;
        let verb = if disabled { Verb::SecretDisable } else { Verb::SecretEnable };
        self.require_or_refuse(access, Right::SecretWrite, verb, &snapshot, environment).await?;
        access.check_tag(&secret_tag(access, &snapshot))?;
        let workspace = access.view.workspace.id;
        let mut event = self.event(access, verb, object_of(&snapshot), Outcome::Succeeded, Detail::default());
        let statements = match environment {
            Some(environment) => {
                let environment = access.environment(environment)?;
                event.environment = Some(environment.name.clone());
                if snapshot.value(environment.id).is_none() {
                    return Err(no_value(name, &environment.name).into());
                }
                vec![
                    rows::set_value_disabled(workspace, snapshot.secret.id, environment.id, disabled),
                    tokens::end(workspace, snapshot.secret.id, Some(environment.id)),
                ]
            }
            None => {
                let changed = rows::Secret { disabled, updated_at: access.now, ..snapshot.secret.clone() };
                let mut statements = rows::update(workspace, &changed);
                // What was fetched before is not sent again when it is switched on.
                statements.push(tokens::end(workspace, snapshot.secret.id, None));
                statements
            }
        };
        self.0.store.write(self.change(access).bump().and_all(statements).record(&event)).await?;
        Ok(())
    }

    /// An empty change of the caller's workspace, conditional on what was seen of it.
    pub(crate) fn change(&self, access: &Access) -> Change {
        Change::new(access.view.workspace.id).only_at(access.view.revision)
    }

    /// A right in an environment, or without one in all of them at once; or a refusal on the record.
    pub(crate) async fn require_or_refuse(
        &self,
        access: &Access,
        right: Right,
        verb: Verb,
        snapshot: &Snapshot,
        environment: Option<&EnvironmentName>,
    ) -> Result<(), Stop> {
        let place = environment.map(|name| access.environment(name)).transpose()?.map(|found| found.id);
        let Err(problem) = require(access.rights_on(&snapshot.secret, place), right) else { return Ok(()) };
        let mut event = self.event(access, verb, object_of(snapshot), Outcome::Allowed, Detail::default());
        event.environment = environment.cloned();
        Err(self.refuse_event(access, event, problem).await)
    }
}

pub(crate) fn no_value(name: &SecretName, environment: &EnvironmentName) -> Problem {
    Problem::new(Code::NoValueInEnvironment, format!("`{name}` has no value in `{environment}`"))
}

/// By whom reveals are counted: a principal in a workspace.
fn pace_of(access: &Access) -> String {
    format!("{} {:?}", access.view.workspace.id, access.principal.actor.id)
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
