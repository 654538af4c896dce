//! What a deployment keeps in order to be taken back.

use serde::{Deserialize, Serialize};
use tacit_model::{AutomationId, SecretId, SecretName, VariableId};

/// What stood there before: what a rollback needs. It holds no secret's value, only numbers of versions.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Undo {
    pub(super) automations: Vec<UndoAutomation>,
    pub(super) secrets: Vec<UndoSecret>,
    pub(super) variables: Vec<UndoVariable>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct UndoAutomation {
    pub(super) id: AutomationId,
    pub(super) name: SecretName,
    /// Of what was deployed.
    pub(super) hash: [u8; 32],
    /// What was published there before.
    pub(super) before: Option<Before>,
    /// Whether triggers fired there before.
    pub(super) triggers_enabled: bool,
    /// The hash of the webhook's token there.
    #[serde(default)]
    pub(super) hook: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) definition: String,
    pub(super) published_by: String,
    pub(super) grants: Vec<BeforeGrant>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BeforeGrant {
    pub(super) secret: SecretId,
    pub(super) pinned: Option<String>,
    pub(super) granted_by: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct UndoSecret {
    pub(super) id: SecretId,
    pub(super) name: SecretName,
    /// The copy's version.
    pub(super) version: i64,
    /// The version before; 0 if there was no value.
    pub(super) before: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct UndoVariable {
    pub(super) id: VariableId,
    pub(super) name: SecretName,
    pub(super) value: String,
    pub(super) before: Option<String>,
}
