//! Keys of workspaces and environments, unwrapped once and kept behind handles.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tacit_crypto::{KeyHandle, RootKey, WrapContext, unwrap_key, wrap_key};
use tacit_model::{EnvironmentId, InstanceId, Problem, WorkspaceId};
use tacit_store::{Change, Statement, Store, fingerprints, keys};

/// A data key and which generation of its environment's keys it is.
#[derive(Clone)]
pub(crate) struct DataKey {
    pub(crate) generation: u32,
    pub(crate) handle: Arc<KeyHandle>,
}

type Generations = Arc<Vec<DataKey>>;

/// Keys in use. Ciphertext may be cached anywhere, keys only here, values nowhere.
pub(crate) struct Keyring {
    store: Store,
    instance: InstanceId,
    root: RootKey,
    open: RwLock<HashMap<(WorkspaceId, EnvironmentId), Generations>>,
    fingerprints: RwLock<HashMap<WorkspaceId, Arc<KeyHandle>>>,
}

impl Keyring {
    pub(crate) fn new(store: Store, instance: InstanceId, root: RootKey) -> Self {
        Self { store, instance, root, open: RwLock::default(), fingerprints: RwLock::default() }
    }

    /// The key above all others, for what belongs to no workspace.
    pub(crate) fn root(&self) -> &KeyHandle {
        self.root.handle()
    }

    /// The newest data key of an environment: what new records are sealed with.
    pub(crate) async fn newest(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
    ) -> Result<DataKey, Problem> {
        let generations = self.generations(workspace, environment).await?;
        generations.first().cloned().ok_or_else(|| Problem::internal("an environment has no data key"))
    }

    /// The data key of one generation: what a record was sealed with.
    pub(crate) async fn generation(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
        generation: u32,
    ) -> Result<DataKey, Problem> {
        let generations = self.generations(workspace, environment).await?;
        generations
            .iter()
            .find(|key| key.generation == generation)
            .cloned()
            .ok_or_else(|| Problem::internal("a data key is missing"))
    }

    async fn generations(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
    ) -> Result<Generations, Problem> {
        #[cfg(all(test, debug_assertions))]
        if crate::isolation::seals_for_nobody() {
            let nobody = (WorkspaceId::from_bytes([0; 16]), EnvironmentId::from_bytes([0; 16]));
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            let one = || Arc::new(vec![DataKey { generation: 1, handle: Arc::new(KeyHandle::generate()) }]);
            return Ok(Arc::clone(open.entry(nobody).or_insert_with(one)));
        }
        let known =
            self.open.read().unwrap_or_else(PoisonError::into_inner).get(&(workspace, environment)).cloned();
        if let Some(generations) = known {
            return Ok(generations);
        }
        let workspace_keys = self.store.workspace_keys(workspace).await.map_err(Problem::internal)?;
        let mut generations = Vec::new();
        for wrapped in self.store.data_keys(workspace, environment).await.map_err(Problem::internal)? {
            let parent = workspace_keys
                .iter()
                .find(|key| key.generation == wrapped.parent)
                .ok_or_else(|| Problem::internal("a workspace key is missing"))?;
            let context = self.workspace_context(workspace, parent.generation);
            let parent =
                unwrap_key(self.root.handle(), &context, &parent.wrapped).map_err(Problem::internal)?;
            let context = self.data_context(workspace, environment, wrapped.generation);
            let handle = unwrap_key(&parent, &context, &wrapped.wrapped).map_err(Problem::internal)?;
            generations.push(DataKey { generation: wrapped.generation, handle: Arc::new(handle) });
        }
        let generations = Arc::new(generations);
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((workspace, environment), Arc::clone(&generations));
        Ok(generations)
    }

    /// The key of a workspace's fingerprints, made when it is first needed.
    pub(crate) async fn fingerprint(&self, workspace: WorkspaceId) -> Result<Arc<KeyHandle>, Problem> {
        let known = self.fingerprints.read().unwrap_or_else(PoisonError::into_inner).get(&workspace).cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let mut stored = self.store.fingerprint_keys(workspace).await.map_err(Problem::internal)?;
        if stored.is_empty() {
            let made = self.new_fingerprint_key(workspace).await?;
            self.store.write(Change::new(workspace).and(made)).await.map_err(Problem::audit_unavailable)?;
            // Somebody else's may have been first.
            stored = self.store.fingerprint_keys(workspace).await.map_err(Problem::internal)?;
        }
        let wrapped =
            stored.first().ok_or_else(|| Problem::internal("a workspace has no fingerprint key"))?;
        let parent = self.workspace_key(workspace, Some(wrapped.parent)).await?;
        let context = self.fingerprint_context(workspace, wrapped.generation);
        let key = unwrap_key(&parent.handle, &context, &wrapped.wrapped).map_err(Problem::internal)?;
        let key = Arc::new(key);
        let mut known = self.fingerprints.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(workspace, Arc::clone(&key));
        Ok(key)
    }

    async fn new_fingerprint_key(&self, workspace: WorkspaceId) -> Result<Statement, Problem> {
        let parent = self.workspace_key(workspace, None).await?;
        let context = self.fingerprint_context(workspace, 1);
        let wrapped =
            wrap_key(&parent.handle, &context, &KeyHandle::generate()).map_err(Problem::internal)?;
        let key = keys::WrappedKey { generation: 1, parent: parent.generation, wrapped };
        Ok(fingerprints::insert_key(workspace, &key))
    }

    /// A workspace's key: the newest, or one generation of it.
    async fn workspace_key(
        &self,
        workspace: WorkspaceId,
        generation: Option<u32>,
    ) -> Result<DataKey, Problem> {
        let stored = self.store.workspace_keys(workspace).await.map_err(Problem::internal)?;
        let wrapped = stored.iter().find(|key| generation.is_none_or(|wanted| key.generation == wanted));
        let wrapped = wrapped.ok_or_else(|| Problem::internal("a workspace key is missing"))?;
        let context = self.workspace_context(workspace, wrapped.generation);
        let handle = unwrap_key(self.root.handle(), &context, &wrapped.wrapped).map_err(Problem::internal)?;
        Ok(DataKey { generation: wrapped.generation, handle: Arc::new(handle) })
    }

    fn fingerprint_context(&self, workspace: WorkspaceId, generation: u32) -> WrapContext {
        WrapContext::FingerprintKey {
            instance: *self.instance.as_bytes(),
            workspace: *workspace.as_bytes(),
            generation,
        }
    }

    /// A first key for a new workspace, and the first data key of each of its environments.
    pub(crate) fn for_new_workspace(
        &self,
        workspace: WorkspaceId,
        environments: &[EnvironmentId],
    ) -> Result<Vec<Statement>, Problem> {
        let key = KeyHandle::generate();
        let wrapped = wrap_key(self.root.handle(), &self.workspace_context(workspace, 1), &key)
            .map_err(Problem::internal)?;
        let mut statements = vec![keys::insert_workspace_key(
            workspace,
            &keys::WrappedKey { generation: 1, parent: 0, wrapped },
        )];
        for environment in environments {
            statements.push(self.data_key(workspace, 1, &key, *environment)?);
        }
        Ok(statements)
    }

    /// The first data key of a new environment.
    pub(crate) async fn for_new_environment(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
    ) -> Result<Statement, Problem> {
        let keys = self.store.workspace_keys(workspace).await.map_err(Problem::internal)?;
        let newest = keys.first().ok_or_else(|| Problem::internal("a workspace has no key"))?;
        let context = self.workspace_context(workspace, newest.generation);
        let parent = unwrap_key(self.root.handle(), &context, &newest.wrapped).map_err(Problem::internal)?;
        self.data_key(workspace, newest.generation, &parent, environment)
    }

    fn data_key(
        &self,
        workspace: WorkspaceId,
        parent: u32,
        key: &KeyHandle,
        environment: EnvironmentId,
    ) -> Result<Statement, Problem> {
        let context = self.data_context(workspace, environment, 1);
        let wrapped = wrap_key(key, &context, &KeyHandle::generate()).map_err(Problem::internal)?;
        Ok(keys::insert_data_key(
            workspace,
            environment,
            &keys::WrappedKey { generation: 1, parent, wrapped },
        ))
    }

    fn workspace_context(&self, workspace: WorkspaceId, generation: u32) -> WrapContext {
        WrapContext::WorkspaceKey {
            instance: *self.instance.as_bytes(),
            workspace: *workspace.as_bytes(),
            generation,
        }
    }

    fn data_context(
        &self,
        workspace: WorkspaceId,
        environment: EnvironmentId,
        generation: u32,
    ) -> WrapContext {
        WrapContext::DataKey {
            instance: *self.instance.as_bytes(),
            workspace: *workspace.as_bytes(),
            environment: *environment.as_bytes(),
            generation,
        }
    }
}
