//! Variables: named texts with a value per environment that everybody in the workspace may read.

use tacit_audit::{Detail, Object, ObjectKind, Outcome, Verb};
use tacit_model::{
    EnvironmentId, EnvironmentName, Problem, Right, Scope, SecretName, Timestamp, VariableId, limits,
    name::Folder,
};
use tacit_store::variables as rows;

use crate::{
    Caller, Stop, Using, Vault, access::Access, authorize::require, new_id, precondition::variable_tag,
    secrets::name_taken, settle, settle_change,
};

/// A variable with its values.
#[derive(Clone, Debug)]
pub struct VariableOverview {
    /// The name.
    pub name: SecretName,
    /// Free text.
    pub description: String,
    /// The folder.
    pub folder: Folder,
    /// Values by environment.
    pub values: Vec<(EnvironmentName, String)>,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
    /// What its `ETag` is.
    pub tag: String,
}

/// What may be changed of a variable; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct VariablePatch {
    /// Free text.
    pub description: Option<String>,
    /// The folder.
    pub folder: Option<Folder>,
}

pub(crate) fn object(variable: &rows::Variable) -> Object {
    Object::new(ObjectKind::Variable, *variable.id.as_bytes(), variable.name.as_str())
}

fn check(description: &str, values: &[(EnvironmentName, String)]) -> Result<(), Problem> {
    if description.len() > limits::DESCRIPTION_BYTES_MAX {
        return Err(Problem::invalid(
            "description",
            format!("must be at most {} bytes", limits::DESCRIPTION_BYTES_MAX),
        ));
    }
    match values.iter().find(|(_, value)| value.len() > limits::VALUE_BYTES_MAX) {
        Some((environment, _)) => Err(Problem::invalid(
            format!("values.{environment}"),
            format!("is over the limit of {} bytes", limits::VALUE_BYTES_MAX),
        )),
        None => Ok(()),
    }
}

impl Vault {
    /// Makes a variable, with its first values.
    ///
    /// # Errors
    /// `forbidden`, `name_taken`, `validation_failed`.
    pub async fn create_variable(
        &self,
        caller: &Caller,
        name: &SecretName,
        patch: &VariablePatch,
        values: &[(EnvironmentName, String)],
    ) -> Result<VariableOverview, Problem> {
        check(patch.description.as_deref().unwrap_or_default(), values)?;
        settle_change!(self, caller, |access| self.create_variable_once(&access, name, patch, values))
    }

    async fn create_variable_once(
        &self,
        access: &Access,
        name: &SecretName,
        patch: &VariablePatch,
        values: &[(EnvironmentName, String)],
    ) -> Result<VariableOverview, Stop> {
        let folder = patch.folder.clone().unwrap_or_else(root_folder);
        self.require_variable_write(access, name, &Scope::folder(&folder)).await?;
        let (workspace, key) = (access.view.workspace.id, name.key());
        if self.0.store.secret(workspace, &key).await?.is_some()
            || self.0.store.variable(workspace, &key).await?.is_some()
        {
            return Err(name_taken(name).into());
        }
        let variable = rows::Variable {
            id: new_id!(VariableId, access.now),
            name: name.clone(),
            description: patch.description.clone().unwrap_or_default(),
            folder,
            created_at: access.now,
            updated_at: access.now,
        };
        let mut change = self.change(access).and_all(rows::insert(workspace, &variable));
        for (environment, value) in values {
            let environment = access.environment(environment)?.id;
            change = change.and(rows::set_value(workspace, variable.id, environment, value, access.now));
        }
        let event = self.event(
            access,
            Verb::VariableCreate,
            object(&variable),
            Outcome::Succeeded,
            Detail::default(),
        );
        self.0.store.write(change.record(&event)).await?;
        self.variable_overview(access, variable).await
    }

    /// Sets a variable's value in an environment.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `validation_failed`.
    pub async fn set_variable(
        &self,
        caller: &Caller,
        name: &SecretName,
        environment: &EnvironmentName,
        value: &str,
    ) -> Result<(), Problem> {
        check("", &[(environment.clone(), value.to_owned())])?;
        settle_change!(self, caller, |access| async {
            let variable = self.variable(&access, name).await?;
            let environment = access.environment(environment)?;
            let scope = Scope { environment: Some(environment.id), ..Scope::folder(&variable.folder) };
            self.require_variable_write(&access, name, &scope).await?;
            self.check_variable_tag(&access, &variable).await?;
            let mut event = self.event(
                &access,
                Verb::VariableSet,
                object(&variable),
                Outcome::Succeeded,
                Detail::default(),
            );
            event.environment = Some(environment.name.clone());
            let statement =
                rows::set_value(access.view.workspace.id, variable.id, environment.id, value, access.now);
            self.0.store.write(self.change(&access).bump().and(statement).record(&event)).await?;
            Ok(())
        })
    }

    /// Changes a variable's description or folder.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn update_variable(
        &self,
        caller: &Caller,
        name: &SecretName,
        patch: &VariablePatch,
    ) -> Result<VariableOverview, Problem> {
        check(patch.description.as_deref().unwrap_or_default(), &[])?;
        settle_change!(self, caller, |access| async {
            let old = self.variable(&access, name).await?;
            self.require_variable_write(&access, name, &Scope::folder(&old.folder)).await?;
            self.check_variable_tag(&access, &old).await?;
            if let Some(folder) = patch.folder.as_ref().filter(|folder| **folder != old.folder) {
                self.require_variable_write(&access, name, &Scope::folder(folder)).await?;
                if let Err(stop) = self.check_move(&access, None, &old.folder, folder).await {
                    return Err(self.refuse_stopped(&access, Verb::VariableUpdate, object(&old), stop).await);
                }
            }
            let variable = rows::Variable {
                description: patch.description.clone().unwrap_or_else(|| old.description.clone()),
                folder: patch.folder.clone().unwrap_or_else(|| old.folder.clone()),
                updated_at: access.now,
                ..old
            };
            let event = self.event(
                &access,
                Verb::VariableUpdate,
                object(&variable),
                Outcome::Succeeded,
                Detail::default(),
            );
            self.0
                .store
                .write(
                    self.change(&access)
                        .bump()
                        .and(rows::update(access.view.workspace.id, &variable))
                        .record(&event),
                )
                .await?;
            self.variable_overview(&access, variable).await
        })
    }

    /// Removes a variable.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn delete_variable(&self, caller: &Caller, name: &SecretName) -> Result<(), Problem> {
        settle_change!(self, caller, |access| async {
            let variable = self.variable(&access, name).await?;
            self.require_variable_write(&access, name, &Scope::folder(&variable.folder)).await?;
            self.check_variable_tag(&access, &variable).await?;
            let event = self.event(
                &access,
                Verb::VariableDelete,
                object(&variable),
                Outcome::Succeeded,
                Detail::default(),
            );
            self.0
                .store
                .write(
                    self.change(&access)
                        .bump()
                        .and_all(rows::delete(access.view.workspace.id, &variable))
                        .record(&event),
                )
                .await?;
            Ok(())
        })
    }

    /// A variable by name.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn describe_variable(
        &self,
        caller: &Caller,
        name: &SecretName,
    ) -> Result<VariableOverview, Problem> {
        settle!(self, caller, |access| async {
            let variable = self.variable(&access, name).await?;
            self.variable_overview(&access, variable).await
        })
    }

    /// Variables by name, and the key after which the next page begins.
    ///
    /// # Errors
    /// `not_found` for those who may not list.
    pub async fn list_variables(
        &self,
        caller: &Caller,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<VariableOverview>, Option<String>), Problem> {
        settle!(self, caller, |access| async {
            require_list(&access)?;
            let (found, next) = self.visible_variables(&access, after, limit).await?;
            let mut overviews = Vec::with_capacity(found.len());
            for variable in found {
                overviews.push(self.variable_overview(&access, variable).await?);
            }
            Ok((overviews, next))
        })
    }

    /// A page of what the caller may know of, filled from what follows where something is left out.
    async fn visible_variables(
        &self,
        access: &Access,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<rows::Variable>, Option<String>), Stop> {
        let mut visible = Vec::new();
        let mut after = after.to_owned();
        loop {
            let found = self.0.store.variables(access.view.workspace.id, &after, limit).await?;
            let is_last = found.len() < limit;
            if let Some(last) = found.last() {
                after = last.name.key();
            }
            for variable in found.into_iter().filter(|variable| access.sees_folder(&variable.folder)) {
                let key = variable.name.key();
                visible.push(variable);
                if visible.len() == limit {
                    return Ok((visible, Some(key)));
                }
            }
            if is_last {
                return Ok((visible, None));
            }
        }
    }

    /// The values of the variables that a template names, in one environment. What has none is left out.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) async fn variable_values(
        &self,
        access: &Access,
        environment: EnvironmentId,
        names: impl Iterator<Item = String>,
    ) -> Result<Vec<(String, String)>, Problem> {
        let mut values = Vec::new();
        for name in names {
            let Ok(parsed) = name.parse::<SecretName>() else { continue };
            let value = self
                .0
                .store
                .variable_value(access.view.workspace.id, &parsed.key(), environment)
                .await
                .map_err(Problem::internal)?;
            values.extend(value.map(|value| (name, value)));
        }
        Ok(values)
    }

    /// The same for a caller at the edge: of a run what its definition names, of a request what the caller may list there. The
    /// rest is left out like what is not there.
    ///
    /// # Errors
    /// `not_found` for an environment.
    pub async fn variables_for(
        &self,
        caller: &Caller,
        using: Using<'_>,
        environment: &EnvironmentName,
        names: &[String],
    ) -> Result<Vec<(String, String)>, Problem> {
        let access = self.access(caller).await?;
        let environment = access.environment(environment)?.id;
        let mut named = Vec::with_capacity(names.len());
        for name in names {
            let is_of_run = matches!(using, Using::Run { .. });
            if is_of_run || self.may_read(&access, name, environment).await? {
                named.push(name.clone());
            }
        }
        self.variable_values(&access, environment, named.into_iter()).await
    }

    async fn may_read(
        &self,
        access: &Access,
        name: &str,
        environment: EnvironmentId,
    ) -> Result<bool, Problem> {
        let Ok(name) = name.parse::<SecretName>() else { return Ok(false) };
        let found = self.0.store.variable(access.view.workspace.id, &name.key()).await;
        let Some(variable) = found.map_err(Problem::internal)? else { return Ok(false) };
        let scope = Scope { environment: Some(environment), ..Scope::folder(&variable.folder) };
        Ok(access.rights_at(&scope).has(Right::SecretList))
    }

    /// The right to write variables, or a refusal on the record.
    pub(crate) async fn require_variable_write(
        &self,
        access: &Access,
        name: &SecretName,
        scope: &Scope,
    ) -> Result<(), Stop> {
        let Err(problem) = require(access.rights_at(scope), Right::VariableWrite) else { return Ok(()) };
        let object = Object::new(ObjectKind::Variable, [0; 16], name.as_str());
        Err(self.refuse(access, Verb::VariableUpdate, object, problem).await)
    }

    pub(crate) async fn variable(&self, access: &Access, name: &SecretName) -> Result<rows::Variable, Stop> {
        let found = self.0.store.variable(access.view.workspace.id, &name.key()).await?;
        // What the caller may not know of is not there.
        let found = found.filter(|variable| access.sees_folder(&variable.folder));
        found.ok_or_else(|| Problem::not_found("variable").into())
    }

    /// Whether the caller means the variable as it is now.
    async fn check_variable_tag(&self, access: &Access, variable: &rows::Variable) -> Result<(), Stop> {
        let seen = self.variable_overview(access, variable.clone()).await?;
        Ok(access.check_tag(&seen.tag)?)
    }

    pub(crate) async fn variable_overview(
        &self,
        access: &Access,
        variable: rows::Variable,
    ) -> Result<VariableOverview, Stop> {
        let stored = self.0.store.variable_values(access.view.workspace.id, variable.id).await?;
        let values = access.view.environments.iter().filter_map(|environment| {
            // Of environments in which the caller may not list, nothing; their tag does not tell of them, either.
            let scope = Scope { environment: Some(environment.id), ..Scope::folder(&variable.folder) };
            let may_list = access.rights_at(&scope).has(Right::SecretList);
            let (_, value) = stored.iter().find(|(id, _)| may_list && *id == environment.id)?;
            Some((environment.name.clone(), value.clone()))
        });
        let values: Vec<_> = values.collect();
        Ok(VariableOverview {
            tag: variable_tag(variable.id, &variable.description, variable.folder.as_str(), &values),
            values,
            name: variable.name,
            description: variable.description,
            folder: variable.folder,
            created_at: variable.created_at,
            updated_at: variable.updated_at,
        })
    }
}

pub(crate) fn root_folder() -> Folder {
    "".parse().expect("the empty path is a folder")
}

fn require_list(access: &Access) -> Result<(), Problem> {
    access.may_list("variables")
}
