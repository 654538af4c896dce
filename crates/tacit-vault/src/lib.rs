//! The use cases and the authorization; the only crate that opens envelopes.
//!
//! A use case is one function that reads like a paragraph: find, authorize, record, open, act. It knows no HTTP. What it
//! needs to know of the caller is a [`Caller`]; what it refuses with is a [`tacit_model::Problem`].
//!
//! There is one way from ciphertext to a value, and it is short: [`authorize`] makes a proof, [`decrypt`] makes the
//! intent durable and opens. Nothing else in the workspace can.
#![forbid(unsafe_code)]

mod access;
mod accounts;
mod agents;
mod authorize;
mod automations;
mod budgets;
mod compare;
mod decrypt;
mod deployments;
mod events;
mod explain;
mod grants;
mod guessable;
mod http;
mod idempotency;
mod invitations;
#[cfg(all(test, debug_assertions))]
mod isolation;
mod keyring;
mod leases;
mod literals;
mod manifest;
mod members;
mod pace;
mod plain;
mod precondition;
mod proposals;
mod reasons;
mod recovery;
mod removal;
mod roles;
mod runs;
mod second_factor;
mod secrets;
mod sessions;
mod setup;
mod sftp;
mod steps;
mod storage;
mod triggers;
mod upkeep;
mod usages;
mod uses;
mod value_rules;
mod values;
mod variables;
mod versions;
mod warnings;
mod workspaces;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tacit_crypto::RootKey;
use tacit_model::{InstanceId, Problem, WorkspaceName, limits};
use tacit_store::{ReadError, Store, WriteError};

pub use access::{Caller, Holding, Principal};
pub use accounts::{NewToken, ServiceAccountInfo, WhoAmI};
pub use agents::{AgentSessionGiven, AgentSessionInfo, NewAgentSession};
pub use automations::{AutomationListed, PublishedAutomation};
pub use compare::{Comparison, Likeness};
pub use deployments::{
    Deployed, Deployment, DeploymentPlan, Difference, NewDeployment, PlannedAutomation, PlannedSecret,
    PlannedVariable, Relation,
};
pub use events::{EventFilter, RecordedEvent};
pub use explain::{Accessor, Reason, Standing};
pub use grants::{GrantInfo, Grantee, NewGrant};
pub use http::{BodyTemplate, HttpTemplate, Slot, UrlPart, is_credential_name, percent_decoded};
pub use idempotency::{FirstTime, Once, Replay};
pub use invitations::{Acceptance, InvitationInfo, NewInvitation};
pub use leases::{Lease, LeaseGiven, LeaseInfo, LeaseSecret, LeasedSecret, NewLease};
pub use manifest::{ImportReport, Imported, ImportedItem, Manifest, ManifestSecret, ManifestVariable};
pub use members::MemberInfo;
pub use precondition::Precondition;
pub use proposals::NewProposal;
pub use recovery::Recovered;
pub use removal::Deletion;
pub use roles::RoleInfo;
pub use runs::{
    Fired, NewRun, Node, RecoveredRuns, RunFilter, RunMark, RunQueued, RunRecord, RunStarted, RunTicket,
};
pub use second_factor::{AccountInfo, Enrolment, PasswordChange};
pub use secrets::{NewSecret, SecretFilter, SecretOverview, SecretPatch, ValueOverview};
pub use sessions::{By, SessionInfo, SignIn, SignedIn, SignedInBy};
pub use setup::{FirstOwner, open_instance};
pub use sftp::{SftpActionTemplate, SftpTemplate};
pub use steps::{StepTemplate, condition};
pub use storage::{StorageActionTemplate, StorageTemplate};
/// Recognising what a client presents: the broker has no other business with cryptography.
pub use tacit_crypto::{
    placeholder::{Shape, find_placeholders, generate_placeholder, placeholder_hash},
    random_bytes,
    token::{TokenHash, TokenKind, parse as parse_token},
};
pub use tacit_store::people::SessionKind;
pub use tacit_store::references::ObservedUse;
pub use tacit_store::reminders::Reminder;
pub use triggers::{ScheduleInfo, Scheduled, TriggersEnabled, TriggersInfo};
pub use upkeep::Upkeep;
pub use usages::{Usages, UsingAutomation};
pub use uses::{
    Coverage, Fetch, Intents, Opened, OpenedValue, Outcome, PlanId, PreparedFetch, PreparedUse,
    RecordedFetch, RecordedUse, ScannedValue, Scans, SecretSlot, TokenKey, UseRequest, UsedToken, Using,
    no_token,
};
pub use values::Revealed;
pub use variables::{VariableOverview, VariablePatch};
pub use versions::{VersionInfo, VersionState};
pub use workspaces::{EnvironmentInfo, SettingsPatch, WorkspaceInfo};

/// The vault of one instance. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Store,
    instance: InstanceId,
    keys: keyring::Keyring,
    views: RwLock<HashMap<WorkspaceName, Arc<access::View>>>,
    /// One change at a time in this process decides on a workspace; across processes the revision decides.
    turns: RwLock<HashMap<tacit_model::WorkspaceId, Arc<tokio::sync::Mutex<()>>>>,
    /// What leases and agents have sent of what they may send.
    budgets: budgets::Budgets,
    /// How often somebody tried to sign in: to one account, from one address.
    sign_in_by_account: pace::Pace,
    sign_in_by_address: pace::Pace,
    /// How often somebody looked at a value.
    reveals: pace::Pace,
    /// How many runs of a workspace waited, and when that was.
    waiting: Mutex<HashMap<tacit_model::WorkspaceId, (tacit_model::Timestamp, i64)>>,
    /// How often each webhook was called.
    hook_calls: pace::Pace,
    /// Passwords that may be hashed at the same time.
    hashing: tokio::sync::Semaphore,
    /// Somebody wants the upkeep to be thorough, soon.
    upkeep_wanted: tokio::sync::Notify,
    /// How often whom values were compared for.
    comparisons: compare::Comparisons,
    /// Leases' tokens that were used from where they are not for.
    elsewhere: leases::Elsewhere,
    /// How fetched tokens fared.
    tokens: uses::Tokens,
    /// Uses that were written down a moment ago.
    observed: uses::Observed,
}

impl Vault {
    /// A vault over a store whose root key was checked.
    pub(crate) fn new(store: Store, instance: InstanceId, root: RootKey) -> Self {
        Self(Arc::new(Inner {
            keys: keyring::Keyring::new(store.clone(), instance, root),
            store,
            instance,
            views: RwLock::default(),
            turns: RwLock::default(),
            budgets: budgets::Budgets::default(),
            sign_in_by_account: pace::Pace::new(
                limits::SIGN_IN_BY_ACCOUNT_BURST,
                limits::SIGN_IN_BY_ACCOUNT_REFILL_SECS,
            ),
            sign_in_by_address: pace::Pace::new(
                limits::SIGN_IN_BY_ADDRESS_BURST,
                limits::SIGN_IN_BY_ADDRESS_REFILL_SECS,
            ),
            reveals: pace::Pace::new(limits::REVEALS_BURST, limits::REVEALS_REFILL_SECS),
            waiting: Mutex::default(),
            hook_calls: pace::Pace::new(limits::HOOK_CALLS_BURST, limits::HOOK_CALLS_REFILL_SECS),
            hashing: tokio::sync::Semaphore::new(limits::PASSWORDS_HASHED_AT_ONCE),
            upkeep_wanted: tokio::sync::Notify::new(),
            comparisons: compare::Comparisons::default(),
            elsewhere: leases::Elsewhere::default(),
            tokens: uses::Tokens::default(),
            observed: uses::Observed::default(),
        }))
    }

    /// The store below, for what has no values and no rights: health, shutdown.
    pub fn store(&self) -> &Store {
        &self.0.store
    }
}

/// A use case gave up, or must be decided again because the workspace changed under it.
pub(crate) enum Stop {
    Stale,
    Problem(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<WriteError> for Stop {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stale => Self::Stale,
            // A row vanished or a key was taken between reading and writing: the next look will say what it is.
            WriteError::Conflict | WriteError::Taken => Self::Stale,
            WriteError::Unavailable(cause) => Problem::audit_unavailable(cause).into(),
        }
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Problem::internal(error).into()
    }
}

/// How often a use case is decided again before it gives up.
pub(crate) const ATTEMPTS: usize = 16;

/// Runs a use case on a fresh view of the caller's workspace until it is not overtaken by another change.
macro_rules! settle {
    ($vault:expr, $caller:expr, |$access:ident| $body:expr) => {{
        let mut attempt = 0;
        loop {
            let $access = $vault.access($caller).await?;
            let result: Result<_, $crate::Stop> = $body.await;
            match result {
                Ok(done) => break Ok(done),
                Err($crate::Stop::Problem(problem)) => break Err(problem),
                Err($crate::Stop::Stale) => {
                    attempt += 1;
                    if attempt >= $crate::ATTEMPTS {
                        break Err($crate::busy());
                    }
                }
            }
        }
    }};
}
pub(crate) use settle;

/// The same for a use case that changes the workspace: one at a time, so that they do not overtake each other here.
macro_rules! settle_change {
    ($vault:expr, $caller:expr, |$access:ident| $body:expr) => {{
        let turn = $vault.turn($vault.access($caller).await?.view.workspace.id);
        let _turn = turn.lock().await;
        $crate::settle!($vault, $caller, |$access| $body)
    }};
}
pub(crate) use settle_change;

pub(crate) fn busy() -> Problem {
    Problem::new(tacit_model::Code::VersionConflict, "the workspace keeps changing; nothing was done")
        .suggest("try again")
}

impl Vault {
    pub(crate) fn turn(&self, workspace: tacit_model::WorkspaceId) -> Arc<tokio::sync::Mutex<()>> {
        if let Some(turn) = self.0.turns.read().unwrap_or_else(PoisonError::into_inner).get(&workspace) {
            return Arc::clone(turn);
        }
        Arc::clone(self.0.turns.write().unwrap_or_else(PoisonError::into_inner).entry(workspace).or_default())
    }
}

/// Ten random bytes and a time make an id.
macro_rules! new_id {
    ($kind:ty, $now:expr) => {
        <$kind>::generate($now, tacit_crypto::random_bytes())
    };
}
pub(crate) use new_id;
