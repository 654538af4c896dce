//! Secrets without their values: create, find, describe, change.

use serde_json::{Map, Value};
use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_crypto::placeholder::find_placeholders;
use tacit_model::{
    Code, Destinations, EnvironmentId, EnvironmentName, Fields, Issue, Problem, Right, SecretId, SecretName,
    SecretType, Timestamp, Visibility, limits, name::Folder,
};
use tacit_store::{Change, Statement, secrets as rows};

use crate::{
    Caller, Stop, Vault,
    access::{Access, Snapshot},
    authorize::{self, require},
    new_id, settle, settle_change,
    warnings::{destination_warnings, weakness},
};

/// What a new secret is made of. Checked by type already; rights and names are checked here.
pub struct NewSecret {
    /// The name.
    pub name: SecretName,
    /// The type.
    pub kind: SecretType,
    /// Who may ever look.
    pub visibility: Visibility,
    /// Free text.
    pub description: String,
    /// The folder.
    pub folder: Folder,
    /// Where it may go.
    pub destinations: Destinations,
    /// First values by environment.
    pub values: Vec<(EnvironmentName, Fields)>,
    /// After how many days a rotation is due.
    pub rotate_every_days: Option<i64>,
    /// When the credential ends.
    pub expires_at: Option<Timestamp>,
}

/// What may be changed of a secret; what is `None` stays.
#[derive(Default)]
pub struct SecretPatch {
    /// Free text.
    pub description: Option<String>,
    /// The folder.
    pub folder: Option<Folder>,
    /// Where it may go.
    pub destinations: Option<Destinations>,
    /// New values: needed when a restricted secret is aimed wider.
    pub values: Vec<(EnvironmentName, Map<String, Value>)>,
    /// After how many days a rotation is due; `Some(None)` for never.
    pub rotate_every_days: Option<Option<i64>>,
    /// When the credential ends; `Some(None)` for never.
    pub expires_at: Option<Option<Timestamp>>,
}

/// A secret's value in one environment, as far as it shows.
#[derive(Clone, Debug)]
pub struct ValueOverview {
    /// The environment.
    pub environment: EnvironmentName,
    /// The current version.
    pub version: i64,
    /// Since when.
    pub set_at: Timestamp,
    /// Whether it is switched off here.
    pub disabled: bool,
    /// The fields that are not hidden.
    pub shown: Map<String, Value>,
}

/// A secret as everybody with `secret.list` sees it.
#[derive(Clone, Debug)]
pub struct SecretOverview {
    /// The row.
    pub secret: rows::Secret,
    /// Its values.
    pub values: Vec<ValueOverview>,
    /// What its owner should know, after a write.
    pub warnings: Vec<String>,
}

/// What a list may be narrowed by.
#[derive(Clone, Debug, Default)]
pub struct SecretFilter {
    /// Part of name, description or folder.
    pub search: Option<String>,
    /// A type.
    pub kind: Option<SecretType>,
    /// A folder.
    pub folder: Option<String>,
    /// An environment in which there must be a value.
    pub environment: Option<EnvironmentName>,
    /// Only those that are switched off, or only those that are not.
    pub disabled: Option<bool>,
    /// Only proposals that wait for a value, or only others.
    pub proposed: Option<bool>,
    /// Those that were deleted and can be restored, instead of the others.
    pub deleted: bool,
    /// The name key after which to begin.
    pub after: Option<String>,
    /// Rows at most.
    pub limit: usize,
}

impl Vault {
    /// Makes a secret, with its first values.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `not_found` for an environment, `validation_failed`.
    pub async fn create_secret(&self, caller: &Caller, new: &NewSecret) -> Result<SecretOverview, Problem> {
        settle_change!(self, caller, |access| self.create_secret_once(&access, new))
    }

    async fn create_secret_once(&self, access: &Access, new: &NewSecret) -> Result<SecretOverview, Stop> {
        let id = new_id!(SecretId, access.now);
        let object = Object::new(ObjectKind::Secret, *id.as_bytes(), new.name.as_str());
        let needs: &[Right] = if new.destinations.is_empty() {
            &[Right::SecretWrite]
        } else {
            &[Right::SecretWrite, Right::SecretPolicy]
        };
        for right in needs {
            if let Err(problem) = require(access.principal.rights, *right) {
                return Err(self.refuse(access, Verb::SecretCreate, object, problem).await);
            }
        }
        check_texts(&new.description, &new.destinations, new.rotate_every_days)?;
        if self.name_is_taken(access, &new.name).await? {
            return Err(name_taken(&new.name).into());
        }
        self.check_room(access).await?;
        let secret = rows::Secret {
            id,
            name: new.name.clone(),
            kind: new.kind,
            visibility: new.visibility,
            description: new.description.clone(),
            folder: new.folder.clone(),
            destinations: new.destinations.clone(),
            rotate_every_days: new.rotate_every_days,
            expires_at: new.expires_at,
            disabled: false,
            deleted_at: None,
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
            updated_at: access.now,
            proposed: false,
            suggested_destinations: Destinations::default(),
        };
        let mut statements = rows::insert(access.view.workspace.id, &secret);
        let mut warnings = destination_warnings(&new.destinations);
        for (environment, fields) in &new.values {
            let environment = access.environment(environment)?.id;
            statements.extend(self.new_version(access, &secret, environment, 1, fields).await?);
            warnings.extend(weakness(new.kind, &new.name, fields));
        }
        warnings.dedup();
        let event = self.event(access, Verb::SecretCreate, object, Outcome::Succeeded, Detail::default());
        let change = Change::new(access.view.workspace.id)
            .only_at(access.view.revision)
            .bump()
            .and_all(statements)
            .record(&event);
        self.0.store.write(change).await?;
        self.overview_of(access, secret, warnings).await
    }

    /// Whether the workspace holds one secret more.
    pub(crate) async fn check_room(&self, access: &Access) -> Result<(), Stop> {
        if self.0.store.secrets_count(access.view.workspace.id).await? < limits::SECRETS_MAX as i64 {
            return Ok(());
        }
        let message = format!("is one secret more than a workspace holds ({})", limits::SECRETS_MAX);
        Err(Problem::invalid("name", message).into())
    }

    /// Statements that add a sealed version and make it current. A proposal that gets one is a proposal no longer.
    pub(crate) async fn new_version(
        &self,
        access: &Access,
        secret: &rows::Secret,
        environment: EnvironmentId,
        version: i64,
        fields: &Fields,
    ) -> Result<Vec<Statement>, Stop> {
        refuse_placeholders(fields)?;
        let sealed =
            self.seal(access.view.workspace.id, environment, secret, version, &fields.encode()).await?;
        let row = rows::Version {
            version,
            sealed,
            shown: Value::Object(fields.shown(secret.kind)).to_string(),
            created_at: access.now,
            created_by: access.principal.actor.to_string(),
        };
        let mut statements =
            Vec::from(rows::insert_version(access.view.workspace.id, secret.id, environment, &row));
        if secret.proposed {
            statements.push(rows::accept_proposal(access.view.workspace.id, secret.id));
        }
        Ok(statements)
    }

    pub(crate) async fn name_is_taken(&self, access: &Access, name: &SecretName) -> Result<bool, Stop> {
        let (workspace, key) = (access.view.workspace.id, name.key());
        Ok(self.0.store.secret(workspace, &key).await?.is_some()
            || self.0.store.variable(workspace, &key).await?.is_some())
    }

    /// A secret by name.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn describe_secret(
        &self,
        caller: &Caller,
        name: &SecretName,
    ) -> Result<SecretOverview, Problem> {
        settle!(self, caller, |access| async {
            require_list(&access)?;
            let snapshot = self.snapshot(&access.view, name).await?;
            Ok(self.overview(&access, &snapshot))
        })
    }

    /// Secrets by name, and the key after which the next page begins.
    ///
    /// # Errors
    /// `not_found` for an environment.
    pub async fn list_secrets(
        &self,
        caller: &Caller,
        filter: &SecretFilter,
    ) -> Result<(Vec<SecretOverview>, Option<String>), Problem> {
        settle!(self, caller, |access| self.list_secrets_once(&access, filter))
    }

    async fn list_secrets_once(
        &self,
        access: &Access,
        filter: &SecretFilter,
    ) -> Result<(Vec<SecretOverview>, Option<String>), Stop> {
        require_list(access)?;
        let environment =
            filter.environment.as_ref().map(|name| access.environment(name)).transpose()?.map(|e| e.id);
        let stored = rows::Filter {
            search: filter.search.clone(),
            kind: filter.kind,
            folder: filter.folder.clone(),
            environment,
            disabled: filter.disabled,
            proposed: filter.proposed,
            deleted: filter.deleted,
            after: filter.after.clone(),
            limit: filter.limit,
        };
        let found = self.0.store.secrets(access.view.workspace.id, &stored).await?;
        let next =
            if found.len() == filter.limit { found.last().map(|secret| secret.name.key()) } else { None };
        let mut overviews = Vec::with_capacity(found.len());
        for secret in found {
            overviews.push(self.overview_of(access, secret, Vec::new()).await?);
        }
        Ok((overviews, next))
    }

    /// Changes a secret's description, folder, dates or destinations.
    ///
    /// Whoever aims a secret may as well read it: narrowing needs `secret.policy`, widening `secret.reveal` too, and
    /// widening a restricted secret needs new values everywhere, because nobody may read the old ones.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`.
    pub async fn update_secret(
        &self,
        caller: &Caller,
        name: &SecretName,
        patch: &SecretPatch,
    ) -> Result<SecretOverview, Problem> {
        settle_change!(self, caller, |access| self.update_secret_once(&access, name, patch))
    }

    async fn update_secret_once(
        &self,
        access: &Access,
        name: &SecretName,
        patch: &SecretPatch,
    ) -> Result<SecretOverview, Stop> {
        require_list(access)?;
        let snapshot = self.snapshot(&access.view, name).await?;
        let old = &snapshot.secret;
        let mut new = old.clone();
        new.updated_at = access.now;
        if let Some(description) = &patch.description {
            new.description.clone_from(description);
        }
        if let Some(folder) = &patch.folder {
            new.folder = folder.clone();
        }
        if let Some(days) = patch.rotate_every_days {
            new.rotate_every_days = days;
        }
        if let Some(end) = patch.expires_at {
            new.expires_at = end;
        }
        if let Some(destinations) = &patch.destinations {
            new.destinations = destinations.clone();
        }
        check_texts(&new.description, &new.destinations, new.rotate_every_days)?;
        let aims = new.destinations != old.destinations;
        let widens = aims && !new.destinations.is_within(&old.destinations);
        let describes = patch.description.is_some()
            || patch.folder.is_some()
            || patch.rotate_every_days.is_some()
            || patch.expires_at.is_some();
        let mut needs = Vec::new();
        if describes || !patch.values.is_empty() {
            needs.push(Right::SecretWrite);
        }
        if aims {
            needs.push(Right::SecretPolicy);
        }
        if widens {
            needs.push(Right::SecretReveal);
        }
        if needs.is_empty() {
            needs.push(if patch.destinations.is_some() { Right::SecretPolicy } else { Right::SecretWrite });
        }
        let verb = if aims { Verb::SecretPolicy } else { Verb::SecretUpdate };
        for right in needs {
            if let Err(problem) = require(access.principal.rights, right) {
                return Err(self.refuse(access, verb, object_of(&snapshot), problem).await);
            }
        }
        let mut statements = rows::update(access.view.workspace.id, &new);
        let mut warnings = if aims { destination_warnings(&new.destinations) } else { Vec::new() };
        let values = self.patched_values(access, &snapshot, patch)?;
        if widens && old.visibility == Visibility::Restricted {
            if let Some(kept) =
                snapshot.values.iter().find(|value| !values.iter().any(|(id, _)| *id == value.environment))
            {
                let environment = access.environment_named(kept.environment).map_or("", |e| e.name.as_str());
                let problem = Problem::invalid(
                    "values",
                    format!(
                        "must hold a new value for `{environment}`: a restricted secret can only be aimed wider together with new values everywhere"
                    ),
                );
                return Err(self.refuse(access, verb, object_of(&snapshot), problem).await);
            }
            // The old versions would become usable where nobody meant them to go.
            statements.extend(self.destroy_versions(access, &snapshot).await?);
        } else if aims {
            statements.extend(self.reseal_versions(access, &snapshot, &new).await?);
        }
        for (environment, fields) in &values {
            let latest = snapshot.value(*environment).map_or(0, |value| value.latest);
            statements.extend(self.new_version(access, &new, *environment, latest + 1, fields).await?);
            warnings.extend(weakness(new.kind, &new.name, fields));
        }
        let event = self.event(access, verb, object_of(&snapshot), Outcome::Succeeded, Detail::default());
        let mut change = Change::new(access.view.workspace.id)
            .only_at(access.view.revision)
            .bump()
            .and_all(statements)
            .record(&event);
        for (environment, _) in &values {
            let version = snapshot.value(*environment).map_or(1, |value| value.latest + 1);
            let mut rotated = self.event(
                access,
                Verb::SecretRotate,
                object_of(&snapshot),
                Outcome::Succeeded,
                Detail { version: Some(version.unsigned_abs()), ..Detail::default() },
            );
            rotated.environment = access.environment_named(*environment).map(|e| e.name.clone());
            change = change.record(&rotated);
        }
        self.0.store.write(change).await?;
        if !values.is_empty() {
            (new.proposed, new.suggested_destinations) = (false, Destinations::default());
        }
        self.overview_of(access, new, warnings).await
    }

    fn patched_values(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        patch: &SecretPatch,
    ) -> Result<Vec<(EnvironmentId, Fields)>, Problem> {
        let mut values = Vec::new();
        for (environment, fields) in &patch.values {
            let fields = Fields::parse(snapshot.secret.kind, fields).map_err(|(field, error)| {
                Problem::invalid(format!("values.{environment}.{field}"), error.to_string())
            })?;
            values.push((access.environment(environment)?.id, fields));
        }
        Ok(values)
    }

    /// Every kept version, sealed anew under the new policy: their values stay, their use changes with the policy.
    async fn reseal_versions(
        &self,
        access: &Access,
        snapshot: &Snapshot,
        new: &rows::Secret,
    ) -> Result<Vec<Statement>, Stop> {
        let workspace = access.view.workspace.id;
        let mut statements = Vec::new();
        for value in &snapshot.values {
            let proof = authorize::reseal_for_policy(
                access.principal.rights,
                snapshot,
                value.environment,
                access.view.revision,
            )?;
            for version in self.sealed_versions(&access.view, new.id, value.environment).await?.iter() {
                let sealed = self
                    .reseal(workspace, &proof, snapshot, version, &new.destinations, version.version)
                    .await?;
                statements.push(rows::reseal_version(
                    workspace,
                    new.id,
                    value.environment,
                    version.version,
                    &sealed,
                ));
            }
        }
        Ok(statements)
    }

    async fn destroy_versions(&self, access: &Access, snapshot: &Snapshot) -> Result<Vec<Statement>, Stop> {
        let workspace = access.view.workspace.id;
        let mut statements = Vec::new();
        for value in &snapshot.values {
            for version in
                self.sealed_versions(&access.view, snapshot.secret.id, value.environment).await?.iter()
            {
                statements.push(rows::delete_version(
                    workspace,
                    snapshot.secret.id,
                    value.environment,
                    version.version,
                ));
            }
        }
        Ok(statements)
    }

    pub(crate) async fn overview_of(
        &self,
        access: &Access,
        secret: rows::Secret,
        warnings: Vec<String>,
    ) -> Result<SecretOverview, Stop> {
        let snapshot = self.with_values(&access.view, secret).await?;
        Ok(SecretOverview { warnings, ..self.overview(access, &snapshot) })
    }

    pub(crate) fn overview(&self, access: &Access, snapshot: &Snapshot) -> SecretOverview {
        let value = |environment: &tacit_store::workspaces::Environment| {
            let value = snapshot.value(environment.id)?;
            Some(ValueOverview {
                environment: environment.name.clone(),
                version: value.current,
                set_at: value.set_at,
                disabled: value.disabled,
                shown: serde_json::from_str(&value.shown).unwrap_or_default(),
            })
        };
        SecretOverview {
            secret: snapshot.secret.clone(),
            values: access.view.environments.iter().filter_map(value).collect(),
            warnings: Vec::new(),
        }
    }
}

pub(crate) fn object_of(snapshot: &Snapshot) -> Object {
    Object::new(ObjectKind::Secret, *snapshot.secret.id.as_bytes(), snapshot.secret.name.as_str())
}

/// Who may not even list learns nothing, not even that the name exists.
pub(crate) fn require_list(access: &Access) -> Result<(), Problem> {
    if access.principal.has(Right::SecretList) { Ok(()) } else { Err(Problem::not_found("secret")) }
}

pub(crate) fn name_taken(name: &SecretName) -> Problem {
    Problem::new(Code::NameTaken, format!("the name `{name}` is taken by a secret or variable of this workspace (names ignore case; deleted secrets keep theirs until their window ends)"))
        .suggest("choose another name, or rotate, restore or delete the one that has it")
}

/// A value that holds a placeholder would be a value that stands for another one. What was put in for a placeholder is
/// never looked through for more, so it would only be sent as it is; but nobody means that.
fn refuse_placeholders(fields: &Fields) -> Result<(), Problem> {
    let is_clean = |text: &str| find_placeholders(text.as_bytes()).next().is_none();
    let Some((field, _)) = fields.iter().find(|(_, text)| !is_clean(text)) else { return Ok(()) };
    let message = "holds a placeholder of a lease instead of a value";
    Err(Problem::invalid(format!("fields.{field}"), message)
        .suggest("a placeholder stands for a value only in its lease; enter the value itself"))
}

pub(crate) fn check_texts(
    description: &str,
    destinations: &Destinations,
    rotate_every_days: Option<i64>,
) -> Result<(), Problem> {
    let mut issues = Vec::new();
    if description.len() > limits::DESCRIPTION_BYTES_MAX {
        issues.push(Issue::new(
            "description",
            format!("must be at most {} bytes", limits::DESCRIPTION_BYTES_MAX),
        ));
    }
    if destinations.is_too_many() {
        issues.push(Issue::new("destinations", format!("must be at most {}", limits::DESTINATIONS_MAX)));
    }
    if rotate_every_days.is_some_and(|days| !(1..=3650).contains(&days)) {
        issues.push(Issue::new("rotate_every_days", "must be 1 to 3650"));
    }
    if issues.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(issues)) }
}
