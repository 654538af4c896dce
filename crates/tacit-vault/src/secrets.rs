//! Secrets without their values: create, find, describe, change.

use serde_json::{Map, Value};
use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{
    Code, Destinations, EnvironmentId, EnvironmentName, Fields, Issue, Problem, Right, Scope, SecretId,
    SecretName, SecretType, Timestamp, Visibility, limits, name::Folder,
};
use tacit_store::{Change, reminders::Reminder, secrets as rows};

use crate::{
    Caller, Stop, Vault,
    access::{Access, Snapshot},
    authorize::require,
    new_id,
    precondition::secret_tag,
    reasons::{self, Said},
    settle, settle_change,
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
    /// Why, in the caller's words.
    pub reason: Option<String>,
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
    /// Why, in the caller's words.
    pub reason: Option<String>,
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
    /// What its dates ask for.
    pub reminder: Option<Reminder>,
    /// What its `ETag` is.
    pub tag: String,
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
    /// Only those with this reminder; `Some(None)` for those without one.
    pub reminder: Option<Option<Reminder>>,
    /// Those that were deleted and can be restored, instead of the others.
    pub deleted: bool,
    /// Where the page before ended.
    pub after: Option<String>,
    /// Rows at most.
    pub limit: usize,
}

impl Vault {
    /// Makes a secret, with its first values; with `dry_run` only says whether it would be made.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `not_found` for an environment, `validation_failed`.
    pub async fn create_secret(
        &self,
        caller: &Caller,
        new: &NewSecret,
        dry_run: bool,
    ) -> Result<SecretOverview, Problem> {
        let said = Said::parse(new.reason.as_deref())?;
        settle_change!(self, caller, |access| self.create_secret_once(&access, new, said.as_ref(), dry_run))
    }

    async fn create_secret_once(
        &self,
        access: &Access,
        new: &NewSecret,
        said: Option<&Said>,
        dry_run: bool,
    ) -> Result<SecretOverview, Stop> {
        let reason = said.map(|said| said.id);
        let id = new_id!(SecretId, access.now);
        let object = Object::new(ObjectKind::Secret, *id.as_bytes(), new.name.as_str());
        self.check_new(access, new, &object).await?;
        if self.name_is_taken(access, &new.name).await? {
            return Err(self.name_taken(access, &new.name).await?.into());
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
            rotate_at: None,
            purge_at: None,
        };
        let mut statements = rows::insert(access.view.workspace.id, &secret);
        let mut warnings = destination_warnings(&new.destinations);
        for (environment, fields) in &new.values {
            let environment = access.environment(environment)?.id;
            statements.extend(self.new_version(access, &secret, environment, 1, fields, reason).await?);
            warnings.extend(weakness(new.kind, &new.name, fields));
        }
        warnings.dedup();
        if dry_run {
            return self.overview_of(access, secret, warnings).await;
        }
        let detail = Detail { reason_id: reason, ..Detail::default() };
        let event = self.event(access, Verb::SecretCreate, object, Outcome::Succeeded, detail);
        let change = Change::new(access.view.workspace.id)
            .only_at(access.view.revision)
            .bump()
            .and_all(statements)
            .record(&event);
        self.0.store.write(change).await?;
        // Nothing is kept of it but what the caller has just set.
        let known: Vec<_> =
            new.values.iter().flat_map(|(_, fields)| reasons::known(fields, new.kind)).collect();
        let made = Snapshot { secret, values: Vec::new() };
        self.keep_reason(access, &made, said, &[], &known).await;
        let secret = self.stored_again(access, made.secret).await?;
        self.overview_of(access, secret, warnings).await
    }

    /// Whether the caller may make a secret like this one at all, whatever its name.
    pub(crate) async fn check_new(
        &self,
        access: &Access,
        new: &NewSecret,
        object: &Object,
    ) -> Result<(), Stop> {
        let needs: &[Right] = if new.destinations.is_empty() {
            &[Right::SecretWrite]
        } else {
            &[Right::SecretWrite, Right::SecretPolicy]
        };
        for right in needs {
            if let Err(problem) = require(access.rights_at(&Scope::folder(&new.folder)), *right) {
                return Err(self.refuse(access, Verb::SecretCreate, object.clone(), problem).await);
            }
        }
        Ok(check_texts(&new.description, &new.destinations, new.rotate_every_days)?)
    }

    /// A secret as it is after a write: with the dates that follow from its values.
    async fn stored_again(&self, access: &Access, secret: rows::Secret) -> Result<rows::Secret, Stop> {
        let stored = self.0.store.secret_by_id(access.view.workspace.id, secret.id).await?;
        Ok(stored.unwrap_or(secret))
    }

    /// Whether the workspace holds one secret more.
    pub(crate) async fn check_room(&self, access: &Access) -> Result<(), Stop> {
        if self.0.store.secrets_count(access.view.workspace.id).await? < limits::SECRETS_MAX as i64 {
            return Ok(());
        }
        let message = format!("is one secret more than a workspace holds ({})", limits::SECRETS_MAX);
        Err(Problem::invalid("name", message).into())
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
            let snapshot = self.snapshot(&access, name).await?;
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
            reminder: filter.reminder.map(|reminder| (reminder, access.now)),
            deleted: filter.deleted,
            after: filter.after.clone(),
            limit: filter.limit,
        };
        let (found, next) = self.visible_secrets(access, stored).await?;
        let mut overviews = Vec::with_capacity(found.len());
        for secret in found {
            overviews.push(self.overview_of(access, secret, Vec::new()).await?);
        }
        Ok((overviews, next))
    }

    /// A page of what the caller may list, and the key after which the next one begins. Whoever may list everything gets
    /// the page as it is stored; for others what they may not know of is left out and the page is filled from what follows.
    async fn visible_secrets(
        &self,
        access: &Access,
        mut filter: rows::Filter,
    ) -> Result<(Vec<rows::Secret>, Option<String>), Stop> {
        let workspace = access.view.workspace.id;
        let wanted = filter.limit;
        if !access.lists_everything() {
            filter.limit = limits::PAGE_ROWS_MAX;
        }
        // A value in an environment is found only by those who may list there.
        let may_list = |secret: &rows::Secret| match filter.environment {
            Some(environment) => access.rights_on(secret, Some(environment)).has(Right::SecretList),
            None => access.sees(secret),
        };
        let mut visible = Vec::new();
        let mut after = filter.after.clone();
        loop {
            filter.after = after;
            let found = self.0.store.secrets(workspace, &filter).await?;
            let is_last = found.len() < filter.limit;
            after = found.last().map(|listed| listed.key.clone());
            for rows::Listed { secret, key } in found {
                if may_list(&secret) {
                    visible.push(secret);
                    if visible.len() == wanted {
                        return Ok((visible, Some(key)));
                    }
                }
            }
            if is_last {
                return Ok((visible, None));
            }
        }
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
        let snapshot = self.snapshot(access, name).await?;
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
            if let Err(problem) = require(access.rights_on(old, None), right) {
                return Err(self.refuse(access, verb, object_of(&snapshot), problem).await);
            }
        }
        if new.folder != old.folder {
            let arriving = Scope::secret(old.id, &new.folder, None);
            let moved = match require(access.rights_at(&arriving), Right::SecretWrite) {
                Ok(()) => self.check_move(access, Some(old.id), &old.folder, &new.folder).await,
                Err(problem) => Err(problem.into()),
            };
            if let Err(stop) = moved {
                return Err(self.refuse_stopped(access, verb, object_of(&snapshot), stop).await);
            }
        }
        access.check_tag(&secret_tag(access, &snapshot))?;
        let mut statements = rows::update(access.view.workspace.id, &new);
        let mut destroyed = Vec::new();
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
            for value in &snapshot.values {
                destroyed.push(self.destroy_all(access, &snapshot, value.environment).await?);
            }
        } else if aims {
            statements.extend(self.reseal_versions(access, &snapshot, &new).await?);
        }
        let said = Said::parse(patch.reason.as_deref())?;
        let reason = said.as_ref().map(|said| said.id);
        let is_cleared = !destroyed.is_empty();
        let mut rotated = Vec::new();
        for (environment, fields) in &values {
            let version = self.next_version(access, &snapshot, *environment).await?;
            statements.extend(self.new_version(access, &new, *environment, version, fields, reason).await?);
            warnings.extend(weakness(new.kind, &new.name, fields));
            if !is_cleared {
                destroyed.push(self.prune(access, &snapshot, *environment, version).await?);
            }
            let detail =
                Detail { version: Some(version.unsigned_abs()), reason_id: reason, ..Detail::default() };
            let mut event =
                self.event(access, Verb::SecretRotate, object_of(&snapshot), Outcome::Succeeded, detail);
            event.environment = access.environment_named(*environment).map(|e| e.name.clone());
            rotated.push(event);
        }
        let detail = Detail { reason_id: reason, ..Detail::default() };
        let event = self.event(access, verb, object_of(&snapshot), Outcome::Succeeded, detail);
        let change = self.change(access).bump().and_all(statements).record(&event);
        let change = rotated.iter().fold(change, Change::record);
        let change = destroyed.into_iter().fold(change, |change, part| part.add_to(change));
        let scans = self.reason_scans(access, &snapshot, said.as_ref());
        let scans = self.record_act(change, scans).await?;
        let known: Vec<_> = values.iter().flat_map(|(_, fields)| reasons::known(fields, new.kind)).collect();
        self.keep_reason(access, &snapshot, said.as_ref(), &scans, &known).await;
        let new = self.stored_again(access, new).await?;
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
            // Of environments in which the caller may not list, nothing.
            let rights = access.rights_on(&snapshot.secret, Some(environment.id));
            let value = snapshot.value(environment.id).filter(|_| rights.has(Right::SecretList))?;
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
            reminder: Reminder::of(snapshot.secret.rotate_at, snapshot.secret.expires_at, access.now),
            tag: secret_tag(access, snapshot),
            warnings: Vec::new(),
        }
    }
}

pub(crate) fn object_of(snapshot: &Snapshot) -> Object {
    Object::new(ObjectKind::Secret, *snapshot.secret.id.as_bytes(), snapshot.secret.name.as_str())
}

impl Vault {
    /// Why a name is taken, and for whoever may bring back what has it: that this is possible.
    pub(crate) async fn name_taken(&self, access: &Access, name: &SecretName) -> Result<Problem, Stop> {
        let found = self.snapshot_or_deleted(&access.view, &name.key()).await?;
        let is_theirs = found.as_ref().is_some_and(|found| {
            found.secret.deleted_at.is_some()
                && access.sees(&found.secret)
                && access.rights_on(&found.secret, None).has(Right::SecretDelete)
        });
        let problem = name_taken(name);
        Ok(match is_theirs {
            true => problem.suggest(format!(
                "a deleted secret has it: tacit secrets restore {name}, or choose another name"
            )),
            false => problem,
        })
    }
}

/// Who may not even list learns nothing, not even that the name exists.
pub(crate) fn require_list(access: &Access) -> Result<(), Problem> {
    access.may_list("secrets")
}

pub(crate) fn name_taken(name: &SecretName) -> Problem {
    Problem::new(Code::NameTaken, format!("the name `{name}` is taken by a secret or variable of this workspace (names ignore case; deleted secrets keep theirs until their window ends)"))
        .suggest("choose another name, or rotate, restore or delete the one that has it")
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
